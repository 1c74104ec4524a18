"""What a wrong answer and the right one have to do with each other, where no known mistake does the same.

A known mistake says why. This says what is so in every failing case, "every number is 2 times the expected
one", so it is true of whatever the learner wrote; an interpretation ends with a question mark. `values` looks
at numbers, `masks` at masks, `kinds` at what has the wrong shape or type, `cases` at which cases fail, and
`crashes` at exceptions.
"""

import numpy as np

from mcomp.course.compare import difference, is_array, plain
from mcomp.course.observe import kinds, masks, values
from mcomp.course.observe.cases import only_where
from mcomp.course.observe.crashes import explained

__all__ = ["explained", "observed", "only_where"]

LEAST = 3  # failing cases; what holds in fewer may be chance


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
    >>> cases = [(np.array([2.0, 6.0]), [1, 3]), (np.array([4.0]), [2]), (np.array([8.0]), [4])]
    >>> observed([(yours, np.array(expected, float), {}) for yours, expected in cases])
    'every number is 2 times the expected one'
    """
    if len(failing) < LEAST:
        return ""
    if all(isinstance(expected, (list, tuple, dict)) for _, expected, _ in failing):
        return _of_parts(failing, rtol)
    close = lambda a, b: np.shape(a) == np.shape(b) and _close(np.asarray(a), np.asarray(b), rtol)  # noqa: E731
    if found := kinds.of_kind(failing, close):
        return found
    inputs = [given for *_, given in failing]
    pairs = [(as_array(yours), as_array(expected)) for yours, expected, _ in failing]
    if any(y is None or e is None or y.size != e.size or not e.size for y, e in pairs):
        return ""
    if any(y.shape != e.shape for y, e in pairs):
        return kinds.of_shapes(pairs, close)
    if all(e.dtype.kind == "b" for _, e in pairs):
        return masks.of_masks(pairs, inputs) if all(y.dtype.kind == "b" for y, _ in pairs) else ""
    return values.of_numbers(pairs, inputs, close)


def as_array(x):
    """A number, an array or a list of numbers as an array of bools or of floats; None for anything else."""
    if isinstance(x, (list, tuple)) and x and all(isinstance(i, (int, float, np.generic)) for i in x):
        x = np.asarray(x)
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
    """Several values: which one is wrong, and what is so of it; or what is so of all wrong ones."""
    keys = kinds.names(failing[0][1])
    right = lambda y, e: difference(y, e, rtol=rtol, atol=0) is None  # noqa: E731
    if found := kinds.of_containers(failing, right):
        return found
    if any(set(kinds.names(y) or ()) != set(kinds.names(e)) for y, e, _ in failing):
        return ""
    wrong = [
        (key, y[key], e[key], inputs)
        for y, e, inputs in failing
        for key in e_keys(e)
        if not right(y[key], e[key])
    ]
    if keys and {key for key, *_ in wrong} == {wrong[0][0]} and len(keys) > 1:
        more = observed([row[1:] for row in wrong], rtol=rtol)
        return f"value {wrong[0][0]} alone is wrong" + (f": {more}" if more else "")
    more = observed([row[1:] for row in wrong], rtol=rtol)
    return f"of each wrong value: {more}" if more else ""


def e_keys(parts):
    """The names or places of several values."""
    return kinds.names(parts) or []
