"""Chapter 06: the wrong answers that people write, each with what happened.

Three look like quantization and aren't: floor(w) * s, floor(w / s) never multiplied back, float16(w / s).
"""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch06_range_mistakes import MISTAKES as MORE
from mcomp.course.specs.ch06_range_mistakes import _largest_scale


def _away(x):
    return np.sign(x) * np.floor(abs(x) + 0.5)


def _integers(x, scale, zero_point, qmin, qmax, rounding=np.round):
    return np.clip(rounding(x / scale) + zero_point, qmin, qmax).astype(int)


def _clip_first(x, scale, zero_point, qmin, qmax):
    return (np.clip(np.round(x / scale), qmin, qmax) + zero_point).astype(int)


def _wrapped(x, scale, zero_point, qmin, qmax):
    return (np.round(x / scale).astype(int) + zero_point - qmin) % (qmax - qmin + 1) + qmin


def _ends_exchanged(x, scale, zero_point, qmin, qmax):
    q = np.round(x / scale).astype(int) + zero_point
    return np.where(q > qmax, qmin, np.where(q < qmin, qmax, q))


def _cast_first(x, scale, zero_point, qmin, qmax):
    q = np.round(x / scale).astype(int) + zero_point
    return np.clip((q + 128) % 256 - 128, qmin, qmax)


def _back(w, scale, rounding=np.round, low=-127, high=127):
    return scale * np.clip(rounding(w / scale), low, high)


def _no_zero_case(w, bits):
    return float(abs(w).max()) / (2 ** (bits - 1) - 1)


MISTAKES = MORE | {
    "06.1": (
        Mistake("floor", lambda *a: _integers(*a, rounding=np.floor),
                "you rounded down, so everything moves by half a step on average; round to the nearest"),
        Mistake("truncated", lambda *a: _integers(*a, rounding=np.trunc),
                "you cut the decimals off, as int() does: everything moves towards zero; round first"),
        Mistake("away_from_zero", lambda *a: _integers(*a, rounding=_away),
                "at a tie you round away from zero; np.round takes the even neighbour, 0.5 to 0, 2.5 to 2"),
        Mistake("round_last", lambda x, s, z, a, b: np.clip(np.round(x / s + z), a, b).astype(int),
                "you rounded after adding the zero point: with an odd one, ties go to the other side"),
        Mistake("no_clip", lambda x, s, z, a, b: (np.round(x / s) + z).astype(int),
                "some of your integers lie outside qmin to qmax: the stored type has no place for them"),
        Mistake("wrapped", _wrapped,
                "you let large values wrap round, as a plain cast to int8 does; clip them to the ends"),
        Mistake("cast_first", _cast_first,
                "you cast to int8 before the clip: 300 had wrapped round to 44 by then; clip first"),
        Mistake("ends_exchanged", _ends_exchanged,
                "the ends are exchanged: what lies beyond qmax becomes qmax, not qmin"),
        Mistake("clip_first", _clip_first,
                "you clipped before adding the zero point; the ends are meant for the integers after it"),
        Mistake("minus_zero", lambda x, s, z, a, b: _integers(x, s, -z, a, b),
                "you subtracted the zero point; x = scale * (q - zero_point) solved for q adds it"),
        Mistake("times_scale", lambda x, s, z, a, b: _integers(x, 1 / s, z, a, b),
                "you multiplied by the scale; x / scale counts steps"),
        Mistake("half_up", lambda *a: _integers(*a, rounding=lambda x: np.floor(x + 0.5)),
                "floor(v + 0.5) rounds every tie upwards, 0.5 to 1; np.round takes the even neighbour"),
        Mistake("ceil", lambda *a: _integers(*a, rounding=np.ceil),
                "you rounded up, so everything moves by half a step on average; round to the nearest"),
        Mistake("no_zero", lambda x, s, z, a, b: _integers(x, s, 0, a, b),
                "the zero point is missing: the integer that stands for 0.0 is zero_point, not 0"),
        Mistake("zero_in_x", lambda x, s, z, a, b: _integers(x - z, s, 0, a, b),
                "the zero point counts steps of the grid: add it after dividing, don't subtract it from x"),
        Mistake("zero_plus_x", lambda x, s, z, a, b: _integers(x + z, s, 0, a, b),
                "the zero point counts steps of the grid, not units of x: add it after dividing by scale"),
        Mistake("not_rounded", lambda x, s, z, a, b: np.clip(x / s + z, a, b),
                "those are no whole numbers: round x / scale to the nearest"),
        Mistake("numbers", lambda x, s, z, a, b: s * (_integers(x, s, z, a, b) - z),
                "those are the numbers of the grid; the integers q that stand for them are asked for"),
        Mistake("clip_x", lambda x, s, z, a, b: (np.round(np.clip(x, a, b) / s) + z).astype(int),
                "qmin and qmax are ends of the integers, not of x: clip after dividing and adding"),
        Mistake("added_half", lambda *a: _integers(*a, rounding=lambda v: np.trunc(v + 0.5)),
                "int(v + 0.5) is right for positive v only: it cuts towards zero; use np.round"),
        Mistake("from_qmin", lambda x, s, z, a, b: _integers(x, s, a, a, b),
                "you added qmin; the integer that stands for 0.0 is zero_point"),
        Mistake("short_end", lambda x, s, z, a, b: _integers(x, s, z, a, b - 1),
                "qmax itself is a grid point: np.clip keeps both ends, so don't subtract 1"),
        Mistake("byte", lambda x, s, z, a, b: (np.round(x / s) + z).astype(int) % 256,
                "a cast to uint8 wraps round: -1 becomes 255, and 256 becomes 0; clip to qmin and qmax"),
    ),
    "06.2": (
        Mistake("floor_times_scale", lambda w, scale: np.floor(w) * scale,
                "that is floor(w) * scale: weights below 1 become 0 or -1; divide by the scale first"),
        Mistake("clip_w", lambda w, scale: scale * np.round(np.clip(w, -127, 127) / scale),
                "127 is the end of the integers, not of the weights: clip after dividing by the scale"),
        Mistake("never_back", lambda w, scale: np.clip(np.round(w / scale), -127, 127),
                "those are the integers, 1 / scale times too large for the network: multiply by the scale"),
        Mistake("floor_never_back", lambda w, scale: np.floor(w / scale),
                "you rounded down and never multiplied back by the scale"),
        Mistake("only_rescaled", lambda w, scale: (w / scale).astype(np.float16).astype(float),
                "float16(w / scale) is no grid of 8 bits: it rescales the layer and keeps 16 bits each"),
        Mistake("half_precision", lambda w, scale: w.astype(np.float16).astype(float),
                "float16 keeps 16 bits a weight and another grid; the scale isn't used"),
        Mistake("floor", lambda w, scale: _back(w, scale, np.floor),
                "you rounded down: every weight loses half a step on average; round to the nearest"),
        Mistake("truncated", lambda w, scale: _back(w, scale, np.trunc),
                "you cut the decimals off: all weights shrink; round to the nearest"),
        Mistake("no_clip", lambda w, scale: scale * np.round(w / scale),
                "without the clip some integers are beyond 127 and don't fit into int8"),
        Mistake("minus_128", lambda w, scale: _back(w, scale, low=-128),
                "a symmetric grid has -127 to 127, so that -w is on it when w is; you went to -128"),
        Mistake("nothing", lambda w, scale: w.copy(), "that is w itself: nothing was rounded"),
        Mistake("half_up", lambda w, scale: _back(w, scale, lambda v: np.floor(v + 0.5)),
                "floor(v + 0.5) rounds every tie upwards; np.round takes the even neighbour"),
        Mistake("away_from_zero", lambda w, scale: _back(w, scale, _away),
                "at a tie you round away from zero; np.round takes the even neighbour"),
        Mistake("times_scale", lambda w, scale: np.clip(np.round(w * scale), -127, 127) / scale,
                "you multiplied by the scale and divided at the end; the other way round: w / scale counts"),
        Mistake("unsigned", lambda w, scale: _back(w, scale, low=0, high=255),
                "with integers from 0 on every negative weight becomes 0; int8 goes from -127 to 127"),
        Mistake("wrapped", lambda w, scale: scale * ((np.round(w / scale) + 128) % 256 - 128),
                "a cast to int8 without a clip wraps round: 128 becomes -128"),
        Mistake("whole_numbers", lambda w, scale: np.round(w),
                "you rounded w to whole numbers; the scale isn't used: count in steps of scale"),
        Mistake("ceil", lambda w, scale: _back(w, scale, np.ceil),
                "you rounded up: every weight gains half a step on average; round to the nearest"),
        Mistake("signs_lost", lambda w, scale: abs(_back(w, scale)),
                "the signs are lost: weights below 0 have integers below 0"),
        Mistake("added_half", lambda w, scale: _back(w, scale, lambda v: np.trunc(v + 0.5)),
                "int(v + 0.5) is right for positive v only: it cuts towards zero; use np.round"),
        Mistake("clip_above", lambda w, scale: _back(w, scale, low=-np.inf),
                "you clipped at 127 only; the grid ends at -127 as well"),
        Mistake("clip_below", lambda w, scale: _back(w, scale, high=np.inf),
                "you clipped at -127 only; the grid ends at 127 as well"),
        Mistake("own_scale", lambda w, scale: _back(w, abs(w).max() / 127),
                "you took a scale of your own, max |w| / 127; the one that is given may clip"),
        Mistake("over_127", lambda w, scale: np.clip(np.round(w / scale), -127, 127) / 127,
                "you came back by 1 / 127; the way back undoes the division by the scale"),
    ),
    "06.3": (
        Mistake("no_abs", lambda w, bits: _largest_scale(w, bits, size=np.max),
                "you took the largest w, not the largest |w|: negative weights may be larger"),
        Mistake("minus_one_missing", lambda w, bits: _largest_scale(w, bits, steps=lambda b: 2 ** (b - 1)),
                "2**(bits - 1) steps are one too many: the last point of a side is 2**(bits - 1) - 1"),
        Mistake("all_points", lambda w, bits: _largest_scale(w, bits, steps=lambda b: 2**b - 1),
                "2**bits - 1 steps would be the whole grid; on each side of 0 there are 2**(bits - 1) - 1"),
        Mistake("range", lambda w, bits: _largest_scale(w, bits, np.ptp, lambda b: 2**b - 1),
                "max - min over 2**bits - 1 is an asymmetric grid's step; here both sides reach max |w|"),
        Mistake("deviation", lambda w, bits: _largest_scale(w, bits, size=lambda w: 3 * w.std()),
                "three standard deviations clip the largest weights; the grid should reach them"),
        Mistake("upside_down", lambda w, bits: 1 / _largest_scale(w, bits),
                "that is the reciprocal, steps per unit; the scale is the size of one step"),
        Mistake("zero_step", _no_zero_case,
                "of weights that are all zero you make a step of 0, and x / 0 is not a number; say 1.0"),
        Mistake("tiny_step", lambda w, bits: max(_no_zero_case(w, bits), 1e-8 / (2 ** (bits - 1) - 1)),
                "of weights that are all zero you make a tiny step; 1.0 was asked for"),
        Mistake("half_range", lambda w, bits: _largest_scale(w, bits, np.ptp, lambda b: 2**b - 2),
                "half of max - min is the largest |w| only if both ends are as far from 0"),
        Mistake("points", lambda w, bits: _largest_scale(w, bits, steps=lambda b: 2**b),
                "2**bits is the number of patterns; on each side of 0 there are 2**(bits - 1) - 1 steps"),
        Mistake("mean", lambda w, bits: _largest_scale(w, bits, size=lambda w: abs(w).mean()),
                "that is the mean |w|: larger weights would be clipped; the grid must reach the largest"),
        Mistake("always_eight", lambda w, bits: _largest_scale(w, bits, steps=lambda b: 127),
                "127 steps are those of 8 bits; with `bits` bits there are 2**(bits - 1) - 1"),
        Mistake("one_before", lambda w, bits: (float(abs(w).max()) or 1.0) / (2 ** (bits - 1) - 1),
                "of weights that are all zero you make 1 / steps; the step itself is to be 1.0 there"),
        Mistake("each_row", lambda w, bits: abs(w).max(axis=-1) / (2 ** (bits - 1) - 1),
                "one step for all weights is asked for: the maximum runs over every axis"),
        Mistake("each_column", lambda w, bits: abs(w).max(axis=0) / (2 ** (bits - 1) - 1),
                "one step for all weights is asked for; axis=0 leaves one for each column"),
        Mistake("all_but_one", lambda w, bits: _largest_scale(w, bits, steps=lambda b: 2**b - 2),
                "2**bits - 2 steps lie between both ends; from 0 to one end there are half as many"),
        Mistake("lowest", lambda w, bits: _largest_scale(w, bits, size=lambda w: -w.min()),
                "you took the lowest w; the largest |w| may be on the positive side"),
        Mistake("root_mean_square", lambda w, bits: _largest_scale(w, bits, lambda w: (w**2).mean() ** 0.5),
                "that is a mean size: larger weights would be clipped; the grid must reach the largest"),
        Mistake("smallest", lambda w, bits: _largest_scale(w, bits, size=lambda w: abs(w).min()),
                "that is the smallest |w|: the grid must reach the largest"),
        Mistake("whole", lambda w, bits: float(abs(w).max() // (2 ** (bits - 1) - 1)) if w.any() else 1.0,
                "// cuts the decimals off; a step need not be whole"),
    ),
}  # fmt: skip
