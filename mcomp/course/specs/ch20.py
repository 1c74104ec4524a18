"""Chapter 20, choosing: what the exercises ask, how they are checked, what usually goes wrong.

In this order: the front of many networks, a bound from a price for a byte, who comes nearest to a goal, the
area below a front, successive halving.
"""

import itertools

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch20_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Choose"


def pareto_front(nbytes, accuracy):
    """The networks that none beats: their places, by rising bytes, an int array.

    One beats another if it is at most as large and at least as accurate, and differs in one of both. Of
    networks equal in both the first stands for all.
    """
    n, front = len(nbytes), []
    for i in range(n):
        beaten = False
        for j in range(n):
            no_worse = nbytes[j] <= nbytes[i] and accuracy[j] >= accuracy[i]
            equal = nbytes[j] == nbytes[i] and accuracy[j] == accuracy[i]
            beaten = beaten or (no_worse and (not equal or j < i))
        if not beaten:
            front.append(i)
    return np.array(sorted(front, key=lambda i: nbytes[i]), dtype=np.int64)


def front_cases(rng):
    yield case(np.array([5.0]), np.array([0.5]))
    yield case(np.array([3.0, 1.0, 2.0]), np.array([0.9, 0.8, 0.7]))
    yield case(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.6]))
    yield case(np.array([2.0, 2.0, 2.0]), np.array([0.5, 0.7, 0.6]))
    yield case(np.array([2.0, 2.0, 1.0]), np.array([0.7, 0.7, 0.1]))
    yield case(np.array([4.0, 3.0, 2.0, 1.0]), np.array([0.9, 0.8, 0.7, 0.6]))
    yield case(np.array([4.0, 3.0, 2.0, 1.0]), np.array([0.1, 0.2, 0.3, 0.4]))
    yield case(np.array([2.0, 1.0]), np.array([0.5, 0.0]))  # never right, and yet the smallest
    yield case(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.25, 0.375, 0.75, 0.8125]))  # 2 below the line
    for n in range(3, 17):
        nbytes, right = rng.integers(1, n + 3, n), rng.integers(0, n + 2, n)
        yield case(nbytes.astype(float), (right + nbytes) / 64)


def bound(nbytes, error, budget):
    """Below which no choice within the budget can come: the best bound by a price for a byte.

    nbytes and error are (layers, options). Each layer takes one option; bytes and errors add up. At a price
    each layer takes its least error + price * bytes; the sum of these, less price * budget, is a bound. The
    result, a float, is the greatest of all prices from 0 on; inf where not even the smallest options fit.
    """
    if sum(min(row) for row in nbytes.tolist()) > budget:
        return float("inf")
    layers = [list(zip(*pair, strict=True)) for pair in zip(nbytes.tolist(), error.tolist(), strict=True)]
    prices = [0.0]  # and where two options of a layer cost the same: between these it is a straight line
    for options in layers:
        prices += [(x - y) / (b - a) for a, x in options for b, y in options if b > a and x > y]
    return max(sum(min(e + p * n for n, e in row) for row in layers) - p * budget for p in prices)


def bound_cases(rng):
    yield case(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]]), 2.0)
    yield case(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]]), 1.0)
    yield case(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]]), 1.5)  # between two options
    yield case(np.array([[1.0, 2.0]]), np.array([[5.0, 3.0]]), 0.5)  # nothing fits
    yield case(np.array([[2.0, 4.0], [1.0, 5.0]]), np.array([[6.0, 2.0], [9.0, 1.0]]), 6.0)
    yield case(
        np.array([[4.0, 1.0, 2.0]]), np.array([[0.0, 9.0, 8.0]]), 3.0
    )  # the middle one is above the line
    yield case(np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 4.0], [3.0, 2.0]]), 3.0)
    yield case(np.array([[1.0, 3.0, 4.0]]), np.array([[5.0, 2.0, 6.0]]), 4.0)  # large enough: price 0
    yield case(np.array([[1.0, 2.0], [1.0, 3.0]]), np.array([[0.75, 0.25], [0.5, 0.125]]), 2.5)
    for n in range(2, 15):
        layers, options = n % 3 + 1, n % 4 + 2
        nbytes = rng.integers(1, 9, (layers, options)).astype(float)
        error = np.round(16 / nbytes + rng.integers(0, 5, nbytes.shape))
        low, high = nbytes.min(1).sum(), nbytes.max(1).sum()
        yield case(nbytes, error, float(low - 1 if n % 7 == 0 else low + (high - low) * (n % 5) / 5))


def nearest(nbytes, accuracy, limits):
    """Who comes nearest to a goal, and by how much it is missed: (place, missed).

    limits is (most bytes, least accuracy). A network misses it by the part of the bytes that it is above,
    bytes / most - 1, plus what it lacks in accuracy; what is met counts 0. The least miss wins, of equal
    ones that with fewer bytes, then the first.
    """
    most, least = limits
    found = []
    for i in range(len(nbytes)):
        missed = max(0.0, float(nbytes[i]) / most - 1) + max(0.0, least - float(accuracy[i]))
        found.append((missed, float(nbytes[i]), i))
    missed, _, place = min(found)
    return place, missed


def nearest_cases(rng):
    yield case(np.array([4.0, 8.0]), np.array([0.5, 0.75]), (8.0, 0.75))
    yield case(np.array([4.0, 8.0]), np.array([0.5, 0.75]), (4.0, 0.5))
    yield case(np.array([16.0, 4.0]), np.array([0.75, 0.5]), (8.0, 0.75))
    yield case(np.array([4.0, 2.0, 3.0]), np.array([0.75, 0.75, 0.875]), (8.0, 0.5))
    yield case(np.array([12.0, 8.0]), np.array([1.0, 0.5]), (8.0, 0.875))
    yield case(np.array([2.0, 2.0]), np.array([0.5, 0.5]), (4.0, 0.75))
    yield case(np.array([16.0, 12.0]), np.array([0.5, 0.25]), (8.0, 0.0))
    for n in range(3, 16):
        nbytes, right = rng.integers(1, 17, n) * 2.0, rng.integers(0, 17, n) / 16
        yield case(nbytes, right, (float(rng.choice([4, 8, 16])), float(rng.integers(4, 17)) / 16))


def area(nbytes, accuracy, corner):
    """How much of the plane some network beats: a float.

    corner is (bytes, accuracy), worse than all that counts. A network beats every point between it and the
    corner: a rectangle. What two beat counts once; a network outside the corner beats nothing.
    """
    pairs = [(float(n), float(a)) for n, a in zip(nbytes, accuracy, strict=True)]
    inside = [(n, a) for n, a in pairs if n < corner[0] and a > corner[1]]
    edges, total = sorted({n for n, _ in inside} | {corner[0]}), 0.0
    for left, right in itertools.pairwise(edges):
        top = max(a for n, a in inside if n <= left)
        total += (right - left) * (top - corner[1])
    return total


def area_cases(rng):
    yield case(np.array([2.0]), np.array([0.75]), (4.0, 0.5))
    yield case(np.array([1.0, 2.0]), np.array([0.5, 0.75]), (4.0, 0.0))
    yield case(np.array([2.0, 1.0]), np.array([0.5, 0.75]), (4.0, 0.0))
    yield case(np.array([5.0]), np.array([0.75]), (4.0, 0.5))
    yield case(np.array([2.0]), np.array([0.25]), (4.0, 0.5))
    yield case(np.array([2.0, 2.0, 3.0]), np.array([0.5, 0.75, 1.0]), (4.0, 0.25))
    yield case(np.array([5.0, 2.0, 1.0, 3.0]), np.array([1.0, 0.75, 0.25, 0.5]), (4.0, 0.5))
    yield case(np.array([2.75, 1.5]), np.array([1.0, 0.75]), (4.25, 0.5))  # no whole numbers
    for n in range(2, 15):
        nbytes, right = rng.integers(1, 17, n).astype(float), rng.integers(0, 17, n) / 16
        yield case(nbytes, right, (float(rng.integers(8, 18)), float(rng.integers(0, 8)) / 16))


def halving(scores, factor):
    """Who wins successive halving, and the epochs that it costs: (place, epochs).

    scores is (networks, rungs), known in advance here. Rung r trains all who are left from the beginning, for
    factor ** r epochs each, and looks at scores[:, r]. The best len // factor go on, one at least; of equal
    ones the earlier. After the last rung the best of those who were on it has won.
    """
    left, epochs = list(range(scores.shape[0])), 0
    for rung in range(scores.shape[1]):
        epochs += len(left) * factor**rung
        left = sorted(left, key=lambda i: (-scores[i, rung], i))
        if rung < scores.shape[1] - 1:
            left = left[: max(1, len(left) // factor)]
    return left[0], epochs


def halving_cases(rng):
    yield case(np.array([[0.5, 0.7], [0.6, 0.65]]), 2)
    yield case(np.array([[0.5], [0.75], [0.25]]), 2)
    yield case(np.array([[0.5, 0.25], [0.5, 0.75]]), 2)  # equal: the earlier goes on
    yield case(np.array([[0.1, 0.9], [0.2, 0.1], [0.3, 0.2], [0.4, 0.3]]), 2)
    yield case(np.array([[0.3, 0.2, 0.9], [0.4, 0.3, 0.1], [0.1, 0.9, 0.9], [0.2, 0.8, 0.8]]), 2)
    yield case(np.array([[0.1, 0.2], [0.2, 0.1]]), 3)  # 2 // 3 is 0: one goes on
    yield case(np.array([[0.5, 0.5], [0.75, 0.5], [0.25, 0.9], [0.125, 0.9]]), 2)  # equal on the last rung
    for n in range(4, 18):
        noise = rng.integers(0, 33, (n, n % 3 + 1)) / 64
        yield case(noise + rng.integers(0, 17, (n, 1)) / 64, (2, 3)[n % 2])


EXERCISES = (
    Exercise(
        "20.1", pareto_front, front_cases, title="The front, without comparing all pairs",
        hints=(
            "Sort once. Which of those before it can beat a network, if they come by rising bytes?",
            "Of equal bytes the most accurate first; then a network stays if it tops all before it.",
            "order by (bytes, -accuracy, place), then keep where accuracy is above the best so far",
        ),
        mistakes=MISTAKES["20.1"],
    ),
    Exercise(
        "20.2", bound, bound_cases, title="What no choice can beat",
        hints=(
            "At one price the layers are independent: a least cost for each, added up, less price * budget.",
            "The bound rises and falls in straight pieces. Its top is at price 0 or where a layer changes.",
            "Prices to try: 0 and (x - y) / (b - a) for each two options (a, x), (b, y) of a layer with b > a"
            " and x > y; look first whether nbytes.min(1).sum() fits.",
        ),
        mistakes=MISTAKES["20.2"], rtol=1e-9, atol=1e-9,
    ),
    Exercise(
        "20.3", nearest, nearest_cases, title="Nobody meets the goal: who comes nearest?",
        hints=(
            "Two misses, each 0 where the limit is met; how large is each where it isn't?",
            "max(0, bytes / most - 1) + max(0, least - accuracy), without a bonus for what is better.",
            "The smallest tuple (missed, bytes, place) tells both the place and by how much.",
        ),
        mistakes=MISTAKES["20.3"], rtol=1e-9, atol=1e-12,
    ),
    Exercise(
        "20.4", area, area_cases, title="The area below the front",
        hints=(
            "Cut the plane into upright strips at the bytes of the networks. How high is a strip?",
            "Between two neighbours the height is the best accuracy of all at or left of the strip.",
            "Sort by bytes, take the running maximum of accuracy, times the distance to the next; the last "
            "strip ends at the corner. Leave out who lies beyond it.",
        ),
        mistakes=MISTAKES["20.4"], rtol=1e-9, atol=1e-12,
    ),
    Exercise(
        "20.5", halving, halving_cases, title="Successive halving",
        hints=(
            "Count the epochs before anybody goes: all who are left are trained on this rung.",
            "sorted(left, key=lambda i: (-scores[i, rung], i)), cut to max(1, len(left) // factor).",
            "After the last rung nobody has to go: the first of the sorted ones has won.",
        ),
        mistakes=MISTAKES["20.5"],
    ),
)  # fmt: skip
