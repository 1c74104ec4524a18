"""Lloyd–Max: the k levels of least mean squared error, for a density and for samples; and what bounds them.

Two conditions hold at the optimum: each border is the middle of its two levels, each level the mean of its
cell (Lloyd 1957, printed in 1982; Max 1960). For samples that is k-means in one
dimension, `mcomp.quantize.codebooks`. Derived in chapters/09_few_levels.ipynb.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, check_real, scatter_sum, size
from mcomp.quantize.codebooks import assign, kmeans_1d, within_ss

CELLS = 2**16  # of the support: the density counts as constant in each
COARSE = 2**12  # cells for the start, which is the exact optimum over them up to 64 levels
FAINT = 1e-12  # a coarse cell with less probability than this is left out of the start
MOVE = 1e-10  # of the support's width: a step that moves no level further ends the iteration
STEPS = 10_000

__all__ = ["bound_gap", "lloyd", "lloyd_max", "panter_dite"]


def lloyd_max(density, k, *, low, high):
    """The `k` levels of least mean squared error for a density on [low, high], and that error.

    Starts at the optimum over 4,096 cells (dynamic programming, so no local minimum traps it up to k = 64)
    and moves levels and borders in turn until they stand still.

    Parameters
    ----------
    density : function of a float64 array (n,), giving the like
        Not negative; need not be normalised.
    k : int
        1 to 256.
    low, high : float
        Beyond them the density is taken for zero: for a Gaussian, -10 and 10 lose nothing.

    Returns
    -------
    levels : float64 array (k,), ascending
    mse : float

    Raises
    ------
    ValueError
        If an argument is out of range, or the density is negative, not finite or zero everywhere.

    Examples
    --------
    >>> levels, mse = lloyd_max(lambda x: np.exp(-x * x / 2), 4, low=-10, high=10)
    >>> levels.round(4), round(mse, 4)
    (array([-1.5104, -0.4528,  0.4528,  1.5104]), 0.1175)
    """
    k = check_int("k", k, 1, 256)
    edges, mass = _masses(density, low, high)
    middle = (edges[:-1] + edges[1:]) / 2
    sums = [np.append(0.0, np.cumsum(mass * middle**power)) for power in range(3)]
    coarse = mass.reshape(COARSE, -1).sum(1)
    coarse = np.where(coarse > FAINT, coarse, 0.0)  # less is lost in the prefix sums of the search
    levels, _ = kmeans_1d(middle.reshape(COARSE, -1).mean(1), k, weights=coarse)
    for _ in range(STEPS):
        cell = _cell_moments(edges, sums, levels)  # (3, k)
        means = np.where(cell[0] > 0, cell[1] / np.where(cell[0] > 0, cell[0], 1), levels)
        moved, levels = float(np.abs(means - levels).max()), means
        if moved <= MOVE * (high - low):
            break
    cell = _cell_moments(edges, sums, levels)
    return levels, float((cell[2] - 2 * levels * cell[1] + levels**2 * cell[0]).sum())


def _masses(density, low, high):
    """The edges of the cells (CELLS + 1,), and the probability of each (CELLS,)."""
    low = check_real("low", low)
    high = check_real("high", high, math.nextafter(low, math.inf))
    edges = np.linspace(low, high, CELLS + 1)
    mass = np.asarray(density((edges[:-1] + edges[1:]) / 2), np.float64)
    if mass.shape != (CELLS,) or not np.isfinite(mass).all() or mass.min() < 0 or not mass.any():
        found = (mass.shape, float(mass.min()), float(mass.max()))
        raise bad_value("the density's shape, least and largest", found, f"(({CELLS},), 0 or more, above 0)")
    return edges, mass / mass.sum()


def _cell_moments(edges, sums, levels):
    """Probability, first and second moment of each level's cell: (3, k)."""
    border = np.concatenate([edges[:1], (levels[:-1] + levels[1:]) / 2, edges[-1:]])
    return np.array([np.diff(np.interp(border, edges, total)) for total in sums])


def panter_dite(density, k, *, low, high):
    """The error of the best `k` levels for large k: (∫ p^(1/3))³ / (12 k²). Panter and Dite 1951.

    Examples
    --------
    >>> round(panter_dite(lambda x: np.exp(-x * x / 2), 16, low=-10, high=10) * 16**2, 4)
    2.7207
    """
    k = check_int("k", k, 1)
    edges, mass = _masses(density, low, high)
    width = edges[1] - edges[0]
    return float((np.cbrt(mass / width).sum() * width) ** 3 / (12 * k**2))


def lloyd(x, levels, *, steps):
    """Lloyd's iteration on samples: each entry to its nearest level, each level to the mean of its entries.

    Never raises the error, and may stop in a local minimum; `kmeans_1d` finds the global one.

    Parameters
    ----------
    x : floating array, any shape
    levels : floating array (k,)
        Ascending. A level without entries stays where it is.
    steps : int
        1 or more.

    Returns
    -------
    levels : floating array (k,)
        Dtype of `x`.
    errors : list of float
        The mean squared error before the first step and after each.

    Examples
    --------
    >>> lloyd(np.array([0.0, 1.0, 9.0]), np.array([0.0, 1.0]), steps=2)
    (array([0.5, 9. ]), [21.333333333333332, 5.666666666666667, 0.16666666666666666])
    """
    xp, steps = array_namespace(x), check_int("steps", steps, 1)
    errors = [within_ss(x, levels) / size(x)]
    flat = xp.astype(xp.reshape(x, (-1,)), xp.float64)
    for _ in range(steps):
        index, k = xp.reshape(assign(x, levels), (-1,)), size(levels)
        count = scatter_sum(xp.ones_like(flat), index, n=k)
        total = scatter_sum(flat, index, n=k)
        mean = total / xp.where(count > 0, count, xp.ones_like(count))
        mean = xp.where(count > 0, mean, xp.astype(levels, xp.float64))
        levels = xp.sort(xp.astype(mean, x.dtype))
        errors.append(within_ss(x, levels) / size(x))
    return levels, errors


class Gap(NamedTuple):
    """How far a code lies from a bound: in decibels of error, and in bits per number."""

    decibel: Any
    bits: Any


def bound_gap(bits, mse, *, sigma2=1.0):
    """How far a code lies from Shannon's bound for Gaussian numbers, D = sigma2 · 2^(−2R).

    Parameters
    ----------
    bits, mse : float or real array
        The rate R in bits per number and the mean squared error, above 0.
    sigma2 : float
        Variance of the numbers.

    Returns
    -------
    gap : Gap
        `gap.decibel`, 10 log10 of the error over the least error at this rate, and `gap.bits`, the rate less
        the least rate at this error, in bits per number; each as `bits` and `mse` are given.

    Examples
    --------
    >>> gap = bound_gap(1.0, 0.5)
    >>> round(float(gap.decibel), 2), round(float(gap.bits), 2)
    (3.01, 0.5)
    """
    sigma2 = check_real("sigma2", sigma2, math.ulp(0.0))
    bits, mse = np.asarray(bits, np.float64), np.asarray(mse, np.float64)
    if not np.all(mse > 0):
        raise bad_value("mse", float(np.min(mse)), "above 0")
    excess = bits - 0.5 * np.log2(sigma2 / mse)
    return Gap(20 * math.log10(2) * excess, excess)
