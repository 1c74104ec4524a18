"""What wrong numbers and the right ones have to do with each other."""

import math

import numpy as np

from mcomp.course.compare import is_array
from mcomp.course.observe.terms import of_terms

FACTORS = {
    -1.0: "every sign is the other one",
    math.log(2): "every number is log 2 times the expected one: natural logarithms in place of binary ones?",
    1 / math.log(2): "every number is 1 / log 2 times the expected one: binary logarithms for natural ones?",
    8.0: "every number is 8 times the expected one: bits for bytes?",
    1 / 8: "every number is an eighth of the expected one: bytes for bits?",
    100.0: "every number is 100 times the expected one: percent?",
    0.01: "every number is a hundredth of the expected one: percent?",
}


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
        factors = [_constant(y / e, e != 0) for y, e in pairs]
        offsets = [_constant(y - e, e == e) for y, e in pairs]
        return (
            _of_factors(pairs, factors, inputs, close)
            or _of_offsets(offsets, inputs)
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


def _constant(x, where):
    """The one number that all entries of x are, where it counts; None if there is no such."""
    x = x[where]
    if not x.size or not np.isfinite(x).all() or np.ptp(x) > 1e-6 * np.abs(x).max():
        return None
    return float(x.mean())


def _of_factors(pairs, factors, inputs, close):
    if None in factors or 0.0 in factors:
        return ""
    if not all(close(y, c * e) for c, (y, e) in zip(factors, pairs, strict=True)):
        return ""
    if np.ptp(factors) <= 1e-6 * max(map(abs, factors)):
        known = [sentence for c, sentence in FACTORS.items() if math.isclose(c, factors[0], rel_tol=1e-6)]
        return known[0] if known else f"every number is {factors[0]:.6g} times the expected one"
    for turn, small in ((lambda c: c, False), (lambda c: 1 / c, True)):
        for power, text, guesses in POWERS:
            for name, sizes in _sizes(inputs).items():
                if _agree([turn(c) for c in factors], [power(n) for n in sizes]):
                    guess = f": {guesses[small]}?" if guesses[small] and name.startswith("the ") else ""
                    return _by_factor(pairs, factors, text.format(name), small) + guess
    return ""


def _by_factor(pairs, factors, name, small):
    """Too large or too small, if all are: neither for factors on both sides of 1, or numbers below 0."""
    beyond = all((c < 1) if small else (c > 1) for c in factors)
    if beyond and all((e >= 0).all() for _, e in pairs):
        return f"every number is too {'small' if small else 'large'}, by {name} as a factor"
    return f"every number is the expected one {'divided by' if small else 'times'} {name}"


POWERS = (
    (lambda n: n, "{}", ("a sum in place of a mean", "a mean in place of a sum")),
    (lambda n: n / (n - 1) if n > 1 else math.nan, "n / (n - 1), n being {}",
     ("divided by n - 1", "divided by n")),
    (lambda n: math.sqrt(n) if n > 0 else math.nan, "the root of {}", ("", "")),
    (lambda n: n * n, "the square of {}", ("", "")),
    (lambda n: math.sqrt(n / (n - 1)) if n > 1 else math.nan, "the root of n / (n - 1), n being {}",
     ("divided by n - 1", "divided by n")),
)  # fmt: skip


def _agree(found, wanted):
    return all(math.isclose(c, n, rel_tol=1e-6) for c, n in zip(found, wanted, strict=True))


def _sizes(inputs):
    """What may have been counted: the lengths of the axes of each array, its entries, each number given."""
    found = []
    for given in inputs:
        arrays = {name: np.shape(x) for name, x in given.items() if is_array(x)}
        sizes = {
            f"the length of axis {i} of {name}": n for name, s in arrays.items() for i, n in enumerate(s)
        }
        sizes |= {f"the number of entries of {name}": math.prod(s) for name, s in arrays.items()}
        sizes |= {
            f"the number of {name}": len(x) for name, x in given.items() if isinstance(x, (list, tuple, dict))
        }
        found.append(sizes | {n: x for n, x in given.items() if type(x) in (int, float) and x > 0})
    return {name: [one[name] for one in found] for name in found[0] if all(name in one for one in found)}


def _of_offsets(offsets, inputs):
    if None in offsets or not all(offsets):
        return ""
    if np.ptp(offsets) <= 1e-6 * abs(offsets[0]):
        return f"every number is {abs(offsets[0]):.6g} too {'large' if offsets[0] > 0 else 'small'}"
    for name, sizes in _sizes(inputs).items():
        for sign, side in ((1, "large"), (-1, "small")):
            if _agree(offsets, [sign * n for n in sizes]):
                return f"every number is too {side} by {name}"
    return ""


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
