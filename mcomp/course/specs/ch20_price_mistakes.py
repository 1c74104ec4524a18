"""Chapter 20, a bound from a price for a byte: wrong answers, each with what happened."""

import itertools

import numpy as np

from mcomp.course.model import Mistake


def _prices(nbytes, error, *, next_only=False):
    """0, and where two options of a layer cost the same; with `next_only` neighbours in the list alone."""
    found = [0.0]
    for row in zip(nbytes.tolist(), error.tolist(), strict=True):
        options = list(zip(*row, strict=True))
        pairs = itertools.pairwise(options) if next_only else itertools.combinations(options, 2)
        for (a, x), (b, y) in pairs:
            if (b - a) * (x - y) > 0:
                found.append((x - y) / (b - a))
    return found


def _fits(nbytes, budget):
    return nbytes.min(1).sum() <= budget


def _value(nbytes, error, budget, price):
    return float((error + price * nbytes).min(1).sum() - price * budget)


def _bound(nbytes, error, budget, *, value=_value, best=max, prices=_prices, check=True):
    if check and not _fits(nbytes, budget):
        return float("inf")
    return best(value(nbytes, error, budget, price) for price in prices(nbytes, error))


def _with(**options):
    return lambda n, e, budget: _bound(n, e, budget, **options)


def _its_price(nbytes, error, budget):
    return max(_prices(nbytes, error), key=lambda p: (_value(nbytes, error, budget, p), -p))


def _choices(nbytes, error):
    rows = np.arange(len(nbytes))
    for places in itertools.product(range(nbytes.shape[1]), repeat=len(nbytes)):
        yield float(nbytes[rows, places].sum()), float(error[rows, places].sum())


def _best_choice(nbytes, error, budget):
    return min((e for n, e in _choices(nbytes, error) if n <= budget), default=float("inf"))


def _first_that_fits(nbytes, error, budget):
    """The error of what the least price that fits chooses."""
    for price in sorted(_prices(nbytes, error)):
        cost = error + price * nbytes
        places = [np.lexsort((n, c))[0] for n, c in zip(nbytes, cost, strict=True)]
        rows = np.arange(len(nbytes))
        if nbytes[rows, places].sum() <= budget:
            return float(error[rows, places].sum())
    return float("inf")


def _alone(nbytes, error, budget):
    """Each layer with a price and an equal part of the budget of its own."""
    if not _fits(nbytes, budget):
        return float("inf")
    part = budget / len(nbytes)
    return sum(_bound(n[None], e[None], part, check=False) for n, e in zip(nbytes, error, strict=True))


def _alike(nbytes, error, budget, price):
    return float((error + price * nbytes).sum(0).min() - price * budget)


def _columns(nbytes, error, budget, price):
    return float((error + price * nbytes).min(0).sum() - price * budget)


def _each(nbytes, error, budget, price):
    return float((error + price * nbytes - price * budget).min(1).sum())


def _their_errors(nbytes, error, budget, price):
    """Of what is chosen at that price the errors alone."""
    cost = error + price * nbytes
    return float(error[np.arange(len(cost)), cost.argmin(1)].sum())


def _touching(nbytes, error, budget):
    if nbytes.min(1).sum() >= budget:
        return float("inf")
    return _bound(nbytes, error, budget)


def _negative_too(nbytes, error):
    """Every slope, also of what is larger and worse."""
    found = _prices(nbytes, error)
    for ns, es in zip(nbytes.tolist(), error.tolist(), strict=True):
        for (a, x), (b, y) in itertools.combinations(zip(ns, es, strict=True), 2):
            if (b - a) * (x - y) < 0:
                found.append((x - y) / (b - a))
    return found


def _not_finite(value):
    """The right bound, but `value` where nothing fits."""
    return lambda n, e, budget: _bound(n, e, budget) if _fits(n, budget) else value


PRICE = (
    Mistake("price_zero", _with(prices=lambda n, e: [0.0]),
            "that is the bound at price 0: the least errors, whatever their bytes; a price may tell more"),
    Mistake("no_budget", _with(value=lambda n, e, b, p: _value(n, e, 0.0, p)),
            "you left out price * budget: without it there is no bound"),
    Mistake("plus", _with(value=lambda n, e, b, p: _value(n, e, -b, p)),
            "you added price * budget; it is taken off"),
    Mistake("least", _with(best=min),
            "you took the least bound; every price gives a true one, so the greatest tells most"),
    Mistake("never_inf", _with(check=False),
            "where not even the smallest options fit, the bound has no top: inf"),
    Mistake("best_choice", _best_choice,
            "that is the error of the best choice itself; the bound can lie below it"),
    Mistake("first_that_fits", _first_that_fits,
            "that is the error of what the least price that fits chooses: above the best choice, no bound"),
    Mistake("alone", _alone,
            "you gave each layer its own price and its part of the budget: one price, one budget for all"),
    Mistake("alike", _with(value=_alike),
            "you let all layers take the same option; each chooses for itself"),
    Mistake("columns", _with(value=_columns),
            "you took the least over the layers; over the options of each layer"),
    Mistake("budget_each", _with(value=_each),
            "you took the budget off in each layer; once, off the sum"),
    Mistake("errors_only", _with(value=_their_errors),
            "you added the errors of what is chosen; the bytes at their price belong to the bound"),
    Mistake("neighbours", _with(prices=lambda n, e: _prices(n, e, next_only=True)),
            "you compared options that stand side by side; any two of a layer may cost the same"),
    Mistake("no_zero", _with(prices=lambda n, e: _prices(n, e)[1:] or [1.0]),
            "price 0 is missing: where the budget is large, it is the best"),
    Mistake("negative", _with(prices=_negative_too),
            "a price below 0 is none: skip pairs of which the larger option is also the worse"),
    Mistake("upside_down", _with(prices=lambda n, e: [0.0, *(1 / p for p in _prices(n, e)[1:])]),
            "your prices are upside down: error that is saved, over bytes that it takes"),
    Mistake("ratios", _with(prices=lambda n, e: [0.0, *(e / n).ravel()]),
            "an option's error over its bytes is no price at which a layer changes: take differences of two"),
    Mistake("first_layer", _with(prices=lambda n, e: _prices(n[:1], e[:1])),
            "you tried the prices of the first layer; those of all layers"),
    Mistake("touching", _touching,
            "smallest options of exactly the budget fit: inf only above it"),
    Mistake("minus_inf", _not_finite(-float("inf")),
            "where nothing fits, the bound is above every error: inf, not -inf"),
    Mistake("nan", _not_finite(float("nan")),
            "where nothing fits, the bound is above every error: inf, not nan"),
    Mistake("its_price", _its_price,
            "that is a price; the bound there was asked for"),
)  # fmt: skip
