"""Chapter 05, pruning over time: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: rounds multiply what stays, the cubic and its ends, two thresholds on hidden
weights, one swap of a moving mask, a search that backs off, the values and the places of a lottery ticket.
"""

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch05_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch05_mistakes import QUIZ
from mcomp.course.specs.ch05_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Pruning over time"
MISTAKES = joined(KNOWN, SLIPS)


def _distinct(rng, shape):
    """Numbers of one decimal and both signs, no two of the same size."""
    n = int(np.prod(shape))
    return (rng.permutation(n) + 1.0).reshape(shape) * rng.choice([-0.1, 0.1], shape)


def iterative_sparsity(i, n, final):
    """The sparsities after rounds i (an array, 0 to n) of n, if each leaves the same part of what stayed."""
    part = (1 - final) ** (1 / n)
    sparsity = np.zeros(i.shape)
    for at in np.ndindex(i.shape):
        stays = 1.0
        for _ in range(i[at]):
            stays *= part
        sparsity[at] = 1 - stays
    return sparsity


def iterative_cases(rng):
    yield case(np.array([1, 2]), 2, 0.75)
    yield case(np.array([0, 1, 2, 3]), 3, 0.875)
    yield case(np.array([0]), 1, 0.5)
    for n in range(2, 19):
        yield case(rng.integers(0, n + 1, size=n % 4 + 1), n, (0.9, 0.5, 0.98, 0.84)[n % 4])


def cubic_sparsity(step, start, end, initial, final):
    """Zhu and Gupta's sparsities at `step` (an array): initial before start, final after end."""
    sparsity = np.zeros(step.shape)
    for at in np.ndindex(step.shape):
        left = (end - step[at]) / (end - start)
        left = min(max(left, 0.0), 1.0)
        sparsity[at] = final - (final - initial) * left * left * left
    return sparsity


def cubic_cases(rng):
    yield case(np.array([0, 2, 4]), 0, 4, 0.0, 0.8)
    yield case(np.array([4, 5, 6]), 4, 6, 0.0, 0.8)
    yield case(np.array([3, 9]), 1, 5, 0.25, 0.75)
    yield case(np.array([1, 4]), 3, 5, 0.125, 1.0)
    yield case(np.array([0, 3, 4, 6]), 2, 4, 0.25, 0.25)
    for n in range(1, 17):
        start, length = int(rng.integers(1, 9)), 3 * n
        yield case(start + rng.integers(-3, length + 4, size=n), start, start + length, 0.05 * (n % 3), 0.9)


def surgery_mask(w, mask, low, high):
    """The next mask: False where |w| < low, True where |w| >= high, as before in between."""
    new = np.zeros(w.shape, bool)
    for i in np.ndindex(w.shape):
        if abs(w[i]) >= high:
            new[i] = True
        elif abs(w[i]) >= low:
            new[i] = mask[i]
    return new


def surgery_cases(rng):
    yield case(np.array([0.9, 0.1]), np.array([False, True]), 0.4, 0.6)
    yield case(np.array([0.5, -0.5]), np.array([True, False]), 0.4, 0.6)
    yield case(np.array([-0.9, -0.1]), np.array([False, True]), 0.4, 0.6)
    yield case(np.array([0.5, 0.75, -0.5, -0.75]), np.array([True, False, False, False]), 0.5, 0.75)
    for n in range(1, 17):
        w = rng.integers(-8, 9, size=(n // 5 + 1, n)) / 8
        yield case(w, rng.random(w.shape) < 0.5, (0.25, 0.5)[n % 2], (0.5, 0.75, 0.875)[n % 3])


def drop_and_grow(w, mask, grad, k):
    """The next mask: the k kept of least |w| go; of all then out, the k of largest |grad| come."""
    new = mask.copy()
    for _ in range(k):
        kept = [i for i in np.ndindex(w.shape) if new[i]]
        new[min(kept, key=lambda i: abs(w[i]))] = False
    for _ in range(k):
        out = [i for i in np.ndindex(w.shape) if not new[i]]
        new[max(out, key=lambda i: abs(grad[i]))] = True
    return new


def swap_cases(rng):
    mask = np.array([True, True, False, False])
    yield case(np.array([0.1, -0.7, 0.0, 0.0]), mask, np.array([0.2, 0.9, 0.1, 0.8]), 1)
    yield case(np.array([0.5, -0.7, 0.0, 0.0]), mask, np.array([0.2, 0.9, 0.1, -0.8]), 1)
    yield case(np.array([0.5, 0.7, 0.0, 0.0]), mask, np.array([0.9, 0.2, 0.1, -0.3]), 1)
    yield case(np.array([0.5, 0.7, 0.0, 0.0]), mask, np.array([0.9, 0.2, 0.1, -0.3]), 0)
    yield case(np.array([0.5, 0.5, 0.0]), mask[:3], np.array([0.9, 0.8, 0.1]), 1)  # either: it comes back
    for n in range(2, 18):
        shape = (n // 4 + 1, n)
        mask = rng.permutation(n * shape[0]).reshape(shape) < n * shape[0] // 2
        k = 1 + n % max(int(mask.sum()) - 1, 1)
        yield case(_distinct(rng, shape) * mask, mask, _distinct(rng, shape), k)


def tried_thresholds(holds, start, factor):
    """The thresholds tried: `start`, then one after each verdict (True: the accuracy held).

    Before the first verdict the last good threshold is start / factor. The factor never grows again.
    """
    good, tried = start / factor, [start]
    for held in holds:
        if held:
            good = tried[-1]
        else:
            factor = factor**0.5
        tried.append(good * factor)
    return np.array(tried)


def tried_cases(rng):
    yield case(np.array([True]), 1.0, 4.0)
    yield case(np.array([False]), 1.0, 4.0)
    yield case(np.array([True, False]), 1.0, 4.0)
    yield case(np.array([True, False, True]), 0.5, 16.0)
    yield case(np.array([True, False, False, True]), 1.0, 16.0)
    yield case(np.array([], bool), 0.5, 4.0)
    for n in range(2, 16):
        yield case(rng.random(n) < 0.5, 0.01 * n, (2.0, 1.5, 9.0, 1.2)[n % 4])


def ticket(first, trained, k):
    """Where a ticket starts: the places of the k largest |trained|, with their first values; 0 elsewhere.

    Among equals the lower flat index stays.
    """
    order = sorted(np.ndindex(trained.shape), key=lambda i: -abs(trained[i]))
    start = np.zeros_like(first)
    for i in order[:k]:
        start[i] = first[i]
    return start


def ticket_cases(rng):
    yield case(np.array([1.0, 2.0]), np.array([4.0, 3.0]), 1)
    yield case(np.array([1.0, -2.0, 3.0]), np.array([0.5, -4.0, 3.0]), 1)
    yield case(np.array([1.0, 2.0]), np.array([4.0, 3.0]), 0)
    yield case(np.array([1.0, 2.0, -1.0]), np.array([3.0, 4.0, -3.0]), 2)  # two of one size
    yield case(np.array([[1.0, 2.0], [-1.0, 0.5]]), np.array([[2.0, 4.0], [-2.0, 2.0]]), 2)
    for n in range(1, 18):
        shape = (n // 5 + 1, n // 3 + 1)
        first = _distinct(rng, shape)
        yield case(first, _distinct(rng, shape), max(1, n * first.size // 20))


EXERCISES = (
    Exercise(
        "05.1", iterative_sparsity, iterative_cases, title="The sparsity after some rounds",
        hints=(
            "Two rounds to 75 %: which part of the weights stays after each?",
            "After n rounds 1 - final stays. If each leaves the same part, that part to the power n is it.",
            "The part is (1 - final) ** (1 / n); after i rounds its power i stays, and the rest is zero.",
        ),
        mistakes=MISTAKES["05.1"], rtol=1e-9, atol=1e-12,
    ),
    Exercise(
        "05.2", cubic_sparsity, cubic_cases, title="Zhu and Gupta's cubic",
        hints=(
            "What is the sparsity before start, at start, at end and after end?",
            "Work with the part of the time that is left: 1 at start, 0 at end, and neither more nor less.",
            "final + (initial - final) * left**3; left is (end - step) / (end - start), kept in [0, 1].",
        ),
        mistakes=MISTAKES["05.2"], rtol=1e-9, atol=1e-12,
    ),
    Exercise(
        "05.3", surgery_mask, surgery_cases, title="Two thresholds",
        hints=(
            "There are three zones of |w|. In which of them does the old mask matter?",
            "A weight stays or comes back: which of the two thresholds belongs to which?",
            "True where |w| >= high, and also where the mask was True and |w| >= low.",
        ),
        mistakes=MISTAKES["05.3"],
    ),
    Exercise(
        "05.4", drop_and_grow, swap_cases, title="Drop and grow",
        hints=(
            "The number of kept weights doesn't change. Do the dropping first, wholly, then the growing.",
            "A weight that is out is zero: if it may be chosen for dropping, nothing is dropped.",
            "Infinity for |w| where the mask is False, sort, drop k; -1 for |grad| where kept, sort, add k.",
        ),
        mistakes=MISTAKES["05.4"],
    ),
    Exercise(
        "05.5", tried_thresholds, tried_cases, title="Raise while it holds, back off when it falls",
        hints=(
            "Keep three numbers: the last good threshold, the one tried now, and the factor between them.",
            "Held: the threshold tried becomes the good one. Fell: the factor becomes its square root.",
            "Then the next is good * factor. Before the first verdict, good is start / factor.",
        ),
        mistakes=MISTAKES["05.5"], rtol=1e-9,
    ),
    Exercise(
        "05.6", ticket, ticket_cases, title="A lottery ticket",
        hints=(
            "A ticket takes two things from two networks: places from one, values from the other.",
            "The places are the top k of |trained|; elsewhere the ticket is zero.",
            "Make the mask from abs(trained), multiply the first weights by it, entry by entry.",
        ),
        mistakes=MISTAKES["05.6"],
    ),
)  # fmt: skip
