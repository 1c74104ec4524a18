"""Where a grid should end: what clipping costs and what rounding costs.

Derived in chapters/06_a_grid_for_numbers.ipynb. Banner et al. 2019, arXiv:1810.05723, section 3; for a
symmetric grid of 2**bits - 1 points, where the paper counts 2**bits.
"""

import math

from mcomp.arrays import array_namespace, bad_value, check_int, check_real
from mcomp.quantize.grids import MAX_BITS, fake_quantize, range_grid

__all__ = ["best_clip", "clipping_error", "expected_error", "optimal_clip"]

CANDIDATES = 100  # clips that `best_clip` tries


def clipping_error(clip, *, distribution="gaussian"):
    """E[(|x| - clip)**2 where |x| > clip] for x of mean 0 and variance 1.

    Parameters
    ----------
    clip : float
        0 or more, in standard deviations.
    distribution : "gaussian" or "laplacian"

    Examples
    --------
    >>> clipping_error(0), round(clipping_error(2), 5)
    (1.0, 0.01154)
    """
    return _tail(distribution)[1](check_real("clip", clip, 0))


def expected_error(clip, bits, *, distribution="gaussian"):
    """Mean squared error of a symmetric grid that ends at `clip`: rounding, step**2 / 12, plus clipping.

    An approximation: it takes the density to be flat within a step.

    Examples
    --------
    >>> round(expected_error(2.5, 4), 5)
    0.01303
    """
    step = check_real("clip", clip, 0) / _steps(bits)
    return step**2 / 12 + clipping_error(clip, distribution=distribution)


def optimal_clip(bits, *, distribution="gaussian"):
    """The clip, in standard deviations, at which `expected_error` is least.

    There clip = 24 * m**2 * E[(x - clip) where x > clip], with m = 2**(bits - 1) - 1 steps on each side. The
    left side grows and the right side falls, so that bisection finds the one solution.

    Examples
    --------
    >>> [round(optimal_clip(bits), 3) for bits in (2, 4, 8)]
    [1.24, 2.483, 3.921]
    >>> round(optimal_clip(4, distribution="laplacian"), 3)
    3.399
    """
    excess, m = _tail(distribution)[0], _steps(bits)
    low, high = 0.0, 64.0
    for _ in range(64):  # until neighbours in float64
        middle = (low + high) / 2
        low, high = (low, middle) if middle > 24 * m**2 * excess(middle) else (middle, high)
    return high


def best_clip(w, bits, *, axis=None):
    """`w` cut to the range [-t, t] whose symmetric grid of `bits` bits has the least squared error.

    Afterwards ``Uniform(bits, axis=axis)``, whose grid reaches to the extremes, reaches to t.

    Parameters
    ----------
    w : floating array, any shape
    bits : int
    axis : int, optional
        A t for each index along this axis. t is searched among a hundred fractions of the largest |w|.

    Examples
    --------
    >>> import numpy as np
    >>> best_clip(np.array([-1.0, 1.0, 0.0, 1.6]), 2)
    array([-1. ,  1. ,  0. ,  1.2])
    """
    xp, axis = array_namespace(w), axis if w.ndim > 1 else None
    rest = tuple(i for i in range(w.ndim) if i != axis)
    most = xp.max(xp.abs(w), axis=rest)  # () or (channels,)
    best, least = most, xp.full_like(most, float("inf"))
    for percent in range(CANDIDATES, 0, -1):
        t = most * (percent / CANDIDATES)
        error = xp.sum((w - fake_quantize(w, range_grid(-t, t, bits, axis=axis))) ** 2, axis=rest)
        best, least = xp.where(error < least, t, best), xp.where(error < least, error, least)
    if axis is not None:
        best = xp.reshape(best, tuple(w.shape[i] if i == axis else 1 for i in range(w.ndim)))
    return xp.maximum(xp.minimum(w, best), -best)


def _steps(bits):
    return 2 ** (check_int("bits", bits, 2, MAX_BITS) - 1) - 1


def _tail(distribution):
    """E[(x - c) where x > c] and E[(|x| - c)**2 where |x| > c], as functions of c."""
    if distribution not in TAILS:
        raise bad_value("distribution", distribution, f"one of {', '.join(TAILS)}")
    return TAILS[distribution]


def _density(c):
    return math.exp(-(c**2) / 2) / math.sqrt(2 * math.pi)


def _above(c):
    return math.erfc(c / math.sqrt(2)) / 2  # P(x > c)


TAILS = {
    "gaussian": (
        lambda c: _density(c) - c * _above(c),
        lambda c: 2 * ((1 + c**2) * _above(c) - c * _density(c)),
    ),
    "laplacian": (  # exp(-|x| / b) / 2b with b = 1 / sqrt(2)
        lambda c: math.exp(-c * math.sqrt(2)) / math.sqrt(8),
        lambda c: math.exp(-c * math.sqrt(2)),
    ),
}
