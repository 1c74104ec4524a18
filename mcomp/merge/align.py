"""Hidden channels have no order: renumber those of one network so that they match another's.

Which rows, columns and batch norm entries make up one channel, and which layers share their channels (all
that write into one residual stream), is what the channel graph of chapter 04 says. Weight matching and
activation matching: Ainsworth et al. 2023 (Git Re-Basin, arXiv:2209.04836, sections 3.1 and 3.2).
"""

import numpy as np
import torch

from mcomp import plain
from mcomp.arrays import bad_value, check_int
from mcomp.channels import channel_graph
from mcomp.measure import largest_difference
from mcomp.merge.assignment import assign
from mcomp.sparse_training.chance import own_seed
from mcomp.train import evaluating
from mcomp.watch import watch

__all__ = ["match_activations", "match_weights", "permute", "random_orders", "symmetries"]

LIMIT = 1e-9  # of a relative difference in float64, where sums run in another order


def symmetries(model, x, *, output=None):
    """The channel graph of `model`, of which every group may be renumbered: tried, in float64.

    Parameters
    ----------
    model : torch.nn.Module
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        A few inputs.
    output : what picks the logits, see `mcomp.calling.pick`

    Returns
    -------
    graph : mcomp.channels.ChannelGraph
        `graph.refused` says which layers keep their order, and why.

    Raises
    ------
    ValueError
        As `mcomp.channels.channel_graph`; or with a group's name, if the network with that group in another
        order is another function.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> list(symmetries(model, torch.ones(1, 2)).groups)
    ['0']
    """
    graph = channel_graph(model, x)
    for name, order in random_orders(graph, seed=0).items():
        difference = largest_difference(model, permute(model, graph, {name: order}), x, output=output)
        if difference > LIMIT:
            found = f"{name}, in another order another function by {difference:.1e}"
            raise bad_value("the group", found, "one whose channels have no order")
    return graph


def random_orders(graph, *, seed):
    """A random order of every group: dict of name to int array, of a stream of its own."""
    rng = np.random.default_rng(own_seed("an order of channels", check_int("seed", seed, 0)))
    return {name: rng.permutation(len(group.units)) for name, group in graph.groups.items()}


def permute(model, graph, orders):
    """A copy of `model` that computes the same with its channels in another order.

    Parameters
    ----------
    model : torch.nn.Module
        Of the graph's shapes. Not changed.
    graph : mcomp.channels.ChannelGraph
        As `symmetries` gives it.
    orders : dict of group name to int array (channels,)
        Channel i of the copy is channel ``order[i]`` of `model`. Groups left out stay.

    Raises
    ------
    ValueError
        If a group is unknown, or an order isn't a permutation of its channels.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> graph = symmetries(model, torch.ones(1, 1))
    >>> turned = permute(model, graph, {"0": [1, 0]})
    >>> bool((turned[0].weight == model[0].weight.flip(0)).all())
    True
    """
    orders = {name: _order(graph, name, order) for name, order in orders.items()}
    turned = plain.copied(model)
    tensors = _tensors(turned)
    with torch.no_grad():
        for name in {name for name, _ in graph.slots}:
            tensors[name].copy_(_turned(tensors[name], name, graph, orders))
    return turned


def match_weights(a, b, graph, *, seed=0):
    """Orders that bring the channels of `b` nearest to those of `a`: the most of <w_a, order(w_b)>.

    One group after the other, in random order, by `assign` with all others held, until none gains:
    coordinate descent, algorithm 1 of arXiv:2209.04836, which ends in a local optimum. A group is only
    renumbered where the sum over all tensors truly grows: where a layer reads and makes channels of one
    group (a shortcut), the assignment alone doesn't promise that.

    Parameters
    ----------
    a, b : torch.nn.Module
        Of one shape.
    graph : mcomp.channels.ChannelGraph
        Of either, as `symmetries` gives it.
    seed : int
        Of the order in which groups are visited.

    Returns
    -------
    orders : dict of group name to int array, for ``permute(b, graph, orders)``
    """
    left, right = (_parameters(model, graph) for model in (a, b))
    rng = np.random.default_rng(own_seed("the order of groups", check_int("seed", seed, 0)))
    orders = {name: np.arange(len(group.units)) for name, group in graph.groups.items()}
    names, moved = list(orders), True
    while moved:
        moved = False
        for name in rng.permutation(names):
            tried = {**orders, name: assign(_gain(left, right, graph, orders, name))}
            before, after = (_agreement(left, right, graph, found, name) for found in (orders, tried))
            if after > before + 1e-12 * max(1.0, abs(before)):
                orders, moved = tried, True
    return orders


def match_activations(a, b, graph, x, *, batch_size=1000):
    """Orders by what the channels answer: the most of the correlations between those of `a` and of `b`.

    Parameters
    ----------
    a, b, graph
        As in `match_weights`.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Unlabelled inputs, a few hundred for instance. A channel that never changes correlates with none.

    Raises
    ------
    ValueError
        If a layer of a group isn't a module that the network calls (the message names it).
    """
    layers = [name for group in graph.groups.values() for name in group.layers]
    seen = [_outputs(model, x, graph, layers, batch_size) for model in (a, b)]
    orders = {}
    for name, group in graph.groups.items():
        gain = 0.0
        for layer in group.layers:
            places = _positions(graph, graph.layers[layer].weight, graph.layers[layer].made, group)[:, 0]
            left, right = (outputs[layer][:, places] for outputs in seen)
            gain = gain + (left.T @ right).numpy()
        orders[name] = assign(gain)
    return orders


def _outputs(model, x, graph, layers, batch_size):
    """What each layer makes, centred, of length 1: dict of name to tensor (positions, channels)."""
    found = {}

    def look(name, layer, y):
        axis = -1 if isinstance(layer, torch.nn.Linear) else 1
        found.setdefault(name, []).append(y.detach().double().movedim(axis, -1).flatten(0, -2))

    with evaluating(model):
        watch(model, x, look, names=layers, outputs=True, batch_size=batch_size)
    centred = {name: torch.cat(parts) - torch.cat(parts).mean(0) for name, parts in found.items()}
    return {name: y / y.norm(dim=0).clamp_min(1e-30) for name, y in centred.items()}


def _order(graph, name, order):
    if name not in graph.groups:
        raise bad_value("the group", name, f"one of {', '.join(graph.groups)}")
    order, n = np.asarray(order), len(graph.groups[name].units)
    if order.dtype.kind not in "iu" or sorted(order.ravel().tolist()) != [*range(n)] or order.ndim != 1:
        raise bad_value(f"the order of {name}", order.tolist(), f"each of 0 to {n - 1} once")
    return order


def _tensors(model):
    return dict([*model.named_parameters(), *model.named_buffers()])


def _parameters(model, graph):
    tensors = _tensors(model)
    for name, shape in graph.shapes.items():
        if name not in tensors or tuple(tensors[name].shape) != shape:
            there = f"of shape {tuple(tensors[name].shape)}" if name in tensors else "missing"
            raise bad_value(f"the tensor {name}", there, f"of shape {shape}, as when the graph was made")
    return {name: tensors[name].detach().double() for name in graph.parameters}


def _positions(graph, tensor, axis, group):
    """Where each channel of a group stands along an axis: int array (channels, places), () if nowhere."""
    slot = graph.slots[tensor, axis]
    order = np.argsort(slot, kind="stable")
    order = order[np.isin(slot[order], group.units)]
    units, counts = np.unique(slot[order], return_counts=True)
    if len(units) == 0:
        return np.empty((0, 0), dtype=np.int64)
    if len(units) < len(group.units) or len(set(counts.tolist())) > 1:
        raise bad_value(f"the channels of {group.name}", f"unlike in {tensor}", "each as often as the others")
    places = order.reshape(len(units), -1)
    return places[np.searchsorted(units, group.units)]


def _turned(w, name, graph, orders, *, but=None):
    """The tensor `w` with its axes renumbered, all but ``but = (axis, group)``."""
    for axis in range(w.ndim):
        if (name, axis) not in graph.slots:
            continue
        index = np.arange(w.shape[axis])
        for group, order in orders.items():
            if (axis, group) != but and len(order):
                places = _positions(graph, name, axis, graph.groups[group])
                if len(places):
                    index[places] = places[order]
        w = w.index_select(axis, torch.as_tensor(index, device=w.device))
    return w


def _of_group(graph, name):
    """The parameters, and axes of them, that hold the channels of a group."""
    units = graph.groups[name].units
    for (tensor, axis), slot in graph.slots.items():
        if tensor in graph.parameters and np.isin(slot, units).any():
            yield tensor, axis


def _gain(left, right, graph, orders, group):
    """What channel i of `a` and channel j of `b` bring together, all other groups held: array (n, n)."""
    total = 0.0
    for tensor, axis in _of_group(graph, group):
        places = _positions(graph, tensor, axis, graph.groups[group])
        turned = _turned(right[tensor], tensor, graph, orders, but=(axis, group))
        one, two = (
            w.movedim(axis, 0)[torch.as_tensor(places)].flatten(1) for w in (left[tensor], turned)
        )  # (channels, all else)
        total = total + (one @ two.T).cpu().numpy()
    return total


def _agreement(left, right, graph, orders, group):
    """<w_a, order(w_b)>, summed over the tensors that hold channels of the group."""
    names = {tensor for tensor, _ in _of_group(graph, group)}
    return float(sum((left[n] * _turned(right[n], n, graph, orders)).sum() for n in sorted(names)))
