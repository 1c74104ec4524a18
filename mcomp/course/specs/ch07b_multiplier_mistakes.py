"""Chapter 07b, the multiplier (07b.3): the wrong answers that people write."""

import numpy as np

from mcomp.course.model import Mistake


def _wrap(q, bits):
    """What a cast to a signed integer of so many bits leaves."""
    return (q + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


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


MISTAKES = {
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
        Mistake("rectified", lambda acc, m0, s, z, a, b: _clipped(acc, m0, s, z, max(z, a), b),
                "you clipped at the zero point, as a ReLU does; the lower end is qmin"),
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
