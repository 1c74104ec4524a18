"""Chapter 09b, vectors and bits by layer: what the exercises ask, how they are checked, what goes wrong.

A learner gains, in this order: the code of a product quantizer, a choice at a price, the best choice
that fits.
"""

import itertools

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch09b_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Vectors, and bits by layer"


def product_index(w, codebooks):
    """For each row of w and each part of it the nearest vector of that part's codebook: ints (rows, parts).

    `codebooks` is (parts, k, d): part p of a row, its entries p * d to p * d + d - 1, chooses among
    codebooks[p]. Nearest in least squares; of equals the first.
    """
    parts, k, d = codebooks.shape
    found = np.zeros((len(w), parts), int)
    for i, p in itertools.product(range(len(w)), range(parts)):
        run = w[i, p * d : (p + 1) * d]
        errors = [float(((run - codebooks[p, j]) ** 2).sum()) for j in range(k)]
        found[i, p] = errors.index(min(errors))
    return found


def product_cases(rng):
    yield case(np.array([[1.0, 4.0]]), np.array([[[0.0], [2.0], [5.0]], [[1.0], [9.0], [3.0]]]))
    yield case(np.array([[0.0, 1.0]]), np.array([[[3.0, 0.0], [0.0, 2.0]]]))
    yield case(
        np.array([[3.0, 0.0, 1.0, 1.0]]), np.array([[[2.0, 2.0], [-1.0, 0.0]], [[0.0, 2.0], [2.0, 2.0]]])
    )
    yield case(np.array([[-2.0, 1.0], [3.0, -1.0]]), np.array([[[2.0], [-3.0]], [[1.5], [-1.0]]]))
    yield case(np.array([[4096.3]]), np.array([[[4096.0], [4096.5]]]))  # squares too long for float32
    for n in range(3, 17):
        parts, k, d = n % 3 + 1, n % 4 + 2, (n // 3) % 3 + 1
        codebooks = rng.integers(-6, 7, (parts, k, d)).astype(float)
        if n % 5 == 0:
            codebooks[:, 1] = codebooks[:, 0]  # of equals the first
        yield case(rng.integers(-6, 7, (n % 2 + 2, parts * d)).astype(float), codebooks)


def choose_at_price(sizes, damages, price):
    """In each row (a layer) the index of the choice of least damage + price * size; of equals the first.

    `sizes` and `damages` have a row for each layer and a column for each choice. Returns an array of ints.
    """
    found = []
    for row, losses in zip(sizes, damages, strict=True):
        cost = [float(d) + price * float(s) for s, d in zip(row, losses, strict=True)]
        found.append(cost.index(min(cost)))
    return np.array(found)


def price_cases(rng):
    yield case(np.array([[1.0, 2.0]]), np.array([[5.0, 1.0]]), 1.0)
    yield case(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[5.0, 1.0], [4.0, 0.0]]), 2.0)
    yield case(np.array([[1.0, 2.0, 4.0]]), np.array([[3.0, 2.0, 0.5]]), 0.0)
    yield case(np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]]), 1.0)
    yield case(np.array([[3.0, 1.0]]), np.array([[1.0, 3.0]]), 1.0)  # equal, the larger first
    for n in range(2, 17):
        sizes = np.cumsum(rng.integers(1, 60, (n // 4 + 2, 3)), axis=1).astype(float)
        damages = rng.exponential(1.0, sizes.shape).round(2)
        if n % 2:  # as layers usually are: what is larger breaks less
            damages = np.sort(damages, axis=1)[:, ::-1].copy()
        yield case(sizes, damages, float(rng.choice([0.003, 0.01, 0.03])))


def allocate(sizes, damages, budget):
    """In each row (a layer) the index of a choice: the least damage in all whose sizes in all fit `budget`.

    Sizes add up, damages add up. The smallest choices fit; of equal damages take the smaller sizes in all.
    """
    best = None
    for choice in itertools.product(range(sizes.shape[1]), repeat=len(sizes)):
        size = sum(float(sizes[i, c]) for i, c in enumerate(choice))
        damage = sum(float(damages[i, c]) for i, c in enumerate(choice))
        if size <= budget and (best is None or (damage, size) < best[:2]):
            best = (damage, size, choice)
    return np.array(best[2])


def budget_cases(rng):
    yield case(np.array([[1, 3]]), np.array([[5.0, 1.0]]), 2)
    yield case(np.array([[1, 3], [1, 2]]), np.array([[5.0, 1.0], [4.0, 2.0]]), 4)
    yield case(np.array([[1, 3, 4], [1, 5, 6]]), np.array([[11.0, 2.0, 0.0], [13.0, 10.0, 3.0]]), 9)
    yield case(np.array([[1, 2], [1, 4]]), np.array([[3.0, 2.0], [9.0, 1.0]]), 5)
    yield case(np.array([[2, 1], [1, 2]]), np.array([[1.0, 3.0], [2.0, 2.0]]), 9)
    yield case(np.array([[1, 2], [4, 1]]), np.array([[5.0, 5.0], [1.0, 1.0]]), 9)
    yield case(np.array([[1, 2], [1, 3], [1, 3]]), np.array([[4.0, 1.0], [3.0, 1.0], [3.0, 1.0]]), 7)
    for n in range(3, 18):
        sizes = np.cumsum(rng.integers(1, 9, (n % 3 + 2, 3)), axis=1)
        damages = rng.permutation(2 ** np.arange(sizes.size)).reshape(sizes.shape) / 4.0
        damages = damages if n % 4 == 0 else np.sort(damages, axis=1)[:, ::-1].copy()
        least, most = int(sizes[:, 0].sum()), int(sizes[:, -1].sum())
        yield case(sizes, damages, least + (most - least) * (n % 5) // 5)


EXERCISES = (
    Exercise(
        "09b.1", product_index, product_cases, title="The code of a product quantizer",
        hints=(
            "Each part of a row chooses alone, in a codebook of its own. Begin with one row and one part.",
            "w.reshape(len(w), parts, 1, d) - codebooks has a difference for each row, part and vector.",
            "Square, sum over the last axis, and take argmin over the axis of the vectors.",
        ),
        mistakes=MISTAKES["09b.1"],
    ),
    Exercise(
        "09b.2", choose_at_price, price_cases, title="A choice at a price",
        hints=(
            "Once bytes have a price, do the layers still depend on each other?",
            "Each layer alone: damage and price times size, both in units of loss. Take the least sum.",
            "The argmin of damages + price * sizes along axis 1.",
        ),
        mistakes=MISTAKES["09b.2"],
    ),
    Exercise(
        "09b.3", allocate, budget_cases, title="The best choice that fits",
        hints=(
            "With few layers you can look at every combination of choices. Which of them may you take?",
            "itertools.product(range(choices), repeat=layers) gives them all; add up sizes and damages.",
            "Of those with size <= budget take the least (damage, size): min(..., key=...) with such a pair.",
        ),
        mistakes=MISTAKES["09b.3"],
    ),
)  # fmt: skip
