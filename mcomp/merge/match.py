"""Renumber the channels of one network so that they match another's, by weights or by answers.

Derived in chapters/14_one_network_from_several.ipynb. Ainsworth et al. 2023 (Git Re-Basin,
arXiv:2209.04836, sections 3.1 and 3.2).
"""

import numpy as np
import torch

from mcomp.arrays import check_int
from mcomp.chance import own_seed
from mcomp.channels.surgery import graph_tensors
from mcomp.merge.assignment import assign
from mcomp.merge.symmetry import positions, turned
from mcomp.train import evaluating
from mcomp.watch import watch

__all__ = ["match_activations", "match_weights"]


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
            places = positions(graph, graph.layers[layer].weight, graph.layers[layer].made, group)[:, 0]
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


def _parameters(model, graph):
    tensors = graph_tensors(model, graph)
    return {name: tensors[name].detach().double() for name in graph.parameters}


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
        places = positions(graph, tensor, axis, graph.groups[group])
        other = turned(right[tensor], tensor, graph, orders, but=(axis, group))
        one, two = (
            w.movedim(axis, 0)[torch.as_tensor(places)].flatten(1) for w in (left[tensor], other)
        )  # (channels, all else)
        total = total + (one @ two.T).cpu().numpy()
    return total


def _agreement(left, right, graph, orders, group):
    """<w_a, order(w_b)>, summed over the tensors that hold channels of the group."""
    names = {tensor for tensor, _ in _of_group(graph, group)}
    return float(sum((left[n] * turned(right[n], n, graph, orders)).sum() for n in sorted(names)))
