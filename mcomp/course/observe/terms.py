"""Numbers that are right but for a term or a factor that is one of the arguments."""

import numpy as np

from mcomp.course.compare import is_array


def of_terms(pairs, inputs, close):
    """Which argument, as it is or as its size, is all there is between yours and the expected; or "".

    Parameters
    ----------
    pairs : list of (yours, expected), float arrays of one shape
    inputs : list of dicts, the arguments of each case
    close : function of two arrays
    """
    for name, given in arguments(inputs):
        rows = [(y, e, x) for (y, e), x in zip(pairs, given, strict=True)]
        if any(np.ndim(x) and np.shape(x) != e.shape for _, e, x in rows):
            continue
        for relation, sentence in TERMS:
            if all(close(*relation(y, e, x)) for y, e, x in rows) and _tells(rows):
                return sentence.format(name)
    return ""


TERMS = (
    (lambda y, e, x: (y, x + 0 * e), "yours is {0}, unchanged"),
    (lambda y, e, x: (y + x, e), "yours is what must be added to {0}: add it"),
    (lambda y, e, x: (y - x, e), "{0} is added where it shouldn't be"),
    (lambda y, e, x: (y, e + 2 * x), "{0} has the other sign"),
    (lambda y, e, x: (y, e - 2 * x), "{0} has the other sign"),
    (lambda y, e, x: (y, x - e), "yours and the expected add up to {0}: is it the other part?"),
    (lambda y, e, x: (y, e * x), "every number is multiplied by {0}, which it shouldn't be"),
    (lambda y, e, x: (y * x, e), "every number wants {0} as one more factor"),
)


def _tells(rows):
    """Are there numbers other than 0 in the argument, and more than one different?"""
    return len({float(v) for _, _, x in rows for v in np.ravel(x) if v}) > 2


def arguments(inputs):
    """(name, [float array a case]) of each argument that is a number or an array in every case."""
    for name in inputs[0] if inputs else ():
        found = [given.get(name) for given in inputs]
        if all(is_array(x) or (isinstance(x, (int, float)) and not isinstance(x, bool)) for x in found):
            found = [np.asarray(x) for x in found]
            if all(x.dtype.kind in "iuf" for x in found):
                yield name, [x.astype(np.float64) for x in found]
                if any((x < 0).any() for x in found):
                    yield f"|{name}|", [np.abs(x.astype(np.float64)) for x in found]
