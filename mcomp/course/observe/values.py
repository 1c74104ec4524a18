"""What wrong numbers and the right ones have to do with each other."""

import numpy as np

from mcomp.course.observe.factors import constant, of_factors, of_offsets
from mcomp.course.observe.terms import of_terms


def of_numbers(pairs, inputs, close):
    """The first relation that holds in every case, the special ones before the general ones; or ""."""
    pairs = [(y.astype(np.float64), e.astype(np.float64)) for y, e in pairs]
    if all(np.allclose(y, e, rtol=1e-6, atol=0, equal_nan=True) for y, e in pairs):
        return "every number is right but for its last digits: is something rounded, or computed twice?"
    if all(np.isnan(y).any() and not np.isnan(e).any() for y, e in pairs):
        return "some numbers are nan: 0 / 0, or infinity minus infinity?"
    with np.errstate(all="ignore"):
        for relation, sentence in RELATIONS:
            if all(close(relation(y), e) for y, e in pairs):
                return sentence
        factors = [constant(y / e, e != 0) for y, e in pairs]
        offsets = [constant(y - e, e == e) for y, e in pairs]
        return (
            of_factors(pairs, factors, inputs, close)
            or of_offsets(offsets, inputs)
            or of_terms(pairs, inputs, close)
            or _of_places(pairs, close)
            or _of_index(pairs, inputs, close)
            or _of_directions(pairs, factors, offsets, close)
        )


def _total(y):
    return np.sum(y) if np.ndim(y) else np.nan


RELATIONS = (
    (lambda y: y.T, "rows and columns are exchanged"),
    (lambda y: y[::-1] if y.ndim else y, "the order is the reverse"),
    (lambda y: 1 - y, "every number is 1 minus the expected one"),
    (lambda y: 1 / y, "every number is 1 divided by the expected one"),
    (lambda y: np.sqrt(y), "every number is the square of the expected one"),
    (lambda y: y**2, "every number is the square root of the expected one"),
    (lambda y: np.exp(y), "every number is the logarithm of the expected one"),
    (lambda y: np.log(y), "every number is the exponential of the expected one"),
    (lambda y: np.log2(y), "every number is 2 to the power of the expected one"),
    (lambda y: 2.0**y, "every number is the binary logarithm of the expected one"),
    (
        lambda y: np.diff(y, prepend=0) if y.ndim == 1 else np.nan,
        "yours are running sums of the expected numbers",
    ),
    (lambda y: np.cumsum(y) if y.ndim == 1 else np.nan, "the expected numbers are running sums of yours"),
    (lambda y: y / _total(y), "yours don't add up to 1: divided by their sum they would be right"),
    (lambda y: y / np.max(y), "divided by the largest of them, your numbers would be right"),
    (lambda y: y / np.linalg.norm(y), "divided by their length, your numbers would be right"),
)


def _of_places(pairs, close):
    if all(close(y, np.abs(e)) for y, e in pairs):
        return "yours are the sizes; some of the expected numbers are negative"
    if all(close(np.abs(y), np.abs(e)) for y, e in pairs):
        return "the sizes are right, some signs aren't"
    if all(close(np.sort(y, axis=None), np.sort(e, axis=None)) for y, e in pairs):
        return "these are the right numbers, in other places"
    if all(close(np.round(y), e) for y, e in pairs):
        return "rounded, every number would be right"
    for rounded, way in ((np.round, "rounded"), (np.floor, "rounded down"), (np.ceil, "rounded up")):
        if all(close(y, rounded(e)) for y, e in pairs):
            return f"yours are {way}; the exact numbers are asked for"
    if all((y[y != 0].size and close(y[y != 0], e[y != 0])) for y, e in pairs):
        return "where yours isn't 0 it is right; some that are 0 shouldn't be"
    if all((e == 0).any() and e.any() and close(y[e != 0], e[e != 0]) for y, e in pairs):
        return "some that should be 0 aren't; the others are right"
    return _of_ends(pairs, close)


def _of_index(pairs, inputs, close):
    """Is the entry alone right, or alone wrong, whose place is an argument?"""
    if any(e.ndim != 1 or e.size < 2 for _, e in pairs):
        return ""
    for name in inputs[0]:
        places = [given.get(name) for given in inputs]
        if not all(type(q) is int and 0 <= q < e.size for q, (_, e) in zip(places, pairs, strict=True)):
            continue
        here = [close(y[q], e[q]) for q, (y, e) in zip(places, pairs, strict=True)]
        rest = [np.delete(np.isclose(y, e), q) for q, (y, e) in zip(places, pairs, strict=True)]
        if all(here) and not any(one.any() for one in rest):
            return f"the entry at {name} is right, all others are wrong"
        if not any(here) and all(one.all() for one in rest):
            return f"the entry at {name} is wrong, all others are right"
    return ""


def _of_ends(pairs, close):
    """One-dimensional: moved by a place, or wrong at one end alone."""
    if len(pairs) < 4 or any(e.ndim != 1 or e.size < 2 for _, e in pairs):
        return ""
    for mine, theirs, sentence in (
        (slice(1, None), slice(None, -1), "every number stands one place too late"),
        (slice(None, -1), slice(1, None), "every number stands one place too early"),
        (slice(1, None), slice(1, None), "only the first number is wrong"),
        (slice(None, -1), slice(None, -1), "only the last number is wrong"),
    ):
        if all(close(y[mine], e[theirs]) for y, e in pairs):
            return sentence
    return ""


def _of_directions(pairs, factors, offsets, close):
    """What is always so without being a formula: one factor a case, one order, one direction."""
    long = [pair for pair in pairs if pair[1].size > 2]
    if len(long) >= 3:
        exact = all(c is not None and close(y, c * e) for c, (y, e) in zip(factors, pairs, strict=True))
        if exact and all(factors):
            return "in each case all numbers are wrong by one and the same factor"
        if None not in offsets:
            return "in each case all numbers are wrong by one and the same amount"
    for compare, side in ((np.less_equal, "small"), (np.greater_equal, "large")):
        if len(pairs) > 3 and all(compare(y, e).all() for y, e in pairs):
            whole = all(not close(y, e) and (y != e).all() for y, e in pairs)
            return f"{'every number' if whole else 'every wrong number'} is too {side}"
    return ""
