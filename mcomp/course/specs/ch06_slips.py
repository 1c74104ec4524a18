"""Chapter 06: slips that blind trials found, two at once and at the edges, beside `ch06_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs.ch06_range_mistakes import _affine, _largest_scale


def _open(zero_of):
    """A zero point that isn't kept in the grid."""
    return lambda low, scale, bits: zero_of(-low / scale)


SLIPS = {
    "06.2": (
        Mistake("rounds_w", lambda w, scale: np.clip(np.round(w), -127, 127) * scale,
                "you rounded w itself; count in steps first, w / scale, then round"),
        Mistake("never_back_no_clip", lambda w, scale: np.round(w / scale),
                "those are the integers, some of them beyond 127: clip them, then multiply by the scale"),
    ),
    "06.3": (
        Mistake("one_deviation", lambda w, bits: _largest_scale(w, bits, size=np.std),
                "that is the standard deviation over the steps; the grid must reach the largest |w|"),
        Mistake("no_abs_minus_one_missing", lambda w, bits: _largest_scale(
                    w, bits, size=np.max, steps=lambda b: 2 ** (b - 1)),
                "two things: take the largest |w|, not w; and one side has 2**(bits - 1) - 1 steps"),
        Mistake("caret", quiet(lambda w, bits: _largest_scale(
                    w, bits, steps=lambda b: np.float64((2 ^ (b - 1)) - 1))),
                "^ isn't a power in Python, 2 ^ 3 is 1: write 2 ** (bits - 1)"),
    ),
    "06.4": (
        Mistake("one_step_more_open", lambda x, bits: _affine(
                    x, bits, steps=lambda b: 2**b, zero=_open(round)),
                "2**bits points have 2**bits - 1 steps between them; and your zero point may be 2**bits"),
        Mistake("high_only_open", lambda x, bits: _affine(
                    x, bits, low=lambda x: float(x.min()), zero=_open(round)),
                "where all of x is positive yours begins above 0: 0.0 isn't on the grid; widen both ends"),
    ),
}  # fmt: skip
