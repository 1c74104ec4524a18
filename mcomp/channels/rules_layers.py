"""Rules for the layers with weights: linear, convolution, batch norm. A rule: see `mcomp.channels.rules`."""

import math
from dataclasses import replace

import numpy as np
from torch import fx, nn
from torch.nn import functional as F

from mcomp.channels.labels import Channels, Layer, opaque

__all__ = ["functional_layer", "functional_norm", "layer", "norm"]


def layer(step):
    """Linear, convolution, transposed convolution: reads channels and makes new ones."""
    module, path = step.module, step.node.target
    names = [step.walk.names.get(id(p)) for p in (module.weight, module.bias)]
    swapped = bool(getattr(module, "transposed", False))
    return _maker(step, path, names, groups=getattr(module, "groups", 1), swapped=swapped)


def functional_layer(step):
    """F.linear and F.conv2d with weights that the network stores."""
    weight, bias = step.argument(1, "weight"), step.argument(2, "bias")
    if not isinstance(weight, fx.Node) or weight.op != "get_attr" or weight.meta.get("stored") is None:
        return opaque(step, "has a weight that the network computes")
    names = [weight.meta["stored"], bias.meta["stored"] if isinstance(bias, fx.Node) else None]
    groups = 1 if step.node.target is F.linear else step.argument(6, "groups", 1)
    if groups != 1 and not isinstance(weight.meta["owner"], nn.modules.conv._ConvNd):
        return opaque(step, "has groups that are written as a number")  # a convolution counts its own anew
    return _maker(step, _path(step.walk, weight), names, groups=groups, swapped=False)


def _path(walk, weight):
    """The module that holds a weight; where it holds several, the weight's own name from the second on."""
    path = weight.target.rpartition(".")[0]
    taken = path in walk.layers and walk.layers[path].weight != weight.meta["stored"]
    return weight.target if taken or not path else path


def _maker(step, path, names, *, groups, swapped):
    walk, x, (weight, bias) = step.walk, step.first(), names
    into, shape = step.shape(step.source()), step.shape()
    made, read = (1, 0) if swapped else (0, 1)
    positions = max(len(walk.shapes[weight]) - 2, 0)
    axis = len(into) - 1 - positions  # 0 where there is no batch
    channels = walk.shapes[weight][0]  # of the input for a transposed convolution, else of the output
    counted = math.prod(into if swapped else shape) // (channels * (into[0] if axis else 1))
    if groups > 1:
        return _grouped(step, path, names, groups, counted, axis)
    found = walk.layers.setdefault(path, Layer("maker", weight, bias, made, read))
    found.uses += counted
    _reads(step, x, walk.slot(weight, read), axis)
    labels = walk.slot(weight, made)
    if bias is not None:
        walk.slot(bias, 0, labels)
    return Channels(axis, labels)


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


def _grouped(step, path, names, groups, counted, axis):
    """Depthwise: a filter, or several, a channel, which go with it. Any other number of groups is refused."""
    walk, x, (weight, bias) = step.walk, step.first(), names
    found = walk.layers.setdefault(path, Layer("scale", weight, bias, 0, None))
    found.uses += counted
    inputs, outputs = (step.shape(node)[axis] for node in (step.source(), step.node))
    if groups != inputs or x is None or x.axis != axis:
        why = f"is a convolution in {groups} groups, which must stay of equal size"
        for name in filter(None, names):
            walk.close(name, f"{step.name} {why}")
        return opaque(step, why)
    labels = walk.slot(weight, 0)
    filters = outputs // inputs  # of each channel, in a row; a transposed one holds them along another axis
    made = labels if len(labels) == outputs else np.repeat(labels, filters)
    walk.labels.join(made, np.repeat(x.labels, filters))
    if bias is not None:
        walk.slot(bias, 0, made)
    return Channels(axis, made)


def norm(step):
    """Batch and instance norm: numbers of its own for every channel."""
    module = step.module
    tensors = (module.weight, module.bias, module.running_mean, module.running_var)
    names = [step.walk.names.get(id(t)) for t in tensors]
    axis = 1
    if isinstance(module, nn.modules.instancenorm._InstanceNorm):
        axis = len(step.shape()) - 1 - int(type(module).__name__[-2])
    return _scaled(step, step.node.target, names, axis)


def functional_norm(step):
    """F.batch_norm with what the network stores."""
    named = ((3, "weight"), (4, "bias"), (1, "running_mean"), (2, "running_var"))
    nodes = [step.argument(at, name) for at, name in named]
    names = [node.meta.get("stored") if isinstance(node, fx.Node) else None for node in nodes]
    if any(name is None for name, node in zip(names, nodes, strict=True) if node is not None):
        return opaque(step, "has weights that the network computes")
    path = None if nodes[0] is None else _path(step.walk, nodes[0])
    return _scaled(step, path, names, 1)


def _scaled(step, path, names, axis):
    x, (weight, bias, *_) = step.first(), names
    if x is None:
        return opaque(step, "reads a tensor whose channels aren't followed")
    if x.axis != axis:
        return opaque(step, "normalizes along another axis than that of the channels")
    for name in filter(None, names):
        step.walk.slot(name, 0, x.labels)
    if weight is not None:
        step.walk.layers.setdefault(path, Layer("scale", weight, bias, 0, None))
    return replace(x, zero=weight is not None)  # without gamma and beta it subtracts the mean from a zero
