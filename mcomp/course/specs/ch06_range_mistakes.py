"""Chapter 06, ranges and channels (06.4 to 06.6): the wrong answers that people write."""

import numpy as np

from mcomp.course.model import Mistake


def _largest_scale(w, bits, size=None, steps=None):
    largest = float(abs(w).max() if size is None else size(w))
    return largest / (2 ** (bits - 1) - 1 if steps is None else steps(bits)) if largest else 1.0


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
