"""Chapter 08, training with the rounding: what the exercises ask, how they are checked, what goes wrong.

A learner gains, in this order: descent straight through the rounding, the time a weight spends on each of its
two points, the gradient at the ends of a grid, that of the step, that of a ceiling, a count of oscillations.
"""

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch08_mistakes import MISTAKES as KNOWN
from mcomp.course.specs.ch08_mistakes import QUIZ
from mcomp.course.specs.ch08_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Training with the rounding in the loop"
MISTAKES = joined(KNOWN, SLIPS)


def ste_path(start, target, rate, n):
    """The hidden weights before and after each of n steps: an array (n + 1, weights).

    `start` and `target` are arrays (weights,). Each weight descends on (round(w) - target)**2 / 2, with
    rounding's derivative taken to be 1. The grid is the whole numbers; round is half to even, as np.round.
    """
    path = np.zeros((n + 1, start.size))
    for i in range(start.size):
        w = float(start[i])
        path[0, i] = w
        for step in range(1, n + 1):
            w = w - rate * (round(w) - float(target[i]))
            path[step, i] = w
    return path


def path_cases(rng):
    yield case(np.array([0.1]), np.array([0.3]), 0.2, 3)
    yield case(np.array([0.5]), np.array([0.25]), 0.5, 2)  # a tie goes to the even neighbour: down, to 0
    yield case(np.array([-0.5, 2.5]), np.array([0.25, 2.75]), 0.5, 2)
    yield case(np.array([0.45, 2.1]), np.array([0.3, 1.6]), 0.1, 4)
    yield case(np.array([0.7, -0.2]), np.array([0.8, -0.9]), 0.3, 6)
    yield case(np.array([0.7, -0.2]), np.array([0.8, -0.9]), 0.3, 0)
    for n in range(1, 12):
        start, target = rng.normal(size=(2, 1 + n % 4)).round(3) * 2
        yield case(start, target, (0.05, 0.17, 0.31)[n % 3], n if n < 6 else 2 * n)


def upper_share(target, scale):
    """The part of the time that each weight is rounded up, if it oscillates so that its mean is `target`.

    Its two points are the neighbours of `target` on the grid ..., -scale, 0, scale, 2 * scale, ... `target`
    is an array of any shape. Where it lies on the grid, the weight stays there: 0.
    """
    found = np.zeros(target.shape)
    for i in np.ndindex(target.shape):
        steps = float(target[i]) / scale
        found[i] = steps - np.floor(steps)
    return found


def share_cases(rng):
    yield case(np.array([0.3]), 1.0)
    yield case(np.array([0.3]), 0.5)
    yield case(np.array([-0.3]), 1.0)
    yield case(np.array([0.1, 0.9]), 0.5)
    yield case(np.array([-0.3, -1.2]), 1.0)
    yield case(np.array([2.0, 0.0, -1.0]), 0.5)
    yield case(np.array([2.2, 3.7, -0.4]), 2.0)
    for n in range(1, 13):
        shape = (n,) if n < 4 else (2, n)
        yield case((rng.normal(size=shape) * 2).round(3) + 0.0003, (0.4, 0.7, 1.5)[n % 3])


def through(upstream, x, scale, qmin, qmax):
    """The gradient for x, if `upstream` is the one for scale * round(clip(x / scale, qmin, qmax)).

    Rounding counts as the identity, the clip as what it is; its ends still belong to the inside. `upstream`
    and `x` are arrays of one shape, and so is the result.
    """
    found = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        if qmin <= float(x[i]) / scale <= qmax:
            found[i] = float(upstream[i])
    return found


def grid_cases(rng):
    """x, scale, qmin, qmax: first by hand, at and beside the ends; then at random, never at an edge."""
    yield np.array([0.2, 3.0]), 0.5, -2, 1
    yield np.array([0.5, -1.0]), 0.5, -2, 1  # the ends
    yield np.array([0.65, -1.2]), 0.5, -2, 1  # less than half a step beyond
    yield np.array([0.4, -0.9]), 0.5, -2, 1
    yield np.array([1.0, 3.0, -5.0]), 2.0, -4, 3  # halves go to the even neighbour
    yield np.array([-0.1, 0.1, 2.9]), 0.25, 0, 15
    yield np.array([6.0, -8.0]), 2.0, -4, 3  # the ends, of another step
    for n in range(1, 14):
        bits = 2 + n % 3
        low, high = ((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), (0, 2**bits - 1))[n % 2]
        scale, shape = (0.5, 0.3, 2.0)[n % 3], (2 + n,) if n < 4 else (2, n)
        x = (rng.normal(size=shape) * scale * 2**bits * 0.6).round(3)
        yield x + 0.0004, scale, low, high


def through_cases(rng):
    for i, (x, scale, low, high) in enumerate(grid_cases(rng)):
        upstream = np.array([-1.0, 2.0, 3.0])[: x.size] if i < 7 else rng.normal(size=x.shape).round(2)
        yield case(upstream, x, scale, low, high)


def step_slope(x, scale, qmin, qmax):
    """How fast scale * round(clip(x / scale, qmin, qmax)) moves with `scale`, entry by entry.

    Rounding counts as the identity, the clip as what it is; its ends still belong to the inside. `x` is an
    array, and so is the result: `scale` moves all entries, and their slopes aren't added up.
    """
    found = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        v = float(x[i]) / scale
        if v < qmin:
            found[i] = qmin
        elif v > qmax:
            found[i] = qmax
        else:
            found[i] = round(v) - v
    return found


def slope_cases(rng):
    for x, scale, low, high in grid_cases(rng):
        yield case(x, scale, low, high)


def pact_gradients(upstream, x, alpha):
    """(gradient for x, gradient for alpha), if `upstream` is the one for the rounded min(max(x, 0), alpha).

    As PACT has them: 1 for x where 0 < x < alpha, 1 for alpha where x >= alpha, else 0, each times
    `upstream`. The first is an array like `x`; the second one number, since all x share one `alpha`.
    """
    to_x, to_alpha = np.zeros(x.shape), 0.0
    for i in np.ndindex(x.shape):
        if float(x[i]) >= alpha:
            to_alpha += float(upstream[i])
        elif float(x[i]) > 0:
            to_x[i] = float(upstream[i])
    return to_x, to_alpha


def pact_cases(rng):
    yield case(np.array([2.0, 4.0]), np.array([0.5, 3.0]), 2.0)
    yield case(np.array([1.0, 2.0]), np.array([2.0, 1.9]), 2.0)
    yield case(np.array([3.0, -1.0, 2.0]), np.array([5.0, 6.0, 0.0]), 1.5)
    yield case(np.array([1.0, -2.0, 0.5]), np.array([-3.0, -4.0, 0.5]), 2.0)
    for n in range(1, 16):
        x = (rng.normal(size=(2 + n,) if n < 4 else (2, n)) * 2).round(3)
        yield case(rng.normal(size=x.shape).round(2), x, (0.5, 1.0, 2.0)[n % 3])


def turns(history):
    """How often each weight's integer turned back: up after it last went down, or down after up.

    `history` is (steps, weights), the result one count a weight. A weight may rest for some steps in between,
    and the way back need not be as long as the way out.
    """
    found = np.zeros(history.shape[1], int)
    for i in range(history.shape[1]):
        way = 0
        for before, after in zip(history[:-1, i], history[1:, i], strict=True):
            if after != before:
                now = 1 if after > before else -1
                if now == -way:
                    found[i] += 1
                way = now
    return found


def turn_cases(rng):
    yield case(np.array([[0], [1], [0]]))
    yield case(np.array([[0], [1], [2]]))
    yield case(np.array([[0], [1], [1], [0]]))
    yield case(np.array([[-2], [0], [-1], [1]]))
    yield case(np.array([[1], [-1], [-1], [1]]))
    yield case(np.array([[1], [2], [1], [1], [2]]))
    yield case(np.array([[0, 0], [1, 1], [1, 2], [0, 3]]))
    yield case(np.array([[2, -1], [2, -2], [1, -2], [1, -1], [1, 0], [0, -1]]))
    yield case(np.array([[3, -1]]))  # a single row: no move, no turn
    for n in range(2, 15):
        moves = rng.choice([-2, -1, 0, 0, 0, 1, 2], size=(3 + n, 1 + n % 5))
        yield case(np.clip(np.cumsum(moves, axis=0), -4, 3))


EXERCISES = (
    Exercise(
        "08.1", ste_path, path_cases, title="Straight through",
        hints=(
            "The loss sees round(w). Which number does gradient descent change?",
            "The slope of the loss at the rounded weight is round(w) - target; hand it to w as it is.",
            "Repeat n times: w = w - rate * (np.round(w) - target); keep every w, the first one too.",
        ),
        mistakes=MISTAKES["08.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "08.2", upper_share, share_cases, title="How long on the upper point",
        hints=(
            "If a part p of the time is spent on the upper point, where is the mean?",
            "The mean is lower + p * scale. Which p makes it the target?",
            "target / scale - np.floor(target / scale)",
        ),
        mistakes=MISTAKES["08.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "08.3", through, through_cases, title="The ends of the grid",
        hints=(
            "Two functions one behind the other: a clip, which is flat outside, and a rounding.",
            "Where x / scale lies between qmin and qmax the gradient passes as it is; elsewhere it is 0.",
            "np.where((x / scale >= qmin) & (x / scale <= qmax), upstream, 0.0)",
        ),
        mistakes=MISTAKES["08.3"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "08.4", step_slope, slope_cases, title="The slope of the step",
        hints=(
            "Outside, the output is scale * qmax or scale * qmin. And inside: product rule, chain rule.",
            "Inside, d/ds of s * round(x / s) is round(v) + s * 1 * (-x / s**2), with v = x / s.",
            "v = x / scale; outside np.clip(v, qmin, qmax), inside np.round(v) - v.",
        ),
        mistakes=MISTAKES["08.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "08.5", pact_gradients, pact_cases, title="A ceiling that learns",
        hints=(
            "Three places: below 0, between, at the ceiling or above. What moves the output in each?",
            "Between, x moves it; from the ceiling on, alpha does; below 0, neither. Many x share one alpha.",
            "to_x = upstream where 0 < x < alpha, else 0; to_alpha = the sum of upstream where x >= alpha.",
        ),
        mistakes=MISTAKES["08.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "08.6", turns, turn_cases, title="Who oscillates?",
        hints=(
            "A step up and, some time later, a step down: one turn. How do you remember the way in between?",
            "Keep for each weight the sign of its last change; a rest leaves it as it is.",
            "Each step: moved = np.sign(q - last); count moved * way < 0; way = moved where moved != 0.",
        ),
        mistakes=MISTAKES["08.6"],
    ),
)  # fmt: skip
