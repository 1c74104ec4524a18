"""Rules that take channels apart and put them together: chunk, gates, stacks, shuffles of pixels."""

from dataclasses import replace

import numpy as np

from mcomp.channels.labels import Channels, opaque

__all__ = ["chunk", "expand", "expand_as", "glu", "pixel_shuffle", "pixel_unshuffle", "shuffle", "stack"]


def chunk(step):
    """Equal parts along the channels: entry i of each leaves with entry i of the others."""
    x, count = step.first(), step.argument(1, "chunks")
    if x is None:
        return opaque(step)
    axis = step.argument(2, "dim", 0) % len(step.shape(step.source()))
    if axis != x.axis:
        return (x,) * count
    if len(x.labels) % count:
        return opaque(step, f"cuts {len(x.labels)} of them into {count} parts")
    parts = _alike(step, x.labels.reshape(count, -1))
    return tuple(replace(x, labels=part) for part in parts)


def _alike(step, rows):
    """Join row by row: what is in one column leaves together."""
    for row in rows[1:]:
        step.walk.labels.join(rows[0], row)
    return rows


def glu(step):
    """The first half times the sigmoid of the second."""
    x = step.first()
    axis = getattr(step.module, "dim", None)
    axis = step.argument(1, "dim", -1) if axis is None else axis
    if x is None or axis % len(step.shape()) != x.axis:
        return opaque(step)
    return replace(x, labels=_alike(step, x.labels.reshape(2, -1))[0])  # 0 · sigmoid(0) is 0


def stack(step):
    """Along a new axis: then all must be the same channels."""
    nodes, axis = step.source(), step.argument(1, "dim", 0) % len(step.shape())
    parts = [step.known.get(node) for node in nodes]
    if any(v is None or v.axis != parts[0].axis for v in parts):
        return opaque(step, "joins them with a tensor that isn't made by a layer")
    _alike(step, [v.labels for v in parts])
    return replace(parts[0], axis=parts[0].axis + (axis <= parts[0].axis), zero=all(v.zero for v in parts))


def pixel_shuffle(step):
    """r² channels in a row become the pixels of one."""
    x, r = step.first(), _factor(step)
    if x is None or x.axis != len(step.shape()) - 3:
        return opaque(step)
    return replace(x, labels=_alike(step, x.labels.reshape(-1, r * r).T)[0])


def pixel_unshuffle(step):
    x, r = step.first(), _factor(step)
    if x is None or x.axis != len(step.shape()) - 3:
        return opaque(step)
    return replace(x, labels=np.repeat(x.labels, r * r))


def _factor(step):
    module = step.module
    if module is None:
        return next(a for a in (*step.node.args[1:], *step.node.kwargs.values()) if isinstance(a, int))
    return getattr(module, "upscale_factor", None) or module.downscale_factor


def shuffle(step):
    """nn.ChannelShuffle: entry i of each group leaves with entry i of the others."""
    x = step.first()
    if x is None or x.axis != 1:
        return opaque(step)
    groups = step.module.groups if step.module is not None else step.argument(1, "groups")
    return replace(x, labels=_alike(step, x.labels.reshape(groups, -1)).T.flatten())


def expand(step):
    """More positions for each channel; how many channels there are must not be written as a number."""
    x, sizes = step.first(), step.node.args[1:]
    if x is None or not sizes:
        return opaque(step)
    axis = x.axis + len(step.shape()) - len(step.shape(step.source()))
    sizes = sizes[0] if isinstance(sizes[0], (tuple, list)) else sizes
    if step.shape()[axis] != len(x.labels) or (type(sizes[axis]) is int and sizes[axis] != -1):
        return opaque(step, "writes their number into its code, or spreads one over all")
    return Channels(axis, x.labels, x.zero)


def expand_as(step):
    """As many positions as another tensor has, of the same channels."""
    x, other = step.first(), step.known.get(step.argument(1, "other"))
    if x is None or not isinstance(other, Channels):
        return opaque(step, "spreads them over a tensor that isn't made by a layer")
    axis = x.axis + len(step.shape()) - len(step.shape(step.source()))
    if axis != other.axis or len(x.labels) != len(other.labels):
        return opaque(step, "joins different axes")
    step.walk.labels.join(x.labels, other.labels)
    return Channels(axis, x.labels, x.zero)
