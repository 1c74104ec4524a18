"""Values chosen for error and bits together: least of sum weights (x - level)^2 + lam * bits.

`assign_at_rate` is the exact answer where each level has its price. Prices follow from how often a level is
taken: `entropy_constrained` takes turns (Chou, Lookabaugh & Gray 1989, doi:10.1109/29.17498, for one number
at a time), `assign_exactly` finds the optimum by dynamic programming (Muresan & Effros 2008,
doi:10.1109/TIT.2007.911170). Wiedemann et al. 2020 (arXiv:1907.11900, DeepCABAC) weigh the error by how the
loss bends. Derived in chapters/16.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, check_real, from_host, host_array, scatter_sum
from mcomp.quantize.codebooks import check_ascending, check_values, check_weights

__all__ = [
    "AtRate",
    "assign_at_rate",
    "assign_exactly",
    "code_bits",
    "entropy_constrained",
    "symbol_bits",
]

CODES = ("static", "adaptive")
MOST = 1 << 23  # numbers times levels whose costs are compared at once


def code_bits(counts, *, code="static"):
    """Bits that symbols with these `counts` take in all, in whatever order they come.

    Parameters
    ----------
    counts : integer array (k,)
        From 0.
    code : "static" or "adaptive"
        "static": n times the entropy of the counts, their table told elsewhere. "adaptive": no table; the
        next symbol has the chance (count so far + 1/2) / (n so far + k/2), Krichevsky & Trofimov 1981
        (doi:10.1109/TIT.1981.1056331). Multiplied out, gamma(k/2) / gamma(n + k/2) times the product of
        gamma(count + 1/2) / gamma(1/2): the order doesn't matter.

    Returns
    -------
    bits : float

    Examples
    --------
    >>> code_bits([2, 2]), round(code_bits([2, 2], code="adaptive"), 3)  # 1/2 1/4 1/2 3/8 in some order
    (4.0, 5.415)
    """
    counts = _counts(counts)
    each, whole = _terms(len(counts), int(counts.sum()), _code(code))
    return max(0.0, float(whole - each[counts].sum()))


def symbol_bits(counts, *, code="static"):
    """What one more of each symbol costs, in bits: -log2 of its share; static, inf for one that never occurs.

    Examples
    --------
    >>> symbol_bits([1, 3, 0]), symbol_bits([1, 3, 0], code="adaptive").round(2)
    (array([2.       , 0.4150375,       inf]), array([1.87, 0.65, 3.46]))
    """
    counts = _counts(counts)
    add = 0.5 if _code(code) == "adaptive" else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (counts + add) / (counts.sum() + add * len(counts))
        return np.where(share > 0, -np.log2(share), math.inf) + 0.0


def assign_at_rate(x, levels, *, bits, lam, weights=None):
    """For each entry the level of least ``weights * (x - level)**2 + lam * bits[level]``, exactly.

    Parameters
    ----------
    x : floating array, any shape
        Finite.
    levels : floating array (k,)
        Finite, ascending.
    bits : real array (k,)
        The price of each level in bits, at least 0; inf for one not to be taken.
    lam : float, at least 0
        Error that a bit is worth. 0: `mcomp.quantize.assign`, among the levels that may be taken.
    weights : real array of the shape of `x`, optional
        What a squared error costs: half the diagonal of the loss's Hessian, where bits are to be weighed
        against loss.

    Returns
    -------
    assignments : int64 array of the shape of `x`
        Ties: the lower index.

    Raises
    ------
    ValueError
        If an argument is out of range or shapes differ.

    Examples
    --------
    >>> x, levels = np.array([0.1, 0.45, 0.6, 1.0]), np.array([0.0, 1.0])
    >>> assign_at_rate(x, levels, bits=np.array([1.0, 3.0]), lam=0.15)
    array([0, 0, 0, 1])
    """
    xp = array_namespace(x, levels)
    check_values("x", x)
    check_levels(levels)
    check_weights(weights, x)
    price = _price(bits, levels, check_real("lam", lam, 0.0))
    flat, k = xp.reshape(x, (-1,)), levels.shape[0]
    scale = None if weights is None else xp.astype(xp.reshape(weights, (-1,)), flat.dtype)
    found = []
    n, step = flat.shape[0], max(1, MOST // k)
    for start in range(0, n, step):
        piece = slice(start, min(start + step, n))
        error = (flat[piece][:, None] - levels[None, :]) ** 2  # (some, k)
        cost = (error if scale is None else error * scale[piece][:, None]) + price[None, :]
        found.append(xp.argmin(cost, axis=1))
    return xp.reshape(xp.astype(xp.concat(found), xp.int64), x.shape)


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
        As of `assign_at_rate`.
    levels : floating array (k,)
        To begin with; `mcomp.quantize.kmeans_1d` gives good ones.
    code : "static" or "adaptive", as of `code_bits`
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
    lam, turns, code = check_real("lam", lam, 0.0), check_int("turns", turns, 1), _code(code)
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
    are a sum over the levels (`code_bits`), so the best way to cut the first i entries for the first j levels
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
    lam, code = check_real("lam", lam, 0.0), _code(code)
    values, c = (host_array(n, a).astype(np.float64).reshape(-1) for n, a in (("x", x), ("levels", levels)))
    n = check_int("the number of entries", values.size, 1, 2048)
    order = np.argsort(values, kind="stable")
    each, _ = _terms(len(c), n, code)
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


def _terms(k, n, code):
    """Tables f (n + 1,) and a number g: the bits of counts are g less the sum of f at each count."""
    m = np.arange(1, n + 1)
    if code == "static":
        each = np.concatenate([[0.0], m * np.log2(m)])
        return each, each[n]
    half = np.concatenate([[0.0], np.cumsum(np.log2(m - 0.5))])
    return half, float(np.log2(m - 1 + k / 2).sum())


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


def check_levels(levels):
    check_values("levels", levels)
    check_ascending(array_namespace(levels), levels)


def _price(bits, levels, lam):
    """``lam * bits`` as an array like `levels`; what isn't to be taken costs inf, whatever lam."""
    host = host_array("bits", bits).astype(np.float64)
    if host.shape != tuple(levels.shape) or np.isnan(host).any() or host.min() < 0:
        raise bad_value("bits", host.tolist(), f"a price of at least 0 for each of {levels.shape[0]} levels")
    if np.isinf(host).all():
        raise bad_value("bits", "all infinite", "at least one level that may be taken")
    price = np.where(np.isinf(host), math.inf, lam * np.where(np.isinf(host), 0, host))
    return array_namespace(levels).astype(from_host(price, levels), levels.dtype)


def _counts(counts):
    counts = np.asarray(counts)
    if counts.ndim != 1 or not counts.size or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise bad_value("counts", counts, "whole numbers from 0, shape (k,)")
    return counts.astype(np.int64)


def _code(code):
    if code not in CODES:
        raise bad_value("code", code, f"one of {', '.join(CODES)}")
    return code
