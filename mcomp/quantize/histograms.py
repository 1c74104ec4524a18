"""A histogram that grows with what it sees, and the ranges (low, high) that one can read off it.

Derived in chapters/07_calibration_and_integers.ipynb.
"""

import math

import numpy as np

from mcomp.arrays import (
    array_namespace,
    bad_value,
    check_finite,
    check_int,
    check_real,
    constant,
    scatter_sum,
    to_numpy,
)
from mcomp.quantize.grids import Grid, fake_quantize, range_grid

__all__ = ["Histogram", "entropy_range", "extremes", "least_squares_range", "percentile_range", "seen"]

BINS = 2048
CANDIDATES = 100  # clips that a search tries


def extremes(x):
    """The least and the largest entry of `x` as floats."""
    xp = array_namespace(check_finite("x", x))
    return float(xp.min(x)), float(xp.max(x))


class Histogram:
    """Counts in equal bins over a range that grows: `counts` (n,) float64 and `edges` (n + 1,).

    A bin stays a bin: where a batch lies outside, bins of the same width are added, and beyond twice `bins`
    neighbours are joined. So every count is exact, and no batch has to be kept.
    """

    def __init__(self, bins=BINS):
        self.bins, self.counts = check_int("bins", bins, 2, 2**20), None

    def update(self, x):
        """Look at one batch: a floating array of any shape."""
        low, high = extremes(x)
        if self.counts is None:
            self.counts, self.low = np.zeros(self.bins), low
            self.width = max((high - low) / self.bins, 1e-12 * max(abs(low), abs(high), 1e-12))
        self._reach(low, high)
        xp, n = array_namespace(x), len(self.counts)
        flat = xp.astype(xp.reshape(constant(x), (-1,)), xp.float64)
        index = xp.astype(xp.clip((flat - self.low) / self.width, 0, n - 1), xp.int64)
        self.counts += to_numpy(scatter_sum(xp.ones_like(flat), index, n=n))

    def _reach(self, low, high):
        """Join and add bins until they hold [low, high]."""
        top = self.low + self.width * len(self.counts)
        while max(high, top) - min(low, self.low) > 2 * self.bins * self.width:
            self.counts = np.append(self.counts, np.zeros(len(self.counts) % 2)).reshape(-1, 2).sum(1)
            self.width *= 2
            top = self.low + self.width * len(self.counts)
        below = math.ceil(max(0.0, (self.low - low) / self.width))
        above = math.ceil(max(0.0, (high - top) / self.width))
        self.counts = np.pad(self.counts, (below, above))
        self.low -= below * self.width

    @property
    def edges(self):
        """The borders of the bins, ascending."""
        n = len(seen(self.counts))
        return self.low + self.width * np.arange(n + 1)


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
    symmetric grid both at once.

    Examples
    --------
    >>> counts, edges = np.histogram(np.random.default_rng(0).normal(size=100_000), 1000)
    >>> low, high = least_squares_range(counts, edges, bits=4, symmetric=True)
    >>> 2.3 < high < 2.8  # the best clip of a Gaussian at four bits lies near 2.5 sigma
    True
    """
    at, n = (edges[1:] + edges[:-1]) / 2, np.asarray(counts, np.float64)

    def error(low, high):
        if low == high == 0:
            return np.inf
        grid = range_grid(float(low), float(high), bits, symmetric=symmetric, signed=True)
        grid = Grid(float(grid.scale), int(grid.zero_point), grid.qmin, grid.qmax)
        return float(n @ (at - fake_quantize(at, grid)) ** 2)

    ends = _with_zero(counts, edges)
    fractions = np.arange(1, CANDIDATES + 1) / CANDIDATES
    if symmetric:
        most = max(-ends[0], ends[1])
        best = min(most * fractions, key=lambda t: error(-t, t))
        return float(-best), float(best)
    found, before = list(ends), None
    while before != found:
        before = list(found)
        found[1] = float(min(ends[1] * fractions[::-1], key=lambda high: error(found[0], high)))
        found[0] = float(min(ends[0] * fractions[::-1], key=lambda low: error(low, found[1])))
    return tuple(found)


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
    size = max(-low, high)
    middle = abs(edges[1:] + edges[:-1]) / 2
    sizes, borders = np.histogram(middle, max(len(counts), levels), (0, size), weights=counts)
    sizes[0] = sizes[1]  # exact zeros, half of a ReLU's output, are on every grid and say nothing about t
    if not sizes.any():
        return low, high
    tried = np.unique(np.linspace(levels, len(sizes), CANDIDATES).astype(int))
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
