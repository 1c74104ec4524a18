"""What shall go, before anything goes: a plan of channels that can be read, counted and drawn.

A plan is positions in the groups of a `ChannelGraph`. `mcomp.channels.planning` makes plans from scores,
`remove_channels` carries one out on a copy.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from mcomp.arrays import bad_value
from mcomp.channels.groups import ChannelGraph, text_table

__all__ = ["EmptiedError", "Plan"]


class EmptiedError(ValueError):
    """A plan would leave a layer without channels."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which channels of which group shall be removed.

    Attributes
    ----------
    graph : ChannelGraph
    removed : dict of group name to positions in it
    held : dict of group name to int
        How many channels stay only because a group must keep some, as `plan_channels` says.

    Raises
    ------
    ValueError
        If a group is unknown or refused, or a position isn't one of its channels.
    EmptiedError
        If a layer would lose all; the message names it.
    """

    graph: ChannelGraph
    removed: dict
    held: dict = field(default_factory=dict)

    def __post_init__(self):
        made = {}
        for name, positions in self.removed.items():
            if name not in self.graph.groups:
                why = self.graph.refused.get(name)
                allowed = f"one of {', '.join(self.graph.groups)}" + (f"; {name} stays: {why}" if why else "")
                raise bad_value("group", name, allowed)
            made[name] = _positions(name, positions, len(self.graph.groups[name].units))
        object.__setattr__(self, "removed", {name: p for name, p in made.items() if len(p)})
        for layer in self.graph.layers.values():
            if layer.made is not None and not len(self.kept(layer.weight, layer.made)):
                found = f"to remove all {self.graph.shapes[layer.weight][layer.made]} channels"
                name = layer.weight.removesuffix(".weight")
                allowed = "one that leaves at least one"
                raise EmptiedError(str(bad_value(f"the plan for {name}", found, allowed)))

    def units(self):
        """What `ChannelGraph.slots` calls the channels that go."""
        groups = self.graph.groups
        return np.concatenate([np.empty(0, int), *(groups[n].units[p] for n, p in self.removed.items())])

    def kept(self, tensor, axis):
        """The indices along an axis of a tensor that stay."""
        slot = self.graph.slots.get((tensor, axis))
        size = self.graph.shapes[tensor][axis]
        return np.arange(size) if slot is None else np.flatnonzero(~np.isin(slot, self.units()))

    def to_dict(self):
        """Which entries of which axes stay, as plain data for JSON: what `mcomp.kept.apply_kept` takes.

        Needs neither the graph nor the pruned network later, only one with the tensors of before.
        """
        rows = {}
        for name, axis in self.graph.slots:
            size, kept = self.graph.shapes[name][axis], self.kept(name, axis)
            if len(kept) < size:
                row = rows.setdefault(
                    (size, kept.tobytes()), {"of": size, "kept": kept.tolist(), "tensors": []}
                )
                row["tensors"].append([name, axis])
        return {"axes": list(rows.values())}

    def shape(self, tensor):
        """The shape of a parameter or buffer afterwards."""
        return tuple(len(self.kept(tensor, axis)) for axis in range(len(self.graph.shapes[tensor])))

    def parameters(self):
        """Entries of all parameters, (before, after)."""
        names, shapes = self.graph.parameters, self.graph.shapes
        return sum(math.prod(shapes[n]) for n in names), sum(math.prod(self.shape(n)) for n in names)

    def macs(self):
        """Multiply-accumulates for one input, (before, after): entries of a weight times its uses."""
        layers, shapes = self.graph.layers.values(), self.graph.shapes
        before = sum(found.uses * math.prod(shapes[found.weight]) for found in layers)
        return before, sum(found.uses * math.prod(self.shape(found.weight)) for found in layers if found.uses)

    def rows(self):
        """The table: group, channels before and after, the layers that make them; first its header."""
        yield "group", "channels", "stay", "made by"
        for name, group in self.graph.groups.items():
            n = len(group.units)
            yield name, n, n - len(self.removed.get(name, ())), ", ".join(group.layers)

    def __repr__(self):
        lines = [text_table(self.rows())]
        for name, n in self.held.items():
            lines.append(f"{name}: {n} stay only because every group must keep some, whatever their scores")
        if not self.graph.groups:
            lines = [repr(self.graph), "nothing can go"]
        for what, (before, after) in (("parameters", self.parameters()), ("MACs", self.macs())):
            lines.append(f"{what}: {before:,} before, {after:,} after ({after / max(before, 1):.1%})")
        return "\n".join(lines)

    def draw(self, *, title="What stays and what goes", ax=None):
        """A row of bars for each group, one a channel: tall and blue stays, low and orange goes."""
        import matplotlib.pyplot as plt
        from matplotlib.patches import Patch

        from mcomp.figures import PALETTE

        groups = self.graph.groups
        ax = plt.subplots(figsize=(9, 0.5 * len(groups) + 1.2))[1] if ax is None else ax
        for row, (name, group) in enumerate(groups.items()):
            width = 1 / len(group.units)
            goes = np.isin(np.arange(len(group.units)), self.removed.get(name, []))
            colours = [PALETTE[1] if g else PALETTE[0] for g in goes]
            heights = np.where(goes, 0.4, 0.8)  # told apart in black and white as well
            ax.bar(np.arange(len(goes)) * width, heights, 0.8 * width, row - 0.4, align="edge", color=colours)
        ax.set_yticks(range(len(groups)), [f"{name} ({len(g.units)})" for name, g in groups.items()])
        ax.set(
            title=title,
            xlabel="channels, in order",
            ylabel="group",
            xticks=[],
            ylim=(len(groups) - 0.4, -0.6),
        )
        ax.grid(False)
        ax.legend(
            handles=[Patch(color=PALETTE[0], label="stays"), Patch(color=PALETTE[1], label="goes")],
            loc="upper left", bbox_to_anchor=(1, 1),
        )  # fmt: skip
        return ax


def _positions(name, positions, n):
    found = np.atleast_1d(np.asarray(positions))
    if found.size == 0:
        return found.astype(int)
    fits = found.ndim == 1 and found.dtype.kind in "iu" and found.min() >= 0 and found.max() < n
    if not fits or len(np.unique(found)) < len(found):
        raise bad_value(f"the positions in {name}", found.tolist(), f"different integers from 0 to {n - 1}")
    return np.sort(found)
