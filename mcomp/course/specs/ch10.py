"""Chapter 10, low rank: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: when two factors save, the rotation that builds an SVD, the nearest matrix of
a rank and its error, the nearest in its outputs, a rank by energy, ranks for many layers, the convolution as
a matrix.
"""

import itertools
import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch10_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Low rank"


def saving_rank(w):
    """The largest rank at which two factors hold fewer numbers than the matrix w, or 0."""
    (m, n), best = w.shape, 0
    for rank in range(1, m * n + 1):
        if m * rank + rank * n < m * n:
            best = rank
    return best


def saving_cases(rng):
    for m, n in ((2, 3), (3, 2), (2, 2), (4, 3), (1, 9), (4, 13), (4, 4), (6, 3), (5, 20), (12, 6)):
        yield case(np.ones((m, n)))
    for n in range(1, 12):
        yield case(rng.normal(size=(int(rng.integers(1, 30)), int(rng.integers(1, 30)) + n)))


def rotate(p, q):
    """Turn p and q among themselves, by at most 45 degrees, until orthogonal: (new p, new q).

    Of equal length: by 45 degrees, new p being the longer. Orthogonal already: they stay as they are.
    """
    alpha, beta, gamma = sum(p * p), sum(q * q), sum(p * q)
    sign = -1 if alpha < beta else 1
    angle = math.atan2(2 * sign * gamma, abs(alpha - beta)) / 2  # within 45 degrees; 0 for 0/0
    new_p, new_q = np.zeros(len(p)), np.zeros(len(q))
    for i in range(len(p)):
        new_p[i] = math.cos(angle) * p[i] + math.sin(angle) * q[i]
        new_q[i] = math.cos(angle) * q[i] - math.sin(angle) * p[i]
    return new_p, new_q


def rotate_cases(rng):
    yield case(np.array([2.0, 0.0]), np.array([1.0, 1.0]))
    yield case(np.array([1.0, 1.0]), np.array([0.0, 3.0]))
    yield case(np.array([3.0, 0.0]), np.array([0.0, 1.0]))
    yield case(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    yield case(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    yield case(np.array([2.0, 1.0]), np.array([1.0, 2.0]))
    yield case(np.array([2.0, 1.0]), np.array([1.0, -2.0]))
    yield case(np.array([2.0, 1.0]), np.array([-1.0, -2.0]))
    yield case(np.array([1.0, 2.0]), np.array([1.0, -2.0]))
    yield case(np.array([2.0, 1.0]), np.array([1.0, 1.98]))  # nearly as long
    for n in range(2, 16):
        size = n % 4 + 2
        yield case(rng.normal(size=size).round(1), (0.5, 1.0, 2.0)[n % 3] * rng.normal(size=size).round(1))


def nearest_rank(w, rank):
    """(near, error): the nearest matrix to w of that rank, and its squared distance from w, one number."""
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    near = np.zeros_like(w)
    for i in range(rank):
        near = near + s[i] * np.outer(u[:, i], vt[i, :])
    return near, float(((w - near) ** 2).sum())


def nearest_cases(rng):
    yield case(np.array([[2.0, 0.0], [0.0, 1.0]]), 1)
    yield case(np.array([[3.0, 1.0, 1.0], [-1.0, 3.0, 1.0]]), 1)
    for n in range(1, 19):
        m = n % 3 + 2
        shape = ((m, m), (m, m + 2), (m + 1, m))[n % 3]
        yield case(rng.normal(size=shape).round(1), n % m + 1)


def whitened(w, x, rank):
    """The matrix (out, in) of that rank whose outputs for the inputs x (samples, in) are nearest to w's.

    Nearest in the sum of squares, inputs as they are. x.T @ x has an inverse.
    """
    factor = np.linalg.cholesky(x.T @ x)  # x.T @ x = factor @ factor.T
    u, s, vt = np.linalg.svd(w @ factor)
    near = np.zeros_like(w)
    for i in range(rank):
        near = near + s[i] * np.outer(u[:, i], vt[i, :])
    return near @ np.linalg.inv(factor)


def whitened_cases(rng):
    yield case(np.array([[1.0, 2.0], [3.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), 1)
    for n in range(1, 18):
        m, inputs = n % 4 + 2, n % 3 + 3
        x = (rng.normal(size=(inputs + 3, inputs)) * rng.uniform(0.3, 3, size=inputs) + 0.5).round(1)
        yield case(rng.normal(size=(m, inputs)).round(1), x, n % (min(m, inputs) - 1) + 1)


def energy_rank(s, energy):
    """The least rank whose singular values hold the fraction `energy` of the sum of squares; 0 for 0."""
    total = sum(x**2 for x in s)
    for rank in range(len(s) + 1):
        if sum(x**2 for x in s[:rank]) >= energy * total:
            return rank
    return len(s)


def energy_cases(rng):
    yield case(np.array([4.0, 3.0]), 0.5)
    yield case(np.array([2.0, 1.0, 1.0, 1.0, 1.0]), 0.5)  # exactly half in the first
    yield case(np.array([3.0, 2.0, 1.0]), 0.0)
    yield case(np.array([0.5, 0.25]), 0.9)
    yield case(np.array([2.0, 0.0]), 1.0)  # a zero holds nothing
    for n in range(1, 17):
        s = np.sort(rng.integers(1, 40, size=n + 1) / 4.0)[::-1].copy()
        yield case(s, (0.5, 0.75, 0.9, 0.95)[n % 4])


def budget_ranks(spectra, costs, budget):
    """Buy by s²/cost, the best first, until the next one doesn't fit: a rank for each name, 0 too.

    `spectra` and `costs` are dicts by layer: the falling values, the price of one rank.
    """
    ranks = dict.fromkeys(spectra, 0)
    while True:
        best, most = None, 0.0
        for name, s in spectra.items():
            if ranks[name] < len(s) and s[ranks[name]] ** 2 / costs[name] > most:
                best, most = name, s[ranks[name]] ** 2 / costs[name]
        if best is None or costs[best] > budget:
            return ranks
        ranks[best] += 1
        budget -= costs[best]


def budget_cases(rng):
    yield case({"a": np.array([3.0, 1.0]), "b": np.array([2.0, 1.5])}, {"a": 1, "b": 1}, 2)
    yield case({"a": np.array([3.0, 2.5]), "b": np.array([2.0])}, {"a": 9, "b": 2}, 11)
    yield case({"a": np.array([5.0, 4.0]), "b": np.array([1.0, 0.5])}, {"a": 6, "b": 1}, 8)
    yield case({"a": np.array([3.0]), "b": np.array([2.0])}, {"a": 5, "b": 7}, 0)
    yield case({"a": np.array([3.0]), "b": np.array([2.0])}, {"a": 5, "b": 7}, 99)
    for n in range(1, 16):
        sizes = {"conv": n % 3 + 2, "fc1": n % 4 + 3, "fc2": 2}
        spectra = {name: np.sort(rng.gamma(2.0, size=k).round(2))[::-1].copy() for name, k in sizes.items()}
        costs = dict(zip(sizes, map(int, rng.permutation(11)[:3] + 2), strict=True))
        total = sum(costs[name] * k for name, k in sizes.items())
        yield case(spectra, costs, total * (n % 5 + 1) // 6)


def spatial_matrix(w):
    """Weights (out, in, kh, kw) as a matrix: rows (out, kw), columns (in, kh), the last of each fastest."""
    out, inputs, kh, kw = w.shape
    matrix = np.zeros((out * kw, inputs * kh))
    for o, i, y, x in itertools.product(range(out), range(inputs), range(kh), range(kw)):
        matrix[o * kw + x, i * kh + y] = w[o, i, y, x]
    return matrix


def spatial_cases(rng):
    yield case(np.arange(8.0).reshape(2, 1, 2, 2))
    yield case(np.arange(12.0).reshape(1, 2, 3, 2))
    for n in range(1, 18):
        yield case(rng.integers(-9, 10, size=(n % 3 + 1, n % 2 + 1, n % 4 + 1, n % 3 + 2)).astype(float))


EXERCISES = (
    Exercise(
        "10.1", saving_rank, saving_cases, title="When two factors save",
        hints=(
            "How many numbers do a matrix (m, r) and a matrix (r, n) hold together?",
            "They hold r (m + n) numbers, the matrix m n. Fewer means fewer: at equality nothing is saved.",
            "The largest whole r with r (m + n) < m n is (m * n - 1) // (m + n).",
        ),
        mistakes=MISTAKES["10.1"],
    ),
    Exercise(
        "10.2", rotate, rotate_cases, title="Two columns, made orthogonal",
        hints=(
            "You know the squared length of each vector, and their product. Which angle does it?",
            "Write down the product of the new vectors and set it to zero: tan of twice the angle follows.",
            "tan(2 angle) = 2 p·q / (p·p − q·q); half of its arctan lies within 45 degrees. 0/0: leave them.",
        ),
        mistakes=MISTAKES["10.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "10.3", nearest_rank, nearest_cases, title="The nearest matrix of a rank",
        hints=(
            "The singular value decomposition writes w as a sum of matrices of rank 1, the largest first.",
            "Keep the first `rank` terms. What is missing are the others, and they are orthogonal.",
            "np.linalg.svd gives u, s and v transposed: u[:, :r] * s[:r] @ vt[:r], error sum(s[r:]**2).",
        ),
        mistakes=MISTAKES["10.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "10.4", whitened, whitened_cases, title="Nearest in the outputs",
        hints=(
            "The squared distance of the outputs is the trace of D (xᵀx) Dᵀ, where D is w minus your matrix.",
            "With xᵀx = L Lᵀ it is the squared length of D L. Which plain problem is this, for which matrix?",
            "Truncate the SVD of w @ L, then multiply by the inverse of L from the right.",
        ),
        mistakes=MISTAKES["10.4"], rtol=1e-6, atol=1e-8,
    ),
    Exercise(
        "10.5", energy_rank, energy_cases, title="A rank by energy",
        hints=(
            "The squared length of a matrix is the sum of the squares of its singular values.",
            "Add up the squares from the largest on, and stop as soon as the part reaches `energy`.",
            "With the running sums of s**2 and a zero before them, count how many are below energy * total.",
        ),
        mistakes=MISTAKES["10.5"],
    ),
    Exercise(
        "10.6", budget_ranks, budget_cases, title="Ranks for many layers",
        hints=(
            "You buy singular values. What does one give you, and what does it cost?",
            "It takes s² off the error and costs the layer's price: buy by s² / cost, the best first.",
            "Put all (s²/cost, name) into one list, sort it falling, buy in that order, stop at a misfit.",
        ),
        mistakes=MISTAKES["10.6"],
    ),
    Exercise(
        "10.7", spatial_matrix, spatial_cases, title="A convolution as a matrix",
        hints=(
            "The first thin convolution holds input channels and rows, the second outputs and columns.",
            "A reshape can't reorder: bring the axes into the order (out, kw, in, kh) first.",
            "In numpy w.transpose(0, 3, 1, 2), in torch w.permute(0, 3, 1, 2); then reshape.",
        ),
        mistakes=MISTAKES["10.7"],
    ),
)  # fmt: skip
