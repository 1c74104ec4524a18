"""Chapter 08: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _path(start, target, rate, n, slope=None, after=lambda w: w, shown=lambda w: w):
    slope = slope or (lambda w, t: np.round(w) - t)
    w = start.astype(float)
    path = [w]
    for _ in range(n):
        w = after(w - rate * slope(w, target))
        path.append(w)
    return np.array([shown(w) for w in path])


def _inside(x, scale, qmin, qmax):
    return (x / scale >= qmin) & (x / scale <= qmax)


def _slope(x, scale, qmin, qmax, inside=None, low=None, high=None):
    v = x / scale
    middle = np.round(v) - v if inside is None else inside(v)
    below, above = qmin if low is None else low, qmax if high is None else high
    return np.where(v < qmin, below, np.where(v > qmax, above, middle)) + 0.0


def _pact(upstream, x, alpha, inside=None, above=None, total=np.sum):
    inside = (x > 0) & (x < alpha) if inside is None else inside(x, alpha)
    above = x >= alpha if above is None else above(x, alpha)
    return np.where(inside, upstream, 0.0), float(total(np.where(above, upstream, 0.0)))


def _mean_above(upstream, x, alpha):
    to_x, total = _pact(upstream, x, alpha)
    return to_x, total / max(int((x >= alpha).sum()), 1)


def _grid_moves(upstream, x, alpha):
    """As for a learned step: inside, the grid moves in proportion to x / alpha."""
    part = np.clip(x / alpha, 0.0, 1.0)
    return _pact(upstream, x, alpha)[0], float((upstream * part).sum())


def _neighbours(history):
    moves = np.sign(np.diff(history, axis=0))
    return (moves[1:] * moves[:-1] < 0).sum(axis=0)


def _changes(history):
    return (np.diff(history, axis=0) != 0).sum(axis=0)


def _without_first(history):
    return np.maximum(_changes(history) - 1, 0)


def _signs(history):
    return (history[1:] * history[:-1] < 0).sum(axis=0)


def _both(history):
    """Changes of direction, where a rest is a direction of its own."""
    moves = np.sign(np.diff(history, axis=0))
    return (moves[1:] != moves[:-1]).sum(axis=0)


MISTAKES = {
    "08.1": (
        Mistake("float_gradient", lambda *a: _path(*a, slope=lambda w, t: w - t),
                "you took the slope at the hidden w: that trains without rounding; the loss sees round(w)"),
        Mistake("stored_rounded", lambda *a: _path(*a, after=np.round),
                "you keep the rounded weight after each step, so that small steps are lost; keep w itself"),
        Mistake("true_slope", lambda *a: _path(*a, slope=lambda w, t: 0.0 * w),
                "with the staircase's own slope, 0, nothing moves; rounding's derivative is taken to be 1"),
        Mistake("uphill", lambda *a: _path(*a, slope=lambda w, t: t - np.round(w)),
                "you walk uphill: the slope is round(w) - target, and descent subtracts it"),
        Mistake("shows_rounded", lambda *a: _path(*a, shown=np.round),
                "those are the rounded weights; the path of the hidden ones was asked for"),
        Mistake("floor", lambda *a: _path(*a, slope=lambda w, t: np.floor(w) - t),
                "you rounded down; the grid point is the nearest whole number"),
        Mistake("twice", lambda *a: _path(*a, slope=lambda w, t: 2 * (np.round(w) - t)),
                "your slope is twice too steep: the loss is half of the square"),
        Mistake("no_start", lambda *a: _path(*a)[1:],
                "the first row is the start, before any step"),
    ),
    "08.2": (
        Mistake("lower", lambda target, s: 1 - (target / s - np.floor(target / s)),
                "that is the time on the lower point; near the lower point, the upper one is rarely visited"),
        Mistake("nearest", lambda target, s: np.round(target / s) - np.floor(target / s),
                "that says which point is the nearest; an oscillating weight visits both"),
        Mistake("half", lambda target, s: np.full(target.shape, 0.5),
                "half and half holds only for a target in the middle; the drift balances, not the time"),
        Mistake("no_scale", lambda target, s: target - np.floor(target),
                "you took the step to be 1: count in steps of the grid, target / scale"),
        Mistake("not_divided", lambda target, s: target - s * np.floor(target / s),
                "that is the distance from the lower point; divide by the step to get a part of the time"),
        Mistake("towards_zero", lambda target, s: np.fmod(target / s, 1.0),
                "for a negative target you get a negative time: np.floor goes down, int() and fmod to zero"),
        Mistake("size", lambda target, s: abs(target) / s - np.floor(abs(target) / s),
                "you took |target|: below zero the upper point is the one nearer to zero"),
    ),
    "08.3": (
        Mistake("everywhere", lambda up, x, s, a, b: up.copy(),
                "you let the gradient pass everywhere; the clip is flat outside of its ends"),
        Mistake("nowhere", lambda up, x, s, a, b: np.zeros(x.shape),
                "that is the staircase's own derivative; here rounding counts as the identity"),
        Mistake("no_scale", lambda up, x, s, a, b: np.where((x >= a) & (x <= b), up, 0.0),
                "you compared x with qmin and qmax, which count steps: divide by the scale first"),
        Mistake("open_ends", lambda up, x, s, a, b: np.where((x / s > a) & (x / s < b), up, 0.0),
                "the ends belong to the inside: x / scale equal to qmin or qmax still gets its gradient"),
        Mistake("after_rounding",
                lambda up, x, s, a, b: np.where((np.round(x / s) >= a) & (np.round(x / s) <= b), up, 0.0),
                "you looked at the rounded number: x / scale up to half a step outside passed as well"),
        Mistake("upper_end_only", lambda up, x, s, a, b: np.where(x / s <= b, up, 0.0),
                "you cut off above qmax only; below qmin the clip is flat as well"),
        Mistake("inverted", lambda up, x, s, a, b: np.where(_inside(x, s, a, b), 0.0, up),
                "you have it the other way round: the gradient passes inside"),
        Mistake("times_scale", lambda up, x, s, a, b: np.where(_inside(x, s, a, b), up * s, 0.0),
                "x is divided by the scale and multiplied again: the two factors cancel"),
    ),
    "08.4": (
        Mistake("staircase", lambda x, s, a, b: np.clip(np.round(x / s), a, b),
                "that is round(v) inside, the staircase's own slope between jumps: the term -v is missing"),
        Mistake("turned", lambda *args: _slope(*args, inside=lambda v: v - np.round(v)),
                "the sign inside is turned: round(v) comes from the factor scale, -v from x / scale"),
        Mistake("ceiling_only", lambda *args: _slope(*args, inside=np.zeros_like),
                "inside you have 0, as PACT has: but the grid points move with the scale"),
        Mistake("flat_outside", lambda *args: _slope(*args, low=0.0, high=0.0),
                "outside the output is scale * qmin or scale * qmax: its slope is that integer, not 0"),
        Mistake("in_units", lambda x, s, a, b: s * _slope(x, s, a, b),
                "that is the rounding error itself; divided by the scale it is the slope"),
        Mistake("same_formula_outside", lambda x, s, a, b: np.clip(np.round(x / s), a, b) - x / s,
                "outside, x is clipped and no longer matters: only the integer at the end stays"),
        Mistake("no_ends", lambda x, s, a, b: np.round(x / s) - x / s,
                "the grid ends at qmin and qmax: outside the slope is that integer"),
    ),
    "08.5": (
        Mistake("no_ceiling", lambda *a: _pact(*a, inside=lambda x, alpha: x > 0),
                "above the ceiling x no longer moves the output: its gradient there is 0"),
        Mistake("no_floor", lambda *a: _pact(*a, inside=lambda x, alpha: x < alpha),
                "below 0 the output is 0 whatever x is: its gradient there is 0"),
        Mistake("every_alpha", lambda *a: _pact(*a, above=lambda x, alpha: x > -np.inf),
                "alpha moves the output only where x is cut by it, not everywhere"),
        Mistake("positive_alpha", lambda *a: _pact(*a, above=lambda x, alpha: x > 0),
                "you count every x above 0 for alpha; only those at the ceiling or above move with it"),
        Mistake("both_ends", lambda *a: _pact(*a, above=lambda x, alpha: abs(x) >= alpha),
                "you took |x|: a very negative x is cut to 0, which doesn't move with alpha"),
        Mistake("open_ceiling", lambda *a: _pact(*a, above=lambda x, alpha: x > alpha),
                "x equal to alpha belongs to the ceiling: x >= alpha"),
        Mistake("mean", lambda *a: _pact(*a, total=np.mean),
                "one alpha serves all x: its gradient is the sum of theirs, not the mean"),
        Mistake("mean_above", _mean_above,
                "you averaged over the x above the ceiling; gradients of a shared number add up"),
        Mistake("grid_moves", _grid_moves,
                "inside, the grid does move with alpha, in proportion to x; PACT leaves that out"),
        Mistake("count", lambda up, x, alpha: (_pact(up, x, alpha)[0], float((x >= alpha).sum())),
                "you counted the x above the ceiling; each brings its own upstream gradient"),
    ),
    "08.6": (
        Mistake("changes", _changes,
                "you counted every change; a weight that climbs from 0 to 3 never turns"),
        Mistake("without_first", _without_first,
                "you counted all changes but the first: two steps up in a row are no turn"),
        Mistake("neighbours", _neighbours,
                "a weight may rest before it turns: compare with its last change, not with the last step"),
        Mistake("signs", _signs,
                "you counted changes of sign; a turn is a change of direction, also between 1 and 2"),
        Mistake("rests", _both,
                "a rest is no direction: from up to resting is no turn"),
        Mistake("total", lambda history: int(_right(history).sum()),
                "one number for all weights; a count for each was asked for"),
    ),
}  # fmt: skip


def _right(history):
    way, found = np.zeros(history.shape[1], int), np.zeros(history.shape[1], int)
    for moved in np.sign(np.diff(history, axis=0)):
        found += moved * way < 0
        way = np.where(moved != 0, moved, way)
    return found


QUIZ = (
    Question(
        "A weight oscillates between two grid points. You halve the learning rate. What changes?",
        (
            Option("It turns half as often.",
                   "Steps up and steps down shrink alike: the pattern of turns stays, as the picture shows."),
            Option("The hidden weight moves in a band half as wide; the turns stay as frequent.",
                   "Yes: the rate sets the width, the distance of the target sets the times.", right=True),
            Option("It comes to rest on the nearer point.",
                   "At neither point is the straight-through gradient 0, so it can't rest there."),
        ),
    ),
    Question(
        "Why does the gradient of the step in LSQ have the term -x / scale?",
        (
            Option("Because rounding counts as the identity: a wider step makes x / scale smaller.",
                   "Yes: scale * (-x / scale**2), which the staircase's own slope doesn't have.", right=True),
            Option("It is what finite differences of the rounded output give.",
                   "They give round(x / scale) between jumps, as the chapter's table shows."),
            Option("It is the gradient of the clipped weights.",
                   "Clipped weights contribute qmin or qmax, without x."),
        ),
    ),
    Question(
        "Adam trains the steps. You multiply all their gradients by 0.01. What happens?",
        (
            Option("They learn a hundred times more slowly.",
                   "With plain gradient descent; Adam divides by the size of the gradient."),
            Option("Next to nothing: Adam divides by the gradient's size.",
                   "Yes: what counts is the learning rate beside the size of the step.", right=True),
            Option("They stop, because the gradient is too small for float32.",
                   "float32 reaches down to 1e-38."),
        ),
    ),
)  # fmt: skip
