"""Which cases fail: what they have in common and those that are right haven't."""

import numpy as np

from mcomp.course.compare import is_array

LEAST = 3  # cases that are right without it; fewer may be chance
BUILT = (
    "axis",
    "axes",
    "row",
    "square",
    "one entry",
    " is 0",
)  # how arguments are built, not what is in them


def only_where(given, failed, *, exactly=False):
    """ "it fails only where k is 0", if no case without it fails, or "".

    Parameters
    ----------
    given : list of dicts, the arguments of each case
    failed : set of int, the places of those that fail
    exactly : bool
        Only what no right case has; else also how arguments are built, if most that are built so fail.

    Returns
    -------
    sentence : str
        It names one property: how arguments are built goes before what is in them.

    Examples
    --------
    >>> only_where([{"k": k} for k in (0, 1, 2, 3, 0)], failed={0, 4})
    'it fails only where k is 0'
    """
    if len(failed) < 2 or len(given) - len(failed) < LEAST:
        return ""
    built, exact = "", []
    for sentence, holds in _properties(given):
        where = {i for i, one in enumerate(holds) if one}
        if failed == where:
            exact.append(sentence)
        elif failed < where and len(given) - len(where) >= LEAST and len(failed) >= 0.6 * len(where):
            built = built or (sentence if _is_built(sentence) else "")
    exact.sort(key=lambda sentence: not _is_built(sentence))
    best = exact[0] if exact else "" if exactly else built
    return f"it fails only where {best}" if best else ""


def _is_built(sentence):
    return any(word in sentence for word in BUILT)


def _properties(given):
    """(what is said of a case, [does it hold] for each case)."""
    for name in given[0]:
        found = [one.get(name) for one in given]
        if all(type(x) in (int, float, bool) for x in found):
            yield from _of_values(name, found)
        elif all(is_array(x) for x in found):
            yield from _of_arrays(name, [np.asarray(x) for x in found])
        elif all(isinstance(x, (list, tuple, dict)) for x in found):
            yield f"{name} has more than one entry", [len(x) > 1 for x in found]
            yield f"{name} has one entry", [len(x) == 1 for x in found]
    yield from _of_several(given)


def _of_values(name, found):
    yield f"{name} is 0", [x == 0 for x in found]
    yield f"{name} isn't 0", [x != 0 for x in found]
    yield f"{name} is 1", [x == 1 for x in found]
    yield f"{name} isn't 1", [x != 1 for x in found]
    yield f"{name} is above 1", [x > 1 for x in found]
    yield f"{name} is negative", [x < 0 for x in found]
    yield f"{name} is odd", [x % 2 == 1 for x in found]
    yield f"{name} is no whole number", [x != int(x) for x in found if np.isfinite(x)]


def _of_arrays(name, found):
    yield f"{name} has more than one axis", [x.ndim > 1 for x in found]
    yield f"{name} has more than two axes", [x.ndim > 2 for x in found]
    yield f"{name} has one entry", [x.size == 1 for x in found]
    if all(x.ndim for x in found):
        yield f"{name} has more than one row", [x.ndim > 1 and len(x) > 1 for x in found]
        yield f"{name} isn't square", [x.ndim > 1 and len(set(x.shape)) > 1 for x in found]
    if all(x.dtype.kind == "b" for x in found):
        yield f"{name} is all True or all False", [bool(x.all() or not x.any()) for x in found]
        return
    if any(x.dtype.kind not in "iuf" for x in found):
        return
    yield f"{name} has negative entries", [bool((x < 0).any()) for x in found]
    yield f"{name} has a 0", [bool((x == 0).any()) for x in found]
    yield f"{name} is 0 everywhere", [bool(x.size and not x.any()) for x in found]
    yield f"{name} has equal entries", [_ties(x) for x in found]
    if any((x < 0).any() for x in found):
        yield f"{name} has entries of equal size", [_ties(np.abs(x)) for x in found]


def _ties(x):
    return np.unique(x).size < x.size


def _of_several(given):
    """Two numbers that are equal, a number that counts all entries of an array."""
    names = [n for n in given[0] if all(type(one[n]) in (int, float) for one in given)]
    arrays = [n for n in given[0] if all(is_array(one[n]) for one in given)]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            yield f"{a} equals {b}", [one[a] == one[b] for one in given]
            yield f"{a} is above {b}", [one[a] > one[b] for one in given]
        for b in arrays:
            yield f"{a} is the number of entries of {b}", [one[a] == np.size(one[b]) for one in given]
