"""Optimal Brain Surgeon column by column: project one input's weights, let the inputs behind it make up.

Removing (or rounding) one weight after the other needs the inverse Hessian of what is left, again after each
step. In a fixed order all of them are in one triangular factor. Let ``H⁻¹ = UᵀU`` with U upper triangular.
Then ``H = RRᵀ`` with ``R = U⁻¹``, upper too, so ``H[j:, j:] = R[j:, j:] R[j:, j:]ᵀ``, and the inverse of the
last rows and columns of a triangular matrix is that of the whole one there: ``H[j:, j:]⁻¹ = U[j:, j:]ᵀ
U[j:, j:]``. Its first row is ``U_jj·U[j, j:]``. So the surgeon's step (`obs_update`, for one weight)

    δ = -(w_j - v_j) / [H[j:, j:]⁻¹]_00 · H[j:, j:]⁻¹[0, :] = -(w_j - v_j) / U_jj · U[j, j:]

needs one row of U, and raises ``½(v - w)ᵀH(v - w)`` by ``½((w_j - v_j) / U_jj)²``. Frantar et al. 2022,
arXiv:2210.17323, section 3 (rounding); Frantar and Alistarh 2023, arXiv:2301.00774 (pruning).
"""

from mcomp.arrays import bad_value, check_int, check_real, device
from mcomp.prune.scores import check_floating

__all__ = ["check_layer", "inverse_factor", "sweep"]


def inverse_factor(hessian, *, damping=0.01):
    """U, upper triangular, with ``UᵀU = (H + damping·mean(diag H)·I)⁻¹``, in float64.

    No inverse is formed: with rows and columns in reverse order, ``H = LLᵀ`` becomes ``H = RRᵀ`` with R
    upper, and ``U = R⁻¹``.

    Parameters
    ----------
    hessian : real floating array (n, n), symmetric
    damping : float of at least 0, a fraction of the mean of the diagonal

    Returns
    -------
    factor : float64 array (n, n)

    Raises
    ------
    ValueError
        If `hessian` isn't square and finite, `damping` is out of range, or the sum isn't positive definite:
        inputs that are always zero, or fewer samples than inputs, need damping.

    Examples
    --------
    >>> import numpy as np
    >>> u = inverse_factor(np.array([[2.0, 1.0], [1.0, 1.0]]), damping=0)
    >>> (u.T @ u).round(12)
    array([[ 1., -1.],
           [-1.,  2.]])
    """
    xp = check_floating("hessian", hessian)
    damping = check_real("damping", damping, 0)
    if hessian.ndim != 2 or hessian.shape[0] != hessian.shape[1]:
        raise bad_value("hessian.shape", tuple(hessian.shape), "(n, n)")
    wide = xp.astype(hessian, xp.float64)
    eye = xp.eye(wide.shape[0], dtype=xp.float64, device=device(hessian))
    wide = wide + damping * float(xp.mean(xp.linalg.diagonal(wide))) * eye
    try:
        lower = xp.linalg.cholesky(xp.flip(wide, axis=(0, 1)))
    except Exception as error:  # each library has a LinAlgError of its own
        allowed = "positive definite; more damping, or more samples than inputs"
        raise bad_value("hessian", f"of shape {tuple(hessian.shape)}, {error}", allowed) from None
    return xp.flip(xp.linalg.solve(lower, eye), axis=(0, 1))


def sweep(w, factor, project, *, block=128):
    """Go through the inputs of `w` in order; each is projected, those behind it move to make up for it.

    Parameters
    ----------
    w : real floating array (out, n)
    factor : float64 array (n, n)
        `inverse_factor` of the Hessian that the rows of `w` share.
    project : callable
        ``project(j, columns) -> (out,)``, what the weights of input j become. `columns`, (n, out), are all as
        moved so far: row j is up to date, and so are the rows up to the next multiple of `block`.
    block : int
        The inputs behind a block are moved once, by a product of matrices: the same sums, faster.

    Returns
    -------
    v : float64 array (out, n)
    rise : float64 array (out,)
        ``½(v - w)ᵀH(v - w)`` of each row, with the damping in H: the sum of what each step cost.

    Raises
    ------
    ValueError
        If `w` isn't finite and (out, n), `factor` doesn't fit, or `block` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> u = inverse_factor(np.array([[2.0, 1.0], [1.0, 1.0]]), damping=0)
    >>> v, rise = sweep(np.array([[0.4, 0.3]]), u, lambda j, columns: np.round(columns[j]))
    >>> v, rise.round(3)  # 0.4 goes, so 0.3 moves to 0.7, which becomes 1
    (array([[0., 1.]]), array([0.125]))
    """
    xp = check_layer(w, factor, name="factor")
    n, block = w.shape[1], check_int("block", block, 1)
    flat = xp.reshape(xp.astype(w.T, xp.float64), (-1,))  # an input's weights side by side in memory
    rest = xp.asarray(xp.reshape(flat, (n, w.shape[0])), copy=True)  # (n, out)
    rise = xp.zeros(w.shape[0], dtype=xp.float64, device=device(w))
    for start in range(0, n, block):
        stop = min(start + block, n)
        errors = []
        for j in range(start, stop):
            new = xp.astype(project(j, rest), xp.float64)
            error = (rest[j, :] - new) / factor[j, j]
            rest[j, :] = new
            rest[j + 1 : stop, :] -= factor[j, j + 1 : stop][:, None] * error[None, :]
            rise = rise + error * error / 2
            errors.append(error)
        rest[stop:, :] -= factor[start:stop, stop:].T @ xp.stack(errors)
    return rest.T, rise


def check_layer(w, matrix, *, name="hessian"):
    """The namespace of `w`; ValueError unless it is finite and (out, n), and the `matrix` (n, n)."""
    xp = check_floating("w", w)
    if w.ndim != 2:
        raise bad_value("w.shape", tuple(w.shape), "(out, n)")
    if tuple(matrix.shape) != (w.shape[1],) * 2:
        raise bad_value(f"{name}.shape", tuple(matrix.shape), f"{(w.shape[1],) * 2}, the inputs of w")
    return xp
