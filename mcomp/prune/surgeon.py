"""Optimal Brain Surgeon: the whole inverse Hessian says which weight to remove, and how the others make up.

Derived with a Lagrange multiplier in chapters/03_which_weights_matter.ipynb. Hassibi and Stork 1993,
NeurIPS 5. A linear layer's rows share the Hessian of their squared output error, which `probe.layer_hessians`
measures (Dong, Chen and Pan 2017, arXiv:1705.07565).
"""

from mcomp.arrays import array_namespace, bad_value, check_real, device, scatter
from mcomp.prune.scores import check_floating


def obs(w, inverse):
    """Order two with the whole Hessian, Optimal Brain Surgeon: ``w_i²/(2·[H⁻¹]_ii)``.

    Hassibi and Stork 1993, NeurIPS 5, eq. 5: how much the loss rises when weight i goes and all others
    move to make up for it (`obs_update`).

    Parameters
    ----------
    w : real floating array (..., n)
        A vector, or a layer (out, n) whose rows share one Hessian, as those of a linear layer do.
    inverse : array (n, n)
        The inverse Hessian, symmetric and positive definite; `damped_inverse`.

    Returns
    -------
    score : array like `w`

    Raises
    ------
    ValueError
        If an array is empty, not real floating or not finite, `inverse` is not (n, n), or an entry of its
        diagonal is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> obs(np.array([2.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]]))
    array([1. , 0.5])
    """
    _check_inverse(w, inverse)
    return w * w / (2 * array_namespace(w).linalg.diagonal(inverse))


def obs_update(w, inverse, *, keep):
    """The weights after Optimal Brain Surgeon: zero where `keep` is False, and the others moved.

    The least of ``(v - w)ᵀH(v - w)/2`` over all v that are zero outside `keep`, row by row. For one weight
    this is eq. 5 of Hassibi and Stork 1993; for a set Q, ``v = w - H⁻¹[:, Q] H⁻¹[Q, Q]⁻¹ w_Q``. A row that
    keeps fewer than it loses is solved from the other side, ``v_K = w_K + H[K, K]⁻¹ H[K, Q] w_Q``: the same
    point, and a system as small as what stays.

    Parameters
    ----------
    w : real floating array (..., n)
    inverse : array (n, n), symmetric and positive definite
    keep : bool array like `w`; True = keep

    Returns
    -------
    v : array like `w`

    Raises
    ------
    ValueError
        As for `obs`, or if `keep` isn't a boolean array of the shape of `w`.

    Examples
    --------
    >>> import numpy as np
    >>> inverse = np.array([[2.0, 0.5], [0.5, 1.0]])
    >>> obs_update(np.array([2.0, -1.0]), inverse, keep=np.array([True, False]))
    array([2.5, 0. ])
    """
    xp = _check_inverse(w, inverse)
    if keep.dtype != xp.bool or keep.shape != w.shape:
        raise bad_value("keep", f"{keep.dtype} of shape {tuple(keep.shape)}", f"bool of {tuple(w.shape)}")
    rows = xp.reshape(w, (-1, w.shape[-1]))  # (rows, n)
    masks = xp.reshape(keep, rows.shape)
    few = 2 * xp.count_nonzero(masks, axis=1) < w.shape[-1]  # (rows,): fewer stay than go
    hessian = xp.linalg.inv(inverse) if bool(xp.any(few)) else inverse
    moved = xp.stack([
        _only(rows[i, :], hessian, masks[i, :]) if few[i] else _without(rows[i, :], inverse, masks[i, :])
        for i in range(rows.shape[0])
    ])  # fmt: skip
    return xp.reshape(xp.where(masks, moved, xp.zeros_like(moved)), w.shape)


def _without(row, inverse, mask):
    """The row moved so that what the mask leaves out arrives at zero."""
    xp = array_namespace(row)
    (gone,) = xp.nonzero(~mask)
    if gone.shape[0] == 0:
        return row
    columns = xp.take(inverse, gone, axis=1)  # (n, gone)
    push = xp.linalg.solve(xp.take(columns, gone, axis=0), xp.take(row, gone)[:, None])  # (gone, 1)
    return row - (columns @ push)[:, 0]


def _only(row, hessian, mask):
    """The same point, from the equations of what stays."""
    xp = array_namespace(row)
    (kept,) = xp.nonzero(mask)
    if kept.shape[0] == 0:
        return xp.zeros_like(row)
    columns = xp.take(hessian, kept, axis=1)  # (n, kept)
    lost = columns.T @ xp.where(mask, xp.zeros_like(row), row)  # (kept,)
    push = xp.linalg.solve(xp.take(columns, kept, axis=0), lost[:, None])[:, 0]
    return scatter(xp.take(row, kept) + push, kept, n=row.shape[0])


def damped_inverse(hessian, *, damping=0.01):
    """``(H + damping·mean(diag H)·I)⁻¹``: an input that is always zero leaves H without an inverse.

    Parameters
    ----------
    hessian : real floating array (n, n), symmetric
    damping : float of at least 0, a fraction of the mean of the diagonal

    Raises
    ------
    ValueError
        If `hessian` isn't square, its diagonal has a mean that isn't positive, or `damping` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> damped_inverse(np.array([[3.0, 0.0], [0.0, 1.0]]), damping=0.5)
    array([[0.25, 0.  ],
           [0.  , 0.5 ]])
    """
    xp = check_floating("hessian", hessian)
    damping = check_real("damping", damping, 0)
    if hessian.ndim != 2 or hessian.shape[0] != hessian.shape[1]:
        raise bad_value("hessian.shape", tuple(hessian.shape), "(n, n)")
    mean = float(xp.mean(xp.linalg.diagonal(hessian)))
    if mean <= 0:
        raise bad_value("the mean of the diagonal of hessian", mean, "a positive number")
    eye = xp.eye(hessian.shape[0], dtype=hessian.dtype, device=device(hessian))
    return xp.linalg.inv(hessian + damping * mean * eye)


def _check_inverse(w, inverse):
    xp = check_floating("w", w)
    check_floating("inverse", inverse)
    n = w.shape[-1] if w.ndim else 1
    if w.ndim == 0 or tuple(inverse.shape) != (n, n):
        raise bad_value("inverse.shape", tuple(inverse.shape), f"{(n, n)} for w of shape {tuple(w.shape)}")
    least = float(xp.min(xp.linalg.diagonal(inverse)))
    if least <= 0:
        raise bad_value("the least diagonal entry of inverse", least, "a positive number")
    return xp
