"""Chapter 18b, repairing a transformer: what the exercises ask, how they are checked, what goes wrong.

In this order: the weights that stay make up, an update beside a weight merged into it, neighbours that stay.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch18b_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Repairing a transformer"


def made_up(w, h, keep):
    """The row w (n,) with zeros where keep (n,) is False, the others moved so that the output changes least.

    h (n, n) is the mean of the inputs' products x_i x_j: a change d of the row costs d @ h @ d. At least one
    weight stays.
    """
    stay, go = ([j for j, stays in enumerate(keep) if bool(stays) == wanted] for wanted in (True, False))
    lost = [sum(float(h[i, j]) * float(w[j]) for j in go) for i in stay]
    moved = np.linalg.solve([[float(h[i, j]) for j in stay] for i in stay], lost)
    v = np.zeros(len(w))
    for i, move in zip(stay, moved, strict=True):
        v[i] = float(w[i]) + move
    return v


def _products(rng, size):
    """Of inputs that go along with each other, of sizes apart."""
    x = rng.normal(size=(3 * size, size)) + rng.normal(size=(3 * size, 1))
    x = x * rng.choice([0.5, 1.0, 2.0], size)
    return (x.T @ x / len(x)).round(3) + 0.05 * np.eye(size)


def made_up_cases(rng):
    yield case(np.array([2.0, 1.0]), np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([True, False]))
    yield case(np.array([2.0, 1.0]), np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([False, True]))
    yield case(np.array([3.0, -1.0]), np.array([[1.0, 0.0], [0.0, 4.0]]), np.array([True, False]))
    yield case(np.array([1.0, 2.0]), np.array([[4.0, 1.0], [1.0, 1.0]]), np.array([True, True]))
    h = np.array([[2.0, 1, 0, 1], [1, 2, 1, 0], [0, 1, 2, 0], [1, 0, 0, 3]])
    yield case(np.array([1.0, -2.0, 3.0, 0.5]), h, np.array([True, False, True, False]))
    yield case(np.array([1.0, -2.0, 3.0, 0.5]), h, np.array([False, True, False, False]))
    for n in range(2, 15):
        size = n % 4 + 3
        keep = np.arange(size) < n % (size - 2) + 1
        w = rng.normal(size=size).round(2) + rng.choice([-0.5, 0.5], size)
        yield case(w, _products(rng, size), rng.permutation(keep))


def merged(w, down, up, alpha):
    """One weight (out, in) that does what w (out, in) and LoRA beside it do: w x + alpha / rank up (down x).

    down is (rank, in), up is (out, rank).
    """
    out, rank = np.array(w, dtype=float), len(down)
    for i in range(len(w)):
        for j in range(w.shape[1]):
            beside = sum(float(up[i, r]) * float(down[r, j]) for r in range(rank))
            out[i, j] = float(w[i, j]) + alpha / rank * beside
    return out


def merged_cases(rng):
    yield case(np.array([[1.0]]), np.array([[2.0]]), np.array([[3.0]]), 1.0)
    yield case(np.array([[1.0, 0.0]]), np.array([[2.0, -1.0]]), np.array([[3.0]]), 2.0)
    yield case(np.eye(2), np.array([[1.0, 2.0]]), np.array([[1.0], [0.0]]), 1.0)
    yield case(np.eye(2), np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 3.0]]), 4.0)
    yield case(np.ones((1, 3)), np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]), np.array([[0.0, 0.0]]), 8.0)
    for n in range(2, 14):
        rank, out, size = n % 3 + 1, n % 4 + 2, n % 2 + 3
        parts = (rng.normal(size=shape).round(1) for shape in ((out, size), (rank, size), (out, rank)))
        yield case(*parts, float(rng.choice([1.0, 4.0, 16.0])))


def kept_neighbours(before, after, k):
    """The part of the k nearest others of each vector that stay its k nearest: the mean of all, a float.

    before and after are (n, d): the same n vectors in two versions. Nearest is the largest cosine, and nobody
    is its own neighbour. k is at most n - 1; no two cosines of a vector are equal.
    """
    n, kept = len(before), 0
    for i in range(n):
        near = []
        for version in (before, after):
            v = [[float(x) for x in row] for row in version]
            size = [math.sqrt(sum(x * x for x in row)) for row in v]
            like = {
                j: sum(a * b for a, b in zip(v[i], v[j], strict=True)) / (size[i] * size[j])
                for j in range(n)
                if j != i
            }
            near.append(set(sorted(like, key=like.get, reverse=True)[:k]))
        kept += len(near[0] & near[1])
    return kept / (n * k)


def _clear(v):
    """Whether no two cosines of a vector are close, so that all ways to compute them agree."""
    unit = v / np.sqrt((v**2).sum(1, keepdims=True))
    like = np.sort(unit @ unit.T + 9 * np.eye(len(v)), axis=1)[:, :-1]
    return len(v) < 3 or bool((np.diff(like, axis=1) > 0.003).all())


def neighbour_cases(rng):
    around = np.array([[1.0, 0.0], [0.9, 0.2], [0.2, 1.0]])
    yield case(around, around, 1)
    yield case(around, np.array([[1.0, 0.0], [0.1, 0.9], [0.2, 1.0]]), 1)
    yield case(around, np.array([[1.0, 0.0], [0.1, 0.9], [0.2, 1.0]]), 2)
    yield case(
        np.array([[1.0, 0.0], [8.0, 9.0], [0.9, 0.3]]), np.array([[1.0, 0.0], [0.8, 0.9], [9.0, 3.0]]), 1
    )
    yield case(np.array([[1.0], [-2.0]]), np.array([[3.0], [1.0]]), 1)
    for m in range(2, 16):
        n, d, k = m % 4 + 4, m % 2 + 2, m % 3 + 1
        while True:
            before = rng.normal(size=(n, d)).round(2) + 0.4
            after = (before + 0.8 * rng.normal(size=(n, d)).round(2)) * rng.choice([0.3, 1.0, 3.0], (n, 1))
            if _clear(before) and _clear(after):
                break
        yield case(before, after, k)


EXERCISES = (
    Exercise(
        "18b.1", made_up, made_up_cases, title="Those that stay make up",
        hints=(
            "Write d = v - w. Where a weight goes d is known; for the rest the slope of d @ h @ d is 0.",
            "For those that stay: h[stay, stay] (v - w)[stay] = h[stay, go] w[go], a system of equations.",
            "v[keep] = w[keep] + solve(h[keep][:, keep], h[keep][:, ~keep] @ w[~keep]); 0 elsewhere.",
        ),
        mistakes=MISTAKES["18b.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "18b.2", merged, merged_cases, title="An update becomes weight",
        hints=(
            "Both are linear in x: write the sum as one matrix times x.",
            "up (down x) = (up @ down) x, of the shape (out, in), whatever the rank is.",
            "w + alpha / len(down) * (up @ down)",
        ),
        mistakes=MISTAKES["18b.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "18b.3", kept_neighbours, neighbour_cases, title="Neighbours that stay",
        hints=(
            "Make all vectors one long: then one matrix product has every cosine.",
            "Put -infinity on the diagonal, and take the k largest of each row, before and after.",
            "Count what both sets of a row share, over n * k.",
        ),
        mistakes=MISTAKES["18b.3"], rtol=1e-9,
    ),
)  # fmt: skip
