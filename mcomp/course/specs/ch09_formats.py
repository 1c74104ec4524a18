"""Chapter 09, powers of two, small floats and packed signs: the wrong answers that people write."""

import numpy as np

from mcomp.course.model import Mistake


def _ones(words):
    return sum(int(word).bit_count() for word in np.asarray(words))


def _differ(a, b):
    return _ones(a ^ b)


def _all_bits(a, b, n):
    return 32 * len(a) - 2 * _differ(a, b)


def _power(w, choose):
    size = np.where(w == 0, 1.0, abs(w))
    return np.where(w == 0, 0.0, np.sign(w) * choose(size))


def _halfway_up(size):
    low = 2.0 ** np.floor(np.log2(size))
    return np.where(size < 1.5 * low, low, 2 * low)


def _lower_number(w):
    """Halfway between two powers the lower number, not the smaller power."""
    size = np.where(w == 0, 1.0, abs(w))
    return np.where(w == 0, 0.0, np.sign(w) * np.where(w > 0, _nearest(size), _halfway_up(size)))


def _nearest(size):
    low = 2.0 ** np.floor(np.log2(size))
    return np.where(size <= 1.5 * low, low, 2 * low)


def _float(patterns, e, m, bias=None, leading=None, least=1, sign=None, parts=lambda m: 2**m):
    mantissa, rest = patterns % 2**m, patterns // 2**m
    exponent, negative = rest % 2**e, rest // 2**e
    bias = 2 ** (e - 1) - 1 if bias is None else bias(e)
    one = (exponent > 0) if leading is None else leading
    part = mantissa / parts(m)
    size = (one + part) * 2.0 ** (np.maximum(exponent, least) - bias)
    return np.where(negative == 1, -size, size) if sign is None else sign(size)


def _sign_in_exponent(p, e, m):
    exponent, bias = p // 2**m, 2 ** (e - 1) - 1
    return ((exponent > 0) + p % 2**m / 2**m) * 2.0 ** (np.maximum(exponent, 1) - bias)


def _sign_taken_off(p, e, m):
    return _float(p % 2 ** (e + m), e, m) - p // 2 ** (e + m) * 2.0 ** (2**e - 2 ** (e - 1) + 1)


def _twos_complement(patterns, e, m):
    bits = 1 + e + m
    signed = np.where(patterns >= 2 ** (bits - 1), patterns - 2**bits, patterns)
    return np.sign(signed) * _float(abs(signed) % 2 ** (bits - 1), e, m)


def _special(p, e, m, zero, other):
    found = _float(p, e, m)
    special = np.where(found < 0, -1, 1) * np.where(p % 2**m == 0, zero, other)
    return np.where(p // 2**m % 2**e == 2**e - 1, special, found)


def _exchanged(p, e, m):
    """The pattern as it should be where the mantissa was read before the exponent."""
    return p // 2 ** (e + m) * 2 ** (e + m) + p % 2**e * 2**m + p // 2**e % 2**m


def _reversed(p, e, m):
    """Exponent and mantissa where the sign is the lowest bit, then the exponent, then the mantissa."""
    return (p // 2 % 2**e) * 2**m + p // 2 ** (1 + e)


def _high(a, b, n):
    places = [(i // 32, 31 - i % 32) for i in range(n)]
    return sum(1 if (int(a[w]) >> j & 1) == (int(b[w]) >> j & 1) else -1 for w, j in places)


def _swapped(patterns, e, m):
    return _float(patterns, m, e) if m else _float(patterns, e, m) * 2


MISTAKES = {
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
        Mistake("bare_exponents", lambda w: np.round(np.log2(abs(w))),
                "those are rounded exponents: 2 to their power, with the sign, is the value"),
        Mistake("natural_log", lambda w: _power(w, lambda s: 2.0 ** np.round(np.log(s))),
                "np.log is the natural logarithm; powers of two want np.log2"),
        Mistake("not_below_one", lambda w: _power(w, lambda s: np.maximum(_nearest(s), 1.0)),
                "exponents may be negative: 0.25 is a power of two"),
        Mistake("log_not_below_one", lambda w: np.sign(w) * 2.0 ** np.maximum(np.round(np.log2(abs(w))), 0),
                "negative exponents are allowed, and the border is in value, not in the logarithm"),
        Mistake("towards_one", lambda w: _power(w, lambda s: 2.0 ** np.trunc(np.log2(s))),
                "you cut the logarithm off towards 0, so every weight moved towards 1"),
        Mistake("relative", lambda w: _power(w, lambda s: 2.0 ** np.ceil(np.log2(0.75 * s))),
                "you divided errors by the power: the border is then 4/3 * 2**e; in value it is 1.5 * 2**e"),
        Mistake("not_above_one", lambda w: _power(w, lambda s: np.minimum(_nearest(s), 1.0)),
                "exponents may be positive: 4 is a power of two as well"),
        Mistake("zero_is_tiny", lambda w: np.where(w < 0, -1, 1) * _nearest(abs(w) + 1e-8),
                "a small number added before the logarithm moves 0, and halves such as 1.5: treat 0 apart"),
        Mistake("of_rounded", lambda w: 2.0 ** np.round(w),
                "you took the weight for the exponent; the power itself should be near the weight"),
        Mistake("few_exponents", lambda w: _power(w, lambda s: _nearest(s).clip(2.0**-8, 2.0**7)),
                "your exponents go from -8 to 7; any whole one may be the nearest"),
        Mistake("exponents_alone", lambda w: np.sign(w) * _power(w, lambda s: np.log2(_nearest(s))),
                "those are the exponents, without signs; the values are 2**exponent, with the sign"),
        Mistake("lower_halfway", _lower_number,
                "halfway you took the lower number; below 0 the smaller power is the upper one"),
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
        Mistake("whole_mantissa", lambda p, e, m: _float(p, e, m, parts=lambda m: 1),
                "the mantissa is a fraction: divide it by 2**mantissa_bits"),
        Mistake("inf_and_nan", lambda p, e, m: _special(p, e, m, np.inf, np.nan),
                "you kept the largest exponent for infinity and NaN, as IEEE does; here it is an exponent"),
        Mistake("inf", lambda p, e, m: _special(p, e, m, np.inf, np.inf),
                "the largest exponent stands for numbers here, not for infinity"),
        Mistake("nan", lambda p, e, m: _special(p, e, m, np.nan, np.nan),
                "the largest exponent stands for numbers here, not for NaN"),
        Mistake("flushed", lambda p, e, m: np.where(p // 2**m % 2**e == 0, 0.0, _float(p, e, m)),
                "with exponent 0 only mantissa 0 is zero; the others are small numbers, denormals"),
        Mistake("bias_127", lambda p, e, m: _float(p, e, m, bias=lambda e: 127),
                "127 is float32's bias; this format's follows from its exponent_bits"),
        Mistake("sign_turned", lambda p, e, m: -_float(p, e, m),
                "bit 1 is minus: your signs are turned round"),
        Mistake("swapped_fields", _swapped,
                "the exponent stands above the mantissa: you swapped their widths"),
        Mistake("sign_lowest", lambda p, e, m: _float((p % 2) * 2 ** (e + m) + _reversed(p, e, m), e, m),
                "you read the fields from the lowest bit up; the sign is the highest bit"),
        Mistake("one_short", lambda p, e, m: _float(p, e, m, parts=lambda m: max(2**m - 1, 1)),
                "a mantissa of M bits counts in steps of 1 / 2**M: the largest is one step below 1"),
        Mistake("mantissa_first", lambda p, e, m: _float(_exchanged(p, e, m), e, m),
                "the exponent stands above the mantissa: after the sign you took the mantissa first"),
        Mistake("sign_last", lambda p, e, m: _float(p % 2 * 2 ** (e + m) + p // 2, e, m),
                "the sign is the highest bit; you took the lowest"),
        Mistake("only_zero_apart",
                lambda p, e, m: np.where(p % 2 ** (e + m) == 0, 0.0, _float(p, e, m, leading=1, least=0)),
                "zero is right; the other numbers of exponent 0 have no leading one either"),
        Mistake("bias_added", lambda p, e, m: _float(p, e, m, bias=lambda e: 1 - 2 ** (e - 1)),
                "you added the bias; it is subtracted from the exponent"),
        Mistake("no_mantissa", lambda p, e, m: _float(p // 2**m * 2**m, e, m),
                "you left out the mantissa"),
        Mistake("sign_in_exponent", _sign_in_exponent,
                "the highest bit is the sign; you counted it into the exponent"),
        Mistake("sign_taken_off", _sign_taken_off,
                "the sign bit turns the sign; you took a value off for it, as two's complement does"),
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
        Mistake("agreements_unmasked", lambda a, b, n: 2 * (32 * len(a) - _differ(a, b)) - n,
                "xnor makes ones of the unused bits of the last word too: mask them, or count with xor"),
        Mistake("agreements_of_int64", lambda a, b, n: 2 * (64 * len(a) - _differ(a, b)) - n,
                "~ turns all 64 bits of an int64, and 32 of them are no signs: mask, or count with xor"),
        Mistake("negative_words", lambda a, b, n: 2 * sum(bin(~int(w)).count("1") for w in a ^ b) - n,
                "~ of a Python int is negative, and bin() shows the bits of its size: mask, or use xor"),
        Mistake("xnor_count", lambda a, b, n: 32 * len(a) - _differ(a, b),
                "that counts agreements, those of unused bits too; the dot product is n - 2 * disagreements"),
        Mistake("and_for_agreement", lambda a, b, n: 2 * _ones(a & b) - n,
                "a & b finds only the places where both are +1; two bits 0 agree as well"),
        Mistake("or", lambda a, b, n: n - 2 * _ones(a | b),
                "a | b counts places where either is +1; a ^ b, where they differ"),
        Mistake("highest_first", lambda a, b, n: _high(a, b, n),
                "entry i is bit i % 32 from the lowest up; you read from the highest down"),
        Mistake("byte", lambda a, b, n: n - 2 * _ones((a ^ b) & 255),
                "you looked at the lowest byte of each word only"),
        Mistake("counted_in_a_byte", lambda a, b, n: n - 2 * (_differ(a, b) % 256),
                "your count of bits went round at 256: a uint8 is too narrow for it"),
        Mistake("first_word_alone", lambda a, b, n: min(n, 32) - 2 * _differ(a[:1], b[:1]),
                "you looked at the first word only, and counted its signs alone"),
        Mistake("mean", lambda a, b, n: (n - 2 * _differ(a, b)) / n,
                "you divided by n: a dot product is the sum, not the mean"),
        Mistake("half_words", lambda a, b, n: n - 2 * _ones((a ^ b) & 0xFFFF),
                "you looked at 16 bits of each word; it has 32"),
    ),
}  # fmt: skip
