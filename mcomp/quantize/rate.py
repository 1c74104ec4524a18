"""Values chosen for error and bits together: least of sum weights (x - level)^2 + lam * bits.

What symbols cost in the codes of a file, and the best assignment where each level has its price. Wiedemann et
al. 2019 (arXiv:1907.11900, DeepCABAC) assign so, with the error weighed by how the loss bends. Prices that
follow from the assignment itself: mcomp/quantize/rate_levels.py.
"""

import math

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_real, from_host, host_array
from mcomp.quantize.codebooks import check_ascending, check_values, check_weights

__all__ = ["assign_at_rate", "check_code", "check_levels", "code_bits", "symbol_bits", "terms"]

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
        (IEEE Trans. Inf. Theory 27(2)). Multiplied out, gamma(k/2) / gamma(n + k/2) times the product of
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
    each, whole = terms(len(counts), int(counts.sum()), check_code(code))
    return max(0.0, float(whole - each[counts].sum()))


def symbol_bits(counts, *, code="static"):
    """What one more of each symbol costs, in bits: -log2 of its share; static, inf for one that never occurs.

    Examples
    --------
    >>> symbol_bits([1, 3, 0]), symbol_bits([1, 3, 0], code="adaptive").round(2)
    (array([2.       , 0.4150375,       inf]), array([1.87, 0.65, 3.46]))
    """
    counts = _counts(counts)
    add = 0.5 if check_code(code) == "adaptive" else 0.0
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


def terms(k, n, code):
    """Tables f (n + 1,) and a number g: the bits of counts are g less the sum of f at each count."""
    m = np.arange(1, n + 1)
    if code == "static":
        each = np.concatenate([[0.0], m * np.log2(m)])
        return each, each[n]
    half = np.concatenate([[0.0], np.cumsum(np.log2(m - 0.5))])
    return half, float(np.log2(m - 1 + k / 2).sum())


def check_levels(levels):
    """ValueError unless `levels` is one ascending row of finite numbers."""
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


def check_code(code):
    """`code`, if it is one of `CODES`."""
    if code not in CODES:
        raise bad_value("code", code, f"one of {', '.join(CODES)}")
    return code
