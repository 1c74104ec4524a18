"""Uneven grids: powers of two, other logarithmic grids, and the quantiles of a Gaussian (NF4).

Powers of two: Miyashita et al. 2016 (arXiv:1603.01025), Zhou et al. 2017 (arXiv:1702.03044). NF4: Dettmers
et al. 2023 (arXiv:2305.14314), section 3 and appendix E. Derived in chapters/09_few_levels.ipynb.
"""

import math
from statistics import NormalDist

import numpy as np

from mcomp.arrays import array_namespace, check_int, check_real, constant, from_host
from mcomp.quantize.binary import rows, unrows
from mcomp.quantize.codebooks import assign

TRIED = 8  # largest powers that are tried, from the one nearest to max |w| down

__all__ = ["log_levels", "nearest_power", "normal_float", "quantize_powers"]


def nearest_power(x):
    """For each entry the nearest of 0 and ±2^e, e any integer: 1.5·2^e is where 2^e gives way to 2^(e+1).

    Nearest in value, not in the logarithm: round(log2 |x|) would change at 1.41·2^e. Halfway the smaller.
    Zero stays zero, and the largest power that the dtype holds is the largest result.

    Examples
    --------
    >>> nearest_power(np.array([0.0, 1.45, 1.5, -1.6, 100.0]))
    array([  0.,   1.,   1.,  -2., 128.])
    """
    xp, flat = array_namespace(x), constant(rows(x, None))[0, :]
    kind = xp.finfo(x.dtype)
    low, high = (math.frexp(float(bound))[1] - 1 for bound in (kind.smallest_normal, kind.max))
    power = np.append(0.0, 2.0 ** np.arange(low, high + 1))
    middle = np.append(power[1] / 2, 1.5 * power[1:-1])
    wide = xp.astype(flat, xp.float64)
    index = xp.searchsorted(from_host(middle, x), xp.abs(wide))
    near = xp.sign(wide) * xp.take(from_host(power, x), index, axis=0)
    return xp.reshape(xp.astype(near, x.dtype), x.shape)


def log_levels(bits, *, base=2.0):
    """The 2^bits − 1 levels 0 and ±base^(−j), j = 0, 1, ..., ascending from −1 to 1.

    The step grows in proportion to the level, so the *relative* error is bounded, by (base − 1)/(base + 1).

    Examples
    --------
    >>> log_levels(3)
    array([-1.  , -0.5 , -0.25,  0.  ,  0.25,  0.5 ,  1.  ])
    """
    bits = check_int("bits", bits, 2, 8)
    base = check_real("base", base, math.nextafter(1.0, 2.0), 16.0)
    positive = base ** -np.arange(2.0 ** (bits - 1) - 1)[::-1]
    return np.concatenate([-positive[::-1], [0.0], positive])


def quantize_powers(w, bits, *, axis=None):
    """`w` on the grid 0, ±top, ±top/2, ±top/4, ...: ``w' = top * log_levels(bits)[index]``, top = 2^e.

    Of the eight largest powers from the one nearest to max |w| down, `top` is the one with the least error.

    Parameters
    ----------
    w : floating array, any shape
        Finite.
    bits : int
        2 to 8, of an index: 2^(bits−1) − 1 powers of each sign, and zero.
    axis : int, optional
        One `top` for each index along it. Default: one for all.

    Returns
    -------
    index : int64 array of the shape of `w`
        0 to 2^bits − 2.
    top : floating array (channels,)
        Powers of two.

    Examples
    --------
    >>> quantize_powers(np.array([1.1, -0.4, 0.1]), 3)
    (array([6, 1, 3]), array([1.]))
    """
    xp, table = array_namespace(w), constant(rows(w, axis))
    levels = xp.astype(from_host(log_levels(bits), w), w.dtype)
    first = nearest_power(xp.max(xp.abs(table), axis=1))
    first = xp.where(first > 0, first, xp.ones_like(first))
    tried, errors = [first * 2.0**-j for j in range(TRIED)], []
    for top in tried:
        near = _on_levels(table, top, levels)
        errors.append(xp.sum(xp.astype(near - table, xp.float64) ** 2, axis=1))
    best = xp.argmin(xp.stack(errors), axis=0)[None, :]  # the first of equals, the largest
    chosen = xp.take_along_axis(xp.stack(tried), best, axis=0)[0, :]
    index = assign(table / chosen[:, None], levels)
    return unrows(index, w.shape, axis), chosen


def _on_levels(table, top, levels):
    xp = array_namespace(table)
    index = assign(table / top[:, None], levels)
    return top[:, None] * xp.reshape(xp.take(levels, xp.reshape(index, (-1,)), axis=0), table.shape)


def normal_float(bits=4):
    """The NormalFloat levels: quantiles of a Gaussian, zero among them, scaled to [−1, 1].

    2^(bits−1) quantiles below zero, one more above, at evenly spaced probabilities from ½ out to
    1 − ½(1/(2·2^bits) + 1/(2(2^bits − 1))): for bits = 4 the table of Dettmers et al. 2023, appendix E.

    Returns
    -------
    levels : float64 array (2^bits,), ascending

    Examples
    --------
    >>> normal_float(2).round(4)
    array([-1.    ,  0.    ,  0.4358,  1.    ])
    """
    bits = check_int("bits", bits, 2, 8)
    k = 2**bits
    end = 1 - (1 / (2 * k) + 1 / (2 * (k - 1))) / 2
    below = [-NormalDist().inv_cdf(p) for p in np.linspace(end, 0.5, k // 2)[:-1]]
    above = [NormalDist().inv_cdf(p) for p in np.linspace(end, 0.5, k // 2 + 1)[:-1]]
    levels = np.array([*below, 0.0, *reversed(above)])
    return levels / levels[-1]
