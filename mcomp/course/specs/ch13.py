"""Chapter 13, features and parameters: what the exercises ask, how they are checked, what goes wrong.

In this order: a hint, a map of attention, relative distances, a layer sliced, the next refitted, an average.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch13_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Features and parameters"


def hint_loss(student, teacher):
    """Half the squared distance between an image's features, summed over all of them: the mean over images.

    Both arrays are (images, channels, height, width). One number.
    """
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        for a, b in zip(s.ravel(), t.ravel(), strict=True):
            total += (float(a) - float(b)) ** 2 / 2
    return total / len(student)


def _short(rng, shape):
    """Numbers of one decimal, which a card can show."""
    return rng.normal(size=shape).round(1)


def pair_cases(rng):
    yield case(np.array([[[[2.0]]]]), np.array([[[[0.0]]]]))
    yield case(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 5.0]]]]))
    yield case(np.array([[[[1.0]]], [[[3.0]]]]), np.array([[[[0.0]]], [[[0.0]]]]))
    yield case(np.array([[[[1.0]], [[2.0]]]]), np.array([[[[2.0]], [[1.0]]]]))
    for n in range(1, 14):
        shape = (n // 4 + 1, n % 3 + 1, n % 2 + 1, n // 3 + 1)
        yield case(_short(rng, shape), _short(rng, shape))


def attention_map(features):
    """Sums of squares over the channels, each image's divided by its length: (images, height * width).

    features is (images, channels, height, width). An image whose features are all 0 keeps a map of zeros.
    """
    images, channels, height, width = features.shape
    maps = np.zeros((images, height * width))
    for i in range(images):
        for place in range(height * width):
            for c in range(channels):
                maps[i, place] += float(features[i, c, place // width, place % width]) ** 2
        length = math.sqrt(sum(x * x for x in maps[i]))
        if length > 0:
            maps[i] /= length
    return maps


def map_cases(rng):
    yield case(np.array([[[[3.0]]]]))
    yield case(np.array([[[[1.0, 2.0]]]]))
    yield case(np.array([[[[1.0, 0.0]], [[-1.0, 2.0]]]]))
    yield case(np.array([[[[1.0, 2.0], [0.0, 3.0]]]]))
    yield case(np.array([[[[0.0, 0.0]]], [[[1.0, 1.0]]]]))
    for n in range(2, 14):
        yield case(_short(rng, (n // 3 + 1, n % 3 + 2, n % 2 + 1, n % 4 + 2)))


def distances(x):
    """Distances between every two rows, divided by the mean of the positive ones: (rows, rows).

    If no two rows differ, all distances are 0.
    """
    n = len(x)
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            found[i, j] = math.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(x[i], x[j], strict=True)))
    positive = [d for d in found.ravel() if d > 0]
    return found / (sum(positive) / len(positive)) if positive else found


def distance_cases(rng):
    yield case(np.array([[0.0], [2.0]]))
    yield case(np.array([[0.0], [1.0], [3.0]]))
    yield case(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    yield case(np.array([[1.0, 1.0], [1.0, 1.0], [4.0, 5.0]]))
    yield case(np.array([[1.0, 2.0], [1.0, 2.0]]))
    for n in range(2, 14):
        yield case(_short(rng, (n // 2 + 2, n % 4 + 1)))


def sliced(first, bias, second, score, k):
    """Two linear layers whose hidden layer keeps its k neurons of largest score: (first, bias, second).

    first is (hidden, inputs), bias and score (hidden,), second (outputs, hidden). The neurons stay in their
    order; of two equal scores the lower index wins.
    """
    keep = sorted(sorted(range(len(score)), key=lambda i: -float(score[i]))[:k])
    a, b, c = np.zeros((k, first.shape[1])), np.zeros(k), np.zeros((second.shape[0], k))
    for place, neuron in enumerate(keep):
        b[place] = bias[neuron]
        for i in range(first.shape[1]):
            a[place, i] = first[neuron, i]
        for o in range(second.shape[0]):
            c[o, place] = second[o, neuron]
    return a, b, c


def slice_cases(rng):
    small = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0]), np.array([[7.0, 8.0]])
    yield case(*small, np.array([0.5, 2.0]), 1)
    yield case(*small, np.array([2.0, 0.5]), 1)
    three = np.array([[1.0], [2.0], [3.0]]), np.array([4.0, 5.0, 6.0]), np.array([[7.0, 8.0, 9.0]])
    yield case(*three, np.array([1.0, 3.0, 2.0]), 2)
    yield case(*three, np.array([2.0, 0.0, 3.0]), 2)
    yield case(*three, np.array([1.0, 1.0, 0.0]), 1)
    yield case(*three, np.array([-3.0, 1.0, 2.0]), 2)
    square = np.arange(9.0).reshape(3, 3)
    yield case(square, np.array([1.0, 2.0, 3.0]), square + 10, np.array([5.0, 1.0, 9.0]), 2)
    for n in range(3, 15):
        hidden = n % 5 + 2
        score = rng.integers(-2, 4, hidden).astype(float)
        layers = _short(rng, (hidden, n % 4 + 1)), _short(rng, hidden), _short(rng, (n % 3 + 1, hidden))
        yield case(*layers, score, n % hidden + 1)


def refit(w, gram, keep):
    """The weight W (outputs, len(keep)) for which W h[keep] comes nearest to w h, in the mean of squares.

    w is (outputs, hidden); gram (hidden, hidden) is the mean of h h^T; keep a list of different numbers. For
    each output o the best row solves: sum over b of W[o, b] gram[b, a] = sum over j of w[o, j] gram[j, a],
    where a and b are in keep.
    """
    return np.stack([_solved(gram[np.ix_(keep, keep)], (row @ gram)[keep]) for row in w])


def _solved(a, y):
    """x with x a = y, by elimination with pivots."""
    rows = [[float(v) for v in column] + [float(right)] for column, right in zip(a.T, y, strict=True)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for r in range(len(rows)):
            if r != i:
                rows[r] = [v - rows[r][i] * u for v, u in zip(rows[r], rows[i], strict=True)]
    return np.array([row[-1] for row in rows])


def refit_cases(rng):
    yield case(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]]), [0])
    yield case(np.array([[1.0, 2.0]]), np.array([[2.0, 1.0], [1.0, 4.0]]), [1])
    yield case(np.array([[1.0, 2.0, 3.0]]), np.eye(3), [0, 2])
    yield case(np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]), np.diag([1.0, 2.0, 3.0]) + 1, [2, 0])
    for n in range(4, 16):
        hidden = n % 4 + 2
        h = rng.normal(size=(3 * hidden, hidden)) + 1
        keep = [int(k) for k in rng.permutation(hidden)[: n % hidden + 1]]
        yield case(_short(rng, (n % 3 + 1, hidden)), (h.T @ h / len(h)).round(2), keep)


def moving_average(weights, decay):
    """The average after the last step: it moves by a * average + (1 - a) * weights[t], for t = 0, 1, 2, ...

    a is decay, but never more than 1 - 1 / (t + 1). weights is (steps, n); the result (n,).
    """
    average = np.zeros(weights.shape[1])
    for t in range(len(weights)):
        a = min(decay, 1 - 1 / (t + 1))
        for i in range(weights.shape[1]):
            average[i] = a * average[i] + (1 - a) * float(weights[t, i])
    return average


def average_cases(rng):
    yield case(np.array([[3.0]]), 0.9)
    yield case(np.array([[1.0], [3.0]]), 0.9)
    yield case(np.array([[0.0], [0.0], [8.0]]), 0.5)
    yield case(np.array([[4.0, 0.0], [0.0, 4.0], [2.0, 2.0]]), 0.25)
    yield case(np.array([[1.0], [2.0], [3.0], [6.0]]), 0.0)
    for n in range(2, 15):
        yield case(_short(rng, (n, n % 3 + 1)), (0.3, 0.6, 0.75, 0.9, 0.99)[n % 5])


EXERCISES = (
    Exercise(
        "13.1", hint_loss, pair_cases, title="A hint",
        hints=(
            "One image with features (1, 2) against (1, 5): the distance is 3. What is half its square?",
            "Sum the squares over channels and positions, halve; only over the images take the mean.",
            "((student - teacher) ** 2).sum() / 2 / len(student)",
        ),
        mistakes=MISTAKES["13.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "13.2", attention_map, map_cases, title="A map of attention",
        hints=(
            "Where is an image active? A negative feature counts as much as a positive one.",
            "Square, sum over axis 1, flatten each image, divide by its length, not by its sum.",
            "q = (f**2).sum(1).reshape(len(f), -1); n = np.linalg.norm(q, axis=1, keepdims=True); q / n",
        ),
        mistakes=MISTAKES["13.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "13.3", distances, distance_cases, title="Relative distances",
        hints=(
            "x[:, None] - x[None, :] holds all differences, (rows, rows, features).",
            "The zeros of the diagonal don't count in the mean, nor do those of equal rows.",
            "d = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1)); d / d[d > 0].mean(), if any is positive",
        ),
        mistakes=MISTAKES["13.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "13.4", sliced, slice_cases, title="Neurons kept",
        hints=(
            "A hidden neuron has a row in the first layer and a column in the second. And one thing more.",
            "Find the indices, sort them; then rows of `first`, entries of `bias`, columns of `second`.",
            "keep = np.sort(np.argsort(-score, kind='stable')[:k]); first[keep], bias[keep], second[:, keep]",
        ),
        mistakes=MISTAKES["13.4"],
    ),
    Exercise(
        "13.5", refit, refit_cases, title="The next layer, fitted again",
        hints=(
            "If a lost neuron always said the same as a kept one, the kept one's weight must take over both.",
            "In matrices: W gram[keep][:, keep] = w gram[:, keep]. Solve for W.",
            "w @ gram[:, keep] @ np.linalg.inv(gram[np.ix_(keep, keep)])",
        ),
        mistakes=MISTAKES["13.5"], rtol=1e-6, atol=1e-8,
    ),
    Exercise(
        "13.6", moving_average, average_cases, title="The average as a teacher",
        hints=(
            "At t = 0 the limit is 0: the average becomes the weights, whatever it was before.",
            "a = min(decay, 1 - 1 / (t + 1)); the part 1 - a belongs to the new weights.",
            "m = 0; for t, w in enumerate(weights): a = min(decay, 1 - 1 / (t + 1)); m = a * m + (1 - a) * w",
        ),
        mistakes=MISTAKES["13.6"], rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip
