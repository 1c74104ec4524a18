"""Are two methods different, seed by seed? The mean difference, its interval, and two tests of it.

Derived in chapters/12_distillation.ipynb. Student 1908, Biometrika 6; Fisher 1935, The Design of Experiments.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from mcomp.arrays import bad_value, check_finite, check_int, check_real

__all__ = ["Paired", "paired", "sign_flip_p", "t_p"]


@dataclass(frozen=True)
class Paired:
    """What `paired` found.

    Attributes
    ----------
    mean, low, high : float
        Mean of the differences a - b and the ends of its confidence interval.
    t, p : float
        Student's statistic and its two-sided p-value.
    p_signs : float
        Two-sided p-value of the exact sign-flip test.
    n : int
        How many pairs.
    """

    mean: float
    low: float
    high: float
    t: float
    p: float
    p_signs: float
    n: int


def t_p(t, degrees):
    """Two-sided p-value of Student's t with an integer number of degrees of freedom, in closed form.

    With tan(a) = |t| / sqrt(degrees) the density becomes a power of cos(a), which integrates to a finite sum:
    Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.

    Examples
    --------
    >>> round(t_p(2.776445105, 4), 6)  # the table's value for 95 %
    0.05
    """
    degrees = check_int("degrees", degrees, 1)
    angle = math.atan(abs(check_real("t", t)) / math.sqrt(degrees))
    sine, cosine, odd = math.sin(angle), math.cos(angle), degrees % 2
    term = cosine if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return max(0.0, 1.0 - inside)


def sign_flip_p(a, b):
    """Two-sided p-value of the exact sign-flip test of paired numbers; at least 2 / 2**n for n pairs.

    If the methods are alike, each difference might as well have the other sign. The p-value is the part of
    all 2**n choices of signs whose mean is at least as far from 0 as the one seen (Fisher 1935, chapter 3).

    Parameters
    ----------
    a, b : sequences of n real numbers, pair by pair; n from 1 to 20

    Examples
    --------
    >>> sign_flip_p([3, 5, 4, 6], [2, 3, 3, 4])  # all four differ one way: 2 of 16
    0.125
    """
    d = _differences(a, b, most=20)
    signs = np.array(list(product((1.0, -1.0), repeat=len(d))))  # (2**n, n)
    sums, seen = abs(signs @ d), abs(d.sum())
    return float((sums >= seen * (1 - 1e-9)).mean())  # rounding: equal sums count as equal


def paired(a, b, *, confidence=0.95):
    """Is `a` above `b`? Student's paired t-test, its confidence interval, and the exact sign-flip test.

    Parameters
    ----------
    a, b : sequences of n real numbers, pair by pair (the same seed, the same start); n from 2 to 20
    confidence : float, above 0 and below 1
        Of the interval, which assumes that the differences are normal.

    Returns
    -------
    found : Paired

    Raises
    ------
    ValueError
        If the lengths differ or are out of range, or a number isn't finite.

    Examples
    --------
    >>> found = paired([0.88, 0.87, 0.89], [0.86, 0.86, 0.86])
    >>> f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f}), p = {found.p:.3f} and {found.p_signs:.2f}"
    '0.020 (-0.005 to 0.045), p = 0.074 and 0.25'
    """
    d = _differences(a, b, least=2, most=20)
    confidence = check_real("confidence", confidence, 0.0, 1.0)
    mean, error = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(len(d))
    t = mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
    p = t_p(t, len(d) - 1) if math.isfinite(t) else 0.0
    half = _quantile(1 - confidence, len(d) - 1) * error if error else 0.0
    return Paired(mean, mean - half, mean + half, t, p, sign_flip_p(a, b), len(d))


def _quantile(p, degrees):
    """The t whose two-sided p-value is `p`, by bisection."""
    low, high = 0.0, 1.0
    while t_p(high, degrees) > p and high < 1e12:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_p(middle, degrees) > p else (low, middle)
    return high


def _differences(a, b, *, least=1, most):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or not least <= len(a) <= most:
        raise bad_value(
            "the pairs", f"{a.shape} and {b.shape}", f"two lists of {least} to {most} numbers each"
        )
    check_finite("the differences", a - b)
    return a - b
