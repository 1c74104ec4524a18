"""A grid for numbers: x ~ scale * (q - zero_point) with integers q from qmin to qmax.

Rounding to the nearest grid point is the exact L2 projection onto the grid. Derived in
chapters/06_a_grid_for_numbers.ipynb. Jacob et al. 2018, arXiv:1712.05877, eq. 1. The arithmetic, a product
with the reciprocal of the scale and rounding half to even, is that of torch.fake_quantize_per_*_affine.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, device, is_numpy_array
from mcomp.quantize.cells import Grid, cells, extremes, one_each, uncells
from mcomp.quantize.choose import (
    MAX_BITS,
    at_least_float32,
    check_floating,
    choose_grid,
    integer_range,
    range_grid,
)
from mcomp.quantize.in_cache import can_run_in_cache, fake_quantize_in_cache

__all__ = [
    "MAX_BITS", "Grid", "choose_grid", "dequantize", "fake_quantize", "integer_range", "quantize",
    "range_grid",
]  # fmt: skip


def quantize(x, grid, *, noise=None):
    """The integers of the grid points nearest to `x`: clip(round(x / scale) + zero_point, qmin, qmax).

    With `noise` it rounds at random instead, up with the probability of the fraction: right on average
    (Gupta et al. 2015, arXiv:1502.02551, section 3).

    Parameters
    ----------
    x : floating array, any shape that fits the grid
        Finite. A tie goes to the even one of round(x / scale).
    grid : Grid
    noise : floating array of the shape of `x`, optional
        Uniform random numbers in [0, 1): floor(x / scale + noise) takes the place of round(x / scale).

    Returns
    -------
    q : array of the shape of `x`
        int8, uint8, int16 or int32, the first that holds qmin and qmax.

    Raises
    ------
    ValueError
        If the shape doesn't fit the grid, or `x` is empty or holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> quantize(np.array([0.25, 0.74, -9.0]), Grid(0.5, 0, -3, 3))
    array([ 0,  1, -3], dtype=int8)
    """
    xp = array_namespace(x)
    check_floating(x)
    parts, scale, zero = _laid_out(x, grid)
    if noise is not None:
        noise = _noise_rows(noise, x, grid)
    q = xp.astype(_whole(parts, scale, zero, grid, noise=noise), _integer_dtype(xp, grid))
    return uncells(q, x.shape, axis=grid.axis, group=grid.group)


def dequantize(q, grid):
    """The numbers that the integers `q` mean: scale * (q - zero_point), in the dtype of the scale.

    Under torch, gradients flow to the scale. Where the scale is a Python float, the result is float32.

    Raises
    ------
    ValueError
        If `q` is no integer array, or its shape doesn't fit the grid.

    Examples
    --------
    >>> import numpy as np
    >>> dequantize(np.array([0, 1, -3]), Grid(0.5, 0, -3, 3))
    array([ 0. ,  0.5, -1.5], dtype=float32)
    """
    xp = array_namespace(q)
    if not xp.isdtype(q.dtype, "integral"):
        raise bad_value("q.dtype", str(q.dtype), "an integer dtype")
    parts, scale, zero = _laid_out(q, grid)
    y = (xp.astype(parts, scale.dtype) - zero) * scale
    return uncells(y, q.shape, axis=grid.axis, group=grid.group)


def fake_quantize(x, grid):
    """The grid points nearest to `x`: ``dequantize(quantize(x, grid), grid)`` as floats of the dtype of `x`.

    On arrays in CPU memory it goes through `x` once, in pieces that stay in the processor's cache. Under
    torch, gradients flow to the scale, none to `x` (the derivative of rounding is 0; chapter 08).

    Raises
    ------
    ValueError
        As `quantize`.

    Examples
    --------
    >>> import numpy as np
    >>> fake_quantize(np.array([0.25, 0.74, -9.0]), Grid(0.5, 0, -3, 3))
    array([ 0. ,  0.5, -1.5])
    """
    xp = array_namespace(x)
    check_floating(x)
    parts, scale, zero = _laid_out(x, grid)
    if can_run_in_cache(parts, scale, zero):
        y = fake_quantize_in_cache(parts, scale, zero, qmin=grid.qmin, qmax=grid.qmax)
    else:
        y = xp.astype((_whole(parts, scale, zero, grid) - zero) * scale, x.dtype)
    return uncells(y, x.shape, axis=grid.axis, group=grid.group)


def _laid_out(x, grid):
    """``cells(x)`` with scale and zero point as floats that broadcast against it."""
    scale, zero = grid.scale, grid.zero_point
    if isinstance(scale, np.generic) and not is_numpy_array(x):  # a number like any other
        scale, zero = scale.item(), int(zero)
    arrays = [a for a in (x, scale) if hasattr(a, "dtype")]
    xp = array_namespace(*arrays)  # TypeError where the grid is of another library
    layout = {"axis": grid.axis, "group": grid.group}
    floating = [a for a in arrays if xp.isdtype(a.dtype, "real floating")]
    dtype = at_least_float32(xp, *floating)
    scale, zero = (one_each(xp.asarray(p, dtype=dtype, device=device(x)), x, **layout) for p in (scale, zero))
    return cells(x, **layout), scale, zero


def _noise_rows(noise, x, grid):
    """``cells(noise)``, if it fits `x` and lies in [0, 1)."""
    if tuple(noise.shape) != tuple(x.shape):
        raise bad_value("noise.shape", tuple(noise.shape), tuple(x.shape))
    low, high = extremes(check_finite("noise", noise))
    if not 0 <= low <= high < 1:
        raise bad_value("noise from", (low, high), "0 to below 1")
    return cells(noise, axis=grid.axis, group=grid.group)


def _whole(parts, scale, zero, grid, *, noise=None):
    """The integers, still as floats: each of torch's kernels rounds x * (1 / scale), not x / scale."""
    xp = array_namespace(parts)
    with np.errstate(over="ignore"):  # an infinity is clipped like any other number
        steps = parts * (1 / scale)
        steps = xp.round(steps) if noise is None else xp.floor(steps + noise)
        return xp.clip(steps + zero, grid.qmin, grid.qmax)


def _integer_dtype(xp, grid):
    for dtype in (xp.int8, xp.uint8, xp.int16):
        if xp.iinfo(dtype).min <= grid.qmin and grid.qmax <= xp.iinfo(dtype).max:
            return dtype
    return xp.int32
