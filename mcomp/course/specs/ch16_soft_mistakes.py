"""Chapter 16: wrong entropies of soft choices, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _soft(w, values, beta, *, axis=1, power=2):
    scores = -beta * abs(np.subtract.outer(w, values)) ** power
    parts = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return parts / parts.sum(axis=axis, keepdims=True)


def _entropy(p, axis=-1):
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis)


def _of(use, measure=_entropy):
    return quiet(lambda w, values, beta: float(measure(use(w, values, beta))))


def _mean_use(w, values, beta):
    return _soft(w, values, beta).mean(0)


def _hard(w, values, beta):
    at = abs(np.subtract.outer(w, values)).argmin(1)
    return np.bincount(at, minlength=len(values)) / len(w)


def _over_weights(w, values, beta):
    p = _soft(w, values, beta, axis=0).mean(0)
    return p / p.sum()


def _each(w, values, beta):
    return _entropy(_soft(w, values, beta)).mean()


def _no_softmax(w, values, beta):
    p = np.exp(-beta * np.subtract.outer(w, values) ** 2).sum(0)
    return p / p.sum()


SOFT = (
    Mistake(
        "mean_of_entropies",
        quiet(lambda w, values, beta: float(_each(w, values, beta))),
        "you averaged the entropy of each weight's own choice; the entropy of the mean use is asked for",
    ),
    Mistake("hard", _of(_hard), "each weight used its nearest value alone; it uses all of them a little"),
    Mistake("over_weights", _of(_over_weights), "the softmax went over the weights; it goes over the values"),
    Mistake(
        "no_softmax",
        _of(_no_softmax),
        "e to the score was added up without a softmax: weights far from all values hardly count then",
    ),
    Mistake("distance", _of(lambda w, v, b: _soft(w, v, b, power=1).mean(0)), "the distance wasn't squared"),
    Mistake(
        "sign",
        _of(lambda w, v, b: _mean_use(w, v, -b)),
        "the sign of beta is turned: the farthest value is used most",
    ),
    Mistake(
        "divided", _of(lambda w, v, b: _mean_use(w, v, 1 / b if b else 1e9)), "you divided by beta; multiply"
    ),
    Mistake("no_beta", _of(lambda w, v, b: _mean_use(w, v, 1.0)), "beta didn't count"),
    Mistake(
        "beta_squared",
        _of(lambda w, v, b: _mean_use(w, v, b**2)),
        "beta was squared, too; only the distance is",
    ),
    Mistake(
        "nats",
        _of(_mean_use, lambda p: _entropy(p) * np.log(2)),
        "the natural logarithm gives nats; bits are asked for",
    ),
    Mistake(
        "times_n",
        quiet(lambda w, values, beta: float(len(w) * _entropy(_mean_use(w, values, beta)))),
        "that is n times the entropy, the bits of all weights; the entropy itself is asked for",
    ),
    Mistake(
        "negative", _of(_mean_use, lambda p: -_entropy(p)), "the sign is turned: an entropy is never negative"
    ),
    Mistake(
        "nan",
        _of(_mean_use, lambda p: -(p * np.log2(p)).sum()),
        "0 times log 0 came out as nan; a value that nobody uses adds 0",
    ),
    Mistake(
        "not_mean",
        _of(lambda w, v, b: _soft(w, v, b).sum(0)),
        "the uses were added up, not averaged: they aren't chances",
    ),
    Mistake(
        "cross",
        _of(_mean_use, lambda p: -np.log2(np.where(p > 0, p, 1)).mean()),
        "the word lengths were averaged over the values; each counts as often as it is used",
    ),
    Mistake(
        "first_weight",
        _of(lambda w, v, b: _soft(w, v, b)[0]),
        "only the first weight counts; the mean goes over all",
    ),
)
