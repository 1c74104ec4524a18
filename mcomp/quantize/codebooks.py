"""Codebooks: the k values that a tensor may take, and which entry takes which.

The projection onto k values is k-means in one dimension. There the best clusters are runs of the sorted
values, so dynamic programming finds the optimum: Grønlund et al. 2017, arXiv:1701.07204. Weight sharing in
networks: Han et al. 2016, arXiv:1510.00149, eq. 2.
"""

import numpy as np

from mcomp.arrays import (
    array_namespace,
    bad_value,
    check_finite,
    check_int,
    constant,
    from_host,
    host_array,
    in_host_memory,
    scatter_sum,
    size,
)
from mcomp.quantize.runs import run_means, sorted_masses

MAX_VALUES = 4096  # k at most, for the time and memory of the exact search
FEW = 64  # up to so many values, comparing with each in turn is quicker than a binary search
PIECE = 2**15  # entries at a time: they stay in the processor's cache from border to border


def kmeans_1d(x, k, *, weights=None):
    """The `k` values nearest to `x` in the least squares sense, and which of them each entry takes.

    Minimises sum(weights * (x - centroids[assignments])**2). Where `k` times the number of distinct values
    is at most 2**18 the result is the global optimum up to rounding; else Lloyd's iteration on the sorted
    values, from the optimum of a histogram until no entry moves (or 1,000 steps), done twice with better
    bins. Deterministic. Runs in numpy: a torch tensor must be in CPU memory.

    Parameters
    ----------
    x : floating array, any shape
        Finite.
    k : int
        1 to 4,096; from about 1,000 it takes seconds.
    weights : real array of the shape of `x`, optional
        How much each entry counts: finite, not negative, not all zero.

    Returns
    -------
    centroids : floating array (at most k,)
        Strictly ascending, dtype of `x`. Fewer than `k` only if the entries that count have fewer distinct
        values (then these are the centroids), or if Lloyd leaves a cluster without entries.
    assignments : int64 array of the shape of `x`
        ``assign(x, centroids)``.

    Raises
    ------
    ValueError
        If an argument is out of range, not finite or empty, shapes differ, or `x` is on another device.

    Examples
    --------
    >>> import numpy as np
    >>> kmeans_1d(np.array([1.0, 9.0, 2.0, 10.0]), 2)
    (array([1.5, 9.5]), array([0, 1, 0, 1]))
    """
    check_values("x", x)
    k = check_int("k", k, 1, MAX_VALUES)
    check_weights(weights, x)
    flat = host_array("x", x).reshape(-1)
    values, mass = sorted_masses(
        flat, None if weights is None else host_array("weights", weights).reshape(-1)
    )
    centroids = values if k >= len(values) else run_means(values, mass, k)
    centroids = array_namespace(x).astype(from_host(centroids, x), x.dtype)
    return centroids, assign(x, centroids)


def assign(x, centroids):
    """For each entry of `x` the index of the nearest centroid; at a midpoint the lower index.

    Parameters
    ----------
    x : floating array, any shape
        Finite.
    centroids : floating array (k,)
        Finite, ascending. Midpoints are rounded to the precision of `x` and `centroids`.

    Returns
    -------
    assignments : int64 array of the shape of `x`

    Raises
    ------
    ValueError
        If an array is empty or not finite, or `centroids` is not one ascending row.

    Examples
    --------
    >>> import numpy as np
    >>> assign(np.array([[-5.0, 1.0], [1.1, 9.0]]), np.array([0.0, 2.0]))
    array([[0, 0],
           [1, 1]])
    """
    xp = array_namespace(x, centroids)
    check_values("x", x)
    check_values("centroids", centroids)
    if centroids.ndim == 1 and size(centroids) <= FEW and _numpy_knows(x, centroids):  # in numpy throughout
        found = _assign_few(host_array("x", x), host_array("centroids", centroids))
        return from_host(found, x)
    check_ascending(xp, centroids)
    dtype = xp.result_type(x, centroids)
    flat = constant(xp.astype(xp.reshape(x, (-1,)), dtype, copy=False))
    middle = _midpoints(xp, constant(xp.astype(centroids, dtype)))
    index = xp.astype(xp.searchsorted(middle, flat), xp.int64, copy=False)
    return xp.reshape(index, x.shape)


def centroid_means(x, assignments, *, k, weights=None):
    """The mean of each of the `k` clusters, weighted: the best centroids for given assignments.

    Sums run in float64; the result has the dtype of `x`. Under torch, gradients flow to `x` and `weights`.

    Raises
    ------
    ValueError
        If shapes differ, an assignment lies outside [0, k), or a cluster is empty or has no weight.

    Examples
    --------
    >>> import numpy as np
    >>> centroid_means(np.array([1.0, 2.0, 9.0]), np.array([0, 0, 1]), k=2)
    array([1.5, 9. ])
    """
    xp = array_namespace(x, assignments)
    check_values("x", x)
    _check_assignments(assignments, x, check_int("k", k, 1))
    check_weights(weights, x)
    w = xp.astype(xp.ones_like(x) if weights is None else weights, xp.float64)
    mass = scatter_sum(w, assignments, n=k)
    if not bool(xp.all(mass > 0)):
        raise bad_value("the weight of a cluster", float(xp.min(mass)), "above 0")
    return xp.astype(scatter_sum(w * xp.astype(x, xp.float64), assignments, n=k) / mass, x.dtype)


def within_ss(x, centroids, *, assignments=None, weights=None):
    """sum(weights * (x - centroids[assignments])**2) in float64, a float; by default to the nearest centroid.

    Raises
    ------
    ValueError
        As `assign`; or if shapes differ, or an assignment is no index of a centroid.

    Examples
    --------
    >>> import numpy as np
    >>> within_ss(np.array([1.0, 2.0, 9.0]), np.array([1.5, 9.0]))
    0.5
    """
    xp = array_namespace(x, centroids)
    index = assign(x, centroids) if assignments is None else assignments
    _check_assignments(index, x, size(centroids))
    check_weights(weights, x)
    near = xp.reshape(xp.take(xp.astype(centroids, xp.float64), xp.reshape(index, (-1,))), x.shape)
    square = (xp.astype(x, xp.float64) - near) ** 2
    return float(xp.sum(square if weights is None else square * xp.astype(weights, xp.float64)))


def check_values(name, x):
    if not array_namespace(x).isdtype(x.dtype, "real floating"):
        raise bad_value(f"{name}.dtype", str(x.dtype), "a real floating dtype")
    check_finite(name, x)


def check_weights(weights, x):
    if weights is None:
        return
    if weights.shape != x.shape:
        raise bad_value("weights.shape", tuple(weights.shape), tuple(x.shape))
    xp = array_namespace(check_finite("weights", weights))
    low, high = float(xp.min(weights)), float(xp.max(weights))
    if low < 0 or high == 0:
        raise bad_value("weights from", (low, high), "0 or more, not all of them 0")


def _check_assignments(index, x, k):
    xp = array_namespace(index)
    if index.shape != x.shape:
        raise bad_value("assignments.shape", tuple(index.shape), tuple(x.shape))
    if not xp.isdtype(index.dtype, "integral"):
        raise bad_value("assignments.dtype", str(index.dtype), "an integer dtype")
    low, high = int(xp.min(index)), int(xp.max(index))
    if low < 0 or high >= k:
        raise bad_value("assignments from", (low, high), f"0 to {k - 1}")


def _numpy_knows(*arrays):
    return all(in_host_memory(x) and "bfloat16" not in str(x.dtype) for x in arrays)


def check_ascending(xp, centroids):
    if centroids.ndim != 1 or bool(xp.any(centroids[1:] < centroids[:-1])):
        raise bad_value("centroids", centroids, "one ascending row")


def _assign_few(x, centroids):
    """`assign` for numpy's arrays: a pass over `x` for each border."""
    check_ascending(np, centroids)
    dtype = np.result_type(x, centroids)
    middle, flat = _midpoints(np, centroids.astype(dtype)), x.reshape(-1).astype(dtype, copy=False)
    index = np.zeros(flat.size, np.uint8)
    for start in range(0, flat.size, PIECE):
        piece = slice(start, start + PIECE)
        for m in middle:
            index[piece] += flat[piece] > m
    return index.astype(np.int64).reshape(x.shape)


def _midpoints(xp, c):
    middle = c[:-1] / 2 + c[1:] / 2
    return xp.where(middle < c[1:], middle, c[:-1])  # rounded up to a centroid, it would cut that one off
