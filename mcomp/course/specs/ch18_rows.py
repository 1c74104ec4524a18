"""Chapter 18, a weight is rounded and others make up: what 18.2 and 18.3 ask, and their cases."""

import math

import numpy as np

from mcomp.course.model import case


def round_one(w, inverse, j, value):
    """Weight j of w (n,) becomes `value`, the others make up for it: (weights (n,), inverse (n, n)).

    inverse is that of H, which says what an error d costs: d @ H @ d / 2. Row and column j of the inverse
    that comes back are 0: weight j takes no part any more.
    """
    n, moved, left = len(w), [float(v) for v in w], np.zeros(inverse.shape)
    error = (float(w[j]) - value) / float(inverse[j, j])
    for i in range(n):
        moved[i] = value if i == j else float(w[i]) - error * float(inverse[i, j])
        for k in range(n):
            if i != j and k != j:
                left[i, k] = float(inverse[i, k]) - float(inverse[i, j] * inverse[j, k] / inverse[j, j])
    return np.array(moved), left


def one_cases(rng):
    yield case(np.array([0.5, 1.0]), np.eye(2), 0, 0.0)
    yield case(np.array([0.4, 0.3]), np.array([[1.0, -1.0], [-1.0, 2.0]]), 0, 0.0)
    yield case(np.array([0.4, 0.3]), np.array([[1.0, -1.0], [-1.0, 2.0]]), 1, 1.0)
    yield case(np.array([1.5, -0.5, 2.0]), np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 2]]), 1, -1.0)
    yield case(np.array([2.0]), np.array([[4.0]]), 0, 1.5)
    for n in range(2, 14):
        size = n % 4 + 2
        x = rng.normal(size=(size + 4, size)).round(1)
        inverse = np.linalg.inv(x.T @ x / len(x) + 0.1 * np.eye(size))
        yield case(rng.normal(size=size).round(2), inverse, n % size, float(rng.integers(-2, 3)) / 2)


def gptq_row(w, factor, step):
    """The weights w (n,), from first to last, at multiples of `step`; those behind make up: (n,).

    factor is upper triangular with factor.T @ factor the inverse of H. Weight j is rounded, halves to the
    even multiple; its error, as it then is, over factor[j, j] is subtracted factor[j, k] times from each
    weight k behind it.
    """
    w = [float(v) for v in w]
    for j in range(len(w)):
        rounded = step * round(w[j] / step)
        error = (w[j] - rounded) / float(factor[j, j])
        for k in range(j + 1, len(w)):
            w[k] -= error * float(factor[j, k])
        w[j] = rounded
    return np.array(w)


def _factor(rng, size):
    """Of inputs that go along with each other, of sizes far from 1: what is divided by shows."""
    x = rng.normal(size=(3 * size, size)).round(1) + 2 * rng.normal(size=(3 * size, 1)).round(1)
    x = x * rng.choice([0.3, 3.0]) * rng.choice([0.5, 1.0, 2.0], size)
    hessian = x.T @ x / len(x) + 0.05 * np.eye(size)
    return np.linalg.cholesky(np.linalg.inv(hessian)).T


def row_cases(rng):
    yield case(np.array([0.4, 0.3]), np.array([[1.0, -1.0], [0.0, 1.0]]), 1.0)
    yield case(np.array([0.4, 1.3]), np.eye(2), 0.5)
    yield case(np.array([0.5, -0.5, 2.5, -1.5]), np.eye(4), 1.0)  # halves
    yield case(np.array([0.6, 0.2, 0.8]), np.array([[2.0, 1, -1], [0, 1, 0.5], [0, 0, 1]]), 1.0)
    yield case(np.array([0.7, 0.3, 0.95]), np.array([[1.0, 0.5, 0.2], [0, 0.5, 1.0], [0, 0, 1]]), 1.0)
    for n in range(2, 16):
        size, step = n % 5 + 3, (1.0, 0.5, 0.25)[n % 3]
        yield from _clear(rng, size, step)


def _clear(rng, size, step):
    """A case where making up tells, and none of whose roundings is near a tie, so that all ways agree."""
    while True:
        w, factor = rng.normal(size=size).round(2), _factor(rng, size)
        now, least = w.copy(), 1.0
        for j in range(size):
            at = now[j] / step
            least = min(least, abs(at - math.floor(at) - 0.5))
            now[j:] = now[j:] - (now[j] - step * round(at)) / factor[j, j] * factor[j, j:]
        if least > 0.01 and (abs(gptq_row(w, factor, step) - step * np.round(w / step)) > step / 2).any():
            yield case(w, factor, step)
            return
