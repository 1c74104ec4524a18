"""What a wrong answer and the right one have to do with each other, where no known mistake does the same.

A known mistake says why. This says what is so in every failing case, "every number is 2 times the expected
one", so it is true of whatever the learner wrote; an interpretation ends with a question mark.
"""

import math

import numpy as np

from mcomp.course.compare import difference, is_array, plain

LEAST = 2  # failing cases; what holds in one may be chance
FACTORS = {
    -1.0: "every sign is the other one",
    math.log(2): "every number is log 2 times the expected one: natural logarithms in place of binary ones?",
    1 / math.log(2): "every number is 1 / log 2 times the expected one: binary logarithms for natural ones?",
    8.0: "every number is 8 times the expected one: bits for bytes?",
    1 / 8: "every number is an eighth of the expected one: bytes for bits?",
    100.0: "every number is 100 times the expected one: percent?",
    0.01: "every number is a hundredth of the expected one: percent?",
}


def observed(failing, *, rtol=1e-6):
    """A sentence that is true of all failing cases, or "".

    Parameters
    ----------
    failing : list of (yours, expected, inputs)
        Values as `mcomp.course.compare.plain` gives them; inputs a dict of name to argument.
    rtol : float
        Relative to the largest expected number.

    Examples
    --------
    >>> observed([(np.array([2.0, 6.0]), np.array([1.0, 3.0]), {}), (np.array([4.0]), np.array([2.0]), {})])
    'every number is 2 times the expected one'
    """
    if len(failing) < LEAST:
        return ""
    if all(isinstance(expected, (list, tuple, dict)) for _, expected, _ in failing):
        return _of_parts(failing, rtol)
    pairs = [(_array(yours), _array(expected)) for yours, expected, _ in failing]
    if any(y is None or e is None or y.size != e.size or not e.size for y, e in pairs):
        return ""
    close = lambda a, b: a.shape == b.shape and _close(a, b, rtol)  # noqa: E731
    if any(y.shape != e.shape for y, e in pairs):
        return _of_shapes(pairs, close)
    if all(e.dtype.kind == "b" for _, e in pairs):
        return _of_masks(pairs)
    return _of_numbers(pairs, [inputs for *_, inputs in failing], close)


def _array(x):
    """A number or an array as an array of bools or of floats; None for anything else."""
    if not is_array(x) and not isinstance(x, (int, float, np.generic)):
        return None
    x = np.asarray(plain(x))
    return None if x.dtype.kind not in "biuf" else x if x.dtype.kind == "b" else x.astype(np.float64)


def _close(a, b, rtol):
    if a.dtype.kind == "b" or b.dtype.kind == "b":
        return bool((a == b).all())
    scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return np.allclose(a, b, rtol=0, atol=max(rtol, 1e-9) * scale)


def _of_parts(failing, rtol):
    """Several values: which one is wrong, and what is so of it."""
    keys = _keys(failing[0][1])
    if any(_keys(part) != keys for y, e, _ in failing for part in (y, e)):
        return ""
    right = lambda y, e: difference(y, e, rtol=rtol, atol=0) is None  # noqa: E731
    if keys == [0, 1] and all(right(y[0], e[1]) and right(y[1], e[0]) for y, e, _ in failing):
        return "the two values are exchanged"
    wrong = {key for key in keys for y, e, _ in failing if not right(y[key], e[key])}
    if len(wrong) != 1 or len(keys) == 1:
        return ""
    key = wrong.pop()
    more = observed([(y[key], e[key], inputs) for y, e, inputs in failing], rtol=rtol)
    return f"value {key} alone is wrong" + (f": {more}" if more else "")


def _keys(parts):
    """The names or places of several values; None for what isn't several."""
    return (
        list(parts)
        if isinstance(parts, dict)
        else [*range(len(parts))]
        if isinstance(parts, (list, tuple))
        else None
    )


def _of_shapes(pairs, close):
    if all(close(y.T, e) for y, e in pairs):
        return "rows and columns are exchanged"
    return (
        "the values are right, their shape isn't"
        if all(close(y.ravel(), e.ravel()) for y, e in pairs)
        else ""
    )


def _of_masks(pairs):
    if any(y.dtype.kind != "b" for y, _ in pairs):
        return ""
    if all((y == ~e).all() for y, e in pairs):
        return "True and False are exchanged"
    surplus = {int(y.sum()) - int(e.sum()) for y, e in pairs}
    nested = all((y | e == y).all() for y, e in pairs) or all((y & e == y).all() for y, e in pairs)
    if nested and surplus in ({1}, {-1}):
        return f"one place too {'many' if surplus == {1} else 'few'} is True, the others are right"
    if surplus == {0}:
        return "as many places are True as should be, but others"
    return ""


def _of_numbers(pairs, inputs, close):
    """The first relation that holds in every case; the special ones before the general ones."""
    pairs = [(y.astype(np.float64), e.astype(np.float64)) for y, e in pairs]
    if all(np.isnan(y).any() and not np.isnan(e).any() for y, e in pairs):
        return "some numbers are nan: 0 / 0, or infinity minus infinity?"
    with np.errstate(all="ignore"):
        for relation, sentence in RELATIONS:
            if all(close(relation(y), e) for y, e in pairs):
                return sentence
        factors, offsets = (
            [_constant(y / e, e != 0) for y, e in pairs],
            [_constant(y - e, e == e) for y, e in pairs],
        )
    return _of_factors(pairs, factors, inputs, close) or _of_offsets(offsets) or _of_places(pairs, close)


RELATIONS = (
    (lambda y: y.T, "rows and columns are exchanged"),
    (lambda y: y[::-1] if y.ndim else y, "the order is the reverse"),
    (lambda y: 1 - y, "every number is 1 minus the expected one"),
    (lambda y: 1 / y, "every number is 1 divided by the expected one"),
    (lambda y: np.sqrt(y), "every number is the square of the expected one"),
    (lambda y: y**2, "every number is the square root of the expected one"),
    (lambda y: np.exp(y), "every number is the logarithm of the expected one"),
    (lambda y: np.log(y), "every number is the exponential of the expected one"),
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
    for times, more, often in (
        (1, "large", "a sum in place of a mean?"),
        (-1, "small", "a mean in place of a sum?"),
    ):
        for name, sizes in _sizes(inputs).items():
            if all(math.isclose(c, n**times, rel_tol=1e-6) for c, n in zip(factors, sizes, strict=True)):
                return f"every number is too {more}, by {name} as a factor: {often}"
    return ""


def _sizes(inputs):
    """What may have been counted: the length of each axis of each array, and its entries, in every case."""
    found = []
    for given in inputs:
        arrays = {name: np.shape(x) for name, x in given.items() if is_array(x)}
        sizes = {
            f"the length of axis {i} of {name}": n for name, s in arrays.items() for i, n in enumerate(s)
        }
        found.append(sizes | {f"the number of entries of {name}": math.prod(s) for name, s in arrays.items()})
    return {name: [one[name] for one in found] for name in found[0] if all(name in one for one in found)}


def _of_offsets(offsets):
    if None in offsets or not offsets[0] or np.ptp(offsets) > 1e-6 * abs(offsets[0]):
        return ""
    return f"every number is {abs(offsets[0]):.6g} too {'large' if offsets[0] > 0 else 'small'}"


def _of_places(pairs, close):
    if all(close(np.abs(y), np.abs(e)) for y, e in pairs):
        return "the sizes are right, some signs aren't"
    if all(close(np.sort(y, axis=None), np.sort(e, axis=None)) for y, e in pairs):
        return "these are the right numbers, in other places"
    if all(close(np.round(y), e) for y, e in pairs):
        return "rounded, every number would be right"
    return ""
