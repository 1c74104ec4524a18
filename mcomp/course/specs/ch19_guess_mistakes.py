"""Chapter 19: wrong ways to judge a guess, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _drawn(rest, v):
    """The first byte at which the sum of the chances is above v."""
    return int(np.argmax(np.cumsum(rest) > v))


def _judge(stays, rest):
    """The guess where ``stays(p, q, guess, u)``, else a byte of ``rest(p, q, guess)``."""

    def answer(p, q, guess, u, v):
        return guess if stays(p, q, guess, u) else _drawn(rest(p, q, guess), v)

    return quiet(answer)


def _stays(p, q, guess, u):
    return u < p[guess] / q[guess]


def _rest(p, q, guess):
    more = np.maximum(p - q, 0)
    return more / more.sum()


def _without_guess(p, q, guess):
    rest = p.copy()
    rest[guess] = 0
    return rest / rest.sum()


def _absolute(p, q, guess):
    return abs(p - q) / abs(p - q).sum()


def _turned(p, q, guess):
    more = np.maximum(q - p, 0)
    return more / more.sum()


def _one(change):
    """The byte after a refusal by another rule."""
    return quiet(lambda p, q, guess, u, v: guess if _stays(p, q, guess, u) else int(change(p, q, v)))


JUDGED = (
    Mistake(
        "always",
        _judge(lambda p, q, guess, u: True, _rest),
        "every guess was kept; then the draft writes, not the target",
    ),
    Mistake(
        "never",
        _judge(lambda p, q, guess, u: False, _rest),
        "no guess was kept; it stays where u is below p / q",
    ),
    Mistake(
        "greedy",
        quiet(lambda p, q, guess, u, v: int(p.argmax())),
        "the target's likeliest byte came back; the text is drawn, not chosen",
    ),
    Mistake(
        "upside_down",
        _judge(lambda p, q, guess, u: u < q[guess] / p[guess], _rest),
        "the guess stays where u is below p / q; you took q / p",
    ),
    Mistake(
        "by_p",
        _judge(lambda p, q, guess, u: u < p[guess], _rest),
        "u was compared with p[guess] alone; divide by q[guess], which drew it already",
    ),
    Mistake(
        "other_side",
        _judge(lambda p, q, guess, u: u >= p[guess] / q[guess], _rest),
        "kept and refused are exchanged: the guess stays where u is below p / q",
    ),
    Mistake(
        "at_least",
        _judge(lambda p, q, guess, u: p[guess] >= q[guess], _rest),
        "a guess stays not only where p is at least q; below it stays with the chance p / q",
    ),
    Mistake(
        "by_v",
        quiet(lambda p, q, guess, u, v: guess if v < p[guess] / q[guess] else _drawn(_rest(p, q, guess), u)),
        "u and v are exchanged: u judges, v draws",
    ),
    Mistake(
        "drawn_by_u",
        quiet(lambda p, q, guess, u, v: guess if _stays(p, q, guess, u) else _drawn(_rest(p, q, guess), u)),
        "the byte after a refusal was drawn by u, which is large then for sure; v is for that",
    ),
    Mistake(
        "from_p",
        _judge(_stays, lambda p, q, guess: p),
        "after a refusal you drew from p; what the draft gave enough of comes twice: max(0, p - q)",
    ),
    Mistake(
        "from_q",
        _judge(_stays, lambda p, q, guess: q),
        "after a refusal you drew from q; draw from max(0, p - q)",
    ),
    Mistake(
        "without_guess",
        _judge(_stays, _without_guess),
        "after a refusal you drew from p without the guess; draw from max(0, p - q)",
    ),
    Mistake(
        "absolute",
        _judge(_stays, _absolute),
        "you drew from |p - q|; where q is the larger nothing is missing: max(0, p - q)",
    ),
    Mistake(
        "from_excess",
        _judge(_stays, _turned),
        "you drew from max(0, q - p), of which the draft gave too much; max(0, p - q) is missing",
    ),
    Mistake(
        "not_normalized",
        _judge(_stays, lambda p, q, guess: np.maximum(p - q, 0)),
        "max(0, p - q) wasn't divided by its sum: v runs to 1, its sum doesn't",
    ),
    Mistake(
        "likeliest_rest",
        _one(lambda p, q, v: (p - q).argmax()),
        "after a refusal you took where p - q is largest; it is drawn, by v",
    ),
    Mistake(
        "one_late",
        _one(lambda p, q, v: min(_drawn(_rest(p, q, 0), v) + 1, len(p) - 1)),
        "the byte is one too far: the first at which the sum, itself included, is above v",
    ),
    Mistake(
        "from_behind",
        _one(lambda p, q, v: len(p) - 1 - _drawn(_rest(p, q, 0)[::-1], v)),
        "the sum was taken from the last byte on; it goes from the first",
    ),
    Mistake(
        "reached",
        _one(lambda p, q, v: np.argmax(np.cumsum(_rest(p, q, 0)) >= v)),
        "you stop where the sum is v or more; at v = 0 that is a byte without a chance: it must be above v",
    ),
)
