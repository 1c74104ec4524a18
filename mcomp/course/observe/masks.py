"""What a wrong mask and the right one have to do with each other."""

import numpy as np

from mcomp.course.compare import is_array

LEAST = 3  # pairs with both True and False; all True beside all False is no exchange
ENOUGH = 4  # places in all; where fewer differ, what they have in common may be chance


def of_masks(pairs, inputs):
    """What is so of all pairs of masks of one shape, or "".

    Parameters
    ----------
    pairs : list of (yours, expected), bool arrays
    inputs : list of dicts, the arguments of each case

    Examples
    --------
    >>> keep = np.array([True, False, False])
    >>> of_masks([(~keep, keep)] * 3, [{}] * 3)
    'True and False are exchanged: True means keep'
    """
    for relation, sentence in RELATIONS:
        if all(np.array_equal(relation(y), e) for y, e in pairs) and sum(map(_varied, pairs)) >= LEAST:
            return sentence
    for value in (False, True):
        if all((y == value).all() for y, _ in pairs):
            return f"yours is {value} everywhere"
    looks = (_of_ties, _of_borders, _of_signs, _of_orders, _of_sets, _of_counts)
    return next((found for look in looks if (found := look(pairs, inputs))), "")


RELATIONS = (
    (lambda y: ~y, "True and False are exchanged: True means keep"),
    (lambda y: y.T, "rows and columns are exchanged"),
    (lambda y: y[::-1], "the order is the reverse"),
    (lambda y: np.roll(y, 1), "every True stands one place too early"),
    (lambda y: np.roll(y, -1), "every True stands one place too late"),
)


def _varied(pair):
    """Has the right mask both True and False?"""
    return 0 < pair[1].sum() < pair[1].size


def _arrays(pairs, inputs):
    """(name, [array a case]) of each argument of the mask's shape in every case, as it is and as sizes."""
    for name in inputs[0]:
        found = [given.get(name) for given in inputs]
        if all(is_array(x) and np.shape(x) == e.shape for x, (_, e) in zip(found, pairs, strict=True)):
            found = [np.asarray(x) for x in found]
            if all(x.dtype.kind in "iuf" for x in found):
                yield name, found
                yield f"|{name}|", [np.abs(x) for x in found]


def _of_ties(pairs, inputs):
    """Do they differ between entries of equal size only?"""
    for name, arrays in _arrays(pairs, inputs):
        rows = zip(arrays, pairs, strict=True)
        if all(np.array_equal(np.sort(x[y]), np.sort(x[e])) for x, (y, e) in rows):
            return f"yours differs only between equals of {name}: which of those stays is said"
    return ""


def _of_borders(pairs, inputs):
    """Do they differ only where an array equals a number, both of them arguments?"""
    numbers = [n for n, x in inputs[0].items() if isinstance(x, (int, float)) and not isinstance(x, bool)]
    for name, arrays in _arrays(pairs, inputs):
        for number in numbers:
            rows = zip(arrays, pairs, inputs, strict=True)
            if all((x[y != e] == given[number]).all() for x, (y, e), given in rows):
                return f"yours differs only where {name} equals {number}: is that side > or >=?"
    return ""


def _of_signs(pairs, inputs):
    """Are all places that yours has lost those of negative entries?"""
    lost = [e & ~y for y, e in pairs]
    if any((y & ~e).any() for y, e in pairs) or sum(int(x.sum()) for x in lost) < ENOUGH:
        return ""
    for name, arrays in _arrays(pairs, inputs):
        if all((x[gone] < 0).all() for x, gone in zip(arrays, lost, strict=True)):
            return (
                f"yours has lost some that stay, and {name} is negative in each of them: is its size meant?"
            )
    return ""


CUTS = (
    ("", lambda x: [x.ravel()]),
    (" of each row", lambda x: list(x) if x.ndim == 2 else []),
    (" of each column", lambda x: list(x.T) if x.ndim == 2 else []),
)


def _of_orders(pairs, inputs):
    """Does yours keep the largest, or the smallest, entries of an argument, as the right mask doesn't?"""
    for where, cut in CUTS:
        for name, arrays in _arrays(pairs, inputs):
            for sign, which in ((1, "largest"), (-1, "smallest")):
                mine = [_sorted(sign * x, y, cut) for x, (y, _) in zip(arrays, pairs, strict=True)]
                right = [_sorted(sign * x, e, cut) for x, (_, e) in zip(arrays, pairs, strict=True)]
                if all(mine) and right.count(False) >= 2:
                    return f"yours keeps the {which} entries{where} of {name}; that is another choice"
    return ""


def _sorted(x, mask, cut):
    """Is each kept entry at least as large as each that goes, in every part that keeps some and not all?"""
    parts = list(zip(cut(x), cut(mask), strict=True))
    told = [part for part in parts if 0 < part[1].sum() < part[1].size]
    return bool(told) and all(row[keep].min() >= row[~keep].max() for row, keep in told)


def _of_sets(pairs, inputs):
    """Which of the two keeps more."""
    surplus = {int(y.sum()) - int(e.sum()) for y, e in pairs}
    if all((y | e == y).all() for y, e in pairs):
        one, many = (
            "one place too many is True, the others are right",
            "too many places are True; none is missing",
        )
    elif all((y & e == y).all() for y, e in pairs):
        one, many = (
            "one place too few is True, the others are right",
            "too few are True; those that are, are right",
        )
    else:
        return ""
    return one if surplus in ({1}, {-1}) else many


def _of_counts(pairs, inputs):
    """Do their counts agree, in all or in each row?"""
    if all(y.sum() == e.sum() for y, e in pairs):
        return "as many places are True as should be, but others"
    for axis, name in ((1, "row"), (0, "column")):
        if _even([e for _, e in pairs], axis) and not _even([y for y, _ in pairs], axis):
            return f"yours doesn't keep as many in each {name}"
        uneven = [e for _, e in pairs if e.ndim == 2 and not _even([e], axis)]
        if len(uneven) >= 2 and _even([y for y, _ in pairs], axis):
            return f"yours keeps as many in each {name}, the right mask doesn't"
    return ""


def _even(masks, axis):
    return all(m.ndim == 2 and np.ptp(m.sum(axis)) == 0 for m in masks)
