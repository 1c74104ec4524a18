"""The codec of QLoRA: groups of weights on the sixteen values of NormalFloat, times the largest of each."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, constant, from_host, size
from mcomp.codecs.basic import checked, flat, shaped
from mcomp.codecs.code import Code, Codec
from mcomp.codecs.fields import integers, symbols
from mcomp.quantize.cells import cells, parameter_shape, uncells
from mcomp.quantize.codebooks import assign
from mcomp.quantize.nf4 import normal_values

__all__ = ["NormalFloat"]


@dataclass(frozen=True)
class NormalFloat(Codec):
    """Each weight the nearest of 16 quantiles of a Gaussian, times the largest |w| of its group.

    Groups are runs of the flat tensor, as in bitsandbytes. Dettmers et al. 2023, arXiv:2305.14314: "NF4";
    with ``NormalFloat() | Uniform(8, group=256, symmetric=False)`` the scales are quantized too ("double
    quantization"): of 32/64 = 0.5 bits a weight (8 + (32 + 8)/256)/64 = 0.127 are left, a float32 scale and
    a zero point for 256 scales counted, and in a file less, where the integers are entropy coded.

    Examples
    --------
    >>> import numpy as np
    >>> NormalFloat().project(np.array([2.0, -1.0, 0.1])).round(3)
    array([ 2.   , -1.05 ,  0.159])
    """

    group: int = 64
    kind: ClassVar[str] = "normal_float"
    payload: ClassVar[str] = "scale"

    def __post_init__(self):
        check_int("group", self.group, 1, 32_768)

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        parts = cells(constant(w), group=self.group)  # (groups, group)
        scale = xp.max(xp.abs(parts), axis=-1)
        unit = parts / xp.where(scale > 0, scale, xp.ones_like(scale))[:, None]
        index = assign(xp.astype(unit, xp.float64), from_host(normal_values(), w))
        index = uncells(index, w.shape, group=self.group)
        group = from_host(np.array([self.group]), w)
        return Code(self.kind, tuple(w.shape), {"index": flat(index), "group": group}, {"scale": scale})

    def refit(self, w, code):
        return code  # a scale is the largest weight of its group: another one would need other symbols

    @staticmethod
    def _decode(code):
        index, scale = symbols(code, "index", 15), code.floats["scale"]
        (group,) = integers(code, "group", ((1, 32_768),))
        xp, shape = array_namespace(scale), parameter_shape((math.prod(code.shape),), group=group)
        if tuple(scale.shape) != shape or not xp.isdtype(scale.dtype, "real floating"):
            allowed = f"a real floating array of shape {shape}"
            raise bad_value("scale", f"{scale.dtype} of shape {tuple(scale.shape)}", allowed)
        values = xp.take(from_host(normal_values(), scale), index)
        wide = cells(values, group=group) * xp.astype(scale, xp.float64)[:, None]
        return shaped(uncells(xp.astype(wide, scale.dtype), (size(index),), group=group), code.shape)
