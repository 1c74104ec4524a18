"""From an int32 accumulator back to eight bits: a multiply and a shift in place of a real number.

Derived in chapters/07b_integers_only.ipynb. Jacob et al. 2018 (arXiv:1712.05877), eq. 6.
"""

from typing import NamedTuple

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, from_host, host_array

__all__ = ["Multiplier", "fixed_multiplier", "requantize", "requantize_float", "rounded_shift"]

BITS = 31  # of the fixed-point mantissa


class Multiplier(NamedTuple):
    """The real number ``m0 / 2**shift``, entry by entry: int64 arrays, m0 below 2**31, shift from 1 to 62."""

    m0: object
    shift: object


def fixed_multiplier(m):
    """The positive real numbers `m` as integers: m is nearly m0 / 2**shift, with 31 bits of m0 in use.

    Parameters
    ----------
    m : floating array, any shape
        Above 0 and below 2**30. Below 2**-31, m0 has fewer bits.

    Returns
    -------
    multiplier : Multiplier
        Arrays of the shape and library of `m`. Exact where `m` is a float32 of at least 2**-31.

    Raises
    ------
    ValueError
        If an entry is out of range.

    Examples
    --------
    >>> fixed_multiplier(np.array([0.75]))
    Multiplier(m0=array([1610612736]), shift=array([31]))
    """
    values = host_array("m", m).astype(np.float64)
    if not (np.all(values > 0) and np.all(values < 2.0**30)):
        wrong = values[~((values > 0) & (values < 2.0**30))]
        raise bad_value("a multiplier", float(wrong[0]), "above 0 and below 2**30")
    exponent = np.frexp(values)[1].astype(np.int64)  # values = mantissa * 2**exponent, mantissa in [1/2, 1)
    shift = np.minimum(BITS - exponent, 62)
    m0 = np.rint(np.ldexp(values, shift)).astype(np.int64)
    full = m0 == 2**BITS  # the mantissa was rounded up to one
    m0, shift = np.where(full, m0 >> 1, m0), shift - full
    return Multiplier(from_host(m0, m), from_host(shift, m))


def rounded_shift(p, shift):
    """p / 2**shift rounded to the nearest integer, half to even, with integers only; int64 arrays.

    Examples
    --------
    >>> rounded_shift(np.array([5, 6, 7, -5, -6, -7]), np.array(2))
    array([ 1,  2,  2, -1, -2, -2])
    """
    xp = array_namespace(p)
    half = xp.bitwise_left_shift(xp.ones_like(shift), shift - 1)
    q = xp.bitwise_right_shift(p + half, shift)  # floor(p / 2**shift + 1/2)
    tie = xp.bitwise_and(p, 2 * half - 1) == half
    return q - xp.astype(tie, xp.int64) * xp.bitwise_and(q, xp.ones_like(q))


def requantize(acc, multiplier, *, zero_point, qmin, qmax):
    """From accumulator to output integer: round(acc * m0 / 2**shift) + zero_point, clipped; no float inside.

    Parameters
    ----------
    acc : integer array (batch, out, ...)
    multiplier : Multiplier
        Of one number, or of one for each output channel (out,).
    zero_point, qmin, qmax : int
        Of the output's grid.

    Returns
    -------
    q : int32 array of the shape of `acc`, in [qmin, qmax]

    Examples
    --------
    >>> acc = np.array([[100, -100, 1000]], dtype=np.int32)
    >>> requantize(acc, fixed_multiplier(np.array(0.3)), zero_point=5, qmin=0, qmax=255)
    array([[ 35,   0, 255]], dtype=int32)
    """
    xp, limits = array_namespace(acc), _limits(zero_point, qmin, qmax)
    m0, shift = (_along_channels(part, acc) for part in multiplier)
    q = rounded_shift(xp.astype(acc, xp.int64) * m0, shift)  # at most 31 + 31 bits
    return xp.astype(xp.clip(q + limits[0], limits[1], limits[2]), xp.int32)


def requantize_float(acc, m, *, zero_point, qmin, qmax):
    """The same with the float32 multiplier `m`: the arithmetic of ONNX Runtime, bit for bit.

    acc and product are rounded to float32, then to the nearest integer, half to even.
    """
    xp, limits = array_namespace(acc), _limits(zero_point, qmin, qmax)
    real = xp.astype(acc, xp.float32) * _along_channels(xp.astype(m, xp.float32), acc)
    real = xp.clip(xp.round(real), limits[1] - limits[0], limits[2] - limits[0])  # before int32 overflows
    return xp.astype(real, xp.int32) + limits[0]


def _limits(zero_point, qmin, qmax):
    low = check_int("qmin", qmin, -(2**30), 2**30)
    high = check_int("qmax", qmax, low, 2**30)
    return check_int("zero_point", zero_point, low, high), low, high


def _along_channels(v, acc):
    """A number, or one for each channel (out,), in a shape that broadcasts along axis 1 of `acc`."""
    return v if v.ndim == 0 else array_namespace(v).reshape(v, (-1,) + (1,) * (acc.ndim - 2))
