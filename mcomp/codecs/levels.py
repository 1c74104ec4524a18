"""The codecs of few levels: signs, three levels, powers of two, each with a scale.

The scale holds for the whole tensor or, with ``axis=0``, for one output channel; a
vector counts as one channel, so ``Sparse(0.9) | Ternary()`` works too. Derived in
chapters/09_few_levels.ipynb.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, constant, from_host
from mcomp.codecs.basic import checked, flat
from mcomp.codecs.code import Code, Codec
from mcomp.codecs.fields import check_axis, fit_scale, integers, scaled, symbols
from mcomp.quantize.binary import binarize
from mcomp.quantize.powers import log_levels, quantize_powers
from mcomp.quantize.ternary import RULES, ternarize

__all__ = ["Binary", "PowerOfTwo", "Ternary"]


@dataclass(frozen=True)
class Binary(Codec):
    """The sign of each weight, times the mean of |w|: Rastegari et al. 2016, arXiv:1603.05279, eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> Binary().project(np.array([3.0, -1.0, 0.0, -4.0]))
    array([ 2., -2.,  2., -2.])
    """

    axis: int | None = None
    kind: ClassVar[str] = "binary"
    payload: ClassVar[str] = "scale"

    def __post_init__(self):
        check_axis(self.axis)

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        signs, scale = binarize(constant(w), axis=_axis(self, w))
        return Code(self.kind, tuple(w.shape), {"signs": flat(xp.astype(signs, xp.int64))}, {"scale": scale})

    def refit(self, w, code):
        return fit_scale(w, code, 2 * code.symbols["signs"] - 1)

    @staticmethod
    def _decode(code):
        return scaled(code, 2 * symbols(code, "signs", 1) - 1)


@dataclass(frozen=True)
class Ternary(Codec):
    """−1, 0 or 1 for each weight, times a scale: the exact optimum, or by the threshold of Li et al. 2016.

    Examples
    --------
    >>> import numpy as np
    >>> Ternary().project(np.array([3.0, -1.0, 0.5, -4.0]))
    array([ 3.5,  0. ,  0. , -3.5])
    """

    axis: int | None = None
    rule: str = "exact"
    kind: ClassVar[str] = "ternary"
    payload: ClassVar[str] = "scale"

    def __post_init__(self):
        check_axis(self.axis)
        if self.rule not in RULES:
            raise bad_value("rule", self.rule, f"one of {', '.join(RULES)}")

    def encode(self, w, *, start=None):
        q, scale = ternarize(constant(checked(w)), axis=_axis(self, w), rule=self.rule)
        return Code(self.kind, tuple(w.shape), {"index": flat(q) + 1}, {"scale": scale})

    def refit(self, w, code):
        return fit_scale(w, code, code.symbols["index"] - 1)

    @staticmethod
    def _decode(code):
        return scaled(code, symbols(code, "index", 2) - 1)


@dataclass(frozen=True)
class PowerOfTwo(Codec):
    """0 or ±2^e for each weight, from 2^(bits−1) − 1 neighbouring exponents: products become shifts.

    Examples
    --------
    >>> import numpy as np
    >>> PowerOfTwo(3).project(np.array([1.1, -0.4, 0.1]))
    array([ 1. , -0.5,  0. ])
    """

    bits: int
    axis: int | None = None
    kind: ClassVar[str] = "power_of_two"
    payload: ClassVar[str] = "scale"

    def __post_init__(self):
        check_int("bits", self.bits, 2, 8)
        check_axis(self.axis)

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        index, top = quantize_powers(constant(w), self.bits, axis=_axis(self, w))
        bits = from_host(np.array([self.bits]), index)
        symbols = {"index": flat(index), "bits": xp.astype(bits, xp.int64)}
        return Code(self.kind, tuple(w.shape), symbols, {"scale": top})

    def refit(self, w, code):
        return code  # the scale stays a power of two

    @staticmethod
    def _decode(code):
        bits = integers(code, "bits", ((2, 8),))[0]
        index = symbols(code, "index", 2**bits - 2)
        levels = from_host(log_levels(bits), index)
        return scaled(code, array_namespace(index).take(levels, index, axis=0))


def _axis(codec, w):
    return codec.axis if w.ndim > 1 else None
