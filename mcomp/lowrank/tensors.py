"""Tensors of low rank: Tucker-2 of a convolution by HOSVD and HOOI, CP by alternating least squares.

Derived in chapters/10_low_rank.ipynb. Unfoldings and products as in Kolda and Bader 2009
(doi:10.1137/07070111X).
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, check_real, device

TOLERANCE = 1e-5  # of the squared length: what a sweep must gain for another one to follow


def unfold(t, axis):
    """The tensor as a matrix: a row for each index of `axis`, the other axes in order along the columns.

    Examples
    --------
    >>> unfold(np.arange(6).reshape(1, 2, 3), 2)
    array([[0, 3],
           [1, 4],
           [2, 5]])
    """
    xp, axis = array_namespace(t), check_int("axis", axis, 0, t.ndim - 1)
    return xp.reshape(xp.moveaxis(t, axis, 0), (t.shape[axis], -1))


def mode_product(t, matrix, *, axis):
    """The tensor with every vector along `axis` multiplied by `matrix` (new, old).

    Examples
    --------
    >>> mode_product(np.ones((2, 3)), np.array([[1.0, 10.0]]), axis=0)
    array([[11., 11., 11.]])
    """
    xp, axis = array_namespace(t), check_int("axis", axis, 0, t.ndim - 1)
    if matrix.ndim != 2 or matrix.shape[1] != t.shape[axis]:
        raise bad_value("matrix.shape", tuple(matrix.shape), f"(any, {t.shape[axis]})")
    return xp.moveaxis(xp.tensordot(matrix, t, axes=((1,), (axis,))), 0, axis)


def tucker2(w, ranks, *, sweeps=10):
    """A convolution's weight as three factors: w ≈ up · core · down over its first two axes.

    HOSVD (De Lathauwer et al. 2000, doi:10.1137/S0895479896305696) takes for each axis the leading singular
    vectors of the unfolding; HOOI (doi:10.1137/S0895479898346995) then improves one with the other fixed, so
    the error never rises. Tucker-2 for convolutions: Kim et al. 2016 (arXiv:1511.06530), section 3.

    Parameters
    ----------
    w : real floating array (out, in, ...), finite
    ranks : pair of int
        (rank_out, rank_in), 1 to `out` and 1 to `in`.
    sweeps : int
        Of HOOI at most; 0 for HOSVD. It ends when one gains less than 1e-5 of the squared length.

    Returns
    -------
    up : array (out, rank_out), orthonormal columns
    core : array (rank_out, rank_in, ...)
    down : array (rank_in, in), orthonormal rows
        ``w ≈ mode_product(mode_product(core, up, axis=0), down.T, axis=1)``.

    Raises
    ------
    ValueError
        If `w` has less than two axes, isn't real and finite, or an argument is out of range.

    Examples
    --------
    >>> w = np.ones((4, 3, 2, 2))
    >>> up, core, down = tucker2(w, (1, 1))
    >>> core.shape, bool(np.allclose(mode_product(mode_product(core, up, axis=0), down.T, axis=1), w))
    ((1, 1, 2, 2), True)
    """
    xp, (rank_out, rank_in) = _check_tensor(w), _check_ranks(w, ranks)
    t = xp.astype(w, xp.float64)
    total = float(xp.sum(t * t))
    up, down, kept = _leading(t, rank_out, 0), _leading(t, rank_in, 1), -1.0
    for _ in range(check_int("sweeps", sweeps, 0)):
        up = _leading(mode_product(t, down.T, axis=1), rank_out, 0)
        part = mode_product(t, up.T, axis=0)  # (rank_out, in, ...)
        down = _leading(part, rank_in, 1)
        before, kept = kept, float(xp.sum(mode_product(part, down.T, axis=1) ** 2))
        if kept - before <= TOLERANCE * total:
            break
    core = mode_product(mode_product(t, up.T, axis=0), down.T, axis=1)
    return tuple(xp.astype(x, w.dtype) for x in (up, core, down.T))


def _leading(t, rank, axis):
    """The `rank` leading left singular vectors of an unfolding: eigenvectors of its (small) Gram matrix."""
    xp = array_namespace(t)
    flat = unfold(t, axis)
    return xp.flip(xp.linalg.eigh(flat @ flat.T)[1], axis=1)[:, :rank]


def cp_als(t, rank, *, sweeps=100, seed=0, tolerance=1e-8):
    """A tensor as a sum of `rank` products of vectors, by alternating least squares.

    Each factor in turn is the exact least-squares answer to the others (Kolda and Bader 2009, section 3.4),
    so the error never rises. It may fall for ever: a best approximation need not exist (de Silva and Lim
    2008, arXiv:math/0607647), and then the vectors grow without limit and cancel each other.

    Parameters
    ----------
    t : real floating array of at least two axes, finite
    rank : int, at least 1
    sweeps : int, at least 1
    seed : int
        Of the random start.
    tolerance : float
        It ends when a sweep gains less than this part of the squared length.

    Returns
    -------
    factors : list of array (length of the axis, rank), one an axis; dtype float64
        All but the last have columns of length 1.
    errors : list of float
        The relative error ‖t − approximation‖ / ‖t‖ after each sweep.

    Raises
    ------
    ValueError
        If `t` isn't real and finite, is zero, or an argument is out of range.

    Examples
    --------
    >>> factors, errors = cp_als(np.ones((2, 3, 4)), 1)
    >>> [f.shape for f in factors], errors[-1] < 1e-6
    ([(2, 1), (3, 1), (4, 1)], True)
    """
    xp, rank = _check_tensor(t), check_int("rank", rank, 1)
    tolerance = check_real("tolerance", tolerance, 0.0)
    t = xp.astype(t, xp.float64)
    rng = np.random.default_rng(check_int("seed", seed, 0))
    factors = [xp.asarray(rng.standard_normal((n, rank)), device=device(t)) for n in t.shape]
    total, errors = float(xp.sum(t * t)), []
    if total == 0:
        raise bad_value("t", "only zeros", "a tensor with an entry that isn't zero")
    for _ in range(check_int("sweeps", sweeps, 1)):
        for axis in range(t.ndim):
            others = khatri_rao([f for i, f in enumerate(factors) if i != axis])
            factors[axis] = unfold(t, axis) @ others @ _pseudo_inverse(others)
            if axis < t.ndim - 1:
                lengths = xp.linalg.vector_norm(factors[axis], axis=0)
                factors[axis] = factors[axis] / xp.where(lengths > 0, lengths, xp.ones_like(lengths))
        rest = unfold(t, axis) - factors[axis] @ others.T
        errors.append((float(xp.sum(rest * rest)) / total) ** 0.5)
        if len(errors) > 1 and errors[-2] ** 2 - errors[-1] ** 2 <= tolerance:
            break
    return factors, errors


def cp_tensor(factors):
    """The tensor that CP `factors` describe: the sum over the columns of their outer products.

    Examples
    --------
    >>> cp_tensor([np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])])
    array([[3., 4.],
           [6., 8.]])
    """
    xp = array_namespace(*factors)
    shape = tuple(f.shape[0] for f in factors)
    return xp.reshape(factors[0] @ khatri_rao(factors[1:]).T, shape)


def khatri_rao(factors):
    """The Khatri-Rao product: its row (i, j, ...) is row i of the first times row j of the next times ...

    Examples
    --------
    >>> khatri_rao([np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])]).T
    array([[3., 4., 6., 8.]])
    """
    xp, product = array_namespace(*factors), factors[0]
    for f in factors[1:]:
        product = xp.reshape(product[:, None, :] * f[None, :, :], (-1, f.shape[1]))
    return product


def _pseudo_inverse(a):
    """The pseudo-inverse of aᵀa, which also exists where columns of `a` are parallel."""
    return array_namespace(a).linalg.pinv(a.T @ a)


def _check_tensor(t):
    xp = array_namespace(t)
    if t.ndim < 2:
        raise bad_value("the shape of the tensor", tuple(t.shape), "at least two axes")
    if not xp.isdtype(t.dtype, "real floating"):
        raise bad_value("the dtype of the tensor", str(t.dtype), "a real floating dtype")
    check_finite("the tensor", t)
    return xp


def _check_ranks(w, ranks):
    if not isinstance(ranks, (tuple, list)) or len(ranks) != 2:
        raise bad_value("ranks", ranks, "a pair (rank_out, rank_in)")
    return tuple(check_int(f"ranks[{i}]", rank, 1, w.shape[i]) for i, rank in enumerate(ranks))
