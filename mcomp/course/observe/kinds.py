"""Answers of another type or shape than the expected one: what was returned in its place."""

import numpy as np

from mcomp.course.compare import is_array


def names(parts):
    """The names or places of several values; None for what isn't several."""
    if isinstance(parts, dict):
        return list(parts)
    return [*range(len(parts))] if isinstance(parts, (list, tuple)) else None


def of_containers(failing, right):
    """What was returned where several values are expected, or "".

    Parameters
    ----------
    failing : list of (yours, expected, inputs), expected a list, tuple or dict
    right : function of two values
    """
    rows = [(y, e, names(e)) for y, e, _ in failing]
    several = [(names(y) is not None and type(y) is not str) for y, *_ in rows]
    if not any(several):
        for place in range(min(len(keys) for *_, keys in rows)):
            if all(right(y, e[keys[place]]) for y, e, keys in rows):
                return f"that is value {rows[0][2][place]} alone: {len(rows[0][2])} values are asked for"
        return ""
    if not all(several):
        return ""
    bare = all(isinstance(e, dict) and not isinstance(y, dict) and len(y) == len(e) for y, e, _ in rows)
    if bare and all(right(mine, e[key]) for y, e, keys in rows for mine, key in zip(y, keys, strict=True)):
        return "the values are right; a dict with their names is asked for"
    if any(isinstance(y, dict) != isinstance(e, dict) for y, e, _ in rows):
        return ""
    return _of_counts(rows, right)


def _of_counts(rows, right):
    """Values that are missing, too many or in another order."""
    if all(isinstance(e, dict) for _, e, _ in rows):
        return ""
    surplus = {len(y) - len(e) for y, e, _ in rows}
    if surplus == {0}:
        if all(len(e) == 2 and right(y[0], e[1]) and right(y[1], e[0]) for y, e, _ in rows):
            return "the two values are exchanged"
        orders = [_order(y, e, right) for y, e, _ in rows]
        if all(orders):
            return "the values are right, their order isn't"
    few = all(len(y) < len(e) and all(map(right, y, e)) for y, e, _ in rows)
    many = all(len(y) > len(e) and all(right(a, b) for a, b in zip(y, e, strict=False)) for y, e, _ in rows)
    if few or many:
        return f"the first values are right, but {'more' if few else 'fewer'} are asked for"
    return ""


def _order(y, e, right):
    """Is each expected value among yours?"""
    return all(any(right(mine, wanted) for mine in y) for wanted in e)


def of_kind(failing, close):
    """What was returned in place of a number, an array or a mask, where type or shape are others, or ""."""
    rows = [(_numbers(y), _numbers(e)) for y, e, _ in failing]
    if any(e is None for _, e in rows):
        return ""
    if all(type(y) is tuple for y, *_ in failing):
        for place, name in enumerate(("first", "second", "third")):
            mine = [_numbers(y[place]) if len(y) > place else None for y, *_ in failing]
            if all(m is not None and close(m, e) for m, (_, e) in zip(mine, rows, strict=True)):
                return f"the {name} of your values is right; it alone is asked for"
    if all(isinstance(y, dict) for y, *_ in failing):
        return "one value for each name came back; one for all of them is asked for"
    if any(y is None for y, _ in rows):
        return ""
    sizes = {(np.ndim(y) == 0, np.ndim(e) == 0) for y, e in rows}
    if sizes == {(False, True)}:
        return _too_many(rows, close)
    if sizes == {(True, False)}:
        return _one_for_all(rows, close)
    if all(e.dtype.kind == "b" and y.dtype.kind != "b" for y, e in rows):
        return _no_mask(rows)
    if all(e.dtype.kind != "b" and y.dtype.kind == "b" for y, e in rows):
        same = all(y.shape == e.shape and (y == (e != 0)).all() for y, e in rows)
        return "that is the mask of what stays; the numbers themselves are asked for" if same else ""
    if any(y.shape == e.shape for y, e in rows) or all(y.size == e.size for y, e in rows):
        return ""
    return _of_parts(
        [(y, e, given) for (y, e), (*_, given) in zip(rows, failing, strict=True)], close
    ) or _of_lengths(rows, close)


def _numbers(x):
    """As an array, also a list of numbers; None for what isn't numbers."""
    if isinstance(x, (list, tuple)):
        try:
            x = np.asarray(x)
        except ValueError:
            return None
    if not is_array(x) and not isinstance(x, (int, float, np.generic)):
        return None
    x = np.asarray(x)
    return x if x.dtype.kind in "biuf" else None


REDUCED = (
    (np.sum, "sum"), (np.mean, "mean"), (np.max, "largest"), (np.min, "smallest"),
    (lambda x: x.ravel()[0], "first"), (lambda x: x.ravel()[-1], "last"), (np.prod, "product"),
)  # fmt: skip


def _too_many(rows, close):
    """Yours are arrays, one number is expected."""
    rows = [(y, e) for y, e in rows if y.size]
    if rows and all(y.size == 1 and close(y.ravel()[0], e) for y, e in rows):
        return "the number is right, but in an array: take it out, as float(x) does"
    for reduce, name in REDUCED if rows else ():
        if any(y.size > 1 for y, _ in rows) and all(close(np.asarray(reduce(y)), e) for y, e in rows):
            return f"several numbers came back; one is asked for, and it is the {name} of yours"
    return "several numbers came back; one is asked for"


def _one_for_all(rows, close):
    """Yours is one number, an array is expected."""
    for reduce, name in REDUCED:
        if all(e.size and close(y, np.asarray(reduce(e))) for y, e in rows) and any(
            e.size > 1 for _, e in rows
        ):
            return f"one number came back, the {name} of those that are asked for"
    return "one number came back; an array is asked for"


def _no_mask(rows):
    """Yours are numbers, a mask is expected."""
    if all(y.shape == e.shape for y, e in rows):
        varied = sum(0 < e.sum() < e.size for _, e in rows) >= 3
        for wanted, text in ((True, "the mask"), (False, "the opposite mask")):
            if (wanted or varied) and all(((y != 0) == (e == wanted)).all() for y, e in rows):
                ones = all(np.isin(y, (0, 1)).all() for y, _ in rows)
                said = "1 and 0 stand for True and False" if ones else "numbers stand where it is True"
                return f"that is {text}, but {said}: a comparison gives bools"
        return "numbers came back; a mask, True and False, is asked for"
    inside = all(y.ndim == 1 and y.size == np.unique(y).size for y, _ in rows)
    if inside and all(set(y.tolist()) == set(np.flatnonzero(e).tolist()) for y, e in rows):
        return "these are the indices of what stays; a mask of the whole shape is asked for"
    if inside and all(set(y.tolist()) == set(np.flatnonzero(~e).tolist()) for y, e in rows):
        return "these are the indices of what goes; a mask of what stays is asked for"
    return "numbers of another shape came back; a mask, True and False, is asked for"


def of_shapes(pairs, close):
    """As many entries, another shape."""
    if all(close(y.T, e) for y, e in pairs):
        return "rows and columns are exchanged"
    if all(close(y.ravel(), e.ravel()) for y, e in pairs):
        return "the values are right, their shape isn't"
    return ""


def _of_parts(rows, close):
    """Entries at the places of a mask that is an argument."""
    for name in rows[0][2]:
        masks = [np.asarray(given.get(name)) for *_, given in rows]
        if all(m.dtype.kind == "b" and m.shape == e.shape for m, (_, e, _) in zip(masks, rows, strict=True)):
            for taken, text in ((masks, name), ([~m for m in masks], f"~{name}")):
                if all(close(y, e[m]) for m, (y, e, _) in zip(taken, rows, strict=True)):
                    return f"these are the entries at the places of {text}; the whole array is asked for"
    return ""


def _of_lengths(rows, close):
    """Entries that are missing, too many or added up."""
    for take, name in ((lambda x: x[1:], "first"), (lambda x: x[:-1], "last")):
        if all(e.ndim and y.ndim == e.ndim and close(y, take(e)) for y, e in rows):
            return f"the {name} entry is missing, the others are right"
        if all(y.ndim and y.ndim == e.ndim and close(take(y), e) for y, e in rows):
            return f"there is one entry too many, the {name}; the others are right"
    if all(y.ndim == 1 and close(y, e[e != 0]) for y, e in rows):
        return "these are the entries that stay; those that go are zeros, and the shape stays"
    for axis in range(3):
        for reduce, name in ((np.sum, "sum"), (np.mean, "mean"), (np.max, "largest")):
            if all(y.ndim > axis and y.ndim > e.ndim and close(reduce(y, axis=axis), e) for y, e in rows):
                return f"there is an axis too many: over axis {axis} the {name} of yours is right"
            if all(e.ndim > axis and e.ndim > y.ndim and close(y, reduce(e, axis=axis)) for y, e in rows):
                return f"an axis is missing: yours are the {name} of what is asked for over axis {axis}"
    if all(e.ndim == y.ndim == 2 and close(y, e[:, e.any(0)]) for y, e in rows):
        return "columns of zeros are missing: they stay where they were"
    if all(e.ndim == y.ndim == 2 and close(y, e[e.any(1)]) for y, e in rows):
        return "rows of zeros are missing: they stay where they were"
    return ""
