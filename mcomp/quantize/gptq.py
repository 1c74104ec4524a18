"""Rounding with compensation (GPTQ): each input's weights go to the grid, the inputs behind it make up.

The surgeon's step of `mcomp.prune.sweep` with "round" in the place of "remove". Frantar, Ashkboos, Hoefler
and Alistarh 2022, arXiv:2210.17323: eq. 1 is the problem, eq. 2 and 3 the step, algorithm 1 the whole.
"""

from mcomp.arrays import array_namespace, bad_value, constant, device, size
from mcomp.prune.sweep import check_layer, inverse_factor, sweep
from mcomp.quantize.cells import cells, one_each, uncells

__all__ = ["by_curvature", "gptq", "spread"]


def gptq(w, hessian, grid, *, order=None, damping=0.01, block=128):
    """The integers of `grid` whose layer answers nearest to that of `w`, found greedily, input by input.

    ``min ½ Σ_rows (v - w)ᵀH(v - w)`` over the points v of the grid, where ``H = XᵀX/n`` is `layer_hessians`:
    half the mean squared error of the outputs (eq. 1). Where the inputs aren't correlated, H is diagonal,
    nothing can make up for anything, and this is rounding to the nearest.

    Parameters
    ----------
    w : real floating array (out, n)
    hessian : real floating array (n, n), symmetric
    grid : mcomp.quantize.Grid
        Fitted to `w` before (the groups are "static"): a scale belongs to its input, whatever the order.
    order : integer array (n,), optional
        A permutation: which input is rounded first. `by_curvature(hessian)` is the "act-order".
    damping : float of at least 0, see `inverse_factor`
    block : int, of no influence on the result but for rounding

    Returns
    -------
    q : int64 array (out, n)
        ``dequantize(q, grid)`` are the weights.
    rise : float64 array (out,)
        ``½(v - w)ᵀH(v - w)`` of each row, with the damping in H.

    Raises
    ------
    ValueError
        If the shapes don't fit, `order` is no permutation, something isn't finite, or H with its damping
        isn't positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from mcomp.quantize.grids import Grid
    >>> w, hessian, grid = np.array([[0.4, 0.3]]), np.array([[2.0, 1.0], [1.0, 1.0]]), Grid(1.0, 0, -1, 1)
    >>> gptq(w, hessian, grid, damping=0)[0]  # to the nearest: 0 and 0, which is further off
    array([[0, 1]])
    """
    xp = check_layer(w, hessian)
    w, hessian = constant(w), constant(hessian)
    order = xp.arange(w.shape[1], device=device(w)) if order is None else _permutation(order, w.shape[1])
    scale, zero = (xp.take(p, order, axis=1).T for p in spread(w, grid))  # (n, out), in the order of rounding

    def nearest(j, columns):
        q = xp.clip(xp.round(columns[j, :] * (1 / scale[j, :])) + zero[j, :], grid.qmin, grid.qmax)
        return scale[j, :] * (q - zero[j, :])

    permuted = xp.take(xp.take(hessian, order, axis=0), order, axis=1)
    factor = inverse_factor(permuted, damping=damping)
    v, rise = sweep(xp.take(w, order, axis=1), factor, nearest, block=block)
    q = xp.astype(xp.round(v / scale.T) + zero.T, xp.int64)  # (out, n), in the order of rounding
    return xp.take(q, xp.argsort(order), axis=1), rise


def by_curvature(hessian):
    """The inputs by falling ``H_jj``, ties by their place: the largest are rounded while many can make up.

    Examples
    --------
    >>> import numpy as np
    >>> by_curvature(np.diag([1.0, 3.0, 2.0]))
    array([1, 2, 0])
    """
    xp = array_namespace(hessian)
    return xp.argsort(xp.linalg.diagonal(hessian), descending=True, stable=True)


def spread(x, grid):
    """The scale and the zero point of each entry of `x`, as two float64 arrays of its shape.

    Examples
    --------
    >>> import numpy as np
    >>> from mcomp.quantize.grids import choose_grid
    >>> x = np.array([[1.0, 0.0, 2.0, 3.0]])
    >>> spread(x, choose_grid(x, 2, axis=0, group=2))[0]
    array([[1., 1., 3., 3.]])
    """
    xp = array_namespace(x)
    layout = {"axis": grid.axis, "group": grid.group}
    whole = xp.zeros_like(cells(xp.astype(x, xp.float64), **layout))
    found = []
    for p in (grid.scale, grid.zero_point):
        p = xp.astype(p, xp.float64) if hasattr(p, "dtype") else float(p)
        found.append(uncells(whole + one_each(p, x, **layout), x.shape, **layout))
    return found


def _permutation(order, n):
    xp = array_namespace(order)
    if not xp.isdtype(order.dtype, "integral") or tuple(order.shape) != (n,):
        raise bad_value("order", f"{order.dtype} of shape {tuple(order.shape)}", f"integers of shape {(n,)}")
    if size(order) and not bool(xp.all(xp.sort(order) == xp.arange(n, device=device(order)))):
        raise bad_value("order", order, f"each of 0 to {n - 1} once")
    return order
