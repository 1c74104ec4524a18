"""Chapter 07: slips that blind trials found, two at once and at the edges, beside `ch07_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch07_layer_mistakes import _ranges
from mcomp.course.specs.ch07_mistakes import _fold


def _from_low(batches, weight):
    low, high = float(batches[0].min()), float(batches[0].max())
    for batch in batches[1:]:
        low += weight * (float(batch.min()) - low)
        high += weight * (float(batch.max()) - low)
    return low, high


def _rows_multiplied(first, second):
    s = np.sqrt(_ranges(first, second)[0] / _ranges(first, second)[1])
    return first / s[:, None], second * s[:, None]


SLIPS = {
    "07.1": (
        Mistake("from_low", _from_low,
                "your high end moves by its way from `low`; it is weight * (the batch's largest - high)"),
    ),
    "07.2": (
        Mistake("usual_eps", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / np.sqrt(v + 1e-5), t),
                "you took 1e-5 for eps; it is an argument, and here another number"),
    ),
    "07.3": (
        Mistake("rows_multiplied", _rows_multiplied,
                "you multiplied the rows of second; what reads channel c is its column: second * s"),
    ),
}  # fmt: skip
