"""Chapter 01, the bound (01.4): the wrong answers that people write."""

import math

import numpy as np

from mcomp.course.model import Mistake


def _p(counts):
    counts = np.asarray(counts, float)
    return counts[counts > 0] / counts.sum()


def _entropy(counts, log=np.log2):
    p = _p(counts)
    return float(-(p * log(p)).sum())


def _point(w, step, rounding=np.round, back=None, mean=np.mean, rate=None):
    """rate_distortion with one of its ideas replaced."""
    q = rounding(w / step)
    counts = np.unique(q, return_counts=True)[1]
    near = q * step if back is None else back(q, step)
    return (rate or _entropy)(counts), float(mean((w - near) ** 2))


def _multiplied(w, step):
    q = np.round(w * step)
    return _entropy(np.unique(q, return_counts=True)[1]), float(((w - q / step) ** 2).mean())


def _no_signs(w, step):
    counts = np.unique(abs(np.round(w / step)), return_counts=True)[1]
    return _entropy(counts), _point(w, step)[1]


def _spread(w, step):
    return _point(w, step)[0], float((w - step * np.round(w / step)).var())


MISTAKES = {
    "01.4": (
        Mistake("floor", lambda w, step: _point(w, step, rounding=np.floor),
                "you rounded down; the nearest multiple is np.round(w / step), and its error is smaller"),
        Mistake("truncated", lambda w, step: _point(w, step, rounding=np.trunc),
                "you cut off the decimals (int() does): values between −step and step all became 0"),
        Mistake("ceil", lambda w, step: _point(w, step, rounding=np.ceil),
                "you rounded up; the nearest multiple is np.round(w / step), and its error is smaller"),
        Mistake("swapped", lambda w, step: _point(w, step)[::-1],
                "both numbers are right, in the other order: first the bits, then the error"),
        Mistake("multiplied", _multiplied,
                "you multiplied by the step and divided back; w / step gives the numbers"),
        Mistake("absolute", lambda w, step: _point(w, step, mean=lambda x: np.sqrt(x).mean()),
                "your error is the mean of |w − w′|; square before you take the mean"),
        Mistake("worst", lambda w, step: _point(w, step, mean=lambda x: np.sqrt(x).max()),
                "your error is the largest; the distortion is the mean squared error"),
        Mistake("variance", _spread,
                "you took the variance of the error, which subtracts its mean; take the mean of its square"),
        Mistake("relative", lambda w, step: _point(w, step, mean=lambda x: x.mean() / w.var()),
                "you divided the error by the variance of w; here it is asked for as it is"),
        Mistake("bound", lambda w, step: (_point(w, step)[0], float(w.var() * 4.0 ** -_point(w, step)[0])),
                "σ²·2^(−2R) is Shannon's bound for a Gaussian; measure the error that is there"),
        Mistake("no_signs", _no_signs,
                "you counted |q|: q and −q are two values, and the reader must tell them apart"),
        Mistake("of_w", lambda w, step: (_entropy(np.unique(w, return_counts=True)[1]), _point(w, step)[1]),
                "your rate is that of w as it was; after rounding there are fewer values: count q"),
        Mistake("whole_levels", lambda w, step: _point(w, step, rate=lambda c: math.ceil(math.log2(len(c)))),
                "your rate is a whole number of bits, the same for every level; take the entropy"),
        Mistake("not_back", lambda w, step: _point(w, step, back=lambda q, step: q),
                "you compared w with q itself: multiply by step to come back to the weights"),
        Mistake("in_steps", lambda w, step: (_point(w, step)[0], _point(w, step)[1] / step**2),
                "your error is in units of the step: compare w itself with step * q"),
        Mistake("sum", lambda w, step: _point(w, step, mean=np.sum),
                "your error is a sum; the distortion is the mean squared error"),
        Mistake("root", lambda w, step: _point(w, step, mean=lambda x: np.sqrt(np.mean(x))),
                "you took the root of the mean squared error; the distortion is without it"),
        Mistake("theory", lambda w, step: (_point(w, step)[0], step**2 / 12),
                "step²/12 is what theory predicts for a fine grid; measure the error that is there"),
        Mistake("nats", lambda w, step: _point(w, step, rate=lambda counts: _entropy(counts, np.log)),
                "your rate is in nats, from the natural logarithm; bits take log2"),
        Mistake("levels", lambda w, step: _point(w, step, rate=lambda counts: math.log2(len(counts))),
                "your rate is log2 of the number of levels; frequent levels cost fewer bits: the entropy"),
        Mistake("total", lambda w, step: _point(w, step, rate=lambda c: float(c.sum() * _entropy(c))),
                "your rate is that of the whole array; bits per weight are asked for"),
    ),
}  # fmt: skip
