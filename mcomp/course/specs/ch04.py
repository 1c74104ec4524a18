"""Chapter 04, removing structure: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: the score of a filter, surgery on two layers, the columns behind a flatten,
N of every M, what an order is worth, the square in the parameter count, one decision for a residual sum.
"""

from itertools import combinations

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch04_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch04_mistakes import QUIZ
from mcomp.course.specs.ch04_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Removing structure"
MISTAKES = joined(KNOWN, SLIPS)


def filter_scores(w):
    """The sum of |w| over each filter of w (out, in, kh, kw): an array (out,), one number for each output."""
    scores = np.zeros(len(w))
    for index in np.ndindex(w.shape):
        scores[index[0]] += abs(w[index])
    return scores


def filter_cases(rng):
    yield case(np.array([[[[1.0, -2.0]]], [[[0.5, 0.0]]]]))
    yield case(np.array([[[[1.0]], [[-4.0]]], [[[2.0]], [[2.0]]]]))
    yield case(np.array([[[[-3.0]]]]))
    yield case(-np.arange(1.0, 10.0).reshape(1, 1, 3, 3))
    for n in range(1, 17):
        yield case(rng.normal(size=(n % 5 + 2, n % 3 + 1, n % 2 + 1, 3)).round(2))


def remove_neurons(w1, b1, w2, keep):
    """Three arrays: w1, b1 and w2 without the hidden neurons for which keep is False.

    w1 is (hidden, in), b1 (hidden,), w2 (out, hidden), keep (hidden,) boolean: True = the neuron stays.
    """
    kept = [i for i in range(len(keep)) if keep[i]]
    smaller_w1 = np.array([w1[i] for i in kept])
    smaller_b1 = np.array([b1[i] for i in kept])
    smaller_w2 = np.array([[row[i] for i in kept] for row in w2])
    return smaller_w1, smaller_b1, smaller_w2


def remove_cases(rng):
    one = np.array([[1.0], [2.0]]), np.array([3.0, 4.0])
    yield case(*one, np.array([[5.0, 6.0], [7.0, 8.0]]), np.array([False, True]))
    yield case(*one, np.array([[5.0, 6.0]]), np.array([False, True]))
    yield case(*one, np.array([[5.0, 6.0]]), np.array([True, True]))
    yield case(np.eye(2), np.array([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([True, False]))
    for n in range(1, 17):
        hidden = n // 3 + 3
        keep = rng.permutation(np.arange(hidden) % 3 > 0)
        sizes = ((hidden, n % 4 + 2), (hidden,), (hidden if n % 2 else n % 5 + 2, hidden))
        yield case(*(rng.normal(size=size).round(1) for size in sizes), keep)


def flatten_columns(keep, height, width):
    """Which inputs of a linear layer stay, behind the flatten of a (channels, height, width) image.

    keep is (channels,) boolean: True = the channel stays. So is the answer, one entry an input.
    """
    columns = []
    for stays in keep:
        for _ in range(height * width):
            columns.append(bool(stays))
    return np.array(columns)


def flatten_cases(rng):
    yield case(np.array([True, False]), 1, 2)
    yield case(np.array([False, True, True]), 2, 2)
    yield case(np.array([True, False]), 1, 1)
    yield case(np.array([True, False]), 3, 1)
    yield case(np.array([False, False]), 2, 1)
    for n in range(1, 16):
        yield case(rng.permutation(np.arange(n % 4 + 3) % 3 > 0), n % 3 + 1, n % 4 + 2)


def two_of_four(score):
    """Keep the two largest of every four neighbours in a row: a boolean array, True = keep.

    score is (rows, columns), the number of columns a multiple of 4. Ties: the earlier column stays.
    """
    mask = np.zeros(score.shape, bool)
    for i in range(score.shape[0]):
        for start in range(0, score.shape[1], 4):
            best = max(combinations(range(start, start + 4), 2), key=lambda pair: sum(score[i, list(pair)]))
            mask[i, list(best)] = True
    return mask


def two_of_four_cases(rng):
    yield case(np.array([[1.0, 3.0, 2.0, 0.0]]))
    yield case(np.array([[-1.0, -3.0, -2.0, 0.0]]))  # a score may be negative
    yield case(np.array([[-5.0, -3.0, -2.0, -4.0]]))
    yield case(np.array([[3.0, 0.0, 0.0, 0.0]]))
    yield case(np.array([[9.0, 8.0, 7.0, 0.0]]))  # three above their mean
    yield case(np.array([[1.0, 1.0, 1.0, 1.0, 4.0, 3.0, 2.0, 1.0]]))
    yield case(np.arange(16.0).reshape(4, 4))
    for n in range(1, 17):
        yield case(rng.integers(0, 7, size=((4, 1, 2)[n % 3], 4 * (n % 4 + 1))) / 2)


def best_kept(w):
    """The largest sum of |w| that 2:4 can keep if the columns of w may be put in another order first.

    w is (rows, 8): one order for all rows. All 40,320 orders take too long, and most of them keep the same.
    """
    best = 0.0
    for first in combinations(range(8), 4):
        second = [j for j in range(8) if j not in first]
        kept = 0.0
        for row in abs(w):
            kept += sum(sorted(row[list(first)])[2:]) + sum(sorted(row[second])[2:])
        best = max(best, float(kept))
    return best


STUCK = (
    [[0, 1, 2, 0, 2, 0, 2, 2], [0, 2, 1, 0, 0, 2, 0, 1], [1, 2, 2, 0, 2, 1, 2, 1]],
    [[4, 3, 2, 2, 4, 1, 1, 0], [3, 1, 3, 0, 0, 0, 3, 4], [1, 4, 1, 2, 1, 0, 4, 3]],
)


def best_kept_cases(rng):
    yield case(np.array([[4.0, 3.0, 2.0, 2.0, 0.0, 0.0, 0.0, -1.0]]))
    yield case(
        np.array([[1.0, -1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]])
    )
    for n in range(1, 13):
        sizes = np.linspace(2, 0.2, 8)[rng.permutation(8)]  # in no order, so that no fixed one is best
        yield case((rng.normal(size=(n % 3 + 1, 8)) * sizes).round(1))
    for rows in STUCK:  # no swap of two columns helps, and yet there is a better order
        yield case(np.array(rows, dtype=float))
    for rows in (5, 8):  # so many rows hardly agree on one order
        yield case(rng.normal(size=(rows, 8)).round(1))


def weights_left(widths, ratio):
    """How many weights are left of a chain of linear layers when `ratio` of each hidden width goes.

    `widths` are those of the input, the hidden layers and the output. Of a hidden width n, round(ratio * n)
    go. Input and output stay. Biases aren't counted.
    """
    left = [int(n) for n in widths]
    for i in range(1, len(left) - 1):
        left[i] -= round(ratio * left[i])
    return sum(left[i] * left[i + 1] for i in range(len(left) - 1))


def left_cases(rng):
    yield case(np.array([2, 4, 3]), 0.5)
    yield case(np.array([2, 5, 3]), 0.5)  # half of 5: the even number of 2.5 goes
    yield case(np.array([3, 3, 3]), 0.5)
    yield case(np.array([2, 3]), 0.5)  # no hidden layer
    yield case(np.array([3, 4, 5, 2]), 0.0)
    yield case(np.array([784, 300, 100, 10]), 0.5)
    for n in range(1, 16):
        yield case(rng.integers(3, 40, n % 4 + 3), (0.25, 0.3, 0.5, 0.9)[n % 4])


def residual_keep(score_a, score_b, k):
    """One mask for two layers whose outputs are added: the k channels with the largest sum of scores.

    Ties: the earlier channel stays.
    """
    total = [a + b for a, b in zip(score_a, score_b, strict=True)]
    order = sorted(range(len(total)), key=lambda i: -total[i])
    return np.array([i in order[:k] for i in range(len(total))])


def residual_cases(rng):
    yield case(np.array([1.0, 4.0, 2.0]), np.array([5.0, 1.0, 2.0]), 1)
    yield case(np.array([1.0, 2.0, 3.0, 0.0]), np.array([3.0, 2.0, 1.0, 0.0]), 2)
    yield case(np.array([3.0, -2.0, 1.0]), np.array([-3.0, 1.0, 1.0]), 2)  # a score may be negative
    yield case(np.array([1.0, 2.0]), np.array([2.0, 1.0]), 0)
    yield case(np.array([2.0, 1.0]), np.array([1.0, 2.0]), 2)
    for n in range(3, 20):
        yield case(rng.integers(0, 6, n) / 2, rng.integers(0, 9, n) / 2, n * (n % 4 + 1) // 5)


EXERCISES = (
    Exercise(
        "04.1", filter_scores, filter_cases, title="One number a filter",
        hints=(
            "How many filters has w? So many numbers must come out.",
            "A filter is w[i]: all its inputs and all its pixels. Its size doesn't depend on signs.",
            "Sum abs(w) over axes 1, 2 and 3 and leave axis 0, the outputs.",
        ),
        mistakes=MISTAKES["04.1"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "04.2", remove_neurons, remove_cases, title="Surgery on two layers",
        hints=(
            "Follow one neuron with a pencil: where does it stand in w1, in b1, in w2?",
            "A neuron is a row of w1, an entry of b1 and a column of w2; all three go.",
            "w1[keep], b1[keep], w2[:, keep]: three arrays that are smaller, not set to zero.",
        ),
        mistakes=MISTAKES["04.2"],
    ),
    Exercise(
        "04.3", flatten_columns, flatten_cases, title="The columns behind a flatten",
        hints=(
            "Flatten an image with two channels by hand: which numbers come first?",
            "All pixels of channel 0 come first, then those of channel 1: height·width times each.",
            "np.repeat(keep, height * width) repeats each entry in its place.",
        ),
        mistakes=MISTAKES["04.3"],
    ),
    Exercise(
        "04.4", two_of_four, two_of_four_cases, title="Two of every four",
        hints=(
            "The groups don't overlap, so each can be decided by itself.",
            "Reshape to (rows, columns / 4, 4), rank within the last axis, keep ranks 0 and 1.",
            "Two stable argsorts of the negative groups give the rank; compare with 2 and reshape back.",
        ),
        mistakes=MISTAKES["04.4"],
    ),
    Exercise(
        "04.5", best_kept, best_kept_cases, title="The permutation trick",
        hints=(
            "Within a group of four the order doesn't matter. What does?",
            "Only which four columns share a group: choose four for the first, the rest is set.",
            "combinations(range(8), 4) has 70 entries; for each, add the upper two |w| of both fours.",
        ),
        mistakes=MISTAKES["04.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "04.6", weights_left, left_cases, title="What is left of a chain",
        hints=(
            "Write down the widths after pruning. Which two must stay as they are?",
            "A layer's matrix has as many weights as the product of the two widths beside it.",
            "Replace each inner n by n - round(ratio * n), then add up the products of neighbours.",
        ),
        mistakes=MISTAKES["04.6"], rtol=1e-9,
    ),
    Exercise(
        "04.7", residual_keep, residual_cases, title="One decision for a residual sum",
        hints=(
            "Channel 3 of one layer is added to channel 3 of the other. Can one of them go alone?",
            "The two share one mask, so they share one ranking.",
            "Add the scores, take the k largest; a stable sort of the negative sums keeps ties in order.",
        ),
        mistakes=MISTAKES["04.7"], rtol=1e-9,
    ),
)  # fmt: skip
