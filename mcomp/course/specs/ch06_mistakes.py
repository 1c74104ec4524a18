"""Chapter 06: the wrong answers that people write, each with what happened; and the quiz.

Of published tutorials: floor(w) * q, floor(w * s) never divided back, and a float16 division that only makes
the layer smaller.
"""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


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


def _no_widening(x, bits):
    low, high = float(x.min()), float(x.max())
    if low == high:
        return 1.0, 0
    scale = (high - low) / (2**bits - 1)
    return scale, round(-low / scale)


def _channels(w, bits, reduce=np.max, steps=None, axis=1):
    rows = abs(w).reshape(len(w), -1)
    return reduce(rows, axis=axis) / (2 ** (bits - 1) - 1 if steps is None else steps(bits))


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
    ),
    "06.6": (
        Mistake("one_for_all", _one_for_all,
                "that is the scale of the whole tensor, repeated; each channel has its own largest |w|"),
        Mistake("last_axis", _last_axis,
                "you took a scale for each index of the last axis; output channels are the first"),
        Mistake("no_abs", lambda w, bits: w.reshape(len(w), -1).max(axis=1) / (2 ** (bits - 1) - 1),
                "you took the largest w, not the largest |w|"),
        Mistake("mean", lambda w, bits: _channels(w, bits, reduce=np.mean),
                "the mean of |w| is smaller than the largest: many weights would be clipped"),
        Mistake("minus_one_missing", lambda w, bits: _channels(w, bits, steps=lambda b: 2 ** (b - 1)),
                "2**(bits - 1) steps are one too many: the last point of a side is 2**(bits - 1) - 1"),
        Mistake("second_axis_only", lambda w, bits: abs(w).max(axis=1) / (2 ** (bits - 1) - 1),
                "you reduced axis 1 only; a convolution's channel has three axes"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "One weight of a layer is 100 times larger than the others. A 4-bit grid reaches it. What happens?",
        (
            Option("It rounds all other weights to zero.",
                   "Yes: the step is a seventh of the largest; all others are nearer to 0.", right=True),
            Option("It clips the large weight to the size of the others.",
                   "A grid that ends at the extreme weight clips nothing; that is its trouble here."),
            Option("Nothing special: 4 bits are 4 bits.",
                   "The error goes with the step squared, and the step with the largest weight."),
        ),
    ),
    Question(
        "Groups of 64 with 16 bits of scale each pay 0.25 bits a weight. Which grid pays half of that?",
        (
            Option("One scale a channel of 784 weights.",
                   "That has 16 / 784 = 0.02 bits a weight, a twelfth of 16 / 64 = 0.25."),
            Option("Groups of 128: 0.125 bits a weight.",
                   "Yes: 16 / 128 bits on every weight. A scale is paid by those who share it.", right=True),
            Option("Groups of 32, because there are fewer weights in each.",
                   "Fewer weights share a scale, so each pays more: 0.5 bits."),
        ),
    ),
    Question(
        "When does the error of rounding differ from step² / 12?",
        (
            Option("Never: it follows from the definition of rounding.",
                   "It follows from an error that is uniform within a step; a steep density breaks that."),
            Option("When the step is several times the weights' spread, or weights lie beyond the ends.",
                   "Yes: the density isn't flat within a step, or clipping adds its own error.", right=True),
            Option("When the weights are Gaussian instead of uniform.",
                   "With many steps in a standard deviation any smooth density is flat enough."),
        ),
    ),
)  # fmt: skip
