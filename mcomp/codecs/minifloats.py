"""The codec of small floats, with a power of two that a tensor, a channel or a block (MX) shares.

Open Compute Project, Microscaling formats (MX) 1.0. Derived in chapters/09_few_levels.ipynb.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, constant, from_host, size
from mcomp.codecs.basic import checked, flat, shaped
from mcomp.codecs.code import Code, Codec
from mcomp.codecs.fields import channels_of, check_axis, integers, power_of, scale_of, symbols
from mcomp.quantize.cells import cells
from mcomp.quantize.floats import SPECIALS, FloatFormat, block_exponents, float_bits, float_values

STEPS_DOWN = 3  # shared exponents that are tried below the one that clips nothing

__all__ = ["MiniFloat"]


@dataclass(frozen=True)
class MiniFloat(Codec):
    """A small float for each weight, times a power of two that a block, a channel or the tensor shares.

    ``MiniFloat(2, 1, block=32)`` is MXFP4 of the OCP MX specification 1.0: the blocks run along each output
    channel, and the exponent follows from the block's largest |w|. Without a block it is the one of least
    error of five. `specials` as in `FloatFormat`.

    Examples
    --------
    >>> import numpy as np
    >>> MiniFloat(2, 1, block=2).project(np.array([7.9, -1.2, 0.01, 0.02]))
    array([ 6.        , -1.        ,  0.01171875,  0.0234375 ])
    """

    exponent_bits: int
    mantissa_bits: int
    specials: str = "none"
    block: int = 0
    axis: int | None = None
    kind: ClassVar[str] = "minifloat"
    payload: ClassVar[str] = "scale"

    def __post_init__(self):
        self._form()
        check_int("block", self.block, 0, 32_768)
        check_axis(self.axis)

    def _form(self):
        return FloatFormat(self.exponent_bits, self.mantissa_bits, self.specials)

    def encode(self, w, *, start=None):
        w, form = constant(checked(w)), self._form()
        xp, channels = array_namespace(w), channels_of(w.shape) if self.axis == 0 or self.block else 1
        rows = xp.astype(xp.reshape(w, (channels, -1)), xp.float64)
        blocks = cells(rows, axis=0, group=self.block or None)  # zeros fill the last one of a row
        blocks = xp.reshape(blocks, (-1, blocks.shape[-1]))
        exponents = block_exponents(blocks, form)
        if not self.block:
            exponents = _least_error(blocks, exponents, form)
        bits = float_bits(blocks / power_of(exponents)[:, None], form)
        bits = xp.reshape(bits, (channels, -1))[:, : rows.shape[1]]
        head = [*(getattr(form, name) for name in ("exponent_bits", "mantissa_bits")),
                SPECIALS.index(form.specials), channels, self.block]  # fmt: skip
        symbols = {"format": from_host(np.array(head, np.int64), w), "exponents": exponents}
        one = xp.ones_like(flat(w)[:1])
        return Code(self.kind, tuple(w.shape), {**symbols, "index": flat(bits)}, {"scale": one})

    def refit(self, w, code):
        return code  # all that it has are patterns and exponents

    @staticmethod
    def _decode(code):
        allowed = ((1, 8), (0, 10), (0, 2), (1, max(1, *code.shape, 1)), (0, 32_768))
        e, m, specials, channels, block = integers(code, "format", allowed)
        form, n = FloatFormat(e, m, SPECIALS[specials]), math.prod(code.shape)
        if channels not in (1, channels_of(code.shape)):
            raise bad_value("the channels", channels, f"1 or {channels_of(code.shape)}")
        bits, columns = symbols(code, "index", 2**form.bits - 1), n // channels
        per_row = -(-columns // (block or columns))
        exponents = symbols(code, "exponents", 127, low=-127, n=channels * per_row)
        xp, scale = array_namespace(bits), scale_of(code)
        if size(scale) != 1:
            raise bad_value("scale.shape", tuple(scale.shape), "(1,)")
        at = from_host(np.arange(columns) // (block or columns), bits)
        power = xp.take(xp.reshape(power_of(exponents), (channels, per_row)), at, axis=1)
        wide = xp.reshape(float_values(bits, form, dtype=xp.float64), (channels, columns)) * power
        most = float(xp.finfo(scale.dtype).max)
        return shaped(scale * flat(xp.astype(xp.clip(wide, -most, most), scale.dtype)), code.shape)


def _least_error(blocks, exponents, form):
    """The best shared exponent of each row: those from one above the rule's to three below it."""
    xp, errors = array_namespace(blocks), []
    tried = [xp.clip(exponents + j, -127, 127) for j in range(1, -STEPS_DOWN - 1, -1)]
    for power in (power_of(e)[:, None] for e in tried):
        near = power * float_values(float_bits(blocks / power, form), form, dtype=xp.float64)
        errors.append(xp.sum((near - blocks) ** 2, axis=1))
    best = xp.argmin(xp.stack(errors), axis=0)[None, :]  # the first of equals
    return xp.take_along_axis(xp.stack(tried), best, axis=0)[0, :]
