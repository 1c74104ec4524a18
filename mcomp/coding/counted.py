"""What is known of streams before they are coded, found for many of them at once.

A network of many small layers has thousands of streams, and numpy takes microseconds for each of its calls,
however short the array is. So the counts of all streams that wait are rows of one array, and what follows
from them (entropy, what the adaptive code will take, bounds) is found by rows.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mcomp.coding.batch import Job
from mcomp.coding.tables import least_table

__all__ = ["MAX_ADAPTIVE", "Count", "Counted"]

MAX_ADAPTIVE = 1 << 16  # binary decisions that the adaptive code takes, for the time it needs
ROOM = 1 << 20  # counts of streams that are looked at together
PIECE = 1 << 20  # symbols that are counted at a time: numpy makes 64-bit numbers of them


@dataclass(frozen=True, eq=False)
class Counted:
    """How often each symbol occurs in a stream, and what follows from it.

    Attributes
    ----------
    counts : int64 array (alphabet,)
    present : int
        How many symbols occur.
    floor : float
        The entropy of all symbols, in bytes.
    table : int
        Bytes of a frequency table, at least.
    adaptive : float
        Bytes of the adaptive code, about; inf where it isn't allowed.
    """

    counts: np.ndarray
    present: int
    floor: float
    table: int
    adaptive: float


@dataclass(frozen=True, eq=False)
class Count(Job):
    """Symbols to count: unsigned integers (n,) below `alphabet`, n > 0; the answer is a `Counted`.

    Examples
    --------
    >>> streams = np.array([0, 1, 1, 1], np.uint8), np.array([2, 2], np.uint8)
    >>> found = Count.serve([Count(s, 3) for s in streams])
    >>> [(x.counts.tolist(), x.present, round(x.floor, 2)) for x in found]
    [([1, 3, 0], 2, 0.41), ([0, 0, 2], 1, 0.0)]
    """

    symbols: np.ndarray
    alphabet: int

    @staticmethod
    def serve(requests):
        groups, found = {}, {}
        for i, r in enumerate(requests):
            groups.setdefault(r.alphabet, []).append(i)
        for alphabet, members in groups.items():
            step = max(1, ROOM // alphabet)
            for a in range(0, len(members), step):
                some = members[a : a + step]
                found |= zip(some, _counted([requests[i].symbols for i in some], alphabet), strict=True)
        return [found[i] for i in range(len(requests))]


def _counted(streams, alphabet):
    width = (alphabet - 1).bit_length()
    rows = np.zeros((len(streams), 1 << width), np.int64)
    for row, s in zip(rows, streams, strict=True):
        for a in range(0, s.size, PIECE):
            row += np.bincount(s[a : a + PIECE], minlength=row.size)
    adaptive, few = np.full(len(rows), np.inf), rows.sum(1) * width <= MAX_ADAPTIVE
    adaptive[few] = _adaptive_bits(rows[few]) / 8
    rows = rows[:, :alphabet]
    columns = np.count_nonzero(rows, axis=1), _floor_bits(rows) / 8, least_table(rows), adaptive
    return [Counted(row, *x) for row, *x in zip(rows, *(c.tolist() for c in columns), strict=True)]


def _floor_bits(rows):
    """The entropy of the symbols of each row of counts (streams, alphabet), in bits: (streams,)."""
    n, logs = rows.sum(1), np.log2(np.maximum(rows, 1))
    return np.maximum(n * np.log2(np.maximum(n, 1)) - (rows * logs).sum(1), 0.0)


def _adaptive_bits(rows):
    """What the adaptive code takes of symbols with these counts, whatever their order; clipping aside.

    At a node that n0 zeros and n1 ones pass, gamma(n0 + 1/2) gamma(n1 + 1/2) / (pi gamma(n0 + n1 + 1)).
    """
    level, bits = rows, np.zeros(len(rows))
    half, whole = _log_gammas(MAX_ADAPTIVE)
    while level.shape[1] > 1:
        both = half[level]
        level = level[:, ::2] + level[:, 1::2]
        bits -= both.sum(1) - whole[level].sum(1)
    return bits


@lru_cache(1)
def _log_gammas(n):
    """log2 of gamma(k + 1/2) / gamma(1/2), and of gamma(k + 1), for k = 0 ... n."""
    k = np.arange(1, n + 1)
    return [np.append(0.0, np.cumsum(np.log2(x))) for x in (k - 0.5, k)]
