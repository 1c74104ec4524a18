"""Chapter 14b: networks side by side, a balanced gate and a stitching layer, with their cases."""

import itertools

import numpy as np

from mcomp.course.model import case


def beside(a, b):
    """The weights of one network whose output is the mean of the outputs of two.

    a and b are lists of two or more weights (outputs, inputs), the first layer's first; a ReLU stands between
    layers, and there are no biases. Inputs, outputs and the number of layers are the same, hidden layers may
    differ in width. Returns such a list: a's hidden units stand before b's, the last layer does the halving.
    """
    wide = []
    for layer, (v, w) in enumerate(zip(a, b, strict=True)):
        first, last = layer == 0, layer == len(a) - 1
        rows = len(v) if last else len(v) + len(w)
        columns = v.shape[1] if first else v.shape[1] + w.shape[1]
        made = np.zeros((rows, columns))
        for weight, down, right in ((v, 0, 0), (w, 0 if last else len(v), 0 if first else v.shape[1])):
            for i in range(len(weight)):
                for j in range(weight.shape[1]):
                    made[down + i, right + j] += weight[i, j] / (2 if last else 1)
        wide.append(made)
    return wide


def _network(rng, widths):
    return [rng.integers(-4, 5, (after, before)) / 2 for before, after in itertools.pairwise(widths)]


def beside_cases(rng):
    one = np.ones((1, 1))
    yield case([one, 2 * one], [3 * one, 4 * one])
    yield case([np.array([[1.0, 2.0]]), 2 * one], [np.array([[3.0, 4.0]]), 6 * one])
    yield case([one, 2 * one, 4 * one], [3 * one, 5 * one, 6 * one])
    two, three = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    yield case([two, two + 1, three], [three, three + 1, two])
    yield case([one, 2 * one], [np.array([[3.0], [5.0]]), np.array([[4.0, 6.0]])])
    yield case([np.ones((2, 1)), np.eye(2), np.ones((1, 2))], [one, 3 * one, 5 * one])
    for n in range(3, 14):
        ends, inside = (n % 3 + 1, n // 3 % 2 + 1), (1, 2, 2, 3)[n % 4]
        hidden = rng.integers(1, 4, (2, inside))
        if n % 2:
            hidden[1] = hidden[0]
        yield case(*(_network(rng, [ends[0], *map(int, widths), ends[1]]) for widths in hidden))


def balance_loss(gates):
    """n times the sum over the n experts of f * P. One number.

    gates is (inputs, n), each row adds up to 1. f is the share of the inputs whose largest gate is this
    expert's (of equal gates the lower index counts), P the mean of this expert's gates over all inputs.
    """
    inputs, n = gates.shape
    total = 0.0
    for expert in range(n):
        taken = sum(max(range(n), key=lambda e: float(row[e])) == expert for row in gates)
        total += taken / inputs * sum(float(row[expert]) for row in gates) / inputs
    return n * total


def gate_cases(rng):
    yield case(np.array([[0.75, 0.25]]))
    yield case(np.array([[0.75, 0.25], [0.25, 0.75]]))
    yield case(np.array([[0.75, 0.25], [0.5, 0.5]]))
    yield case(np.array([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]]))
    yield case(np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]))
    yield case(np.array([[0.1, 0.2, 0.7], [0.3, 0.1, 0.6], [0.2, 0.2, 0.6]]))
    for n in range(2, 15):
        parts = rng.integers(0, 5, (n // 2 + 1, n % 4 + 2))
        parts[:, n % parts.shape[1]] += 4 if n % 3 else 1  # a favourite
        yield case(parts / parts.sum(1, keepdims=True))


def stitching(lower, upper):
    """The layer (weight, bias) from one network's features to another's: least squares.

    lower is (images, a), upper (images, b), for the same images. weight (b, a) and bias (b,) make the sum of
    squares of lower @ weight.T + bias - upper smallest. There is one such layer: no feature of `lower` is a
    combination of the others and a constant.
    """
    a = lower.shape[1]
    rows = [[float(v) for v in row] + [1.0] for row in lower]  # the bias is the weight of a feature of ones
    gram = [[sum(r[i] * r[j] for r in rows) for j in range(a + 1)] for i in range(a + 1)]
    found = []
    for target in upper.T:
        right = [sum(r[i] * float(t) for r, t in zip(rows, target, strict=True)) for i in range(a + 1)]
        found.append(np.linalg.solve(gram, right))
    return np.array(found)[:, :a], np.array(found)[:, a]


def stitch_cases(rng):
    yield case(np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]]))
    yield case(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [0.0], [3.0]]))
    yield case(np.array([[1.0], [2.0], [4.0]]), np.array([[2.0, 1.0], [4.0, 1.0], [8.0, 1.0]]))
    yield case(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([[3.0], [2.0], [1.0]]))
    for n in range(3, 16):
        a, b = n % 3 + 1, n % 4 + 1
        lower = rng.integers(-4, 5, (a + 2 + n // 3, a)) / 2 + (n % 2)
        lower[: a + 1] = np.tri(a + 1, a, -1) + n % 2  # a base, so that there is one layer only
        yield case(lower, rng.integers(-4, 5, (len(lower), b)) / 2 + n % 3)
