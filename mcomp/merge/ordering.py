"""Hidden channels in an order in which masks code shorter, and dead ends removed: the function stays.

A layer of n channels has n! orders, all the same function (chapter 14), and a file could save up to log2 n!
bits by not telling which. A code that learns from row to row saves a part of it where like rows follow each
other. Which order is best depends on the code: orders are tried, and what is counted is bytes.
"""

import numpy as np
import torch

from mcomp import plain
from mcomp.arrays import bad_value, to_numpy
from mcomp.coding.positions import encode_mask
from mcomp.measure import largest_difference
from mcomp.merge.symmetry import LIMIT, permute, positions, symmetries

__all__ = ["ORDERS", "drop_dead_ends", "mask_bytes", "orders_of", "shortest_order"]

AS_IS, ORDERS = "as it is", ("by inputs", "by outputs", "like to like")


def mask_bytes(model, names=None):
    """The bytes of the mask of each parameter of two to four axes (or of `names`), as `encode_mask` has it.

    Examples
    --------
    >>> layer = torch.nn.Linear(8, 8)
    >>> layer.weight.data *= torch.arange(8) < 2
    >>> mask_bytes(layer)
    {'weight': 6}
    """
    return {
        name: len(encode_mask(to_numpy(p) != 0))
        for name, p in model.named_parameters()
        if (names is None or name in names) and 2 <= p.ndim <= 4
    }


def orders_of(model, graph, name):
    """Orders worth a try for the group `name`, a dict of int arrays (channels,), as `permute` takes them.

    "by inputs": by how many weights that make a channel are not zero, most first; "by outputs": by how many
    read it; "like to like": from the fullest channel always on to the one whose masks, of what makes and
    what reads it, share most with the last, less what they don't share.
    """
    made, read = _kept(model, graph, graph.groups[name])
    both = np.concatenate([made, read], axis=1)
    first = int(np.argmax(both.sum(1)))
    by = {"by inputs": made, "by outputs": read}
    return {how: np.argsort(-kept.sum(1), kind="stable") for how, kept in by.items()} | {
        "like to like": _chained(both, first)
    }


def shortest_order(model, x, *, output=None):
    """A copy of `model` with each group of channels in the order whose masks code shortest; same function.

    Group after group the orders of `orders_of` are tried, and the one as it is; the shortest stays.

    Parameters
    ----------
    model : torch.nn.Module
        Plain, with zeros in its weights. Not changed.
    x, output
        As of `mcomp.merge.symmetries`, which says what may be renumbered, and tries it.

    Returns
    -------
    model : torch.nn.Module
    rows : list of dict
        By group: "group", and for each order the bytes of the masks that it changes.

    Raises
    ------
    ValueError
        As `symmetries`.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    >>> small, rows = shortest_order(model, torch.ones(1, 8))
    >>> [*rows[0]]
    ['group', 'as it is', 'by inputs', 'by outputs', 'like to like']
    """
    graph, rows = symmetries(model, x, output=output), []
    for name in graph.groups:
        changed = {tensor for tensor, axis in graph.slots if _touches(graph, tensor, axis, name)}
        tried = {AS_IS: model}
        tried |= {h: permute(model, graph, {name: o}) for h, o in orders_of(model, graph, name).items()}
        sizes = {how: sum(mask_bytes(m, changed).values()) for how, m in tried.items()}
        rows.append({"group": name, **sizes})
        model = tried[min(sizes, key=sizes.get)]
    return plain.copied(model), rows


def drop_dead_ends(model, x, *, output=None):
    """A copy of `model` without weights and biases that make a channel which nobody reads; same function.

    Pruning leaves such: where all that reads a channel went, what makes it gets no gradient, and stays.
    Channels that make only dead channels go as well.

    Parameters
    ----------
    model, x, output
        As of `shortest_order`.

    Returns
    -------
    model : torch.nn.Module
    dropped : int
        How many non-zero numbers became zero.

    Raises
    ------
    ValueError
        As `symmetries`; or with a group's name if the function would change.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> model[2].weight.data[:, 1] = 0
    >>> small, dropped = drop_dead_ends(model, torch.ones(1, 3))
    >>> dropped, small[0].weight[1].tolist()
    (4, [0.0, 0.0, 0.0])
    """
    graph, small = symmetries(model, x, output=output), plain.copied(model)
    before, last = _nonzeros(small), None
    while last != (last := _nonzeros(small)):
        for group in graph.groups.values():
            _clear(small, graph, group)
    difference = largest_difference(model, small, x, output=output)
    if difference > LIMIT:
        raise bad_value("what dead ends change", difference, f"at most {LIMIT}")
    return small, before - last


def _clear(model, graph, group):
    """Set to zero, in place, the parameters that make channels of `group` which nobody reads."""
    _, read = _kept(model, graph, group)
    dead, parameters = np.flatnonzero(~read.any(1)), dict(model.named_parameters())
    for tensor, axis in graph.slots:
        places = positions(graph, tensor, axis, group) if tensor in parameters and axis == 0 else ()
        if len(places) and len(dead):
            with torch.no_grad():
                parameters[tensor][torch.as_tensor(places[dead].reshape(-1))] = 0


def _nonzeros(model):
    return sum(int(p.count_nonzero()) for p in model.parameters())


def _touches(graph, tensor, axis, name):
    return len(positions(graph, tensor, axis, graph.groups[name])) > 0


def _kept(model, graph, group):
    """Masks of what makes each channel and of what reads it: two bool arrays (channels, entries)."""
    made, read = [np.zeros((len(group.units), 0), bool)], [np.zeros((len(group.units), 0), bool)]
    parameters = dict(model.named_parameters())
    for tensor, axis in graph.slots:
        if tensor not in parameters or parameters[tensor].ndim < 2:
            continue
        places = positions(graph, tensor, axis, group)
        if len(places):
            mask = np.moveaxis(to_numpy(parameters[tensor]) != 0, axis, 0)[places]
            (made if axis == 0 else read).append(mask.reshape(len(places), -1))
    return np.concatenate(made, axis=1), np.concatenate(read, axis=1)


def _chained(kept, first):
    """From row `first` always to the one, of those left, that shares most kept entries less the unlike."""
    kept, left, order = kept.astype(np.float32), np.ones(len(kept), bool), [first]
    likeness = 3 * kept @ kept.T - kept.sum(1)  # shared, less those of the other that aren't shared
    left[first] = False
    while left.any():
        order.append(int(np.argmax(np.where(left, likeness[order[-1]], -np.inf))))
        left[order[-1]] = False
    return np.array(order)
