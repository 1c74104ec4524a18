"""Is the learner's value the expected one? If not, which kind of difference, in one line."""

import importlib.util
import numbers

import numpy as np

from mcomp.arrays import is_torch_array

KINDS = {"b": "bool", "i": "integer", "u": "integer", "f": "float", "c": "complex", "U": "text"}


def has_torch():
    """Is torch installed? Without it answers are checked on numpy arrays only."""
    return importlib.util.find_spec("torch") is not None


def is_array(x):
    """True for an array of numpy or torch, also one without axes; not for a numpy number."""
    return isinstance(x, np.ndarray) or is_torch_array(x)


def plain(x):
    """`x` as numpy: arrays of torch are converted, also inside lists, tuples and dicts."""
    if is_torch_array(x):
        x = x.detach().cpu()
        return (x.double() if x.dtype.is_floating_point and x.element_size() < 4 else x).numpy()
    if isinstance(x, (list, tuple)):
        return type(x)(plain(item) for item in x) if type(x) in (list, tuple) else [plain(i) for i in x]
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return x


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

    A dtype must be of the same kind (bool, integer, float); its width is free. Where an array is expected
    a list won't do; where a float is expected an integer will.

    Examples
    --------
    >>> difference(np.ones(2), np.ones(2, bool))
    ('wrong dtype', 'returned float64, expected bool')
    >>> difference(np.ones(2, np.float32), np.ones(2)) is None
    True
    """
    if isinstance(expected, (list, tuple, dict)):
        return _container_difference(yours, expected, rtol, atol)
    if not is_array(yours) and not isinstance(yours, (numbers.Number, np.generic)):
        hint = ": is there a return?" if yours is None else ""
        return "wrong type", f"returned {_name(yours)}, expected {_name(expected)}{hint}"
    if isinstance(expected, np.ndarray) and not is_array(yours):
        return "wrong type", f"returned {_name(yours)}, expected {_name(expected)}"
    a, b = np.asarray(yours), np.asarray(expected)
    if a.shape != b.shape:
        wanted = f"shape {b.shape}" if isinstance(expected, np.ndarray) else "a number"
        return "wrong shape", f"returned an array of shape {a.shape}, expected {wanted}"
    kind, wanted = KINDS.get(a.dtype.kind, str(a.dtype)), KINDS.get(b.dtype.kind)
    lenient = not isinstance(expected, np.ndarray) and (kind, wanted) == ("integer", "float")
    if kind != wanted and not lenient:
        return "wrong dtype", f"returned {a.dtype}, expected {wanted}"
    real = "f" in (a.dtype.kind, b.dtype.kind)
    equal = np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True) if real else np.array_equal(a, b)
    return None if equal else ("wrong", "")


def _container_difference(yours, expected, rtol, atol):
    """The first difference between two lists, tuples or dicts."""
    if isinstance(expected, dict) != isinstance(yours, dict) or not isinstance(yours, (list, tuple, dict)):
        return "wrong type", f"returned {_name(yours)}, expected {_name(expected)}"
    if isinstance(expected, dict) and set(yours) != set(expected):
        return "wrong", f"returned the keys {sorted(map(str, yours))}, expected {sorted(map(str, expected))}"
    if len(yours) != len(expected):
        return "wrong shape", f"returned {len(yours)} values, expected {len(expected)}"
    for key in expected if isinstance(expected, dict) else range(len(expected)):
        found = difference(yours[key], expected[key], rtol=rtol, atol=atol)
        if found:
            return found[0], f"value {key}: {found[1]}" if found[1] else ""
    return None


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
