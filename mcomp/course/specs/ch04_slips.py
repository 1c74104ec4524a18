"""Chapter 04: slips that blind trials found, two at once and at the edges, beside `ch04_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch04_wrong import kept, products, top

DEALT = [0, 2, 4, 6, 1, 3, 5, 7]


def _one_width(widths, ratio, at):
    widths = [int(n) for n in widths]
    widths[at] -= round(ratio * widths[at])
    return products(widths)


SLIPS = {
    "04.1": (
        Mistake("wrong_axis_no_abs", lambda w: w.sum((0, 2, 3)),
                "two things: add up |w|, not w; and leave axis 0, that of the filters: sum over 1, 2 and 3"),
    ),
    "04.2": (
        Mistake("rows_of_w2_bias_stays", lambda w1, b1, w2, keep: (w1[keep], b1, w2[keep]),
                "two things: b1 loses its entries too; and the hidden neurons are the columns of w2"),
    ),
    "04.5": (
        Mistake("first_row", lambda w: kept(w, np.argsort(-abs(w[0]), kind="stable")[DEALT]),
                "you dealt the columns out by the first row's sizes; a column moves for all rows"),
    ),
    "04.6": (
        Mistake("second_width", lambda widths, ratio: _one_width(widths, ratio, 1),
                "you cut widths[1] alone; every width but the first and the last loses its channels"),
    ),
    "04.7": (
        Mistake("size_of_sum", lambda a, b, k: top(abs(a + b), k),
                "you ranked the sizes of the sums; a negative sum is low, not high"),
        Mistake("tail_slice_alone", lambda a, b, k: top(a + b, k or len(a)),
                "for k = 0 the slice [-k:] is the whole order, so everything stays"),
    ),
}  # fmt: skip
