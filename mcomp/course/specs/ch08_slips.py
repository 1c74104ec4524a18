"""Chapter 08: slips that blind trials found, two at once and at the edges, beside `ch08_mistakes`."""

from itertools import pairwise

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch08_gradients import _inside, _pact, _slope
from mcomp.course.specs.ch08_mistakes import _path


def _falling_rate(start, target, rate, n):
    path = [start.astype(float)]
    for k in range(n):
        path.append(path[-1] - rate / (k + 1) * (np.round(path[-1]) - target))
    return np.array(path)


def _no_rests(history):
    moves = np.diff(history, axis=0)
    return (moves[1:] * moves[:-1] <= 0).sum(axis=0)


def _unsigned(history):
    """Differences of uint8, all of which are 0 or above."""
    found = []
    for column in history.T.astype(np.uint8):
        up = [step > 0 for step in np.diff(column) if step]
        found.append(sum(a != b for a, b in pairwise(up)))
    return np.array(found)


SLIPS = {
    "08.1": (
        Mistake("falling_rate", _falling_rate,
                "your rate falls from step to step; here it is the same in each"),
        Mistake("target_alone", lambda *a: _path(*a, slope=lambda w, t: w - np.round(t)),
                "you rounded the target in place of w; the slope is round(w) - target"),
        Mistake("one_at_least", lambda *a: _path(*a[:3], max(a[3], 1)),
                "for n = 0 there is no step: the path is the start alone, one row"),
    ),
    "08.2": (
        Mistake("one_on_grid", lambda target, s: target / s - np.ceil(target / s) + 1,
                "where the target lies on the grid yours is 1; the weight stays there: 0"),
    ),
    "08.4": (
        Mistake("slope_for_x", lambda *args: np.where(_inside(*args), 1.0, 0.0),
                "that is the slope for x, 1 inside and 0 outside; asked is the one for the scale"),
        Mistake("divided", lambda x, s, a, b: _slope(x, s, a, b) / s,
                "you divided by the scale; round(v) - v and the integers at the ends are the slope already"),
    ),
    "08.5": (
        Mistake("times_clipped", lambda up, x, alpha: (np.clip(x, 0, alpha) * up, _pact(up, x, alpha)[1]),
                "for x you multiplied by the clipped x; its slope is 1 inside, and 0 elsewhere"),
    ),
    "08.6": (
        Mistake("no_rests", _no_rests,
                "a rest gives a product of 0 and is no turn: compare with the last move that isn't 0"),
        Mistake("unsigned", _unsigned,
                "in an unsigned type 1 - 2 is 255, so no step goes down: keep the integers signed"),
    ),
}  # fmt: skip
