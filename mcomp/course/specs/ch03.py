"""Chapter 03, which weights matter: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: the linear term, the quadratic one with its interactions, Optimal Brain
Surgeon's saliency and its update, scores that see their inputs, neurons by their statistics, and what to do
with a neuron's mean when it goes.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch03_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch03_mistakes import QUIZ
from mcomp.course.specs.ch03_slips import SLIPS
from mcomp.course.specs.ch03_units import absorb_cases, absorb_mean, neuron_cases, neurons_to_keep

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Which weights matter?"
MISTAKES = joined(KNOWN, SLIPS)


def taylor_score(w, g):
    """How much the linear part of the loss changes when each weight goes; w and its gradient g alike."""
    score = np.zeros(w.shape)
    for i in np.ndindex(w.shape):
        score[i] = abs(w[i] * g[i])
    return score


def taylor_cases(rng):
    yield case(np.array([2.0, -1.0]), np.array([-0.5, 3.0]))
    yield case(np.array([[0.0, 1.0], [-4.0, 0.5]]), np.array([[9.0, 0.0], [-1.0, -2.0]]))
    yield case(np.array([-2.0]), np.array([-3.0]))
    yield case(np.array([[[3.0], [-1.0]]]), np.array([[[-1.0], [2.0]]]))  # any shape
    for n in range(1, 16):
        shape = (n // 5 + 1, n % 4 + 1)
        yield case(rng.normal(size=shape).round(1), rng.normal(size=shape).round(1))


def predicted_rise(w, g, hessian, gone):
    """By how much the loss rises, to second order, when the weights marked in `gone` become zero."""
    rise = 0.0
    for i in range(len(w)):
        if gone[i]:
            rise += g[i] * -w[i]
            for j in range(len(w)):
                if gone[j]:
                    rise += hessian[i, j] * -w[i] * -w[j] / 2
    return rise


def rise_cases(rng):
    yield case(np.array([2.0]), np.array([0.5]), np.array([[3.0]]), np.array([True]))
    ones = np.array([[1.0, 1.0], [1.0, 1.0]])
    yield case(np.array([1.0, -1.0]), np.array([0.0, 0.0]), ones, np.array([True, True]))
    yield case(np.array([1.0, 2.0]), np.array([0.5, -0.5]), ones, np.array([False, True]))
    yield case(np.array([1.0]), np.array([3.0]), np.array([[2.0]]), np.array([True]))  # the loss falls
    yield case(np.array([1.0, 2.0]), np.array([0.5, 1.0]), ones, np.array([False, False]))  # nothing goes
    yield case(np.array([2.0, -1.0]), np.array([1.0, 2.0]), 2 * ones, np.array([True, True]))
    for n in range(1, 14):
        w, g = rng.normal(size=(2, n // 4 + 2)).round(1)
        yield case(w, g, _curved(rng, len(w)), rng.random(len(w)) < 0.6)


def obs_score(w, inverse):
    """The least rise of the loss when each weight goes and the others make up; inverse: of the Hessian."""
    score = np.zeros(len(w))
    for i in range(len(w)):
        score[i] = w[i] ** 2 / (2 * inverse[i, i])
    return score


def score_cases(rng):
    yield case(np.array([2.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]]))
    yield case(np.array([-3.0, 0.0]), np.array([[0.5, 0.0], [0.0, 4.0]]))
    for n in range(1, 17):
        w = rng.normal(size=n // 4 + 1).round(1)
        yield case(w, _curved(rng, len(w)))


def obs_update(w, inverse, q):
    """The weights after weight q went: it is zero, and the others have moved to where the loss is least."""
    new = np.zeros(len(w))
    for i in range(len(w)):
        new[i] = w[i] - w[q] / inverse[q, q] * inverse[i, q]
    new[q] = 0.0
    return new


def update_cases(rng):
    yield case(np.array([2.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]]), 1)
    yield case(np.array([2.0, -1.0]), np.array([[2.0, 0.5], [0.5, 1.0]]), 0)
    yield case(np.array([2.0, 0.0, -1.0]), np.diag([2.0, 1.0, 4.0]), 2)  # nobody interacts: nobody moves
    yield case(np.array([0.0, 1.0]), np.array([[2.0, 1.0], [1.0, 2.0]]), 0)  # it is zero already
    for n in range(1, 15):
        w = rng.normal(size=n // 4 + 2).round(1)
        yield case(w, _curved(rng, len(w)), n % len(w))


def wanda_mask(w, x, k):
    """Keep, in each row of w (out, in), the k largest |w| times rms of the input; x (batch, in).

    A boolean array, True = keep. Exactly k stay in each row: of equal scores those of lower index.
    """
    rms = [math.sqrt(sum(x[i, j] ** 2 for i in range(len(x))) / len(x)) for j in range(x.shape[1])]
    mask = np.zeros(w.shape, bool)
    for o in range(len(w)):
        best = sorted(range(w.shape[1]), key=lambda j: -abs(w[o, j]) * rms[j])
        for j in best[:k]:
            mask[o, j] = True
    return mask


def wanda_cases(rng):
    yield case(np.array([[3.0, -2.0]]), np.array([[1.0, 2.0], [-1.0, 3.0]]), 1)
    yield case(np.array([[3.0, -2.0], [1.0, 0.25]]), np.array([[1.0, 3.0], [1.0, -3.0]]), 1)
    yield case(np.array([[3.0, -2.0], [1.0, 0.25]]), np.array([[1.0, 3.0], [1.0, -3.0]]), 0)
    yield case(np.array([[3.0, -2.0], [1.0, 0.25]]), np.array([[1.0, 3.0], [1.0, -3.0]]), 2)
    yield case(np.array([[1.0, -1.0, 2.0]]), np.array([[2.0, 2.0, 1.0]]), 2)  # three equal scores
    yield case(np.array([[1.0, 1.0]]), np.array([[4.0, 3.0], [0.0, 3.0]]), 1)  # largest input, lower rms
    yield case(np.array([[1.0, 1.0]]), np.array([[4.0, 2.5], [0.0, 2.5]]), 1)  # lower mean size, larger rms
    yield case(np.array([[2.0, -3.0]]), np.array([[3.0, 2.0], [-3.0, 1.5]]), 1)
    yield case(np.array([[-3.0, 2.0, 1.0]]), np.array([[-1.0, 1.0, -3.0], [-1.0, 2.0, -2.0]]), 2)
    yield case(np.array([[0.0, 0.0], [5.0, 1.0]]), np.array([[0.0, 2.0]]), 1)  # a row of zeros, a dead input
    for n in range(1, 19):
        shape = (n % 3 + 1, n // 5 + 2)
        x = (rng.normal(size=(n % 3 + 2, shape[1])) + 0.5) * rng.integers(1, 5, shape[1])
        yield case(rng.normal(size=shape).round(1), x.round(1), n % (shape[1] + 1))


def _curved(rng, n):
    """A symmetric, positive definite matrix of short numbers."""
    a = rng.normal(size=(n, n + 1)).round(1)
    return (a @ a.T + 0.5 * np.eye(n)).round(2)


EXERCISES = (
    Exercise(
        "03.1", taylor_score, taylor_cases, title="The linear term",
        hints=(
            "A weight that goes moves by minus itself. How far does the tangent rise on that way?",
            "Slope times distance, weight by weight: g times -w. The score is its size.",
            "abs(w * g), elementwise: one number a weight, never negative.",
        ),
        mistakes=MISTAKES["03.1"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "03.2", predicted_rise, rise_cases, title="The loss to second order",
        hints=(
            "Write down the step first: by how much does each weight move when those in `gone` become zero?",
            "The step is -w where gone, and 0 elsewhere. Then the rise is g·step + step·H·step / 2.",
            "step = -w * gone; the rise is g @ step + step @ hessian @ step / 2, one number.",
        ),
        mistakes=MISTAKES["03.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "03.3", obs_score, score_cases, title="The surgeon's saliency",
        hints=(
            "Of the inverse Hessian you need one number for each weight: which?",
            "Its diagonal. Mind that the inverse of a diagonal entry isn't the diagonal of the inverse.",
            "w**2 / (2 * inverse.diagonal()): divide by the diagonal of the inverse you were given.",
        ),
        mistakes=MISTAKES["03.3"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "03.4", obs_update, update_cases, title="The others make up",
        hints=(
            "Which column of the inverse Hessian says how the other weights follow weight q?",
            "Move along column q, so far that weight q arrives at zero: by w[q] / inverse[q, q].",
            "w - w[q] / inverse[q, q] * inverse[:, q], and set entry q to 0 to be exact.",
        ),
        mistakes=MISTAKES["03.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "03.5", wanda_mask, wanda_cases, title="Weight times input",
        hints=(
            "One number for each input: how large is it, typically? Which axis of x do you average over?",
            "rms is the root of the mean over the batch (axis 0) of x squared; column j of w takes entry j.",
            "score = abs(w) * rms; order each row by falling score (a stable sort), mark its first k.",
        ),
        mistakes=MISTAKES["03.5"],
    ),
    Exercise(
        "03.6", neurons_to_keep, neuron_cases, title="Neurons by their statistics",
        hints=(
            "y has a row for each image and a column for each neuron. Over which axis goes a neuron's mean?",
            "Three arrays over axis 0: mean, std, and the mean of y == 0. Each gives a boolean array.",
            "Join boolean arrays with & and |; `and` and `or` want one answer and refuse an array.",
        ),
        mistakes=MISTAKES["03.6"],
    ),
    Exercise(
        "03.7", absorb_mean, absorb_cases, title="A constant is a bias",
        hints=(
            "What does output o of the next layer receive from neuron j on average?",
            "w[o, j] * mean[j]. If neuron j goes, that much is missing from output o, so its bias takes it.",
            "new b: b + w @ (mean * gone); new w: w * ~gone, which zeroes the columns of those that go.",
        ),
        mistakes=MISTAKES["03.7"], rtol=1e-6, atol=1e-12,
    ),
)  # fmt: skip
