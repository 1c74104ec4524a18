"""Chapter 15: wrong PCGrads of two gradients, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def along(a, b):
    """The part of a along b; 0 along nothing."""
    return (a @ b) / (b @ b) * b if b @ b > 0 else 0 * b


def without(a, b):
    return a - along(a, b) if a @ b < 0 else a


def _always(a, b):
    return a - along(a, b)


def _if_conflict(change):
    """Something else than projections where the two conflict, else the sum."""
    return quiet(lambda a, b: change(a, b) if a @ b < 0 else a + b)


def _length(x):
    return np.sqrt(x @ x)


def _unit(x):
    return x / _length(x) if x @ x > 0 else x


def _by_sign(a, b):
    return np.where(a * b < 0, 0.0, a + b)


PAIR = (
    Mistake("sum", lambda a, b: a + b,
            "that is the plain sum: where a @ b is negative, project first"),
    Mistake("always", lambda a, b: _always(a, b) + _always(b, a),
            "you projected gradients that don't conflict, too: only where a @ b is negative"),
    Mistake("when_positive", lambda a, b: a + b if a @ b < 0 else _always(a, b) + _always(b, a),
            "the condition is upside down: a conflict is a negative inner product"),
    Mistake("only_a", lambda a, b: without(a, b) + b,
            "b is unchanged: project it on a as it came in (what is left of a meets b at a right angle)"),
    Mistake("only_b", lambda a, b: a + without(b, a),
            "a is unchanged: project it on b as it came in (what is left of b meets a at a right angle)"),
    Mistake("in_place_always", lambda a, b: _always(a, b) + _always(b, _always(a, b)),
            "a was projected without asking for a conflict; b not at all, or on what was left of a"),
    Mistake("old_inner", _if_conflict(lambda a, b: _always(a, b) + b - (
            a @ b / (_always(a, b) @ _always(a, b))) * _always(a, b)),
            "b was projected on what was left of a; project it on a as it came in"),
    Mistake("any_sign", lambda a, b: _always(a, b) + _always(b, a) if (a * b < 0).any() else a + b,
            "you asked the entries for a conflict; ask a @ b of the whole gradients"),
    Mistake("mean", lambda a, b: (without(a, b) + without(b, a)) / 2,
            "that is the mean of the two; their sum was asked for"),
    Mistake("mean_always", lambda a, b: (_always(a, b) + _always(b, a)) / 2,
            "the mean instead of the sum, and projected without asking whether the two conflict"),
    Mistake("plain_mean", lambda a, b: (a + b) / 2,
            "that is the mean of the two as they came in"),
    Mistake("added", _if_conflict(lambda a, b: a + along(a, b) + b + along(b, a)),
            "the sign is wrong: the part along the other is taken away, and a @ b is negative already"),
    Mistake("own_lengths", _if_conflict(lambda a, b: a - a @ b / (a @ a) * b + b - a @ b / (b @ b) * a),
            "the part of a along b is divided by b @ b, not by a @ a"),
    Mistake("no_lengths", _if_conflict(lambda a, b: a - a @ b * b + b - a @ b * a),
            "divide by the squared length of the gradient that you project on: b @ b, a @ a"),
    Mistake("lengths", _if_conflict(lambda a, b:
            a - a @ b / _length(b) * b + b - a @ b / _length(a) * a),
            "divide by the squared length, b @ b; you divided by the length"),
    Mistake("cosine", _if_conflict(lambda a, b:
            a - a @ b / _length(a) / _length(b) * b + b - a @ b / _length(a) / _length(b) * a),
            "you took away the cosine times the other; the part along b is a @ b / (b @ b) times b"),
    Mistake("cosine_unit", _if_conflict(lambda a, b:
            a - a @ b / _length(a) / _length(b) * _unit(b) + b - a @ b / _length(a) / _length(b) * _unit(a)),
            "you took away the cosine times a vector of length 1; its length is |a| times the cosine"),
    Mistake("units", quiet(lambda a, b: without(_unit(a), b) + without(_unit(b), a)),
            "you scaled the gradients to length 1; they keep their lengths"),
    Mistake("scaled", lambda a, b: _unit(without(a, b) + without(b, a)),
            "you scaled the answer to length 1"),
    Mistake("parts_along", _if_conflict(lambda a, b: along(a, b) + along(b, a)),
            "you kept the parts along the other; those are what goes"),
    Mistake("minus_parts", _if_conflict(lambda a, b: -along(a, b) - along(b, a)),
            "these are the parts that are taken away; the gradients themselves are missing"),
    Mistake("a_alone", lambda a, b: without(a, b),
            "that is what is left of a; b's part is missing"),
    Mistake("b_alone", lambda a, b: without(b, a),
            "that is what is left of b; a's part is missing"),
    Mistake("both", lambda a, b: (without(a, b), without(b, a)),
            "both are right; their sum was asked for"),
    Mistake("nothing", _if_conflict(lambda a, b: 0 * a),
            "where they conflict you returned zeros; only the part along the other goes"),
    Mistake("keep_a", _if_conflict(lambda a, b: a),
            "where they conflict you dropped b; only the part along the other goes"),
    Mistake("keep_longer", _if_conflict(lambda a, b: a if a @ a >= b @ b else b),
            "where they conflict you kept the longer; each loses only its part along the other"),
    Mistake("by_sign", _by_sign,
            "you looked at each entry alone; a conflict is one of the whole gradients, a @ b < 0"),
    Mistake("entrywise", _if_conflict(lambda a, b: np.where(a * b < 0, 0.0, a + b)),
            "you set entries of opposite sign to 0; a projection takes away a multiple of the other"),
    Mistake("negated", _if_conflict(lambda a, b: -(without(a, b) + without(b, a))),
            "the sign of the answer is wrong where they conflict"),
    Mistake("sum_projected", _if_conflict(lambda a, b: _always(_always(a + b, a), b)),
            "you projected the sum; project each on the other as it came in, then add"),
    Mistake("sum_projected_b_first", _if_conflict(lambda a, b: _always(_always(a + b, b), a)),
            "you projected the sum, on b and on a; project each on the other as it came in, then add"),
    Mistake("shrunk", _if_conflict(lambda a, b: (1 + a @ b / _length(a) / _length(b)) * (a + b)),
            "you made both shorter by the cosine; take from each its part along the other"),
    Mistake("joined", lambda a, b: np.concatenate([without(a, b), without(b, a)]),
            "both are right, one behind the other; add them"),
    Mistake("difference", lambda a, b: without(a, b) - without(b, a),
            "you subtracted; the sum of the two was asked for"),
    Mistake("length_of_other", _if_conflict(lambda a, b: a - a @ b / (a @ a) * a + b - a @ b / (a @ a) * a),
            "both were divided by a @ a; the part of a along b is a @ b / (b @ b) times b"),
    Mistake("length_of_second", _if_conflict(lambda a, b: a - a @ b / (b @ b) * b + b - a @ b / (b @ b) * a),
            "both were divided by b @ b; the part of b along a is a @ b / (a @ a) times a"),
    Mistake("sum_squared", _if_conflict(lambda a, b:
            a - a @ b / b.sum() ** 2 * b + b - a @ b / a.sum() ** 2 * a),
            "the squared length is the sum of squares, b @ b, not the square of the sum"),
    Mistake("one_sign", _if_conflict(lambda a, b: a - along(a, b) + b + along(b, a)),
            "in one of the two the sign is wrong: both lose their parts"),
    Mistake("agreement_lost", lambda a, b: without(a, b) + without(b, a) if a @ b < 0 else 0 * a,
            "where they don't conflict the answer is a + b, not nothing"),
    Mistake("once_too_often", _if_conflict(lambda a, b: a + b - 2 * along(a, b) - 2 * along(b, a)),
            "the parts were taken away twice: that is a mirror, not a projection"),
    Mistake("divides_by_zero", quiet(lambda a, b: (_always(a, b) + _always(b, a) if a @ b < 0 else a + b) + (
            0 if (a @ a) * (b @ b) > 0 else np.nan)),
            "a gradient of zeros gives 0 / 0: test a @ b < 0 before you divide"),
)  # fmt: skip
