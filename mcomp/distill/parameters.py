"""What a student's weights may take from a teacher's: projections of a matrix, least squares behind them.

Derived in chapters/13_features_and_parameters.ipynb. Weights are (out, in). A student's layer sees the
features ``q.T @ h`` of the teacher's h and gives ``p @ y`` of its y; rows of `p` and columns of `q`
are orthonormal.
"""

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, constant, device
from mcomp.distill.checks import finite

__all__ = ["parameter_loss", "principal", "procrustes", "project", "refit", "selection"]


def selection(keep, n, *, like):
    """The matrix (n, k) that selects: ``h @ selection(keep, n)`` is ``h[..., keep]``. Orthonormal columns.

    Parameters
    ----------
    keep : sequence of different ints from 0 to n - 1
    n : int
    like : floating array, whose library, dtype and device the result has

    Examples
    --------
    >>> import numpy as np
    >>> selection([2, 0], 3, like=np.ones(1))
    array([[0., 1.],
           [0., 0.],
           [1., 0.]])
    """
    xp = array_namespace(like)
    keep = [place.item() if hasattr(place, "item") else place for place in keep]
    keep = [check_int("an entry of keep", place, 0, n - 1) for place in keep]
    if not keep or len(set(keep)) < len(keep):
        raise bad_value("keep", keep, "different integers, one or more")
    rows = xp.eye(n, dtype=like.dtype, device=device(like))
    return xp.stack([rows[place, :] for place in keep], axis=1)


def project(w, *, p=None, q=None):
    """``p @ w @ q``: the student's weight whose image in the teacher's spaces is the nearest to `w`.

    Among all W the smallest |p.T @ W @ q.T - w| (Frobenius) is that of ``W = p @ w @ q``.

    Parameters
    ----------
    w : floating array (out, in)
    p : floating array (k, out), orthonormal rows. Default: the identity.
    q : floating array (in, m), orthonormal columns. Default: the identity.

    Raises
    ------
    ValueError
        If a shape or a dtype doesn't fit, or rows or columns aren't orthonormal: a mean of two neurons is no
        projection.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> project(w, p=selection([0, 2], 3, like=w).T, q=selection([1], 2, like=w))
    array([[2.],
           [6.]])
    """
    _matrix("w", w)
    if p is not None:
        w = _orthonormal("p", p.T, w.shape[0], like=w).T @ w
    return w if q is None else w @ _orthonormal("q", q, w.shape[1], like=w)


def principal(gram, k):
    """The `k` directions in which features are largest: orthonormal columns (n, k), the largest first.

    Of all q with k orthonormal columns these keep most of h's squared length, E|q.T @ h|**2 (Eckart & Young
    1936).

    Parameters
    ----------
    gram : floating array (n, n), symmetric
        The mean of h h^T, as `mcomp.watch.input_grams` gives it.
    k : int from 1 to n

    Examples
    --------
    >>> import numpy as np
    >>> abs(principal(np.array([[2.0, 0.0], [0.0, 9.0]]), 1)).round(6)
    array([[0.],
           [1.]])
    """
    xp = _gram(gram)
    k = check_int("k", k, 1, gram.shape[0])
    return xp.flip(xp.linalg.eigh(gram)[1], axis=1)[:, :k]


def refit(w, gram, *, q):
    """The weight behind a layer that shrank: of all W the smallest E|W @ q.T @ h - w @ h|**2, (out, k).

    ``w @ gram @ q @ inverse(q.T @ gram @ q)``; a singular matrix gets its pseudo-inverse. With the
    columns of `principal` this is ``project(w, q=q)``; with a `selection` it isn't: what a lost neuron
    shared with those that stay, they say for it.

    Parameters
    ----------
    w : floating array (out, n)
    gram : floating array (n, n), symmetric: the mean of h h^T
    q : floating array (n, k), orthonormal columns

    Examples
    --------
    >>> import numpy as np
    >>> w, twins = np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])  # two neurons that say the same
    >>> refit(w, twins, q=selection([0], 2, like=w))
    array([[2.]])
    """
    xp = _gram(gram)
    _matrix("w", w)
    q = _orthonormal("q", q, gram.shape[0], like=gram)
    if w.shape[1] != gram.shape[0] or w.dtype != gram.dtype:
        raise bad_value("w", f"{w.dtype} {tuple(w.shape)}", f"{gram.dtype} (out, {gram.shape[0]})")
    return w @ gram @ q @ xp.linalg.pinv(q.T @ gram @ q)


def procrustes(a, b):
    """The turn from the space of `a` into that of `b`: q with orthonormal rows and the smallest |a @ q - b|.

    ``u @ vt`` of the singular vectors of ``a.T @ b`` (Schönemann 1966, doi:10.1007/BF02289451). Reflections
    are allowed, the space of `b` may have more dimensions.

    Parameters
    ----------
    a : floating array (n, k)
    b : floating array (n, m), m at least k

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> procrustes(a, a @ np.array([[0.0, 1.0], [-1.0, 0.0]])).round(6) + 0.0
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    _precise("a", a)
    _matrix("b", b)
    if a.shape[0] != b.shape[0] or a.shape[1] > b.shape[1] or a.dtype != b.dtype:
        allowed = f"{a.dtype} ({a.shape[0]}, {a.shape[1]} or more)"
        raise bad_value("b", f"{b.dtype} {tuple(b.shape)}", allowed)
    u, _, vt = array_namespace(a, b).linalg.svd(a.T @ b, full_matrices=False)
    return u @ vt


def parameter_loss(student, teacher, *, p=None, q=None):
    """Half the squared distance of a student's weight from what it would take: 1/2 |W_s - p @ W_t @ q|**2.

    Its gradient is ``W_s - project(W_t, p=p, q=q)``: one step of length 1 lands there. No gradient flows into
    the teacher. One flows into p and q where they are learned; `torch.nn.utils.parametrizations.orthogonal`
    keeps them orthonormal meanwhile.

    Parameters
    ----------
    student : floating array (k, m)
    teacher, p, q
        As the arguments of `project`.

    Examples
    --------
    >>> import numpy as np
    >>> float(parameter_loss(np.zeros((1, 2)), np.array([[3.0, 4.0]])))
    12.5
    """
    xp = array_namespace(student)
    target = project(constant(teacher), p=p, q=q)
    if student.shape != target.shape:
        raise bad_value("student.shape", tuple(student.shape), tuple(target.shape))
    return finite(xp.sum((student - target) ** 2) / 2)


def _matrix(name, x):
    if x.ndim != 2 or not array_namespace(x).isdtype(x.dtype, "real floating"):
        raise bad_value(name, f"{x.dtype} {tuple(x.shape)}", "a matrix of real floating numbers")
    return check_finite(name, x)


def _precise(name, x):
    """A matrix that can be decomposed: not of 16 bits."""
    if array_namespace(_matrix(name, x)).finfo(x.dtype).bits < 32:
        raise bad_value(f"{name}.dtype", str(x.dtype), "32 bits or more; convert it first")


def _gram(gram):
    _precise("gram", gram)
    if gram.shape[0] != gram.shape[1]:
        raise bad_value("gram.shape", tuple(gram.shape), "(n, n)")
    xp = array_namespace(gram)
    away = float(xp.max(xp.abs(gram - gram.T)))
    if away > 1e-4 * float(xp.max(xp.abs(gram))):  # float32 sums in another order are well below
        raise bad_value("the largest difference of gram and its transpose", away, "about 0: a mean of h h^T")
    return xp


def _orthonormal(name, q, n, *, like):
    """`q`, if it is (n, k) with orthonormal columns, to a tenth of the digits of its dtype."""
    if q.dtype != like.dtype:
        raise bad_value(f"{name}.dtype", str(q.dtype), f"that of the matrix, {like.dtype}")
    xp, fixed = array_namespace(q), _matrix(name, constant(q))
    if q.shape[0] != n or q.shape[1] > n:
        raise bad_value(
            f"{name}.shape", tuple(q.shape), f"{n} along the teacher's axis, no more the other way"
        )
    away = float(xp.max(xp.abs(fixed.T @ fixed - xp.eye(q.shape[1], dtype=q.dtype, device=device(q)))))
    if away > 100 * n * xp.finfo(q.dtype).eps:
        raise bad_value(
            f"the largest error of {name}'s scalar products", away, "0 but for rounding: orthonormal"
        )
    return q
