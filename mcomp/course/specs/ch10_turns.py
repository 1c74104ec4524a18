"""Chapter 10, one rotation: the wrong answers that people write."""

import math

import numpy as np

from mcomp.course.model import Mistake


def _rotate(p, q, angle):
    """rotate with another angle."""
    return math.cos(angle) * p + math.sin(angle) * q, math.cos(angle) * q - math.sin(angle) * p


def _products(p, q):
    return p @ p, q @ q, p @ q


def _ratio(gamma, difference):
    """Half of the angle whose tangent is 2 gamma / difference, within 45 degrees; 0 for 0/0."""
    sign = -1 if difference < 0 else 1
    return math.atan2(2 * sign * gamma, abs(difference)) / 2


def _angle(p, q):
    alpha, beta, gamma = _products(p, q)
    return _ratio(gamma, alpha - beta)


def _gram_schmidt(p, q):
    return p, q - (p @ q) / (p @ p) * p


def _in_place(p, q):
    c, s = math.cos(_angle(p, q)), math.sin(_angle(p, q))
    p = c * p + s * q
    return p, c * q - s * p


def _no_half(p, q):
    return _rotate(p, q, 2 * _angle(p, q))


def _no_two(p, q):
    alpha, beta, gamma = _products(p, q)
    return _rotate(p, q, _ratio(gamma / 2, alpha - beta))


def _shorter_first(p, q):
    alpha, beta, gamma = _products(p, q)
    return _rotate(p, q, -math.pi / 4 if alpha == beta and gamma > 0 else _angle(p, q))


def _large_angle(p, q):
    alpha, beta, gamma = _products(p, q)
    return _rotate(p, q, math.atan2(2 * gamma, alpha - beta) / 2)


def _plus_45(p, q):
    equal = abs(p @ p - q @ q) < 1e-12 and abs(p @ q) > 1e-12
    return _rotate(p, q, math.pi / 4 if equal else _angle(p, q))


def _longer_first(p, q):
    return (q, -p) if abs(p @ q) < 1e-12 and q @ q > p @ p else _rotate(p, q, _angle(p, q))


def _made_units(p, q):
    return tuple(v / (np.linalg.norm(v) or 1.0) for v in _rotate(p, q, _angle(p, q)))


MISTAKES = {
    "10.2": (
        Mistake("no_half", _no_half, "tan of twice the angle is known: take half of the arctan"),
        Mistake("no_two", _no_two, "in tan(2 angle) the product counts twice: 2 p·q over p·p − q·q"),
        Mistake("wrong_way", lambda p, q: _rotate(p, q, -_angle(p, q)),
                "you turned the other way: the angle between the vectors got worse"),
        Mistake("gram_schmidt", _gram_schmidt,
                "that is a projection: q got shorter. A rotation changes both and keeps p·p + q·q"),
        Mistake("in_place", _in_place,
                "you computed the new q from the new p; both come from the old ones"),
        Mistake("large_angle", _large_angle,
                "orthogonal, but by more than 45 degrees where q is the longer: take arctan, not arctan2"),
        Mistake("bare_formula", lambda p, q: _rotate(p, q, np.arctan(2 * (p @ q) / (p @ p - q @ q)) / 2),
                "0/0 is NaN: vectors of equal length that are orthogonal already stay as they are"),
        Mistake("orthonormal", lambda p, q: tuple(v / np.linalg.norm(v) for v in _gram_schmidt(p, q)),
                "you made them orthonormal: a rotation keeps p·p + q·q, so no length is divided away"),
        Mistake("exchanged", lambda p, q: _rotate(p, q, _angle(p, q))[::-1],
                "right, but in the other order: new p first, then new q"),
        Mistake("lengths", lambda p, q: _rotate(p, q, _ratio(p @ q, np.linalg.norm(p) - np.linalg.norm(q))),
                "in tan(2 angle) stand the squared lengths p·p and q·q, not the lengths"),
        Mistake("degrees", lambda p, q: _rotate(p, q, math.degrees(_angle(p, q))),
                "cos and sin want radians: leave out the conversion to degrees"),
        Mistake("no_rotation", lambda p, q: (_rotate(p, q, _angle(p, q))[0], _rotate(p, q, -_angle(p, q))[1]),
                "new q is cos · q − sin · p: with plus twice it is no rotation"),
        Mistake("sum_of_lengths", lambda p, q: _rotate(p, q, _ratio(p @ q, p @ p + q @ q)),
                "the squared lengths are subtracted, p·p − q·q, not added"),
        Mistake("shorter_first", _shorter_first,
                "of equal length: turn so that new p is the longer; new q is, where p·p = q·q"),
        Mistake("always_45", lambda p, q: _rotate(p, q, math.pi / 4),
                "45 degrees is right for vectors of equal length only"),
        Mistake("plus_45", lambda p, q: _rotate(
                    p, q, math.pi / 4 if abs(p @ p - q @ q) < 1e-12 else _angle(p, q)),
                "of equal length: the way depends on the sign of p·q, and orthogonal ones stay as they are"),
        Mistake("plus_45_not_orthogonal", _plus_45,
                "of equal length the way depends on the sign of p·q: where it is below 0, turn back"),
        Mistake("longer_first", _longer_first,
                "orthogonal already: they stay as they are, also where q is the longer"),
        Mistake("made_units", _made_units,
                "the turn is right; you divided by the lengths after it, which a rotation leaves alone"),
        Mistake("mirrored", lambda p, q: (lambda a, b: (a, -b))(*_rotate(p, q, _angle(p, q))),
                "new q has the other sign: that is a reflection, a rotation has cos · q − sin · p"),
        Mistake("angle", _angle, "that is the angle; the two turned vectors were asked for"),
        Mistake("half_turn", lambda p, q: tuple(-v for v in _rotate(p, q, _angle(p, q))),
                "both have the other sign: you turned by 180 degrees more"),
    ),
}  # fmt: skip
