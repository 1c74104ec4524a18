"""Repairs without training: scales moved between layers, extreme weights cut, mean errors corrected.

Derived in chapters/07_repair_without_training.ipynb. Nagel et al. 2019, arXiv:1906.04721: cross-layer
equalization (section 4.1) and bias correction (section 4.2).
"""

import torch
from torch import nn

from mcomp import calling
from mcomp.arrays import array_namespace, bad_value, check_int
from mcomp.layers import matrices, tell, untouched
from mcomp.plain import LAYERS, as_weight, by_output, copied, made_by, own_forward, places
from mcomp.ptq.pairs import equalized_pairs, unequalized
from mcomp.quantize.ranges import best_clip
from mcomp.watch import watch

__all__ = [
    "clip_weights",
    "correct_bias",
    "equalization_scales",
    "equalize",
    "equalized_pairs",
    "unequalized",
]


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
    flattening); repeated, since a layer is in two pairs, until no range moves by a thousandth. Which pairs:
    `equalized_pairs`. All else stays as it is; the layers among it are printed, and `unequalized` tells them.

    Parameters
    ----------
    model : torch.nn.Module
        Batch norm folded, see `mcomp.structure.fold_batchnorm`. Not changed.
    rounds : int
        At most.

    Raises
    ------
    ValueError
        If the model can't be traced, or something else (a codec, weight_norm) makes the weight of a pair.
    """
    pairs, model = equalized_pairs(model), copied(model)
    for _ in range(check_int("rounds", rounds, 1)):
        moved = [_equalize_pair(*map(model.get_submodule, pair)) for pair in pairs]
        if max(moved, default=0.0) < 1e-3:
            break
    tell("not equalized", unequalized(model))
    return model


@torch.no_grad()
def _equalize_pair(first, second):
    """Move the scales; returns the largest relative change of a range."""
    makes, groups = first.weight.flatten(1), getattr(second, "groups", 1)  # (channels, n)
    w = second.weight  # behind a flattening each channel is read by a run of columns
    reads = w.reshape(groups, len(w) // groups, len(makes) // groups, -1)
    s = equalization_scales(makes, reads.transpose(1, 2).flatten(2).flatten(0, 1))
    first.weight.div_(s.view(-1, *[1] * (first.weight.ndim - 1)))
    if first.bias is not None:
        first.bias.div_(s)
    w.copy_((reads * s.view(groups, 1, -1, 1)).reshape(w.shape))
    return float((s - 1).abs().max())


@torch.no_grad()
def clip_weights(model, bits, *, axis=0):
    """A copy of `model` with the weights of its linear and convolutional layers cut by `best_clip`.

    ``axis=0`` is the output channel, of transposed convolutions too. Other matrices stay, and are printed.

    Raises
    ------
    ValueError
        If something else (a codec, weight_norm) makes a weight, so that a cut would change nothing.
    """
    model, done = copied(model), set()
    for name, module in model.named_modules():
        if not isinstance(module, LAYERS):
            continue
        if maker := made_by(module, "weight"):
            raise bad_value(
                "a weight to clip", f"{name}.weight, made by {maker}", "plain; bake the model first"
            )
        if id(module.weight) not in done:  # a shared one once
            rows = best_clip(by_output(module, module.weight.detach()), bits, axis=axis)
            module.weight.copy_(as_weight(module, rows))
        done.add(id(module.weight))
    layers = {f"{n}.weight".lstrip(".") for n, m in model.named_modules() if isinstance(m, LAYERS)}
    tell("not clipped", untouched(model, layers))
    return model


def correct_bias(model, original, *, x):
    """A copy of `model` whose layers put out the means of `original`: the difference goes into the bias.

    Rounding moves the weights by an error e, and a layer's mean output by e E[x], which isn't zero where
    inputs have a mean (after a ReLU). Layer by layer in order of execution, so that each corrects what those
    before it left. Linear layers have a mean for each feature, over all positions. Recurrent layers and what
    calls no layer aren't corrected; where their weights changed they are printed.

    Parameters
    ----------
    model : torch.nn.Module
        With quantized weights (attached or baked), and activations if you like. Not changed.
    original : torch.nn.Module
        The same network in float.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Training images, a few hundred.

    Raises
    ------
    ValueError
        If a layer of `original` has no counterpart in `model`, runs more than once or never (though its
        weight changed), has a forward of its own, or shares its bias.
    """
    model = copied(model)
    known = dict(model.named_modules())
    for name in _to_correct(model, original, x):
        wanted, found = (mean_output(network, name, x=x) for network in (original, model))
        module = known[name]
        shift = (wanted - found).to(module.weight.dtype)
        if module.bias is None:
            module.bias = nn.Parameter(shift, requires_grad=module.weight.requires_grad)
        else:
            module.bias.data.add_(shift)
    tell("not corrected", _changed_elsewhere(model, original))
    return model


def _changed_elsewhere(model, original):
    """The matrices that differ from the original's and are of no layer that has a bias to correct."""
    layers = {f"{n}.weight".lstrip(".") for n, m in original.named_modules() if isinstance(m, LAYERS)}
    before, after = matrices(original), matrices(model)
    both = before.keys() & after.keys()
    same = {name for name in both if torch.equal(before[name].value, after[name].value)}
    return {name: why for name, why in untouched(original, layers | same).items() if name in both}


def _to_correct(model, original, x):
    """The layers in the order in which they run, each checked."""
    kinds = {name: m for name, m in original.named_modules() if isinstance(m, LAYERS)}
    known, ran = dict(model.named_modules()), {}
    first = calling.take(x, slice(1))
    count = lambda name, layer, a: ran.update({name: ran.get(name, 0) + 1})  # noqa: E731
    watch(original, first, count, names=kinds, every=False)
    for name, module in kinds.items():
        if name not in known or known[name].weight.shape != module.weight.shape:
            raise bad_value("a layer of the original", name, f"one of the model: {', '.join(known)}")
        if ran.get(name, 0) != 1 and not torch.equal(known[name].weight, module.weight):
            raise bad_value(
                "a layer to correct", f"{name}, which runs {ran.get(name, 0)} times", "one that runs once"
            )
        bias = known[name].bias
        shared = isinstance(bias, nn.Parameter) and len(places(model, bias)) > 1
        if shared or made_by(known[name], "bias") or own_forward(known[name]):
            allowed = "a torch layer whose bias is a parameter of its own, without codec"
            raise bad_value("a layer to correct", f"{name}, {known[name]}", allowed)
    return [name for name in ran if ran[name] == 1]


def mean_output(model, name, *, x):
    """The mean output of each channel of the layer `name` on `x`, in float64: (channels,)."""
    parts = []

    def look(name, layer, y):
        axis = -1 - len(
            getattr(layer, "kernel_size", ())
        )  # channels are the last axis, or before the spatial
        channels = y.double().movedim(axis, 0).flatten(1)  # (channels, n · positions)
        parts.append((channels.sum(1), channels.shape[1]))

    watch(model, x, look, names=[name], outputs=True)
    return sum(total for total, _ in parts) / sum(count for _, count in parts)
