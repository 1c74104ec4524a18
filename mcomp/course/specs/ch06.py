"""Chapter 06, a grid for numbers: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: the way to the integers, the way there and back, the step of a symmetric grid,
scale and zero point of an asymmetric one, the step of least squares, a scale for each channel.
"""

import numpy as np

from mcomp.course.model import Exercise, Option, Question, case, joined
from mcomp.course.specs.ch06_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch06_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "A grid for numbers"
MISTAKES = joined(KNOWN, SLIPS)


def to_integers(x, scale, zero_point, qmin, qmax):
    """The integers from qmin to qmax whose numbers scale * (q - zero_point) are nearest to x.

    A tie goes to the even one of x / scale, as `np.round` and Python's `round` do.
    """
    q = np.zeros(x.shape, int)
    for i in np.ndindex(x.shape):
        q[i] = min(max(round(float(x[i]) / scale) + zero_point, qmin), qmax)
    return q


def integer_cases(rng):
    yield case(np.array([0.9, -0.7]), 0.5, 2, 0, 7)
    yield case(np.array([0.6, -1.2, 0.9]), 0.5, 0, -3, 3)
    yield case(np.array([0.5, 1.5, 2.5, -0.5, -1.5]), 1.0, 0, -7, 7)
    yield case(np.array([0.25, 0.75, -0.3]), 0.5, 1, -8, 7)
    yield case(np.array([9.0, -9.0]), 0.5, 0, -3, 3)
    yield case(np.array([-300.0, 300.0, 0.2]), 1.0, 0, -127, 127)
    yield case(np.array([1.0, 2.5, -0.7]), 0.25, 3, 0, 15)
    for n in range(2, 17):
        bits = int(rng.integers(5, 9))
        x = (rng.normal(size=(2, 1 + n % 5)) * 2**bits * 0.1).round(2)
        unsigned = n % 2
        low, high = (0, 2**bits - 1) if unsigned else (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)
        middle = int(rng.integers(high // 3, high // 2)) if unsigned else (0, -1, 3)[n % 3]
        yield case(x, (0.5, 1.0, 2.0)[n % 3], middle, low, high)


def there_and_back(w, scale):
    """The weights that int8 leaves: to integers from -127 to 127 by w / scale, and back to floats."""
    found = np.zeros(w.shape)
    for i in np.ndindex(w.shape):
        q = min(max(round(float(w[i]) / scale), -127), 127)
        found[i] = scale * q
    return found


def back_cases(rng):
    yield case(np.array([0.6, -1.2, 2.0]), 0.5)
    yield case(np.array([0.1, -0.1, 0.3, -0.4]), 0.25)
    yield case(np.array([-40.0, 31.7, 40.0]), 0.25)
    yield case(np.array([0.625, -0.125, 0.375]), 0.25)
    yield case(np.array([200.0, -300.0]), 2.0)  # beyond 127, and not beyond 127 steps
    for n in range(1, 17):
        sizes = (1.0, 10.0, 0.3)[n % 3], (0.125, 0.0625, 0.25)[n % 3]
        yield case(rng.normal(size=(2, 1 + n % 4)) * sizes[0], sizes[1])


def symmetric_scale(w, bits):
    """The step of a symmetric grid that just reaches the weight of largest size; 1.0 if all are zero."""
    largest = 0.0
    for value in w.reshape(-1):
        largest = max(largest, abs(float(value)))
    steps = 2 ** (bits - 1) - 1
    return largest / steps if largest > 0 else 1.0


def scale_cases(rng):
    yield case(np.array([0.5, -3.0]), 3)
    yield case(np.array([2.0, 7.0]), 4)
    yield case(np.zeros((2, 2)), 8)
    yield case(np.array([0.0, 0.001]), 8)
    for n in range(2, 18):
        yield case(rng.normal(size=(2, 1 + n % 3)) + (n % 3 - 1), (2, 3, 4, 8)[n % 4])


def affine_parameters(x, bits):
    """(scale, zero_point) of a grid with integers 0 to 2**bits - 1 over all of x; 0.0 lies on the grid.

    The range is widened to hold 0. `zero_point` is a whole number in the grid; scale 1.0 if x is all zero.
    """
    low, high = 0.0, 0.0
    for value in x.reshape(-1):
        low, high = min(low, float(value)), max(high, float(value))
    if low == high:
        return 1.0, 0
    scale = (high - low) / (2**bits - 1)
    return scale, min(max(round(-low / scale), 0), 2**bits - 1)


def affine_cases(rng):
    yield case(np.array([-1.0, 2.0]), 2)
    yield case(np.array([1.0, 4.0]), 3)
    yield case(np.array([-6.0, -2.0]), 4)
    yield case(np.array([-0.4, 2.6]), 2)
    yield case(np.array([-2.6, 0.4]), 2)
    yield case(np.array([6.0]), 2)
    yield case(np.array([-1.5, -1.5]), 3)
    yield case(np.zeros(3), 8)
    for n in range(2, 17):
        yield case(rng.normal(size=(2, 1 + n % 3)) + (0, -3, 1, 3, 0)[n % 5], (2, 3, 4, 8)[n % 4])


def best_scale(w, q):
    """The scale s for which the sum of (w - s * q)**2 is least; q are whole numbers, not all zero."""
    above, below = 0.0, 0
    for a, b in zip(w.reshape(-1), q.reshape(-1), strict=True):
        above += float(a) * int(b)
        below += int(b) ** 2
    return above / below


def best_scale_cases(rng):
    yield case(np.array([1.1, -1.9]), np.array([1, -2]))
    yield case(np.array([0.2, 1.0, 3.1]), np.array([0, 1, 3]))
    yield case(np.array([5.0, 0.1]), np.array([3, 0]))
    for n in range(2, 18):
        w = rng.normal(size=(2, 1 + n % 4))
        q = np.clip(np.round(w / rng.uniform(0.2, 0.6)), -3, 3).astype(int)
        q[0, 0] = 1
        yield case(w, q)


def channel_scales(w, bits):
    """The symmetric step for each output channel w[0], w[1], ...: an array; w has two dimensions or more.

    As in exercise 06.3 the step of a channel that is all zero is 1.0.
    """
    steps = 2 ** (bits - 1) - 1
    largest = [max(abs(float(v)) for v in channel.reshape(-1)) for channel in w]
    return np.array([size / steps if size > 0 else 1.0 for size in largest])


def channel_cases(rng):
    yield case(np.array([[1.0, -3.0], [0.5, 0.25]]), 3)
    yield case(np.array([[1.0, -2.0, 0.5], [-7.0, 0.1, 0.2]]), 4)
    yield case(np.array([[0.5, -1.0], [0.0, 0.0]]), 3)
    yield case(rng.normal(size=(2, 1, 2, 1)), 4)
    for n in range(2, 18):
        shape = ((3, 2), (2, 3, 2, 1), (3, 3), (2, 1, 3))[n % 4]
        w = rng.normal(size=shape) * rng.uniform(0.1, 4, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        w[-1] *= n % 6 > 0  # now and then a channel of zeros
        yield case(w, (3, 4, 8)[n % 3])


EXERCISES = (
    Exercise(
        "06.1", to_integers, integer_cases, title="To the integers",
        hints=(
            "Three steps: count in steps of the grid, take the nearest whole number, stay between the ends.",
            "x / scale counts steps; np.round finds the nearest whole number; then shift, then np.clip.",
            "np.clip(np.round(x / scale) + zero_point, qmin, qmax), turned into integers at the end.",
        ),
        mistakes=MISTAKES["06.1"],
    ),
    Exercise(
        "06.2", there_and_back, back_cases, title="There and back",
        hints=(
            "Quantizing changes what is stored. The network still computes with weights of the old size.",
            "Divide by the scale, round, clip to [-127, 127]; then undo the division.",
            "scale * np.clip(np.round(w / scale), -127, 127)",
        ),
        mistakes=MISTAKES["06.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "06.3", symmetric_scale, scale_cases, title="The step of a symmetric grid",
        hints=(
            "How many steps are there between 0 and the last grid point of so many bits?",
            "Eight bits reach from -127 to 127: 127 steps on each side for the largest |w|.",
            "abs(w).max() / (2 ** (bits - 1) - 1); a matrix of zeros is a case of its own.",
        ),
        mistakes=MISTAKES["06.3"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "06.4", affine_parameters, affine_cases, title="Scale and zero point",
        hints=(
            "Which real number does the integer 0 stand for? Which integer then stands for 0.0?",
            "low = min(x.min(), 0) and high = max(x.max(), 0); 2**bits points have 2**bits - 1 steps.",
            "scale = (high - low) / (2**bits - 1); zero_point = round(-low / scale), a whole number.",
        ),
        mistakes=MISTAKES["06.4"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "06.5", best_scale, best_scale_cases, title="The scale of least squares",
        hints=(
            "For fixed q the error is a parabola in s. Where is its derivative zero?",
            "The derivative is -2 times the sum of q * (w - s * q). Solve for s.",
            "s = (w * q).sum() / (q * q).sum()",
        ),
        mistakes=MISTAKES["06.5"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "06.6", channel_scales, channel_cases, title="A scale for each channel",
        hints=(
            "Which entries share a scale? Those of w[0] share one, those of w[1] another.",
            "The maximum runs over every axis but the first, however many there are.",
            "abs(w).reshape(len(w), -1).max(1) / (2 ** (bits - 1) - 1); put 1.0 where that is 0.",
        ),
        mistakes=MISTAKES["06.6"], rtol=1e-6, atol=1e-12,
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "One weight of a layer is 100 times larger than the others. A 4-bit grid reaches it. What happens?",
        (
            Option("It rounds all other weights to zero.",
                   "Yes: the step is a seventh of the largest; all others are nearer to 0.", right=True),
            Option("It clips the large weight to the size of the others.",
                   "A grid that ends at the extreme weight clips nothing; that is its trouble here."),
            Option("Nothing special: 4 bits are 4 bits.",
                   "The error goes with the step squared, and the step with the largest weight."),
        ),
    ),
    Question(
        "Groups of 64 with 16 bits of scale each pay 0.25 bits a weight. Which grid pays half of that?",
        (
            Option("One scale a channel of 784 weights.",
                   "That has 16 / 784 = 0.02 bits a weight, a twelfth of 16 / 64 = 0.25."),
            Option("Groups of 128: 0.125 bits a weight.",
                   "Yes: 16 / 128 bits on every weight. A scale is paid by those who share it.", right=True),
            Option("Groups of 32, because there are fewer weights in each.",
                   "Fewer weights share a scale, so each pays more: 0.5 bits."),
        ),
    ),
    Question(
        "When does the error of rounding differ from step² / 12?",
        (
            Option("Never: it follows from the definition of rounding.",
                   "It follows from an error that is uniform within a step; a steep density breaks that."),
            Option("When the step is several times the weights' spread, or weights lie beyond the ends.",
                   "Yes: the density isn't flat within a step, or clipping adds its own error.", right=True),
            Option("When the weights are Gaussian instead of uniform.",
                   "With many steps in a standard deviation any smooth density is flat enough."),
        ),
    ),
)  # fmt: skip
