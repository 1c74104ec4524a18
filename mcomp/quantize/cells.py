"""What a grid is, and its cells: the parts of a tensor that share one scale.

Per tensor, per channel, per group of a channel. `cells` lays a tensor out so that each row along the last
axis is one cell; `uncells` is the way back.
"""

import math
from dataclasses import dataclass
from typing import Any

from mcomp.arrays import array_namespace, bad_value, check_int, constant, device

__all__ = ["Grid", "cells", "extremes", "one_each", "parameter_shape", "uncells"]

WIDEST = 2**22  # integers and their differences are exact in float32


@dataclass(frozen=True, eq=False)
class Grid:
    """Which numbers a tensor may take: scale * (q - zero_point) for q = qmin ... qmax.

    Attributes
    ----------
    scale : float, or floating array of `parameter_shape(x.shape, axis=axis, group=group)`
        Step between two neighbours, above 0. float32, whatever narrower type `x` has.
    zero_point : int, or int32 array of that shape
        The integer that means 0. Symmetric grids have 0.
    qmin, qmax : int
        First and last integer.
    axis : int, optional
        One scale for each index along this axis ("per channel"). None: one for the whole tensor.
    group : int, optional
        One scale for each run of so many entries, of each channel or of the whole flat tensor; the last
        run may be shorter.
    """

    scale: Any
    zero_point: Any
    qmin: int
    qmax: int
    axis: int | None = None
    group: int | None = None

    def __post_init__(self):
        check_int("qmax", self.qmax, check_int("qmin", self.qmin, -WIDEST, WIDEST - 1) + 1, WIDEST)
        shapes = [tuple(getattr(p, "shape", ())) for p in (self.scale, self.zero_point)]
        if shapes[0] != shapes[1]:
            raise bad_value("zero_point.shape", shapes[1], f"that of scale, {shapes[0]}")
        array = hasattr(self.scale, "dtype")
        ends = extremes(constant(self.scale)) if array else [float(self.scale)] * 2
        if not 0 < ends[0] <= ends[1] < float("inf"):
            raise bad_value("scales from", ends, "finite numbers above 0")


def extremes(x):
    """Least and largest entry, as floats."""
    xp = array_namespace(x)
    return [float(xp.min(x)), float(xp.max(x))]


def parameter_shape(shape, *, axis=None, group=None):
    """The shape of one number a cell, for a tensor of `shape`.

    Raises
    ------
    ValueError
        If `shape` has no such axis, or `group` is no integer of at least 1.

    Examples
    --------
    >>> parameter_shape((4, 10)), parameter_shape((4, 10), axis=0), parameter_shape((4, 10), axis=0, group=8)
    ((), (4,), (4, 2))
    >>> parameter_shape((4, 10), group=8)
    (5,)
    """
    if axis is not None:
        axis = check_int("axis", axis, -len(shape), len(shape) - 1)
    channels = () if axis is None else (shape[axis],)
    if group is None:
        return channels
    return (*channels, -(-_length(shape, axis) // check_int("group", group, 1)))


def _length(shape, axis):
    """Entries of a channel."""
    return math.prod(shape) // (1 if axis is None else max(shape[axis], 1))


def cells(x, *, axis=None, group=None):
    """`x` as rows of cells; zeros fill the last group of a channel, unless it is the only one.

    Returns
    -------
    rows : array (n,), (channels, n), (groups, group) or (channels, groups, group)
        A view of `x` where its memory allows.

    Examples
    --------
    >>> import numpy as np
    >>> cells(np.arange(1.0, 7.0).reshape(2, 3), axis=0, group=2)
    array([[[1., 2.],
            [3., 0.]],
    <BLANKLINE>
           [[4., 5.],
            [6., 0.]]])
    """
    xp = array_namespace(x)
    shape = parameter_shape(x.shape, axis=axis, group=group)
    rows = x if axis is None else xp.moveaxis(x, axis, 0)
    rows = xp.reshape(rows, (-1,) if axis is None else (x.shape[axis], -1))
    if group is None:
        return rows
    group = min(group, rows.shape[-1])
    missing = shape[-1] * group - rows.shape[-1]
    if missing:
        zeros = xp.zeros((*rows.shape[:-1], missing), dtype=x.dtype, device=device(x))
        rows = xp.concat([rows, zeros], axis=-1)
    return xp.reshape(rows, (*shape, group))


def uncells(rows, shape, *, axis=None, group=None):
    """The tensor of `shape` that `cells` laid out.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(6).reshape(2, 3)
    >>> (uncells(cells(x, axis=1, group=2), x.shape, axis=1, group=2) == x).all()
    np.True_
    """
    xp = array_namespace(rows)
    if axis is None:
        return xp.reshape(xp.reshape(rows, (-1,))[: math.prod(shape)], shape)
    axis = axis % len(shape)
    moved = (shape[axis], *shape[:axis], *shape[axis + 1 :])
    if group is not None:
        rows = xp.reshape(rows, (shape[axis], -1))[:, : math.prod(moved[1:])]
    return xp.moveaxis(xp.reshape(rows, moved), 0, axis)


def one_each(p, x, *, axis=None, group=None):
    """The parameter `p`, one number a cell of `x`, so that it broadcasts against ``cells(x)``."""
    expected, shape = parameter_shape(x.shape, axis=axis, group=group), tuple(getattr(p, "shape", ()))
    if shape != expected:
        raise bad_value(f"the shape of scales for x of shape {tuple(x.shape)}", shape, expected)
    return p[..., None] if shape else p
