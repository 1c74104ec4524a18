"""A mask as the gaps between its kept entries, and back: what mcomp/coding/universal.py codes."""

import math

import numpy as np

from mcomp.arrays import array_namespace, bad_value, device
from mcomp.coding.bits import CorruptFileError

__all__ = ["gaps", "kept_from_gaps"]


def gaps(mask):
    """How many entries lie between each kept entry of a mask and the kept one before it, plus 1: from 1 on.

    Parameters
    ----------
    mask : bool array, any shape (flattened)
        True = kept.

    Returns
    -------
    gaps : int64 array (kept,)
        Their running sums, less 1, are the flat places.

    Examples
    --------
    >>> gaps(np.array([[True, False, False], [False, True, True]]))
    array([1, 4, 1])
    """
    xp = array_namespace(mask)
    if mask.dtype != xp.bool:
        raise bad_value("mask.dtype", str(mask.dtype), "bool")
    at = xp.astype(xp.nonzero(xp.reshape(mask, (-1,)))[0], xp.int64)
    before = xp.concat([xp.full((1,), -1, dtype=xp.int64, device=device(mask)), at])
    return at - before[:-1]


def kept_from_gaps(found, shape):
    """Inverse of `gaps`: the mask of this shape, a numpy array.

    Raises
    ------
    CorruptFileError
        If a gap is below 1 or leads beyond the last entry.
    """
    found, mask = np.asarray(found, np.int64), np.zeros(math.prod(shape), bool)
    at = np.cumsum(found) - 1
    if found.size and (found.min() < 1 or at[-1] >= mask.size):
        raise CorruptFileError(f"gaps of at least {found.min()} lead to entry {at[-1]} of {mask.size}")
    mask[at] = True
    return mask.reshape(shape)
