"""The best cut of sorted values into k runs: the core of one-dimensional k-means, in numpy.

`cheapest_runs` is exact: dynamic programming over the number of runs, in which the best begin of the last run
never moves left as its end moves right, so that halving intervals finds all begins of a row in n log n
(Grønlund et al. 2017, arXiv:1701.07204). `lloyd` improves a cut, k log n a step.
"""

import numpy as np

EXACT = 2**18  # up to this many (runs times distinct values) the optimum is found, in about 0.1 s
BINS = 2048  # beyond it, the start for Lloyd is the optimum over about so many bins, or 4 a run
ROUNDS = 2  # the second with bins where the first found the runs
STEPS = 1000  # of Lloyd at most, in each round
STEP = 64  # entries between two stored prefix sums


class Sums:
    """Prefix sums of a long array in float64: ``sums[border]`` is ``a[:border].sum()`` for each border.

    Only every ``STEP``-th is stored, which saves eight bytes for each entry; the rest is added on request.
    """

    def __init__(self, a):
        self.a = a
        self.stored = _prefix(np.add.reduceat(a, np.arange(0, len(a), STEP), dtype=np.float64))

    def __getitem__(self, border):
        block = border // STEP
        at = block[:, None] * STEP + np.arange(STEP)  # (borders, STEP)
        rest = np.where(at < border[:, None], self.a[np.minimum(at, len(self.a) - 1)], 0)
        return self.stored[block] + rest.sum(1, dtype=np.float64)


def sorted_masses(x, weights):
    """The values of `x` (n,) ascending, and how much each weighs (n,) in float64.

    Equal values become one, those without weight go. Only if ``EXACT`` or more are distinct and there are no
    weights, equal ones stay apart: no optimum is sought among so many.
    """
    if weights is None:
        x = np.sort(x)
        if np.count_nonzero(x[1:] != x[:-1]) >= EXACT:
            return x, np.broadcast_to(1.0, len(x))
        first = _firsts(x)
        return x[first], np.diff(first, append=len(x)).astype(np.float64)
    order = np.argsort(x)
    x, weights = x[order], weights[order].astype(np.float64)
    first = _firsts(x)
    x, mass = x[first], np.add.reduceat(weights, first)
    return x[mass > 0], mass[mass > 0]


def _firsts(x):
    return np.append(0, np.flatnonzero(x[1:] != x[:-1]) + 1)  # (distinct values,)


def run_means(values, mass, k):
    """Means of the best (or, if there is too much to search, nearly best) `k` runs, ascending; k < n.

    `values` (n,) ascending and `mass` (n,) positive come from `sorted_masses`.
    """
    weight = Sums(mass)
    moment = Sums(values if mass.strides == (0,) else mass * values)
    if k * len(values) <= EXACT:
        begin = lloyd(values, weight, moment, cheapest_runs(values, mass, k))
    else:
        edge = _bin_edges(values, weight, max(BINS, 4 * k))
        for _ in range(ROUNDS):
            bins = np.diff(weight[edge])
            begin = edge[cheapest_runs(np.diff(moment[edge]) / bins, bins, k)]
            begin = lloyd(values, weight, moment, begin)
            edge = _split_evenly(begin, len(values), max(BINS, 4 * k))
    mean = _means(values, weight, moment, begin)
    last = np.append(begin[1:], len(values)) - 1
    return np.unique(np.clip(mean, values[begin], values[last]).astype(values.dtype))


def lloyd(values, weight, moment, begin):
    """Move each border to the middle between its two means, until none moves; a run left empty is dropped.

    `weight` and `moment` are the `Sums` of mass and mass * values, `begin` (k,) where the runs begin.
    """
    for _ in range(STEPS):
        mean = _means(values, weight, moment, begin)
        middle = (mean[:-1] / 2 + mean[1:] / 2).astype(values.dtype)
        moved = np.unique(np.append(0, np.searchsorted(values, middle, side="right")))
        moved = moved[moved < len(values)]
        if np.array_equal(moved, begin):
            break
        begin = moved
    return begin


def cheapest_runs(values, mass, k):
    """Where the `k` runs begin, whose sum of mass * (value - mean of its run)**2 is the least; k <= n.

    Examples
    --------
    >>> cheapest_runs(np.array([1.0, 2.0, 9.0, 10.0]), np.ones(4), 2)
    array([0, 2])
    """
    cost, n = _run_cost(values, mass), len(values)
    best = np.append(0.0, cost(0, np.arange(1, n + 1)))  # best[end] of one run over values[:end]
    rows = []
    for runs in range(2, k + 1):
        ends = np.arange(runs if runs < k else n, n + 1)  # of the last row only one entry is needed
        begin, cheapest = _last_run(best, cost, ends, runs - 1)
        rows.append(begin.astype(np.int32))
        best = np.full(n + 1, np.inf)
        best[ends] = cheapest
    return _walk_back(rows, n)


def _walk_back(rows, n):
    begins, end = [], n
    for row in reversed(rows):
        end = int(row[end - (n + 1)])  # rows end at n, whatever they start with
        begins.append(end)
    return np.array([0, *reversed(begins)])


def _last_run(best, cost, ends, least):
    """For each of the consecutive `ends` the best begin (>= `least`) of the last run, and the cost in all."""
    n = len(ends)
    begin = np.empty(n + 2, np.int64)
    begin[0], begin[n + 1] = least, ends[-1] - 1  # sentinels on both sides
    cheapest = np.empty(n)
    step = 1 << (n.bit_length() - 1)
    while step:
        p = np.arange(step, n + 1, 2 * step)  # their neighbours at p - step and p + step are known
        low = begin[p - step]
        high = np.minimum(begin[np.minimum(p + step, n + 1)], ends[p - 1] - 1)
        begin[p], cheapest[p - 1] = _search(best, cost, ends[p - 1], low, high)
        step //= 2
    return begin[1:-1], cheapest


def _search(best, cost, ends, low, high):
    """For each end the first begin in [low, high] with the least best[begin] + cost(begin, end), and that."""
    count = high - low + 1
    start = np.cumsum(count) - count
    begin = np.arange(count.sum()) - np.repeat(start - low, count)  # all candidates, end after end
    total = best[begin] + cost(begin, np.repeat(ends, count))
    cheapest = np.minimum.reduceat(total, start)
    hit = np.flatnonzero(total == np.repeat(cheapest, count))
    first = np.searchsorted(hit, start)
    return begin[hit[first]], cheapest


def _run_cost(values, mass):
    """cost(i, j): sum of mass * (value - mean)**2 over values[i:j], from prefix sums; i < j."""
    v = values.astype(np.float64)
    v = v - np.average(v, weights=mass)
    v = v / np.abs(v).max() if np.any(v) else v  # centred and scaled, the squares lose the fewest digits
    weight, moment, square = _prefix(mass), _prefix(mass * v), _prefix(mass * v * v)

    def cost(i, j):
        return square[j] - square[i] - (moment[j] - moment[i]) ** 2 / (weight[j] - weight[i])

    return cost


def _bin_edges(values, weight, bins):
    """Borders of bins of equal weight, of equal width, and of equally many values together: 0 ... n."""
    n, part = len(values), bins // 3
    by_weight = np.searchsorted(weight.stored, np.linspace(0, weight.stored[-1], part + 1)) * STEP
    width = np.linspace(values[0], values[-1], part + 1).astype(values.dtype)
    by_count = np.linspace(0, n, part + 1).astype(np.int64)
    return np.unique(np.concatenate([np.minimum(by_weight, n), np.searchsorted(values, width), by_count]))


def _split_evenly(begin, n, bins):
    """Borders of about `bins` bins, equally many in each run; the borders of the runs are among them."""
    border = np.append(begin, n)
    inside = np.interp(np.linspace(0, len(begin), bins + 1), np.arange(len(border)), border)
    return np.union1d(border, inside.astype(np.int64))


def _means(values, weight, moment, begin):
    edge = np.append(begin, len(values))
    return np.diff(moment[edge]) / np.diff(weight[edge])


def _prefix(a):
    total = np.zeros(len(a) + 1)
    np.cumsum(a, out=total[1:])
    return total
