"""Chapter 06: the wrong answers that people write, each with what happened.

Three look like quantization and aren't: floor(w) * s, floor(w / s) never multiplied back, float16(w / s).
"""

import numpy as np

from mcomp.course.model import Mistake


def _away(x):
    return np.sign(x) * np.floor(abs(x) + 0.5)


def _integers(x, scale, zero_point, qmin, qmax, rounding=np.round):
    return np.clip(rounding(x / scale) + zero_point, qmin, qmax).astype(int)


def _clip_first(x, scale, zero_point, qmin, qmax):
    return (np.clip(np.round(x / scale), qmin, qmax) + zero_point).astype(int)


def _wrapped(x, scale, zero_point, qmin, qmax):
    return (np.round(x / scale).astype(int) + zero_point - qmin) % (qmax - qmin + 1) + qmin


def _back(w, scale, rounding=np.round, low=-127, high=127):
    return scale * np.clip(rounding(w / scale), low, high)


def _largest_scale(w, bits, size=None, steps=None):
    largest = float(abs(w).max() if size is None else size(w))
    return largest / (2 ** (bits - 1) - 1 if steps is None else steps(bits)) if largest else 1.0


def _no_zero_case(w, bits):
    return float(abs(w).max()) / (2 ** (bits - 1) - 1)


def _affine(x, bits, low=None, high=None, steps=None, zero=None):
    low = min(float(x.min()), 0.0) if low is None else low(x)
    high = max(float(x.max()), 0.0) if high is None else high(x)
    if high == low:
        return 1.0, 0
    scale = (high - low) / ((2**bits - 1) if steps is None else steps(bits))
    return scale, int(np.clip(round(-low / scale), 0, 2**bits - 1)) if zero is None else zero(
        low, scale, bits
    )


def _signed_zero(low, scale, bits):
    return round(-low / scale) - 2 ** (bits - 1)


def _no_widening(x, bits, clip=False):
    low, high = float(x.min()), float(x.max())
    if low == high:
        return 1.0, 0
    scale = (high - low) / (2**bits - 1)
    zero = round(-low / scale)
    return scale, min(max(zero, 0), 2**bits - 1) if clip else zero


def _zero_step(x, bits):
    return _affine(x, bits) if x.any() else (0.0, 0)


def _channels(w, bits, reduce=np.max, steps=None, sign=False, zero=True):
    rows = (w if sign else abs(w)).reshape(len(w), -1)
    found = reduce(rows, axis=1) / (2 ** (bits - 1) - 1 if steps is None else steps(bits))
    return np.where((found == 0) & zero, 1.0, found)


def _last_axis(w, bits):
    return abs(w).max(axis=tuple(range(w.ndim - 1))) / (2 ** (bits - 1) - 1)


def _one_for_all(w, bits):
    return np.full(len(w), abs(w).max() / (2 ** (bits - 1) - 1))


def _median(w, q):
    """The scale of least absolute error: a weighted median of w / q."""
    kept = q.ravel() != 0
    ratio, mass = w.ravel()[kept] / q.ravel()[kept], abs(q.ravel()[kept])
    order = np.argsort(ratio)
    return float(ratio[order][np.searchsorted(np.cumsum(mass[order]), mass.sum() / 2)])


MISTAKES = {
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
        Mistake("byte", lambda x, s, z, a, b: (np.round(x / s) + z).astype(int) % 256,
                "a cast to uint8 wraps round: -1 becomes 255, and 256 becomes 0; clip to qmin and qmax"),
    ),
    "06.2": (
        Mistake("floor_times_scale", lambda w, scale: np.floor(w) * scale,
                "that is floor(w) * scale: weights below 1 become 0 or -1; divide by the scale first"),
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
        Mistake("smallest", lambda w, bits: _largest_scale(w, bits, size=lambda w: abs(w).min()),
                "that is the smallest |w|: the grid must reach the largest"),
        Mistake("whole", lambda w, bits: float(abs(w).max() // (2 ** (bits - 1) - 1)) if w.any() else 1.0,
                "// cuts the decimals off; a step need not be whole"),
    ),
    "06.4": (
        Mistake("no_widening", _no_widening,
                "your range has no 0 where x is all positive or all negative: then 0.0 isn't on the grid"),
        Mistake("one_step_more", lambda x, bits: _affine(x, bits, steps=lambda b: 2**b),
                "2**bits points have 2**bits - 1 steps between them"),
        Mistake("not_whole", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: -low / s),
                "your zero point is not a whole number, so 0.0 lies between two grid points; round it"),
        Mistake("truncated", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: int(-low / s)),
                "you cut the zero point's decimals off; round it to the nearest"),
        Mistake("sign", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: round(low / s)),
                "the sign is wrong: the grid starts at low = scale * (0 - zero_point): -low / scale"),
        Mistake("minimum", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: low),
                "that is the least number; the zero point is the integer that stands for 0.0"),
        Mistake("middle", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: 2 ** (b - 1)),
                "the middle of the integers is right only for a range with 0 in its middle"),
        Mistake("signed", lambda x, bits: _affine(x, bits, zero=_signed_zero),
                "that is for integers from -2**(bits - 1) on; here they start at 0"),
        Mistake("no_widening_clipped", lambda x, bits: _no_widening(x, bits, clip=True),
                "clipping the zero point doesn't put 0.0 on the grid: widen the range to hold 0 first"),
        Mistake("up", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: int(np.ceil(-low / s))),
                "you rounded the zero point up; round it to the nearest"),
        Mistake("symmetric", lambda x, bits: (_largest_scale(x, bits), 0),
                "that is exercise 06.3's symmetric grid; this one spans only from the lowest to the highest"),
        Mistake("mirrored",
                lambda x, bits: _affine(x, bits, zero=lambda low, s, b: 2**b - 1 - round(-low / s)),
                "your zero point counts from the upper end; integer 0 stands for the lower one"),
        Mistake("zero_step", _zero_step,
                "of x that is all zero you make a step of 0, and x / 0 is not a number; say 1.0"),
        Mistake("plus_minimum", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: -low),
                "-low is a number; the zero point is an integer: how many steps from low to 0.0"),
        Mistake("swapped", lambda x, bits: _affine(x, bits)[::-1],
                "the scale comes first, then the zero point"),
        Mistake("from_zero", lambda x, bits: (max(float(x.max()), 0) / (2**bits - 1) or 1.0, 0),
                "your grid spans 0 to the largest: negative x lie outside; start at the lowest, if below 0"),
        Mistake("low_only", lambda x, bits: _affine(x, bits, high=lambda x: max(float(x.max()), x.min())),
                "where all of x is negative your range ends below 0: widen it on both sides"),
    ),
    "06.5": (
        Mistake("mean_ratio", lambda w, q: float(np.mean(w[q != 0] / q[q != 0])),
                "the mean of w / q gives small q as much say as large ones, though theirs is the worst"),
        Mistake("ratio_of_sums", lambda w, q: float(abs(w).sum() / abs(q).sum()),
                "|w| over |q| ignores which q belongs to which w, and counts weights whose q is 0"),
        Mistake("plain_sums", lambda w, q: float(w.sum() / q.sum()) if q.sum() else 0.0,
                "the sums of w and q cancel positive against negative weights"),
        Mistake("wrong_norm", lambda w, q: float((w * q).sum() / (w * w).sum()),
                "you divided by the sum of w**2: that fits q by w; divide by the sum of q**2"),
        Mistake("norms", lambda w, q: float(np.sqrt((w**2).sum() / (q**2).sum())),
                "the ratio of the norms is too large unless w is a multiple of q: project w onto q"),
        Mistake("extremes", lambda w, q: float(abs(w).max() / abs(q).max()),
                "that fits the largest weight only"),
        Mistake("least_absolute", _median,
                "that is the scale of least absolute error; squares were asked for"),
        Mistake("plain_median", lambda w, q: float(np.median(w[q != 0] / q[q != 0])),
                "the median of w / q is another estimate: least squares weigh each ratio by q squared"),
        Mistake("zeros_count", lambda w, q: float(np.mean(np.divide(w, q, out=0 * w, where=q != 0))),
                "the mean of w / q, with 0 where q is 0: those say nothing about s, and others count alike"),
        Mistake("sizes", lambda w, q: float(abs(w * q).sum() / (q * q).sum()),
                "w * q is negative where rounding went over zero; take it with its sign"),
        Mistake("not_squared", lambda w, q: float((w * q).sum() / abs(q).sum()),
                "you divided by the sum of |q|; the derivative has the sum of q squared"),
        Mistake("rooted", lambda w, q: float((w * q).sum() / np.sqrt((q * q).sum())),
                "you divided by the norm of q; by its square: the sum of q * q, without the root"),
        Mistake("mean_product", lambda w, q: float((w * q).mean()),
                "you divided by the number of weights; divide by the sum of q * q"),
        Mistake("upside_down", lambda w, q: float((q * q).sum() / ((w * q).sum() or 1.0)),
                "your fraction is upside down: the sum of w * q stands above"),
        Mistake("each_row", lambda w, q: (w * q).sum(-1) / np.maximum((q * q).sum(-1), 1),
                "one scale for all entries is asked for: sum over everything"),
    ),
    "06.6": (
        Mistake("one_for_all", _one_for_all,
                "that is the scale of the whole tensor, repeated; each channel has its own largest |w|"),
        Mistake("last_axis", _last_axis,
                "you took a scale for each index of the last axis; output channels are the first"),
        Mistake("no_abs", lambda w, bits: _channels(w, bits, sign=True),
                "you took the largest w, not the largest |w|"),
        Mistake("mean", lambda w, bits: _channels(w, bits, reduce=np.mean),
                "the mean of |w| is smaller than the largest: many weights would be clipped"),
        Mistake("minus_one_missing", lambda w, bits: _channels(w, bits, steps=lambda b: 2 ** (b - 1)),
                "2**(bits - 1) steps are one too many: the last point of a side is 2**(bits - 1) - 1"),
        Mistake("second_axis_only", lambda w, bits: abs(w).max(axis=1) / (2 ** (bits - 1) - 1),
                "you reduced axis 1 only; a convolution's channel has three axes"),
        Mistake("zero_step", lambda w, bits: _channels(w, bits, zero=False),
                "a channel that is all zero gets a step of 0, and x / 0 is not a number; say 1.0"),
        Mistake("tiny_step", lambda w, bits: np.maximum(_channels(w, bits, zero=False), 1e-8),
                "a channel that is all zero gets a tiny step; 1.0 was asked for"),
        Mistake("all_points", lambda w, bits: _channels(w, bits, steps=lambda b: 2**b - 1),
                "2**bits - 1 steps would be the whole grid; on each side of 0 there are 2**(bits - 1) - 1"),
        Mistake("range", lambda w, bits: _channels(w, bits, np.ptp, lambda b: 2**b - 1, sign=True),
                "max - min over 2**bits - 1 is an asymmetric grid's step; here both sides reach max |w|"),
        Mistake("kept_axes", lambda w, bits: _channels(w, bits)[:, None],
                "one number a channel is asked for, an array of one axis: drop keepdims=True"),
        Mistake("one_number", lambda w, bits: float(abs(w).max() / (2 ** (bits - 1) - 1)),
                "that is one step for the whole tensor; each channel has its own"),
        Mistake("first_axis", lambda w, bits: abs(w).max(axis=0) / (2 ** (bits - 1) - 1),
                "axis=0 takes the maximum over the channels; it must run over all axes but the first"),
        Mistake("always_eight", lambda w, bits: _channels(w, bits, steps=lambda b: 127),
                "127 steps are those of 8 bits; with `bits` bits there are 2**(bits - 1) - 1"),
        Mistake("points", lambda w, bits: _channels(w, bits, steps=lambda b: 2**b),
                "2**bits is the number of patterns; on each side of 0 there are 2**(bits - 1) - 1 steps"),
        Mistake("each_row", lambda w, bits: abs(w).max(axis=-1) / (2 ** (bits - 1) - 1),
                "you reduced the last axis only; a convolution's channel has three axes"),
    ),
}  # fmt: skip
