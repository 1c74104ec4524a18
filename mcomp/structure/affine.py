"""Layers as affine maps, x -> w * x + b, and two laws: a chain of two is one, a sum is one.

A Linear is a convolution without spatial axes; a batch norm at inference and the identity are convolutions
of size 1 that keep the channels apart. All numbers are float64. The
sum is that of RepVGG (Ding et al. 2021, arXiv:2101.03697, section 3.3).
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from mcomp.arrays import bad_value
from mcomp.structure.fold import folded
from mcomp.structure.norms import numbers_of

__all__ = ["Affine", "after", "identity", "of_layer", "of_norm", "summed", "to_layer"]

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@dataclass(frozen=True)
class Affine:
    """Weight (out, in / groups, *size) and bias (out,) with the options of a convolution; see `of_layer`."""

    w: torch.Tensor
    b: torch.Tensor
    stride: tuple = ()
    padding: tuple = ()
    dilation: tuple = ()
    groups: int = 1
    mode: str = "zeros"

    @property
    def size(self):
        """Of the kernel, an int for each spatial axis; () for a Linear."""
        return tuple(self.w.shape[2:])

    @property
    def pointwise(self):
        """Whether each output looks at one position."""
        return all(n == 1 for n in self.size) and not any(self.padding)

    @property
    def apart(self):
        """Whether it only scales and shifts each channel."""
        return self.pointwise and self.groups == len(self.w) and self.w.shape[1] == 1


def of_layer(layer):
    """The map of a Linear or a convolution (Conv1d, Conv2d, Conv3d).

    Raises
    ------
    ValueError
        If its padding "same" isn't the same on both sides.
    """
    w = layer.weight.detach().double()
    b = w.new_zeros(len(w)) if layer.bias is None else layer.bias.detach().double()
    if isinstance(layer, nn.Linear):
        return Affine(w, b)
    reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    if layer.padding == "same" and any(r % 2 for r in reach):
        raise bad_value("padding", f"'same' for a kernel {layer.kernel_size}", "as much on both sides")
    padding = {"same": tuple(r // 2 for r in reach), "valid": (0,) * len(reach)}
    padding = padding[layer.padding] if isinstance(layer.padding, str) else tuple(layer.padding)
    return Affine(w, b, tuple(layer.stride), padding, tuple(layer.dilation), layer.groups, layer.padding_mode)


def of_norm(norm, axes):
    """The map of a batch norm in evaluation mode, over `axes` spatial axes."""
    one = torch.ones_like(norm.running_mean, dtype=torch.float64)
    return _apart(*folded(one, 0 * one, **numbers_of(norm)), axes)


def identity(channels, axes, *, device=None):
    """The map that gives what it gets."""
    one = torch.ones(channels, dtype=torch.float64, device=device)
    return _apart(one, 0 * one, axes)


def _apart(scale, shift, axes):
    ones = (1,) * axes
    return Affine(scale.reshape(-1, 1, *ones), shift, ones, (0,) * axes, ones, groups=len(scale))


def after(second, first):
    """The one map that equals ``second(first(x))``.

    Raises
    ------
    ValueError
        If it is none, or one with a larger kernel: neither looks at single positions; the first has a bias,
        which the zeros that the second pads with haven't; groups that don't fit.

    Examples
    --------
    >>> double, shift = of_layer(nn.Linear(1, 1)), of_layer(nn.Linear(1, 1))
    >>> double = replace(double, w=torch.tensor([[2.0]]), b=torch.tensor([0.0]))
    >>> shift = replace(shift, w=torch.tensor([[1.0]]), b=torch.tensor([5.0]))
    >>> after(double, shift).b, after(shift, double).b
    (tensor([10.]), tensor([5.]))
    """
    if second.pointwise:
        w = _rows(second, first)
        b = second.b + _times(second, first.b)
        stride = tuple(s * t for s, t in zip(first.stride, second.stride, strict=True))
        return replace(first, w=w, b=b, stride=stride)
    if not first.pointwise:
        raise bad_value("the kernels", f"{first.size} and {second.size}", "a 1 x 1 among them")
    if any(n != 1 for n in first.stride):
        raise bad_value("the first layer's stride", first.stride, "1 where a larger kernel follows")
    if any(second.padding) and second.mode == "zeros" and bool(first.b.any()):
        raise bad_value(
            "the first layer's bias", "not 0", "0 where the second layer pads with zeros, which get no bias"
        )
    total = second.w.flatten(2).sum(2)  # a bias reaches each output through the whole kernel
    b = second.b + _times(replace(second, w=total), first.b)
    return replace(second, w=_columns(second, first), b=b)


def _rows(second, first):
    """The weight of a pointwise map behind any other."""
    if second.apart:
        return second.w.reshape(-1, *(1,) * (first.w.ndim - 1)) * first.w
    _same_groups(second, first)
    return torch.tensordot(second.w.flatten(1), first.w, 1)


def _columns(second, first):
    """The weight of any map behind a pointwise one."""
    if not first.apart:
        _same_groups(second, first)
        return torch.tensordot(second.w, first.w.flatten(1), ([1], [0])).movedim(-1, 1)
    scale = first.w.reshape(second.groups, 1, second.w.shape[1], *(1,) * len(second.size))
    return (second.w.unflatten(0, (second.groups, -1)) * scale).flatten(0, 1)


def _times(layer, v):
    """What a map whose kernel was summed up makes of the same channels `v` everywhere."""
    w = layer.w.flatten(1).unflatten(0, (layer.groups, -1))  # (groups, out / groups, in / groups)
    return torch.einsum("goi,gi->go", w, v.reshape(layer.groups, -1)).flatten()


def _same_groups(second, first):
    if (first.groups, second.groups) != (1, 1):
        raise bad_value("groups", f"{first.groups} and {second.groups}", "1 and 1")


def summed(maps):
    """The one map that equals the sum of several, each of the same input.

    Kernels are padded with zeros to the size of the largest, so that all look at the same centre.

    Raises
    ------
    ValueError
        If strides, groups, ways of padding or the sizes of the outputs differ, or one is dilated.
    """
    if len({x.stride for x in maps}) > 1:
        raise bad_value("the strides of the branches", [x.stride for x in maps], "the same")
    if any(d > 1 for x in maps for d in x.dilation):
        raise bad_value("the dilation of a branch", [x.dilation for x in maps], "1")
    modes = {x.mode for x in maps if any(x.padding)}
    if len(modes) > 1:
        raise bad_value("the branches' ways of padding", sorted(modes), "the same")
    together = [x.groups for x in maps if not x.apart] or [len(maps[0].w)]
    if len(set(together)) > 1:
        raise bad_value("the groups of the branches", together, "the same")
    short = [tuple(2 * p - k for p, k in zip(x.padding, x.size, strict=True)) for x in maps]
    if len(set(short)) > 1:
        raise bad_value(
            "the sizes of the branches' outputs", "different", "the same: 2 padding - kernel size"
        )
    padding = tuple(max(x.padding[a] for x in maps) for a in range(len(short[0])))
    w = sum(_embedded(x, padding, together[0]) for x in maps)
    mode = next(iter(modes), "zeros")
    return replace(maps[0], w=w, b=sum(x.b for x in maps), padding=padding, groups=together[0], mode=mode)


def _embedded(x, padding, groups):
    """The weight of `x` in a kernel that is padded by `padding`, in so many groups."""
    w = x.w
    if x.apart and x.groups != groups:
        per = len(w) // groups  # channels of a group
        places = torch.arange(len(w), device=w.device) % per
        w = w.new_zeros(len(w), per, *x.size).index_put((torch.arange(len(w)), places), w[:, 0])
    more = [p - q for p, q in zip(padding, x.padding, strict=True)]
    return nn.functional.pad(w, [n for n in reversed(more) for _ in range(2)])


def to_layer(x, like):
    """The layer with this map: a Linear, or a convolution; dtype, device and whether it trains are `like`'s.

    Raises
    ------
    ValueError
        If a number doesn't fit into the dtype.
    """
    device, dtype = like.weight.device, like.weight.dtype
    inputs, axes = x.w.shape[1] * x.groups, len(x.size)
    if axes:
        layer = CONVOLUTIONS[axes](
            inputs, len(x.w), x.size, x.stride, x.padding, x.dilation, x.groups, True, x.mode,
            device=device, dtype=dtype,
        )  # fmt: skip
    else:
        layer = nn.Linear(inputs, len(x.w), device=device, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(x.w)
        layer.bias.copy_(x.b)
    if not bool(layer.weight.isfinite().all() and layer.bias.isfinite().all()):
        raise bad_value("the merged weights", "infinite", f"numbers that fit into {dtype}")
    return layer.requires_grad_(like.weight.requires_grad).train(like.training)
