"""Arrays, numbers and outcomes as lines of JSON, between the grader and the process that runs an answer.

No pickle: reading a line that an attacker wrote gives plain values or a ValueError, and runs nothing.
"""

import base64
import json
import math

import numpy as np

from mcomp.course.sandbox import Outcome

KINDS = ("value", "to do", "error", "time", "output")
LONGEST = 300  # characters of a text that is taken over


def pack(value):
    """`value` as what JSON can hold; an object of another kind becomes its type's name.

    >>> unpack(pack((np.arange(3), {"a": 1.5})))
    (array([0, 1, 2]), {'a': 1.5})
    """
    if value is None or type(value) in (bool, int, float, str):
        return value[:LONGEST] if type(value) is str else value
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        array = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).reshape(value.shape)
        data = base64.b64encode(array.tobytes()).decode()
        return {"array": [array.dtype.str, list(array.shape), data, isinstance(value, np.generic)]}
    if type(value) in (list, tuple):
        return {type(value).__name__: [pack(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[pack(key), pack(item)] for key, item in value.items()]}
    return {"other": type(value).__name__[:LONGEST]}


def unpack(value):
    """The inverse of `pack`.

    Raises
    ------
    ValueError
        If `value` is nothing that `pack` returns.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is not dict or len(value) != 1:
        raise ValueError("not a packed value")
    ((kind, content),) = value.items()
    if kind == "array":
        return _array(content)
    if kind in ("list", "tuple") and type(content) is list:
        return (list if kind == "list" else tuple)(unpack(item) for item in content)
    if kind == "dict" and type(content) is list:
        return {_key(key): unpack(item) for key, item in content}
    if kind == "other" and type(content) is str:
        return type(content if content.isidentifier() else "object", (), {})()
    raise ValueError("not a packed value")


def _array(content):
    dtype, shape, data, scalar = content
    dtype = np.dtype(str(dtype))
    if dtype.kind not in "biufc" or type(shape) is not list or any(type(n) is not int for n in shape):
        raise ValueError("not a packed array")
    raw = base64.b64decode(data, validate=True)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError("not a packed array")
    array = np.frombuffer(raw, dtype).reshape(shape).copy()
    return array[()] if scalar and array.ndim == 0 else array


def _key(key):
    if type(key) not in (str, int, bool, float):
        raise ValueError("not a packed dict")
    return key


def write_outcomes(exercise_id, outcomes):
    """One line of bytes for all cases of one exercise."""
    rows = [
        {
            "kind": outcome.kind,
            "value": pack(outcome.value),
            "error": outcome.error[:LONGEST],
            "line": outcome.line,
            "code": outcome.code[:LONGEST],
            "changed": outcome.changed,
        }
        for outcome in outcomes
    ]
    return json.dumps({"exercise": exercise_id, "outcomes": rows}).encode() + b"\n"


def read_outcomes(line):
    """(exercise id, outcomes) of such a line.

    Raises
    ------
    ValueError
        If it is not one.
    """
    try:
        message = json.loads(line)
        return str(message["exercise"]), [_outcome(row) for row in message["outcomes"]]
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ValueError(f"not a result: {type(error).__name__}") from None


def _outcome(row):
    if row["kind"] not in KINDS:
        raise ValueError("not an outcome")
    return Outcome(
        row["kind"],
        unpack(row["value"]),
        error=str(row["error"])[:LONGEST],
        line=int(row["line"]),
        code=str(row["code"])[:LONGEST],
        changed=tuple(int(place) for place in row["changed"]),
    )
