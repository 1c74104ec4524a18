"""The projections: the nearest matrix of a rank, the nearest as the inputs see it, and a few entries on top.

All by the singular value decomposition of the array's own library, after mcomp/lowrank/svd.py has shown how
one is made. Derived in chapters/10_low_rank.ipynb.
"""

from mcomp.arrays import array_namespace, bad_value, check_int, check_real, constant, device, size
from mcomp.lowrank.svd import check_matrix
from mcomp.prune.masks import topk_mask


def low_rank(w, rank):
    """Two factors whose product ``up @ down`` is the nearest matrix to `w` of at most `rank`.

    Nearest in the Frobenius norm and every other that rotations leave alone: the theorem of Eckart and Young
    (1936, doi:10.1007/BF02288367), Mirsky (1960, doi:10.1093/qmath/11.1.50). Each factor gets the root of
    the singular values, so neither is much larger than the other.

    Parameters
    ----------
    w : real floating array (out, in), finite
    rank : int
        1 to min(out, in).

    Returns
    -------
    up, down : arrays (out, rank), (rank, in); library, device and dtype of `w`

    Raises
    ------
    ValueError
        If `w` is no finite real matrix or `rank` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> up, down = low_rank(np.array([[2.0, 0.0], [0.0, 1.0]]), 1)
    >>> abs((up @ down).round(6))
    array([[2., 0.],
           [0., 0.]])
    """
    xp = check_matrix("w", w)
    rank = check_int("rank", rank, 1, min(w.shape))
    u, s, vt = xp.linalg.svd(w, full_matrices=False)
    root = xp.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * vt[:rank, :]


def gram(x):
    """The mean of x xᵀ over the rows of `x` (samples, in): what `whitened_low_rank` must know of the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> gram(np.array([[1.0, 2.0], [1.0, 0.0]]))
    array([[1., 1.],
           [1., 2.]])
    """
    xp = check_matrix("x", x)
    x = xp.astype(x, xp.float64)
    return x.T @ x / x.shape[0]


def whitened_low_rank(w, rank, *, gram, damp=1e-4):
    """Two factors of at most `rank` whose outputs lie nearest to those of `w`, summed over the inputs.

    Minimises ‖(w − up @ down) xᵀ‖ for the inputs x (samples, in) whose `gram` is given. With the Cholesky
    factor, gram = l lᵀ, that is ‖(w − up @ down) l‖: the plain problem for ``w @ l``. In Chen et al. 2021
    (DRONE, NeurIPS) and, with the Cholesky factor, Wang et al. 2024 (arXiv:2403.07378).

    Parameters
    ----------
    w : real floating array (out, in), finite
    rank : int
        1 to min(out, in).
    gram : real array (in, in), as `gram` gives it
    damp : float
        This part of the mean of its diagonal is added to the diagonal: an input that is always zero would
        make the factor singular, and its weights any. 0 for the exact problem.

    Returns
    -------
    up, down : arrays (out, rank), (rank, in); library, device and dtype of `w`

    Raises
    ------
    ValueError
        If an argument is out of range, or `gram` is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> w, inputs = np.diag([2.0, 1.0]), np.diag([0.01, 1.0])  # the first input is hardly ever there
    >>> up, down = whitened_low_rank(w, 1, gram=inputs, damp=0.0)
    >>> abs((up @ down).round(6))
    array([[0., 0.],
           [0., 1.]])
    """
    xp = check_matrix("w", w)
    factor = whitener(gram, w.shape[1], damp=damp)
    rank = check_int("rank", rank, 1, min(w.shape))
    u, s, vt = xp.linalg.svd(xp.astype(w, xp.float64) @ factor, full_matrices=False)
    down = xp.linalg.solve(factor.T, vt[:rank, :].T).T  # vt @ inverse(factor)
    root = xp.sqrt(xp.linalg.vector_norm(down, axis=1) / xp.where(s[:rank] > 0, s[:rank], 1.0))
    root = xp.where(root > 0, root, xp.ones_like(root))  # now both factors have equally long vectors
    return xp.astype(u[:, :rank] * (s[:rank] * root), w.dtype), xp.astype(down / root[:, None], w.dtype)


def whitener(gram, n, *, damp=1e-4):
    """The Cholesky factor l of a `gram` (n, n): l lᵀ is the gram, with `damp` as in `whitened_low_rank`.

    Examples
    --------
    >>> import numpy as np
    >>> whitener(np.array([[4.0, 0.0], [0.0, 9.0]]), 2, damp=0.0)
    array([[2., 0.],
           [0., 3.]])
    """
    xp = check_matrix("gram", gram)
    if tuple(gram.shape) != (n, n):
        raise bad_value("gram.shape", tuple(gram.shape), f"({n}, {n}), as many as w has columns")
    gram = xp.astype(gram, xp.float64)
    added = check_real("damp", damp, 0.0) * float(xp.sum(xp.linalg.diagonal(gram))) / n
    try:
        return xp.linalg.cholesky(gram + added * xp.eye(n, dtype=gram.dtype, device=device(gram)))
    except (ValueError, RuntimeError):  # the LinAlgError of numpy is the one, that of torch the other
        allowed = "x.T @ x of inputs x, and more damp"
        raise bad_value("gram", f"not positive definite with damp {damp}", allowed) from None


def low_rank_plus_sparse(w, rank, *, k, sweeps=20):
    """A matrix of at most `rank` and one of at most `k` non-zeros whose sum lies near to `w`.

    Each in turn is projected onto what the other leaves, so the error never rises (Zhou and Tao 2011, GoDec,
    ICML). The set of such sums isn't convex: the end is a local minimum, and depends on the start, which is
    the `k` largest entries of `w`.

    Parameters
    ----------
    w : real floating array (out, in), finite
    rank : int
        1 to min(out, in).
    k : int
        0 to the size of `w`.
    sweeps : int
        How often each is projected, at least 1.

    Returns
    -------
    up, down : arrays (out, rank), (rank, in)
    sparse : array (out, in) with at most `k` non-zeros

    Raises
    ------
    ValueError
        If `w` is no finite real matrix or an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones((4, 4))
    >>> w[1, 2] = 9.0
    >>> up, down, sparse = low_rank_plus_sparse(w, 1, k=1)
    >>> bool(abs(up @ down + sparse - w).max() < 1e-3), float(sparse[1, 2].round(2))
    (True, 8.0)
    """
    check_matrix("w", w)
    k, rest = check_int("k", k, 0, size(w)), w
    for _ in range(check_int("sweeps", sweeps, 1)):
        up, down = low_rank(w - _largest(rest, k), rank)
        rest = w - up @ down
    return up, down, _largest(rest, k)


def _largest(w, k):
    xp = array_namespace(w)
    return xp.where(topk_mask(xp.abs(constant(w)), k), w, xp.zeros_like(w))
