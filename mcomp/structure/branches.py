"""A block of parallel branches as one layer: what is linear may be summed before the data come.

RepVGG (Ding et al. 2021, arXiv:2101.03697): trained with a 3 x 3, a 1 x 1 and an identity side by side, run
as one 3 x 3. The same law merges low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685) into their layer.
"""

import operator
from collections import OrderedDict
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mcomp.arrays import bad_value
from mcomp.made import ACTIVATIONS, remember, spec
from mcomp.plain import copied, graph_of, not_plain, places, put_in
from mcomp.structure.affine import after, identity, of_layer, of_norm, summed, to_layer
from mcomp.trace import LINEAR, called, calls, layer, trace

__all__ = ["merge_branches", "unmerged_branches"]

ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
RELUS = (F.relu, torch.relu, "relu", "relu_")
AXES = {nn.Linear: 0, nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}


def merge_branches(model, name):
    """A copy of `model`, in evaluation mode, in which the block `name` is one layer (and its activation).

    The block's forward takes one tensor and adds up branches: layers, batch norms, identities and scalar
    factors in a row, without anything between them that isn't linear; one activation may follow the sum. On
    any input the copy gives what `model` gives in evaluation mode, up to float rounding (float64 inside).

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    name : str
        Of a submodule; "" is the whole model.

    Returns
    -------
    merged : torch.nn.Module
        In place of the block a Linear or a convolution, or a Sequential of it and the activation.

    Raises
    ------
    ValueError
        With the block's name and the reason, where it is something else or can't be one layer
        (`mcomp.structure.affine.after`, `summed`), or where a layer in it is shared, hooked, parametrized,
        called twice or used from outside.
    """
    blocks = dict(model.named_modules(remove_duplicate=False))
    if name not in blocks:
        raise bad_value("the name of a block", name, f"one of {', '.join(filter(None, blocks))}")
    try:
        made = _made(copied(blocks[name]).eval())
        _check_outside(model, name)
    except ValueError as error:
        raise ValueError(f"the block {name or type(model).__name__}: {error}") from None
    leaves = [""] if len(made) == 1 else ["layer", "activation"]
    parts = [[leaf, *spec(module)] for leaf, module in zip(leaves, made, strict=True)]
    new = made[0] if len(made) == 1 else nn.Sequential(OrderedDict(zip(leaves, made, strict=True)))
    if not name:
        return remember(new.eval(), "put", {"": parts}, before=model)
    model = copied(model).eval()
    names = [n for n, m in blocks.items() if m is blocks[name]]
    for place in names:
        put_in(model, place, new.eval())
    return remember(model, "put", dict.fromkeys(names, parts))


def unmerged_branches(model):
    """Why each block can't be merged, a dict of name to reason; "" for those that can."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, (*LINEAR, nn.Sequential)) or not next(module.children(), None):
            continue
        try:
            merge_branches(model, name)
            found[name] = ""
        except ValueError as error:
            found[name] = str(error).partition(": ")[2]
    return found


def _check_outside(model, name):
    """Nothing but the block's own forward calls or reads what is in it, by this name or another."""
    if not name:
        return
    for leaf, p in model.get_submodule(name).named_parameters():
        if foreign := [place for place in places(model, p) if not _inside(model, name, place)]:
            raise bad_value("its parameter", f"{leaf}, shared with {foreign[0]}", "one of the block alone")
    whole = trace(model, (type(model.get_submodule(name)),))
    for node in whole.nodes:
        if node.op in ("call_module", "get_attr") and node.target.startswith(f"{name}."):
            raise bad_value("a layer", f"{node.target}, which is used from outside", "one of the block alone")


def _inside(model, name, place):
    """Whether a parameter's place lies in the block, under any of the block's names."""
    block = model.get_submodule(name)
    names = [n for n, m in model.named_modules(remove_duplicate=False) if m is block]
    return any(place.startswith(f"{n}.") for n in names)


def _made(block):
    """[layer] or [layer, activation] that equal the block."""
    graph = graph_of(block)
    inputs = [n for n in graph.nodes if n.op == "placeholder" and n.users]
    (last,) = [n for n in graph.nodes if n.op == "output"]
    if len(inputs) != 1 or not isinstance(last.args[0], torch.fx.Node):
        raise bad_value("what goes in and out", f"{len(inputs)} inputs", "one tensor each")
    end, activation = _activation(block, last.args[0])
    layers = [layer(block, n) for n in graph.nodes if isinstance(layer(block, n), LINEAR)]
    if not layers:
        raise bad_value("the block", "without a layer", "one that adds up branches with layers")
    axes = next(n for kind, n in AXES.items() if isinstance(layers[0], kind))
    read = _Reader(block, graph, inputs[0], axes)
    maps = [read(branch) for branch in _branches(end)]
    known = [x for x in maps if x is not None]
    if not known:
        raise bad_value("the branches", "identities only", "a layer among them")
    channels = known[0].w.shape[1] * known[0].groups
    same = identity(channels, axes, device=known[0].w.device)
    made = to_layer(summed([same if x is None else x for x in maps]), layers[0])
    if len({(m.weight.dtype, m.weight.requires_grad) for m in layers}) > 1:
        raise bad_value("its layers", "frozen in part, or of several dtypes", "all alike")
    return [made] + ([activation] if activation is not None else [])


def _activation(block, node):
    """The node before the activation that a block may end with, and the activation as a module."""
    module = layer(block, node)
    if type(module).__name__ in ACTIVATIONS and type(module) is ACTIVATIONS[type(module).__name__][0]:
        return node.all_input_nodes[0], _fresh(module)
    if node.target in RELUS:
        return node.all_input_nodes[0], nn.ReLU()
    return node, None


def _fresh(module):
    kind, options = ACTIVATIONS[type(module).__name__]
    return kind(**{name: getattr(module, name) for name in options})


def _branches(node):
    """The terms of a sum, from left to right."""
    plain = node.target in ADDS and len(node.args) == 2 and not node.kwargs
    if not plain or not all(isinstance(a, torch.fx.Node) for a in node.args):
        return [node]
    return [term for a in node.args for term in _branches(a)]


class _Reader:
    """Reads a branch from its end back to the block's input: its map, None for the bare input."""

    def __init__(self, block, graph, start, axes):
        self.block, self.graph, self.start, self.axes = block, graph, start, axes

    def __call__(self, node):
        if node is self.start:
            return None
        module = layer(self.block, node)
        if len(node.users) > 1:
            raise bad_value(
                "the output of", f"{called(node)}, which several read", "one that goes to the sum"
            )
        if type(module) is nn.Identity:
            return self(node.all_input_nodes[0])
        if node.target in (operator.mul, torch.mul, "mul") and (factor := _factor(node)) is not None:
            return self._scaled(node, factor)
        if not isinstance(module, (*LINEAR, _BatchNorm)):
            raise bad_value("what a branch holds", called(node), "layers, batch norms and scalar factors")
        mine = self._map(node.target, module)
        before = self(node.all_input_nodes[0])
        return mine if before is None else after(mine, before)

    def _map(self, name, module):
        if (n := calls(self.graph, name)) != 1:
            raise bad_value("the layer", f"{name}, which is called {n} times", "one that is called once")
        if reason := not_plain(self.block, name, (*LINEAR, _BatchNorm)):
            raise bad_value("the layer", f"{name}: {reason}", "a plain one")
        if not isinstance(module, _BatchNorm):
            return of_layer(module)
        if not self.axes or type(module).forward is not _BatchNorm.forward:
            raise bad_value("the batch norm", name, "one that treats the channels of a convolution")
        if module.running_mean is None:
            raise bad_value("the batch norm", f"{name} without running statistics", "one that has some")
        return of_norm(module, self.axes)

    def _scaled(self, node, factor):
        before = self(node.all_input_nodes[0])
        if before is None:
            raise bad_value("a branch", "the input times a number", "a layer, a batch norm or the input")
        return replace(before, w=factor * before.w, b=factor * before.b)


def _factor(node):
    numbers = [a for a in node.args if isinstance(a, (int, float)) and not isinstance(a, bool)]
    return numbers[0] if len(node.args) == 2 and len(numbers) == 1 and not node.kwargs else None
