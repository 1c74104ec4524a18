"""Chapter 07b: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch07b_multiplier_mistakes import MISTAKES as MORE
from mcomp.course.specs.ch07b_multiplier_mistakes import _wrap


def _eight_bits(x, w, x_zero, w_zero):
    return _wrap(_product(x, w, x_zero, w_zero), 8)


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


def _by_logarithm(m, rounding=np.rint):
    shift = 31 + np.floor(-np.log2(m)).astype(np.int64)
    return rounding(m * 2.0**shift).astype(np.int64), shift


MISTAKES = MORE | {
    "07b.1": (
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
        Mistake("both_after", lambda x, w, a, b: _product(x, w, 0, 0) - a - b,
                "subtracting the zero points from the sum isn't subtracting them from each factor"),
        Mistake("narrow_w", lambda x, w, a, b: (x.astype(int) - a) @ _wrap(w.astype(int) - b, 8).T,
                "w - w_zero needs nine bits and wrapped round in eight: make it wider before subtracting"),
        Mistake("sum_of_all", lambda x, w, a, b: _product(x, w, a, b) + a * (w.sum(1) - w.sum()),
                "expanded, x_zero takes the sum of each row of w, not that of all of w"),
        Mistake("swapped", lambda x, w, a, b: _product(x, w, b, a),
                "the zero points are swapped: x_zero belongs to x"),
        Mistake("one_for_both", lambda x, w, a, b: _product(x, w, a, a),
                "you took x_zero for both; the weights have a zero point of their own"),
        Mistake("w_only", lambda x, w, a, b: _product(x, w, 0, b),
                "the inputs' zero point is missing"),
        Mistake("last_minus", lambda x, w, a, b: _expanded(x, w, a, b, k=-x.shape[1]),
                "the last term of the expansion is added: minus times minus"),
        Mistake("transposed", lambda x, w, a, b: _product(x, w, a, b).T,
                "rows of x go down, rows of w go across: transpose w, not the result"),
        Mistake("sixteen_bits", lambda x, w, a, b: _wrap(_product(x, w, a, b), 16),
                "your sums wrapped round in 16 bits: they need 32"),
        Mistake("narrow_difference",
                lambda x, w, a, b: _wrap(x.astype(np.int64) - a, 8) @ _wrap(w.astype(np.int64) - b, 8).T,
                "x - x_zero needs nine bits and wrapped round in eight: make it wider before subtracting"),
        Mistake("narrow_products",
                lambda x, w, a, b: _wrap((x[:, None].astype(int) - a) * (w.astype(int) - b), 8).sum(-1),
                "your products wrapped round in eight bits; only their sum was wide"),
        Mistake("unsigned", lambda x, w, a, b: _product(x.astype(np.uint8), w.astype(np.uint8), a, b),
                "a cast to uint8 makes 255 of -1; the integers are signed: make int32 of them"),
        Mistake("clipped", lambda x, w, a, b: np.clip(_product(x, w, a, b), -128, 127),
                "you clipped the sums to eight bits; they stay int32 until the output's scale is applied"),
        Mistake("clipped_difference",
                lambda x, w, a, b: np.clip(x.astype(int) - a, -128, 127) @ (w.astype(int) - b).T,
                "x - x_zero needs nine bits; you clipped it to eight"),
        Mistake("raw_eight_bits", lambda x, w, a, b: _wrap(_product(x, w, 0, 0), 8),
                "two things: sums wrapped round in eight bits, and the zero points are missing"),
    ),
    "07b.2": (
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
        Mistake("up", lambda m: _fixed(m, rounding=np.ceil),
                "you rounded m0 up; round it to the nearest"),
        Mistake("not_rounded", lambda m: (np.frexp(m)[0] * 2.0**31, 31 - np.frexp(m)[1].astype(np.int64)),
                "m0 is not whole: round it"),
        Mistake("capped",
                lambda m: (np.minimum(_fixed(m, carry=False)[0], 2**31 - 1), _fixed(m, carry=False)[1]),
                "m0 capped at 2**31 - 1 isn't the nearest: 2**30 with a shift of one less is"),
        Mistake("float32", lambda m: _fixed(m.astype(np.float32)),
                "float32 holds 24 bits of m; m0 has 31, so stay in float64"),
        Mistake("shift_sign", lambda m: (_fixed(m)[0], -_fixed(m)[1]),
                "the shift counts to the right: m = m0 / 2**shift, so it is positive here"),
        Mistake("exponent_only", lambda m: (_fixed(m)[0], -np.frexp(m)[1].astype(np.int64)),
                "that shift belongs to a fraction below 1; m0 is 2**31 times larger, so add 31"),
        Mistake("exponent_added", lambda m: (_fixed(m)[0], 31 + np.frexp(m)[1].astype(np.int64)),
                "a small m needs a larger shift: 31 minus the exponent, which is negative"),
        Mistake("swapped", lambda m: _fixed(m)[::-1],
                "m0 comes first, then the shift"),
        Mistake("one_number", lambda m: (np.rint(m * 2.0**31).astype(np.int64), 31),
                "one shift for all m: a small one keeps few bits; shift is an array as long as m"),
        Mistake("cut_logarithm", lambda m: _by_logarithm(m, np.floor),
                "two things: m0 is cut, not rounded, and an exact power of two gets 2**31"),
        Mistake("shift_long", lambda m: (_fixed(m)[0], _fixed(m)[1] + 1),
                "your shift is one too large: m0 / 2**shift is m / 2"),
        Mistake("wrapped", lambda m: (_wrap(_fixed(m, carry=False)[0], 32), _fixed(m, carry=False)[1]),
                "2**31 became -2**31 in int32; halve it and take 1 from the shift"),
        Mistake("carry_added", lambda m: (_fixed(m)[0], 2 * _fixed(m, carry=False)[1] - _fixed(m)[1]),
                "where m0 was halved the shift becomes one less, not one more"),
        Mistake("half_m0", lambda m: (_fixed(m, bits=30)[0], _fixed(m)[1]),
                "your m0 is half as large as your shift says: m0 / 2**shift is m / 2"),
        Mistake("shift_short", lambda m: (_fixed(m)[0], _fixed(m)[1] - 1),
                "your shift is one too small: m0 / 2**shift is 2 m"),
        Mistake("powers", lambda m: _by_logarithm(m),
                "for m an exact power of two your m0 is 2**31: rounding the logarithm down goes one too far"),
        Mistake("shared",
                lambda m: (np.rint(m * 2.0 ** _fixed(m.max())[1]).astype(np.int64),
                           np.full(len(m), _fixed(m.max())[1])),
                "you took the shift of the largest m for all; each has its own"),
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
        "Weights on a symmetric grid have zero point 0. What does that save?",
        (
            Option("A bit of each weight.", "It even gives one pattern away: -128 stays unused."),
            Option("The sum over each input row: its correction has the weights' zero point as a factor.",
                   "Yes: that sum is the only one that would have to be made for every image.", right=True),
            Option("The bias.", "The bias is added in either case."),
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
