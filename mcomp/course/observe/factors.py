"""Numbers that are right but for one factor, or one number more or less, in every case."""

import math

import numpy as np

from mcomp.course.compare import is_array

FACTORS = {
    -1.0: "every sign is the other one",
    math.log(2): "every number is log 2 times the expected one: natural logarithms in place of binary ones?",
    1 / math.log(2): "every number is 1 / log 2 times the expected one: binary logarithms for natural ones?",
    8.0: "every number is 8 times the expected one: bits for bytes?",
    1 / 8: "every number is an eighth of the expected one: bytes for bits?",
    100.0: "every number is 100 times the expected one: percent?",
    0.01: "every number is a hundredth of the expected one: percent?",
}


def constant(x, where):
    """The one number that all entries of x are, where it counts; None if there is no such."""
    x = x[where]
    if not x.size or not np.isfinite(x).all() or np.ptp(x) > 1e-6 * np.abs(x).max():
        return None
    return float(x.mean())


def of_factors(pairs, factors, inputs, close):
    """Is yours the expected, times one number, or times something that an argument counts? Or ""."""
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


def of_offsets(offsets, inputs):
    """Is yours the expected, and one number more or less, or as many as an argument counts? Or ""."""
    if None in offsets or not all(offsets):
        return ""
    if np.ptp(offsets) <= 1e-6 * abs(offsets[0]):
        return f"every number is {abs(offsets[0]):.6g} too {'large' if offsets[0] > 0 else 'small'}"
    for name, sizes in _sizes(inputs).items():
        for sign, side in ((1, "large"), (-1, "small")):
            if _agree(offsets, [sign * n for n in sizes]):
                return f"every number is too {side} by {name}"
    return ""
