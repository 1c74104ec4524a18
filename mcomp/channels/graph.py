"""What one removed channel touches: the dependency graph of a network, traced with torch.fx.

Every channel gets a label, and the labels walk through the network as the data does. Where they end up tells
which rows, columns and batch norm entries belong to one channel: the next layer's inputs, each pixel behind a
flatten, the other branch of a residual addition. Fang et al. 2023 (arXiv:2301.12900) grow the same groups by
following dependencies from layer to layer. Derived in chapters/04_removing_structure.ipynb.
"""

import copy

import numpy as np
import torch
from torch import nn

from mcomp.channels.checking import UNUSED, disagreements
from mcomp.channels.groups import ChannelGraph, Group
from mcomp.channels.labels import Channels, Walk
from mcomp.channels.rules import FUNCTIONS, HINTS, METHODS, MODULES, Step, functional_layer, opaque
from mcomp.channels.tracing import trace_shapes
from mcomp.trace import called, check_own_tensors

__all__ = ["channel_graph"]


def channel_graph(model, x, *, rules=None):
    """Find what can leave `model` channel by channel, and all that goes along.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed. Its Python code is traced by torch.fx; a module that can't be traced is opaque, and all
        that is in it stays.
    x : tensor (batch, ...), or a tuple of the network's arguments, or a dict of those by name
        One input or more, for the shapes. The network runs on it, and on noise of its shape.
    rules : dict of module class to rule, optional
        For modules of your own that can't be followed inside: a function that takes a
        `mcomp.channels.rules.Step` and returns the `Channels` of the output, or None where it can't be said.
        `rules.same` (each channel for itself, zero stays zero), `rules.not_zero` (each for itself),
        `rules.norm` (a batch norm in all but name), `rules.layer` (a linear layer or a convolution) serve for
        most.

    Returns
    -------
    graph : ChannelGraph
        Checked before it is returned: on random weights, the network without some channels of each group
        computes what the network with zeros there does. A group for which it doesn't is refused.

    Raises
    ------
    ValueError
        If the network as a whole can't be traced, `x` doesn't fit, or the weights of a layer are made from
        others (a codec, weight_norm, a mask of `torch.nn.utils.prune`): the message names the layer.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 10))
    >>> graph = channel_graph(model, torch.zeros(1, 1, 4, 4))
    >>> graph
    group  channels  made by  read by
    0             4  0        3
    3 stays: it makes the network's output
    >>> graph.touched("0")
    [('0.weight', 0, 1.0), ('0.bias', 0, 1.0), ('3.weight', 1, 4.0)]

    A layer of your own whose code branches on the data can't be followed, until you say what it does with
    channels:

    >>> class Loud(nn.Module):
    ...     def forward(self, x):
    ...         return x / x.abs().max() if x.abs().max() > 1 else x
    >>> model = nn.Sequential(nn.Linear(2, 4), Loud(), nn.Linear(4, 3))
    >>> channel_graph(model, torch.zeros(1, 2)).refused["0"]
    "1 (Loud) can't be followed"
    >>> from mcomp.channels import rules
    >>> list(channel_graph(model, torch.zeros(1, 2), rules={Loud: rules.same}).groups)
    ['0']
    """
    rules = dict(rules or {})
    check_own_tensors(model)
    copied = copy.deepcopy(model).eval()
    traced, closed = trace_shapes(copied, x, tuple(rules))
    tensors = dict([*copied.named_parameters(), *copied.named_buffers()])  # a shared one once
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    walk, known = Walk({id(t): name for name, t in tensors.items()}, shapes), {}
    for node in traced.nodes:
        known[node] = _visit(walk, copied, node, known, MODULES | rules, closed)
    graph = _collect(walk, copied)
    while wrong := disagreements(model, x, graph):
        for name, why in wrong.items():
            _refuse(walk, graph, graph.groups[name], why)
        graph = _collect(walk, copied)
    return graph


def _visit(walk, model, node, known, rules, closed):
    """The `Channels` of one node's result, or None."""
    if node.op in ("placeholder", "output"):
        walk.freeze((known[n] for n in node.all_input_nodes), "it makes the network's output")
        return None
    if node.op == "get_attr":
        return _stored(walk, model, node)
    if node.op == "call_module":
        module = model.get_submodule(node.target)
        rule, name = rules.get(type(module)), f"{node.target} ({type(module).__name__})"
    else:
        module, name = None, called(node)
        rule = (METHODS if node.op == "call_method" else FUNCTIONS).get(node.target)
    step = Step(walk, node, name, module, known)
    try:
        found = (rule or opaque)(step)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        found = opaque(step, f"can't be followed ({type(error).__name__}: {error})")
    if module is not None:
        _close(step, closed.get(node.target), everything=found is None)
    return found


def _close(step, error, *, everything):
    """Keep whole what a module holds and its rule, if it has one, didn't speak of."""
    hint = "a rule for it, or a graph of a part such as nn.Sequential(dense, activation, dense), goes further"
    part = f"is part of {step.name}, which can't be traced ({error}); {hint}" if error else None
    for name, tensor in [*step.module.named_parameters(), *step.module.named_buffers()]:
        stored = step.walk.names[id(tensor)]
        if everything or not any((stored, axis) in step.walk.slots for axis in range(tensor.ndim)):
            why = HINTS.get(type(step.module), step.why or "can't be followed")
            own = "." not in name
            step.walk.close(stored, part or (why if own else f"is part of {step.name}, which {why}"))


def _stored(walk, model, node):
    """A parameter or buffer used by name: a vector of channels if only one axis is longer than 1."""
    path, _, leaf = node.target.rpartition(".")
    node.meta["owner"] = model.get_submodule(path)
    tensor = getattr(node.meta["owner"], leaf)
    name = node.meta["stored"] = walk.names.get(id(tensor))
    node.meta["shape"] = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else None
    if name is None:
        return None
    long = [axis for axis, size in enumerate(tensor.shape) if size > 1]
    if len(long) == 1:
        return Channels(long[0], walk.slot(name, long[0]), zero=isinstance(tensor, nn.Parameter))
    for user in node.users:
        if FUNCTIONS.get(user.target) is not functional_layer or node not in user.args[1:2]:
            walk.close(name, f"{name} is used by {called(user)}")
    return None


def _refuse(walk, graph, group, why):
    for key, slot in graph.slots.items():
        walk.labels.freeze(walk.slots[key][np.isin(slot, group.units)], why)


def _collect(walk, model):
    """Number the units, sort them into groups by the layers that make them, and note what is refused."""
    labels, makers, refused = walk.labels, {}, {}
    for name, found in walk.layers.items():
        if found.kind == "maker":
            made = walk.slots[found.weight, found.made]
            for root in dict.fromkeys(labels.roots(made).tolist()):
                makers.setdefault(root, []).append(name)
            why = next(filter(None, map(labels.reason, made)), None)
            refused |= {name: why} if why else {}
    unit = {root: i for i, root in enumerate(r for r in makers if r not in labels.reasons)}
    members = {}
    for root, i in unit.items():
        members.setdefault(tuple(makers[root]), []).append(i)
    groups = {}
    for layers, units in members.items():
        name = layers[0] if layers[0] not in groups else " + ".join(layers)
        groups[name] = Group(name, layers, np.array(units))
    slots = {
        key: np.array([unit.get(root, -1) for root in labels.roots(slot).tolist()], dtype=np.int64)
        for key, slot in walk.slots.items()
    }
    parameters = tuple(name for name, _ in model.named_parameters())
    refused |= dict(_left_out(walk, model))
    return ChannelGraph(groups, refused, slots, walk.layers, walk.shapes, parameters)


def _left_out(walk, model):
    """Modules with weights that aren't followed, and why; a lone number isn't one."""
    for path, module in model.named_modules():
        for leaf, p in module.named_parameters(recurse=False):
            name = walk.names[id(p)]
            used = any((name, axis) in walk.slots for axis in range(p.ndim))
            made = path in walk.layers and walk.layers[path].kind == "maker"
            if p.numel() > 1 and not made and (name in walk.closed or not used):
                yield path or leaf, walk.closed.get(name, UNUSED)
