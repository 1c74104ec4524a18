"""Chapter 07b: slips that blind trials found, two at once and at the edges, beside `ch07b_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake


def _row_by_row(x, w, x_zero, w_zero):
    return ((x.astype(np.int32) - x_zero) * (w.astype(np.int32) - w_zero)).sum(1)


def _zero_in_float(acc, m0, shift, zero_point, qmin, qmax):
    q = np.rint(acc.astype(np.float64) * m0 / 2.0**shift + zero_point)
    return np.clip(q, qmin, qmax).astype(np.int64)


SLIPS = {
    "07b.1": (
        Mistake("row_by_row", _row_by_row,
                "you multiplied row i of x with row i of w only; each row of x meets each of w: x @ w.T"),
    ),
    "07b.3": (
        Mistake("zero_in_float", _zero_in_float,
                "two things: float64 holds 53 bits of up to 62; and the zero point comes after the rounding"),
    ),
}  # fmt: skip
