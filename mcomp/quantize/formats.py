"""Floating point bit by bit: which sign, exponent and mantissa a number gets in a format, and what they mean.

IEEE 754 for float32 and float16; bfloat16 is float32 without its last 16 bits; the 8-bit formats are those of
Micikevicius et al. 2022, arXiv:2209.05433, table 1. To round whole arrays to a small format:
mcomp/quantize/floats.py.
"""

import math
from dataclasses import dataclass

from mcomp.arrays import bad_value

__all__ = ["FORMATS", "FloatFields", "decode_fields", "float_fields"]

FORMATS = {  # exponent bits, mantissa bits
    "float32": (8, 23),
    "bfloat16": (8, 7),
    "float16": (5, 10),
    "float8_e5m2": (5, 2),
    "float8_e4m3": (4, 3),  # without infinities: only the largest exponent with mantissa 111 is no number
}


@dataclass(frozen=True)
class FloatFields:
    """The three fields of a number, as integers.

    Attributes
    ----------
    form : str
        A name in `FORMATS`.
    sign, exponent, mantissa : int
        As they are stored: the exponent with its bias, the mantissa without its leading one.
    """

    form: str
    sign: int
    exponent: int
    mantissa: int

    @property
    def value(self):
        """What the fields mean, as a Python float."""
        return decode_fields(self)

    def __str__(self):
        e, m = FORMATS[self.form]
        return f"{self.sign} {self.exponent:0{e}b} {self.mantissa:0{m}b}"


def float_fields(x, form):
    """The fields of the number of a format that is nearest to `x`.

    Parameters
    ----------
    x : float
        Infinities and NaN too.
    form : str
        A name in `FORMATS`.

    Returns
    -------
    fields : FloatFields
        A tie goes to the even mantissa. Beyond the largest number: infinity, or NaN in float8_e4m3, which
        has no infinity.

    Raises
    ------
    ValueError
        If there is no format of that name.

    Examples
    --------
    >>> fields = float_fields(0.1, "bfloat16")
    >>> print(fields, fields.value)
    0 01111011 1001101 0.10009765625
    """
    e, m, bias, largest = _sizes(form)
    x = float(x)
    if math.isfinite(x):
        power = (
            max(math.frexp(x)[1] - 1, 1 - bias) if x else 1 - bias
        )  # below 2**(1 - bias) the step stays: denormals
        pattern = round(math.ldexp(abs(x), m - power)) + ((power + bias - 1) << m)  # a carry is right, too
    if not math.isfinite(x) or pattern > largest:
        pattern = (2**e - 1) << m  # infinity
        pattern += 2**m - 1 if form == "float8_e4m3" else (math.isnan(x) << m - 1)
    return FloatFields(form, int(math.copysign(1, x) < 0), pattern >> m, pattern & 2**m - 1)


def decode_fields(fields):
    """The number that three fields mean: (-1)**sign * 1.mantissa * 2**(exponent - bias).

    Where the exponent field is 0 it is 0.mantissa * 2**(1 - bias). An exponent of ones is infinity (mantissa
    0) or NaN; in float8_e4m3 only its mantissa 111 is NaN, the others are numbers.

    Examples
    --------
    >>> decode_fields(FloatFields("float8_e4m3", 0, 15, 6)), decode_fields(FloatFields("float16", 0, 0, 1))
    (448.0, 5.960464477539063e-08)
    """
    _, m, bias, largest = _sizes(fields.form)
    if (fields.exponent << m) + fields.mantissa > largest:
        infinite = fields.mantissa == 0 and fields.form != "float8_e4m3"
        size = math.inf if infinite else math.nan
    else:
        leading = 2**m if fields.exponent else 0
        size = math.ldexp(leading + fields.mantissa, max(fields.exponent, 1) - bias - m)
    return -size if fields.sign else size


def _sizes(form):
    """Exponent bits, mantissa bits, bias, and the pattern of the largest finite number."""
    if form not in FORMATS:
        raise bad_value("form", form, f"one of {', '.join(FORMATS)}")
    e, m = FORMATS[form]
    largest = (2 ** (e + m) - 2) if form == "float8_e4m3" else ((2**e - 1) << m) - 1
    return e, m, 2 ** (e - 1) - 1, largest
