"""Which layers share channels that a factor may move between: what `equalize` treats.

Nagel et al. 2019, arXiv:1906.04721, section 4.1.
"""

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.plain import LAYERS, check_plain, graph_of, not_plain
from mcomp.trace import LINEAR, between, calls, layer

__all__ = ["equalized_pairs", "unequalized"]

POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
         nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)  # fmt: skip
PASSING = (nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout)
PASSING_FUNCTIONS = (F.relu, torch.relu)


def equalized_pairs(model):
    """(layer, the only layer that reads it) by name, for all that `equalize` can treat.

    Both are Linear or convolutional, plain, and used once; the second reads the channels that the first makes
    along the same axis, or behind a flattening of all axes but the batch's.

    Examples
    --------
    >>> equalized_pairs(nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5)))
    [('0', '3')]
    """
    graph, pairs = graph_of(model), []
    read = {n.target.rpartition(".")[0] for n in graph.nodes if n.op == "get_attr"}
    for node in graph.nodes:
        if not isinstance(layer(model, node), LINEAR):
            continue
        user = between(model, node, lambda n, module: _passes(n, module) or _flattens(n, module))
        pair = (node.target, None if user is None else user.target)
        if not isinstance(None if user is None else layer(model, user), LINEAR) or read & {*pair}:
            continue
        if _same_channels(model, node, user) and all(_once(model, graph, name) for name in pair):
            pairs.append(pair)
    return pairs


def unequalized(model):
    """The linear and convolutional layers in no pair of `equalized_pairs`, and why: dict of name to reason.

    Examples
    --------
    >>> unequalized(nn.Sequential(nn.Conv1d(2, 3, 3)))
    {'0': 'no neighbour shares its channels with it alone'}
    """
    paired = {name for pair in equalized_pairs(model) for name in pair}
    layers = [name for name, module in model.named_modules() if isinstance(module, LAYERS)]
    why = "no neighbour shares its channels with it alone"
    return {name: not_plain(model, name, LINEAR) or why for name in layers if name not in paired}


def _once(model, graph, name):
    """Whether a layer is used in one place; ValueError if something else makes its weight."""
    if "made by" in (reason := not_plain(model, name, LINEAR) or ""):
        check_plain(model, name, LINEAR, what="a layer to equalize")
    same = [n for n in graph.nodes if layer(model, n) is model.get_submodule(name)]
    return not reason and calls(graph, name) == len(same) == 1


def _passes(node, module):
    known = type(module) in (*PASSING, *POOLS) and not getattr(module, "return_indices", False)
    return known or (node.op == "call_function" and node.target in PASSING_FUNCTIONS)


def _flattens(node, module):
    """Whether all axes but the batch's become one: channel by channel, each a run."""
    if type(module) is nn.Flatten:
        return (module.start_dim, module.end_dim) == (1, -1)
    options = (*node.args[1:], *node.kwargs.values())
    return node.target in (torch.flatten, "flatten") and options in ((1,), (1, -1))


def _same_channels(model, node, user):
    """Whether `user` reads as channels what `node` makes as channels."""
    first, second, flat, pooled = layer(model, node), layer(model, user), False, False
    step = next(iter(node.users))
    while step is not user:
        module = layer(model, step)
        flat = flat or _flattens(step, module)
        pooled = pooled or (type(module) in POOLS and (flat or _spatial(first) != _pooling(module)))
        step = next(iter(step.users))
    if pooled:  # it mixes channels
        return False
    if isinstance(first, nn.Linear):  # works along the last axis
        return isinstance(second, nn.Linear) and first.out_features == second.in_features
    if isinstance(second, nn.Linear):
        return flat
    return not flat and _spatial(first) == _spatial(second)


def _spatial(module):
    return 0 if isinstance(module, nn.Linear) else len(module.kernel_size)


def _pooling(module):
    return int(type(module).__name__[-2])
