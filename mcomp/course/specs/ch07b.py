"""Chapter 07b, integers only: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: a product of integers with zero points, a multiplier in fixed point, the way
back to eight bits.
"""

from fractions import Fraction

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch07b_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch07b_mistakes import QUIZ
from mcomp.course.specs.ch07b_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Integers only"
MISTAKES = joined(KNOWN, SLIPS)


def integer_product(x, w, x_zero, w_zero):
    """For each row of x and row of w the sum of (x - x_zero) * (w - w_zero); x, w are int8, sums int32."""
    sums = np.zeros((len(x), len(w)), np.int32)
    for i in range(len(x)):
        for j in range(len(w)):
            pairs = zip(x[i], w[j], strict=True)
            sums[i, j] = sum((int(a) - x_zero) * (int(b) - w_zero) for a, b in pairs)
    return sums


def product_cases(rng):
    yield case(np.array([[3, 5]], np.int8), np.array([[2, -1]], np.int8), 3, 0)
    yield case(np.array([[100, 100]], np.int8), np.array([[2, 1]], np.int8), 0, 0)
    yield case(np.array([[4, -7]], np.int8), np.array([[1, 3], [0, -2]], np.int8), -1, 2)
    yield case(np.array([[-128, 127]], np.int8), np.array([[127, -127]], np.int8), -128, 0)
    yield case(np.array([[127, 127, 127]], np.int8), np.array([[127, 127, 127]], np.int8), -128, 0)
    yield case(np.array([[1, 2]], np.int8), np.array([[-120, 125]], np.int8), 0, 9)
    for n in range(2, 18):
        x = rng.integers(-128, 128, (1 + n % 3, 1 + n % 4)).astype(np.int8)
        w = rng.integers(-127, 128, (1 + n % 2, 1 + n % 4)).astype(np.int8)
        yield case(x, w, int(rng.integers(-128, 128)), int(rng.integers(-9, 10)) * (n % 2))


def fixed_point(m):
    """(m0, shift): integers with m0 / 2**shift nearest to m, and m0 from 2**30 to 2**31 - 1.

    m is an array of float64 between 0 and 1, both excluded; m0 and shift are arrays as long.
    """
    wholes, shifts = np.zeros(len(m), np.int64), np.zeros(len(m), np.int64)
    for i, value in enumerate(m):
        shift = 30
        while float(value) * 2**shift < 2**30:
            shift += 1
        whole = round(float(value) * 2**shift)
        if whole == 2**31:  # rounded up to the next power of two
            whole, shift = 2**30, shift - 1
        wholes[i], shifts[i] = whole, shift
    return wholes, shifts


def fixed_cases(rng):
    yield case(np.array([0.5]))
    yield case(np.array([0.75, 0.1]))
    yield case(np.array([0.0009765625, 0.3]))
    yield case(np.array([1 - 2.0**-40, 0.6]))
    yield case(np.array([2.0**-20 * 1.7, 0.99]))
    for n in range(2, 17):
        yield case(2.0 ** rng.uniform(-14, 0, 1 + n % 4))


def requantize(acc, m0, shift, zero_point, qmin, qmax):
    """Of int32 sums the integers acc * m0 / 2**shift, rounded, plus zero_point, clipped to [qmin, qmax].

    A tie goes to the even neighbour, before the zero point is added. No float is needed, and none is exact
    enough: float32 holds 24 bits, float64 53, and acc * m0 has up to 62.
    """
    q = np.zeros(acc.shape, np.int32)
    for i in np.ndindex(acc.shape):
        nearest = round(Fraction(int(acc[i]) * m0, 2**shift))
        q[i] = min(max(nearest + zero_point, qmin), qmax)
    return q


def requantize_cases(rng):
    yield case(np.array([100, -10, 1000], np.int32), 1288490189, 32, 5, 0, 255)  # 0.3
    yield case(np.array([5, -5], np.int32), 1288490188, 32, 0, -128, 127)  # just below 0.3: 1.4999999991
    yield case(np.array([16777217, -16777217], np.int32), 2**30, 55, 0, -128, 127)  # just above 1/2
    yield case(np.array([1073741822, -1073741822], np.int32), 1610612739, 60, 0, -128, 127)  # just below 3/2
    yield case(np.array([2, 6, 10, -2, -6], np.int32), 2**30, 32, 0, -128, 127)  # a quarter: ties
    yield case(np.array([2, 6, -10, 3], np.int32), 2**30, 32, 3, -128, 127)
    yield case(np.array([5, -5, 7, -7], np.int32), 2**30, 31, -1, -128, 127)
    yield case(np.array([400, -400, 0], np.int32), 2**30, 31, 100, -128, 127)
    for n in range(2, 17):
        acc = rng.integers(-30_000, 30_000, (1 + n % 2, 2 + n % 3)).astype(np.int32)
        m0 = 2**30 if n % 3 == 0 else int(rng.integers(2**30, 2**31))
        acc = acc // 64 if n % 3 == 0 else acc
        low, high = ((0, 255), (-128, 127))[n % 2]
        shift = 33 if n % 3 == 0 else 38
        yield case(acc, m0, shift, int(rng.integers(low, high + 1)), low, high)


EXERCISES = (
    Exercise(
        "07b.1", integer_product, product_cases, title="A product of integers",
        hints=(
            "127 times 127 doesn't fit into eight bits; in which type do you multiply?",
            "Make int32 of both arrays first; then subtract the zero points and use one matrix product.",
            "(x.astype(np.int32) - x_zero) @ (w.astype(np.int32) - w_zero).T",
        ),
        mistakes=MISTAKES["07b.1"],
    ),
    Exercise(
        "07b.2", fixed_point, fixed_cases, title="A multiplier in fixed point",
        hints=(
            "Every m is a number from 1/2 to 1, times a power of two. Which 31-bit integer is the first?",
            "np.frexp(m) gives (f, e) with m = f * 2**e and f from 1/2 to 1; m0 is f * 2**31, rounded.",
            "m0 = round(f * 2**31), shift = 31 - e; where m0 became 2**31, halve it and take 1 from shift.",
        ),
        mistakes=MISTAKES["07b.2"],
    ),
    Exercise(
        "07b.3", requantize, requantize_cases, title="Back to eight bits",
        hints=(
            "A shift to the right divides by a power of two and rounds down. What do you add before it?",
            "p = acc * m0 in int64; (p + half) >> shift with half = 2**(shift - 1) rounds ties upwards.",
            "Where p % 2**shift == half it was a tie: subtract 1 if the result is odd. Zero point, clip.",
        ),
        mistakes=MISTAKES["07b.3"],
    ),
)  # fmt: skip
