"""Chapter 03, inputs and neurons: the wrong answers that people write, each with what happened.

Statistics over the wrong axis, and one answer for all neurons, are errors of published tutorials.
"""

import numpy as np

from mcomp.course.model import Mistake


def _rows(score, k):
    rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1)
    return rank < k


def _late(score, k):
    return _rows(score[:, ::-1], k)[:, ::-1]


def _whole(score, k):
    mask = np.zeros(score.shape, bool)
    mask.flat[np.argsort(-score, axis=None, kind="stable")[:k]] = True
    return mask


def _at_least(score, k):
    return score >= (np.sort(score, axis=1)[:, -k][:, None] if k else np.inf)


def _rms(x, axis=0):
    return np.sqrt((x**2).mean(axis))


def _tests(y, least_mean, least_std, most_zeros, axis=0, ddof=0):
    zeros = (y == 0).mean(axis)
    return y.mean(axis) >= least_mean, y.std(axis, ddof=ddof) >= least_std, zeros <= most_zeros


def _keep(*a, **more):
    return np.logical_and.reduce(_tests(*a, **more))


def _but(y, a, b, c, mean=None, std=None, few=None):
    """The right answer, with another statistic or another test."""
    mean = y.mean(0) if mean is None else mean
    std = y.std(0) if std is None else std
    return (mean >= a) & (std >= b) & ((y == 0).mean(0) <= c if few is None else few)


def _above(values, limit):
    """The values, with those exactly at the limit below it."""
    return np.where(values == limit, -np.inf, values)


def _active_mean(y):
    return y.sum(0) / np.maximum((y != 0).sum(0), 1)


def _strict(y, least_mean, least_std, most_zeros):
    return (y.mean(0) > least_mean) & (y.std(0) > least_std) & ((y == 0).mean(0) < most_zeros)


def _one_bool(y, least_mean, least_std, most_zeros):
    return bool(y.mean() >= least_mean and y.std() >= least_std and (y == 0).mean() <= most_zeros)


def _rows_zeroed(w, b, mean, gone):
    """Of a square layer; another one refuses."""
    return w * ~gone[:, None], b + w @ (mean * gone)


MISTAKES = {
    "03.5": (
        Mistake("magnitude", lambda w, x, k: _rows(abs(w), k),
                "that is magnitude within each row: the inputs aren't in it, or one number for all of them"),
        Mistake("no_abs", lambda w, x, k: _rows(w * _rms(x), k),
                "you compared w, not |w|, so large negative weights went"),
        Mistake("wrong_axis", lambda w, x, k: _rows(abs(w) * _rms(x, axis=1), k),
                "you averaged over an example's inputs; the rms of an input is over the batch, axis 0"),
        Mistake("mean", lambda w, x, k: _rows(abs(w) * abs(x.mean(0)), k),
                "you took the mean of the input, in which signs cancel; rms is the root of the mean square"),
        Mistake("signed_mean", lambda w, x, k: _rows(abs(w) * x.mean(0), k),
                "you took the mean of the input: it may be negative, and signs cancel in it; square first"),
        Mistake("mean_size", lambda w, x, k: _rows(abs(w) * abs(x).mean(0), k),
                "you took the mean of |x|; rms squares first, which gives large inputs more weight"),
        Mistake("max", lambda w, x, k: _rows(abs(w) * abs(x).max(0), k),
                "you took the largest input; rms is the root of the mean square over the batch"),
        Mistake("inputs", lambda w, x, k: _rows(np.ones_like(w) * _rms(x), k),
                "you ranked the inputs alone; the score is |w| times the rms of its input"),
        Mistake("sum", lambda w, x, k: _rows(abs(w) + _rms(x), k),
                "you added the two; what a weight contributes is the product |w|·rms"),
        Mistake("std", lambda w, x, k: _rows(abs(w) * x.std(0), k),
                "you took the standard deviation, which leaves out the mean; rms has both"),
        Mistake("variance", lambda w, x, k: _rows(abs(w) * x.var(0), k),
                "you took the variance of the input: rms doesn't subtract the mean, and has a root"),
        Mistake("no_root", lambda w, x, k: _rows(abs(w) * (x**2).mean(0), k),
                "the root is missing: |w| goes with rms, or w² with the mean square"),
        Mistake("w_square", lambda w, x, k: _rows(w**2 * _rms(x), k),
                "you squared the weight, but not the rms; take |w|, or square both"),
        Mistake("columns", lambda w, x, k: _rows((abs(w) * _rms(x)).T, k).T,
                "you kept k in each column; it is k in each row, that is of each output"),
        Mistake("whole", lambda w, x, k: _whole(abs(w) * _rms(x), k * len(w)),
                "you ranked the layer as a whole; each row keeps k of its own"),
        Mistake("k_in_all", lambda w, x, k: _whole(abs(w) * _rms(x), k),
                "you kept k weights of the whole layer; it is k in each row"),
        Mistake("positions", lambda w, x, k: np.argsort(-abs(w) * _rms(x), axis=1, kind="stable") < k,
                "argsort says where the largest is, not which rank an entry has; sort its answer once more"),
        Mistake("at_least", lambda w, x, k: _at_least(abs(w) * _rms(x), k),
                "where scores are equal you keep more than k: `>=` the k-th lets all its equals in"),
        Mistake("ties_late", lambda w, x, k: _late(abs(w) * _rms(x), k),
                "of equal scores the lower index stays; yours keeps the later one"),
        Mistake("smallest", lambda w, x, k: _rows(-abs(w) * _rms(x), k),
                "you kept the k smallest: sort by falling score"),
        Mistake("k_removed", lambda w, x, k: _rows(abs(w) * _rms(x), w.shape[1] - k),
                "you removed k in each row; k is how many stay"),
        Mistake("inverted", lambda w, x, k: ~_rows(abs(w) * _rms(x), k),
                "your mask is upside down: True means keep"),
        Mistake("weights", lambda w, x, k: w * _rows(abs(w) * _rms(x), k),
                "that is the pruned layer; asked is the mask, True where a weight stays"),
        Mistake("tail_slice", lambda w, x, k: _late(abs(w) * _rms(x), k or w.shape[1]),
                "of equal scores the lower index stays; and order[:, -k:] is everything where k is 0"),
    ),
    "03.6": (
        Mistake("wrong_axis", lambda y, a, b, c: _keep(y, a, b, c, axis=1),
                "you took statistics over axis 1, one number an image; a neuron is a column, so axis 0"),
        Mistake("one_answer", lambda y, *limits: np.full(y.shape[1], _one_bool(y, *limits)),
                "you took statistics of the whole array, so all neurons share one answer"),
        Mistake("one_bool", _one_bool,
                "you took statistics of the whole array, and one answer came out; each column has its own"),
        Mistake("any", lambda *a: np.logical_or.reduce(_tests(*a)),
                "a neuron stays only if it passes all three tests; yours stays if it passes one"),
        Mistake("inverted", lambda y, a, b, c: ~_keep(y, a, b, c),
                "your answer is upside down: True means keep"),
        Mistake("non_zeros", lambda y, a, b, c: _but(y, a, b, c, few=(y != 0).mean(0) <= c),
                "you counted what is not zero; the fraction of zeros was asked for"),
        Mistake("many_non_zeros", lambda y, a, b, c: _but(y, a, b, c, few=(y != 0).mean(0) >= c),
                "zeros at most c is not non-zeros at least c: that would be 1 - c"),
        Mistake("many_zeros", lambda y, a, b, c: _but(y, a, b, c, few=(y == 0).mean(0) >= c),
                "the last test is the other way round: too many zeros are what a neuron goes for"),
        Mistake("count", lambda y, a, b, c: _but(y, a, b, c, few=(y == 0).sum(0) <= c),
                "you counted the zeros; most_zeros is a fraction, so divide by the batch"),
        Mistake("of_all", lambda y, a, b, c: _but(y, a, b, c, few=(y == 0).sum(0) / y.size <= c),
                "you divided by all entries; a neuron's fraction of zeros is of its own column"),
        Mistake("near_zero", lambda y, a, b, c: _but(y, a, b, c, few=(abs(y) < 0.2).mean(0) <= c),
                "you counted small outputs as zeros; compare with == 0"),
        Mistake("not_positive", lambda y, a, b, c: _but(y, a, b, c, few=(y <= 0).mean(0) <= c),
                "you counted negative outputs as zeros; compare with == 0"),
        Mistake("mean_size", lambda y, a, b, c: _but(y, a, b, c, mean=abs(y).mean(0)),
                "you took the mean of |y|; outputs may be negative, and their mean has a sign"),
        Mistake("size_of_mean", lambda y, a, b, c: _but(y, a, b, c, mean=abs(y.mean(0))),
                "you took the size of the mean; a negative mean is below a limit of 0.5, however large"),
        Mistake("largest", lambda y, a, b, c: _but(y, a, b, c, mean=y.max(0)),
                "that is the largest output; the mean was asked for"),
        Mistake("median", lambda y, a, b, c: _but(y, a, b, c, mean=np.median(y, 0)),
                "that is the median; the mean was asked for"),
        Mistake("variance", lambda y, a, b, c: _but(y, a, b, c, std=y.var(0)),
                "you compared the variance; the standard deviation is its root"),
        Mistake("rms", lambda y, a, b, c: _but(y, a, b, c, std=_rms(y)),
                "that is the root mean square; the standard deviation takes the mean off first"),
        Mistake("sample_std", lambda y, a, b, c: _keep(y, a, b, c, ddof=1),
                "you divided by n - 1; the standard deviation of the outputs themselves divides by n"),
        Mistake("strict", _strict,
                "a neuron that lies exactly at a limit stays: it goes if it is below, or above most_zeros"),
        Mistake("strict_mean", lambda y, a, b, c: _but(y, a, b, c, mean=_above(y.mean(0), a)),
                "a neuron whose mean is exactly least_mean stays: compare with >="),
        Mistake("strict_std", lambda y, a, b, c: _but(y, a, b, c, std=_above(y.std(0), b)),
                "a neuron whose spread is exactly least_std stays: compare with >="),
        Mistake("strict_zeros", lambda y, a, b, c: _but(y, a, b, c, few=(y == 0).mean(0) < c),
                "a neuron with exactly most_zeros stays: compare with <="),
        Mistake("no_zeros", lambda y, a, b, c: _but(y, a, b, c, few=True),
                "the fraction of zeros isn't tested: a neuron that is silent too often goes as well"),
        Mistake("no_mean", lambda y, a, b, c: _but(y, a, b, c, mean=np.inf),
                "the mean isn't tested: a neuron that puts out little goes as well"),
        Mistake("no_std", lambda y, a, b, c: _but(y, a, b, c, std=np.inf),
                "the spread isn't tested: a neuron that hardly changes goes as well"),
        Mistake("only_mean", lambda y, a, b, c: y.mean(0) >= a,
                "you tested the mean alone; the spread and the zeros have a say too"),
        Mistake("positions", lambda *a: np.flatnonzero(_keep(*a)),
                "those are the numbers of the neurons that stay; asked is True or False for each neuron"),
        Mistake("outputs", lambda y, *limits: y[:, _keep(y, *limits)],
                "those are the outputs of the neurons that stay; asked is True or False for each neuron"),
        Mistake("mean_of_active", lambda y, a, b, c: _but(y, a, b, c, mean=_active_mean(y)),
                "you took the mean of the outputs that aren't zero; the zeros count in the mean"),
    ),
    "03.7": (
        Mistake("only_zeroed", lambda w, b, mean, gone: (w * ~gone, b.copy()),
                "you zeroed the columns and lost what those neurons gave on average; the bias takes it"),
        Mistake("only_bias", lambda w, b, mean, gone: (w.copy(), b + w @ (mean * gone)),
                "the neurons are still there: zero their columns as well, or they count twice"),
        Mistake("all_means", lambda w, b, mean, gone: (w * ~gone, b + w @ mean),
                "you added the means of all neurons; those that stay speak for themselves"),
        Mistake("kept_means", lambda w, b, mean, gone: (w * ~gone, b + w @ (mean * ~gone)),
                "the bias takes the means of those that go; you added those that stay"),
        Mistake("sign", lambda w, b, mean, gone: (w * ~gone, b - w @ (mean * gone)),
                "you took the mean away a second time; the bias gets it added"),
        Mistake("no_weight", lambda w, b, mean, gone: (w * ~gone, b + (mean * gone).sum()),
                "you added the means themselves; they reach output o multiplied by w[o, j]"),
        Mistake("no_mean", lambda w, b, mean, gone: (w * ~gone, b + w @ gone.astype(float)),
                "you added the weights of those that go; each reaches the bias multiplied by its mean"),
        Mistake("averaged", lambda w, b, mean, gone: (w * ~gone, b + w @ (mean * gone) / max(gone.sum(), 1)),
                "you averaged over the neurons that go; what they gave adds up"),
        Mistake("mean_of_row", lambda w, b, mean, gone: (w * ~gone, b + (w * (mean * gone)).mean(1)),
                "you averaged over the inputs; an output adds up what its inputs give"),
        Mistake("new_bias", lambda w, b, mean, gone: (w * ~gone, w @ (mean * gone)),
                "you replaced the bias; what it was stays, and the means come on top"),
        Mistake("inverted", lambda w, b, mean, gone: (w * gone, b + w @ (mean * ~gone)),
                "you removed the neurons that should stay: True in `gone` marks what goes"),
        Mistake("wrong_columns", lambda w, b, mean, gone: (w * gone, b + w @ (mean * gone)),
                "the bias is right, but you zeroed the columns of the neurons that stay"),
        Mistake("cut_out", lambda w, b, mean, gone: (w[:, ~gone], b + w @ (mean * gone)),
                "you took the columns out; here they stay as zeros, so that w keeps its shape"),
        Mistake("rows", _rows_zeroed,
                "you zeroed rows, the next layer's outputs; a neuron that goes is one of its columns"),
        Mistake("transposed", lambda w, b, mean, gone: (w * ~gone, b + (mean * gone) @ w),
                "you multiplied from the left: output o gets w[o, j] * mean[j], which is w @ mean"),
        Mistake("swapped", lambda w, b, mean, gone: (b + w @ (mean * gone), w * ~gone),
                "the order is (w, b): the weights come first"),
        Mistake("only_b", lambda w, b, mean, gone: b + w @ (mean * gone),
                "you returned the bias only; the weights were asked for as well: return w, b"),
        Mistake("into_w", lambda w, b, mean, gone: (np.where(gone, mean, w), b.copy()),
                "you wrote the means into the weights; a constant goes to the bias, its column becomes zero"),
        Mistake("only_w", lambda w, b, mean, gone: w * ~gone,
                "you returned the weights only; the new bias was asked for as well: return w, b"),
        Mistake("sizes", lambda w, b, mean, gone: (w * ~gone, b + abs(w) @ (mean * gone)),
                "you took |w|; what a neuron gives has its weight's sign"),
    ),
}  # fmt: skip
