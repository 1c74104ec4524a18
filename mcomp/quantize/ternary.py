"""Minus one, zero or one, times a scale: the threshold of TWN and the exact optimum by sorting.

Li et al. 2016 (arXiv:1605.04711). Derived in chapters/09_few_levels.ipynb.
"""

from mcomp.arrays import array_namespace, bad_value, constant
from mcomp.quantize.binary import rows, unrows

RULES = ("exact", "twn")

__all__ = ["ternarize", "ternary_threshold"]


def ternarize(w, *, axis=None, rule="exact"):
    """The nearest ``scale * q`` to `w` with every q in {−1, 0, 1}, in the least squares sense.

    For a set of k entries that are not zero the best scale is the mean of their |w|, and the error is the
    sum of w² minus (sum of those |w|)² / k. So the set is the k largest |w|, and sorting finds the best k.

    Parameters
    ----------
    w : floating array, any shape
        Finite.
    axis : int, optional
        One scale and threshold for each index along it: 0 for output channels. Default: one for all.
    rule : "exact" or "twn"
        The best k of all, or the threshold of `ternary_threshold`.

    Returns
    -------
    q : int64 array of the shape of `w`
        −1, 0 or 1.
    scale : floating array (channels,)
        Dtype of `w`; summed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> ternarize(np.array([3.0, -1.0, 0.5, -4.0]))
    (array([ 1,  0,  0, -1]), array([3.5]))
    """
    if rule not in RULES:
        raise bad_value("rule", rule, f"one of {', '.join(RULES)}")
    xp, table = array_namespace(w), constant(rows(w, axis))
    size = xp.abs(table)
    if rule == "twn":
        keep = size > ternary_threshold(w, axis=axis)[:, None]
    else:
        keep = size >= _least_kept(size)[:, None]
    keep = keep & (size > 0)
    count = xp.sum(xp.astype(keep, xp.float64), axis=1)
    total = xp.sum(xp.where(keep, xp.astype(size, xp.float64), 0.0), axis=1)
    scale = total / xp.where(count > 0, count, xp.ones_like(count))
    q = xp.astype(keep, xp.int64) * xp.astype(xp.sign(table), xp.int64)
    return unrows(q, w.shape, axis), xp.astype(scale, w.dtype)


def _least_kept(size):
    """In each row the least |w| that the exact optimum keeps: the k with the largest (sum of k)² / k."""
    xp = array_namespace(size)
    largest = xp.sort(size, axis=1, descending=True)
    total = xp.cumulative_sum(xp.astype(largest, xp.float64), axis=1)
    k = xp.arange(1, size.shape[1] + 1, dtype=xp.float64, device=xp.asarray(total).device)
    best = xp.argmax(total**2 / k, axis=1)  # (channels,)
    return xp.take_along_axis(largest, best[:, None], axis=1)[:, 0]


def ternary_threshold(w, *, axis=None):
    """The threshold of ternary weight networks: 0.7 times the mean of |w| (Li et al. 2016, version 2).

    The optimum is 2/3 of the mean for uniform weights and 0.77 of it for Gaussian ones, hence 0.7.

    Returns
    -------
    threshold : floating array (channels,)

    Examples
    --------
    >>> import numpy as np
    >>> ternary_threshold(np.array([3.0, -1.0, 0.0, -4.0])).round(6)
    array([1.4])
    """
    xp = array_namespace(w)
    mean = xp.mean(xp.abs(xp.astype(rows(w, axis), xp.float64)), axis=1)
    return xp.astype(0.7 * mean, w.dtype)
