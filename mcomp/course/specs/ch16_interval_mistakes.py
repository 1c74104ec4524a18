"""Chapter 16: wrong intervals, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _interval(step, *, order=lambda m: m, end=lambda low, width: (low, width)):
    """An interval by ``step(low, width, below, chance)``, from (0, 1)."""

    def answer(message, chances):
        low, width = 0.0, 1.0
        for s in order([int(s) for s in message]):
            below, chance = float(np.sum(chances[:s])), float(chances[s])
            low, width = step(low, width, below, chance)
        return end(low, width)

    return quiet(answer)


def _right(low, width, below, chance):
    return low + width * below, width * chance


def _with_itself(message, chances):
    return _interval(lambda low, width, below, chance: (low + width * (below + chance), width * chance))(
        message, chances
    )


INTERVALS = (
    Mistake(
        "high",
        _interval(_right, end=lambda low, width: (low, low + width)),
        "the second number is the interval's end; its width is asked for",
    ),
    Mistake(
        "turned_pair", _interval(_right, end=lambda low, width: (width, low)), "width and low are exchanged"
    ),
    Mistake(
        "reversed",
        _interval(_right, order=lambda m: m[::-1]),
        "the message was taken from behind; the first symbol cuts first",
    ),
    Mistake(
        "low_unscaled",
        _interval(lambda low, width, below, chance: (low + below, width * chance)),
        "low moved by the chances below, not by the width that is left times these",
    ),
    Mistake(
        "new_width",
        _interval(lambda low, width, below, chance: (low + width * chance * below, width * chance)),
        "low moved by the new width; the part begins within the old one, so move low first",
    ),
    Mistake(
        "itself_below",
        _with_itself,
        "the part of s begins behind the chances of all lower symbols; you added its own",
    ),
    Mistake(
        "low_only",
        _interval(lambda low, width, below, chance: (low + width * below, width)),
        "the width stayed 1: each symbol leaves chances[s] of it",
    ),
    Mistake(
        "width_only",
        _interval(lambda low, width, below, chance: (low, width * chance)),
        "low stayed 0: each symbol's part begins behind those of all lower ones",
    ),
    Mistake(
        "from_above",
        _interval(lambda low, width, below, chance: (low + width * (1 - below - chance), width * chance)),
        "the parts were laid out from the end; symbol 0 has the first",
    ),
    Mistake(
        "added",
        _interval(lambda low, width, below, chance: (low + width * below, width - chance)),
        "the chance was subtracted from the width; each symbol leaves chances[s] times it",
    ),
    Mistake(
        "widths_added",
        _interval(lambda low, width, below, chance: (low + width * below, width * (1 - chance))),
        "what is left is chances[s] of the width, not the rest",
    ),
    Mistake(
        "bits",
        _interval(_right, end=lambda low, width: (low, -np.log2(width) + 0.0)),
        "that is how many bits the message takes; the width itself is asked for",
    ),
    Mistake(
        "middle",
        _interval(_right, end=lambda low, width: (low + width / 2, width)),
        "the first number is the interval's middle; its beginning is asked for",
    ),
    Mistake(
        "last_only",
        lambda message, chances: _interval(_right)(message[-1:], chances),
        "only the last symbol counts; each cuts what the ones before left",
    ),
    Mistake(
        "first_only",
        lambda message, chances: _interval(_right)(message[:1], chances),
        "only the first symbol counts; each of the others cuts again",
    ),
)
