"""Chapter 14, one network from several: what the exercises ask, how they are checked, what goes wrong.

In this order: a mean along a run, the members of a soup, a barrier, the gradient of a bend, hidden units in
another order, what a pair of units is worth, the best order of all.
"""

from itertools import combinations

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch14_mistakes import MISTAKES, QUIZ
from mcomp.course.specs.ch14_orders import (
    best_order,
    gain_cases,
    gains,
    matrix_cases,
    order_cases,
    renumbered,
    short,
)

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "One network from several"


def corrected_means(weights, decay):
    """The exponential mean after every step, its bias towards 0 divided out: (steps, n), a row a step.

    m starts at 0 and becomes decay * m + (1 - decay) * weights[t] at each step. Asked is m divided by the sum
    of the factors with which the weights so far stand in it. weights is (steps, n), decay between 0 and 1.
    """
    means = np.zeros(weights.shape)
    for t in range(len(weights)):
        total = 0.0
        for k in range(t + 1):
            factor = (1 - decay) * decay ** (t - k)
            means[t] += factor * weights[k]
            total += factor
        means[t] /= total
    return means


def mean_cases(rng):
    yield case(np.array([[2.0], [6.0]]), 0.5)
    yield case(np.array([[3.0]]), 0.9)
    yield case(np.array([[4.0], [0.0], [0.0]]), 0.5)
    yield case(np.array([[1.0, 0.0], [0.0, 1.0]]), 0.75)
    yield case(np.array([[1.0, 8.0], [2.0, 4.0], [4.0, 2.0]]), 0.25)
    for n in range(2, 15):
        yield case(short(rng, (n // 2 + 2, n % 3 + 1)), (0.3, 0.6, 0.75, 0.9, 0.99)[n % 5])


def soup_members(models, x, y):
    """Which linear classifiers a greedy soup takes, in the order of taking: their places, an array.

    models is (models, classes, features), x (images, features), y (images,). A classifier w guesses the class
    of the largest entry in w @ image. The most accurate is taken, then all others are tried by their own
    accuracy, of equal ones the earlier first. One is taken if the mean of it and of all those taken is no
    less accurate than the mean of those taken.
    """

    def right(places):
        w = sum(models[i] for i in places) / len(places)
        return sum(int(np.argmax(w @ image) == label) for image, label in zip(x, y, strict=True))

    order = sorted(range(len(models)), key=lambda i: -right([i]))
    members = order[:1]
    for i in order[1:]:
        if right([*members, i]) >= right(members):
            members = [*members, i]
    return np.array(members)


def _clear(models, x):
    """Does no mean of some of the models hesitate between two classes?"""
    count = len(models)
    for size in range(1, count + 1):
        for places in combinations(range(count), size):
            first, second = np.sort(x @ models[list(places)].mean(0).T, axis=1)[:, :-3:-1].T
            if (first - second).min() < 1e-6:
                return False
    return True


def _varied(models, x, y):
    """Is one refused, and are three taken, not as they come?"""
    members = soup_members(models, x, y)
    return len(members) < len(models) and len(members) > 2 and (members != np.sort(members)).any()


def _classifiers(rng, shape, images, *, plain):
    """Models around a common one, and images that it labels, not all: never a tie of classes."""
    while True:
        centre, x = rng.normal(size=shape[1:]), short(rng, (images, shape[2]))
        y = np.where(rng.random(images) < 0.2, rng.integers(0, shape[1], images), (x @ centre.T).argmax(1))
        models = (centre + rng.normal(size=shape)).round(1)
        if _clear(models, x) and (plain or _varied(models, x, y)):
            return models, x, y


def _rows(*rows):
    """Classifiers of two classes, by the weights of class 1; those of class 0 are 0."""
    return np.array([[[0.0] * len(row), row] for row in rows])


def soup_cases(rng):
    x, y = np.array([[1.0], [-1.0]]), np.array([1, 0])
    yield case(_rows([-1.0], [2.0]), x, y)  # the mean is as good as the second
    yield case(_rows([-3.0], [1.0]), x, y)  # the mean is worse
    yield case(_rows([1.0], [2.0]), x, y)  # equal ones: the earlier first
    apart = _rows([2.0, -9.0], [-9.0, 2.0])  # the mean is worse than both
    yield case(apart, np.eye(2), np.array([1, 1]))
    refused = _rows([1.0, -4.0], [-9.0, 2.0], [-3.0, 5.0])  # the second
    yield case(refused, np.eye(2), np.array([1, 1]))
    enough = _rows([2.0, 1.0, -1.0], [-1.0, 1.0, 3.0], [-9.0, 1.0, 1.0])  # two are better than three
    yield case(enough, np.eye(3), np.array([1, 1, 1]))
    yield case(_rows([-2.0], [1.0], [5.0]), x, y)
    yield case(_rows([1.0], [-3.0], [5.0]), x, y)
    for n in range(1, 16):
        shape = (n % 4 + 2 if n % 3 else n % 2 + 4), n % 3 + 2, n % 2 + 2
        images = 30 if n == 15 else 6 + n // 2  # so many that one of them is less than a tenth
        yield case(*_classifiers(rng, shape, images, plain=n % 3 > 0))


def barrier_height(losses, at):
    """How far the losses along a path rise above the straight line between those of its two ends, at most.

    One number, never negative, since the ends count, too. losses and at are (places,); at ascends from 0 to
    1, not always in even steps.
    """
    height = 0.0
    for loss, t in zip(losses, at, strict=True):
        height = max(height, float(loss - ((1 - t) * losses[0] + t * losses[-1])))
    return height


def barrier_cases(rng):
    yield case(np.array([1.0, 5.0, 3.0]), np.array([0.0, 0.5, 1.0]))
    yield case(np.array([4.0, 4.0, 0.0]), np.array([0.0, 0.25, 1.0]))
    yield case(np.array([0.0, 4.0, 4.0]), np.array([0.0, 0.25, 1.0]))
    yield case(np.array([3.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0]))  # a valley
    yield case(np.array([2.0, 1.0]), np.array([0.0, 1.0]))
    yield case(np.array([0.0, 2.0, 5.0, 8.0]), np.array([0.0, 0.5, 0.75, 1.0]))
    for n in range(3, 16):
        inner = rng.choice(np.arange(1, 20), n // 2 + 1, replace=False) / 20
        at = np.concatenate([[0.0], np.sort(inner), [1.0]])
        hill = (n % 4) * 4 * at * (1 - at)
        losses = hill + rng.uniform(0, 2, len(at)) + rng.choice([-3.0, 3.0]) * at + 3
        yield case(losses.round(1), at)


def bend_gradient(at, gradients):
    """The gradient with respect to the bend m of the mean of the losses at the places `at`: (n,).

    The curve is (1 - t)**2 * a + 2 * t * (1 - t) * m + t**2 * b. gradients is (places, n): the gradient of
    the loss with respect to the network's weights, taken at each place t of at, (places,).
    """
    total = np.zeros(gradients.shape[1])
    for t, gradient in zip(at, gradients, strict=True):
        for i in range(len(total)):
            total[i] += 2 * t * (1 - t) * gradient[i]
    return total / len(at)


def bend_cases(rng):
    yield case(np.array([0.5]), np.array([[4.0]]))
    yield case(np.array([0.25]), np.array([[8.0, -16.0]]))
    yield case(np.array([0.0, 0.5]), np.array([[4.0, 1.0], [8.0, 2.0]]))
    yield case(np.array([0.75, 1.0, 0.5]), np.array([[8.0], [8.0], [4.0]]))
    yield case(np.array([0.5, 0.1]), np.array([[1.0, 0.0], [0.0, 100.0]]))
    for n in range(2, 15):
        shape = (n // 2 + 1, n % 3 + 1) if n % 4 else (3, 3)
        yield case(rng.integers(0, 21, shape[0]) / 20, short(rng, shape) * 10)


EXERCISES = (
    Exercise(
        "14.1", corrected_means, mean_cases, title="A mean along the run, without its bias",
        hints=(
            "After one step m is (1 - decay) * weights[0]. By what must it be divided to be weights[0]?",
            "The factors so far are (1 - decay) * decay**k; a geometric series gives their sum.",
            "After step t, which counts from 0, divide m by 1 - decay ** (t + 1). Go on with m itself.",
        ),
        mistakes=MISTAKES["14.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14.2", soup_members, soup_cases, title="Who goes into the soup",
        hints=(
            "Write a function that tells how many images a matrix w gets right: (x @ w.T).argmax(1) == y.",
            "Sort by the own accuracy, best first, stably. The first is in; then try one after the other.",
            "if accuracy(models[[*members, i]].mean(0)) >= best: append i, and best is that accuracy.",
        ),
        mistakes=MISTAKES["14.2"],
    ),
    Exercise(
        "14.3", barrier_height, barrier_cases, title="A barrier",
        hints=(
            "If a loss of 4 turns into one of 0, what would it be a quarter of the way on, without a hill?",
            "The line is (1 - t) * losses[0] + t * losses[-1]. The rise is what lies above it.",
            "(losses - (1 - at) * losses[0] - at * losses[-1]).max()",
        ),
        mistakes=MISTAKES["14.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14.4", bend_gradient, bend_cases, title="The gradient of the bend",
        hints=(
            "If m moves by a little, how far does the point at t = 1/2 move? And the one at t = 0?",
            "A point moves by 2 * t * (1 - t) of what m moves: by the chain rule its gradient is scaled so.",
            "Scale row t by 2 * t * (1 - t), then take the mean over the places, all of them.",
        ),
        mistakes=MISTAKES["14.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14.5", renumbered, order_cases, title="Hidden units in another order",
        hints=(
            "Follow one unit of each hidden layer with a pencil: which rows, entries, columns are its own?",
            "w2 makes the second hidden layer and reads the first: its rows follow q, its columns p.",
            "w1[p], b1[p], w2[q][:, p], b2[q], w3[:, q]",
        ),
        mistakes=MISTAKES["14.5"],
    ),
    Exercise(
        "14.6", gains, gain_cases, title="What a pair of units is worth",
        hints=(
            "Which numbers does unit i of a have for its own? Three tensors hold some.",
            "A row of w1, an entry of b1, a column of w2: the entry is the sum of three inner products.",
            "w1 @ v1.T + b1[:, None] * c1[None, :] + w2.T @ v2, where b is (v1, c1, v2)",
        ),
        mistakes=MISTAKES["14.6"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "14.7", best_order, matrix_cases, title="The best order",
        hints=(
            "The largest entry may be a bad choice, if what is left to the other rows is worse.",
            "With n at most 6 there are at most 720 orders: itertools.permutations(range(n)) has them all.",
            "max(permutations(range(n)), key=lambda p: sum(gain[i, p[i]] for i in range(n))), as an array",
        ),
        mistakes=MISTAKES["14.7"],
    ),
)  # fmt: skip
