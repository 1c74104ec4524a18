"""Chapter 17: how processors round and add integers."""

import numpy as np

from mcomp.course.model import case


def two_roundings(acc, m0, shift):
    """Of int32 sums (an array of one or two axes) the integers acc * m0 / 2**shift, rounded twice.

    First acc * m0 / 2**31 to a whole number, a tie upwards (-0.5 gives 0); then that divided by
    2**(shift - 31), a tie away from zero (-0.5 gives -1). shift is 31 or more; at 31 there is nothing left
    to divide. Integers only: acc * m0 has up to 62 bits.
    """
    q = np.zeros(acc.shape, np.int64)
    for i in np.ndindex(acc.shape):
        upper = (int(acc[i]) * m0 + 2**30) // 2**31  # Python's // rounds down
        size = (2 * abs(upper) + 2 ** (shift - 31)) // 2 ** (shift - 30)
        q[i] = size if upper >= 0 else -size
    return q


def rounding_cases(rng):
    half = 2**30
    yield case(np.array([1, 2, 3], np.int32), half, 31)
    yield case(np.array([1, -1, 2, -2], np.int32), half, 32)
    yield case(np.array([100, -10, 1000], np.int32), 1288490189, 33)  # 0.15
    yield case(np.array([-1, -3, -5, 5], np.int32), half, 31)
    yield case(np.array([2, -2, 6, -6, 10], np.int32), half, 32)  # the first division leaves no rest
    yield case(np.array([[3, -3], [5, -5]], np.int32), half, 33)
    yield case(np.array([5, 7, -5, -7], np.int32), 1610612736, 34)  # 0.09375
    yield case(np.array([16777217, -16777217], np.int32), 1073741825, 54)
    yield just_below_a_tie(rng, 31)
    yield just_below_a_tie(rng, 32)
    for n in range(2, 14):
        shape = (n % 3 + 1, n % 2 + 2) if n % 4 == 0 else n % 4 + 1
        shift = 31 + n % 5
        acc = rng.integers(-9 * 2 ** (n % 5 + 1), 9 * 2 ** (n % 5 + 1), shape).astype(np.int32)
        yield case(acc, half if n % 3 == 0 else int(rng.integers(half, 2 * half)), shift)


def just_below_a_tie(rng, shift):
    """acc * m0 is 1 less than an odd number of halves: float64 makes it a tie."""
    m0 = 2**30 + 1 + 2 * int(rng.integers(2**20, 2**28))
    wanted = (2**30 - 1) * pow(m0, -1, 2**31) % 2**31  # acc * m0 leaves 2**30 - 1 of 2**31
    return case(np.array([wanted, -5], np.int32), m0, shift)


def sums_in_pairs(x, weight):
    """The sums of weight @ x as a processor without VNNI makes them: whole numbers, (out,).

    x is uint8 (in,), weight int8 (out, in), `in` even. Products of inputs 0 and 1, of 2 and 3, ... are added
    exactly; each pair's sum stays in -32768 to 32767 (what lies outside becomes the nearer end); then the
    pairs are added in 32 bits.
    """
    sums = np.zeros(len(weight), np.int64)
    for o, row in enumerate(weight):
        for i in range(0, len(x), 2):
            pair = int(x[i]) * int(row[i]) + int(x[i + 1]) * int(row[i + 1])
            sums[o] += min(max(pair, -32768), 32767)
    return sums


def pair_cases(rng):
    yield case(np.array([1, 2], np.uint8), np.array([[3, -4]], np.int8))
    yield case(np.array([200, 100], np.uint8), np.array([[3, -4], [100, 1]], np.int8))
    yield case(np.array([255, 255], np.uint8), np.array([[127, 127]], np.int8))
    yield case(np.array([255, 255], np.uint8), np.array([[-128, -128], [127, -128]], np.int8))
    yield case(np.array([255, 255, 255, 255], np.uint8), np.array([[127, 127, -100, -10]], np.int8))
    yield case(np.array([255, 0, 255, 0], np.uint8), np.array([[127, 1, 127, 1]], np.int8))
    yield case(np.array([255, 0, 0, 255], np.uint8), np.array([[127, 1, 1, 127], [127, 1, 1, -128]], np.int8))
    yield case(np.array([128, 255, 255, 255], np.uint8), np.array([[-128, -127, 3, 5]], np.int8))
    yield case(
        np.array([200, 200, 200, 200], np.uint8), np.array([[60, 60, 60, 60], [90, 90, 90, 90]], np.int8)
    )
    for n in range(2, 15):
        size = 2 * (n % 3 + 1)
        x = rng.integers((0, 120)[n % 2], 256, size).astype(np.uint8)
        weight = rng.integers(-128, 128, (n % 3 + 1, size))
        weight[0] = abs(weight[0]).clip(0, 127)
        yield case(x, weight.astype(np.int8))
