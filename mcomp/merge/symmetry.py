"""Hidden channels have no order: the same function with those of a network renumbered.

Derived in chapters/14_one_network_from_several.ipynb. Which rows, columns and batch norm entries make up one
channel, and which layers share their channels (all that write into one residual stream), is what the channel
graph of chapter 04 says.
"""

import numpy as np
import torch

from mcomp import plain
from mcomp.arrays import bad_value, check_int
from mcomp.chance import own_seed
from mcomp.channels import channel_graph
from mcomp.channels.surgery import graph_tensors
from mcomp.measure import largest_difference

__all__ = ["permute", "positions", "random_orders", "symmetries", "turned"]

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
    copied = plain.copied(model)
    tensors = graph_tensors(copied, graph)
    with torch.no_grad():
        for name in {name for name, _ in graph.slots}:
            tensors[name].copy_(turned(tensors[name], name, graph, orders))
    return copied


def _order(graph, name, order):
    if name not in graph.groups:
        raise bad_value("the group", name, f"one of {', '.join(graph.groups)}")
    order, n = np.asarray(order), len(graph.groups[name].units)
    if order.dtype.kind not in "iu" or sorted(order.ravel().tolist()) != [*range(n)] or order.ndim != 1:
        raise bad_value(f"the order of {name}", order.tolist(), f"each of 0 to {n - 1} once")
    return order


def positions(graph, tensor, axis, group):
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


def turned(w, name, graph, orders, *, but=None):
    """The tensor `w` with its axes renumbered, all but ``but = (axis, group)``."""
    for axis in range(w.ndim):
        if (name, axis) not in graph.slots:
            continue
        index = np.arange(w.shape[axis])
        for group, order in orders.items():
            if (axis, group) != but and len(order):
                places = positions(graph, name, axis, graph.groups[group])
                if len(places):
                    index[places] = places[order]
        w = w.index_select(axis, torch.as_tensor(index, device=w.device))
    return w
