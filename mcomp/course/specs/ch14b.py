"""Chapter 14b, tasks and ensembles: what the exercises ask, how they are checked, what goes wrong.

In this order: trim, elect, merge, drop; two networks side by side, a balanced gate, a stitching layer.
"""

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch14b_mistakes import MISTAKES, QUIZ
from mcomp.course.specs.ch14b_networks import (
    balance_loss,
    beside,
    beside_cases,
    gate_cases,
    stitch_cases,
    stitching,
)

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Tasks and ensembles"


def trim(vectors, k):
    """Each task's vector with zeros but at its k entries of largest magnitude: (tasks, n).

    vectors is (tasks, n), one row a task; k from 0 to n. Exactly k places of each task stay as they were; of
    equal magnitudes the lower index stays.
    """
    trimmed = np.zeros(vectors.shape)
    for task, vector in enumerate(vectors):
        order = sorted(range(len(vector)), key=lambda i: -abs(float(vector[i])))
        for i in order[:k]:
            trimmed[task, i] = vector[i]
    return trimmed


def trim_cases(rng):
    yield case(np.array([[1.0, -3.0]]), 1)
    yield case(np.array([[2.0, 1.0, -3.0]]), 2)
    yield case(np.array([[1.0, 2.0, 0.0], [9.0, 8.0, 7.0]]), 1)
    yield case(np.array([[2.0, -2.0, 1.0]]), 1)
    yield case(np.array([[1.0, -2.0]]), 0)
    yield case(np.array([[1.0, -2.0], [0.0, 3.0]]), 2)
    yield case(np.array([[1.0, 5.0, -5.0, 5.0], [-4.0, 3.0, 4.0, 4.0]]), 2)
    for n in range(3, 14):
        size = n % 5 + 3
        vectors = rng.normal(size=(n % 3 + 1, size)).round(1)
        if n % 2:
            vectors = rng.integers(-4, 5, vectors.shape).astype(float)  # with equals
        yield case(vectors / (1 + np.arange(len(vectors)))[:, None], n % size)


def elect(vectors):
    """The sign of each place, that of the sum over the tasks: (n,) of -1 and 1.

    vectors is (tasks, n). A place whose sum is exactly 0 gets the sign that more of the other places have; 1,
    if as many have each.
    """
    sums = [sum(float(v) for v in place) for place in vectors.T]
    plus, minus = sum(s > 0 for s in sums), sum(s < 0 for s in sums)
    most = 1.0 if plus >= minus else -1.0
    return np.array([1.0 if s > 0 else -1.0 if s < 0 else most for s in sums])


def elect_cases(rng):
    yield case(np.array([[2.0]]))
    yield case(np.array([[-3.0], [1.0], [1.0]]))
    yield case(np.array([[1.0, -1.0], [-1.0, -2.0]]))
    yield case(np.array([[1.0], [-1.0]]))
    yield case(np.array([[-0.02, 1.0, 1.0]]))  # small isn't 0
    yield case(np.array([[1.0, -1.0, 2.0], [1.0, -1.0, -2.0]]))
    yield case(np.array([[-1.0, -2.0, -1.0, 0.0]]))
    yield case(np.array([[2.0, 1.0, 1.0, -3.0], [-1.0, 1.0, 2.0, 3.0]]))
    yield case(np.array([[9.0, -1.0, -1.0, 2.0], [1.0, -1.0, -1.0, -2.0]]))
    yield case(np.array([[-9.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.5, 0.0]]))
    yield case(np.array([[-2.0, 1.0, -1.0, -3.0], [1.0, 1.0, -1.0, 0.0], [1.0, -3.0, 0.0, 3.0]]))
    for n in range(2, 14):
        tasks, shift = n % 3 + 2, (-1, 0, 1)[n // 2 % 3] / 2
        vectors = rng.integers(-3, 4, (tasks, n // 2 + 2)) / 2 + shift
        for place in rng.integers(0, vectors.shape[1], n % 3 + 1):
            vectors[-1, place] = -vectors[:-1, place].sum()  # a sum of exactly 0
        yield case(vectors)


def merge_agreeing(vectors, signs):
    """The mean, at each place, over the tasks whose entry there is not 0 and has the elected sign: (n,).

    vectors is (tasks, n), signs (n,) of -1 and 1. Where no task agrees, 0.
    """
    merged = np.zeros(len(signs))
    for place, sign in enumerate(signs):
        agree = [float(v) for v in vectors[:, place] if v * sign > 0]
        if agree:
            merged[place] = sum(agree) / len(agree)
    return merged


def merge_cases(rng):
    yield case(np.array([[2.0], [4.0]]), np.array([1.0]))
    yield case(np.array([[1.0], [0.0]]), np.array([1.0]))
    yield case(np.array([[3.0, -1.0], [1.0, -3.0], [-2.0, 1.0]]), np.array([1.0, -1.0]))
    yield case(np.array([[2.0, 1.0], [0.0, -4.0]]), np.array([-1.0, -1.0]))
    yield case(np.array([[4.0, 0.0, -6.0], [0.0, 0.0, -2.0]]), np.array([1.0, 1.0, -1.0]))
    yield case(np.array([[5.0, -1.0], [-1.0, 2.0], [-2.0, 0.0]]), np.array([-1.0, 1.0]))
    for n in range(2, 15):
        vectors = rng.integers(-4, 5, (n % 3 + 2, n // 2 + 1)) / 2
        vectors[rng.random(vectors.shape) < 0.25] = 0
        yield case(vectors, rng.choice([-1.0, 1.0], vectors.shape[1]))


def dare(base, tuned, u, drop):
    """The weights after DARE: base plus what is left of the change that fine-tuning made.

    An entry of the change is dropped where u < drop; the others are scaled, so that on average over u the
    change is what it was. base, tuned, u have one shape; u was drawn evenly from [0, 1); drop is in [0, 1).
    """
    weights = np.array(base, float)
    for i in np.ndindex(weights.shape):
        if u[i] >= drop:
            weights[i] += (float(tuned[i]) - float(base[i])) / (1 - drop)
    return weights


def dare_cases(rng):
    yield case(np.array([1.0]), np.array([2.0]), np.array([0.8]), 0.5)
    yield case(np.array([1.0]), np.array([2.0]), np.array([0.2]), 0.5)
    yield case(np.array([1.0, 1.0]), np.array([3.0, 5.0]), np.array([0.1, 0.9]), 0.75)
    yield case(np.array([2.0, 4.0]), np.array([3.0, 2.0]), np.array([0.5, 0.25]), 0.5)
    yield case(np.array([2.0, 1.0]), np.array([1.0, 4.0]), np.array([0.0, 0.5]), 0.0)
    yield case(np.array([[1.0, 0.0], [-1.0, 2.0]]), np.array([[0.0, 3.0], [1.0, 2.0]]), np.eye(2) / 2, 0.2)
    for n in range(2, 15):
        shape = (n // 4 + 1, n % 4 + 1) if n % 2 else (n // 2 + 1,)
        base, tuned = (rng.normal(size=shape).round(1) for _ in range(2))
        yield case(base, tuned, rng.integers(0, 10, shape) / 10, (0.9, 0.5, 0.2, 0.8)[n % 4])


EXERCISES = (
    Exercise(
        "14b.1", trim, trim_cases, title="Trim",
        hints=(
            "A change of -3 is as large as one of 3. And each row has a ranking of its own.",
            "A threshold lets too many pass where magnitudes are equal: sort the indices, take the first k.",
            "order = np.argsort(-abs(vectors), axis=1, kind='stable')[:, :k]; put the old entries there",
        ),
        mistakes=MISTAKES["14b.1"],
    ),
    Exercise(
        "14b.2", elect, elect_cases, title="Elect",
        hints=(
            "Tasks don't vote with one voice each: a large change counts for more. Add them up.",
            "Take the signs of the sums first. The zeros among them then follow the sum of all these signs.",
            "s = np.sign(vectors.sum(0)); np.where(s == 0, 1 if s.sum() >= 0 else -1, s)",
        ),
        mistakes=MISTAKES["14b.2"],
    ),
    Exercise(
        "14b.3", merge_agreeing, merge_cases, title="Merge what agrees",
        hints=(
            "How many tasks share the work at a place? Neither all of them, nor all that are not 0.",
            "agree = vectors * signs > 0 says who counts. Add those up, divide by how many they are.",
            "(vectors * agree).sum(0) / np.maximum(agree.sum(0), 1)",
        ),
        mistakes=MISTAKES["14b.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14b.4", dare, dare_cases, title="Drop and rescale",
        hints=(
            "Dropping a change means: the weight is what it was before fine-tuning, not 0.",
            "With drop = 0.75 one change in four is left. By which factor must it grow?",
            "base + np.where(u < drop, 0, tuned - base) / (1 - drop)",
        ),
        mistakes=MISTAKES["14b.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14b.5", beside, beside_cases, title="Two networks side by side",
        hints=(
            "All hidden units read the same input; inside, a's units must not hear b's; at the end they "
            "meet.",
            "First: rows below each other. Inside: blocks on the diagonal, zeros elsewhere. Last: columns, "
            "/ 2.",
            "np.vstack for the first; np.block([[v, zeros], [zeros, w]]) inside; np.hstack([v, w]) / 2 last",
        ),
        mistakes=MISTAKES["14b.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14b.6", balance_loss, gate_cases, title="A loss that balances the experts",
        hints=(
            "f counts inputs: each gives its one vote to the expert of its largest gate. P is a plain mean.",
            "An expert that nobody chose has f = 0; it must not drop out of the array.",
            "f = np.bincount(gates.argmax(1), minlength=n) / len(gates); n * (f * gates.mean(0)).sum()",
        ),
        mistakes=MISTAKES["14b.6"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14b.7", stitching, stitch_cases, title="A stitching layer",
        hints=(
            "The bias is one more unknown. Which feature would have it as its weight?",
            "Append a column of ones to `lower`, solve by least squares, take the last row apart. Mind the "
            ".T.",
            "c = np.linalg.lstsq(np.c_[lower, np.ones(len(lower))], upper, rcond=None)[0]; c[:-1].T, c[-1]",
        ),
        mistakes=MISTAKES["14b.7"], rtol=1e-5, atol=1e-7,
    ),
)  # fmt: skip
