"""Chapter 15, one trunk: what the exercises ask, how they are checked, what usually goes wrong.

In this order: what is shared, a total with uncertainties, at rest, GradNorm's targets, PCGrad of two, of any
number, and from inner products alone.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch15_gradients import (
    gram_cases,
    gram_weights,
    pair_cases,
    pcgrad,
    pcgrad_pair,
    task_cases,
)
from mcomp.course.specs.ch15_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "One trunk, several tasks"


def shared_part(widths, classes, at):
    """Parameters of one network whose tasks share `at` layers, as a part of those of separate networks.

    Each task's network is linear layers, widths[0] -> widths[1] -> ... -> widths[-1] -> classes[task], with
    biases. widths and classes are arrays of whole numbers; `at` is 0 (nothing is shared) to len(widths) - 1
    (all but the tasks' last layers). One number.
    """
    together = separate = 0
    for task, last in enumerate(classes):
        full = [*widths, last]
        for layer in range(len(full) - 1):
            size = int(full[layer]) * int(full[layer + 1]) + int(full[layer + 1])
            separate += size
            if layer >= at or task == 0:
                together += size
    return together / separate


def part_cases(rng):
    yield case(np.array([2, 3]), np.array([1, 2]), 1)
    yield case(np.array([2, 3]), np.array([1, 2]), 0)
    yield case(np.array([3, 2]), np.array([4]), 1)
    yield case(np.array([4]), np.array([3, 2]), 0)
    yield case(np.array([4, 3, 2]), np.array([2, 2]), 1)
    yield case(np.array([4, 3, 2]), np.array([5, 1, 3]), 2)
    yield case(np.array([4, 2, 3]), np.array([2, 5]), 1)
    yield case(np.array([784, 300, 100]), np.array([10, 4]), 2)
    for n in range(1, 12):
        widths = rng.integers(1, 9, n % 3 + 2)
        yield case(widths, rng.integers(1, 9, n % 4 + 2), n % len(widths))


def uncertainty_total(losses, s, regression):
    """The sum over tasks of exp(-s) * loss + s / 2; where `regression` is True, exp(-s) * loss / 2 + s / 2.

    All three are arrays (tasks,); s is the logarithm of each task's variance. One number; it may be negative.
    """
    total = 0.0
    for loss, log_variance, is_regression in zip(losses, s, regression, strict=True):
        weight = math.exp(-float(log_variance)) / (2 if is_regression else 1)
        total += weight * float(loss) + float(log_variance) / 2
    return total


def total_cases(rng):
    yield case(np.array([3.0]), np.array([0.0]), np.array([True]))
    yield case(np.array([3.0]), np.array([0.0]), np.array([False]))
    yield case(np.array([3.0, 1.0]), np.array([0.0, 0.0]), np.array([True, False]))
    yield case(np.array([2.0]), np.array([1.0]), np.array([True]))
    yield case(np.array([2.0]), np.array([1.0]), np.array([False]))
    yield case(np.array([2.0, 2.0]), np.array([-1.0, 1.0]), np.array([False, True]))
    yield case(np.array([0.1, 0.1]), np.array([-1.5, -2.0]), np.array([False, True]))
    yield case(np.array([0.0, 0.5]), np.array([-1.0, 0.0]), np.array([True, True]))
    for n in range(2, 14):
        k = n % 4 + 2
        losses = rng.gamma(1.0, 1.0, k).round(2) + 0.01
        yield case(losses, rng.normal(size=k).round(1), rng.random(k) < 0.5)


def at_rest(losses, regression):
    """(s, weights): the s at which `uncertainty_total` is smallest, and what multiplies each loss there.

    losses are fixed and more than 0; regression as before. Two arrays (tasks,).
    """
    s, weights = np.zeros(len(losses)), np.zeros(len(losses))
    for i, loss in enumerate(losses):
        s[i] = math.log(float(loss)) if regression[i] else math.log(2 * float(loss))
        weights[i] = math.exp(-s[i]) / (2 if regression[i] else 1)
    return s, weights


def rest_cases(rng):
    yield case(np.array([1.0]), np.array([True]))
    yield case(np.array([1.0]), np.array([False]))
    yield case(np.array([4.0]), np.array([True]))
    yield case(np.array([4.0]), np.array([False]))
    yield case(np.array([0.5, 2.0]), np.array([True, False]))
    yield case(np.array([0.1, 0.2, 3.0]), np.array([False, True, True]))
    for n in range(2, 14):
        k = n % 4 + 2
        yield case(rng.gamma(1.0, 1.0, k).round(2) + 0.01, rng.random(k) < 0.5)


def gradnorm_targets(norms, losses, first_losses, alpha):
    """How large each task's weighted gradient should be, by GradNorm: (tasks,).

    The mean of the norms, times the task's rate to the power of alpha. A rate is what is left of the task's
    first loss, losses / first_losses, divided by the mean of that over the tasks.
    """
    left = [float(now) / float(first) for now, first in zip(losses, first_losses, strict=True)]
    mean_left, mean_norm = sum(left) / len(left), sum(float(g) for g in norms) / len(norms)
    return np.array([mean_norm * (one / mean_left) ** alpha for one in left])


def target_cases(rng):
    yield case(np.array([3.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]), 1.0)
    yield case(np.array([2.0, 2.0]), np.array([1.0, 3.0]), np.array([1.0, 1.0]), 1.0)
    yield case(np.array([3.0, 1.0]), np.array([0.5, 1.5]), np.array([1.0, 1.0]), 2.0)
    yield case(np.array([3.0, 1.0]), np.array([1.0, 3.0]), np.array([4.0, 6.0]), 1.0)
    yield case(np.array([4.0, 1.0]), np.array([0.5, 0.2]), np.array([1.0, 2.0]), 0.0)
    yield case(np.array([5.0]), np.array([0.5]), np.array([2.0]), 1.5)
    for n in range(2, 14):
        k = n % 3 + 2
        norms, losses, first = (rng.gamma(2.0, 1.0, k).round(1) + 0.1 for _ in range(3))
        yield case(norms, losses, first + 1, (0.5, 1.5, 1.0, 2.0)[n % 4])


EXERCISES = (
    Exercise(
        "15.1", shared_part, part_cases, title="What is shared",
        hints=(
            "A layer from n to m has n * m weights and m biases. Which layers exist once, which once a task?",
            "Layer i goes from widths[i] to widths[i + 1]: below `at` it exists once, from there on k times.",
            "sizes = w[:-1] * w[1:] + w[1:]; k * sizes.sum() + heads, less (k - 1) * sizes[:at].sum()",
        ),
        mistakes=MISTAKES["15.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "15.2", uncertainty_total, total_cases, title="A total with uncertainties",
        hints=(
            "Every task pays twice: its loss, times a weight, and a charge for calling itself uncertain.",
            "The weight is exp(-s), halved for regression. The charge is s / 2 for both kinds.",
            "(np.where(regression, 0.5, 1.0) * np.exp(-s) * losses + s / 2).sum()",
        ),
        mistakes=MISTAKES["15.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "15.3", at_rest, rest_cases, title="At rest",
        hints=(
            "Take one task. Where is the slope of its part of the total, with respect to s, zero?",
            "Regression: -exp(-s) * L / 2 + 1 / 2 = 0. Classification: -exp(-s) * L + 1 / 2 = 0.",
            "Regression: exp(-s) = 1 / L. Classification: exp(-s) = 1 / (2 L). The weight multiplies L.",
        ),
        mistakes=MISTAKES["15.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "15.4", gradnorm_targets, target_cases, title="How large a gradient should be",
        hints=(
            "A task that has learned less than the others should get a larger gradient than the mean.",
            "left = losses / first_losses; a rate is left / left.mean(): 1 for a task that keeps step.",
            "left = losses / first_losses; norms.mean() * (left / left.mean()) ** alpha",
        ),
        mistakes=MISTAKES["15.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "15.5", pcgrad_pair, pair_cases, title="Two gradients",
        hints=(
            "The part of a along b is (a @ b) / (b @ b) * b. When does it work against b?",
            "Only if a @ b < 0: take from a its part along b, from b its part along the old a; then add.",
            "d = a @ b; if d < 0: a - d / (b @ b) * b + b - d / (a @ a) * a, else a + b",
        ),
        mistakes=MISTAKES["15.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "15.6", pcgrad, task_cases, title="Any number of gradients",
        hints=(
            "Two kinds of rows: what is left of row i, which changes, and the rows as they came in.",
            "For each i start from a copy of row i; for j in orders[i] test it against gradients[j]; add.",
            "g = gradients[j]; d = left @ g; if d < 0: left = left - d / (g @ g) * g",
        ),
        mistakes=MISTAKES["15.6"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "15.7", gram_weights, gram_cases, title="From inner products alone",
        hints=(
            "What is left of row i is a sum of original rows. Keep how much of each: at first 1 of itself.",
            "If c holds how much, the inner product with row j is c @ gram[:, j]; projecting changes c[j].",
            "c = np.eye(k)[i]; for j in orders[i]: d = c @ gram[:, j]; if d < 0: c[j] -= d / gram[j, j]",
        ),
        mistakes=MISTAKES["15.7"], rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip
