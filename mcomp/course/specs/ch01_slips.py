"""Chapter 01: slips that blind trials found, two at once and at the edges, beside `ch01_mistakes`."""

import math

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch01_cost_mistakes import _conv, _fraction, _intensity, _no_one, _places
from mcomp.course.specs.ch01_mistakes import _entropy, _nan_entropy
from mcomp.course.specs.ch01_rate_mistakes import _point


def _row_bytes(w, bits):
    rows = w.reshape(len(w), -1)
    return len(rows) * math.ceil(rows.shape[1] * bits / 8)


def _alone_costs(counts):
    return 1.0 if np.count_nonzero(counts) == 1 else _entropy(counts)


def _no_window_up(side, kernel, stride, padding):
    return -(-(side + 2 * padding) // stride)


def _one_stride(w, height, width, stride, padding, down):
    across = 1 if down else stride
    return (w.size * _places(height, w.shape[2], stride if down else 1, padding)
            * _places(width, w.shape[3], across, padding))  # fmt: skip


SLIPS = {
    "01.1": (
        Mistake("nearest", lambda w, bits: round(w.size * bits / 8),
                "round() goes down below a half, and the last bits have no place; a begun byte counts whole"),
        Mistake("first_axis_each", _row_bytes,
                "you began a new byte with each of w[0], w[1], ...; only the last byte of all is filled up"),
    ),
    "01.2": (
        Mistake("commonest", lambda counts: float(np.log2(counts.sum() / counts.max())),
                "that is the surprise of the most frequent symbol; the entropy is the mean over all of them"),
        Mistake("total_nan", lambda counts: float(counts.sum() * _nan_entropy(counts)),
                "two things: that is the whole text, not one symbol; and a count of 0 makes it nan"),
        Mistake("alone_costs", _alone_costs,
                "a symbol that occurs alone is no surprise: 0 bits; the whole bit is Huffman's"),
    ),
    "01.4": (
        Mistake("nats_sum", lambda w, step: _point(
                    w, step, mean=np.sum, rate=lambda counts: _entropy(counts, np.log)),
                "two things: the rate is in nats, bits take log2; and the error is a sum, not the mean"),
    ),
    "01.5": (
        Mistake("macs_one_of_both", lambda w, n: _intensity(w, n, flop=1, inputs=1 / n, outputs=1 / n),
                "two things: a MAC is two FLOP; and the batch has n inputs and n outputs, not one of each"),
    ),
    "01.7": (
        Mistake("cut_at_the_end", lambda w, *sizes: int(_conv(w, *sizes, places=_fraction)),
                "you kept parts of a place and cut the product; a window stops at whole places: // in each"),
        Mistake("no_window_up", lambda w, *sizes: _conv(w, *sizes, places=_no_window_up),
                "the window's own size is missing: it fits (side + 2 * padding - k) // stride + 1 times"),
        Mistake("stride_down_only", lambda w, *sizes: _one_stride(w, *sizes, down=True),
                "across, yours stops at every pixel; the stride holds down and across"),
        Mistake("stride_across_only", lambda w, *sizes: _one_stride(w, *sizes, down=False),
                "down, yours stops at every pixel; the stride holds down and across"),
        Mistake("no_padding_no_one", lambda w, h, wd, stride, padding: _conv(
                    w, h, wd, stride, 0, places=_no_one),
                "two things: the padding is missing, and one place down and across: + 1 after the division"),
    ),
}  # fmt: skip
