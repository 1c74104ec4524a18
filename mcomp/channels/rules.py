"""What each operation does with channels: one small rule an operation, and the tables that name them.

A rule takes a `Step` and returns the `Channels` of the result, or None where no channel can be followed.
What has no rule is opaque: the channels that go in are frozen, with the operation's name as the reason.
"""

import operator
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.channels.labels import Channels, Step, opaque
from mcomp.channels.rules_axes import (
    cat,
    getitem,
    permute,
    product,
    quotient,
    reduce,
    reshape,
    squeeze,
    total,
)
from mcomp.channels.rules_layers import functional_layer, functional_norm, layer, norm
from mcomp.channels.rules_parts import (
    chunk,
    expand,
    expand_as,
    glu,
    pixel_shuffle,
    pixel_unshuffle,
    shuffle,
    stack,
)
from mcomp.channels.rules_spatial import clamp, layer_norm, pad, pool, power, prelu, same, upsample

__all__ = [
    "FUNCTIONS",
    "HINTS",
    "METHODS",
    "MODULES",
    "Channels",
    "Step",
    "layer",
    "layer_norm",
    "norm",
    "not_zero",
    "opaque",
    "pool",
    "same",
]


def not_zero(step):
    """Each channel for itself, but a zero becomes something else: sigmoid, exp."""
    x = same(step)
    return x and replace(x, zero=False)


_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
_SAME = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Tanh, nn.Hardtanh, nn.Softsign, nn.Tanhshrink, nn.Hardshrink, nn.Softshrink, nn.Identity, nn.Dropout,
    nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
)  # fmt: skip
_POOLS = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.LPPool1d,
    nn.LPPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
_PADS = (
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    nn.ReplicationPad3d,
)  # fmt: skip
_UPSAMPLES = (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
_OVER = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

MODULES = dict.fromkeys(_LAYERS, layer) | dict.fromkeys(_NORMS, norm) | dict.fromkeys(_SAME, same)
MODULES |= dict.fromkeys(_POOLS, pool) | dict.fromkeys(_PADS, pad) | dict.fromkeys(_UPSAMPLES, upsample)
MODULES |= dict.fromkeys((nn.Sigmoid, nn.Hardsigmoid, nn.Softplus, nn.LogSigmoid), not_zero)
MODULES |= dict.fromkeys(_OVER, layer_norm)
MODULES |= {
    nn.Flatten: reshape, nn.Unflatten: reshape, nn.PReLU: prelu, nn.GLU: glu, nn.PixelShuffle: pixel_shuffle,
    nn.PixelUnshuffle: pixel_unshuffle, nn.ChannelShuffle: shuffle,
}  # fmt: skip

# Why a module without a rule stays, where more can be said than that it has none.
_BACK = "feeds its channels back into itself"
_HEADS = (
    "holds its heads in one matrix; the MLP beside it, nn.Sequential(dense, activation, dense), has a graph"
)
HINTS = {
    nn.MultiheadAttention: _HEADS, nn.LSTM: _BACK, nn.GRU: _BACK, nn.RNN: _BACK,
    nn.Embedding: "makes vectors from numbers",
}  # fmt: skip

FUNCTIONS = {
    F.linear: functional_layer, F.conv1d: functional_layer, F.conv2d: functional_layer,
    F.conv3d: functional_layer, F.batch_norm: functional_norm,
    operator.add: total, operator.iadd: total, operator.sub: total, operator.isub: total, torch.add: total,
    torch.sub: total, torch.maximum: total, torch.minimum: total, operator.mul: product,
    operator.imul: product, torch.mul: product, operator.truediv: quotient, torch.div: quotient,
    operator.neg: same, torch.neg: same, torch.flatten: reshape, torch.reshape: reshape,
    torch.squeeze: squeeze, torch.unsqueeze: reshape, torch.unflatten: reshape, torch.mean: reduce,
    torch.sum: reduce, torch.amax: reduce, torch.cat: cat, torch.concat: cat, torch.stack: stack,
    torch.chunk: chunk, F.glu: glu, F.pixel_shuffle: pixel_shuffle, F.pixel_unshuffle: pixel_unshuffle,
    F.pad: pad, F.interpolate: upsample, F.upsample: upsample, torch.permute: permute,
    torch.transpose: permute, torch.swapaxes: permute, torch.movedim: permute, getattr: permute,
    operator.getitem: getitem, torch.sigmoid: not_zero, F.sigmoid: not_zero, F.hardsigmoid: not_zero,
    torch.clamp: clamp, torch.pow: power, operator.pow: power, F.softplus: not_zero, F.logsigmoid: not_zero,
    torch.exp: not_zero,
}  # fmt: skip
_SAME_FUNCTIONS = (
    torch.relu, torch.relu_, F.relu, F.relu_, F.relu6, F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu,
    F.mish, F.hardswish, F.hardtanh, torch.tanh, F.tanh, torch.abs, torch.square, F.dropout, F.dropout1d,
    F.dropout2d, F.dropout3d, F.softsign,
)  # fmt: skip
_POOL_FUNCTIONS = (
    F.max_pool1d, F.max_pool2d, F.max_pool3d, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.adaptive_avg_pool1d,
    F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, F.adaptive_max_pool1d, F.adaptive_max_pool2d,
    F.adaptive_max_pool3d,
)  # fmt: skip
FUNCTIONS |= dict.fromkeys(_SAME_FUNCTIONS, same) | dict.fromkeys(_POOL_FUNCTIONS, pool)

METHODS = {
    "add": total, "add_": total, "sub": total, "sub_": total, "mul": product, "mul_": product,
    "div": quotient, "div_": quotient, "flatten": reshape, "view": reshape, "reshape": reshape,
    "unflatten": reshape, "squeeze": squeeze, "unsqueeze": reshape, "mean": reduce, "sum": reduce,
    "amax": reduce, "permute": permute, "transpose": permute, "swapaxes": permute, "movedim": permute,
    "t": permute, "chunk": chunk, "expand": expand, "expand_as": expand_as, "sigmoid": not_zero,
    "exp": not_zero, "clamp": clamp, "clamp_": clamp, "clip": clamp, "pow": power,
}  # fmt: skip
_SAME_METHODS = (
    "relu", "relu_", "tanh", "abs", "neg", "square", "contiguous", "clone", "detach", "float", "double", "to",
    "type_as",
)  # fmt: skip
METHODS |= dict.fromkeys(_SAME_METHODS, same)
