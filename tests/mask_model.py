"""The model of `mcomp.coding.adaptive` for one mask, bit by bit: the slow way, as an oracle of the tests."""

import numpy as np

from mcomp.coding.arith import LIMIT, SQUASH, SQUASHED, ln_fixed

RADIUS = 3  # neighbours within a row that are looked at
WINDOWS = (0, 1, 2)  # radii of the windows over which columns are counted
PRIOR = 30  # entries' worth of trust in the density told by the file, and rows' worth in the first weights
FIRST = {True: [32768, 19661, 13107], False: [52429]}  # first weights of the windows, for an image and not
SOFT = 13  # sixteenths of a kept entry added to each count of a column
SOFT_ROW = 32  # and to that of a row
MAX_WEIGHT = 16 << 16
STEP, STEP_NEAR = 16, 6  # sixteenths of a Newton step, for the features and for the neighbours


class MaskModel:
    """Predicts a mask row by row; `code_row` codes a row in either direction and learns from it.

    Parameters
    ----------
    columns : int
        Entries of a row.
    width : int
        Length of a line if a row is an image of several lines (28 for 28 x 28 inputs), so that columns have
        neighbours; 0 if the order of the columns means nothing.
    density : int
        Log-odds of a kept entry, times 256, as a first guess.
    """

    def __init__(self, columns, width, density):
        self.image, self.width = width > 0, width or columns
        self.height = -(-columns // self.width)
        self.count = np.zeros(columns, np.int64)  # kept entries of each column so far
        self.ln_hits = ln_fixed(np.arange(columns + 1) * 16 + SOFT_ROW)  # of so many kept entries in a row
        self.rows, p = 0, SQUASH[density]
        self.prior = PRIOR * p, PRIOR * (65536 - p)
        self.cells = self._windows(np.ones(columns, np.int64))  # columns in each window
        n = len(self.cells)
        self.weights = FIRST[self.image] + [65536, 32768, 0]  # windows; hint, row, constant
        self.curvature = [PRIOR << 32] * (n + 3)
        near = [(y, x) for y in range(RADIUS + 1) for x in range(-RADIUS, RADIUS + 1) if y > 0 or x > 0]
        near = near if self.image else []
        self.pad = self.width + 2 * RADIUS  # lines with a margin, so that neighbours don't wrap around
        self.near = np.array([y * self.pad + x for y, x in near], np.int64)  # from a kept entry to later ones
        self.near_weights = [_first_weight(y, x) for y, x in near]
        self.near_curvature = [PRIOR << 16] * len(near)
        j = np.arange(columns)
        self.place = j // self.width * self.pad + j % self.width + RADIUS
        self.places = self.place.tolist()
        self.space = (self.height + RADIUS + 1) * self.pad + RADIUS

    def _windows(self, v):
        """Sums of `v` over the window of each radius around every column: (windows, columns)."""
        if not self.image:
            return v[None]
        grid = np.zeros((self.height, self.width), np.int64)
        grid.reshape(-1)[: v.size] = v
        return np.stack([_box(_box(grid, r).T, r).T.reshape(-1)[: v.size] for r in WINDOWS])

    def _features(self, hint):
        """Log of each window's count against its expectation, the hint: (features, columns); overall odds."""
        kept = int(self.count.sum())
        expected = self.cells * 16 * kept // self.count.size
        x = ln_fixed(16 * self._windows(self.count) + SOFT) - ln_fixed(expected + SOFT)
        ones = (kept << 16) + self.prior[0]
        zeros = (self.rows * self.count.size - kept << 16) + self.prior[1]
        odds = ln_fixed(np.array([ones, zeros]))
        return np.vstack([x, np.broadcast_to(hint, x[:1].shape)]), int(odds[0] - odds[1])

    def code_row(self, step, hint=0):
        """Code one row with ``step(p1) -> bit``, learn from it, and return it as an int64 array.

        `hint`: log-odds times 256 from elsewhere, a number or one for each column.
        """
        x, odds = self._features(hint)
        w = np.array(self.weights[: len(x)])
        base = odds + (w @ x + (self.weights[-1] << 8) >> 16)
        expected = np.cumsum(SQUASHED[np.minimum(np.maximum(base, -LIMIT), LIMIT - 1)])
        expected = np.concatenate([[0], expected[:-1]]) >> 12  # sixteenths of an entry, before this one
        ln_expected = ln_fixed(expected + SOFT_ROW)
        row_weight = self.weights[-2]
        start = (base - (row_weight * ln_expected >> 16)).tolist()
        bits, p = self._code(step, start, (row_weight * self.ln_hits >> 16).tolist())
        hits = np.cumsum(bits) - bits
        self._learn(np.vstack([x, self.ln_hits[hits] - ln_expected, np.full(bits.size, 256)]), bits, p)
        return bits

    def _code(self, step, start, rate):
        """The loop over a row: `start` are log-odds without what the row tells, `rate` what its hits add."""
        near = [0] * self.space
        fan = [(int(o), w >> 8) for o, w in zip(self.near, self.near_weights, strict=True)]
        bits, ps, hits, term = [], [], 0, rate[0]
        for s, place in zip(start, self.places, strict=True):
            t = s + term + near[place]
            if t >= LIMIT:
                t = LIMIT - 1
            elif t < -LIMIT:
                t = -LIMIT
            p = SQUASH[t]
            bit = step(p)
            bits.append(bit)
            ps.append(p)
            if bit:
                hits += 1
                term = rate[hits]
                for o, w in fan:
                    near[place + o] += w
        return np.array(bits, np.int64), np.array(ps, np.int64)

    def _learn(self, x, bits, p):
        error, spread = (bits << 16) - p, p * (65536 - p) >> 16
        _newton(self.weights, self.curvature, x @ error << 8, (x * x) @ spread, STEP)
        field = np.zeros((2, self.space), np.int64)
        field[:, self.place] = error, spread
        seen = field[:, self.place[bits > 0][:, None] + self.near].sum(1)  # (2, neighbours)
        _newton(self.near_weights, self.near_curvature, seen[0], seen[1], STEP_NEAR)
        self.count += bits
        self.rows += 1


def _first_weight(y, x):
    """Log-odds that a neighbour adds, before anything is learnt, times 2**16."""
    return {1: 78643, 2: 39322}.get(y * y + x * x, 16384)


def _newton(weights, curvature, slope, bend, step):
    for k, (s, b) in enumerate(zip(slope.tolist(), bend.tolist(), strict=True)):
        curvature[k] += b
        weights[k] += (s * step << 12) // curvature[k]
        weights[k] = min(max(weights[k], -MAX_WEIGHT), MAX_WEIGHT)  # no sum overflows, whatever the bytes


def _box(grid, r):
    """Sum over r entries to either side along the last axis, zeros outside."""
    s = grid.copy()
    for d in range(1, min(r, grid.shape[1] - 1) + 1):
        s[:, :-d] += grid[:, d:]
        s[:, d:] += grid[:, :-d]
    return s
