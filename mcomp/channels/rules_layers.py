"""Rules for the layers with weights: linear, convolution, batch norm. A rule: see `mcomp.channels.rules`."""

import math
from dataclasses import replace

import numpy as np
from torch import fx, nn
from torch.nn import functional as F

from mcomp.channels.labels import Channels, Layer, opaque

__all__ = ["functional_layer", "layer", "norm"]


def layer(step):
    """Linear, convolution, transposed convolution: reads channels and makes new ones."""
    module, path = step.module, step.node.target
    names = [step.walk.names.get(id(p)) for p in (module.weight, module.bias)]
    swapped = bool(getattr(module, "transposed", False))
    axis = -1 if isinstance(module, nn.Linear) else 1
    return _maker(step, path, names, groups=getattr(module, "groups", 1), axis=axis, swapped=swapped)


def functional_layer(step):
    """F.linear and F.conv2d with weights that the network stores."""
    weight, bias = step.argument(1, "weight"), step.argument(2, "bias")
    if not isinstance(weight, fx.Node) or weight.op != "get_attr":
        return opaque(step)
    names = [weight.meta["stored"], bias.meta["stored"] if isinstance(bias, fx.Node) else None]
    linear = step.node.target is F.linear
    groups = 1 if linear else step.argument(6, "groups", 1)
    if groups != 1:
        return opaque(step, "has groups that are written as a number")
    path = weight.target.rpartition(".")[0] or weight.target
    return _maker(step, path, names, groups=1, axis=-1 if linear else 1, swapped=False)


def _maker(step, path, names, *, groups, axis, swapped):
    walk, x, (weight, bias) = step.walk, step.first(), names
    into, shape = step.source().meta["shape"], step.shape()
    made, read = (1, 0) if swapped else (0, 1)
    channels = walk.shapes[weight][0]  # of the input for a transposed convolution, else of the output
    counted = math.prod(into if swapped else shape) // (channels * into[0])
    if groups > 1:
        return _grouped(step, path, names, groups, counted)
    found = walk.layers.setdefault(path, Layer("maker", weight, bias, made, read))
    found.uses += counted
    _reads(step, x, walk.slot(weight, read), len(into) + axis if axis < 0 else axis)
    labels = walk.slot(weight, made)
    if bias is not None:
        walk.slot(bias, 0, labels)
    return Channels(len(shape) + axis if axis < 0 else axis, labels)


def _reads(step, x, labels, axis):
    """Tie the channels of `x` to those that a weight reads; where that can't be, they all must stay."""
    if x is None:
        step.walk.labels.freeze(labels, f"{step.name} reads them beside a tensor that isn't made by a layer")
    elif x.axis != axis or len(x.labels) != len(labels):
        opaque(step, "reads another axis than that of the channels")
        step.walk.labels.freeze(labels, f"{step.name} reads another axis than that of the channels")
    else:
        if not x.zero:
            opaque(step, "reads a value that isn't zero where the channel is (as behind a sigmoid)")
        step.walk.labels.join(labels, x.labels)


def _grouped(step, path, names, groups, counted):
    """Depthwise: a filter, or several, a channel, which go with it. Any other number of groups is refused."""
    walk, x, (weight, bias), inputs = step.walk, step.first(), names, step.source().meta["shape"][1]
    found = walk.layers.setdefault(path, Layer("scale", weight, bias, 0, None))
    found.uses += counted
    labels = walk.slot(weight, 0)
    if bias is not None:
        walk.slot(bias, 0, labels)
    why = f"is a convolution in {groups} groups, which must stay of equal size"
    if groups != inputs or step.module.transposed or x is None or x.axis != 1:
        opaque(step, why)
        walk.labels.freeze(labels, f"{step.name} {why}")
        return Channels(1, labels)
    filters = len(labels) // inputs  # of each channel, in a row
    walk.labels.join(labels, np.repeat(x.labels, filters))
    return Channels(1, labels)


def norm(step):
    """Batch and instance norm: numbers of its own for every channel."""
    x, module, path = step.first(), step.module, step.node.target
    if x is None or x.axis != 1:
        return opaque(step)
    tensors = (module.weight, module.bias, module.running_mean, module.running_var)
    weight, bias, *rest = (step.walk.names.get(id(t)) for t in tensors)
    for name in filter(None, (weight, bias, *rest)):
        step.walk.slot(name, 0, x.labels)
    if weight is not None:
        step.walk.layers.setdefault(path, Layer("scale", weight, bias, 0, None))
    return replace(x, zero=weight is not None)  # without gamma and beta it subtracts the mean from a zero
