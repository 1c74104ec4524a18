"""What one removed channel touches: the dependency graph of a network, traced with torch.fx.

Every channel gets a label, and the labels walk through the network as the data does. Where they end up tells
which rows, columns and batch norm entries belong to one channel: the next layer's inputs, each pixel behind a
flatten, the other branch of a residual addition. Fang et al. 2023 (arXiv:2301.12900) grow the same groups by
following dependencies from layer to layer. Derived in chapters/04_removing_structure.ipynb.
"""

import copy
from dataclasses import dataclass

import numpy as np
from torch.nn.utils import parametrize

from mcomp.arrays import bad_value
from mcomp.channels.labels import Channels, Walk
from mcomp.channels.rules import FUNCTIONS, METHODS, MODULES, Step, opaque
from mcomp.channels.tracing import trace_shapes

__all__ = ["ChannelGraph", "Group", "channel_graph", "text_table"]

_QUESTIONS = ("size", "dim", "numel", getattr)  # what asks a tensor for its shape, and takes nothing from it


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that are numbered alike: channel i of every layer in it can only leave all of them at once.

    Attributes
    ----------
    name : str
        That of the first layer.
    layers : tuple of str
        The layers that make these channels.
    units : int array (channels,)
        How `ChannelGraph.slots` names each.
    """

    name: str
    layers: tuple
    units: np.ndarray


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """Which entries of which tensors leave together.

    Attributes
    ----------
    groups : dict of str to Group
        What can be pruned.
    refused : dict of str to str
        Layers whose channels must stay, all or some, and why.
    slots : dict of (tensor name, axis) to int array
        For each index along the axis the unit that it belongs to, -1 if none.
    layers : dict of str to Layer
    shapes : dict of str to tuple
        Of every parameter and buffer.
    parameters : tuple of str
        Which of these are parameters.
    """

    groups: dict
    refused: dict
    slots: dict
    layers: dict
    shapes: dict
    parameters: tuple

    def touched(self, group):
        """What one channel of a group owns: rows (tensor, axis, indices along that axis, on average)."""
        units, rows = self.groups[group].units, []
        for (name, axis), slot in self.slots.items():
            count = int(np.isin(slot, units).sum())
            if count:
                rows.append((name, axis, count / len(units)))
        return rows

    def readers(self, group):
        """The layers that read the channels of a group."""
        units = self.groups[group].units
        read = {name: self.slots.get((found.weight, found.read)) for name, found in self.layers.items()}
        return tuple(name for name, slot in read.items() if slot is not None and np.isin(slot, units).any())

    def rows(self):
        """The table: group, channels, layers that make them, layers that read them; first its header."""
        yield "group", "channels", "made by", "read by"
        for name, group in self.groups.items():
            yield name, len(group.units), ", ".join(group.layers), ", ".join(self.readers(name))

    def __repr__(self):
        return "\n".join([text_table(self.rows()), *(f"{n} stays: {why}" for n, why in self.refused.items())])


def channel_graph(model, x, *, rules=None):
    """Find what can leave `model` channel by channel, and all that goes along.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed. Its Python code is traced by torch.fx; a module that can't be traced is opaque.
    x : tensor (batch, ...)
        One input or more, for the shapes.
    rules : dict of module class to rule, optional
        For modules of your own that can't be followed inside: a function that takes a
        `mcomp.channels.rules.Step` and returns the `Channels` of the output, such as `rules.same`.

    Returns
    -------
    graph : ChannelGraph

    Raises
    ------
    ValueError
        If the network as a whole can't be traced, `x` doesn't fit, or a layer has a codec attached.

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
    """
    rules = dict(rules or {})
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module):
            found = f"a network with a codec on {name or 'itself'}"
            raise bad_value("model", found, "a plain network; call mcomp.codecs.attach.bake first")
    copied = copy.deepcopy(model).eval()
    traced = trace_shapes(copied, x, tuple(rules))
    tensors = dict([*copied.named_parameters(), *copied.named_buffers()])  # a shared one once
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    walk, known = Walk({id(t): name for name, t in tensors.items()}, shapes), {}
    for node in traced.graph.nodes:
        known[node] = _visit(walk, traced, node, known, MODULES | rules)
    return _collect(walk, tuple(name for name, _ in copied.named_parameters()))


def _visit(walk, traced, node, known, rules):
    """The `Channels` of one node's result, or None."""
    if node.op in ("placeholder", "output"):
        walk.freeze((known[n] for n in node.all_input_nodes), "it makes the network's output")
        return None
    if node.op == "get_attr":
        return _stored(walk, traced, node)
    if node.op == "call_module":
        module = traced.get_submodule(node.target)
        rule, name = rules.get(type(module)), f"{node.target} ({type(module).__name__})"
    else:
        module, name = None, getattr(node.target, "__name__", str(node.target))
        rule = (METHODS if node.op == "call_method" else FUNCTIONS).get(node.target)
    if node.meta["shape"] is None and node.target in _QUESTIONS:
        return None
    return (rule or opaque)(Step(walk, node, name, module, known))


def _stored(walk, traced, node):
    """A parameter or buffer used by name: a vector of channels if only one axis is longer than 1."""
    tensor = traced
    for part in node.target.split("."):
        tensor = getattr(tensor, part)
    name = node.meta["stored"] = walk.names.get(id(tensor))
    long = [axis for axis, size in enumerate(tensor.shape) if size > 1]
    if name is None or len(long) != 1:
        return None
    return Channels(long[0], walk.slot(name, long[0]))


def _collect(walk, parameters):
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
    return ChannelGraph(groups, refused, slots, walk.layers, walk.shapes, parameters)


def text_table(rows):
    """Rows of words and numbers as text in columns, columns of numbers to the right.

    Examples
    --------
    >>> print(text_table([("layer", "channels"), ("conv1", 1600)]))
    layer  channels
    conv1     1,600
    """
    columns = list(zip(*rows, strict=True))
    lines = []
    for column in columns:
        cells = [f"{x:,}" if isinstance(x, int) else x for x in column]
        right = all(isinstance(x, int) for x in column[1:])
        size = max(map(len, cells))
        lines.append([cell.rjust(size) if right else cell.ljust(size) for cell in cells])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*lines, strict=True))
