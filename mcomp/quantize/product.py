"""Vectors share codebooks: k-means in d dimensions, and product quantization of a matrix.

Jégou et al. 2011 (doi:10.1109/TPAMI.2010.57), Gong et al. 2014 (arXiv:1412.6115, section 3.3), Stock et al.
2019 (arXiv:1907.05686). Seeding: Arthur and Vassilvitskii 2007. Runs in numpy, in CPU memory.
Derived in chapters/09b_vectors_and_bits_by_layer.ipynb.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, from_host, host_array

PIECE = 2**22  # distances at a time

__all__ = ["kmeans", "nearest_vector", "product_quantize"]


def kmeans(x, k, *, seed=0, steps=30):
    """`k` vectors near to the rows of `x`, and which of them each row takes: Lloyd from k-means++ seeds.

    A local minimum: in more than one dimension nobody knows a fast way to the global one. A centroid that
    loses its last row moves to the row that is worst off.

    Parameters
    ----------
    x : floating array (n, d)
        Finite.
    k : int
        1 to n.
    seed : int
        Of the seeding's random numbers.
    steps : int
        At most; the iteration ends where no row moves.

    Returns
    -------
    centroids : floating array (k, d)
        Dtype of `x`.
    index : int64 array (n,)
        ``nearest_vector(x, centroids)``.

    Examples
    --------
    >>> kmeans(np.array([[0.0, 0.0], [0.0, 2.0], [9.0, 9.0]]), 2)[0].round(1).tolist()
    [[9.0, 9.0], [0.0, 1.0]]
    """
    rows = _table("x", x).astype(np.float64)
    k, steps = check_int("k", k, 1, len(rows)), check_int("steps", steps, 0)
    centroids = _seeds(rows, k, np.random.default_rng(check_int("seed", seed, 0)))
    index = None
    for _ in range(steps):
        before, (index, distance) = index, _nearest(rows, centroids)
        if before is not None and np.array_equal(before, index):
            break
        centroids = _means(rows, index, distance, k)
    centroids = array_namespace(x).astype(from_host(centroids, x), x.dtype)
    return centroids, nearest_vector(x, centroids)


def nearest_vector(x, centroids):
    """For each row of `x` (n, d) the index of the nearest row of `centroids` (k, d): int64 (n,).

    Examples
    --------
    >>> nearest_vector(np.array([[0.0, 1.0], [5.0, 5.0]]), np.array([[4.0, 4.0], [0.0, 0.0]]))
    array([1, 0])
    """
    rows, values = _table("x", x), _table("centroids", centroids)
    if rows.shape[1] != values.shape[1]:
        raise bad_value("centroids.shape", values.shape, f"(k, {rows.shape[1]})")
    return from_host(_nearest(rows.astype(np.float64), values.astype(np.float64))[0], x)


def product_quantize(w, k, *, parts, seed=0, steps=30):
    """Cut the columns of a matrix in `parts` equal groups, and give each group `k` vectors of its own.

    Returns
    -------
    codebooks : floating array (parts, k, columns / parts)
    index : int64 array (rows, parts)
        Row i of `w` is nearly ``concatenate([codebooks[p, index[i, p]] for p in range(parts)])``.

    Examples
    --------
    >>> w = np.array([[0.0, 0.0, 5.0, 5.0], [0.0, 0.0, 1.0, 1.0], [3.0, 3.0, 1.0, 1.0]])
    >>> codebooks, index = product_quantize(w, 2, parts=2)
    >>> np.concatenate([codebooks[p, index[0, p]] for p in range(2)])
    array([0., 0., 5., 5.])
    """
    xp, table = array_namespace(w), _table("w", w)
    parts = check_int("parts", parts, 1, table.shape[1])
    if table.shape[1] % parts:
        raise bad_value("parts", parts, f"a divisor of the number of columns, {table.shape[1]}")
    d = table.shape[1] // parts
    groups = [kmeans(w[:, p * d : (p + 1) * d], k, seed=seed, steps=steps) for p in range(parts)]
    return xp.stack([c for c, _ in groups]), xp.stack([index for _, index in groups], axis=1)


def _table(name, x):
    if not array_namespace(x).isdtype(x.dtype, "real floating") or x.ndim != 2:
        raise bad_value(name, f"{x.dtype} of shape {tuple(x.shape)}", "a floating array (n, d)")
    return host_array(name, check_finite(name, x))


def _nearest(rows, centroids):
    """Index of the nearest centroid (the first of equals) and the squared distance to it."""
    index, distance = np.empty(len(rows), np.int64), np.empty(len(rows))
    square = (centroids**2).sum(1)
    step = max(1, PIECE // len(centroids))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        far = square - 2 * part @ centroids.T  # (step, k), less the row's own square
        best = far.argmin(1)
        index[start : start + step] = best
        distance[start : start + step] = far[np.arange(len(part)), best] + (part**2).sum(1)
    return index, np.maximum(distance, 0)


def _seeds(rows, k, rng):
    """k-means++: each next seed is a row drawn in proportion to its squared distance from those so far."""
    chosen = [int(rng.integers(len(rows)))]
    distance = ((rows - rows[chosen[0]]) ** 2).sum(1)
    while len(chosen) < k:
        if not distance.any():
            break
        chosen.append(int(np.searchsorted(np.cumsum(distance), rng.random() * distance.sum(), side="right")))
        chosen[-1] = min(chosen[-1], len(rows) - 1)
        distance = np.minimum(distance, ((rows - rows[chosen[-1]]) ** 2).sum(1))
    return rows[np.resize(chosen, k)]


def _means(rows, index, distance, k):
    """The mean of each cluster; an empty one gets one of the rows that are farthest from theirs."""
    count = np.bincount(index, minlength=k)
    total = np.stack([np.bincount(index, weights=column, minlength=k) for column in rows.T], axis=1)
    means = total / np.maximum(count, 1)[:, None]
    empty = np.flatnonzero(count == 0)
    means[empty] = rows[np.argsort(-distance, kind="stable")[: len(empty)]]
    return means
