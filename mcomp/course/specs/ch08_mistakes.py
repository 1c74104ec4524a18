"""Chapter 08: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch08_gradients import MISTAKES as GRADIENTS


def _path(start, target, rate, n, slope=None, after=lambda w: w, shown=lambda w: w):
    slope = slope or (lambda w, t: np.round(w) - t)
    w = start.astype(float)
    path = [w]
    for _ in range(n):
        w = after(w - rate * slope(w, target))
        path.append(w)
    return np.array([shown(w) for w in path])


def _stored(start, *rest):
    """Rounded weights are kept, the start too."""
    return _path(np.round(start), *rest, after=np.round)


def _step_from_rounded(start, target, rate, n):
    path = [start.astype(float)]
    for _ in range(n):
        path.append(np.round(path[-1]) - rate * (np.round(path[-1]) - target))
    return np.array(path)


def _line(start, target, rate, n):
    return np.array([start - rate * k * (np.round(start) - target) for k in range(n + 1)])


def _error(target, scale):
    return np.round(target / scale) - target / scale


def _neighbours(history):
    moves = np.sign(np.diff(history, axis=0))
    return (moves[1:] * moves[:-1] < 0).sum(axis=0)


def _changes(history):
    return (np.diff(history, axis=0) != 0).sum(axis=0)


def _signs(history):
    return (history[1:] * history[:-1] < 0).sum(axis=0)


def _both(history):
    """Changes of direction, where a rest is a direction of its own."""
    moves = np.sign(np.diff(history, axis=0))
    return (moves[1:] != moves[:-1]).sum(axis=0)


def _turned(history, count=lambda moved, way: moved * way < 0):
    way, found = np.zeros(history.shape[1], int), np.zeros(history.shape[1], int)
    for moved in np.sign(np.diff(history, axis=0)):
        found += count(moved, way)
        way = np.where(moved != 0, moved, way)
    return found


def _returns(history):
    columns = [c[np.r_[True, np.diff(c) != 0]] for c in history.T]
    return np.array([(c[2:] == c[:-2]).sum() for c in columns])


MISTAKES = GRADIENTS | {
    "08.1": (
        Mistake("float_gradient", lambda *a: _path(*a, slope=lambda w, t: w - t),
                "you took the slope at the hidden w: that trains without rounding; the loss sees round(w)"),
        Mistake("stored_rounded", lambda *a: _path(*a, after=np.round),
                "you keep the rounded weight after each step, so that small steps are lost; keep w itself"),
        Mistake("start_rounded", lambda start, *a: _path(np.round(start), *a),
                "you rounded the start: the hidden weight keeps its decimals, only the slope sees round(w)"),
        Mistake("all_rounded", _stored,
                "you keep rounded weights, the start too, so that small steps are lost; keep w itself"),
        Mistake("from_rounded", _step_from_rounded,
                "you step from the rounded weight: the step is taken from w, so that small ones add up"),
        Mistake("true_slope", lambda *a: _path(*a, slope=lambda w, t: 0.0 * w),
                "with the staircase's own slope, 0, nothing moves; rounding's derivative is taken to be 1"),
        Mistake("uphill", lambda *a: _path(*a, slope=lambda w, t: t - np.round(w)),
                "you walk uphill: the slope is round(w) - target, and descent subtracts it"),
        Mistake("shows_rounded", lambda *a: _path(*a, shown=np.round),
                "those are the rounded weights; the path of the hidden ones was asked for"),
        Mistake("floor", lambda *a: _path(*a, slope=lambda w, t: np.floor(w) - t),
                "you rounded down; the grid point is the nearest whole number"),
        Mistake("ceil", lambda *a: _path(*a, slope=lambda w, t: np.ceil(w) - t),
                "you rounded up; the grid point is the nearest whole number"),
        Mistake("cut", lambda *a: _path(*a, slope=lambda w, t: np.trunc(w) - t),
                "you cut the decimals off, as int() does; the grid point is the nearest whole number"),
        Mistake("half_up", lambda *a: _path(*a, slope=lambda w, t: np.floor(w + 0.5) - t),
                "floor(w + 0.5) sends every half up; np.round sends it to the even neighbour"),
        Mistake("target_rounded", lambda *a: _path(*a, slope=lambda w, t: np.round(w) - np.round(t)),
                "you rounded the target too; it is what the loss wants and stays as it is"),
        Mistake("sign", lambda *a: _path(*a, slope=lambda w, t: np.sign(np.round(w) - t)),
                "you took the slope's sign alone; its size, round(w) - target, belongs to the step"),
        Mistake("loss", lambda *a: _path(*a, slope=lambda w, t: (np.round(w) - t) ** 2 / 2),
                "you subtracted the loss itself; descent subtracts its slope, round(w) - target"),
        Mistake("twice", lambda *a: _path(*a, slope=lambda w, t: 2 * (np.round(w) - t)),
                "your slope is twice too steep: the loss is half of the square"),
        Mistake("mean", lambda *a: _path(*a, slope=lambda w, t: (np.round(w) - t) / w.size),
                "you divided by the number of weights: each has a loss of its own, not a part of a mean"),
        Mistake("line", _line,
                "you use the slope at the start throughout; it changes as soon as w is rounded elsewhere"),
        Mistake("alias", lambda *a: _path(*a)[[-1] * (a[3] + 1)],
                "every row is the last: -= changes the array in place, and the path holds it n + 1 times"),
        Mistake("no_start", lambda *a: np.array(list(_path(*a)[1:])),
                "the first row is the start, before any step"),
        Mistake("one_less", lambda *a: _path(*a)[:-1],
                "the last row is missing: n steps make n + 1 rows, the start among them"),
        Mistake("loss_shown", lambda s, t, *a: _path(s, t, *a, shown=lambda w: (np.round(w) - t) ** 2 / 2),
                "those are the losses on the way; the hidden weights were asked for"),
        Mistake("one_more", lambda *a: _path(*a[:3], a[3] + 1),
                "one step too many: n steps make n + 1 rows, the start among them"),
        Mistake("last", lambda *a: _path(*a)[-1],
                "that is the end alone; every step on the way was asked for, a row each"),
        Mistake("turned_round", lambda *a: _path(*a).T,
                "rows and columns are exchanged: a row a step, a column a weight"),
        Mistake("square", lambda *a: _path(*a, slope=lambda w, t: (np.round(w) - t) ** 2),
                "the slope of half a square is not the square: it is round(w) - target"),
        Mistake("difference", lambda *a: _path(*a, slope=lambda w, t: np.round(w - t)),
                "you rounded the difference; the loss has round(w) - target"),
        Mistake("no_rate", lambda start, target, rate, n: _path(start, target, 1.0, n),
                "the learning rate is missing: a step is rate times the slope"),
    ),
    "08.2": (
        Mistake("lower", lambda target, s: 1 - (target / s - np.floor(target / s)),
                "that is the time on the lower point; near the lower point, the upper one is rarely visited"),
        Mistake("from_above", lambda target, s: np.ceil(target / s) - target / s,
                "that is the way from the target up: the time on the lower point; count from below"),
        Mistake("nearest", lambda target, s: np.round(target / s) - np.floor(target / s),
                "that says which point is the nearest; an oscillating weight visits both"),
        Mistake("half", lambda target, s: np.full(target.shape, 0.5),
                "half and half holds only for a target in the middle; the drift balances, not the time"),
        Mistake("no_scale", lambda target, s: target - np.floor(target),
                "you took the step to be 1: count in steps of the grid, target / scale"),
        Mistake("floor_of_target", lambda target, s: (target - np.floor(target)) / s,
                "the point below is scale * floor(target / scale), not the whole number below"),
        Mistake("not_divided", lambda target, s: target - s * np.floor(target / s),
                "that is the distance from the lower point; divide by the step to get a part of the time"),
        Mistake("times", lambda target, s: target * s - np.floor(target * s),
                "you multiplied by the scale; in steps of the grid the target is target / scale"),
        Mistake("towards_zero", lambda target, s: np.fmod(target / s, 1.0),
                "for a negative target you get a negative time: np.floor goes down, int() and fmod to zero"),
        Mistake("size", lambda target, s: abs(target) / s - np.floor(abs(target) / s),
                "you took |target|: below zero the upper point is the one nearer to zero"),
        Mistake("error", lambda target, s: -_error(target, s),
                "that is the distance to the nearest point, with a sign; count from the point below"),
        Mistake("to_round", lambda target, s: target - np.round(target),
                "that is the distance to the nearest whole number; count steps from the point below"),
        Mistake("turned", lambda target, s: np.floor(target / s) - target / s,
                "the sign is turned: a part of the time is 0 to 1, target / scale less the point below"),
        Mistake("distance", lambda target, s: abs(_error(target, s)),
                "that is the distance to the nearest point; above the middle it isn't the time on the upper"),
        Mistake("changes", lambda target, s: 2 * abs(_error(target, s)),
                "that is how often it changes; which part of the time it is on the upper point was asked"),
        Mistake("longer", lambda target, s: 1 - abs(_error(target, s)),
                "that is the time on the nearer point; the upper one was asked for, near or far"),
        Mistake("steps", lambda target, s: target / s,
                "that is the target in steps of the grid; a part of the time counts from the point below"),
        Mistake("clipped", lambda target, s: np.clip(target / s, 0.0, 1.0),
                "the two points are the target's neighbours, not 0 and scale: subtract the lower one"),
        Mistake("number", lambda target, s: np.floor(target / s),
                "that is the number of the lower point; how far above it is the target, in steps?"),
        Mistake("mean", lambda target, s: float((target / s - np.floor(target / s)).mean()),
                "one number for all weights; each has its own part of the time"),
    ),
    "08.6": (
        Mistake("changes", _changes,
                "you counted every change; a weight that climbs from 0 to 3 never turns"),
        Mistake("without_first", lambda history: np.maximum(_changes(history) - 1, 0),
                "you counted all changes but the first: two steps up in a row are no turn"),
        Mistake("first_too", lambda history: _turned(history) + (_changes(history) > 0),
                "you counted the first change too; there is no way before it to turn back from"),
        Mistake("neighbours", _neighbours,
                "a weight may rest before it turns: compare with its last change, not with the last step"),
        Mistake("returns", _returns,
                "you counted returns to the last place; the way back need not be as long: 0, 2, 1 is a turn"),
        Mistake("at_once", lambda h: ((h[2:] == h[:-2]) & (h[1:-1] != h[:-2])).sum(axis=0),
                "you counted visits to a place and straight back; a turn may rest, and end elsewhere"),
        Mistake("down_only", lambda h: _turned(h, lambda moved, way: (moved < 0) & (way > 0)),
                "you counted turns from up to down; those from down to up count as well"),
        Mistake("up_only", lambda h: _turned(h, lambda moved, way: (moved > 0) & (way < 0)),
                "you counted turns from down to up; those from up to down count as well"),
        Mistake("pairs", lambda history: _turned(history) // 2,
                "you counted ways there and back; each change of direction is a turn"),
        Mistake("whether", lambda history: (_turned(history) > 0).astype(int),
                "you tell whether a weight turned; how often was asked"),
        Mistake("rate", lambda history: _turned(history) / len(history),
                "you divided by the number of steps; a count was asked for"),
        Mistake("signs", _signs,
                "you counted changes of sign; a turn is a change of direction, also between 1 and 2"),
        Mistake("rests", _both,
                "a rest is no direction: from up to resting is no turn"),
        Mistake("places", lambda history: np.array([len(np.unique(c)) - 1 for c in history.T]),
                "you counted the places that a weight has been to; one that goes to and fro has only two"),
        Mistake("across", lambda history: _neighbours(history.T),
                "you went along the weights; the steps are axis 0, the weights axis 1"),
        Mistake("total", lambda history: int(_turned(history).sum()),
                "one number for all weights; a count for each was asked for"),
        Mistake("not_straight", lambda history: _turned(history, lambda moved, way: moved * way <= 0),
                "a rest gives moved * way == 0 and is no turn: count moved * way < 0"),
        Mistake("goes_on", lambda history: _turned(history, lambda moved, way: moved * way > 0),
                "you counted where a weight goes on the same way; a turn has the opposite sign"),
        Mistake("halved", lambda history: _turned(history) / 2,
                "you halved the count; each change of direction is a turn"),
        Mistake("displacement", lambda history: abs(history[-1] - history[0]),
                "that is how far each weight got; how often it turned was asked"),
        Mistake("distance", lambda history: abs(np.diff(history, axis=0)).sum(axis=0),
                "that is how far each weight travelled; how often it turned was asked"),
        Mistake("bends", lambda history: (np.diff(history, n=2, axis=0) != 0).sum(axis=0),
                "second differences see every change of pace; a turn is a change of direction"),
    ),
}  # fmt: skip


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
