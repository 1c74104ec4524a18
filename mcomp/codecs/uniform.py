"""The codecs of chapter 06: every weight on a grid of equal steps, one scale a tensor, channel or group."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, constant, from_host
from mcomp.codecs.basic import checked, flat, shaped
from mcomp.codecs.code import Code, Codec
from mcomp.quantize.cells import cells, parameter_shape, uncells
from mcomp.quantize.grids import MAX_BITS, choose_grid, integer_range, quantize
from mcomp.quantize.groups import SHRINK, group_grid

__all__ = ["GroupUniform", "Uniform"]

LARGEST = 2**MAX_BITS  # no integer of a grid is further from 0
SHORT = 11  # significant bits of a float16


@dataclass(frozen=True)
class Uniform(Codec):
    """Round every weight to a grid of `bits` bits whose ends are the extreme weights (chapter 06).

    A scale is rounded to 24 - `bits` significant bits, so that every point of the grid is exact in float32:
    projecting twice is projecting once, up to 11 bits on symmetric grids.

    Parameters
    ----------
    bits : int
        1 to 16; a symmetric grid has at least 2.
    axis : int, optional
        One scale for each index along this axis; 0 is the output channel. A vector counts as one channel.
    group : int, optional
        One scale for each run of so many weights, within a channel if `axis` is given.
    symmetric : bool
        Whether 0 is in the middle; else each scale comes with a zero point.

    Examples
    --------
    >>> import numpy as np
    >>> Uniform(3).project(np.array([3.0, -1.4, 0.5]))
    array([ 3., -1.,  0.])
    """

    bits: int
    axis: int | None = None
    group: int | None = None
    symmetric: bool = True
    kind: ClassVar[str] = "uniform"
    payload: ClassVar[str] = "scale"

    def __post_init__(self):
        integer_range(self.bits, symmetric=self.symmetric)
        for name, low in (("axis", -8), ("group", 1)):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), low)

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        w = constant(w)
        grid = self.grid(w)
        symbols = {"q": flat(xp.astype(quantize(w, grid), xp.int64))}
        if not self.symmetric:
            symbols["zero_point"] = flat(xp.astype(grid.zero_point, xp.int64))
        for name in ("axis", "group"):
            if getattr(grid, name) is not None:
                symbols[name] = from_host(np.array([getattr(grid, name)]), w)
        return Code(self.kind, tuple(w.shape), symbols, {"scale": xp.astype(grid.scale, w.dtype)})

    def refit(self, w, code):
        scale = array_namespace(w).astype(self.grid(constant(w)).scale, w.dtype)
        return replace(code, floats={"scale": scale})

    def grid(self, w):
        """The `Grid` that `encode` rounds `w` to."""
        options = {"axis": self.axis if w.ndim > 1 else None, "group": self.group}
        grid = choose_grid(w, self.bits, symmetric=self.symmetric, **options)
        return replace(grid, scale=_storable(grid.scale, w.dtype, bits=self.bits))

    @staticmethod
    def _decode(code):
        q, scale, n = code.symbols["q"], code.floats["scale"], math.prod(code.shape)
        layout = {name: _option(code, name) for name in ("axis", "group")}
        shape = parameter_shape(code.shape, **layout)
        if tuple(scale.shape) != shape or tuple(q.shape) != (n,):
            raise bad_value("shapes of q and scale", (tuple(q.shape), tuple(scale.shape)), ((n,), shape))
        xp, whole = array_namespace(scale), cells(shaped(_bounded(q), code.shape), **layout)
        if "zero_point" in code.symbols:
            zero = shaped(_checked_zeros(code, math.prod(shape)), shape)
            whole = whole - (zero[..., None] if shape else zero)
        wide = xp.result_type(xp.float32, scale)  # of float16, products are rounded once, at the end
        y = xp.astype(whole, wide) * xp.astype(scale[..., None] if shape else scale, wide)
        # a rounded scale may put the ends of the grid beyond what float16 holds
        if xp.isdtype(scale.dtype, "real floating") and wide != scale.dtype:
            most = float(xp.finfo(scale.dtype).max)
            y = xp.clip(y, -most, most)
        return uncells(xp.astype(y, scale.dtype), code.shape, **layout)


@dataclass(frozen=True)
class GroupUniform(Uniform):
    """What a large layer takes: a grid for each group of a row's weights, its scale as short as a float16's.

    In a file it is a `Uniform` code. The scale has 11 significant bits and comes with a zero point.

    Parameters
    ----------
    bits, axis, group, symmetric
        As for `Uniform`, with other defaults.
    search : bool
        Whether each group's range is the one of the least squared error, see `mcomp.quantize.groups`; else it
        reaches to the extremes.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
    >>> for codec in (GroupUniform(4), GroupUniform(4, search=True)):
    ...     error = np.var(codec.project(w) - w)
    ...     print(f"{codec.encode(w).nbits() / w.size:.1f} bits a weight, error {error:.4f}")
    4.0 bits a weight, error 0.0082
    4.0 bits a weight, error 0.0076
    """

    axis: int | None = 0
    group: int | None = 64
    symmetric: bool = False
    search: bool = False

    def refit(self, w, code):
        return code  # a scale and its zero point were chosen together

    def grid(self, w, *, weights=None):
        """The grid that `encode` rounds `w` to; with `weights` of the errors, see `group_grid`."""
        layout = {"axis": self.axis if w.ndim > 1 else None, "group": self.group, "symmetric": self.symmetric}
        search = self.search or weights is not None
        grid = group_grid(w, self.bits, weights=weights, shrink=SHRINK if search else (1,), **layout)
        eps = float(array_namespace(w).finfo(grid.scale.dtype).eps)
        digits = 1 - round(math.log2(eps))  # 24 of a float32
        return replace(grid, scale=_storable(grid.scale, w.dtype, bits=digits - SHORT))


def _storable(scale, dtype, *, bits):
    """`scale` with 24 - `bits` significant bits (Dekker 1971: its splitting), and as `dtype` holds it."""
    xp = array_namespace(scale)
    if float(xp.max(scale)) < 2.0**100:  # above, the product would overflow
        wide = scale * (2**bits + 1)
        scale = wide - (wide - scale)
    least = float(xp.finfo(dtype).smallest_normal) * float(xp.finfo(dtype).eps)
    return xp.maximum(xp.astype(xp.astype(scale, dtype), scale.dtype), xp.full_like(scale, least))


def _option(code, name):
    """The integer that a code holds under `name`, or None."""
    if name not in code.symbols:
        return None
    if tuple(code.symbols[name].shape) != (1,):
        raise bad_value(f"entries of {name}", tuple(code.symbols[name].shape), (1,))
    return int(code.symbols[name][0])


def _checked_zeros(code, n):
    zero = code.symbols["zero_point"]
    if tuple(zero.shape) != (n,):
        raise bad_value("the shape of zero_point", tuple(zero.shape), (n,))
    return _bounded(zero)


def _bounded(symbols):
    """`symbols`, if none is further from 0 than an integer of a grid can be."""
    xp = array_namespace(symbols)
    if bool(xp.any(xp.abs(symbols) > LARGEST)):
        raise bad_value("the largest integer", int(xp.max(xp.abs(symbols))), f"at most {LARGEST}")
    return symbols
