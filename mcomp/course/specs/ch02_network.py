"""Chapter 02, networks (02.6 to 02.8): what the exercises ask and their cases."""

import math

import numpy as np

from mcomp.course.model import case


def _one_tie(rng, shape, k):
    """Whole scores of both signs of which two are equal, the `k`-th and the next, if there is a next."""
    score = rng.permutation(int(np.prod(shape))) - 2.0
    if 0 < k < score.size:
        first, second = np.argsort(-score)[k - 1 : k + 1]
        score[second] = score[first]
    return score.reshape(shape)


def global_topk_masks(scores, k):
    """Keep exactly the k largest of all scores: a dict of masks with the names of `scores`.

    Among equals the name that comes first in `scores` stays, and within an array the lower flat index.
    """
    masks = {name: np.zeros(score.shape, bool) for name, score in scores.items()}
    for _ in range(k):
        best, most = None, -np.inf
        for name, score in scores.items():
            for i in np.ndindex(score.shape):
                if not masks[name][i] and score[i] > most:
                    best, most = (name, i), score[i]
        name, i = best
        masks[name][i] = True
    return masks


def global_cases(rng):
    yield case({"a": np.array([1.0, 5.0]), "b": np.array([4.0])}, 2)
    yield case({"a": np.array([2.0, 1.0]), "b": np.array([2.0, 2.0])}, 2)
    yield case({"a": np.array([1.0]), "b": np.array([2.0])}, 0)
    yield case({"a": np.array([-3.0, 1.0]), "b": np.array([-2.0])}, 1)
    yield case({"a": np.array([1.0, 3.0]), "b": np.array([[-1.0, 3.0]])}, 4)
    yield case(
        {"b": np.array([2.0, 1.0, 2.0]), "a": np.array([2.0, 2.0])}, 3
    )  # first isn't first in the alphabet
    for n in range(1, 13):
        shapes = {"fc1": (n // 4 + 1, n // 2 + 1), "fc2": (1, 3), "fc3": (n % 3 + 1,)}
        size = sum(int(np.prod(shape)) for shape in shapes.values())
        k = max(1, (3 * n) % size)
        flat = _one_tie(rng, (size,), k)
        cut = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1])
        yield case({name: x.reshape(shapes[name]) for name, x in zip(shapes, cut, strict=True)}, k)


def masked_step(w, grad, mask, lr):
    """One step of gradient descent: a new array, in which what the mask removed is zero, whatever it was."""
    new = np.zeros_like(w)
    for i in np.ndindex(w.shape):
        if mask[i]:
            new[i] = w[i] - lr * grad[i]
    return new


def step_cases(rng):
    yield case(np.array([1.0, 2.0]), np.array([0.5, 0.5]), np.array([True, False]), 0.1)
    yield case(np.array([[1.0, 0.0], [0.0, 3.0]]), np.ones((2, 2)), np.eye(2, dtype=bool), 0.5)
    for n in range(1, 17):
        shape = (n // 4 + 1, n)
        w, grad = rng.normal(size=(2, *shape)).round(1)
        yield case(w, grad, rng.random(shape) < n / 17, 0.1 * n)


def position_bits(mask):
    """The entropy of a mask in bits: n·h(p), p its fraction of True, h(0) = h(1) = 0."""
    n, bits = mask.size, 0.0
    for value in (True, False):
        count = int((mask == value).sum())
        if count:
            bits += count * math.log2(n / count)
    return bits


def position_cases(rng):
    yield case(np.array([True, False]))
    yield case(np.array([True, False, False, False]))
    yield case(np.array([False, False]))
    yield case(np.ones((2, 2), bool))
    for n in range(1, 17):
        yield case(rng.permutation(np.arange(n * (n % 3 + 2)) < (1, n // 2, n)[n % 3]).reshape(n, -1))
