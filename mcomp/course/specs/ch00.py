"""Chapter 00, a hundred times smaller: what the exercises ask, how they are checked, what usually goes wrong.

First contact: each exercise takes a line or two. A learner gains, in this order: what a factor of
compression compares, pruning as keeping the largest sizes, sharing as the nearest value, the entropy as the
length of the best code.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch00_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch00_mistakes import QUIZ
from mcomp.course.specs.ch00_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "A hundred times smaller"
MISTAKES = joined(KNOWN, SLIPS)


def times_smaller(w, nbytes):
    """How many times smaller a file of `nbytes` bytes is than the weights `w` at 4 bytes each."""
    whole = 0
    for _ in np.ndindex(w.shape):
        whole += 4
    return whole / nbytes


def times_cases(rng):
    yield case(np.ones((1, 2)), 2)
    yield case(np.ones((2, 3), np.float32), 12)
    yield case(np.ones(5, np.float16), 20)
    yield case(np.ones((4, 4), np.float32), 7)
    for n in range(1, 17):
        w = rng.normal(size=(n % 4 + 2, n % 5 + 1)).round(1)
        dtype = (np.float32, np.float64, np.float16)[n % 3]
        yield case(w.astype(dtype), int(rng.integers(1, 5 * w.size)))


def prune(w, k):
    """The k weights of largest size stay as they are, the others become 0; `w` itself doesn't change.

    `w` has one axis or two, like the picture's.
    """
    pruned = np.zeros_like(w)
    left = list(np.ndindex(w.shape))
    for _ in range(k):
        best = max(left, key=lambda i: abs(w[i]))
        pruned[best] = w[best]
        left.remove(best)
    return pruned


def prune_cases(rng):
    yield case(np.array([0.1, -0.9]), 1)
    yield case(np.array([0.5, -0.2, 0.3]), 2)
    yield case(np.array([[0.1, -0.9], [0.4, 0.8]]), 2)
    yield case(np.array([-0.4, -0.7, -0.6, -0.5]), 2)
    yield case(np.array([0.3, -0.1]), 2)
    for n in range(2, 17):
        shape = (n,) if n % 2 else (n // 2 + 1, 2) if n % 4 else (n // 4 + 1, n // 4)
        sizes = rng.permutation(np.arange(1, math.prod(shape) + 1)) / 10  # no two of one size: no ties
        yield case((sizes * rng.choice([-1.0, 1.0], sizes.size)).reshape(shape), n // 3 + 1)


def nearest_value(w, values):
    """Each weight replaced by that of the shared `values` which is nearest to it."""
    shared = np.zeros_like(w)
    for i in range(w.size):
        best = values[0]
        for value in values:
            if abs(w[i] - value) < abs(w[i] - best):
                best = value
        shared[i] = best
    return shared


def nearest_cases(rng):
    yield case(np.array([0.75, -0.8]), np.array([-1.0, 1.0]))
    yield case(np.array([0.1, 0.45, -0.7]), np.array([0.0, 0.5]))
    yield case(np.array([0.25, -0.25]), np.array([0.125]))
    yield case(np.array([0.0, 0.9]), np.array([-0.4, 1.0]))
    for n in range(1, 17):
        values = rng.choice(np.arange(-8, 9) / 4, 2 + n % 4, replace=False)
        yield case(rng.normal(size=n), np.sort(values) if n % 2 else values)


def code_bits(counts):
    """The entropy in bits of a message in which symbol i occurs counts[i] times; a count may be 0."""
    n = sum(int(count) for count in counts)
    bits = 0.0
    for count in counts:
        if count > 0:
            bits += count * math.log2(n / count)
    return bits


def bits_cases(rng):
    yield case(np.array([1, 1]))
    yield case(np.array([2, 1, 1]))
    yield case(np.array([12, 4]))
    yield case(np.array([3, 0, 1]))
    yield case(np.array([5]))
    for n in range(2, 17):
        yield case(rng.integers(n % 2, 40, n) + (np.arange(n) == 0))


EXERCISES = (
    Exercise(
        "00.1", times_smaller, times_cases, title="How many times smaller",
        hints=(
            "Two sizes in the same unit: which one is larger before compression?",
            "A float32 number takes 32 bits, which is 4 bytes; w.size says how many numbers w holds.",
            "Bytes before, divided by bytes after: 4 * w.size / nbytes.",
        ),
        mistakes=MISTAKES["00.1"], rtol=1e-6,
    ),
    Exercise(
        "00.2", prune, prune_cases, title="Keep the k largest",
        hints=(
            "Which k weights are largest, if a minus sign doesn't count?",
            "np.sort(abs(w), axis=None) lists the sizes upwards; the k-th from the end is the last to stay.",
            "np.where(abs(w) >= np.sort(abs(w), axis=None)[-k], w, 0) keeps it and what is larger.",
        ),
        mistakes=MISTAKES["00.2"],
    ),
    Exercise(
        "00.3", nearest_value, nearest_cases, title="The nearest shared value",
        hints=(
            "For one weight: how far is it from each of the values, and which distance is least?",
            "abs(w[:, None] - values) is a table of distances: a row for each weight, a column for a value.",
            "argmin along the row gives the number of the value; values[number] gives the value itself.",
        ),
        mistakes=MISTAKES["00.3"],
    ),
    Exercise(
        "00.4", code_bits, bits_cases, title="The bits of the best code",
        hints=(
            "A symbol that makes up half of the message is worth 1 bit, a quarter 2 bits, an eighth 3.",
            "One occurrence of a symbol of probability p = count / n is worth log2(1 / p) bits.",
            "Add up count * log2(n / count) over the symbols that occur; leave out those with count 0.",
        ),
        mistakes=MISTAKES["00.4"], rtol=1e-6, atol=1e-6,
    ),
)  # fmt: skip
