"""Chapter 07: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _moving(batches, weight, start=None):
    low, high = (batches[0].min(), batches[0].max()) if start is None else start
    for batch in batches if start is not None else batches[1:]:
        low, high = low + weight * (batch.min() - low), high + weight * (batch.max() - high)
    return float(low), float(high)


def _bounds(batches, weight):
    low, high = float(batches[0].min()), float(batches[0].max())
    for batch in batches[1:]:
        low = min(low, (1 - weight) * low + weight * float(batch.min()))
        high = max(high, (1 - weight) * high + weight * float(batch.max()))
    return low, high


def _along(gain, w):
    return gain.reshape(-1, *[1] * (w.ndim - 1))


def _fold(w, bias, mean, gain, beta):
    return w * _along(gain, w), beta + gain * (bias - mean)


def _scaled(first, second, s):
    return first / s[:, None], second * s


def _ranges(first, second):
    return abs(first).max(1), abs(second).max(0)


def _eight_bits(x, w, x_zero, w_zero):
    wide = (x.astype(np.int64) - x_zero) @ (w.astype(np.int64) - w_zero).T
    return (wide + 128) % 256 - 128


def _expanded(x, w, x_zero, w_zero, k=0):
    x, w = x.astype(np.int64), w.astype(np.int64)
    minus = x_zero * w.sum(1) + w_zero * x.sum(1, keepdims=True)
    return x @ w.T - minus + k * x_zero * w_zero


def _product(x, w, x_zero, w_zero):
    return (x.astype(np.int64) - x_zero) @ (w.astype(np.int64) - w_zero).T


def _fixed(m, bits=31, rounding=np.rint, carry=True):
    f, e = np.frexp(m)
    m0, shift = rounding(f * 2.0**bits).astype(np.int64), bits - e.astype(np.int64)
    full = (m0 == 2**bits) & carry
    return np.where(full, m0 // 2, m0), shift - full


def _away(p, shift):
    return np.sign(p) * ((abs(p) + 2 ** (shift - 1)) >> shift)


def _even(p, shift):
    half = 2 ** (shift - 1)
    q = (p + half) >> shift
    return q - ((p % 2**shift == half) & (q % 2 == 1))


def _clipped(acc, m0, shift, zero_point, qmin, qmax, rounding=_even):
    q = rounding(acc.astype(np.int64) * m0, shift) + zero_point
    return np.clip(q, qmin, qmax)


def _narrow(acc, m0, shift, zero_point, qmin, qmax):
    p = (acc.astype(np.int64) * m0 + 2**31) % 2**32 - 2**31
    return np.clip(_even(p, shift) + zero_point, qmin, qmax)


def _tie_last(acc, m0, shift, zero_point, qmin, qmax):
    p = acc.astype(np.int64) * m0 + zero_point * 2**shift
    return np.clip(_even(p, shift), qmin, qmax)


MISTAKES = {
    "07.1": (
        Mistake("extremes", lambda b, weight: (float(b.min()), float(b.max())),
                "those are the extremes of all batches: one outlier stays for ever; let it fade"),
        Mistake("from_zero", lambda b, weight: _moving(b, weight, start=(0.0, 0.0)),
                "you started at 0; start with the extremes of the first batch, or the range is too small"),
        Mistake("swapped", lambda b, weight: _moving(b, 1 - weight),
                "the weights are swapped: the new batch counts `weight`, the past 1 - weight"),
        Mistake("plain_mean", lambda b, weight: (float(b.min(1).mean()), float(b.max(1).mean())),
                "the plain mean of the extremes ignores `weight`"),
        Mistake("mean_of_values", lambda b, weight: (_moving(b.mean(1, keepdims=True), weight)),
                "you averaged the values; average the minima and maxima of the batches"),
        Mistake("only_wider", _bounds,
                "your range only ever grows; a batch with a smaller range must pull it in as well"),
        Mistake("last", lambda b, weight: (float(b[-1].min()), float(b[-1].max())),
                "those are the extremes of the last batch only"),
    ),
    "07.2": (
        Mistake("no_root", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / (v + eps), t),
                "you divided by the variance; divide by its root, the standard deviation"),
        Mistake("no_eps", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / np.sqrt(v), t),
                "eps is missing under the root: the folded layer differs from the batch norm"),
        Mistake("eps_outside", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / (np.sqrt(v) + eps), t),
                "eps belongs under the root, as the batch norm has it"),
        Mistake("bias_lost",
                lambda w, b, m, v, g, t, eps: _fold(w, 0 * b, m, g / np.sqrt(v + eps), t),
                "the layer's own bias is lost: it passes through the batch norm like everything else"),
        Mistake("mean_not_scaled",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               t - m + b * g / np.sqrt(v + eps)),
                "the mean is subtracted before the scaling: it must be scaled too"),
        Mistake("bias_not_scaled",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               t + b - m * g / np.sqrt(v + eps)),
                "the layer's bias comes before the batch norm: it must be scaled too"),
        Mistake("weights_stay",
                lambda w, b, m, v, g, t, eps: (w, _fold(w, b, m, g / np.sqrt(v + eps), t)[1]),
                "you changed the bias only; the weights of each channel must be scaled as well"),
        Mistake("no_gamma", lambda w, b, m, v, g, t, eps: _fold(w, b, m, 1 / np.sqrt(v + eps), t),
                "gamma is missing: batch norm has a scale that was learned"),
    ),
    "07.3": (
        Mistake("upside_down", lambda a, b: _scaled(a, b, np.sqrt(_ranges(a, b)[1] / _ranges(a, b)[0])),
                "s is upside down: the larger range must shrink, so r1 stands above"),
        Mistake("no_root", lambda a, b: _scaled(a, b, _ranges(a, b)[0] / _ranges(a, b)[1]),
                "r1 / r2 swaps the two ranges; its root makes them equal"),
        Mistake("to_one", lambda a, b: _scaled(a, b, _ranges(a, b)[0]),
                "dividing by r1 makes the first layer even and hands its ranges to the second"),
        Mistake("both_divided",
                lambda a, b: (a / np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])[:, None],
                              b / np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])),
                "you divided on both sides: what one side loses the other must gain"),
        Mistake("no_abs", lambda a, b: _scaled(a, b, np.sqrt(abs(a.max(1) / b.max(0)))),
                "you took the largest weight, not the largest |weight|"),
        Mistake("one_scale",
                lambda a, b: _scaled(a, b, np.full(len(a), np.sqrt(abs(a).max() / abs(b).max()))),
                "that is one s for all channels: each channel has its own"),
        Mistake("only_first",
                lambda a, b: (a / np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])[:, None], b.copy()),
                "the second layer must be multiplied by s, or the network computes something else"),
    ),
    "07.4": (
        Mistake("sign", lambda b, w, q, x: b - (w - q) @ x.mean(0),
                "the sign is wrong: where rounding took weight away, the bias must give it back"),
        Mistake("sum", lambda b, w, q, x: b + (w - q) @ x.sum(0),
                "you took the sum over the inputs; their mean is wanted"),
        Mistake("weights_only", lambda b, w, q, x: b + (w - q).sum(1),
                "you summed the errors of the weights; each counts with the mean of its input"),
        Mistake("one_image", lambda b, w, q, x: b + (w - q) @ x[0],
                "you looked at the first input only; take the mean over all"),
        Mistake("one_mean", lambda b, w, q, x: b + (w - q).sum(1) * x.mean(),
                "each input has a mean of its own; you took one for all"),
        Mistake("difference_only", lambda b, w, q, x: (w - q) @ x.mean(0),
                "that is the correction; add it to the bias that was there"),
    ),
    "07.5": (
        Mistake("eight_bits", _eight_bits,
                "your sums wrapped round in eight bits; make int32 of the arrays before you multiply"),
        Mistake("no_zero_points", lambda x, w, a, b: _product(x, w, 0, 0),
                "you multiplied the raw integers; what stands for 0.0 is the zero point"),
        Mistake("x_only", lambda x, w, a, b: _product(x, w, a, 0),
                "the weights' zero point is missing"),
        Mistake("added", lambda x, w, a, b: _product(x, w, -a, -b),
                "you added the zero points; x = scale * (q - zero_point) subtracts them"),
        Mistake("no_last_term", _expanded,
                "expanded, the product has a fourth term: + k * x_zero * w_zero"),
        Mistake("k_missing", lambda x, w, a, b: _expanded(x, w, a, b, k=1),
                "the last term is k * x_zero * w_zero: it occurs once for each of the k products"),
        Mistake("after", lambda x, w, a, b: _product(x, w, 0, 0) - a * b,
                "subtracting x_zero * w_zero from the sum isn't subtracting it from each factor"),
    ),
    "07.6": (
        Mistake("truncated", lambda m: _fixed(m, rounding=np.floor),
                "you cut the decimals off; round m0 to the nearest"),
        Mistake("a_bit_more", lambda m: _fixed(m, bits=32),
                "your m0 is 2**31 or more and doesn't fit into a signed int32"),
        Mistake("a_bit_less", lambda m: _fixed(m, bits=30),
                "your m0 is below 2**30: it wastes a bit of the 31"),
        Mistake("no_carry", lambda m: _fixed(m, carry=False),
                "just below a power of two m0 rounds up to 2**31; halve it and take 1 from the shift"),
        Mistake("one_shift",
                lambda m: (np.rint(m * 2.0**31).astype(np.int64), np.full(len(m), 31)),
                "with the same shift for all, a small multiplier keeps few bits; each has its own shift"),
        Mistake("exponent", lambda m: (_fixed(m)[0], np.frexp(m)[1].astype(np.int64)),
                "that is the exponent of m; the shift also undoes the 2**31 in m0"),
        Mistake("sixteen", lambda m: _fixed(m, bits=15),
                "that is a 15-bit m0; 31 bits were asked for"),
    ),
    "07.7": (
        Mistake("floor", lambda *a: _clipped(*a, rounding=lambda p, s: p >> s),
                "a shift alone rounds down: everything moves by half a step on average"),
        Mistake("half_up", lambda *a: _clipped(*a, rounding=lambda p, s: (p + 2 ** (s - 1)) >> s),
                "you round ties upwards; ONNX Runtime, numpy and torch take the even neighbour"),
        Mistake("away_from_zero", lambda *a: _clipped(*a, rounding=_away),
                "you round ties away from zero; the even neighbour is asked for"),
        Mistake("truncated",
                lambda *a: _clipped(*a, rounding=lambda p, s: np.sign(p) * (abs(p) >> s)),
                "you cut the decimals off, towards zero; round to the nearest"),
        Mistake("narrow", _narrow,
                "acc * m0 needs up to 62 bits and wrapped round in int32; go to int64 first"),
        Mistake("tie_last", _tie_last,
                "you added the zero point before rounding: with an odd one, ties go to the other side"),
        Mistake("no_zero_point", lambda acc, m0, s, z, a, b: _clipped(acc, m0, s, 0, a, b),
                "the zero point of the output is missing"),
        Mistake("no_clip", lambda acc, m0, s, z, a, b: _clipped(acc, m0, s, z, -(2**40), 2**40),
                "some of your integers lie outside qmin to qmax: clip them"),
        Mistake("clip_first",
                lambda acc, m0, s, z, a, b: np.clip(_even(acc.astype(np.int64) * m0, s), a, b) + z,
                "you clipped before adding the zero point; the ends are meant for the integers after it"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "Weights have a scale for each output channel. Why not a scale for each input channel of x?",
        (
            Option("It would make the file larger.",
                   "A few floats more; activations aren't in the file at all."),
            Option("The sum runs over the inputs: their scales could not be taken out of it.",
                   "Yes: sum of s_k x_k w_k is no longer one scale times an integer sum.", right=True),
            Option("The inputs of a layer all have the same range.",
                   "They don't, as one outlier channel shows; equalization is a way out."),
        ),
    ),
    Question(
        "AdaRound's weights are further from the trained ones than rounding to the nearest. Is that a bug?",
        (
            Option("Yes: rounding to the nearest is the projection.",
                   "It is the projection in the distance of weights; the loss sees the outputs."),
            Option("No: errors of the same row cancel in the output, which is what the loss sees.",
                   "Yes: the distance is measured by the inputs' second moments.", right=True),
            Option("No: it uses more bits.", "The grid is the same; only the choice of neighbours differs."),
        ),
    ),
    Question(
        "The bias of an int8 layer is stored as int32. With which scale?",
        (
            Option("Its own, from its largest entry over 127.",
                   "Then it couldn't be added to the sums, which count in steps of sx * sw."),
            Option("sx * sw, that of the sums.",
                   "Yes: sums and bias count in the same steps, so an integer addition does it.", right=True),
            Option("sy, that of the output.",
                   "The bias is added before the multiplier sx * sw / sy brings the sum to steps of sy."),
        ),
    ),
)  # fmt: skip
