"""Is the learner's value the expected one? If not, which kind of difference, in one line."""

import importlib.util
import numbers
from fractions import Fraction

import numpy as np

from mcomp.arrays import is_torch_array

# An answer in a narrower float than the expected value's is judged by what its width can hold: a few units in
# the last place, of an entry or of the largest one, since a sum's error grows with its largest term.
WIDTHS = {2: 1e-2, 4: 1e-5}
NO_RETURN = ": is there a return?"  # what a sentence about None ends with
KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "float", "c": "complex", "U": "text"}


def has_torch():
    """Is torch installed? Without it answers are checked on numpy arrays only."""
    return importlib.util.find_spec("torch") is not None


def is_array(x):
    """True for an array of numpy or torch, also one without axes; not for a numpy number."""
    return isinstance(x, np.ndarray) or is_torch_array(x)


def plain(x):
    """`x` as numpy: arrays of torch are converted, also inside lists, tuples and dicts; fractions too."""
    if is_torch_array(x):
        x = x.detach().cpu()
        return (x.double() if x.dtype.is_floating_point and x.element_size() < 4 else x).numpy()
    if isinstance(x, (list, tuple)):
        return type(x)(plain(item) for item in x) if type(x) in (list, tuple) else [plain(i) for i in x]
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return float(x) if isinstance(x, Fraction) else x


def to_torch(x):
    """`x` with every numpy array, also inside lists, tuples and dicts, as a torch tensor."""
    import torch

    if isinstance(x, np.ndarray):
        return torch.from_numpy(x.copy())
    if isinstance(x, (list, tuple)):
        return type(x)(to_torch(item) for item in x)
    if isinstance(x, dict):
        return {key: to_torch(value) for key, value in x.items()}
    return x


def same(a, b):
    """Are two arguments identical, value for value and type for type?"""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if is_array(a):
        a, b = plain(a), plain(b)
        numeric = a.dtype.kind in "fc"
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=numeric)
    return a == b


def difference(yours, expected, *, rtol=0.0, atol=0.0):
    """None if `yours` will do, else ``(status, sentence)``; both as `plain` gives them.

    What compares equal will do: a list for an array, 36.0 for 36. Masks are the exception, since numbers
    index otherwise than bools. A float32 answer is judged by what float32 can hold.

    Examples
    --------
    >>> difference(np.ones(2), np.ones(2, bool))
    ('wrong dtype', 'returned float64, expected bool')
    >>> difference(np.ones(2, np.float32), np.ones(2)) is None
    True
    >>> difference([1.0, 2.0], np.arange(1, 3)) is None
    True
    """
    if isinstance(expected, (list, tuple, dict)):
        return _container_difference(yours, expected, rtol, atol)
    if isinstance(expected, np.ndarray) and isinstance(yours, (list, tuple)):
        yours = _as_array(yours)
    if not is_array(yours) and not isinstance(yours, (numbers.Number, np.generic)):
        return _wrong_type(yours, expected)
    if isinstance(expected, np.ndarray) and not is_array(yours):
        return _wrong_type(yours, expected)
    a, b = np.asarray(yours), np.asarray(expected)
    if a.shape != b.shape:
        wanted = f"shape {b.shape}" if isinstance(expected, np.ndarray) else "a number"
        return "wrong shape", f"returned an array of shape {a.shape}, expected {wanted}"
    kind, wanted = KINDS.get(a.dtype.kind, str(a.dtype)), KINDS.get(b.dtype.kind)
    if kind != wanted and {kind, wanted} != {"integer", "float"}:
        return "wrong dtype", f"returned {a.dtype}, expected {wanted}"
    if wanted != "float":  # 36.0 for 36 will do, but no tolerance: 16777217 is no float32
        equal = np.array_equal(a, b) and not (kind == "float" and np.abs(b).max(initial=0) > 2**53)
    else:
        equal = _close(a, b, *_tolerances(a, b, rtol, atol))
    return None if equal else ("wrong", "")


def _as_array(x):
    """A list or tuple of numbers, nested or not, as an array; what can't be one as it is."""
    try:
        array = np.asarray([_as_array(item) if isinstance(item, (list, tuple)) else item for item in x])
    except ValueError:  # rows of different lengths
        return x
    return array if array.dtype.kind in "biufc" else x


def _tolerances(a, b, rtol, atol):
    """`rtol` and `atol`, widened to what the floats of `a` can hold if those of `b` are wider."""
    width = WIDTHS.get(a.dtype.itemsize, 0.0) if a.dtype.kind == "f" else 0.0
    if a.dtype.itemsize >= b.dtype.itemsize or not width:
        return rtol, atol
    finite = np.abs(b[np.isfinite(b)])
    return max(rtol, width), max(atol, width * float(finite.max(initial=0.0)))


def _close(a, b, rtol, atol):
    with np.errstate(invalid="ignore"):  # inf - inf
        return np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True)


def _container_difference(yours, expected, rtol, atol):
    """The first difference between two lists, tuples or dicts."""
    if not isinstance(expected, dict) and is_array(yours) and np.ndim(yours):
        yours = list(yours)
    if isinstance(expected, dict) != isinstance(yours, dict) or not isinstance(yours, (list, tuple, dict)):
        return _wrong_type(yours, expected)
    if isinstance(expected, dict) and set(yours) != set(expected):
        return "wrong", f"returned the keys {sorted(map(str, yours))}, expected {sorted(map(str, expected))}"
    if len(yours) != len(expected):
        return "wrong shape", f"returned {len(yours)} values, expected {len(expected)}"
    for key in expected if isinstance(expected, dict) else range(len(expected)):
        found = difference(yours[key], expected[key], rtol=rtol, atol=atol)
        if found:
            return found[0], f"value {key}: {found[1]}" if found[1] else ""
    return None


def _wrong_type(yours, expected):
    hint = NO_RETURN if yours is None else ""
    return "wrong type", f"returned {_name(yours)}, expected {_name(expected)}{hint}"


def _name(x):
    """What `x` is, in words."""
    if is_array(x):
        return "an array"
    if isinstance(x, (list, tuple, dict)):
        return f"a {type(x).__name__} of {len(x)}"
    if isinstance(x, (bool, np.bool_)):
        return "one bool"
    if isinstance(x, (numbers.Number, np.generic)):
        return "one number"
    return "None" if x is None else f"a {type(x).__name__}"
