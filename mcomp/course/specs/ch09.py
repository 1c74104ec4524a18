"""Chapter 09, few levels: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: a step of Lloyd's iteration, the scales of binary weights, the exact ternary
optimum, the nearest power of two, the value of a small float, a dot product of packed signs.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch09_mistakes import MISTAKES, QUIZ
from mcomp.course.specs.ch09_words import sign_cases, sign_dot

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Few levels, uneven levels"


def lloyd_step(x, levels):
    """One step of Lloyd's: each entry of x to its nearest level, then each level to the mean of its entries.

    `levels` ascend; at a midpoint the lower level wins. A level without entries stays where it is. Returns
    the new levels, an array.
    """
    members = [[] for _ in levels]
    for value in x.reshape(-1):
        distances = [abs(float(value) - float(level)) for level in levels]
        members[distances.index(min(distances))].append(float(value))
    means = [sum(m) / len(m) if m else float(level) for m, level in zip(members, levels, strict=True)]
    return np.array(means)


def lloyd_cases(rng):
    yield case(np.array([0.0, 1.0, 9.0]), np.array([0.0, 8.0]))
    yield case(np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 4.0]))
    yield case(np.array([1.0, 2.0, 6.0]), np.array([-9.0, 1.0, 5.0]))
    yield case(np.array([-3.0, -1.0, -1.0, 5.0]), np.array([-2.0, 2.0]))
    yield case(np.array([[1.0, 3.0], [5.0, 5.0]]), np.array([0.0, 2.0, 4.0]))
    for n in range(3, 18):
        k = n % 3 + 2
        x = (rng.normal(size=(2, n // 5 + 2)) * (1 + n % 3)).round(1)
        levels = np.sort(rng.choice(np.arange(-30, 31), k, replace=False) / 20.0 * (1 + n % 3))
        if n % 4 == 0:
            levels[0] = -20.0
        yield case(x, levels)


def binary_scales(w):
    """For each output channel w[0], w[1], ... the scale a > 0 of the nearest a * sign(w): one number each.

    Nearest in least squares. w has two axes, or four as a convolution's weight; no entry is 0.
    """
    scales = []
    for channel in w:
        values = channel.reshape(-1)
        scales.append(sum(abs(float(v)) for v in values) / len(values))
    return np.array(scales)


def binary_cases(rng):
    yield case(np.array([[3.0, -1.0]]))
    yield case(np.array([[1.0, -3.0, 0.5], [0.5, 0.25, -0.15]]))
    yield case(rng.normal(size=(2, 1, 2, 2)))
    for n in range(2, 18):
        shape = ((3, n % 5 + 2), (2, 1, 2, n % 4 + 1), (3, 3))[n % 3]
        sizes = rng.uniform(0.5, 4, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        w = ((rng.normal(size=shape) + 0.3) * sizes).round(1)
        yield case(np.where(w == 0, 0.1, w))


def ternary_optimum(w):
    """(k, scale) of the nearest tensor with entries -scale, 0 and scale: k is how many are not 0.

    Nearest in least squares; w has an entry that is not 0. Two numbers.
    """
    sizes = sorted((abs(float(v)) for v in w.reshape(-1)), reverse=True)
    best, found = 0.0, (0, 0.0)
    for k in range(1, len(sizes) + 1):
        total = sum(sizes[:k])
        if total**2 / k > best:
            best, found = total**2 / k, (k, total / k)
    return found


def ternary_cases(rng):
    yield case(np.array([4.0, -0.5]))
    yield case(np.array([3.0, -1.0, 0.5, -4.0]))
    yield case(np.array([1.0, -1.0, 1.0]))
    yield case(np.array([[-5.0, 0.1], [0.2, -0.3]]))
    for n in range(3, 21):
        yield case((rng.normal(size=(2, n // 3 + 2 if n < 16 else 2 * n)) * 2.0 + (n % 3 - 1) * 0.5).round(2))


def nearest_power(w):
    """For each weight the nearest power of two with its sign, any whole exponent; 0 stays 0.

    Nearest in value; halfway between two powers the smaller one.
    """
    found = np.zeros(w.shape)
    for i in np.ndindex(w.shape):
        size = abs(float(w[i]))
        if size > 0:
            tried = [2.0**e for e in range(-40, 41)]
            found[i] = math.copysign(min(tried, key=lambda p: (abs(p - size), p)), w[i])
    return found


def power_cases(rng):
    yield case(np.array([1.0, 0.3]))
    yield case(np.array([1.45, -5.0]))
    yield case(np.array([0.0, -0.1]))
    yield case(np.array([1.5, -3.0, 0.75]))
    yield case(np.array([2.9, 5.8, 11.6, -0.7]))
    yield case(np.array([300.0, 0.001]))
    for n in range(2, 16):
        yield case((rng.normal(size=(2, n // 4 + 1)) * (0.1, 1.0, 10.0)[n % 3]).round(3))


def minifloat_values(patterns, exponent_bits, mantissa_bits):
    """The numbers that bit patterns stand for: sign, exponent, mantissa, from the highest bit down.

    The bias is 2**(exponent_bits - 1) - 1. Exponent 0 has no leading one and the step of exponent 1. Every
    pattern is a number: the largest exponent is like any other. `patterns` is an array of ints.
    """
    bias, found = 2 ** (exponent_bits - 1) - 1, np.zeros(patterns.shape)
    for i in np.ndindex(patterns.shape):
        rest, mantissa = divmod(int(patterns[i]), 2**mantissa_bits)
        sign, exponent = divmod(rest, 2**exponent_bits)
        leading = 1 if exponent > 0 else 0
        size = (leading + mantissa / 2**mantissa_bits) * 2.0 ** (max(exponent, 1) - bias)
        found[i] = -size if sign else size
    return found


def minifloat_cases(rng):
    yield case(np.array([2, 4, 10]), 2, 1)
    yield case(np.array([0, 1, 2, 3]), 2, 1)
    yield case(np.array([15, 9]), 2, 1)
    yield case(np.array([1, 8, 127]), 4, 3)
    for e, m in (
        (2, 1),
        (2, 3),
        (3, 2),
        (4, 3),
        (5, 2),
        (3, 1),
        (2, 2),
        (4, 1),
        (3, 0),
        (5, 1),
        (3, 4),
        (4, 2),
    ):
        yield case(rng.integers(0, 2 ** (1 + e + m), (2, 4)), e, m)


EXERCISES = (
    Exercise(
        "09.1", lloyd_step, lloyd_cases, title="A step of Lloyd's iteration",
        hints=(
            "Two half steps: first who belongs to which level, then where the levels go.",
            "abs(x.reshape(-1)[:, None] - levels) has a row for each entry; argmin along axis 1 assigns it.",
            "For each j: the mean of the entries with index j, or levels[j] if there are none.",
        ),
        mistakes=MISTAKES["09.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "09.2", binary_scales, binary_cases, title="The scale of binary weights",
        hints=(
            "With the signs chosen, the error is a parabola in the scale. Where is its lowest point?",
            "The sum of (w - a * s)**2 has the derivative -2 * sum(s * w) + 2 * a * n; s * w is |w|.",
            "The mean of |w| over all axes but the first: abs(w).reshape(len(w), -1), then along axis 1.",
        ),
        mistakes=MISTAKES["09.2"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "09.3", ternary_optimum, ternary_cases, title="The exact ternary optimum",
        hints=(
            "If you knew which weights stay, what would the best scale be? And which k weights would stay?",
            "The k largest |w| stay, with their mean as scale; the error falls by (their sum)**2 / k.",
            "Sort |w| in descending order, take cumulative sums t, and find the k with the largest t**2 / k.",
        ),
        mistakes=MISTAKES["09.3"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "09.4", nearest_power, power_cases, title="The nearest power of two",
        hints=(
            "Between 2**e and 2**(e + 1), where is the point that is equally far from both?",
            "e = floor(log2(|w|)) gives the power below; the border to the one above is 1.5 * 2**e.",
            "Take 2**e where |w| <= 1.5 * 2**e, else 2**(e + 1); then the sign; and 0 for 0.",
        ),
        mistakes=MISTAKES["09.4"],
    ),
    Exercise(
        "09.5", minifloat_values, minifloat_cases, title="What a small float means",
        hints=(
            "First take the pattern apart: mantissa = the lowest bits, exponent = the next, sign = the last.",
            "(1 + mantissa / 2**mantissa_bits) * 2.0**(exponent - bias), if the exponent isn't 0.",
            "Exponent 0: (0 + mantissa / 2**mantissa_bits) * 2.0**(1 - bias). Then the sign.",
        ),
        mistakes=MISTAKES["09.5"],
    ),
    Exercise(
        "09.6", sign_dot, sign_cases, title="A dot product without products",
        hints=(
            "Equal signs give +1, different ones -1. How many of the n bits differ?",
            "a ^ b has a one where the bits differ; bin(int(word)).count('1') counts the ones of a word.",
            "With d differing bits in all words the result is (n - d) - d.",
        ),
        mistakes=MISTAKES["09.6"],
    ),
)  # fmt: skip
