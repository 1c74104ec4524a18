"""Chapter 07, calibration and integers only: what the exercises ask, how they are checked, what goes wrong.

A learner gains, in this order: a moving average of ranges, batch norm folded, two layers equalized, a bias
corrected, a product of integers with zero points, a multiplier in fixed point, the way back to eight bits.
"""

from fractions import Fraction

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch07_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Calibration, and integers only"


def moving_range(batches, weight):
    """(low, high): the extremes of batches[0]; each later row draws them `weight` of the way to its own."""
    low, high = float(min(batches[0])), float(max(batches[0]))
    for batch in batches[1:]:
        low = (1 - weight) * low + weight * float(min(batch))
        high = (1 - weight) * high + weight * float(max(batch))
    return low, high


def moving_cases(rng):
    yield case(np.array([[0.0, 1.0], [-1.0, 3.0]]), 0.25)
    yield case(np.array([[2.0, 5.0, 4.0]]), 0.1)
    yield case(np.array([[0.0, 1.0], [0.0, 9.0], [0.0, 1.0]]), 0.1)
    yield case(np.array([[-2.0, -1.0], [-4.0, -3.0]]), 0.5)
    for n in range(2, 17):
        yield case(rng.normal(size=(n, 4)) + n % 3, (0.1, 0.3, 0.9)[n % 3])


def fold(w, bias, mean, var, gamma, beta, eps):
    """(w', bias') that give gamma * (y - mean) / sqrt(var + eps) + beta, where w and bias give y."""
    folded, shift = np.zeros(w.shape), np.zeros(len(w))
    for c in range(len(w)):
        gain = float(gamma[c]) / (float(var[c]) + eps) ** 0.5
        folded[c] = gain * w[c]
        shift[c] = gain * (float(bias[c]) - float(mean[c])) + float(beta[c])
    return folded, shift


def fold_cases(rng):
    one = np.ones(1)
    yield case(np.array([[3.0]]), 5 * one, 4 * one, 3 * one, 2 * one, one, 1.0)
    yield case(np.array([[1.0, -2.0]]), 0 * one, 0.5 * one, 0.75 * one, 3 * one, 0 * one, 0.25)
    for n in range(2, 17):
        shape = ((n, 3), (2, 1, n, 2), (n, n))[n % 3]
        bias, mean, gamma, beta = rng.normal(size=(4, shape[0]))
        yield case(rng.normal(size=shape), bias, mean, rng.uniform(0.1, 4, shape[0]), gamma, beta, 0.5)


def equalize(first, second):
    """Both layers with equal ranges in each channel c: first[c] makes it, second[:, c] reads it, none zero.

    Dividing first[c] by s[c] and multiplying second[:, c] by it changes nothing that they compute.
    """
    first, second = first.copy(), second.copy()
    for c in range(len(first)):
        r1 = max(abs(float(v)) for v in first[c])
        r2 = max(abs(float(v)) for v in second[:, c])
        s = (r1 / r2) ** 0.5
        first[c], second[:, c] = first[c] / s, second[:, c] * s
    return first, second


def equalize_cases(rng):
    yield case(np.array([[8.0, -2.0]]), np.array([[0.5]]))
    yield case(np.array([[8.0, -16.0], [0.5, 0.25]]), np.array([[1.0, -2.0]]))
    yield case(np.array([[-9.0], [1.0]]), np.array([[1.0, 1.0], [0.5, -4.0]]))
    for n in range(2, 17):
        sizes = rng.uniform(0.1, 8, n)
        yield case(rng.normal(size=(n, 3)) * sizes[:, None], rng.normal(size=(2 + n % 4, n)))


def corrected_bias(bias, w, rounded, x):
    """The bias that gives `rounded` weights (out, in) the mean outputs of `w`, `bias` on inputs x (n, in)."""
    found = np.zeros(len(bias))
    for j in range(len(bias)):
        wanted = sum(float(w[j] @ row) + float(bias[j]) for row in x) / len(x)
        given = sum(float(rounded[j] @ row) for row in x) / len(x)
        found[j] = wanted - given
    return found


def bias_cases(rng):
    yield case(np.array([1.0]), np.array([[0.4]]), np.array([[0.0]]), np.array([[1.0], [3.0]]))
    yield case(np.array([0.0, -1.0]), np.array([[0.6, 0.1], [-0.2, 0.3]]),
               np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 0.0], [1.0, 4.0]]))  # fmt: skip
    for n in range(2, 18):
        w, x = rng.normal(size=(3, n)), abs(rng.normal(size=(5, n))) + (n % 2)
        yield case(rng.normal(size=3), w, np.round(2 * w) / 2, x)


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
    for n in range(2, 18):
        x = rng.integers(-128, 128, (3, n)).astype(np.int8)
        w = rng.integers(-127, 128, (2 + n % 3, n)).astype(np.int8)
        yield case(x, w, int(rng.integers(-128, 128)), int(rng.integers(-9, 10)) * (n % 2))


def fixed_point(m):
    """(m0, shift): integers with m0 / 2**shift nearest to m, and m0 from 2**30 to 2**31 - 1; m in (0, 1)."""
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
        yield case(2.0 ** rng.uniform(-14, 0, n))


def requantize(acc, m0, shift, zero_point, qmin, qmax):
    """Of int32 sums the integers acc * m0 / 2**shift, rounded, plus zero_point, clipped to [qmin, qmax].

    A tie goes to the even neighbour, before the zero point is added. No float is needed.
    """
    q = np.zeros(acc.shape, np.int32)
    for i in np.ndindex(acc.shape):
        nearest = round(Fraction(int(acc[i]) * m0, 2**shift))
        q[i] = min(max(nearest + zero_point, qmin), qmax)
    return q


def requantize_cases(rng):
    yield case(np.array([100, -100, 1000], np.int32), 1288490189, 32, 5, 0, 255)  # 0.3
    yield case(np.array([2, 6, 10, -2, -6], np.int32), 2**30, 32, 0, -128, 127)  # a quarter: ties
    yield case(np.array([2, 6, -10, 3], np.int32), 2**30, 32, 3, -128, 127)
    yield case(np.array([5, -5, 7, -7], np.int32), 2**30, 31, -1, -128, 127)
    yield case(np.array([400, -400, 0], np.int32), 2**30, 31, 100, -128, 127)
    for n in range(2, 17):
        acc = rng.integers(-30_000, 30_000, (2, n)).astype(np.int32)
        m0 = 2**30 if n % 3 == 0 else int(rng.integers(2**30, 2**31))
        acc = acc // 64 if n % 3 == 0 else acc
        low, high = ((0, 255), (-128, 127))[n % 2]
        shift = 33 if n % 3 == 0 else 38
        yield case(acc, m0, shift, int(rng.integers(low, high + 1)), low, high)


EXERCISES = (
    Exercise(
        "07.1", moving_range, moving_cases, title="A moving average of ranges",
        hints=(
            "An observer sees one batch after the other and keeps two numbers.",
            "The new low is (1 - weight) times the old one plus weight times the minimum of the batch.",
            "low, high = min, max of batches[0]; for each later row: low += weight * (min - low), and high.",
        ),
        mistakes=MISTAKES["07.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "07.2", fold, fold_cases, title="Fold batch norm",
        hints=(
            "At inference a batch norm multiplies each channel by one number and adds another.",
            "The number is g = gamma / sqrt(var + eps). Put y = w x + bias in and collect what multiplies x.",
            "w' = g * w with g along the first axis; bias' = beta + g * (bias - mean).",
        ),
        mistakes=MISTAKES["07.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "07.3", equalize, equalize_cases, title="Equalize two layers",
        hints=(
            "What are the two ranges of a channel after dividing by s on one side, multiplying on the other?",
            "r1 / s = r2 * s. Solve for s; r1 runs over a row of first, r2 over a column of second.",
            "s = sqrt(abs(first).max(1) / abs(second).max(0)); first / s[:, None] and second * s.",
        ),
        mistakes=MISTAKES["07.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "07.4", corrected_bias, bias_cases, title="Correct a bias",
        hints=(
            "Compare the mean outputs of both layers. The bias can take up the difference.",
            "The mean of w x is w times the mean of x, since the layer is linear.",
            "bias + (w - rounded) @ x.mean(0)",
        ),
        mistakes=MISTAKES["07.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "07.5", integer_product, product_cases, title="A product of integers",
        hints=(
            "127 times 127 doesn't fit into eight bits; in which type do you multiply?",
            "Make int32 of both arrays first; then subtract the zero points and use one matrix product.",
            "(x.astype(np.int32) - x_zero) @ (w.astype(np.int32) - w_zero).T",
        ),
        mistakes=MISTAKES["07.5"],
    ),
    Exercise(
        "07.6", fixed_point, fixed_cases, title="A multiplier in fixed point",
        hints=(
            "Every m is a number from 1/2 to 1, times a power of two. Which 31-bit integer is the first?",
            "np.frexp(m) gives (f, e) with m = f * 2**e and f from 1/2 to 1; m0 is f * 2**31, rounded.",
            "m0 = round(f * 2**31), shift = 31 - e; where m0 became 2**31, halve it and take 1 from shift.",
        ),
        mistakes=MISTAKES["07.6"],
    ),
    Exercise(
        "07.7", requantize, requantize_cases, title="Back to eight bits",
        hints=(
            "A shift to the right divides by a power of two and rounds down. What do you add before it?",
            "p = acc * m0 in int64; (p + half) >> shift with half = 2**(shift - 1) rounds ties upwards.",
            "Where p % 2**shift == half it was a tie: subtract 1 if the result is odd. Zero point, clip.",
        ),
        mistakes=MISTAKES["07.7"],
    ),
)  # fmt: skip
