"""Chapter 07, repair without training: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: a moving average of ranges, batch norm folded, two layers equalized, a bias
corrected.
"""

import numpy as np

from mcomp.course.model import Exercise, Option, Question, case, joined
from mcomp.course.specs.ch07_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch07_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Repair without training"
MISTAKES = joined(KNOWN, SLIPS)


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
        yield case(rng.normal(size=(2 + n % 4, 2 + n % 2)) + n % 3 - 1, (0.1, 0.3, 0.9)[n % 3])


def fold(w, bias, mean, var, gamma, beta, eps):
    """(w', bias') that give gamma * (y - mean) / sqrt(var + eps) + beta, where w and bias give y.

    w has shape (out, in) or (out, in, kh, kw); bias, mean, var, gamma and beta have one number a channel.
    """
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
    w, gains = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 6.0])
    yield case(w, np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([3.0, 3.0]), gains, np.zeros(2), 1.0)
    yield case(w.reshape(2, 1, 1, 2), np.ones(2), np.zeros(2), np.array([3.0, 0.0]), gains, np.ones(2), 1.0)
    for n in range(2, 17):
        shape = ((2, 1), (2, 1, 1, 2), (2, 2), (3, 2), (1, 2, 2, 1))[n % 5]
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
    yield case(np.array([[8.0], [2.0]]), np.array([[2.0, 0.5]]))
    yield case(np.array([[8.0, -32.0], [0.5, 0.25]]), np.array([[1.0, 2.0], [0.5, -8.0]]))
    yield case(np.array([[-9.0], [1.0]]), np.array([[1.0, 1.0], [0.5, -4.0]]))
    for n in range(2, 17):
        channels = 1 + n % 3
        first, second = rng.normal(size=(channels, 2)), rng.normal(size=(channels if n % 2 else 2, channels))
        first[:, 0], second[0] = abs(first[:, 0]), abs(second[0])  # both signs, and a largest w above 0
        yield case(first * rng.uniform(0.1, 8, channels)[:, None], second)


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
        size = 1 + n % 3
        w, x = rng.normal(size=(2, size)), rng.normal(size=(2 + n % 3, size)) + 1
        yield case(rng.normal(size=2), w, np.round(2 * w) / 2, x)


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
)  # fmt: skip

QUIZ = (
    Question(
        "A percentile clips 0.1 % of a layer's inputs. When is that better than the extremes?",
        (
            Option("Always: outliers are noise.",
                   "At 8 bits the steps are so narrow that clipping costs more than it saves."),
            Option("When the bits are few: then the steps that clipping narrows cost more than what it cuts.",
                   "Yes: a bit less quadruples rounding's error, not that of the clip.", right=True),
            Option("Never: what is clipped is lost.",
                   "So is what wide steps round away. The sum of both errors counts."),
        ),
    ),
    Question(
        "AdaRound's weights are further from the trained ones than rounding to the nearest. Is that a bug?",
        (
            Option("Yes: rounding to the nearest is the projection.",
                   "It is the projection in the distance of weights; the loss sees the outputs."),
            Option("No: errors of the same row cancel in the output, which is what the loss sees.",
                   "Yes: the distance is measured by the inputs' second moments.", right=True),
            Option("No: it uses more bits.", "The grid is the same; only the choice of neighbours differs."),
        ),
    ),
    Question(
        "Rounding moves the mean output of a layer. Why can its bias repair that without a label?",
        (
            Option("The shift is the error of the weights times the mean input: the same for every image.",
                   "Yes: the layer is linear, and unlabelled images give the mean input.", right=True),
            Option("The bias isn't rounded, so it holds the labels.",
                   "It holds one number a channel. No label is involved."),
            Option("It can't: the shift differs from image to image.",
                   "The error does. Its mean over images is one number a channel."),
        ),
    ),
)  # fmt: skip
