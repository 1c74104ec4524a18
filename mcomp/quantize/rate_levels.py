"""Levels and assignments for error and bits together: by turns, and exactly.

Where a level's price follows from how often it is taken, prices, assignments and levels depend on each other.
`entropy_constrained` takes turns (Chou, Lookabaugh & Gray 1989, doi:10.1109/29.17498, for one number at a
time), `assign_exactly` finds the least cost for given levels by dynamic programming (Muresan & Effros 2008,
IEEE Trans. Inf. Theory 54(1)). Prices that are given: mcomp/quantize/rate.py.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from mcomp.arrays import array_namespace, check_int, check_real, from_host, host_array, scatter_sum
from mcomp.quantize.codebooks import check_values
from mcomp.quantize.rate import (
    assign_at_rate,
    check_code,
    check_levels,
    code_bits,
    symbol_bits,
    terms,
)

__all__ = ["AtRate", "assign_exactly", "entropy_constrained"]


class AtRate(NamedTuple):
    """Levels (k,) ascending, which each entry takes, and what it costs.

    `costs` is error + lam * bits after each turn; it never rises. `error` is the weighted sum of squares.
    """

    levels: Any
    assignments: Any
    error: float
    bits: float
    costs: tuple


def entropy_constrained(x, levels, *, lam, weights=None, code="static", move=True, turns=100):
    """Levels and assignments of small error + lam * bits, by turns: prices, assignments, levels.

    The prices are those of the counts (`symbol_bits`), the levels the means of their entries. With static
    prices no turn raises the cost, since each is the best answer to the others; it ends where nothing moves,
    which need not be the least (`assign_exactly` is). A level that nobody takes is dropped. The prices of the
    adaptive code are nearly its own: a turn that would raise the cost is not taken.

    Parameters
    ----------
    x, lam, weights
        As of `mcomp.quantize.rate.assign_at_rate`.
    levels : floating array (k,)
        To begin with; `mcomp.quantize.kmeans_1d` gives good ones.
    code : "static" or "adaptive", as of `mcomp.quantize.rate.code_bits`
    move : bool
        Whether levels become means; else only assignments change, and none is dropped.
    turns : int, 1 or more

    Returns
    -------
    found : AtRate

    Examples
    --------
    >>> x = np.array([0.0, 0.1, -0.1, 0.2, 0.6, 1.0])
    >>> found = entropy_constrained(x, np.array([0.0, 0.6, 1.0]), lam=0.2)
    >>> found.levels.round(3), found.assignments
    (array([0.16, 1.  ]), array([0, 0, 0, 0, 0, 1]))
    """
    lam, turns, code = check_real("lam", lam, 0.0), check_int("turns", turns, 1), check_code(code)
    free = assign_at_rate(x, levels, bits=np.zeros(levels.shape[0]), lam=0.0, weights=weights)
    best, costs = _judged(x, levels, free, weights, lam, code), ()
    for _ in range(turns):
        costs += (best.error + lam * best.bits,)
        found = _turned(x, best, weights, lam, code, move)
        if found.error + lam * found.bits >= costs[-1] - 1e-12 * abs(costs[-1]):
            break
        best = found
    return best._replace(costs=costs)


def _turned(x, before, weights, lam, code, move):
    """One turn: prices of the counts, the best assignment at these prices, means."""
    levels, counts = before.levels, _count(before.assignments, before.levels.shape[0])
    bits = symbol_bits(counts, code=code)
    index = assign_at_rate(x, levels, bits=bits, lam=lam, weights=weights)
    if move:
        levels, index = _means(x, levels, index, weights)
    return _judged(x, levels, index, weights, lam, code)


def assign_exactly(x, levels, *, lam, code="static"):
    """Of all assignments to `levels` the one of least error + lam * bits, by dynamic programming.

    Swapping the levels of two entries that stand the other way round than the entries lowers the error and
    leaves the counts, so the best assignment cuts the sorted entries into runs, one a level. Both codes' bits
    are a sum over the levels (`terms`), so the best way to cut the first i entries for the first j levels
    follows from that for j - 1: k n^2 / 2 sums. Only where all errors weigh alike.

    Parameters
    ----------
    x : floating array of at most 2,048 entries
    levels, lam, code
        As of `entropy_constrained`. Levels stay where they are.

    Returns
    -------
    found : AtRate

    Examples
    --------
    >>> x = np.array([0.0, 0.1, -0.1, 0.2, 0.6, 1.0])
    >>> assign_exactly(x, np.array([0.0, 0.6, 1.0]), lam=0.1).assignments
    array([0, 0, 0, 0, 2, 2])
    """
    check_values("x", x)
    check_levels(levels)
    lam, code = check_real("lam", lam, 0.0), check_code(code)
    values, c = (host_array(n, a).astype(np.float64).reshape(-1) for n, a in (("x", x), ("levels", levels)))
    n = check_int("the number of entries", values.size, 1, 2048)
    order = np.argsort(values, kind="stable")
    each, _ = terms(len(c), n, code)
    ends = _best_runs(values[order], c, lam * each)
    index = np.empty(n, np.int64)
    index[order] = np.repeat(np.arange(len(c)), np.diff(ends, prepend=0))
    found = from_host(index.reshape(tuple(x.shape)), x)
    return _judged(x, levels, found, None, lam, code)


def _best_runs(values, levels, gain):
    """Where each level's run of the sorted values ends, (k,): least error less the gain of its length."""
    n = len(values)
    best = np.full(n + 1, math.inf)  # of the first i values for the levels so far
    best[0], cuts = 0.0, []
    lengths = np.arange(n + 1)[:, None] - np.arange(n + 1)[None, :]  # (end, start)
    reward = np.where(lengths >= 0, gain[np.maximum(lengths, 0)], -math.inf)
    for level in levels:
        error = np.concatenate([[0.0], np.cumsum((values - level) ** 2)])
        cost = (best - error)[None, :] - reward  # (end, start), less the error up to the end
        cuts.append(np.argmin(cost, axis=1))
        best = cost[np.arange(n + 1), cuts[-1]] + error
    ends = [n]
    for cut in cuts[:0:-1]:
        ends.append(int(cut[ends[-1]]))
    return np.array(ends[::-1])


def _judged(x, levels, index, weights, lam, code):
    """The `AtRate` of these levels and assignments."""
    xp = array_namespace(x)
    near = xp.reshape(xp.take(levels, xp.reshape(index, (-1,)), axis=0), x.shape)
    square = (xp.astype(x, xp.float64) - xp.astype(near, xp.float64)) ** 2
    error = float(xp.sum(square if weights is None else square * xp.astype(weights, xp.float64)))
    return AtRate(levels, index, error, code_bits(_count(index, levels.shape[0]), code=code), ())


def _count(index, k):
    return np.bincount(host_array("assignments", index).reshape(-1), minlength=k)


def _means(x, levels, index, weights):
    """The weighted means of the levels that are taken, and the assignments renumbered among these."""
    xp = array_namespace(x)
    flat, k = xp.reshape(index, (-1,)), levels.shape[0]
    scale = xp.astype(xp.ones_like(x) if weights is None else weights, xp.float64)
    mass = scatter_sum(scale, flat, n=k)
    total = scatter_sum(scale * xp.astype(x, xp.float64), flat, n=k)
    heavy = mass > 0  # entries without weight stay where their level was
    means = xp.where(heavy, total / xp.where(heavy, mass, xp.ones_like(mass)), xp.astype(levels, xp.float64))
    taken = np.flatnonzero(_count(index, k))
    taken = taken[np.argsort(host_array("levels", means)[taken], kind="stable")]  # weights may reorder them
    place = np.zeros(k, np.int64)
    place[taken] = np.arange(len(taken))
    levels = xp.astype(xp.take(means, from_host(taken, x), axis=0), levels.dtype)
    return levels, xp.reshape(xp.take(from_host(place, x), flat, axis=0), x.shape)
