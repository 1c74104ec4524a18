"""Choose a grid: from the extreme values of a tensor, or over a range that comes from elsewhere.

Derived in chapters/06_a_grid_for_numbers.ipynb. Jacob et al. 2018, arXiv:1712.05877, section 3; the numbers
are those of torch's MinMaxObserver with the same qmin and qmax.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, constant
from mcomp.quantize.cells import Grid, cells

__all__ = ["MAX_BITS", "at_least_float32", "check_floating", "choose_grid", "integer_range", "range_grid"]

MAX_BITS = 16


def integer_range(bits, *, symmetric=True, signed=True):
    """(qmin, qmax): symmetric 8 bits are [-127, 127], else [-128, 127], or [0, 255] without sign.

    Examples
    --------
    >>> integer_range(8), integer_range(8, symmetric=False), integer_range(4, symmetric=False, signed=False)
    ((-127, 127), (-128, 127), (0, 15))
    """
    bits = check_int("bits", bits, 2 if symmetric else 1, MAX_BITS)
    if symmetric and not signed:
        raise bad_value("signed", signed, "True on a symmetric grid")
    half = 2 ** (bits - 1)
    if symmetric:
        return 1 - half, half - 1
    return (-half, half - 1) if signed else (0, 2 * half - 1)


def choose_grid(x, bits, *, symmetric=True, signed=True, axis=None, group=None):
    """The grid of `bits` bits whose ends are the extreme values of `x`: nothing is clipped.

    Parameters
    ----------
    x : floating array, any shape
        Finite.
    bits : int
        1 to 16; a symmetric grid has at least 2.
    symmetric : bool
        Whether 0 is in the middle: zero_point 0 and the range [-max|x|, max|x|]. Else the range is
        [min(x, 0), max(x, 0)]: 0 is always a grid point.
    signed : bool
        Whether an asymmetric grid counts from -2**(bits - 1) or from 0.
    axis, group : int, optional
        How far one scale reaches, see `Grid`.

    Returns
    -------
    grid : Grid
        Its arrays are in the library and on the device of `x`, without gradient.

    Raises
    ------
    ValueError
        If an argument is out of range, or `x` is empty or holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> grid = choose_grid(np.array([[-1.0, 3.0], [0.25, 0.5]]), 3, axis=0)
    >>> grid.scale, grid.qmin, grid.qmax
    (array([1.        , 0.16666667]), -3, 3)
    """
    xp = array_namespace(x)
    check_floating(x)
    parts = cells(constant(x), axis=axis, group=group)  # the zeros that fill the last group change no range
    low, high = xp.min(parts, axis=-1), xp.max(parts, axis=-1)
    return range_grid(low, high, bits, symmetric=symmetric, signed=signed, axis=axis, group=group)


def range_grid(low, high, bits, *, symmetric=True, signed=True, axis=None, group=None):
    """The grid of `bits` bits over the range [low, high], widened to hold 0; values outside will be clipped.

    Parameters
    ----------
    low, high : floats, or floating arrays of equal shape
        The range, for each channel or group its own.
    bits, symmetric, signed, axis, group
        As in `choose_grid`. A symmetric grid reaches to max(|low|, |high|) on both sides.

    Examples
    --------
    >>> grid = range_grid(-0.5, 2.0, 8, symmetric=False, signed=False)
    >>> round(float(grid.scale), 6), int(grid.zero_point)
    (0.009804, 51)
    """
    qmin, qmax = integer_range(bits, symmetric=symmetric, signed=signed)
    xp, low, high = _range(low, high)
    if symmetric:
        scale = _step(xp, xp.maximum(-low, high) / qmax)
        zero = xp.zeros_like(scale)
    else:  # halved, or max - min overflows
        scale = _step(xp, (high / 2 - low / 2) / ((qmax - qmin) / 2))
        zero = xp.clip(qmin - xp.round(low / scale), qmin, qmax)
    scale = xp.minimum(scale, _most(xp, scale) / xp.maximum(qmax - zero, zero - qmin))
    return Grid(scale, xp.astype(zero, xp.int32), qmin, qmax, axis, group)


def check_floating(x):
    """ValueError unless `x` is a finite floating array with entries."""
    if not array_namespace(x).isdtype(x.dtype, "real floating"):
        raise bad_value("x.dtype", str(x.dtype), "a real floating dtype")
    check_finite("x", x)


def _range(low, high):
    """The namespace, and the range as arrays of at least float32, widened to hold 0."""
    if not hasattr(low, "dtype"):
        low, high = np.float32(low), np.float32(high)
    xp = array_namespace(low, high)
    check_finite("low", low), check_finite("high", high)
    low, high = (xp.astype(p, at_least_float32(xp, p)) for p in (low, high))
    if bool(xp.any(low > high)):
        raise bad_value("low", low, f"not above high, {high}")
    zero = xp.zeros_like(low)
    return xp, xp.minimum(low, zero), xp.maximum(high, zero)


def _step(xp, scale):
    """No step is so small that its reciprocal overflows; where there is nothing but zeros it is 1."""
    least = xp.full_like(scale, xp.finfo(scale.dtype).smallest_normal)
    return xp.where(scale == 0, xp.ones_like(scale), xp.maximum(scale, least))


def _most(xp, scale):
    """Just below the largest float: the rounded product of a scale and its integer stays finite."""
    return xp.full_like(scale, (1 - 2**-22) * float(xp.finfo(scale.dtype).max))


def at_least_float32(xp, *arrays):
    """The dtype to compute in: float16 and bfloat16 go up to float32."""
    return xp.result_type(xp.float32, *arrays)
