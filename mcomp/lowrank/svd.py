"""The singular value decomposition, built twice: by rotations for exactness, by random projection for speed.

Both give ``a = u @ diag(s) @ vt`` with `s` falling, as `numpy.linalg.svd` does with ``full_matrices=False``.
Derived in chapters/10_low_rank.ipynb.
"""

import math

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, device

SWEEPS = 60  # of 12 or so that are needed; a limit that is reached means a fault
EPS = 2.0**-52


def jacobi_svd(a):
    """The thin SVD by one-sided Jacobi rotations, to the last digits of the dtype of `a`.

    Columns are rotated in pairs until all are orthogonal (Hestenes 1958, doi:10.1137/0106005). Disjoint pairs
    turn at once, in the order of a round-robin tournament (Brent and Luk 1985, doi:10.1137/0906007). All is
    computed in float64. For exactness; LAPACK is faster.

    Parameters
    ----------
    a : real floating array (m, n), finite

    Returns
    -------
    u : array (m, k), k = min(m, n), orthonormal columns, also where singular values are zero
    s : array (k,), falling, not negative
    vt : array (k, n), orthonormal rows
        Library, device and dtype of `a`.

    Raises
    ------
    ValueError
        If `a` is no matrix of real floating numbers, is empty, or holds a NaN or an infinity.

    Examples
    --------
    >>> u, s, vt = jacobi_svd(np.array([[3.0, 0.0], [4.0, 5.0]]))
    >>> (s**2).round(6)
    array([45.,  5.])
    """
    xp = check_matrix("a", a)
    if a.shape[0] < a.shape[1]:
        u, s, vt = jacobi_svd(a.T)
        return vt.T, s, u.T
    b = xp.astype(a, xp.float64)
    top = float(xp.max(xp.abs(b)))
    tall, b = xp.linalg.qr(b / (top or 1.0))  # scaled: no square overflows; b is small: (n, n)
    b, v = _orthogonal_columns(b)
    s = xp.sqrt(xp.sum(b * b, axis=0))
    order = xp.argsort(-s)
    s, v = xp.take(s, order, axis=0), xp.take(v, order, axis=1)
    q, r = xp.linalg.qr(xp.take(b, order, axis=1))  # orthogonal already: r is diagonal, q completes zeros
    q = xp.where(xp.linalg.diagonal(r) < 0, -q, q)
    return tuple(xp.astype(x, a.dtype) for x in (tall @ q, s * top, v.T))


def _orthogonal_columns(a):
    """(a @ v, v) with `v` orthogonal and the columns of ``a @ v`` orthogonal to each other."""
    xp, (m, n) = array_namespace(a), a.shape
    half = (n + 1) // 2
    stack = xp.concat([a, xp.eye(n, dtype=a.dtype, device=device(a))])  # (m + n, n): what turns a, turns v
    if n % 2:  # a column of zeros, with which nobody turns
        stack = xp.concat([stack, xp.zeros((m + n, 1), dtype=a.dtype, device=device(a))], axis=1)
    noise = (EPS * float(xp.linalg.matrix_norm(a))) ** 2 or 1.0  # shorter columns are rounding errors
    for _ in range(SWEEPS):
        left, right, cosine = stack[:, :half], stack[:, half:], 0.0
        for _ in range(2 * half - 1):  # then each has met each, and all are back in their places
            left, right, worst = _rotate(left, right, m, noise)
            left, right = _next_round(xp, left, right)
            cosine = max(cosine, worst)
        stack = xp.concat([left, right], axis=1)
        if cosine <= EPS * math.sqrt(m):  # a scalar product of m rounded numbers is no better than that
            return stack[:m, :n], stack[m:, :n]
    raise ArithmeticError(f"no convergence in {SWEEPS} sweeps: the largest cosine is still {cosine:.1e}")


def _rotate(left, right, m, noise):
    """Turn each column of `left` with that of `right` until their first `m` rows are orthogonal.

    Rutishauser 1966 (doi:10.1007/BF02165223): t is the tangent of the smaller of the two angles that do it,
    and what a small one adds is small, so that errors don't pile up. Also returns the largest cosine before.
    """
    xp = array_namespace(left)
    p, q = left[:m, :], right[:m, :]
    alpha, beta, gamma = xp.sum(p * p, axis=0), xp.sum(q * q, axis=0), xp.sum(p * q, axis=0)  # (half,)
    cosine = xp.abs(gamma) / (xp.sqrt(alpha * beta) + noise)
    turn = cosine > EPS
    zeta = (beta - alpha) / xp.where(turn, 2 * gamma, xp.ones_like(gamma))
    sign = xp.where(zeta < 0, -xp.ones_like(zeta), xp.ones_like(zeta))
    t = xp.where(turn, sign / (xp.abs(zeta) + xp.sqrt(1 + zeta * zeta)), xp.zeros_like(zeta))
    c = 1 / xp.sqrt(1 + t * t)
    sine, tau = c * t, c * t / (1 + c)
    return left - sine * (right + tau * left), right + sine * (left - tau * right), float(xp.max(cosine))


def _next_round(xp, left, right):
    """The next pairs of a round-robin tournament: the first column stays, the others move on by one chair."""
    if left.shape[1] == 1:
        return left, right
    moved_left = xp.concat([left[:, :1], right[:, :1], left[:, 1:-1]], axis=1)
    return moved_left, xp.concat([right[:, 1:], left[:, -1:]], axis=1)


def randomized_svd(a, rank, *, oversample=8, power=2, seed=0, start=None):
    """The leading `rank` singular triples by subspace iteration from a random start.

    Halko, Martinsson and Tropp 2009 (arXiv:0909.4061), algorithms 4.4 and 5.1. The error in the spectral norm
    is at most a small factor times the next singular value; each iteration brings that factor nearer to 1
    (their corollary 10.10). Where the spectrum falls slowly, take a larger `power`.

    Parameters
    ----------
    a : real floating array (m, n), finite
    rank : int
        1 to min(m, n).
    oversample : int
        Further columns that are carried along and dropped at the end.
    power : int
        Iterations: multiplications with ``a`` and ``a.T``, besides the first.
    seed : int
        Of the random start.
    start : array (n, any), optional
        Begin with the span of these columns instead, such as ``vt.T`` of a matrix near to `a`.

    Returns
    -------
    u, s, vt : arrays (m, rank), (rank,), (rank, n); library, device and dtype of `a`

    Raises
    ------
    ValueError
        If `a` is no finite real matrix, or an argument is out of range.

    Examples
    --------
    >>> a = np.outer(np.arange(1.0, 5.0), np.ones(9))
    >>> u, s, vt = randomized_svd(a, 1)
    >>> bool(np.allclose(s * u @ vt, a))
    True
    """
    xp = check_matrix("a", a)
    rank, power = check_int("rank", rank, 1, min(a.shape)), check_int("power", power, 0)
    columns = min(rank + check_int("oversample", oversample, 0), *a.shape)
    sketch = _random_columns(a, columns, check_int("seed", seed, 0)) if start is None else start
    if sketch.ndim != 2 or sketch.shape[0] != a.shape[1] or sketch.shape[1] < rank:
        raise bad_value("start.shape", tuple(sketch.shape), f"({a.shape[1]}, at least {rank})")
    q = xp.linalg.qr(a @ sketch)[0]  # (m, columns)
    for _ in range(power):
        q = xp.linalg.qr(a @ xp.linalg.qr((q.T @ a).T)[0])[0]  # a.T @ q, read row by row
    w, r = xp.linalg.qr((q.T @ a).T)  # a is nearly q @ r.T @ w.T
    u, s, vt = xp.linalg.svd(r.T, full_matrices=False)  # small: (columns, columns)
    return q @ u[:, :rank], s[:rank], vt[:rank, :] @ w.T


def _random_columns(a, columns, seed):
    noise = np.random.default_rng(seed).standard_normal((a.shape[1], columns), np.float32)
    xp = array_namespace(a)
    return xp.astype(xp.asarray(noise, device=device(a)), a.dtype)


def check_matrix(name, a):
    """The namespace of `a`, if it is a finite matrix of float32 or float64 with an entry at least."""
    xp = array_namespace(a)
    if a.ndim != 2:
        raise bad_value(f"{name}.shape", tuple(a.shape), "two dimensions")
    if a.dtype not in (xp.float32, xp.float64):  # LAPACK has no others
        raise bad_value(f"{name}.dtype", str(a.dtype), "float32 or float64")
    check_finite(name, a)
    return xp
