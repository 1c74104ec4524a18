"""Chapter 18, a transformer's weights: what the exercises ask, how they are checked, what usually goes wrong.

In this order: a grid for each group, one weight rounded while the rest makes up, a row by GPTQ, a mask by
weight and input, ranges moved into the weights, Hadamard's rotation.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch18_mistakes import MISTAKES, QUIZ
from mcomp.course.specs.ch18_rows import gptq_row, one_cases, round_one, row_cases

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Weights of a transformer"


def group_round(w, bits, group):
    """Each run of `group` neighbours in a row of w (out, n) rounded to its own grid: an array like w.

    A group's range goes from the lower of 0 and its smallest weight to the higher of 0 and its largest; the
    2 ** bits integers 0, 1, ... span it. scale is the range over 2 ** bits - 1, zero is -low / scale,
    rounded; q is w / scale, rounded, plus zero, cut to the integers there are; the result
    scale * (q - zero). Halves go to the even integer. `group` divides n; no group is all 0.
    """
    out = np.zeros(w.shape)
    for i in range(w.shape[0]):
        for start in range(0, w.shape[1], group):
            part = [float(v) for v in w[i, start : start + group]]
            low, high, most = min(0.0, *part), max(0.0, *part), 2**bits - 1
            scale = (high - low) / most
            zero = round(-low / scale)
            for j, v in enumerate(part):
                q = min(max(round(v / scale) + zero, 0), most)
                out[i, start + j] = scale * (q - zero)
    return out


def group_cases(rng):
    yield case(np.array([[0.0, 1.0, 2.0, 3.0]]), 2, 4)
    yield case(np.array([[0.1, 0.9, 8.0, 30.0]]), 2, 2)
    yield case(np.array([[-1.0, 0.2, 0.7, 2.0]]), 2, 4)
    yield case(np.array([[1.0, 2.2], [-3.0, -0.9]]), 2, 2)
    yield case(np.array([[0.0, 0.5, 1.5, 3.0], [-2.0, 0.5, -0.5, 1.0]]), 2, 4)  # halves, of q
    yield case(np.array([[-1.5, 1.5, 0.5, -0.5]]), 2, 4)  # q of the largest and zero both go up: cut
    yield case(np.array([[-1.0, 0.6, 0.1, 0.3], [4.0, -0.3, 5.1, 6.0]]), 3, 2)
    for n in range(2, 16):
        group, bits = (2, 3, 4)[n % 3], n % 3 + 2
        shape = n % 3 + 1, group * (n % 4 + 1)
        while not _no_ties(w := rng.normal(size=shape).round(2), bits, group):
            pass
        yield case(w, bits, group)


def _no_ties(w, bits, group):
    """Whether nothing that is rounded is near a half, so that every right way to compute it agrees."""
    parts = w.reshape(-1, group)
    low, high = np.minimum(parts.min(1, keepdims=True), 0), np.maximum(parts.max(1, keepdims=True), 0)
    if not (high > low).all():
        return False
    at = np.concatenate([parts, -low], axis=1) * (2**bits - 1) / (high - low)
    return bool((abs(at - np.floor(at) - 0.5) > 0.01).all())


def wanda_mask(w, x, k):
    """Which k weights of each row of w (out, n) stay: True = keep, (out, n).

    Those with the largest |w| times the root of the mean square of their input, a column of x (samples, n);
    of equal ones the first.
    """
    mask = np.zeros(w.shape, dtype=bool)
    size = [math.sqrt(sum(float(v) ** 2 for v in x[:, j]) / len(x)) for j in range(w.shape[1])]
    for i in range(w.shape[0]):
        score = [abs(float(w[i, j])) * size[j] for j in range(w.shape[1])]
        for j in sorted(range(w.shape[1]), key=lambda j: (-score[j], j))[:k]:
            mask[i, j] = True
    return mask


def wanda_cases(rng):
    yield case(np.array([[1.0, -2.0]]), np.array([[1.0, 1.0]]), 1)
    yield case(np.array([[1.0, 2.0, 0.5]]), np.array([[4.0, 1.0, 1.0]]), 1)
    yield case(np.array([[3.0, 1.0], [0.1, 0.2]]), np.array([[1.0, 1.0]]), 1)
    yield case(np.array([[1.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0]]), 2)
    yield case(np.array([[2.0, 1.0, 1.5]]), np.array([[1.0, 0.0, 1.0], [-1.0, 4.0, 1.0]]), 1)
    yield case(np.array([[3.0, 2.0], [1.0, 5.0]]), np.array([[1.0, 2.0], [3.0, 1.0]]), 0)
    yield case(np.array([[3.0, 2.0], [1.0, 5.0]]), np.array([[1.0, 2.0], [3.0, 1.0]]), 2)
    for n in range(2, 16):
        out, size = n % 3 + 1, n % 5 + 2
        x = rng.normal(size=(n % 4 + 2, size)).round(1) * rng.choice([0.5, 1.0, 3.0], size)
        x = x * rng.choice([0.2, 1.0, 3.0], x.shape) + 0.01  # means of |x| and of squares tell apart
        yield case(rng.normal(size=(out, size)).round(2), x, n % (size - 1) + 1)


def smoothing(x, w, alpha):
    """(x / s, w * s) with s[j] = max|x[:, j]| ** alpha / max|w[:, j]| ** (1 - alpha).

    x is (samples, n), w (out, n); s is (n,), a factor for each input. No column is all 0. Two arrays.
    """
    less, more = np.zeros(x.shape), np.zeros(w.shape)
    for j in range(x.shape[1]):
        most = max(abs(float(v)) for v in x[:, j]), max(abs(float(v)) for v in w[:, j])
        s = most[0] ** alpha / most[1] ** (1 - alpha)
        less[:, j], more[:, j] = x[:, j] / s, w[:, j] * s
    return less, more


def smoothing_cases(rng):
    yield case(np.array([[4.0, 1.0]]), np.array([[1.0, 1.0]]), 0.5)
    yield case(np.array([[1.0, -9.0], [2.0, 3.0]]), np.array([[1.0, 4.0], [-2.0, 1.0]]), 0.5)
    yield case(np.array([[1.0, -9.0], [2.0, 3.0]]), np.array([[1.0, 4.0], [-2.0, 1.0]]), 1.0)
    yield case(np.array([[1.0, -9.0], [2.0, 3.0]]), np.array([[1.0, 4.0], [-2.0, 1.0]]), 0.0)
    yield case(np.array([[16.0]]), np.array([[2.0], [-4.0]]), 0.75)
    for n in range(2, 14):
        size = n % 4 + 1
        x = rng.normal(size=(n % 3 + 2, size)).round(1) * rng.choice([1.0, 10.0], size) + 0.05
        yield case(x, rng.normal(size=(n % 3 + 1, size)).round(1) + 0.05, (0.25, 0.5, 0.75)[n % 3])


def hadamard(x):
    """Each row of x (rows, n), n a power of two, turned by Hadamard's matrix: x @ H / sqrt(n), like x.

    H of one is [[1.0]]; H of n is [[A, A], [A, -A]] with A = H of n / 2.
    """
    n, out = x.shape[1], np.zeros(x.shape)
    for i in range(x.shape[0]):
        for k in range(n):
            for j in range(n):
                sign = (-1) ** bin(j & k).count("1")
                out[i, k] += sign * float(x[i, j]) / math.sqrt(n)
    return out


def hadamard_cases(rng):
    yield case(np.array([[3.0]]))
    yield case(np.array([[1.0, 0.0]]))
    yield case(np.array([[0.0, 2.0]]))
    yield case(np.array([[0.0, 8.0, 0.0, 0.0]]))
    yield case(np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, -1.0]]))
    for n in range(2, 14):
        yield case(rng.normal(size=(n % 3 + 1, 2 ** (n % 5))).round(1))


EXERCISES = (
    Exercise(
        "18.1", group_round, group_cases, title="A grid for each group",
        hints=(
            "Make the groups a third axis: then all that chapter 06 did for a row works for a group.",
            "parts = w.reshape(out, n // group, group); low, high with keepdims, widened to hold 0.",
            "scale = (high - low) / most; zero = round(-low / scale); scale * (clip(round(parts / scale) + "
            "zero, 0, most) - zero)",
        ),
        mistakes=MISTAKES["18.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "18.2", round_one, one_cases, title="One is rounded, the rest makes up",
        hints=(
            "The surgeon's step of chapter 03 with `value` in the place of 0. What is subtracted from each?",
            "(w[j] - value) / inverse[j, j] times column j of the inverse: at place j that leaves `value`.",
            "w - (w[j] - value) / inverse[j, j] * inverse[:, j], inverse - outer(inverse[:, j], inverse[j]) "
            "/ inverse[j, j]",
        ),
        mistakes=MISTAKES["18.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "18.3", gptq_row, row_cases, title="A row by GPTQ",
        hints=(
            "Go from left to right. What is rounded is the weight as it has become, not as it came.",
            "error = (w[j] - rounded) / factor[j, j]; the weights behind j lose error * factor[j, j + 1:].",
            "for j in range(n): v = step * round(w[j] / step); w[j:] -= (w[j] - v) / factor[j, j] * "
            "factor[j, j:]",
        ),
        mistakes=MISTAKES["18.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "18.4", wanda_mask, wanda_cases, title="Weight times input, row by row",
        hints=(
            "A large weight that reads a small input does little. What does the pair do?",
            "score = |w| * sqrt(mean of x ** 2 over samples); then k of each row, not of the matrix.",
            "A stable argsort of -score along axis 1, its first k places True.",
        ),
        mistakes=MISTAKES["18.4"],
    ),
    Exercise(
        "18.5", smoothing, smoothing_cases, title="Move the range",
        hints=(
            "A column of x and a column of w meet in one product. s leaves the product as it is.",
            "Largest sizes over axis 0 of both; s = x_most ** alpha / w_most ** (1 - alpha).",
            "s = abs(x).max(0) ** alpha / abs(w).max(0) ** (1 - alpha); x / s, w * s",
        ),
        mistakes=MISTAKES["18.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "18.6", hadamard, hadamard_cases, title="Hadamard's rotation",
        hints=(
            "Split each row in two halves a and b. What does the block matrix make of (a, b)?",
            "(a + b) H and (a - b) H, with H of half the size: call yourself, or build H block by block.",
            "H = np.block([[A, A], [A, -A]]) from [[1.0]] up; x @ H / np.sqrt(n), once, at the end.",
        ),
        mistakes=MISTAKES["18.6"], rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip
