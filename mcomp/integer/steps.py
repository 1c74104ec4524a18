"""The operations of an integer-only network as small callables: tensors of int32 in, one out, no float.

Derived in chapters/07b_integers_only.ipynb. Jacob et al. 2018, arXiv:1712.05877: products (section
2.2), biases (2.4), additions (appendix A.2).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mcomp.arrays import bad_value
from mcomp.integer.products import integer_conv2d, integer_matmul, integer_max_pool
from mcomp.integer.requantize import (
    Multiplier,
    fixed_multiplier,
    requantize,
    requantize_float,
    rounded_shift,
)
from mcomp.plain import made_by, own_forward
from mcomp.quantize.grids import Grid, quantize, range_grid
from mcomp.trace import called

__all__ = ["Average", "Largest", "Product", "Rectify", "Reshape", "Sum", "make_step"]

SAME = (nn.Identity, nn.Dropout)
ADDITIONS, RELUS = ("add", "iadd", "add_"), (F.relu, torch.relu, "relu", "relu_")


@dataclass(frozen=True)
class Factor:
    """What a sum is multiplied by to become steps of the output: as float32, and as integers."""

    real: Any
    whole: Multiplier

    @classmethod
    def of(cls, real):
        """From a float32 numpy array."""
        real = torch.from_numpy(np.asarray(real, np.float32))
        return cls(real, fixed_multiplier(real))

    def apply(self, acc, grid, fixed):
        """`acc` on the grid, by integers or in float32."""
        limits = {"zero_point": grid.zero_point, "qmin": grid.qmin, "qmax": grid.qmax}
        if fixed:
            return requantize(acc, self.whole, **limits)
        return requantize_float(acc, self.real, **limits)


@dataclass(frozen=True)
class Product:
    """A linear or convolutional layer: int32 sums plus an int32 bias, then back to the grid.

    `weight` holds integers, `scale` what one step of each output channel is worth. A ReLU behind it costs
    nothing: its grid begins at 0, and clipping to the grid is the ReLU.
    """

    weight: Any
    bias: Any
    scale: Any
    source: Grid
    grid: Grid
    options: dict | None
    factor: Factor

    def accumulate(self, q):
        """The int32 sums: what the products and the bias add up to."""
        if self.options is None:
            return integer_matmul(q, self.weight, x_zero=self.source.zero_point) + self.bias
        acc = integer_conv2d(q, self.weight, x_zero=self.source.zero_point, **self.options)
        return acc + self.bias[:, None, None]

    def __call__(self, q, *, fixed=True):
        return self.factor.apply(self.accumulate(q), self.grid, fixed)


@dataclass(frozen=True)
class Sum:
    """a + b, each on a grid of its own: both multipliers with one shift, added before the one rounding."""

    sources: tuple
    grid: Grid
    real: tuple
    whole: tuple
    shift: Any

    def __call__(self, a, b, *, fixed=True):
        parts = [q.long() - g.zero_point for q, g in zip((a, b), self.sources, strict=True)]
        if fixed:
            q = rounded_shift(parts[0] * self.whole[0] + parts[1] * self.whole[1], self.shift)
        else:
            q = torch.round(parts[0].float() * self.real[0] + parts[1].float() * self.real[1]).long()
        return (q + self.grid.zero_point).clamp(self.grid.qmin, self.grid.qmax).int()


@dataclass(frozen=True)
class Average:
    """The mean over all positions of an image: the division is part of the multiplier."""

    source: Grid
    grid: Grid
    factor: Factor
    shape: tuple = (-1, 1, 1)

    def __call__(self, q, *, fixed=True):
        n = q.shape[2] * q.shape[3]
        acc = q.sum((2, 3), keepdim=True, dtype=torch.int32) - n * self.source.zero_point
        return self.factor.apply(acc, self.grid, fixed).reshape(len(q), *self.shape)


@dataclass(frozen=True)
class Rectify:
    """max(x, 0) is max(q, zero_point)."""

    zero_point: int

    def __call__(self, q, *, fixed=True):
        return q.clamp(min=self.zero_point)


@dataclass(frozen=True)
class Largest:
    """Max pooling: the order of the integers is that of the numbers."""

    kernel: tuple
    stride: int
    padding: int

    def __call__(self, q, *, fixed=True):
        return integer_max_pool(q, self.kernel, stride=self.stride, padding=self.padding)


@dataclass(frozen=True)
class Reshape:
    """Nothing happens to the numbers; each image takes this shape."""

    shape: tuple

    def __call__(self, q, *, fixed=True):
        return q.reshape(len(q), *self.shape)


def make_step(node, module, sources, grid, *, bits, shapes):
    """The operation of a node of the graph on tensors with the grids `sources`, its result on `grid`.

    `shapes` are those of one image: what the node reads first, and what it gives.
    """
    before, after = shapes
    if isinstance(module, (nn.Linear, nn.Conv2d)) and not own_forward(module):
        if len(before) != (1 if isinstance(module, nn.Linear) else 3):
            allowed = "images: a row for a Linear, (channels, height, width) for a Conv2d"
            raise bad_value("what one image is to the layer", before, allowed)
        return _product(module, sources[0], grid, bits)
    if averages(node, module) and len(before) == 3:
        positions = before[1] * before[2]
        return Average(sources[0], grid, Factor.of(sources[0].scale / (positions * grid.scale)), after)
    if _adds(node) and len(sources) == 2:
        return _sum(tuple(sources), grid)
    if rectifies(node, module):
        return Rectify(grid.zero_point)
    if type(module) is nn.MaxPool2d and module.dilation == 1 and not module.ceil_mode:
        return Largest(_both(module.kernel_size), _one(module.stride), _one(module.padding))
    if reshapes(node, module) and math.prod(before) == math.prod(after):
        return Reshape(after)
    known = (
        "Linear, Conv2d, ReLU, MaxPool2d, means over all positions, reshapings of each image, and additions"
    )
    raise bad_value("an operation", called(node, module), f"{known}; fold batch norm first")


def rectifies(node, module):
    """Whether a node is a ReLU."""
    return type(module) is nn.ReLU or (module is None and node.target in RELUS)


def reshapes(node, module):
    """Whether a node moves no number: what it gives is what it gets, in another shape at most."""
    functions = node.op == "call_function" and node.target in (torch.flatten, torch.reshape)
    methods = node.op == "call_method" and node.target in ("flatten", "view", "reshape", "contiguous")
    return type(module) in (nn.Flatten, nn.Unflatten, *SAME) or functions or methods


def averages(node, module):
    """Whether a node is the mean over all positions of each channel of an image."""
    if module is not None:
        return type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1))
    options = (*node.args[1:], *node.kwargs.values())
    if node.target is F.adaptive_avg_pool2d:
        return options in ((1,), ((1, 1),))
    over = options[:1] in (((2, 3),), ((-2, -1),), ([2, 3],), ([-2, -1],)) and "dtype" not in node.kwargs
    return node.target in (torch.mean, "mean") and over


def _adds(node):
    return (
        node.op in ("call_function", "call_method")
        and called(node) in ADDITIONS
        and len(node.args) == 2
        and not node.kwargs
    )


def _product(module, source, grid, bits):
    if module._forward_hooks or (module._forward_pre_hooks and not made_by(module, "weight")):
        raise bad_value("a layer", f"{module} with hooks", "one without; hooks may change what passes")
    w, out = _wide(module.weight), len(module.weight)
    bias = torch.zeros(out) if module.bias is None else _wide(module.bias)
    most = w.abs().flatten(1).amax(1)
    # a channel of tiny weights must not have a step so small that its bias leaves the int32
    most = torch.maximum(most, bias.abs() * (2 ** (bits - 1) - 1) / (source.scale * 2.0**30))
    weights = range_grid(-most, most, bits, axis=0)
    units = (bias.double() / (source.scale * weights.scale.double())).round().to(torch.int32)
    options = None
    if isinstance(module, nn.Conv2d):
        if module.dilation != (1, 1) or module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise bad_value("a convolution", str(module), "one without dilation, padded by a number of zeros")
        options = {"stride": _one(module.stride), "padding": _one(module.padding), "groups": module.groups}
    # in the order of operations of ONNX Runtime, or the last bit differs
    factor = Factor.of(np.float32(source.scale) * weights.scale.numpy() / np.float32(grid.scale))
    return Product(quantize(w, weights), units, weights.scale, source, grid, options, factor)


def _wide(w):
    return w.detach().to(torch.promote_types(w.dtype, torch.float32))


def _sum(sources, grid):
    real = tuple(source.scale / grid.scale for source in sources)
    shift = int(fixed_multiplier(np.array(max(real))).shift)
    return Sum(sources, grid, real, tuple(round(m * 2**shift) for m in real), torch.tensor(shift))


def _both(value):
    return value if isinstance(value, tuple) else (value, value)


def _one(value):
    value = _both(value)
    if value[0] != value[1]:
        raise bad_value("a stride or padding", value, "the same in both directions")
    return value[0]
