"""Chapter 07b: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _wrap(q, bits):
    """What a cast to a signed integer of so many bits leaves."""
    return (q + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


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


def _positive_ties(p, shift):
    half = 2 ** (shift - 1)
    q = (p + half) >> shift
    return q - ((p % 2**shift == half) & (q % 2 == 1) & (p > 0))


def _odd(p, shift):
    half = 2 ** (shift - 1)
    q = (p + half) >> shift
    return q - ((p % 2**shift == half) & (q % 2 == 0))


def _twice(p, shift):
    return _even((p + 2**30) >> 31, shift - 31) if shift > 31 else _even(p, shift)


def _in_float(acc, m0, shift, zero_point, qmin, qmax, dtype):
    q = np.rint(acc.astype(dtype) * dtype(m0 / 2.0**shift)).astype(np.int64)
    return np.clip(q + zero_point, qmin, qmax)


def _by_logarithm(m):
    shift = 31 + np.floor(-np.log2(m)).astype(np.int64)
    return np.rint(m * 2.0**shift).astype(np.int64), shift


MISTAKES = {
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
        Mistake("swapped", lambda x, w, a, b: _product(x, w, b, a),
                "the zero points are swapped: x_zero belongs to x"),
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
    "07b.3": (
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
        Mistake("float32", lambda acc, m0, s, z, a, b: _in_float(acc, m0, s, z, a, b, np.float32),
                "float32 holds 24 bits of the sum and of the multiplier: near a tie it rounds wrongly"),
        Mistake("float32_multiplier",
                lambda acc, m0, s, z, a, b: _in_float(acc, np.float32(m0), s, z, a, b, np.float64),
                "the multiplier as a float32 keeps 24 of 31 bits: near a tie the product rounds wrongly"),
        Mistake("float32_sums",
                lambda acc, m0, s, z, a, b: _clipped(acc.astype(np.float32), m0, s, z, a, b),
                "the sums as float32 keep 24 bits: 16777217 becomes 16777216"),
        Mistake("float64", lambda acc, m0, s, z, a, b: _in_float(acc, m0, s, z, a, b, np.float64),
                "float64 holds 53 bits and acc * m0 has up to 62: near a tie it rounds wrongly; use int64"),
        Mistake("zero_subtracted", lambda acc, m0, s, z, a, b: _clipped(acc, m0, s, -z, a, b),
                "you subtracted the zero point; q = number / scale + zero_point"),
        Mistake("zero_in_sum",
                lambda acc, m0, s, z, a, b: _clipped(acc.astype(np.int64) + z, m0, s, 0, a, b),
                "you added the zero point to the sum, in the sum's steps; it counts steps of the output"),
        Mistake("wrapped",
                lambda acc, m0, s, z, a, b: (_clipped(acc, m0, s, z, -(2**40), 2**40) - a) % 256 + a,
                "what doesn't fit wraps round in a cast to eight bits; clip it to the ends"),
        Mistake("int8", lambda acc, m0, s, z, a, b: _wrap(_clipped(acc, m0, s, z, -(2**40), 2**40), 8),
                "a cast to int8 wraps round, and here the ends may be 0 and 255: clip to qmin and qmax"),
        Mistake("twice", lambda *a: _clipped(*a, rounding=_twice),
                "you rounded twice, after 31 bits and at the end: what the first made a tie wasn't one"),
        Mistake("half_down", lambda *a: _clipped(*a, rounding=lambda p, s: (p + 2 ** (s - 1) - 1) >> s),
                "you round ties downwards; the even neighbour is asked for"),
        Mistake("ceil", lambda *a: _clipped(*a, rounding=lambda p, s: -(-p >> s)),
                "you rounded up: everything moves by half a step on average; round to the nearest"),
        Mistake("odd_ties", lambda *a: _clipped(*a, rounding=_odd),
                "your ties go to the odd neighbour: take 1 off where the result is odd, not even"),
        Mistake("fixed_ends", lambda acc, m0, s, z, a, b: _clipped(acc, m0, s, z, -128, 127),
                "your ends are those of int8; the output may have others: qmin and qmax"),
        Mistake("a_step_too_much", lambda *a: _clipped(*a, rounding=lambda p, s: (p + 2**s) >> s),
                "half a step is 2**(shift - 1); you added a whole one"),
        Mistake("ties_of_one_sign", lambda *a: _clipped(*a, rounding=_positive_ties),
                "ties go to the even neighbour for positive sums only in your answer; for negative ones too"),
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
