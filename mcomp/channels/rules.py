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
from mcomp.channels.rules_axes import cat, getitem, permute, product, quotient, reduce, reshape, total
from mcomp.channels.rules_layers import functional_layer, layer, norm

__all__ = ["FUNCTIONS", "METHODS", "MODULES", "Channels", "Step", "not_zero", "opaque", "same"]


def same(step):
    """Each channel for itself, and a zero stays zero: ReLU, pooling, dropout."""
    x = step.first()
    if x is None or any(v is not None for v in step.values()[1:]):
        return opaque(step)
    shape = step.shape()
    if shape is None or len(shape) <= x.axis or shape[x.axis] != len(x.labels):
        return opaque(step)
    return x


def not_zero(step):
    """Each channel for itself, but a zero becomes something else: sigmoid, exp."""
    x = same(step)
    return x and replace(x, zero=False)


def prelu(step):
    x = same(step)
    name = step.walk.names[id(step.module.weight)]
    if x is not None and step.walk.shapes[name][0] > 1:
        step.walk.slot(name, 0, x.labels)
    return x


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
    nn.Tanh, nn.Hardtanh, nn.Softsign, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.Upsample,
    nn.ZeroPad2d,
)  # fmt: skip
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
MODULES |= dict.fromkeys((nn.Sigmoid, nn.Hardsigmoid, nn.Softplus), not_zero)
MODULES |= {nn.Flatten: reshape, nn.PReLU: prelu}

FUNCTIONS = {
    F.linear: functional_layer, F.conv1d: functional_layer, F.conv2d: functional_layer,
    operator.add: total, operator.iadd: total, operator.sub: total, torch.add: total, torch.sub: total,
    torch.maximum: total, torch.minimum: total, operator.mul: product, operator.imul: product,
    torch.mul: product, operator.truediv: quotient, torch.div: quotient, operator.neg: same,
    torch.flatten: reshape, torch.reshape: reshape, torch.squeeze: reshape, torch.unsqueeze: reshape,
    torch.mean: reduce, torch.sum: reduce, torch.amax: reduce, torch.cat: cat, torch.permute: permute,
    operator.getitem: getitem, torch.sigmoid: not_zero, F.sigmoid: not_zero, F.hardsigmoid: not_zero,
}  # fmt: skip
_SAME_FUNCTIONS = (
    torch.relu, F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, F.hardtanh,
    torch.tanh, F.tanh, torch.abs, F.dropout, F.dropout2d, F.max_pool1d, F.max_pool2d, F.avg_pool1d,
    F.avg_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.interpolate,
)  # fmt: skip
FUNCTIONS |= dict.fromkeys(_SAME_FUNCTIONS, same)

METHODS = {
    "add": total, "add_": total, "sub": total, "mul": product, "mul_": product, "div": quotient,
    "flatten": reshape, "view": reshape, "reshape": reshape, "squeeze": reshape, "unsqueeze": reshape,
    "mean": reduce, "sum": reduce, "amax": reduce, "permute": permute, "transpose": permute,
    "sigmoid": not_zero, "relu": same, "relu_": same, "tanh": same, "abs": same, "contiguous": same,
    "clone": same, "detach": same, "float": same,
}  # fmt: skip
