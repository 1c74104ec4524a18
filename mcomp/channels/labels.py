"""Labels for channels: what must leave a network together carries the same label.

`Labels` is a union-find: every channel that a layer makes gets a fresh label, and where two tensors are added
the labels of their channels become one. `Walk` collects what a pass over a network (`mcomp.channels.graph`)
finds out, operation by operation (`mcomp.channels.rules`).
"""

from dataclasses import dataclass, field

import numpy as np
from torch import fx, nn

__all__ = ["Channels", "Labels", "Layer", "Step", "Walk", "opaque"]


@dataclass(frozen=True, eq=False)
class Channels:
    """What is known of a tensor on its way from layer to layer.

    Attributes
    ----------
    axis : int
        Which of its axes counts channels.
    labels : int array (size of that axis,)
        After a flatten, a label stands once for each pixel.
    zero : bool
        Whether a channel is zero here if all weights that make it are zero: not so behind a sigmoid.
    """

    axis: int
    labels: np.ndarray
    zero: bool = True


@dataclass
class Layer:
    """A layer with weights that go or stay by channel.

    Attributes
    ----------
    kind : str
        "maker" makes channels of its own (linear, convolution), "scale" passes them on (batch norm).
    weight, bias : str or None
        Names of its tensors, as in ``model.named_parameters()``.
    made, read : int or None
        Axis of the weight that counts the channels it makes, and those it reads.
    uses : int
        How often each entry of the weight is multiplied for one input: MACs are entries times uses.
    """

    kind: str
    weight: str
    bias: str | None
    made: int
    read: int | None
    uses: int = 0


class Labels:
    """Union-find over whole numbers; a frozen label, and all that is joined to it, must stay."""

    def __init__(self):
        self.parent, self.reasons = [], {}

    def fresh(self, n):
        """`n` new labels."""
        start = len(self.parent)
        self.parent.extend(range(start, start + n))
        return np.arange(start, start + n)

    def root(self, i):
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]  # path halving
            i = self.parent[i]
        return i

    def join(self, a, b):
        """Make the labels `a` and `b` one, pair by pair; the earlier one stands for both."""
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            first, second = sorted((self.root(i), self.root(j)))
            self.parent[second] = first
            if second in self.reasons:
                self.reasons.setdefault(first, self.reasons[second])

    def freeze(self, labels, reason):
        """Say that these must stay, and why; an earlier reason stands."""
        for i in labels.tolist():
            self.reasons.setdefault(self.root(i), reason)

    def roots(self, labels):
        return np.array([self.root(i) for i in labels.tolist()], dtype=np.int64)

    def reason(self, label):
        """Why a label is frozen, or None."""
        return self.reasons.get(self.root(int(label)))


@dataclass
class Walk:
    """What one pass over the network has found: labels, where they sit, and the layers.

    Attributes
    ----------
    names : dict of id of a tensor to its name; a shared tensor has one
    shapes : dict of name to shape
    slots : dict of (name, axis) to labels
        Each axis of a stored tensor that counts channels.
    closed : dict of name to the reason why nothing of this tensor may go
    """

    names: dict
    shapes: dict
    labels: Labels = field(default_factory=Labels)
    slots: dict = field(default_factory=dict)
    layers: dict = field(default_factory=dict)
    closed: dict = field(default_factory=dict)

    def slot(self, name, axis, labels=None):
        """The labels of an axis of a stored tensor: as known, joined with `labels`, or fresh."""
        if (name, axis) not in self.slots:
            found = self.labels.fresh(self.shapes[name][axis]) if labels is None else labels
            self.slots[name, axis] = found
        elif labels is not None:
            self.labels.join(self.slots[name, axis], labels)
        return self.slots[name, axis]

    def freeze(self, values, reason):
        """Freeze the labels of every `Channels` among `values`."""
        for value in values:
            if isinstance(value, Channels):
                self.labels.freeze(value.labels, reason)
            elif isinstance(value, tuple):  # of a chunk
                self.freeze(value, reason)

    def close(self, name, reason):
        """Say that a stored tensor must stay whole, whoever else uses it."""
        self.closed.setdefault(name, reason)
        for axis in range(len(self.shapes[name])):
            self.labels.freeze(self.slot(name, axis), reason)


@dataclass
class Step:
    """One operation of the network on the way through it."""

    walk: Walk
    node: fx.Node
    name: str  # of the layer or the operation, for messages
    module: nn.Module | None
    known: dict  # node -> Channels, a tuple of them, or None, for all nodes before
    why: str | None = None  # it was refused

    def values(self):
        """The `Channels` of all tensors that go in."""
        return [self.known.get(node) for node in self.node.all_input_nodes]

    def source(self):
        """The first argument: a node, or what stands in its place."""
        return self.node.args[0] if self.node.args else next(iter(self.node.kwargs.values()), None)

    def first(self):
        """The `Channels` of the first argument."""
        source = self.source()
        found = self.known.get(source) if isinstance(source, fx.Node) else None
        return found if isinstance(found, Channels) else None

    def shape(self, node=None):
        return (self.node if node is None else node).meta.get("shape")

    def argument(self, position, name, default=None):
        given = self.node.args
        return given[position] if len(given) > position else self.node.kwargs.get(name, default)


def opaque(step, why="can't be followed"):
    """Freeze what goes in."""
    step.why = why
    step.walk.freeze(step.values(), f"{step.name} {why}")
