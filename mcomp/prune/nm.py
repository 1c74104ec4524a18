"""N:M sparsity: of every M weights in a row, N stay. What some hardware can skip, without a list of indices.

The groups are independent, so the best pattern of each gives the exact projection of the whole. Mishra et al.
2021, arXiv:2104.08378. Derived in chapters/04_removing_structure.ipynb.
"""

from itertools import combinations

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int

__all__ = ["nm_mask", "nm_patterns"]


def nm_mask(score, n, *, m, axis=1):
    """Keep exactly the `n` largest of every `m` neighbours along `axis`.

    Parameters
    ----------
    score : real array
        Larger is kept. Finite. For magnitude pruning ``abs(w)``.
    n : int
        0 to `m`.
    m : int
        At least 1; divides the length of the axis.
    axis : int
        Along which neighbours are counted; 1 is the inputs of a weight (out, in) or (out, in, kh, kw).

    Returns
    -------
    mask : bool array; shape, library and device of `score`
        In each group exactly `n` are True. Ties: the lower index stays.

    Raises
    ------
    ValueError
        If `n`, `m` or `axis` is out of range, `m` doesn't divide the axis, or `score` is empty, not real, or
        holds a NaN or an infinity.

    Examples
    --------
    >>> nm_mask(np.array([[4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 5.0, 5.0]]), 2, m=4)
    array([[ True, False,  True, False, False,  True,  True, False]])
    """
    xp = array_namespace(score)
    if not xp.isdtype(score.dtype, ("real floating", "integral")):
        raise bad_value("score.dtype", str(score.dtype), "a real floating or an integer dtype")
    check_finite("score", score)
    m = check_int("m", m, 1)
    n, axis = check_int("n", n, 0, m), check_int("axis", axis, -score.ndim, score.ndim - 1) % score.ndim
    size = score.shape[axis]
    if size % m:
        raise bad_value(f"the length of axis {axis}", size, f"a multiple of m, which is {m}")
    last = xp.moveaxis(score, axis, -1)  # (..., size)
    groups = xp.reshape(last, (*last.shape[:-1], size // m, m))  # (..., groups, m)
    order = xp.argsort(groups, axis=-1, descending=True, stable=True)
    rank = xp.argsort(order, axis=-1, stable=True)  # the inverse of the permutation: 0 is the largest
    return xp.moveaxis(xp.reshape(rank < n, last.shape), -1, axis)


def nm_patterns(n, m):
    """Every way to keep `n` of `m`: a bool array (patterns, m), in lexicographic order of what is kept.

    Examples
    --------
    >>> nm_patterns(2, 4).astype(int)
    array([[1, 1, 0, 0],
           [1, 0, 1, 0],
           [1, 0, 0, 1],
           [0, 1, 1, 0],
           [0, 1, 0, 1],
           [0, 0, 1, 1]])
    """
    m = check_int("m", m, 1, 16)
    n = check_int("n", n, 0, m)
    patterns = [np.isin(np.arange(m), kept) for kept in combinations(range(m), n)]
    return np.array(patterns)  # (patterns, m)
