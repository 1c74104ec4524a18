"""Chapter 09: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _lloyd(x, levels, index=None, center=np.mean, empty=None):
    flat = x.reshape(-1)
    near = abs(flat[:, None] - levels).argmin(1) if index is None else index(flat, levels)
    keep = levels if empty is None else np.full(len(levels), empty)
    return np.array([center(flat[near == j]) if (near == j).any() else keep[j] for j in range(len(levels))])


def _middle(v):
    return (v.min() + v.max()) / 2


def _below(flat, levels):
    return np.clip(np.searchsorted(levels, flat, side="right") - 1, 0, len(levels) - 1)


def _until_it_stands(x, levels):
    for _ in range(100):
        levels = _lloyd(x, levels)
    return levels


def _projected(x, levels):
    return levels[abs(x.reshape(-1)[:, None] - levels).argmin(1)].reshape(x.shape)


def _moved_borders(x, levels):
    middle = (levels[:-1] + levels[1:]) / 2
    edge = np.concatenate([[min(x.min(), levels[0])], middle, [max(x.max(), levels[-1])]])
    return (edge[:-1] + edge[1:]) / 2


def _rows(w, reduce):
    return reduce(w.reshape(len(w), -1))


def _ones(words):
    return sum(int(word).bit_count() for word in np.asarray(words))


def _differ(a, b):
    return _ones(a ^ b)


def _all_bits(a, b, n):
    return 32 * len(a) - 2 * _differ(a, b)


def _ternary(w, gain=lambda t, k, n: t**2 / k, scale=lambda t, k, n: t / k, size=abs):
    largest = np.sort(size(w.reshape(-1)))[::-1]
    n, total = len(largest), np.cumsum(largest)
    k = int(np.argmax(gain(total, np.arange(1, n + 1), n))) + 1
    return k, float(scale(total[k - 1], k, n))


def _twn(w):
    size = abs(w.reshape(-1))
    kept = size[size > 0.7 * size.mean()]
    return len(kept), float(kept.mean())


def _power(w, choose):
    size = np.where(w == 0, 1.0, abs(w))
    return np.where(w == 0, 0.0, np.sign(w) * choose(size))


def _halfway_up(size):
    low = 2.0 ** np.floor(np.log2(size))
    return np.where(size < 1.5 * low, low, 2 * low)


def _nearest(size):
    low = 2.0 ** np.floor(np.log2(size))
    return np.where(size <= 1.5 * low, low, 2 * low)


def _float(patterns, e, m, bias=None, leading=None, least=1, sign=None, divide=True):
    mantissa, rest = patterns % 2**m, patterns // 2**m
    exponent, negative = rest % 2**e, rest // 2**e
    bias = 2 ** (e - 1) - 1 if bias is None else bias(e)
    one = (exponent > 0) if leading is None else leading
    part = mantissa / (2**m if divide else 1)
    size = (one + part) * 2.0 ** (np.maximum(exponent, least) - bias)
    return np.where(negative == 1, -size, size) if sign is None else sign(size)


def _twos_complement(patterns, e, m):
    bits = 1 + e + m
    signed = np.where(patterns >= 2 ** (bits - 1), patterns - 2**bits, patterns)
    return np.sign(signed) * _float(abs(signed) % 2 ** (bits - 1), e, m)


def _swapped(patterns, e, m):
    return _float(patterns, m, e) if m else _float(patterns, e, m) * 2


MISTAKES = {
    "09.1": (
        Mistake("level_below", lambda x, levels: _lloyd(x, levels, _below),
                "you gave each entry the level below it; the nearest may be the one above"),
        Mistake("median", lambda x, levels: _lloyd(x, levels, center=np.median),
                "you moved the levels to medians: those minimise absolute errors, means the squared ones"),
        Mistake("empty_zero", lambda x, levels: _lloyd(x, levels, empty=0.0),
                "a level without entries went to 0; let it stay where it is"),
        Mistake("empty_nan", lambda x, levels: _lloyd(x, levels, empty=np.nan),
                "a level without entries became NaN, the mean of nothing; let it stay where it is"),
        Mistake("middle_of_extremes", lambda x, levels: _lloyd(x, levels, center=_middle),
                "you took the middle between the least and the largest entry of a cell, not the mean"),
        Mistake("middle_of_borders", _moved_borders,
                "you put the levels into the middle of their cells, wherever the entries are"),
        Mistake("until_it_stands", _until_it_stands,
                "that is where the iteration ends; one step was asked for"),
        Mistake("projected", _projected,
                "those are the entries on their levels: the first half step; then the levels move"),
        Mistake("unmoved", lambda x, levels: levels.copy(), "the levels are where they were"),
    ),
    "09.2": (
        Mistake("no_abs", lambda w: _rows(w, lambda r: abs(r.mean(1))),
                "you averaged w before taking the size: positive and negative weights cancel"),
        Mistake("rms", lambda w: _rows(w, lambda r: np.sqrt((r**2).mean(1))),
                "the root mean square keeps the norm, but is longer than the projection: mean of |w|"),
        Mistake("largest", lambda w: _rows(w, lambda r: abs(r).max(1)),
                "the largest |w| makes all others too large"),
        Mistake("median", lambda w: _rows(w, lambda r: np.median(abs(r), axis=1)),
                "the median of |w| minimises absolute errors; squares were asked for"),
        Mistake("sum", lambda w: _rows(w, lambda r: abs(r).sum(1)),
                "that is the sum of |w|: divide by how many share the scale"),
        Mistake("deviation", lambda w: _rows(w, lambda r: r.std(1)),
                "the standard deviation subtracts the mean and squares; the best scale is the mean of |w|"),
        Mistake("one_for_all", lambda w: np.full(len(w), abs(w).mean()),
                "that is the scale of the whole tensor, repeated; each channel has its own"),
        Mistake("last_axis", lambda w: abs(w).mean(axis=tuple(range(w.ndim - 1))),
                "you averaged over the wrong axes: output channels are the first axis"),
        Mistake("second_axis_only", lambda w: abs(w).mean(axis=1),
                "you averaged over axis 1 only; a convolution's channel has three axes"),
    ),
    "09.3": (
        Mistake("twn", _twn,
                "that is the threshold of TWN, 0.7 times the mean of |w|: near the optimum, not at it"),
        Mistake("no_abs", lambda w: _ternary(w, size=lambda v: v),
                "you sorted w, not |w|: large negative weights were the first to go"),
        Mistake("largest_mean", lambda w: _ternary(w, gain=lambda t, k, n: t / k),
                "you chose the k with the largest mean of |w|: that is always the largest weight alone"),
        Mistake("largest_sum", lambda w: _ternary(w, gain=lambda t, k, n: t**2 * np.sign(k)),
                "without the division by k every weight stays: those are binary weights"),
        Mistake("scale_over_all", lambda w: _ternary(w, scale=lambda t, k, n: t / n),
                "the scale is the mean over the k weights that stay, not over all"),
        Mistake("scale_is_the_sum", lambda w: _ternary(w, scale=lambda t, k, n: t),
                "your scale is the sum of the k largest |w|; divide by k"),
        Mistake("one_less", lambda w: (lambda k, s: (k - 1, s))(*_ternary(w)),
                "your k is one too small: after the first entry of the cumulative sum one weight stays"),
    ),
    "09.4": (
        Mistake("rounded_log", lambda w: _power(w, lambda s: 2.0 ** np.round(np.log2(s))),
                "you rounded log2 |w|: the border is then 1.41 * 2**e; in value it is 1.5 * 2**e"),
        Mistake("power_below", lambda w: _power(w, lambda s: 2.0 ** np.floor(np.log2(s))),
                "you took the power below, which may be twice as far as the one above"),
        Mistake("power_above", lambda w: _power(w, lambda s: 2.0 ** np.ceil(np.log2(s))),
                "you took the power above; the one below may be nearer"),
        Mistake("no_sign", lambda w: abs(_power(w, _nearest)), "the signs are lost"),
        Mistake("halfway_up", lambda w: _power(w, _halfway_up),
                "at 1.5 * 2**e both are equally near: the smaller one was asked for"),
        Mistake("whole_numbers", lambda w: np.round(w),
                "those are whole numbers, an even grid; the powers of two lie unevenly"),
        Mistake("fixed_step", lambda w: np.round(w / 0.25) * 0.25,
                "round(w / 2**p) * 2**p is an even grid whose step is a power of two"),
        Mistake("exponents", lambda w: _power(w, lambda s: np.log2(_nearest(s))),
                "those are the exponents; the values are 2**exponent"),
        Mistake("zero_is_one", lambda w: np.where(w == 0, 1.0, _power(w, _nearest)),
                "zero became a power of two; it stays 0"),
    ),
    "09.5": (
        Mistake("no_denormals", lambda p, e, m: _float(p, e, m, leading=1, least=0),
                "with exponent 0 there is no leading one: else zero itself would be missing"),
        Mistake("denormal_step", lambda p, e, m: _float(p, e, m, least=0),
                "numbers with exponent 0 have the step of exponent 1: multiply by 2**(1 - bias)"),
        Mistake("no_leading_one", lambda p, e, m: _float(p, e, m, leading=0),
                "you forgot the leading one, which isn't stored"),
        Mistake("bias", lambda p, e, m: _float(p, e, m, bias=lambda e: 2 ** (e - 1)),
                "the bias is 2**(exponent_bits - 1) - 1; yours is one larger"),
        Mistake("no_bias", lambda p, e, m: _float(p, e, m, bias=lambda e: 0),
                "you forgot the bias: numbers below 1 need negative exponents"),
        Mistake("no_sign", lambda p, e, m: _float(p, e, m, sign=lambda size: size),
                "the highest bit is the sign; all your numbers are positive"),
        Mistake("twos_complement", _twos_complement,
                "you read negative numbers as two's complement; a float has its sign apart"),
        Mistake("whole_mantissa", lambda p, e, m: _float(p, e, m, divide=False),
                "the mantissa is a fraction: divide it by 2**mantissa_bits"),
    ),
    "09.6": (
        Mistake("agreements", lambda a, b, n: n - _differ(a, b),
                "that counts the agreements; each disagreement also takes one away"),
        Mistake("disagreements", lambda a, b, n: _differ(a, b),
                "that counts the bits that differ; the dot product is n minus twice that"),
        Mistake("sign", lambda a, b, n: 2 * _differ(a, b) - n,
                "the sign is wrong: bits that agree count +1"),
        Mistake("and", lambda a, b, n: _ones(a & b),
                "a & b counts the places where both are +1; two -1 make +1 as well"),
        Mistake("and_minus_xor", lambda a, b, n: _ones(a & b) - _differ(a, b),
                "you forgot the places where both bits are 0: (-1) * (-1) is +1"),
        Mistake("padding", _all_bits,
                "you counted the unused bits of the last word as agreements; only n bits are signs"),
        Mistake("first_word", lambda a, b, n: n - 2 * _differ(a[:1], b[:1]),
                "you looked at the first word only"),
        Mistake("product", lambda a, b, n: int((a * b).sum()),
                "you multiplied the words as numbers; each of their bits is a sign"),
    ),
    "09.7": (
        Mistake("least_damage", lambda s, d, price: d.argmin(1),
                "you took the least damage whatever it costs; add price * size"),
        Mistake("smallest", lambda s, d, price: s.argmin(1),
                "you took the smallest choice whatever it breaks; add the damage"),
        Mistake("minus", lambda s, d, price: (d - price * s).argmin(1),
                "you subtracted the price: then bytes are a reward"),
        Mistake("price_on_damage", lambda s, d, price: (price * d + s).argmin(1),
                "the price is a loss per byte, so it multiplies the size, not the damage"),
        Mistake("ratio", lambda s, d, price: (d / s).argmin(1),
                "damage per byte ignores the price, and favours large choices"),
        Mistake("product", lambda s, d, price: (d * s).argmin(1),
                "damage times size has no price in it; add the two costs"),
        Mistake("one_for_all", lambda s, d, price: np.full(len(s), (d + price * s).sum(0).argmin()),
                "you chose one column for all layers; each layer chooses alone"),
        Mistake("costs", lambda s, d, price: (d + price * s).min(1),
                "those are the least costs; their indices were asked for"),
        Mistake("last_of_equals",
                lambda s, d, price: s.shape[1] - 1 - (d + price * s)[:, ::-1].argmin(1),
                "of two choices that cost the same you took the later; take the first"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "Binary weights of a layer: which scale is best for given weights, in least squares?",
        (
            Option("The mean of |w|.",
                   "Yes: the derivative of the sum of (w - a * sign(w))**2 is zero there.", right=True),
            Option("The standard deviation, so that the variance stays.",
                   "That keeps the energy and loses more: for Gaussian w 0.40 of the variance, not 0.36."),
            Option("The largest |w|, so that nothing is clipped.",
                   "Then nearly every weight becomes much too large."),
        ),
    ),
    Question(
        "An entropy coder follows. Which 16 levels need the fewest bits for a given squared error?",
        (
            Option("Those of NF4: each is used equally often.",
                   "Equal use makes the indices as expensive as can be: nothing is left to the coder."),
            Option("Those of Lloyd and Max: they have the least error.",
                   "The least error for 16 levels of equal price; the coder makes prices unequal."),
            Option("Evenly spaced ones.",
                   "Yes, nearly: a quarter of a bit above the bound when they are fine.", right=True),
        ),
    ),
    Question(
        "Every layer's damage was measured with that layer alone at two levels. What is their sum?",
        (
            Option("The loss of the network with all layers at two levels.",
                   "Only while damages are small; large errors of one layer meet another layer's."),
            Option("A forecast that is good for small damages and can be far off for large ones.",
                   "Yes: the loss adds up near the trained weights, and not far from them.", right=True),
            Option("Always more than the true loss.",
                   "In this chapter it is less than the true loss where layers have three levels."),
        ),
    ),
)  # fmt: skip
