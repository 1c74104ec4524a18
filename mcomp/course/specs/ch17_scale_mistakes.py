"""Chapter 17: wrong constants and factors of a layer in integers, each with what happened."""

from itertools import product

import numpy as np

from mcomp.course.model import Mistake, quiet


def _up(x):
    return np.floor(x + 0.5)


def _away(x):
    return np.sign(x) * np.floor(abs(x) + 0.5)


def _sums(weight):
    return weight.astype(np.int64).sum(1)


def _wrap(x, bits=8):
    return (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


# The bias in steps of its channel; what a zero point of x costs; the factor back to y's grid.
# Of weights, their scales w, bias, x's scale and zero point, y's scale.
BIASES = {
    "half_up": (lambda q, w, b, x, z, y: _up(b / (x * w)),
            "you round ties upwards; half to even, as np.round"),
    "half_away": (lambda q, w, b, x, z, y: _away(b / (x * w)),
                  "you round ties away from zero; half to even, as np.round"),
    "floor": (lambda q, w, b, x, z, y: np.floor(b / (x * w)), "you round the bias down; to the nearest"),
    "ceil": (lambda q, w, b, x, z, y: np.ceil(b / (x * w)), "you round the bias up; to the nearest"),
    "cut": (lambda q, w, b, x, z, y: np.trunc(b / (x * w)),
            "you cut the bias off, as a cast to int does; round it first"),
    "real": (lambda q, w, b, x, z, y: b / (x * w), "the bias isn't rounded to whole steps"),
    "x_steps": (lambda q, w, b, x, z, y: np.round(b / x),
            "the bias counts steps of x_scale * w_scale, not of x_scale"),
    "w_steps": (lambda q, w, b, x, z, y: np.round(b / w),
            "the bias counts steps of x_scale * w_scale, not of w_scale"),
    "y_steps": (lambda q, w, b, x, z, y: np.round(b / y),
            "the bias is added to the sums: it counts x_scale * w_scale, not y_scale"),
    "no_steps": (lambda q, w, b, x, z, y: np.round(b),
            "the bias is rounded as it is: divide it by x_scale * w_scale first"),
    "raw": (lambda q, w, b, x, z, y: b,
            "the bias was left as a float: how many steps of x_scale * w_scale is it?"),
    "times": (lambda q, w, b, x, z, y: np.round(b * x * w),
            "you multiplied the bias by x_scale * w_scale; divide"),
    "factor_steps": (lambda q, w, b, x, z, y: np.round(b * y / (x * w)),
                     "the bias is divided by x_scale * w_scale; y_scale comes with the factor, later"),
    "w_over_x": (lambda q, w, b, x, z, y: np.round(b / x * w),
            "b / x_scale * w_scale multiplies by w_scale: brackets"),
    "x_over_w": (lambda q, w, b, x, z, y: np.round(b / w * x),
            "b / w_scale * x_scale multiplies by x_scale: brackets"),
    "no_bias": (lambda q, w, b, x, z, y: 0 * b, "the bias is missing in the constants"),
    "one_scale": (lambda q, w, b, x, z, y: np.round(b / (x * w.max())),
                  "you took the largest w_scale for all; each output channel has its own"),
    "first_scale": (lambda q, w, b, x, z, y: np.round(b / (x * w[0])),
                    "you took the first w_scale for all; each output channel has its own"),
    "mean_scale": (lambda q, w, b, x, z, y: np.round(b / (x * w.mean())),
                   "you took the mean of w_scale for all; each output channel has its own"),
    "eight_bits": (lambda q, w, b, x, z, y: np.round(b / (x * w)).clip(-128, 127),
                   "you clipped the bias to eight bits; it is an int32"),
    "eight_wrapped": (lambda q, w, b, x, z, y: _wrap(np.round(b / (x * w))),
                      "the bias wrapped round in eight bits; it is an int32"),
    "negative": (lambda q, w, b, x, z, y: -np.round(b / (x * w)), "the bias has the wrong sign"),
}  # fmt: skip


ZEROS = {
    "no_zero": (lambda q, w, b, x, z, y: 0,
            "the zero point is missing: x - x_zero meets every weight of the row"),
    "added": (lambda q, w, b, x, z, y: -z * _sums(q),
            "you added what the zero point brings; it is subtracted"),
    "bare": (lambda q, w, b, x, z, y: z, "x_zero meets every weight of the row: multiply it by their sum"),
    "bare_added": (lambda q, w, b, x, z, y: -z,
                   "x_zero meets every weight of the row: multiply it by their sum, and subtract"),
    "counted": (lambda q, w, b, x, z, y: z * q.shape[1],
                "x_zero was multiplied by the number of inputs; by the sum of the row's weights"),
    "sizes": (lambda q, w, b, x, z, y: z * abs(q.astype(int)).sum(1), "you added up |weight|; signs count"),
    "mean": (lambda q, w, b, x, z, y: np.round(z * q.mean(1)),
            "you took the mean of the row's weights; their sum"),
    "all_rows": (lambda q, w, b, x, z, y: z * int(_sums(q).sum()),
                 "you added up the weights of all rows; each output channel has its own sum"),
    "columns": (lambda q, w, b, x, z, y: z * np.resize(q.astype(int).sum(0), len(q)),
                "you added up over the outputs; the sum is over a row's inputs"),
    "int8_product": (lambda q, w, b, x, z, y: _wrap(z * q.astype(int)).sum(1),
                     "x_zero * weight wrapped round in int8; widen the weights first"),
    "int8_sum": (lambda q, w, b, x, z, y: z * _wrap(_sums(q)),
                 "the sum of the weights wrapped round in int8; widen them first"),
    "int8_end": (lambda q, w, b, x, z, y: _wrap(z * _sums(q)),
                 "x_zero times the sum wrapped round in int8; it needs 32 bits"),
    "real_weights": (lambda q, w, b, x, z, y: np.round(z * _sums(q) * w),
                     "x_zero meets the integers of the weights, not what they mean: leave w_scale out"),
    "real_zero": (lambda q, w, b, x, z, y: np.round(z * x * _sums(q)),
                  "x_zero counts integers of x: leave x_scale out"),
    "real_zero_exact": (lambda q, w, b, x, z, y: z * x * _sums(q),
                        "x_zero counts integers of x: leave x_scale out, and the constants are whole"),
    "real_weights_exact": (lambda q, w, b, x, z, y: z * _sums(q) * w,
                           "x_zero meets the integers of the weights: leave w_scale out, and the constants "
                           "are whole"),
    "real_both_exact": (lambda q, w, b, x, z, y: z * x * w * _sums(q),
                        "the sums count steps already: x_zero times the sum, without scales, is whole"),
    "real_both": (lambda q, w, b, x, z, y: np.round(z * x * w * _sums(q)),
                  "the sums count steps already: x_zero times the sum, without scales"),
    "steps_again": (lambda q, w, b, x, z, y: np.round(z * _sums(q) / (x * w)),
                    "what the zero point brings is whole steps already: only the bias is divided"),
    "first_weight": (lambda q, w, b, x, z, y: z * q[:, 0].astype(int),
                     "x_zero meets every weight of the row, not the first alone"),
}  # fmt: skip

FACTORS = {
    "no_y": (lambda w, x, y: x * w, "the factor leads to y's grid: divide by y_scale"),
    "inverse": (lambda w, x, y: y / (x * w), "the factor is upside down: x_scale * w_scale / y_scale"),
    "times_y": (lambda w, x, y: x * w * y, "the factor is divided by y_scale, not multiplied"),
    "no_w": (lambda w, x, y: x / y + 0 * w, "w_scale is missing in the factor"),
    "no_x": (lambda w, x, y: w / y, "x_scale is missing in the factor"),
    "w_below": (lambda w, x, y: x / (w * y), "the factor is multiplied by w_scale, not divided"),
    "x_below": (lambda w, x, y: w / (x * y), "the factor is multiplied by x_scale, not divided"),
    "largest": (lambda w, x, y: x * w.max() / y + 0 * w,
            "one factor for all: each output channel has its own w_scale"),
    "first": (lambda w, x, y: x * w[0] / y + 0 * w,
            "the first channel's factor for all: each has its own w_scale"),
    "average": (lambda w, x, y: x * w.mean() / y + 0 * w,
            "a mean factor for all: each output channel has its own"),
    "y_over_x": (lambda w, x, y: y / x * w,
            "the factor is w_scale * x_scale / y_scale: x and y are exchanged"),
    "y_alone": (lambda w, x, y: 1 / y + 0 * w,
            "one step of the sums is worth x_scale * w_scale: the factor lacks both"),
    "one": (lambda w, x, y: 1 + 0 * w,
            "that factor leaves the sums as they are: x_scale * w_scale / y_scale"),
    "whole": (lambda w, x, y: np.round(x * w / y), "the factor is a real number: don't round it"),
}  # fmt: skip


def _bias(q, w, b, x, z, y):
    return np.round(b / (x * w))


def _zero(q, w, b, x, z, y):
    return z * _sums(q)


def _factor(w, x, y):
    return x * w / y


def _folded(bias=_bias, zero=_zero, factor=_factor):
    return quiet(lambda q, w, b, x, z, y: (bias(q, w, b, x, z, y) - zero(q, w, b, x, z, y), factor(w, x, y)))


def _whole(constants, factor=_factor):
    return quiet(lambda q, w, b, x, z, y: (constants(q, w, b, x, z, y), factor(w, x, y)))


PAIRS = [
    (("cut", "real", "x_steps", "y_steps", "no_steps", "raw", "times"), ("no_zero", "added", "bare")),
    (("no_y", "inverse", "no_w", "no_x", "times_y"), ("no_zero", "added", "bare")),
    (("x_steps", "w_steps", "y_steps", "no_steps", "raw", "real", "times"), ("no_y", "inverse", "no_w",
    "no_x")),
]  # fmt: skip

SCALES = (
    *(Mistake(name, _folded(bias=f), why) for name, (f, why) in BIASES.items()),
    *(Mistake(name, _folded(zero=f), why) for name, (f, why) in ZEROS.items()),
    *(Mistake(name, _folded(factor=f), why) for name, (f, why) in FACTORS.items()),
    *(Mistake(f"{a}_{b}", _folded(bias=BIASES[a][0], zero=ZEROS[b][0]), f"{BIASES[a][1]}. And {ZEROS[b][1]}")
      for a, b in product(*PAIRS[0])),
    *(Mistake(f"{a}_{b}", _folded(factor=FACTORS[a][0], zero=ZEROS[b][0]),
            f"{FACTORS[a][1]}. And {ZEROS[b][1]}")
      for a, b in product(*PAIRS[1])),
    *(Mistake(f"{a}_and_{b}", _folded(bias=BIASES[a][0], factor=FACTORS[b][0]),
            f"{BIASES[a][1]}. And {FACTORS[b][1]}")
      for a, b in product(*PAIRS[2])),
    Mistake("exchanged", quiet(lambda *a: _folded()(*a)[::-1]),
            "the factors came first: (constants, factors)"),
    Mistake("at_the_end", _whole(lambda q, w, b, x, z, y: np.round(b / (x * w) - z * _sums(q))),
            "you rounded after the zero point: with an odd constant, a tie of the bias goes to the other "
            "side"),
    Mistake("all_cut", _whole(lambda q, w, b, x, z, y: np.trunc(b / (x * w) - z * _sums(q))),
            "you cut the constants off, as a cast to int does; round the bias first"),
    Mistake("from_the_bias", _whole(lambda q, w, b, x, z, y: np.round((b - z * x) / (x * w))),
            "you took x_zero * x_scale from the bias once; it meets every weight of the row"),
    Mistake("all_divided", _whole(lambda q, w, b, x, z, y: np.round((b - z * _sums(q)) / (x * w))),
            "what the zero point brings is whole steps already: divide the bias alone"),
    Mistake("in_y", _whole(lambda q, w, b, x, z, y: np.round(_folded()(q, w, b, x, z, y)[0] * x * w / y)),
            "the factor is applied behind the constants: they count x_scale * w_scale, not y_scale"),
    Mistake("scaled", _whole(lambda q, w, b, x, z, y: _folded()(q, w, b, x, z, y)[0] * x * w / y),
            "the factor was applied to the constants; the engine does that behind them"),
    Mistake("in_numbers", _whole(lambda q, w, b, x, z, y: b - z * _sums(q) * x * w),
            "these are the constants as real numbers; how many steps of x_scale * w_scale are they?"),
)  # fmt: skip
