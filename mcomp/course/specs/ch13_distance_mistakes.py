"""Chapter 13: the mistakes of the exercise on relative distances."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _plain(x):
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


def _over(d, mean):
    return d / mean if mean > 0 else d


def _rows_mean(x):
    d = _plain(x)
    count = (d > 0).sum(1, keepdims=True)
    mean = np.divide(d.sum(1, keepdims=True), count, out=np.ones((len(d), 1)), where=count > 0)
    return d / mean


def _off_diagonal(x):
    d = _plain(x)
    return _over(d, d.sum() / (len(d) * (len(d) - 1)))


def _positive(d):
    return d[d > 0].mean() if (d > 0).any() else 0.0


def _median(d):
    return np.median(d[d > 0]) if d.any() else 0.0


def _squares(x):
    d = _plain(x) ** 2
    return _over(d, _positive(d))


def _absolute(x):
    d = abs(x[:, None] - x[None]).sum(-1)
    return _over(d, _positive(d))


def _largest_gap(x):
    d = abs(x[:, None] - x[None]).max(-1)
    return _over(d, _positive(d))


def _of_means(x):
    d = np.sqrt(((x[:, None] - x[None]) ** 2).mean(-1))
    return d


def _right_distances(x):
    d = _plain(x)
    return _over(d, _positive(d))


def _upper(x):
    return np.triu(_right_distances(x))


def _features(x):
    return _right_distances(x.T)


def _cosines(x):
    n = np.sqrt((x**2).sum(1, keepdims=True))
    u = np.divide(x, n, out=np.zeros_like(x), where=n > 0)
    return u @ u.T


DISTANCES = (
    Mistake("not_scaled", _plain,
            "the distances aren't relative; divide by the mean of the positive ones"),
    Mistake("all_mean", lambda x: _over(_plain(x), _plain(x).mean()),
            "your mean counts the zeros of the diagonal; only positive distances count"),
    Mistake("off_diagonal", _off_diagonal,
            "you left out the diagonal alone; equal rows have distance 0 and don't count either"),
    Mistake("nan", quiet(lambda x: _plain(x) / _plain(x)[_plain(x) > 0].sum() * (_plain(x) > 0).sum()),
            "if no two rows differ you divide 0 by 0; all distances are 0 then"),
    Mistake("largest", lambda x: _over(_plain(x), _plain(x).max()),
            "you divided by the largest distance; by the mean of the positive ones"),
    Mistake("sum", lambda x: _over(_plain(x), _plain(x).sum()),
            "you divided by the sum of the distances; by their mean"),
    Mistake("root_mean_square", lambda x: _over(_plain(x), np.sqrt(_positive(_plain(x) ** 2))),
            "you divided by the root of the mean square; by the mean"),
    Mistake("products", lambda x: x @ x.T,
            "these are scalar products; distances are asked"),
    Mistake("median", lambda x: _over(_plain(x), _median(_plain(x))),
            "you divided by the median; by the mean"),
    Mistake("by_row", _rows_mean,
            "each row got a mean of its own; the whole batch has one"),
    Mistake("squares", _squares,
            "you forgot the root: these are squared distances"),
    Mistake("absolute", _absolute,
            "you summed absolute differences; the root of the sum of squares is asked"),
    Mistake("largest_gap", _largest_gap,
            "you took the largest difference of a feature; the root of the sum of squares is asked"),
    Mistake("feature_mean", _of_means,
            "you took the mean over the features, and didn't divide by the mean distance"),
    Mistake("upper", _upper,
            "half of the distances are missing: the one from j to i is that from i to j"),
    Mistake("features", _features,
            "these are distances between features; rows are images"),
    Mistake("similar", lambda x: 1 - _right_distances(x),
            "1 minus the distance is a similarity; the distance is asked"),
    Mistake("cosines", _cosines,
            "these are cosines; distances are asked"),
)  # fmt: skip
