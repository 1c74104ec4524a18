"""What `mcomp.channels.graph` finds: groups of channels, and which entries of which tensors each owns."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ChannelGraph", "Group", "text_table"]


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
        Every other layer with weights: those whose channels must stay, all or some, those that can't be
        followed, those that the input doesn't reach; and why.
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
        stay = {}
        for name, why in self.refused.items():
            stay.setdefault(why, []).append(name)
        lines = (f"{', '.join(names)} stay{'s' * (len(names) == 1)}: {why}" for why, names in stay.items())
        return "\n".join([text_table(self.rows()), *lines])


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
