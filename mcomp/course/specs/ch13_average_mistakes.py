"""Chapter 13: the mistakes of the exercise on the moving average."""

import numpy as np

from mcomp.course.model import Mistake


def _fold(weights, part, start=None):
    """The average with a = part(t); it starts as `start`, or as the first weights."""
    m = np.zeros(weights.shape[1]) if start is None else start
    for t, w in enumerate(weights):
        a = part(t)
        m = a * m + (1 - a) * w
    return m


def _capped(decay):
    return lambda t: min(decay, 1 - 1 / (t + 1))


def _late(weights, decay):
    """Moved by the weights of the step before."""
    return _fold(weights[:-1], _capped(decay)) if len(weights) > 1 else np.zeros(weights.shape[1])


def capped_means(weights, decay):
    """The average after every step, its decay at most 1 - 1 / (t + 1); a mistake in chapter 14, too."""
    m, found = np.zeros(weights.shape[1]), []
    for t, w in enumerate(weights):
        a = min(decay, 1 - 1 / (t + 1))
        m = a * m + (1 - a) * w
        found.append(m)
    return np.array(found)


def _second_first(weights, decay):
    return _fold(weights[1:], lambda t: decay, weights[0])


def _turned(weights, decay):
    """The new weights get a, the average the rest."""
    return _fold(weights, lambda t: 1 - min(decay, 1 - 1 / (t + 1)))


def _unbalanced(weights, decay):
    m = np.zeros(weights.shape[1])
    for t, w in enumerate(weights):
        m = min(decay, 1 - 1 / (t + 1)) * m + (1 - decay) * w
    return m


AVERAGE = (
    Mistake("no_cap", lambda w, decay: _fold(w, lambda t: decay),
            "it starts at zero and stays near it: by the limit 1 - 1 / (t + 1) the first weights replace it"),
    Mistake("from_first", _second_first,
            "you started at the first weights and used decay at once; early steps are a plain mean"),
    Mistake("mean", lambda w, decay: w.mean(0),
            "that is the plain mean of all; after a while the decay limits how long weights count"),
    Mistake("turned", _turned,
            "you gave a to the new weights; they get 1 - a"),
    Mistake("largest", lambda w, decay: _fold(w, lambda t: max(decay, 1 - 1 / (t + 1))),
            "you took the larger of the two; a is never more than 1 - 1 / (t + 1)"),
    Mistake("one_over", lambda w, decay: _fold(w, lambda t: min(decay, 1 / (t + 1))),
            "1 / (t + 1) is the least part of the new weights; the limit of a is 1 - 1 / (t + 1)"),
    Mistake("from_one", lambda w, decay: _fold(w, lambda t: min(decay, 1 - 1 / (t + 2))),
            "you counted the steps from 1; at t = 0 the limit is 0"),
    Mistake("from_zero", lambda w, decay: _fold(w[1:], _capped(decay), w[0]),
            "you began to count at the second weights, so that a is 0 once more and the first are forgotten"),
    Mistake("weighted", lambda w, decay: np.average(w, axis=0, weights=decay ** np.arange(len(w))[::-1]),
            "you scaled the weights decay**age to the sum 1; early on all steps count alike"),
    Mistake("first_and_last", lambda w, decay: decay * w[0] + (1 - decay) * w[-1],
            "only the first and the last weights are in it; go through all steps"),
    Mistake("last", lambda w, decay: w[-1].copy(),
            "these are the last weights, not an average"),
    Mistake("every_step", capped_means,
            "you returned the average after each step; the last one is asked"),
    Mistake("late", _late,
            "the last weights aren't in it; move the average after each step, the last one too"),
    Mistake("half", lambda w, decay: _fold(w, lambda t: 0.5 if t else 0.0),
            "you weighed old and new alike; the decay says how much is kept"),
    Mistake("not_one", _unbalanced,
            "the new weights got a part of 1 - decay while the average kept a: the parts must sum to 1"),
    Mistake("backwards", lambda w, decay: _fold(w[::-1], _capped(decay)),
            "you went through the steps backwards, so that the first weights count most"),
    Mistake("over_weights", lambda w, decay: float(_fold(w, _capped(decay)).mean()),
            "you also averaged over the weights; each has an average of its own"),
    Mistake("sum", lambda w, decay: w.sum(0),
            "you summed the weights; an average is asked"),
)  # fmt: skip
