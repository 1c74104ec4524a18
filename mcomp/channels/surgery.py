"""Surgery: a network without the channels of a plan. The new one is smaller in every way, not masked."""

import copy
import math

import torch
from torch import nn

from mcomp import calling, plain
from mcomp.arrays import bad_value, check_int
from mcomp.channels.plan import Plan
from mcomp.kept import apply_kept
from mcomp.made import remember

__all__ = ["graph_tensors", "recalibrate", "remove_channels", "zero_channels"]


def remove_channels(model, plan):
    """A copy of `model` without the channels of `plan`: smaller tensors, the same code.

    Where a removed channel was zero on its way to the layers that read it (`zero_channels` makes it so),
    what remains computes the same function.

    Parameters
    ----------
    model : torch.nn.Module
        That of the plan's graph, or another of the same shapes. Not changed.
    plan : Plan, or dict as its ``to_dict()`` makes it
        Or a network fresh from its class, and what a file holds of the plan.

    Returns
    -------
    smaller : torch.nn.Module
        Of the same classes, in the same mode, as `mcomp.kept.apply_kept` says.

    Raises
    ------
    ValueError
        If a tensor isn't there or has another shape than when the graph was made.

    Examples
    --------
    >>> from mcomp.channels import channel_graph
    >>> from mcomp.channels.plan import Plan
    >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> plan = Plan(channel_graph(model, torch.zeros(1, 2)), {"0": [1, 2, 3]})
    >>> remove_channels(model, plan)
    Sequential(
      (0): Linear(in_features=2, out_features=1, bias=True)
      (1): ReLU()
      (2): Linear(in_features=1, out_features=3, bias=True)
    )
    """
    if isinstance(plan, Plan):
        graph_tensors(model, plan.graph)
        plan = plan.to_dict()
    return remember(apply_kept(model, plan), "keep", plan)


def zero_channels(model, plan):
    """A copy of `model`, of the same size, whose channels of `plan` are zero: what masking does.

    All that makes these channels is set to zero: rows of weights, biases, batch norm's scale and shift. The
    tensors that read them stay as they are.
    """
    masked = copy.deepcopy(model)
    layers = plan.graph.layers.values()
    read = {(found.weight, found.read) for found in layers} - {(found.weight, found.made) for found in layers}
    tensors = graph_tensors(masked, plan.graph)
    with torch.no_grad():
        for (name, axis), slot in plan.graph.slots.items():
            if (name, axis) not in read and name in plan.graph.parameters:
                gone = sorted({*range(len(slot))} - {*plan.kept(name, axis).tolist()})
                gone = torch.tensor(gone, dtype=torch.int64, device=tensors[name].device)
                tensors[name].index_fill_(axis, gone, 0.0)
    return masked


def recalibrate(model, x, *, batch_size=256):
    """A copy of `model` whose batch norms have the mean and variance of `x`: no gradient, no label.

    Where channels are gone, what reaches a batch norm has another mean and another variance than those that
    it remembers (Li et al. 2020, arXiv:2007.02491, section 3.4). The new ones are averages over all batches.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Inputs, a few thousand training images for instance.
    batch_size : int of at least 2
        `x` is cut into this many rows at a time, into parts of nearly equal size.

    Returns
    -------
    recalibrated : torch.nn.Module in evaluation mode

    Raises
    ------
    ValueError
        If `batch_size` is out of range or there are fewer than two inputs.

    Examples
    --------
    >>> model = nn.BatchNorm1d(1)
    >>> recalibrate(model, torch.tensor([[1.0], [5.0]])).running_mean
    tensor([3.])
    """
    n, batch_size = calling.count(x), check_int("batch_size", batch_size, 2)
    parts = math.ceil(check_int("the number of inputs", n, 2) / batch_size)
    copied = plain.copied(model).eval()
    norms = [
        m
        for m in copied.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats
    ]
    momenta = [m.momentum for m in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain average over the batches
        module.train()
    with torch.no_grad():
        for rows in torch.arange(n).tensor_split(parts):
            calling.invoke(copied, calling.take(x, slice(int(rows[0]), int(rows[-1]) + 1)))
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    return copied.eval()


def graph_tensors(model, graph):
    """The parameters and buffers that the graph knows, by name."""
    found = dict([*model.named_parameters(), *model.named_buffers()])
    for name, shape in graph.shapes.items():
        if name not in found or tuple(found[name].shape) != shape:
            there = f"of shape {tuple(found[name].shape)}" if name in found else "missing"
            raise bad_value(f"the tensor {name}", there, f"of shape {shape}, as when the graph was made")
    return {name: found[name] for name in graph.shapes}
