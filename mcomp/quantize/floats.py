"""Small floating point formats, sign + exponent + mantissa, and blocks of them that share an exponent (MX).

Open Compute Project: 8-bit floating point (OFP8) 1.0 for E5M2 and E4M3, Microscaling formats (MX) 1.0 for
the 6-bit and 4-bit ones and the shared exponent (section 6.3). Derived in chapters/09_few_levels.ipynb.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, constant, from_host

SPECIALS = ("infinities", "one nan", "none")
SHARED = 127  # a shared exponent lies in [−127, 127] (E8M0)

__all__ = [
    "E2M1", "E2M3", "E3M2", "E4M3", "E5M2", "FloatFormat", "block_exponents", "float_bits",
    "float_values", "round_to_float",
]  # fmt: skip


@dataclass(frozen=True)
class FloatFormat:
    """1 sign bit, `exponent_bits` and `mantissa_bits`; the bias is 2^(exponent_bits − 1) − 1.

    `specials` says what the largest exponent means: "infinities" (it is reserved, as IEEE 754 has it),
    "one nan" (only its largest mantissa is), "none" (all patterns are numbers).

    Examples
    --------
    >>> FloatFormat(2, 1)
    FloatFormat(exponent_bits=2, mantissa_bits=1, specials='none')
    >>> E4M3.magnitudes().max(), E4M3.magnitudes()[1] == 2.0**-9
    (np.float64(448.0), np.True_)
    """

    exponent_bits: int
    mantissa_bits: int
    specials: str = "none"

    def __post_init__(self):
        check_int("exponent_bits", self.exponent_bits, 1, 8)
        check_int("mantissa_bits", self.mantissa_bits, 0, 10)
        if self.specials not in SPECIALS:
            raise bad_value("specials", self.specials, f"one of {', '.join(SPECIALS)}")
        if len(self.magnitudes()) < 2:
            raise bad_value("the format", self, "one with a number beside zero")

    @property
    def bits(self):
        """Bits of a number, with its sign."""
        return 1 + self.exponent_bits + self.mantissa_bits

    def magnitudes(self):
        """The finite numbers from zero up, float64: entry i has the bit pattern i."""
        return _magnitudes(self).copy()


@lru_cache(maxsize=64)
def _magnitudes(form):
    pattern = np.arange(2 ** (form.bits - 1))
    exponent, mantissa = np.divmod(pattern, 2**form.mantissa_bits)
    if form.specials == "infinities":
        keep = exponent < 2**form.exponent_bits - 1
    else:
        keep = pattern < len(pattern) - (form.specials == "one nan")
    bias = 2 ** (form.exponent_bits - 1) - 1
    leading = np.where(exponent > 0, 2**form.mantissa_bits, 0)  # denormals have no leading one
    unit = 2.0 ** (np.maximum(exponent, 1) - bias - form.mantissa_bits)
    return ((leading + mantissa) * unit)[keep]


E5M2 = FloatFormat(5, 2, "infinities")
E4M3 = FloatFormat(4, 3, "one nan")
E3M2 = FloatFormat(3, 2)
E2M3 = FloatFormat(2, 3)
E2M1 = FloatFormat(2, 1)


def float_bits(x, form):
    """The bit pattern of the number of `form` nearest to each entry: sign, exponent, mantissa.

    The patterns of the magnitudes are in order, so a search among the midpoints finds them; at a midpoint
    the even pattern wins, which is the even mantissa. Beyond the largest number: the largest (saturation).

    Parameters
    ----------
    x : floating array, any shape
        Finite. −0 keeps its sign.
    form : FloatFormat

    Returns
    -------
    bits : int64 array of the shape of `x`
        0 to 2^form.bits − 1.

    Examples
    --------
    >>> float_bits(np.array([0.3, -1.25, 100.0]), E2M1)
    array([ 1, 10,  7])
    """
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, "real floating"):
        raise bad_value("x.dtype", str(x.dtype), "a real floating dtype")
    wide = xp.astype(constant(check_finite("x", x)), xp.float64)
    table = _magnitudes(form)
    middle = from_host((table[:-1] + table[1:]) / 2, wide)
    size = xp.reshape(xp.abs(wide), (-1,))
    low = xp.searchsorted(middle, size, side="left")
    high = xp.searchsorted(middle, size, side="right")
    pattern = xp.astype(xp.where(low % 2 == 0, low, high), xp.int64)  # equal but at a midpoint
    negative = xp.astype(xp.signbit(wide), xp.int64)
    return xp.reshape(pattern, x.shape) + negative * 2 ** (form.bits - 1)


def float_values(bits, form, *, dtype=None):
    """The numbers of bit patterns, in `dtype` (default: float32 of the library of `bits`).

    Raises
    ------
    ValueError
        If a pattern is none of a finite number of `form`.

    Examples
    --------
    >>> float_values(np.array([1, 10, 7]), E2M1)
    array([ 0.5, -1. ,  6. ], dtype=float32)
    """
    xp, table = array_namespace(bits), _magnitudes(form)
    flat, half = xp.reshape(bits, (-1,)), 2 ** (form.bits - 1)
    pattern = flat % half
    if bool(xp.any((flat < 0) | (flat >= 2 * half) | (pattern >= len(table)))):
        raise bad_value("bits", (int(xp.min(flat)), int(xp.max(flat))), "patterns of finite numbers")
    signed = from_host(np.concatenate([table, -table]), bits)  # −0 is among them
    index = xp.where(flat < half, flat, flat - half + len(table))
    return xp.reshape(xp.astype(xp.take(signed, index, axis=0), dtype or xp.float32), bits.shape)


def round_to_float(x, form):
    """The number of `form` nearest to each entry, in the dtype of `x`; ties to even, saturating.

    Examples
    --------
    >>> round_to_float(np.array([0.3, -1.25, 100.0]), E2M1)
    array([ 0.5, -1. ,  6. ])
    """
    return float_values(float_bits(x, form), form, dtype=x.dtype)


def block_exponents(blocks, form):
    """The shared exponent of each row: floor(log2(max |x|)) less that of the largest number of `form`.

    OCP MX 1.0, section 6.3; divide the row by 2^exponent before rounding to `form`. A row of zeros gets −127.

    Parameters
    ----------
    blocks : floating array (rows, block)
    form : FloatFormat

    Returns
    -------
    exponents : int64 array (rows,)
        −127 to 127.

    Examples
    --------
    >>> block_exponents(np.array([[7.9, -1.0], [0.01, 0.02]]), E2M1)
    array([ 0, -8])
    """
    xp = array_namespace(check_finite("blocks", blocks))
    if blocks.ndim != 2:
        raise bad_value("blocks.shape", tuple(blocks.shape), "(rows, block)")
    largest = xp.astype(xp.max(xp.abs(constant(blocks)), axis=1), xp.float64)
    least = -SHARED - 40
    powers = from_host(2.0 ** np.arange(least, 2 * SHARED), largest)
    floor = xp.astype(xp.searchsorted(powers, largest, side="right"), xp.int64) + (least - 1)
    top = int(np.frexp(_magnitudes(form)[-1])[1]) - 1
    return xp.clip(floor - top, -SHARED, SHARED)
