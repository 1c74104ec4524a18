"""Chapter 02, magnitude pruning: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: what a magnitude is, scale-free thresholds, an exact count, the projection and
its error, an honest total, the comparison across layers, a step that keeps zeros, the price of positions.
"""

import itertools
import math

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch02_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch02_mistakes import QUIZ
from mcomp.course.specs.ch02_network import (
    _one_tie,
    global_cases,
    global_topk_masks,
    masked_step,
    position_bits,
    position_cases,
    step_cases,
)
from mcomp.course.specs.ch02_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Magnitude pruning"
MISTAKES = joined(KNOWN, SLIPS)


def _distinct(rng, shape):
    """Scores of one decimal and both signs, no two of the same size."""
    n = int(np.prod(shape))
    return (rng.permutation(n) + 1.0).reshape(shape) * rng.choice([-0.1, 0.1], shape)


def magnitude_mask(w, theta):
    """Keep the weights of magnitude above theta (at least 0): a boolean array, True = keep."""
    mask = np.zeros(w.shape, bool)
    for i in np.ndindex(w.shape):
        mask[i] = abs(w[i]) > theta
    return mask


def magnitude_cases(rng):
    yield case(np.array([2.0, -3.0]), 1.0)
    yield case(np.array([-0.5, 0.5, 0.3]), 0.5)
    yield case(np.array([-0.5001, 0.5, 0.4999]), 0.5)  # just above, at and just below
    for n in range(1, 18):
        yield case(rng.normal(size=(n // 7 + 1, n)).round(1), (0.5, 1.0, 0.2, 0.0)[n % 4])


def relative_threshold_mask(score, alpha):
    """Keep the scores above alpha times the largest one: a boolean array, True = keep."""
    largest = max(score[i] for i in np.ndindex(score.shape))
    mask = np.zeros(score.shape, bool)
    for i in np.ndindex(score.shape):
        mask[i] = score[i] > alpha * largest
    return mask


def relative_cases(rng):
    yield case(np.array([1.0, 4.0]), 0.5)
    yield case(np.array([[2.0, 4.0], [0.5, 1.0]]), 0.5)
    yield case(np.array([4.0, 10.0, 40.0]), 0.25)
    yield case(np.array([0.0, 0.0]), 0.5)
    for n in range(1, 17):
        score = 4.0 * rng.integers(1, 15, size=(n // 6 + 1, n // 2 + 3))
        score.flat[rng.integers(1, score.size)] = 64.0  # the largest, and never the first
        yield case(score, (0.25, 0.5, 0.125, 0.75)[n % 4])


def topk_mask(score, k):
    """Keep exactly the k largest scores, 0 <= k <= score.size; among equals the lower flat index stays."""
    mask = np.zeros(score.shape, bool)
    for _ in range(k):
        best = None
        for i in np.ndindex(score.shape):
            if not mask[i] and (best is None or score[i] > score[best]):
                best = i
        mask[best] = True
    return mask


def topk_cases(rng):
    yield case(np.array([1.0, 3.0, 2.0]), 1)
    yield case(np.array([3.0, 1.0, 3.0]), 1)
    yield case(np.array([1.0, 2.0]), 0)
    yield case(np.array([[-5.0, 2.0], [4.0, -1.0]]), 2)
    yield case(np.array([2.0, 2.0, 2.0]), 3)
    for n in range(2, 15):
        shape = (n // 4 + 1, n)
        k = (n * n * shape[0] // 17 + n % 3) % (n * shape[0] + 1)
        yield case(_one_tie(rng, shape, k), k)
    for n in (3, 5):
        yield case(rng.integers(-1, 2, size=(2, n)) / 2, n)  # many equals


def nearest_sparse(w, k):
    """Two things: the nearest array to w with k non-zeros (ties as in 02.3), its squared distance from w."""
    best, least = None, math.inf
    for kept in itertools.combinations(range(w.size), k):
        near = np.zeros_like(w)
        for i in kept:
            near.flat[i] = w.flat[i]
        error = float(((w - near) ** 2).sum())
        if error < least:
            best, least = near, error
    return best, least


def nearest_cases(rng):
    yield case(np.array([2.0, -3.0]), 1)
    yield case(np.array([[1.0, -2.0], [3.0, -4.0]]), 2)
    yield case(np.array([1.5, -0.5, 0.25]), 0)
    yield case(np.array([2.0, -3.0, -2.0]), 2)  # two of one size
    yield case(np.array([[1.0, -1.0], [3.0, 1.0]]), 2)
    for n in range(1, 18):
        w = _distinct(rng, (n // 6 + 1, n // 6 + 2))
        yield case(w, max(1, w.size * (n % 6) // 6))


def total_sparsity(masks):
    """The fraction of all entries of all masks that is False; `masks` is a dict by name."""
    entries = [bool(keep) for mask in masks.values() for keep in mask.ravel()]
    return entries.count(False) / len(entries)


def total_cases(rng):
    yield case({"w": np.array([True, False])})
    yield case({"a": np.array([True, False, False]), "b": np.array([False])})
    for n in range(1, 19):
        shapes = {"fc1": (n + 1, 3), "fc2": (2, n), "fc3": (n % 4 + 1,)}
        yield case({name: rng.random(shape) < n / 19 for name, shape in shapes.items()})


EXERCISES = (
    Exercise(
        "02.1", magnitude_mask, magnitude_cases, title="A mask by threshold",
        hints=(
            "Which number says how much a weight contributes, whatever its sign?",
            "The size of a weight is its absolute value; a comparison of an array with a number is an array.",
            "abs(w) gives all sizes at once; a weight whose size equals theta goes, so compare with >.",
        ),
        mistakes=MISTAKES["02.1"],
    ),
    Exercise(
        "02.2", relative_threshold_mask, relative_cases, title="A threshold that follows the layer's scale",
        hints=(
            "Multiply every weight by 10: the mask should stay the same.",
            "Find the largest score of the whole array first; alpha says which part of it is the threshold.",
            "The threshold is alpha * score.max(), one number for the whole array, and equal scores go.",
        ),
        mistakes=MISTAKES["02.2"],
    ),
    Exercise(
        "02.3", topk_mask, topk_cases, title="Exactly k stay",
        hints=(
            "A threshold can't count: what happens to it when two scores are equal?",
            "Put the positions in order, the best first, and mark the first k of them.",
            "A stable sort of -score.ravel() keeps equals in order of index; reshape the mask at the end.",
        ),
        mistakes=MISTAKES["02.3"],
    ),
    Exercise(
        "02.4", nearest_sparse, nearest_cases, title="The nearest array with k non-zeros",
        hints=(
            "An entry that stays costs nothing. What does an entry that goes cost?",
            "The error is the sum of the squares of what is dropped, so drop the smallest squares.",
            "Take the top-k mask of |w|; the array is the elementwise product w * mask, the error a sum.",
        ),
        mistakes=MISTAKES["02.4"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "02.5", total_sparsity, total_cases, title="The sparsity of a whole network",
        hints=(
            "Try it by hand with one layer of 300 weights and one of 10.",
            "A large layer must count for more than a small one: count entries, not layers.",
            "Add up the False entries of all masks, add up all sizes, and divide once, at the end.",
        ),
        mistakes=MISTAKES["02.5"], rtol=1e-9,
    ),
    Exercise(
        "02.6", global_topk_masks, global_cases, title="One ranking for all layers",
        hints=(
            "No layer has a share of its own here: think of one long array.",
            "Join the flattened scores in the order of the names, take the top k, and cut it up again.",
            "After topk_mask on the joined array, each name takes the next score.size entries, reshaped.",
        ),
        mistakes=MISTAKES["02.6"],
    ),
    Exercise(
        "02.7", masked_step, step_cases, title="Fine-tune what is left",
        hints=(
            "What must be true of a removed weight after the step, whatever its gradient is?",
            "The plain step is w - lr * grad; it moves removed weights too.",
            "Multiply the whole of w - lr * grad by the mask, entry by entry, into a new array.",
        ),
        mistakes=MISTAKES["02.7"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "02.8", position_bits, position_cases, title="What the positions cost",
        hints=(
            "A mask is n answers, yes or no. When is an answer worth less than one bit?",
            "An answer of probability p carries log2(1 / p) bits; add up all entries, True and False.",
            "n * (-p * log2(p) - (1 - p) * log2(1 - p)), and 0 where p is 0 or 1: log2(0) has no value.",
        ),
        mistakes=MISTAKES["02.8"], rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip
