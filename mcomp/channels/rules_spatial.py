"""Rules for what works along positions, which the channels' axis must not be: pooling, padding, resizing."""

from dataclasses import replace

from torch import nn

from mcomp.channels.labels import opaque

__all__ = ["clamp", "layer_norm", "pad", "pool", "power", "prelu", "same", "upsample"]


def same(step):
    """Each channel for itself, and a zero stays zero: ReLU, dropout."""
    x = step.first()
    if x is None or any(v is not None for v in step.values()[1:]):
        return opaque(step)
    shape = step.shape()
    if shape is None or len(shape) <= x.axis or shape[x.axis] != len(x.labels):
        return opaque(step)
    return x


def clamp(step):
    """Each channel for itself; zero stays zero between the bounds."""
    x, low, high = same(step), step.argument(1, "min"), step.argument(2, "max")
    return x and replace(x, zero=x.zero and (low is None or low <= 0) and (high is None or high >= 0))


def power(step):
    exponent = step.argument(1, "exponent")
    return same(step) if isinstance(exponent, (int, float)) and exponent > 0 else opaque(step)


def pool(step):
    """As `same`, along as many of the last axes as the name says: MaxPool2d, avg_pool1d."""
    name = step.node.target if step.module is None else type(step.module)
    digits = [c for c in getattr(name, "__name__", str(name)) if c in "123"]
    return _beside(step, int(digits[-1]))


def upsample(step):
    """As `same`, along all axes behind the second."""
    return _beside(step, len(step.shape(step.source())) - 2)


def _beside(step, count):
    """`same` if the channels' axis isn't one of the last `count`."""
    x = step.first()
    if x is not None and x.axis >= len(step.shape(step.source())) - count:
        return opaque(step, "works along the channels' axis as if it counted positions")
    return same(step)


def pad(step):
    """Positions more or fewer, along other axes than the channels'."""
    if step.module is not None:
        sizes, mode, value = step.module.padding, "constant", getattr(step.module, "value", 0)
    else:
        sizes, mode = step.argument(1, "pad"), step.argument(2, "mode", "constant")
        value = step.argument(3, "value", 0)
    count = len(sizes) // 2
    x = _beside(step, count)
    return x and replace(x, zero=x.zero and (mode != "constant" or not value))


def prelu(step):
    """A slope for all, or one for each entry of the second axis."""
    x, weight = step.first(), step.walk.names.get(id(step.module.weight))
    if x is None or step.walk.shapes[weight][0] == 1:
        return same(step)
    if x.axis != 1:
        return opaque(step, "has a slope for each entry of another axis than that of the channels")
    step.walk.slot(weight, 0, x.labels)
    return x


def layer_norm(step):
    """Layer norm beside the channels is each for itself; over them, a channel of zeros counts in the mean."""
    x, module = step.first(), step.module
    if x is None:
        return opaque(step, "reads a tensor whose channels aren't followed")
    over = isinstance(module, nn.GroupNorm)
    if over or x.axis >= len(step.shape()) - len(module.normalized_shape):
        return opaque(step, "normalizes over the channels: one of zeros changes what becomes of the others")
    x = same(step)
    return x and replace(x, zero=x.zero and getattr(module, "bias", None) is None)
