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


def _low_only(x, bits):
    low, high = min(float(x.min()), 0.0), float(x.max())
    scale = (high - low) / (2**bits - 1)
    return (scale, round(-low / scale)) if scale else (1.0, 0)


def _zero_step(x, bits):
    return _affine(x, bits) if x.any() else (0.0, 0)


def _channels(w, bits, reduce=np.max, steps=None, sign=False, zero=True):
    rows = (w if sign else abs(w)).reshape(len(w), -1)
    found = reduce(rows, axis=1) / (2 ** (bits - 1) - 1 if steps is None else steps(bits))
    return np.where((found == 0) & zero, 1.0, found)


def _last_axis(w, bits):
    return abs(w).max(axis=tuple(range(w.ndim - 1))) / (2 ** (bits - 1) - 1)


def _all_or_none(w, bits):
    found = _channels(w, bits, zero=False)
    return found if found.all() else np.ones(len(w))


def _line(w, q):
    """The slope of a straight line through the points (q, w) that need not meet the origin."""
    across = q - q.mean()
    return float((across * w).sum() / ((across**2).sum() or 1.0))


def _infinite(w, q):
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((w / q).mean())


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
        Mistake("floor_division", lambda x, bits: _affine(x, bits, zero=lambda low, s, b: int(-low // s)),
                "// rounds down, and 6.999... to 6; round -low / scale to the nearest"),
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
        Mistake("sizes", lambda x, bits: (float(abs(x).max()) / (2**bits - 1) or 1.0, 0),
                "your grid spans 0 to the largest |x|; negative x lie outside: start at the lowest"),
        Mistake("from_zero", lambda x, bits: (max(float(x.max()), 0) / (2**bits - 1) or 1.0, 0),
                "your grid spans 0 to the largest: negative x lie outside; start at the lowest, if below 0"),
        Mistake("low_only", _low_only,
                "where all of x is negative your range ends below 0: widen it on both sides"),
        Mistake("low_only_clipped", lambda x, bits: _affine(x, bits, high=lambda x: float(x.max())),
                "where all of x is negative your range ends below 0, clipped or not: widen it to hold 0"),
        Mistake("high_only", lambda x, bits: _affine(x, bits, low=lambda x: float(x.min())),
                "where all of x is positive your range begins above 0: widen it on both sides"),
        Mistake("constant", lambda x, bits: _affine(x, bits) if np.ptp(x) else (1.0, 0),
                "1.0 is meant for x that is all zero; equal numbers other than 0 have a range, down to 0"),
        Mistake("even_sides", lambda x, bits: (2 * abs(x).max() / (2**bits - 1) or 1.0, 2 ** (bits - 1)),
                "your range is as long below 0 as above; this one goes from the lowest to the highest"),
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
        Mistake("divided_by_zero", _infinite,
                "where q is 0, w / q is infinite or no number; such weights say nothing about s"),
        Mistake("line", _line,
                "you fitted a line that need not go through 0; s * q has no constant beside it"),
        Mistake("sizes", lambda w, q: float(abs(w * q).sum() / (q * q).sum()),
                "w * q is negative where rounding went over zero; take it with its sign"),
        Mistake("not_squared", lambda w, q: float((w * q).sum() / abs(q).sum()),
                "you divided by the sum of |q|; the derivative has the sum of q squared"),
        Mistake("rooted", lambda w, q: float((w * q).sum() / np.sqrt((q * q).sum())),
                "you divided by the norm of q; by its square: the sum of q * q, without the root"),
        Mistake("kept_product", lambda w, q: float((w * q).sum() / np.count_nonzero(q)),
                "you divided by the number of weights whose q isn't 0; divide by the sum of q * q"),
        Mistake("kept_sizes", lambda w, q: float(abs(w[q != 0]).sum() / abs(q[q != 0]).sum()),
                "sums of |w| and |q| ignore which q belongs to which w; weigh w by q"),
        Mistake("mean_product", lambda w, q: float((w * q).mean()),
                "you divided by the number of weights; divide by the sum of q * q"),
        Mistake("upside_down", lambda w, q: float((q * q).sum() / ((w * q).sum() or 1.0)),
                "your fraction is upside down: the sum of w * q stands above"),
        Mistake("matrix_product", lambda w, q: float((w @ q.T).sum() / ((q @ q.T).sum() or 1)),
                "w @ q.T mixes the rows; multiply entry by entry, w * q, and sum over everything"),
        Mistake("square_of_sum", lambda w, q: float((w * q).sum() / (q.sum() ** 2 or 1)),
                "the square of the sum isn't the sum of the squares: divide by (q * q).sum()"),
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
        Mistake("one_before",
                lambda w, bits: _channels(w, bits, lambda r, axis: np.where(r.any(axis), r.max(axis), 1.0)),
                "of a channel that is all zero you make 1 / steps; the step itself is to be 1.0 there"),
        Mistake("all_or_none", _all_or_none,
                "one channel of zeros made all your steps 1.0; only its own step is"),
        Mistake("all_points", lambda w, bits: _channels(w, bits, steps=lambda b: 2**b - 1),
                "2**bits - 1 steps would be the whole grid; on each side of 0 there are 2**(bits - 1) - 1"),
        Mistake("range", lambda w, bits: _channels(w, bits, np.ptp, lambda b: 2**b - 1, sign=True),
                "max - min over 2**bits - 1 is an asymmetric grid's step; here both sides reach max |w|"),
        Mistake("kept_axes", lambda w, bits: _channels(w, bits)[:, None],
                "one number a channel is asked for, an array of one axis: drop keepdims=True"),
        Mistake("sum", lambda w, bits: _channels(w, bits, reduce=np.sum),
                "you summed |w| over the channel; the grid must reach its largest |w|"),
        Mistake("deviation", lambda w, bits: _channels(w, bits, lambda r, axis: 3 * r.std(axis), sign=True),
                "three standard deviations clip the largest weights; the grid should reach them"),
        Mistake("wrong_shape",
                lambda w, bits: np.maximum(abs(w).reshape(-1, len(w)).max(0), 0) / (2 ** (bits - 1) - 1),
                "reshape(-1, len(w)) mixes the channels: the first axis stays first, reshape(len(w), -1)"),
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
