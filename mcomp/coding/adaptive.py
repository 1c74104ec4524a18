"""Masks coded by a model that learns while it reads: which weights stay, predicted from those before.

Row by row (a row is an output unit), the log-odds that an entry is kept are a weighted sum of features:
how often its column and the columns around it were kept so far, how the row fared so far against what was
expected of it, and which neighbours are kept within the row. After each row the weights take one Newton step
with a diagonal curvature, on all that the row taught. This is logistic mixing (Mahoney 2005, "Adaptive
weighing of context models for lossless data compression", PAQ), done a row at a time so that numpy does the
sums, and a row of many masks at a time, since a layer may have rows of nine entries. All numbers are
integers: log-odds times 256, weights times 2**16, probabilities times 2**16.
"""

import numpy as np

from mcomp.coding.arith import LIMIT, SQUASHED, ln_fixed
from mcomp.coding.range_rows import NEAR

__all__ = ["MaskModels"]

AROUND = sorted(((y, x) for y in range(-2, 3) for x in range(-2, 3)), key=lambda at: max(map(abs, at)))
WINDOWS = {True: (1, 9, 25), False: (1,)}  # of `AROUND`: squares over which columns are counted in an image
PRIOR = 30  # entries' worth of trust in the density told by the file, and rows' worth in the first weights
FIRST = {True: [32768, 19661, 13107], False: [52429]}  # first weights of the windows, for an image and not
SOFT = 13  # sixteenths of a kept entry added to each count of a column
SOFT_ROW = 32  # and to that of a row
MAX_WEIGHT = 16 << 16
STEP, STEP_NEAR = 16, 6  # sixteenths of a Newton step, for the features and for the neighbours


class MaskModels:
    """Predicts several masks, a row of each at a time: `predict`, then `learn` from the bits that came.

    Parameters
    ----------
    layouts : list of (rows, columns, width)
        `width`: length of a line if a row is an image of several lines (28 for 28 x 28 inputs), so that
        columns have neighbours; 0 if the order of the columns means nothing. Either all are images or none
        is. The masks with the most rows come first.
    densities : list of int
        Log-odds of a kept entry of each mask, times 256, as a first guess.
    hints : list of integer array, (rows, 1) or (1, columns)
        Log-odds times 256 from elsewhere, for each row or each column.
    """

    def __init__(self, layouts, densities, hints):
        self.rows, self.columns, widths = np.array(layouts, np.int64).T
        self.image, n, p = bool(widths[0]), len(layouts), SQUASHED[densities]
        self.end = np.cumsum(self.columns)
        self.first, total, self.t = self.end - self.columns, int(self.end[-1]), 0
        self.model, self.hints = np.repeat(np.arange(n), self.columns), _Hints(hints, self.columns, self.rows)
        self.prior, self.kept = (PRIOR * p, PRIOR * (65536 - p)), np.zeros(n, np.int64)
        width = np.where(widths > 0, widths, self.columns)
        place = _Places(width, self.columns, self.first)
        self.near = place.around(NEAR if self.image else [])
        self.windows = [place.around(AROUND[:size]) for size in WINDOWS[self.image]]
        self.cells = np.array([(at < total).sum(1) for at in self.windows])
        self.counts = np.zeros((len(self.windows), total), np.int64)  # kept in each window so far
        self.weights = np.array([FIRST[self.image] + [65536, 32768, 0]] * n)  # windows; hint, row, constant
        self.curvature = np.full(self.weights.shape, PRIOR << 32)
        self.near_weights = np.array([[_first_weight(y, x) for y, x in NEAR if self.image]] * n, np.int64)
        self.near_curvature = np.full(self.near_weights.shape, PRIOR << 16)
        self.ln_count = ln_fixed(16 * np.arange(WINDOWS[self.image][-1] * int(self.rows[0]) + 1) + SOFT)
        self.ln_hits = ln_fixed(16 * np.arange(int(self.columns.max()) + 1) + SOFT_ROW)
        self.seen = np.zeros((2, total + 1), np.int64)  # error and spread; the last is outside of an image

    def active(self):
        """How many masks have a row left, and the entries of their rows."""
        masks = int(np.count_nonzero(self.rows > self.t))
        return masks, int(self.end[masks - 1]) if masks else 0

    def predict(self):
        """Log-odds of the next row of each mask that has one, side by side, without what the row tells."""
        masks, n = self.active()
        m, w = self.model[:n], self.weights[:masks]
        cells = np.arange(WINDOWS[self.image][-1] + 1)
        expected = cells * 16 * self.kept[:masks, None] // self.columns[:masks, None]
        x = self.ln_count[self.counts[:, :n]] - ln_fixed(expected + SOFT)[m, self.cells[:, :n]]
        x = np.vstack([x, self.hints.row(self.t, n, m)])
        ones = (self.kept[:masks] << 16) + self.prior[0][:masks]
        zeros = (self.t * self.columns[:masks] - self.kept[:masks] << 16) + self.prior[1][:masks]
        mixed = (w[:, :-2].T[:, m] * x).sum(0) + (w[:, -1] << 8)[m] >> 16
        base = (ln_fixed(ones) - ln_fixed(zeros))[m] + mixed
        ln_expected = ln_fixed((self._before(SQUASHED[_clip(base)], masks) >> 12) + SOFT_ROW)
        self.x, self.ln_expected = x, ln_expected
        self.start = base - (w[m, -2] * ln_expected >> 16)
        return self.start

    def _before(self, v, masks):
        """The sum of `v` over the entries of the same row before each entry."""
        sums = np.concatenate([[0], np.cumsum(v)])
        return sums[:-1] - sums[self.first[:masks]][self.model[: v.size]]

    def learn(self, bits):
        """The probabilities of ones that the model gave to `bits`; the weights are moved on."""
        masks, n = self.active()
        m, w, kept = self.model[:n], self.weights[:masks], np.flatnonzero(bits)
        ln_hits = self.ln_hits[self._before(bits, masks)]
        odds = self.start + (w[m, -2] * ln_hits >> 16)
        if self.image:  # sums of whole numbers: exact
            near = (self.near_weights >> 8)[m[kept]]
            odds += np.bincount(self.near[kept].reshape(-1), near.reshape(-1), self.seen.shape[1])[:n].astype(
                np.int64
            )
        p = SQUASHED[_clip(odds)]
        error, spread = (bits << 16) - p, p * (65536 - p) >> 16
        x = np.vstack([self.x, ln_hits - self.ln_expected, np.full(n, 256)])
        slope, bend = (np.add.reduceat(v, self.first[:masks], axis=1).T for v in (x * error, x * x * spread))
        _newton(self.weights[:masks], self.curvature[:masks], slope << 8, bend, STEP)
        if self.image:
            self._learn_near(error, spread, kept, masks)
        for count, at in zip(self.counts, self.windows, strict=True):
            count += np.bincount(at[kept].reshape(-1), minlength=count.size + 1)[:-1]
        self.kept[:masks] += np.add.reduceat(bits, self.first[:masks])
        self.t += 1
        return p

    def _learn_near(self, error, spread, kept, masks):
        self.seen[:, : error.size] = error, spread
        sums = np.zeros((2, len(kept) + 1, len(NEAR)), np.int64)
        np.cumsum(self.seen[:, self.near[kept]], axis=1, out=sums[:, 1:])
        ends = np.searchsorted(kept, self.end[:masks])
        slope, bend = np.diff(sums[:, ends], axis=1, prepend=np.zeros((2, 1, len(NEAR)), np.int64))
        _newton(self.near_weights[:masks], self.near_curvature[:masks], slope, bend, STEP_NEAR)


class _Hints:
    """Hints side by side: for each column, and for each mask and row."""

    def __init__(self, hints, columns, rows):
        self.columns = np.zeros(int(columns.sum()), np.int64)
        self.rows = np.zeros((len(hints), int(rows[0])), np.int64)
        for row, h, n, end in zip(self.rows, hints, columns, np.cumsum(columns), strict=True):
            if h.shape == (1, n):
                self.columns[end - n : end] = h[0]
            elif h.shape[1] == 1:
                row[: len(h)] = h[:, 0]

    def row(self, t, n, model):
        return self.columns[:n] + self.rows[:, t][model]


class _Places:
    """Where the columns of all masks lie in their images."""

    def __init__(self, width, columns, first):
        self.total, self.first = int(columns.sum()), np.repeat(first, columns)[:, None]
        self.width, self.size = (np.repeat(v, columns)[:, None] for v in (width, columns))
        self.y, self.x = np.divmod(np.arange(self.total)[:, None] - self.first, self.width)

    def around(self, offsets):
        """Columns at offsets (y, x) of each, (columns, offsets); the number of all where there is none."""
        y, x = np.array(offsets, np.int64).reshape(-1, 2).T
        y, x = self.y + y, self.x + x
        at = y * self.width + x
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (at < self.size)
        return np.where(inside, self.first + at, self.total).astype(np.int32)  # there are many


def _first_weight(y, x):
    """Log-odds that a neighbour adds, before anything is learnt, times 2**16."""
    return {1: 78643, 2: 39322}.get(y * y + x * x, 16384)


def _clip(odds):
    return np.minimum(np.maximum(odds, -LIMIT), LIMIT - 1)


def _newton(weights, curvature, slope, bend, step):
    curvature += bend
    if slope.size and np.abs(slope).max() >= 1 << 46:  # as Python's numbers, which don't overflow
        move = (slope.astype(object) * step << 12) // curvature.astype(object)
        move = np.minimum(np.maximum(move, -2 * MAX_WEIGHT), 2 * MAX_WEIGHT).astype(np.int64)
    else:
        move = (slope * step << 12) // curvature
    np.clip(weights + move, -MAX_WEIGHT, MAX_WEIGHT, out=weights)  # no sum overflows, whatever the bytes
