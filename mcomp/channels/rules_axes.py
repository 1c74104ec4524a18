"""Rules for what combines tensors or moves their axes: additions, flatten, concatenation, slices."""

import math
from dataclasses import replace

import numpy as np
from torch import fx

from mcomp.channels.labels import Channels, opaque
from mcomp.channels.tracing import Size

__all__ = ["cat", "getitem", "permute", "product", "quotient", "reduce", "reshape", "squeeze", "total"]


def total(step):
    """A sum, a difference, a maximum: zero only where all parts are."""
    parts = _aligned(step)
    return parts and replace(parts[0], zero=all(v is not None and v.zero for v in parts[1]) and parts[2])


def _aligned(step):
    """None if channels can't be matched, else (channels of the result, those of the parts, no constant)."""
    operands = step.source(), step.argument(1, "other")
    tensors = [n for n in operands if isinstance(n, fx.Node) and step.shape(n) is not None]
    constants = [c for c in operands if not isinstance(c, fx.Node)]
    plain = len(tensors) == 2 or constants == [0]  # x + 0 is x, x + 1 isn't zero
    parts, ndim = [step.known.get(n) for n in tensors], len(step.shape())
    backs = {v.axis - len(step.shape(n)) for n, v in zip(tensors, parts, strict=True) if v is not None}
    if len(backs) != 1:
        return opaque(step, "joins different axes") if backs else None
    back = backs.pop()
    sizes = [step.shape(n)[back] if len(step.shape(n)) >= -back else 1 for n in tensors]
    n = step.shape()[back]
    whole = [v for v, size in zip(parts, sizes, strict=True) if size == n]
    for value, size in zip(parts, sizes, strict=True):
        if size not in (1, n) or (size == n and value is None):
            return opaque(step, "joins them with a tensor that isn't made by a layer")
        if size == 1 < n:
            step.walk.freeze([value], f"{step.name} spreads one channel over all")
    for value in whole[1:]:
        step.walk.labels.join(whole[0].labels, value.labels)
    full = [v if size == n else None for v, size in zip(parts, sizes, strict=True)]
    return Channels(ndim + back, whole[0].labels), full, plain


def product(step):
    """Zero where one of the factors is."""
    parts = _aligned(step)
    return parts and replace(parts[0], zero=any(v is not None and v.zero for v in parts[1]))


def quotient(step):
    divisor = step.argument(1, "other")
    if isinstance(divisor, fx.Node) and step.known.get(divisor) is not None:
        return opaque(step, "divides by channels")
    return product(step)


def reshape(step):
    """Flatten, view, squeeze: the channels keep an axis, or each is spread over its pixels."""
    x = step.first()
    if x is None:
        return opaque(step)
    before, after, c = step.shape(step.source()), step.shape(), len(x.labels)
    lead, rest = math.prod(before[: x.axis]), math.prod(before[x.axis + 1 :])
    for axis, size in enumerate(after):
        pixels = size // c
        fits = size == pixels * c and pixels * math.prod(after[axis + 1 :]) == rest
        if fits and math.prod(after[:axis]) == lead:
            if _is_written(step, axis):
                return opaque(step, "writes their number into its code; x.flatten(1) doesn't")
            return replace(x, axis=axis, labels=np.repeat(x.labels, pixels))
    return opaque(step, "splits them over several axes, as for heads or a shuffle of groups")


def squeeze(step):
    """Axes of size 1 go; where one channel is left, so would theirs, unless another is asked for."""
    x, dims = step.first(), step.argument(1, "dim")
    ndim = len(step.shape(step.source()))
    dims = range(ndim) if dims is None else [d % ndim for d in (dims if isinstance(dims, tuple) else (dims,))]
    if x is not None and x.axis in dims:
        return opaque(step, "drops their axis where one of them is left; x.flatten(1) doesn't")
    return reshape(step)


def _is_written(step, axis):
    """Whether ``x.view(-1, 800)`` and the like give the size of `axis` as a number."""
    if step.name not in ("view", "reshape"):
        return False
    sizes = step.node.args[1:]
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    return (
        len(sizes) > axis
        and isinstance(sizes[axis], int)
        and not isinstance(sizes[axis], Size)
        and sizes[axis] != -1
    )


def reduce(step):
    """mean, sum, amax over other axes than the channels'."""
    x, dims = step.first(), step.argument(1, "dim")
    if x is None or dims is None:
        return opaque(step)
    ndim = len(step.shape(step.source()))
    dims = {d % ndim for d in (dims if isinstance(dims, (tuple, list)) else (dims,))}
    if x.axis in dims:
        return opaque(step, "mixes the channels")
    kept = step.argument(2, "keepdim", False)
    return x if kept else replace(x, axis=x.axis - sum(d < x.axis for d in dims))


def permute(step):
    """Axes in another order: permute, transpose, movedim, ``.T``."""
    x, ndim = step.first(), len(step.shape())
    order = _order(step.name, ndim, [*step.node.args[1:], *step.node.kwargs.values()])
    return opaque(step) if x is None or order is None else replace(x, axis=order.index(x.axis))


def _order(name, ndim, given):
    """Which axis of the tensor each of the result is, or None."""
    axes = list(range(ndim))
    flat = [d for item in given for d in (item if isinstance(item, (tuple, list)) else (item,))]
    if name == "permute":
        return [d % ndim for d in flat]
    if name in ("transpose", "swapaxes", "t", "getattr"):
        if (name == "getattr" and flat not in (["T"], ["mT"])) or (flat in (["T"], []) and ndim != 2):
            return None
        a, b = (d % ndim for d in flat) if len(flat) == 2 else (ndim - 2, ndim - 1)
        axes[a], axes[b] = axes[b], axes[a]
        return axes
    if name == "movedim" and len(flat) == 2:
        axes.insert(flat[1] % ndim, axes.pop(flat[0] % ndim))
        return axes
    return None


def cat(step):
    """Side by side along the channels; along another axis they must be the same channels."""
    nodes, axis = step.source(), step.argument(1, "dim", 0) % len(step.shape())
    parts = [v if isinstance(v, Channels) else None for v in map(step.known.get, nodes)]
    found = [v for v in parts if v is not None]
    if not found or any(v.axis != found[0].axis for v in found):
        return opaque(step, "joins different axes")
    if axis != found[0].axis:
        if len(found) < len(parts):
            return opaque(step, "joins them with a tensor that isn't made by a layer")
        for value in found[1:]:
            step.walk.labels.join(found[0].labels, value.labels)
        return replace(found[0], zero=all(v.zero for v in found))
    pieces = [_stays(step, n) if v is None else v.labels for n, v in zip(nodes, parts, strict=True)]
    return Channels(axis, np.concatenate(pieces), all(v.zero for v in found))


def _stays(step, node):
    labels = step.walk.labels.fresh(step.shape(node)[step.argument(1, "dim", 0)])
    step.walk.labels.freeze(labels, "they aren't made by a layer")
    return labels


def getitem(step):
    """``x[:, :, ::2]``, ``w[None, :]``: the channels' axis must be taken whole. Or one of a chunk."""
    items = step.node.args[1]
    found = step.known.get(step.source())
    if isinstance(found, tuple):
        return found[items] if isinstance(items, int) else opaque(step)
    x, items = step.first(), items if isinstance(items, tuple) else (items,)
    if x is None or not all(item is None or item is ... or isinstance(item, (slice, int)) for item in items):
        return opaque(step, "picks some of them")
    items = _spelled_out(items, len(step.shape(step.source())))
    before, after = 0, 0  # axes passed in the tensor, and in what is taken of it
    for item in items:
        if item is not None and before == x.axis:
            return replace(x, axis=after) if item == slice(None) else opaque(step, "picks some of them")
        before += item is not None
        after += not isinstance(item, int)
    return replace(x, axis=after + x.axis - before)


def _spelled_out(items, ndim):
    """With as many ``:`` as ``...`` stands for."""
    for at, item in enumerate(items):
        if item is ...:
            missing = ndim - sum(i is not None for i in items) + 1
            return (*items[:at], *[slice(None)] * missing, *items[at + 1 :])
    return items
