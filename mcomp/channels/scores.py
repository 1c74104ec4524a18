"""Scores of channels: one number for each channel of each group, larger stays.

A channel is many weights, in several layers where groups are coupled. Every score here is a sum over what one
channel owns (`unit_sums`), so a score of single weights (`mcomp.prune.scores`) becomes one of channels.
Derived in chapters/04_removing_structure.ipynb.
"""

import numpy as np
import torch
from torch.func import functional_call

from mcomp import calling
from mcomp.arrays import bad_value, scatter_sum, to_numpy
from mcomp.prune.neurons import output_std
from mcomp.prune.scores import magnitude, movement
from mcomp.train import evaluating
from mcomp.watch import watch

__all__ = [
    "activation_scores", "channel_scores", "gamma_scores", "l1_scores", "l2_scores", "random_scores",
    "relative", "taylor_scores", "unit_sums",
]  # fmt: skip


def unit_sums(graph, vectors):
    """Add up, for each channel, what belongs to it.

    Parameters
    ----------
    graph : ChannelGraph
    vectors : dict of (tensor name, axis) to real array
        One number for each index along that axis.

    Returns
    -------
    sums : dict of group name to float64 array (channels,)
    """
    total = 1 + max((int(group.units.max()) for group in graph.groups.values()), default=-1)
    sums = np.zeros(total)
    for key, vector in vectors.items():
        slot = graph.slots[key]
        if tuple(vector.shape) != slot.shape:
            raise bad_value(f"the shape of what belongs to {key}", tuple(vector.shape), f"{slot.shape}")
        mine = slot >= 0
        sums += scatter_sum(to_numpy(vector).astype(np.float64)[mine], slot[mine], n=total)
    return {name: sums[group.units] for name, group in graph.groups.items()}


def channel_scores(graph, scores):
    """Scores of channels from scores of weights: the sum over the weights that make the channel.

    Parameters
    ----------
    graph : ChannelGraph
    scores : dict of weight name to real array of its shape
        From any function of `mcomp.prune.scores`.

    Returns
    -------
    scores : dict of group name to float64 array (channels,)

    Raises
    ------
    ValueError
        If the score of a weight that makes channels is missing or has another shape.
    """
    vectors = {}
    for layer in graph.layers.values():
        if layer.kind == "maker":
            shape = graph.shapes[layer.weight]
            found = tuple(scores[layer.weight].shape) if layer.weight in scores else "missing"
            if found != shape:
                raise bad_value(f"scores[{layer.weight!r}]", found, f"an array of shape {shape}")
            others = tuple(axis for axis in range(len(shape)) if axis != layer.made)
            vectors[layer.weight, layer.made] = to_numpy(scores[layer.weight]).sum(others, dtype=np.float64)
    return unit_sums(graph, vectors)


def _weights(model):
    return {name: w.detach() for name, w in model.named_parameters()}


def l1_scores(model, graph):
    """The sum of |w| over the weights that make a channel. Li et al. 2017, arXiv:1608.08710, section 3.1.

    Examples
    --------
    >>> from mcomp.channels import channel_graph
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    >>> _ = model[0].weight.data.copy_(torch.tensor([[1.0, -2.0], [0.0, 0.5], [3.0, 1.0]]))
    >>> l1_scores(model, channel_graph(model, torch.zeros(1, 2)))
    {'0': array([3. , 0.5, 4. ])}
    """
    return channel_scores(graph, {name: magnitude(w) for name, w in _weights(model).items()})


def l2_scores(model, graph):
    """The Euclidean length of the weights that make a channel: removing the shortest is the projection."""
    squares = channel_scores(graph, {name: w * w for name, w in _weights(model).items()})
    return {name: np.sqrt(score) for name, score in squares.items()}


def random_scores(graph, seed):
    """The control: independent uniform numbers."""
    rng = np.random.default_rng(seed)
    return {name: rng.random(len(group.units)) for name, group in graph.groups.items()}


def gamma_scores(model, graph):
    """The sum of batch norm's |γ| for a channel: network slimming. Liu et al. 2017, arXiv:1708.06519.

    Their training adds a penalty on |γ|, so that many become zero; without it γ is a score like others.

    Raises
    ------
    ValueError
        If a group has no batch norm: the message names it.
    """
    weights, found = _weights(model), {}
    for layer in graph.layers.values():
        if layer.kind == "scale" and len(graph.shapes[layer.weight]) == 1:
            found[layer.weight, 0] = abs(weights[layer.weight])
    _every_group(graph, found, "a batch norm behind it, whose γ is the score")
    return unit_sums(graph, found)


def _every_group(graph, keys, what):
    for name, group in graph.groups.items():
        if not any(np.isin(graph.slots[key], group.units).any() for key in keys):
            raise bad_value("group", name, f"one with {what}")


def taylor_scores(
    model, graph, pair, *, loss=torch.nn.functional.cross_entropy, output=None, batch_size=1000
):  # fmt: skip
    """How much the loss changes, to first order, when a channel goes: ``|Σ w·g|`` over what makes it.

    Molchanov et al. 2019, arXiv:1906.10771, eq. 8 without the square. Behind batch norm the sum runs over γ
    and β, which alone decide whether the channel is zero; elsewhere over the weights and the bias.

    Parameters
    ----------
    model : torch.nn.Module
        Looked at in evaluation mode; not changed.
    graph : ChannelGraph
    pair : (x, y); `x` may be several inputs, as in `mcomp.calling`
    loss : ``loss(outputs, y) -> scalar``, a mean over the rows
    """
    weights = _weights(model)
    slopes = _gradients(model, weights, pair, loss, output, batch_size)
    gates = {}
    for layer in graph.layers.values():
        if layer.kind == "scale" and len(graph.shapes[layer.weight]) == 1:
            gates |= {
                (name, 0): movement(weights[name], slopes[name])
                for name in (layer.weight, layer.bias)
                if name
            }
    scaled = np.concatenate([graph.slots[key] for key in gates]) if gates else np.empty(0, int)
    for layer in graph.layers.values():
        if layer.kind == "maker" and not np.isin(graph.slots[layer.weight, layer.made], scaled).any():
            w = movement(weights[layer.weight], slopes[layer.weight])
            others = [axis for axis in range(w.ndim) if axis != layer.made]
            gates[layer.weight, layer.made] = w.sum(others)
            if layer.bias:
                gates[layer.bias, 0] = movement(weights[layer.bias], slopes[layer.bias])
    return {name: abs(score) for name, score in unit_sums(graph, gates).items()}


def _gradients(model, weights, pair, loss, output, batch_size):
    """The gradient of the mean loss for every parameter; `model` is left without gradients of its own."""
    x, y = pair
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    with evaluating(model), torch.enable_grad():
        for rows, labels in zip(calling.parts(x, batch_size), calling.parts(y, batch_size), strict=True):
            leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
            run = lambda *args, leaves=leaves, **kwargs: functional_call(model, leaves, args, kwargs)  # noqa: E731
            value = loss(calling.call(run, rows, output=output), labels) * len(labels) / len(y)
            found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
            for name, g in zip(leaves, found, strict=True):
                sums[name] += 0 if g is None else g
    return sums


def activation_scores(model, graph, x, *, statistic=output_std, batch_size=1000):
    """A statistic of what the next layers read of a channel, averaged over batches, summed over readers.

    Parameters
    ----------
    model : torch.nn.Module
    graph : ChannelGraph
    x : tensor (n, ...)
        Inputs of the network.
    statistic : function (batch, channels, ...) -> (channels,)
        `output_mean`, `output_std`, `output_activity` of `mcomp.prune.neurons`.
    """
    kinds = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    modules = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    read = {name: found for name, found in graph.layers.items() if found.read is not None and name in modules}
    sums = {}

    def look(name, module, a):
        key = read[name].weight, read[name].read
        behind = module.weight.ndim - 1  # axes of the input from the channels' on
        channels = (a if a.ndim > behind else a[None]).movedim(-behind, 1)
        sums[key] = sums.get(key, 0) + len(a) / calling.count(x) * statistic(channels)

    watch(model, x, look, names=list(read), batch_size=batch_size)
    _every_group(graph, sums, "a layer that reads it")
    return unit_sums(graph, sums)


def relative(scores):
    """Each group's scores over their mean: what a global plan needs, for groups differ in scale.

    Examples
    --------
    >>> relative({"conv1": np.array([1.0, 3.0])})
    {'conv1': array([0.5, 1.5])}
    """
    means = {name: float(np.mean(score)) for name, score in scores.items()}
    for name, mean in means.items():
        if mean <= 0:
            raise bad_value(f"the mean of scores[{name!r}]", mean, "a positive number")
    return {name: score / means[name] for name, score in scores.items()}
