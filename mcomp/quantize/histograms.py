"""A histogram that holds any scale, and the ranges (low, high) that one can read off it.

Derived in chapters/07_repair_without_training.ipynb.
"""

import math

import numpy as np

from mcomp.arrays import (
    array_namespace,
    bad_value,
    check_finite,
    check_real,
    constant,
    to_numpy,
)
from mcomp.quantize.grids import Grid, fake_quantize, range_grid

__all__ = ["Histogram", "entropy_range", "extremes", "least_squares_range", "percentile_range", "seen"]

OCTAVE = 2048  # bins from one power of two to the next
BIAS, TINY = 1000, 2.0**-1000  # what is nearer to 0 counts as 0
BINS = 2048  # equal ones, in which ranges are searched
CANDIDATES = 100  # clips that a search tries
BULK, FAR = 0.999, 16  # what lies beyond 16 times the size that 99.9 % of the entries have is an outlier


def extremes(x):
    """The least and the largest entry of `x` as floats."""
    xp = array_namespace(check_finite("x", x))
    return float(xp.min(x)), float(xp.max(x))


class Histogram:
    """Counts in bins as fine as a 2,048th of what they hold: `counts` (n,) float64 and `edges` (n + 1,).

    Each power of two has as many bins, as floats have: so one outlier of a million takes no resolution from
    a million values near 1, batches may come in any order, and no batch has to be kept. The bins reach from
    the least entry seen to the largest; where nothing fell, one empty bin bridges the gap.
    """

    def __init__(self):
        self.keys, self.filled = np.zeros(0, np.int64), np.zeros(0)
        self.low, self.high = math.inf, -math.inf

    def update(self, x):
        """Look at one batch: a floating array of any shape."""
        low, high = extremes(x)
        self.low, self.high = min(low, self.low), max(high, self.high)
        xp = array_namespace(x)
        keys = _keys(xp.astype(xp.reshape(constant(x), (-1,)), xp.float64))
        found, counts = map(to_numpy, xp.unique_counts(keys))
        self.keys, index = np.unique(np.append(self.keys, found), return_inverse=True)
        self.filled = np.bincount(index, weights=np.append(self.filled, counts))

    @property
    def counts(self):
        """How many entries fell into each bin."""
        return self._bins()[0]

    @property
    def edges(self):
        """The borders of the bins, ascending."""
        return self._bins()[1]

    def _bins(self):
        seen(self.low if len(self.keys) else None)
        ends = np.stack([_least(self.keys), _least(self.keys + 1)], axis=1)  # (filled, 2)
        ends = np.clip(ends, self.low, self.high).reshape(-1)
        counts = np.stack([self.filled, np.zeros_like(self.filled)], axis=1).reshape(-1)[:-1]
        kept = (counts > 0) | (ends[1:] > ends[:-1])  # no gap between neighbours
        return counts[kept], np.append(ends[:-1][kept], ends[-1])


def _keys(x):
    """The bin of each entry of a float64 array: an integer that rises with it, 0 for zero."""
    xp = array_namespace(x)
    size = xp.abs(x)
    size = xp.where(size > TINY, size, xp.ones_like(size))
    power = xp.floor(xp.log2(size))
    part = xp.clip(xp.floor((size / 2**power - 1) * OCTAVE), 0, OCTAVE - 1)
    key = xp.astype((power + BIAS) * OCTAVE + part, xp.int64) + 1
    return xp.where(xp.abs(x) > TINY, xp.where(x < 0, -key, key), xp.zeros_like(key))


def _least(keys):
    """The lower border of each bin; those of negative numbers mirror those of positive ones."""
    place = np.where(keys > 0, keys, 1 - keys) - 1
    size = np.where(place < 0, 0.0, np.ldexp(1 + place % OCTAVE / OCTAVE, place // OCTAVE - BIAS))
    return np.where(keys > 0, size, np.where(keys < 0, -size, 0.0))


def percentile_range(counts, edges, *, fraction):
    """Where the histogram's tails, each with ``(1 - fraction) / 2`` of the entries, begin: (low, high).

    Within a bin the entries are taken to lie evenly.

    Examples
    --------
    >>> percentile_range(np.array([1.0, 2.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0]), fraction=0.75)
    (0.5, 2.5)
    """
    below = np.append(0.0, np.cumsum(counts)) / np.sum(counts)
    tail = (1 - check_real("fraction", fraction, 0.0, 1.0)) / 2
    first, last = np.flatnonzero(counts)[[0, -1]]
    ends = slice(first, last + 2)  # empty bins outside would let the ends slip outwards
    low, high = np.interp([tail, 1 - tail], below[ends], edges[ends])
    return float(low), float(high)


def least_squares_range(counts, edges, *, bits, symmetric=False):
    """The range (low, high) whose grid has the least squared error on the histogram.

    The ends are searched in turn, each over a hundred fractions of its extreme, until neither moves; on a
    symmetric grid both at once. Where there are outliers, over a hundred fractions of the other entries' ends
    besides.

    Examples
    --------
    >>> counts, edges = np.histogram(np.random.default_rng(0).normal(size=100_000), 1000)
    >>> low, high = least_squares_range(counts, edges, bits=4, symmetric=True)
    >>> 2.3 < high < 2.8  # the best clip of a Gaussian at four bits lies near 2.5 sigma
    True
    """
    ends, reach = _with_zero(counts, edges), _reach(counts, edges)
    n, edges = _even(counts, edges, reach)
    at = (edges[1:] + edges[:-1]) / 2

    def error(low, high):
        if low == high == 0:
            return np.inf
        grid = range_grid(float(low), float(high), bits, symmetric=symmetric, signed=True)
        grid = Grid(float(grid.scale), int(grid.zero_point), grid.qmin, grid.qmax)
        return float(n @ (at - fake_quantize(at, grid)) ** 2)

    if symmetric:
        best = min(_tried(max(-ends[0], ends[1]), reach), key=lambda t: error(-t, t))
        return float(-best), float(best)
    found, before = list(ends), None
    while before != found:
        before = list(found)
        found[1] = float(min(_tried(ends[1], reach)[::-1], key=lambda high: error(found[0], high)))
        found[0] = -float(min(_tried(-ends[0], reach)[::-1], key=lambda size: error(-size, found[1])))
    return tuple(found)


def _tried(end, reach):
    """The clips that a search tries on one side: parts of the end, and of what all but outliers reach to."""
    return np.unique(np.outer((end, min(end, reach)), np.arange(1, CANDIDATES + 1) / CANDIDATES))


def _reach(counts, edges):
    """How far from 0 a histogram is more than its outliers."""
    size = np.maximum(abs(edges[1:]), abs(edges[:-1]))
    order = np.argsort(size)
    held = np.cumsum(np.where(size > TINY, counts, 0)[order])  # exact zeros say nothing about the scale
    return min(FAR * float(size[order[np.searchsorted(held, BULK * held[-1])]]), float(size.max()))


def _even(counts, edges, reach):
    """The histogram in equal bins up to `reach`, in its own bins beyond: (counts, edges)."""
    low, high = _with_zero(counts, edges)
    low, high = max(low, -reach), min(high, reach)
    even = np.linspace(low, high, BINS + 1) if low < high else np.array([low, high])
    middle = (edges[1:] + edges[:-1]) / 2
    edges = np.concatenate([edges[edges < low], even, edges[edges > high]])
    place = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(place, weights=counts, minlength=len(edges) - 1), edges


def entropy_range(counts, edges, *, bits):
    """The clip t of |x| whose quantized histogram is nearest in KL divergence: (low, high) cut to [-t, t].

    Migacz 2017 (*8-bit inference with TensorRT*, GTC): for each t, P is the histogram of |x| with all that
    lies beyond t added to its last bin; Q is the histogram up to t, pooled into as many levels as the grid
    has there and spread again over the bins that aren't empty. t is where sum P log(P / Q) is least.

    Examples
    --------
    >>> counts, edges = np.histogram(abs(np.random.default_rng(0).normal(size=100_000)), 1000)
    >>> low, high = entropy_range(counts, edges, bits=8)
    >>> 2.5 < high < 5
    True
    """
    low, high = _with_zero(counts, edges)
    levels = 2**bits if low == 0 or high == 0 else 2 ** (bits - 1)
    reach = _reach(counts, edges)  # the divergence hardly feels an outlier, but equal bins up to it would
    counts, edges = _even(counts, edges, reach)
    middle = abs(edges[1:] + edges[:-1]) / 2
    sizes, borders = np.histogram(middle, max(BINS, levels), (0, reach), weights=counts)
    sizes[0] = sizes[1]  # exact zeros, half of a ReLU's output, are on every grid and say nothing about t
    if not sizes.any():
        return low, high
    tried = np.unique(np.linspace(levels, len(sizes), CANDIDATES).astype(int))
    sizes = np.append(sizes, np.sum(counts[middle > reach]))
    best = min(tried[::-1], key=lambda i: clipped_divergence(sizes, i, levels=levels))
    return float(max(low, -borders[best])), float(min(high, borders[best]))


def clipped_divergence(counts, kept, *, levels):
    """KL divergence in nats of the first `kept` bins, the rest added to the last, from their `levels` pools.

    Infinite where a bin that holds something falls into a pool that doesn't.
    """
    p = counts[:kept].astype(np.float64)
    pool = np.arange(kept) * levels // kept  # (kept,), 0 ... levels - 1
    mass = np.bincount(pool, weights=p, minlength=levels)
    if not mass.any():
        return math.inf
    p[-1] += counts[kept:].sum()
    filled = p > 0
    share = np.bincount(pool, weights=filled, minlength=levels)
    q = (mass / np.maximum(share, 1))[pool]
    p, q = p[filled] / p.sum(), q[filled] / mass.sum()
    with np.errstate(divide="ignore"):
        return float(np.sum(p * (np.log(p) - np.log(q))))


def _with_zero(counts, edges):
    """The ends of the filled part of a histogram, widened to hold 0."""
    filled = np.flatnonzero(counts)
    if len(filled) == 0:
        raise bad_value("counts", "all zero", "a histogram of at least one entry")
    return min(float(edges[filled[0]]), 0.0), max(float(edges[filled[-1] + 1]), 0.0)


def seen(value):
    """`value`, unless it is None: the observer was asked before it saw a batch."""
    if value is None:
        raise bad_value("what the observer saw", "nothing", "at least one batch; call update first")
    return value
