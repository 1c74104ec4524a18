"""Chapter 12: wrong ways to match logits and to test a difference, each with what happened."""

import math
from itertools import combinations, product

import numpy as np

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs.ch12_loss_mistakes import log_soft, soft
from mcomp.paired import t_p


def _row_mean(z):
    return z.mean(axis=1, keepdims=True)


def _nothing(z):
    return 0.0


def _matching(s, t, centre_s=None, centre_t=None):
    d = (s - (centre_s or _row_mean)(s)) - (t - (centre_t or _row_mean)(t))
    return float((d**2).mean() / 2)


def _no_keepdims(s, t):
    return float((((s - s.mean(1)) - (t - t.mean(1))) ** 2).mean() / 2)


def _standardised(s, t):
    s, t = ((z - _row_mean(z)) / z.std(axis=1, keepdims=True) for z in (s, t))
    return float(((s - t) ** 2).mean() / 2)


def _largest(z):
    return z.max(axis=1, keepdims=True)


def _gap(s, t):
    return (s - _row_mean(s)) - (t - _row_mean(t))


def _sums(a, b, signs=(1, -1)):
    d = (a - b).astype(int)
    return np.array(list(product(signs, repeat=len(d)))) @ d, int(d.sum())


def _flips(a, b, extreme=lambda sums, seen: abs(sums) >= abs(seen), signs=(1, -1)):
    return float(extreme(*_sums(a, b, signs)).mean())


def _corrected(more, whole):
    """(count + more) / (2**n + whole)."""
    return lambda a, b: float((_flips(a, b) * 2 ** len(a) + more) / (2 ** len(a) + whole))


def _t_test(a, b):
    d, n = (a - b).astype(float), len(a)
    if n == 1 or d.std() == 0:
        return math.nan
    return t_p(d.mean() / (d.std(ddof=1) / np.sqrt(n)), n - 1)


def _one_sided_t(a, b):
    p = _t_test(a, b)
    return p / 2 if a.sum() >= b.sum() else 1 - p / 2


def _one_at_a_time(a, b):
    d = (a - b).astype(int)
    return float((abs(d.sum() - 2 * d) >= abs(d.sum())).mean())


def _unpaired(a, b):
    n = len(a)
    error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / n) if n > 1 else 0.0
    return t_p((a.mean() - b.mean()) / error, 2 * n - 2) if error else math.nan


def _pooled(a, b):
    both, seen = np.concatenate([a, b]), abs(int((a - b).sum()))
    sums = np.array([sum(chosen) for chosen in combinations(both.tolist(), len(a))])
    return float((abs(2 * sums - both.sum()) >= seen).mean())


def _ranks(a, b):
    """Wilcoxon's: ranks in place of differences, zeros left out."""
    d = (a - b)[a != b]
    if not len(d):
        return 1.0
    size = abs(d)
    rank = np.array([(size < x).sum() + ((size == x).sum() + 1) / 2 for x in size])
    signs = np.array(list(product((1, -1), repeat=len(d))))
    return float((abs(signs @ rank) >= abs((np.sign(d) * rank).sum())).mean())


def _how_often_better(a, b):
    wins, n = int((a > b).sum()), len(a)
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)


def _sign_test(a, b):
    wins, n = int((a > b).sum()), len(a)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(max(wins, n - wins), n + 1)) / 2**n)


MATCHING = (
    Mistake("not_centred", lambda s, t: _matching(s, t, _nothing, _nothing),
            "the rows aren't centred: a constant added to all logits of an image costs, though no "
            "probability changes"),
    Mistake("mse", lambda s, t: 2 * _matching(s, t, _nothing, _nothing),
            "that is the mean squared difference: the rows aren't centred, and the half is missing"),
    Mistake("no_half", lambda s, t: 2 * _matching(s, t), "the half is missing"),
    Mistake("summed", lambda s, t: s.shape[1] * _matching(s, t),
            "you summed over the classes; the mean is over all entries"),
    Mistake("summed_all", lambda s, t: s.size * _matching(s, t),
            "you took the sum over all entries; take the mean"),
    Mistake("summed_raw", lambda s, t: float(((s - t) ** 2).sum() / 2),
            "the rows aren't centred, and you took the sum over all entries, not the mean"),
    Mistake("half_twice", lambda s, t: _matching(s, t) / 2, "you took the half twice"),
    Mistake("log_probabilities", lambda s, t: float(((log_soft(s, 1.0) - log_soft(t, 1.0)) ** 2).mean() / 2),
            "log_softmax takes the logarithm of a sum of exponentials off each row; here it is the mean"),
    Mistake("not_squared", lambda s, t: float(_gap(s, t).mean() / 2),
            "a mean of centred differences is 0: square them first"),
    Mistake("teacher_one_mean", lambda s, t: _matching(s, t, centre_t=np.mean),
            "the teacher's array has one mean taken off; each of its rows has its own"),
    Mistake("per_image", lambda s, t: (_gap(s, t) ** 2).mean(1) / 2,
            "one number for each image: the loss is one number, the mean over all entries"),
    Mistake("over_images", lambda s, t: _matching(s, t, lambda z: z.mean(0), lambda z: z.mean(0)),
            "you took the mean over the images from each column; each row has its own mean"),
    Mistake("one_mean", lambda s, t: _matching(s, t, np.mean, np.mean),
            "you subtracted one mean from the whole array; each row has its own"),
    Mistake("no_keepdims", _no_keepdims,
            "mean(axis=1) drops the axis, so that it is subtracted from the columns: keepdims=True"),
    Mistake("teacher_only", lambda s, t: _matching(s, t, centre_s=_nothing),
            "only the teacher is centred: the student's rows need it, too"),
    Mistake("student_only", lambda s, t: _matching(s, t, centre_t=_nothing),
            "only the student is centred: the teacher's rows need it, too"),
    Mistake("largest", lambda s, t: _matching(s, t, _largest, _largest),
            "you subtracted each row's largest logit; moved to mean 0, a row loses its mean"),
    Mistake("standardised", quiet(_standardised),
            "you divided each row by its standard deviation, too; only its mean is taken off"),
    Mistake("n_minus_one", lambda s, t: float((s - t).var(1, ddof=1).mean() / 2),
            "you divided by classes - 1 (torch's var does); the mean is over all entries"),
    Mistake("absolute", lambda s, t: float(abs(_gap(s, t)).mean() / 2),
            "you took the size of the difference; take its square"),
    Mistake("root", lambda s, t: float(np.sqrt(2 * _matching(s, t))),
            "that is the root of the mean square; the loss is half the mean square itself"),
    Mistake("half_root", lambda s, t: float(np.sqrt(2 * _matching(s, t)) / 2),
            "you took the root of the mean square; the loss is half the mean square itself"),
    Mistake("spread", lambda s, t: float((s - t).std(1).mean()),
            "that is the mean standard deviation of the differences; take half the mean square"),
    Mistake("probabilities", lambda s, t: float(((soft(s, 1.0) - soft(t, 1.0)) ** 2).mean() / 2),
            "you compared probabilities; here logits are compared, without a softmax"),
)  # fmt: skip

TEST = (
    Mistake("one_sided", lambda a, b: _flips(a, b, lambda x, seen: x >= seen),
            "you looked at one side only: a sum as far below 0 is as extreme; compare sizes, with abs"),
    Mistake("one_sided_size", lambda a, b: _flips(a, b, lambda x, seen: x >= abs(seen)),
            "you took the size of the sum seen, not of the others: those as far below 0 count as well"),
    Mistake("seen_without_size", lambda a, b: _flips(a, b, lambda x, seen: abs(x) >= seen),
            "you took the size of the sums, not of the one seen: if that is below 0 all count; abs on both"),
    Mistake("doubled", lambda a, b: 2 * _flips(a, b, lambda x, seen: x >= seen),
            "twice one side is right only while the sum is above 0: compare sizes, with abs"),
    Mistake("half", lambda a, b: _flips(a, b) / 2,
            "that is half of it: both sides count, so don't divide by two"),
    Mistake("equal", lambda a, b: _flips(a, b, lambda x, seen: abs(x) == abs(seen)),
            "you counted the sums that are equal; those further from 0 count as well"),
    Mistake("one_at_a_time", _one_at_a_time,
            "you turned one difference at a time; all 2**n choices of signs count"),
    Mistake("mean_and_sum", lambda a, b: _flips(a, b, lambda x, seen: abs(x) >= abs(seen) / len(a)),
            "you compared sums with a mean: sums with the sum, or means with the mean"),
    Mistake("count_by_seeds", lambda a, b: _flips(a, b) * 2 ** len(a) / len(a),
            "you divided the count by n; there are 2**n choices of signs"),
    Mistake("t_test_one_sided", _one_sided_t,
            "that is Student's test, on one side; go through all the signs, and count both sides"),
    Mistake("strict", lambda a, b: _flips(a, b, lambda x, seen: abs(x) > abs(seen)),
            "you counted larger sums only: those as large count as well, what you saw among them"),
    Mistake("zeros_and_ones", lambda a, b: _flips(a, b, signs=(0, 1)),
            "your factors are 0 and 1; a sign is 1 or -1"),
    Mistake("without_itself", _corrected(-1, -1),
            "you left out the choice of signs that was seen; it is one of the 2**n, and the test isn't "
            "exact without it"),
    Mistake("less_one", _corrected(-1, 0),
            "you took the choice that was seen off the count; it counts, or p might be 0"),
    Mistake("one_choice_less", _corrected(0, -1),
            "the count is right; there are 2**n choices of signs, the one seen among them: divide by 2**n"),
    Mistake("plus_one", _corrected(1, 1),
            "one more above and below is for a random sample of signs; all 2**n already hold the one seen"),
    Mistake("upside_down", lambda a, b: _flips(a, b, lambda x, seen: abs(x) <= abs(seen)),
            "you counted the sums that are less extreme; the p-value counts those at least as extreme"),
    Mistake("complement", lambda a, b: 1 - _flips(a, b),
            "that is 1 - p: the p-value is the part of the sums at least as far from 0"),
    Mistake("t_test", _t_test,
            "that is Student's paired test, which assumes normal differences; go through all the signs"),
    Mistake("unpaired", _unpaired,
            "that is Student's test of two clouds: it ignores the pairs; go through the signs of a - b"),
    Mistake("pooled", _pooled,
            "you shuffled all numbers between the two methods: that ignores the pairs; flip signs of a - b"),
    Mistake("ranks", _ranks,
            "that is Wilcoxon's test, of ranks; here the differences themselves are summed"),
    Mistake("how_often_better", _how_often_better,
            "you only counted how often a is better (the sign test, one side); the sizes matter here"),
    Mistake("sign_test", _sign_test,
            "that is the sign test: it only counts how often a is better; the sizes matter here"),
    Mistake("least", lambda a, b: 2 / 2 ** len(a),
            "2 / 2**n is the least that p can be, if all differences agree in sign; count the sums"),
    Mistake("always_one", lambda a, b: 1.0,
            "your p is 1 whatever the differences: choose a sign for each difference a - b, then add up"),
    Mistake("count", lambda a, b: _flips(a, b) * 2 ** len(a),
            "that is how many choices of signs are as extreme; divide by 2**n"),
)  # fmt: skip
