"""Chapter 00: slips that blind trials found, two at once and at the edges, beside `ch00_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch00_mistakes import _entropy_bits, _kept


def _row_threshold(w, k):
    return w * (abs(w) >= np.sort(abs(w))[-k])


def _columns_down(w, values, wrap=False):
    at = np.argmin(abs(w[:, None] - values), axis=0)
    return values[at % len(values) if wrap else at]


def _alone_costs(counts):
    return float(counts.sum()) if np.count_nonzero(counts) == 1 else _entropy_bits(counts)


SLIPS = {
    "00.1": (
        Mistake("rows_whole", lambda w, nbytes: 4 * len(w) // nbytes,
                "two things: len(w) counts the rows, w.size the entries; and // cuts the decimals off"),
    ),
    "00.2": (
        Mistake("no_abs_one_less", lambda w, k: _kept(w, -w, k - 1),
                "two things: choose by |w|, not by w; and >= keeps the k-th as well, > doesn't"),
        Mistake("sorted_rows", _row_threshold,
                "np.sort sorts each row for itself, and [-k] takes a row of that; give it axis=None"),
    ),
    "00.3": (
        Mistake("down_the_table", _columns_down,
                "axis=0 goes down the weights: that gives a weight for each value; take axis=1"),
        Mistake("down_the_table_wrapped", lambda w, values: _columns_down(w, values, wrap=True),
                "axis=0 goes down the weights, so argmin gives places of weights; take axis=1, without %"),
        Mistake("between", lambda w, values: np.where(w > values.mean(), values.max(), values.min()),
                "you chose between the largest and the smallest value; the nearest of all is asked for"),
    ),
    "00.4": (
        Mistake("nats_per_symbol", lambda counts: _entropy_bits(counts, np.log) / int(counts.sum()),
                "two things: bits need log2, not log; and the message has sum(counts) symbols, not one"),
        Mistake("alone_costs", _alone_costs,
                "a message of one and the same symbol costs 0 bits: log2(1) = 0; a whole bit is Huffman's"),
    ),
}  # fmt: skip
