"""Chapter 16: wrong assignments, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _costs(w, values, bits, price):
    return np.subtract.outer(w, values) ** 2 + price * bits


def _by(costs, pick=np.argmin):
    return quiet(lambda w, values, bits, price: pick(costs(w, values, bits, price), axis=1))


def _last(costs, axis):
    return costs.shape[1] - 1 - costs[:, ::-1].argmin(1)


ASSIGN = (
    Mistake(
        "values",
        quiet(lambda w, values, bits, price: np.asarray(values)[_costs(w, values, bits, price).argmin(1)]),
        "the values came back; where they stand is asked for",
    ),
    Mistake(
        "nearest",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2),
        "each weight took its nearest value; the bits' price didn't count",
    ),
    Mistake(
        "distance",
        _by(lambda w, v, b, price: abs(np.subtract.outer(w, v)) + price * b),
        "the distance wasn't squared",
    ),
    Mistake(
        "price_one",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2 + b),
        "the bits weren't multiplied by the price",
    ),
    Mistake(
        "error_priced",
        _by(lambda w, v, b, price: price * np.subtract.outer(w, v) ** 2 + b),
        "the price was put on the error; it is put on the bits",
    ),
    Mistake(
        "minus",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2 - price * b),
        "the bits' price was subtracted: dear values were preferred",
    ),
    Mistake(
        "times",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2 * (1 + price * b)),
        "error and price were multiplied; they are added",
    ),
    Mistake(
        "cheapest",
        _by(lambda w, v, b, price: 0 * np.subtract.outer(w, v) + b),
        "each weight took the cheapest value; its error counts, too",
    ),
    Mistake("largest", _by(_costs, np.argmax), "each weight took the value of the largest cost"),
    Mistake("last", _by(_costs, _last), "of equal costs the last was taken; the first is asked for"),
    Mistake(
        "by_value",
        quiet(lambda w, values, bits, price: _costs(w, values, bits, price).argmin(0)),
        "for each value the best weight came back; each weight chooses a value",
    ),
    Mistake(
        "from_one",
        quiet(lambda w, values, bits, price: _costs(w, values, bits, price).argmin(1) + 1),
        "places were counted from 1; from 0 on",
    ),
    Mistake(
        "half",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2 / 2 + price * b),
        "the error was halved; nothing else was",
    ),
    Mistake(
        "chances",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2 + price * 2.0**-b),
        "you priced 2 ** -bits, a chance; the bits themselves are priced",
    ),
    Mistake(
        "fourth",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 4 + price * b),
        "the error was squared twice",
    ),
    Mistake(
        "price_squared",
        _by(lambda w, v, b, price: np.subtract.outer(w, v) ** 2 + price**2 * b),
        "the price was squared, too; only the distance is",
    ),
    Mistake(
        "same_for_all",
        quiet(lambda w, values, bits, price: np.full(len(w), _costs(w, values, bits, price).sum(0).argmin())),
        "all weights took the same value; each chooses for itself",
    ),
)
