"""Chapter 08: the wrong answers on gradients at a grid, of the exercises 08.3 to 08.5."""

import numpy as np

from mcomp.course.model import Mistake


def _inside(x, scale, qmin, qmax):
    return (x / scale >= qmin) & (x / scale <= qmax)


def _passes(inside, factor=lambda *args: 1.0):
    return lambda up, *grid: np.where(inside(*grid), up * factor(*grid), 0.0)


def _rest(x, scale, qmin=0, qmax=0):
    return np.round(x / scale) - x / scale


def _slope(x, scale, qmin, qmax, inside=None, low=None, high=None):
    v = x / scale
    middle = np.round(v) - v if inside is None else inside(v)
    below, above = qmin if low is None else low, qmax if high is None else high
    return np.where(v < qmin, below, np.where(v > qmax, above, middle)) + 0.0


def _after_rounding(x, scale, qmin, qmax):
    q = np.round(x / scale)
    return np.where(q < qmin, qmin, np.where(q > qmax, qmax, q - x / scale)) + 0.0


def _pact(upstream, x, alpha, inside=None, above=None, total=np.sum, factor=1.0):
    inside = (x > 0) & (x < alpha) if inside is None else inside(x, alpha)
    above = x >= alpha if above is None else above(x, alpha)
    return np.where(inside, upstream, 0.0), float(total(np.where(above, upstream * factor, 0.0)))


def _mean_above(upstream, x, alpha):
    to_x, total = _pact(upstream, x, alpha)
    return to_x, total / max(int((x >= alpha).sum()), 1)


def _grid_moves(upstream, x, alpha):
    """As for a learned step: inside, the grid moves in proportion to x / alpha."""
    part = np.clip(x / alpha, 0.0, 1.0)
    return _pact(upstream, x, alpha)[0], float((upstream * part).sum())


MISTAKES = {
    "08.3": (
        Mistake("everywhere", lambda up, x, s, a, b: up.copy(),
                "you let the gradient pass everywhere; the clip is flat outside of its ends"),
        Mistake("nowhere", lambda up, x, s, a, b: np.zeros(x.shape),
                "that is the staircase's own derivative; here rounding counts as the identity"),
        Mistake("mask", lambda up, *grid: np.where(_inside(*grid), 1.0, 0.0),
                "that says where the gradient passes; what passes is upstream"),
        Mistake("no_scale", _passes(lambda x, s, a, b: (x >= a) & (x <= b)),
                "you compared x with qmin and qmax, which count steps: divide by the scale first"),
        Mistake("multiplied", _passes(lambda x, s, a, b: (x * s >= a) & (x * s <= b)),
                "you multiplied by the scale; in steps of the grid x is x / scale"),
        Mistake("open_ends", _passes(lambda x, s, a, b: (x / s > a) & (x / s < b)),
                "the ends belong to the inside: x / scale equal to qmin or qmax still gets its gradient"),
        Mistake("open_low", _passes(lambda x, s, a, b: (x / s > a) & (x / s <= b)),
                "the lower end belongs to the inside: x / scale equal to qmin still gets its gradient"),
        Mistake("open_high", _passes(lambda x, s, a, b: (x / s >= a) & (x / s < b)),
                "the upper end belongs to the inside: x / scale equal to qmax still gets its gradient"),
        Mistake("after_rounding", _passes(lambda x, s, a, b: (np.round(x / s) >= a) & (np.round(x / s) <= b)),
                "you looked at the rounded number: x / scale up to half a step outside passed as well"),
        Mistake("after_floor", _passes(lambda x, s, a, b: (np.floor(x / s) >= a) & (np.floor(x / s) <= b)),
                "you looked at the number rounded down: up to a step above qmax passed as well"),
        Mistake("upper_end_only", _passes(lambda x, s, a, b: x / s <= b),
                "you cut off above qmax only; below qmin the clip is flat as well"),
        Mistake("lower_end_only", _passes(lambda x, s, a, b: x / s >= a),
                "you cut off below qmin only; above qmax the clip is flat as well"),
        Mistake("size", _passes(lambda x, s, a, b: abs(x / s) <= b),
                "you took |x|: the grid goes from qmin to qmax, and -qmax need not be qmin"),
        Mistake("upstream", lambda up, x, s, a, b: np.where(_inside(up, s, a, b), up, 0.0),
                "you asked whether upstream lies in the grid; it is x that is clipped"),
        Mistake("inverted", lambda up, *grid: np.where(_inside(*grid), 0.0, up),
                "you have it the other way round: the gradient passes inside"),
        Mistake("times_scale", _passes(_inside, lambda x, s, a, b: s),
                "x is divided by the scale and multiplied again: the two factors cancel"),
        Mistake("over_scale", _passes(_inside, lambda x, s, a, b: 1 / s),
                "x is divided by the scale and multiplied again: the two factors cancel"
                " (you kept the division alone)"),
        Mistake("slope_of_scale", _passes(_inside, _rest),
                "round(v) - v is the slope for the scale; for x the slope is 1 inside"),
        Mistake("times_position", lambda up, x, s, a, b: up * np.clip(x / s, a, b),
                "you multiplied by the clipped number; by its slope, 1 inside and 0 outside, is right"),
        Mistake("integers_outside", lambda up, x, s, a, b: up * _slope(x, s, a, b, inside=np.ones_like),
                "outside you have qmin and qmax: that is the slope for the scale; x is cut off there, 0"),
        Mistake("clipped_upstream", lambda up, x, s, a, b: np.clip(up, a, b),
                "you clipped the gradient; it is x that is clipped, and where, the gradient is 0"),
        Mistake("selected", lambda up, *grid: up[_inside(*grid)],
                "you left the outer entries out; they stay in their place, with gradient 0"),
        Mistake("minus", _passes(_inside, lambda *grid: -1.0),
                "the sign is turned: inside, rounding counts as the identity, slope + 1"),
        Mistake("after_cutting", _passes(lambda x, s, a, b: (np.trunc(x / s) >= a) & (np.trunc(x / s) <= b)),
                "you looked at the number without its decimals: up to a step outside passed as well"),
        Mistake("after_ceil", _passes(lambda x, s, a, b: (np.ceil(x / s) >= a) & (np.ceil(x / s) <= b)),
                "you looked at the number rounded up: up to a step below qmin passed as well"),
        Mistake("output", lambda up, x, s, a, b: s * np.round(np.clip(x / s, a, b)),
                "that is the output of the grid; the gradient that goes back to x was asked for"),
        Mistake("positions", _passes(_inside, lambda x, s, a, b: x),
                "you multiplied by x; inside the slope is 1, upstream passes as it is"),
        Mistake("values", lambda up, *grid: np.where(_inside(*grid), grid[0], 0.0),
                "you let x pass in place of upstream"),
        Mistake("sum", lambda up, *grid: float(up[_inside(*grid)].sum()),
                "you added it up: each x has a gradient of its own"),
    ),
    "08.4": (
        Mistake("staircase", lambda x, s, a, b: np.clip(np.round(x / s), a, b),
                "that is round(v) inside, the staircase's own slope between jumps: the term -v is missing"),
        Mistake("position", lambda x, s, a, b: np.clip(x / s, a, b),
                "that is v, clipped; inside the slope is round(v) - v"),
        Mistake("turned", lambda *args: _slope(*args, inside=lambda v: v - np.round(v)),
                "the sign inside is turned: round(v) comes from the factor scale, -v from x / scale"),
        Mistake("negative", lambda *args: -_slope(*args),
                "the sign is turned everywhere: beyond qmax the output is scale * qmax, its slope + qmax"),
        Mistake("chain_only", lambda *args: _slope(*args, inside=np.negative),
                "inside you have -v, the chain rule's part; the product rule adds round(v)"),
        Mistake("plus", lambda *args: _slope(*args, inside=lambda v: np.round(v) + v),
                "the derivative of x / scale is negative: round(v) - v inside"),
        Mistake("floor", lambda *args: _slope(*args, inside=lambda v: np.floor(v) - v),
                "you rounded down; the grid point is the nearest"),
        Mistake("square", lambda x, s, a, b: _slope(x, s, a, b, inside=lambda v: np.round(v) - v / s),
                "the chain rule's -x / scale**2 is still multiplied by scale: -x / scale is left"),
        Mistake("ceiling_only", lambda *args: _slope(*args, inside=np.zeros_like),
                "inside you have 0, as PACT has: but the grid points move with the scale"),
        Mistake("flat_outside", lambda *args: _slope(*args, low=0.0, high=0.0),
                "outside the output is scale * qmin or scale * qmax: its slope is that integer, not 0"),
        Mistake("ones_inside", lambda *args: _slope(*args, inside=np.ones_like),
                "inside you have 1, the slope for x; for the scale it is round(v) - v"),
        Mistake("ones_outside", lambda *args: _slope(*args, low=-1.0, high=1.0),
                "outside the output is scale * qmin or scale * qmax: its slope is that integer"
                ", not its sign"),
        Mistake("ends_exchanged", lambda x, s, a, b: _slope(x, s, a, b, low=b, high=a),
                "the ends are exchanged: below the output is scale * qmin, above scale * qmax"),
        Mistake("above_only", lambda x, s, a, b: np.where(x / s > b, b, _rest(x, s)),
                "you treated the upper end only; below qmin the slope is qmin"),
        Mistake("size", lambda x, s, a, b: np.where(abs(x / s) <= b, _rest(x, s), np.where(x < 0, a, b)),
                "you took |x|: the grid goes from qmin to qmax, and -qmax need not be qmin"),
        Mistake("open_ends", lambda x, s, a, b: np.where(x / s <= a, a, np.where(x / s >= b, b, _rest(x, s))),
                "the ends belong to the inside: where x / scale equals qmin or qmax the slope is 0"),
        Mistake("after_rounding", _after_rounding,
                "you asked whether the rounded number lies in the grid: half a step outside is outside"),
        Mistake("in_units", lambda x, s, a, b: s * _slope(x, s, a, b),
                "that is the rounding error itself; divided by the scale it is the slope"),
        Mistake("error_inside", lambda x, s, a, b: _slope(x, s, a, b, lambda v: s * (np.round(v) - v)),
                "inside that is the rounding error itself; divided by the scale it is the slope"),
        Mistake("no_scale", lambda x, s, a, b: _slope(x, 1.0, a, b),
                "you took the step to be 1: qmin and qmax count steps, v = x / scale"),
        Mistake("same_formula_outside", lambda x, s, a, b: np.clip(np.round(x / s), a, b) - x / s,
                "outside, x is clipped and no longer matters: only the integer at the end stays"),
        Mistake("no_ends", _rest,
                "the grid ends at qmin and qmax: outside the slope is that integer"),
        Mistake("sum", lambda *args: float(_slope(*args).sum()),
                "you added the slopes up; they were asked for entry by entry"),
        Mistake("staircase_inside", lambda x, s, a, b: np.where(_inside(x, s, a, b), np.round(x / s), 0.0),
                "two things: inside the term -v is missing, and outside the slope is the integer at the end"),
        Mistake("size_inside", lambda *args: _slope(*args, inside=lambda v: abs(np.round(v) - v)),
                "inside the slope keeps its sign: round(v) - v, negative where v is rounded down"),
        Mistake("ceil", lambda *args: _slope(*args, inside=lambda v: np.ceil(v) - v),
                "you rounded up; the grid point is the nearest"),
        Mistake("half_up", lambda *args: _slope(*args, inside=lambda v: np.floor(v + 0.5) - v),
                "floor(v + 0.5) sends every half up; np.round sends it to the even neighbour"),
        Mistake("outside_in_units", lambda x, s, a, b: _slope(x, s, a, b, low=s * a, high=s * b),
                "outside that is the output; its slope for scale is the integer, qmin or qmax"),
        Mistake("minus_x", lambda x, s, a, b: _slope(x, s, a, b, inside=lambda v: np.round(v) - s * v),
                "inside the last term is x / scale, not x"),
        Mistake("position_outside", lambda x, s, a, b: np.where(_inside(x, s, a, b), _rest(x, s), x / s),
                "outside x is cut off: the slope is qmin or qmax, however far away x is"),
        Mistake("upper_for_both", lambda x, s, a, b: _slope(x, s, a, b, low=b),
                "below qmin the output is scale * qmin: its slope is qmin, not qmax"),
        Mistake("mean", lambda *args: float(_slope(*args).mean()),
                "you took the mean; the slopes were asked for entry by entry"),
    ),
    "08.5": (
        Mistake("no_ceiling", lambda *a: _pact(*a, inside=lambda x, alpha: x > 0),
                "above the ceiling x no longer moves the output: its gradient there is 0"),
        Mistake("no_floor", lambda *a: _pact(*a, inside=lambda x, alpha: x < alpha),
                "below 0 the output is 0 whatever x is: its gradient there is 0"),
        Mistake("no_ends", lambda *a: _pact(*a, inside=lambda x, alpha: x > -np.inf),
                "you let the gradient for x pass everywhere: below 0 and from alpha on it is 0"),
        Mistake("size_inside", lambda *a: _pact(*a, inside=lambda x, alpha: abs(x) < alpha),
                "you took |x|: every x below 0 is cut to 0, its gradient there is 0"),
        Mistake("both_at_alpha", lambda *a: _pact(*a, inside=lambda x, alpha: (x > 0) & (x <= alpha)),
                "where x equals alpha you move both; it belongs to the ceiling, x gets 0 there"),
        Mistake("closed", lambda *a: _pact(*a, inside=lambda x, alpha: (x >= 0) & (x <= alpha)),
                "your inside has its ends: x gets its gradient where 0 < x < alpha"),
        Mistake("closed_floor", lambda *a: _pact(*a, inside=lambda x, alpha: (x >= 0) & (x < alpha)),
                "where x is 0 its gradient is 0 here: inside is 0 < x < alpha"),
        Mistake("every_alpha", lambda *a: _pact(*a, above=lambda x, alpha: x > -np.inf),
                "alpha moves the output only where x is cut by it, not everywhere"),
        Mistake("positive_alpha", lambda *a: _pact(*a, above=lambda x, alpha: x > 0),
                "you count every x above 0 for alpha; only those at the ceiling or above move with it"),
        Mistake("inside_alpha", lambda *a: _pact(*a, above=lambda x, alpha: (x > 0) & (x < alpha)),
                "you summed the inside for alpha; there x moves the output, alpha from the ceiling on"),
        Mistake("below_alpha", lambda *a: _pact(*a, above=lambda x, alpha: x < alpha),
                "you summed where x is below the ceiling; alpha moves the output from the ceiling on"),
        Mistake("both_ends", lambda *a: _pact(*a, above=lambda x, alpha: abs(x) >= alpha),
                "for alpha you took |x|: a very negative x is cut to 0, which doesn't move with alpha"),
        Mistake("ceiling_inside",
                lambda *a: _pact(*a, lambda x, alpha: (x > 0) & (x <= alpha), lambda x, alpha: x > alpha),
                "x equal to alpha belongs to the ceiling: it moves alpha's gradient, and its own is 0"),
        Mistake("open_ceiling", lambda *a: _pact(*a, above=lambda x, alpha: x > alpha),
                "x equal to alpha belongs to the ceiling: x >= alpha"),
        Mistake("mean", lambda *a: _pact(*a, total=np.mean),
                "one alpha serves all x: its gradient is the sum of theirs, not the mean"),
        Mistake("mean_above", _mean_above,
                "you averaged over the x above the ceiling; gradients of a shared number add up"),
        Mistake("apart", lambda up, x, alpha: (_pact(up, x, alpha)[0], np.where(x >= alpha, up, 0.0)),
                "one alpha serves all x: its gradient is one number, the sum of these"),
        Mistake("minus", lambda *a: _pact(*a, factor=-1.0),
                "the sign for alpha is turned: a higher ceiling lets more pass, slope +1"),
        Mistake("times_alpha", lambda up, x, alpha: _pact(up, x, alpha, factor=alpha),
                "you multiplied by alpha: at the ceiling the output is alpha, and its slope is 1"),
        Mistake("over_ceiling", lambda up, x, alpha: _pact(up, x, alpha, factor=x - alpha),
                "you multiplied by how far x is above the ceiling; the output there is alpha, its slope 1"),
        Mistake("times_x", lambda up, x, alpha: (_pact(up * x, x, alpha)[0], _pact(up, x, alpha)[1]),
                "you multiplied by x: inside the output is x, and its slope is 1"),
        Mistake("grid_moves", _grid_moves,
                "inside, the grid does move with alpha, in proportion to x; PACT leaves that out"),
        Mistake("count", lambda up, x, alpha: (_pact(up, x, alpha)[0], float((x >= alpha).sum())),
                "you counted the x above the ceiling; each brings its own upstream gradient"),
        Mistake("slopes", lambda up, x, alpha: _pact(np.ones_like(up), x, alpha),
                "those are the slopes, 1 and 0; each is multiplied by its upstream gradient"),
        Mistake("slope_of_x",
                lambda up, x, alpha: (_pact(np.ones_like(up), x, alpha)[0], _pact(up, x, alpha)[1]),
                "for x those are the slopes, 1 and 0; each is multiplied by its upstream gradient"),
        Mistake("both_added", lambda *a: (float(_pact(*a)[0].sum()), _pact(*a)[1]),
                "each x has a gradient of its own; only alpha's is added up"),
        Mistake("exchanged", lambda *a: _pact(*a)[::-1],
                "first the gradient for x, then that for alpha"),
        Mistake("output", lambda up, x, alpha: (np.clip(x, 0.0, alpha), _pact(up, x, alpha)[1]),
                "the first is the clipped x itself; its gradient is upstream inside, 0 elsewhere"),
        Mistake("floor_too", lambda *a: _pact(*a, above=lambda x, alpha: (x >= alpha) | (x <= 0)),
                "for alpha you count the x below 0 too; there the output is 0, whatever alpha is"),
        Mistake("over_alpha", lambda up, x, alpha: _pact(up, x, alpha, factor=1 / alpha),
                "you divided by alpha: at the ceiling the output is alpha, and its slope is 1"),
        Mistake("size_of_upstream", lambda up, x, alpha: _pact(up, x, alpha, factor=np.sign(up)),
                "you took upstream's size; its sign says which way the loss pulls at alpha"),
        Mistake("first_only", lambda *a: _pact(*a)[0], "two gradients were asked for: (for x, for alpha)"),
        Mistake("second_only", lambda *a: _pact(*a)[1], "two were asked for: first the gradient for x"),
        Mistake("inside_selected", lambda up, x, alpha: (up[(x > 0) & (x < alpha)], _pact(up, x, alpha)[1]),
                "you left the outer x out; they stay in their place, with gradient 0"),
    ),
}  # fmt: skip
