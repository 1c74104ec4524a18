"""Repairs without training: scales moved between layers, extreme weights cut, mean errors corrected.

Derived in chapters/07_calibration_and_integers.ipynb. Nagel et al. 2019, arXiv:1906.04721: cross-layer
equalization (section 4.1) and bias correction (section 4.2).
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.arrays import array_namespace, bad_value, check_int
from mcomp.quantize.ranges import best_clip
from mcomp.trace import LINEAR, between, calls, layer, trace
from mcomp.watch import watch

__all__ = ["clip_weights", "correct_bias", "equalization_scales", "equalize", "equalized_pairs"]

POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
PASSING = (nn.ReLU, nn.LeakyReLU, nn.Flatten, nn.Identity, nn.Dropout, *POOLS)
PASSING_FUNCTIONS = (F.relu, torch.relu, torch.flatten)


def equalization_scales(first, second):
    """What to divide each channel by so that it has the same largest weight on both sides.

    Dividing the first layer's channel by s and multiplying the second's by s leaves what they compute. The
    ranges r1 / s and r2 s are equal, and each channel uses most of its layer's range, at s = sqrt(r1 / r2).

    Parameters
    ----------
    first : floating array (channels, n)
        The weights that make each channel.
    second : floating array (channels, m)
        The weights that read it.

    Returns
    -------
    s : array (channels,)
        1 where a channel is all zero on one side.

    Raises
    ------
    ValueError
        If the arrays don't have as many rows.

    Examples
    --------
    >>> import numpy as np
    >>> equalization_scales(np.array([[8.0, -2.0], [0.5, 0.1]]), np.array([[0.5], [-2.0]]))
    array([4. , 0.5])
    """
    xp = array_namespace(first, second)
    if first.ndim != 2 or second.ndim != 2 or first.shape[0] != second.shape[0]:
        shapes = tuple(first.shape), tuple(second.shape)
        raise bad_value("the shapes", shapes, "(channels, n) and (channels, m)")
    r1, r2 = xp.max(xp.abs(first), axis=1), xp.max(xp.abs(second), axis=1)
    one = xp.ones_like(r1)
    used = (r1 > 0) & (r2 > 0)
    return xp.sqrt(xp.where(used, r1, one) / xp.where(used, r2, one))


def equalize(model, *, rounds=20):
    """A copy of `model` with the same function in which neighbouring layers share their channels' ranges.

    For every pair of layers with nothing between them but what passes a positive factor on (ReLU, pooling,
    flattening); repeated, since a layer is in two pairs, until no range moves by a thousandth.

    Parameters
    ----------
    model : torch.nn.Module
        Batch norm folded, see `mcomp.structure.fold_batchnorm`. Not changed.
    rounds : int
        At most.

    Raises
    ------
    ValueError
        If the model can't be traced.
    """
    pairs, model = equalized_pairs(model), copy.deepcopy(model)
    for _ in range(check_int("rounds", rounds, 1)):
        moved = [_equalize_pair(*map(model.get_submodule, pair)) for pair in pairs]
        if max(moved, default=0.0) < 1e-3:
            break
    return model


def equalized_pairs(model):
    """(layer, the only layer that reads it) by name, for all that `equalize` can treat."""
    graph, pairs = trace(model), []
    for node in graph.nodes:
        if isinstance(layer(model, node), LINEAR) and calls(graph, node.target) == 1:
            user = between(model, node, _passes)
            reader = None if user is None else layer(model, user)
            if isinstance(reader, LINEAR) and calls(graph, user.target) == 1:
                pairs.append((node.target, user.target))
    return pairs


def _passes(node, module):
    return isinstance(module, PASSING) or (node.op == "call_function" and node.target in PASSING_FUNCTIONS)


@torch.no_grad()
def _equalize_pair(first, second):
    """Move the scales; returns the largest relative change of a range."""
    makes = first.weight.flatten(1)  # (channels, n)
    reads = _by_input(second, len(makes))  # (groups, out, channels / groups, n)
    s = equalization_scales(makes, reads.transpose(1, 2).flatten(2).flatten(0, 1))
    first.weight.div_(s.view(-1, *[1] * (first.weight.ndim - 1)))
    if first.bias is not None:
        first.bias.div_(s)
    reads.mul_(s.view(len(reads), 1, -1, 1))
    return float((s - 1).abs().max())


def _by_input(module, channels):
    """A view of the weights as (groups, out / groups, channels / groups, the rest).

    Behind a Flatten each channel is read by a run of columns, so `rest` is the size of an image there.
    """
    groups = getattr(module, "groups", 1)
    return module.weight.view(groups, len(module.weight) // groups, channels // groups, -1)


@torch.no_grad()
def clip_weights(model, bits, *, axis=0):
    """A copy of `model` with the weights of its linear and convolutional layers cut by `best_clip`."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, LINEAR):
            module.weight.copy_(best_clip(module.weight.detach(), bits, axis=axis))
    return model


def correct_bias(model, original, *, x):
    """A copy of `model` whose layers put out the means of `original`: the difference goes into the bias.

    Rounding moves the weights by an error e, and a layer's mean output by e E[x], which isn't zero where
    inputs have a mean (after a ReLU). Layer by layer in order of execution, so that each corrects what those
    before it left.

    Parameters
    ----------
    model : torch.nn.Module
        With quantized weights (attached or baked), and activations if you like. Not changed.
    original : torch.nn.Module
        The same network in float.
    x : tensor (n, ...)
        Training images, a few hundred.

    Raises
    ------
    ValueError
        If a layer of `original` has no counterpart in `model`.
    """
    model = copy.deepcopy(model)
    names = [node.target for node in trace(original).nodes if isinstance(layer(original, node), LINEAR)]
    known = dict(model.named_modules())
    for name in dict.fromkeys(names):
        shape = original.get_submodule(name).weight.shape
        if name not in known or known[name].weight.shape != shape:
            raise bad_value("a layer of the original", name, f"one of the model: {', '.join(known)}")
        wanted, found = (mean_output(network, name, x=x) for network in (original, model))
        bias = known[name].bias
        shift = wanted - found if bias is None else bias.detach() + wanted - found
        known[name].bias = nn.Parameter(shift)
    return model


def mean_output(model, name, *, x):
    """The mean output of each channel of the layer `name` on `x`: (channels,)."""
    sums = []

    def look(name, layer, y):
        channels = y.double().movedim(1 if y.ndim > 2 else -1, 0).flatten(1)  # (channels, n · positions)
        sums.append(channels.mean(1) * len(y))

    watch(model, x, look, names=[name], outputs=True)
    return (sum(sums) / len(x)).to(next(model.parameters()).dtype)
