"""What the codecs of few levels share: reading the arrays of a code, which may come from a hostile file.

Every shape and range is compared with the shape of the tensor before anything is multiplied or allocated.
"""

import math
from dataclasses import replace

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, from_host, size, to_numpy
from mcomp.codecs.basic import shaped
from mcomp.codecs.code import payload_of

__all__ = ["channels_of", "check_axis", "fit_scale", "integers", "power_of", "scale_of", "scaled", "symbols"]


def channels_of(shape):
    return shape[0] if len(shape) > 1 else 1


def check_axis(axis):
    """One scale for each output channel (0), or one in all (None)."""
    if axis is not None and (axis != 0 or isinstance(axis, bool)):
        raise bad_value("axis", axis, "None, or 0 for the output channels")


def power_of(exponents):
    """2.0**exponents in float64, exactly, whatever the library's own power function rounds to."""
    return from_host(np.ldexp(1.0, to_numpy(exponents)), exponents)


def symbols(code, name, high, *, low=0, n=None):
    """A symbol array of a code: one for each weight, or `n`, all from `low` to `high`."""
    x, n = code.symbols[name], math.prod(code.shape) if n is None else n
    xp = array_namespace(x)
    if tuple(x.shape) != (n,):
        raise bad_value(f"{name}.shape", tuple(x.shape), (n,))
    if n and (int(xp.min(x)) < low or int(xp.max(x)) > high):
        raise bad_value(f"{name} from", (int(xp.min(x)), int(xp.max(x))), f"{low} to {high}")
    return x


def integers(code, name, allowed):
    """The integers of a short symbol array, each within its (low, high)."""
    x = symbols(code, name, 32_768, n=len(allowed))
    values = [int(x[i]) for i in range(len(allowed))]
    return [check_int(name, value, low, high) for value, (low, high) in zip(values, allowed, strict=True)]


def scale_of(code):
    scale = code.floats["scale"]
    if scale.ndim != 1 or size(scale) not in (1, channels_of(code.shape)):
        raise bad_value("scale.shape", tuple(scale.shape), f"(1,) or ({channels_of(code.shape)},)")
    if not array_namespace(scale).isdtype(scale.dtype, "real floating"):
        raise bad_value("scale.dtype", str(scale.dtype), "a real floating dtype")
    return scale


def scaled(code, q):
    """The scales times `q`, row by row."""
    xp, scale = array_namespace(q), scale_of(code)
    rows = xp.reshape(xp.astype(q, scale.dtype), (size(scale), -1))
    return shaped(scale[:, None] * rows, code.shape)


def fit_scale(w, code, q):
    """`code` with the scales that are best for its symbols: the sum of w·q over that of q², row by row."""
    xp, channels = array_namespace(w), size(payload_of(code, "scale"))
    rows = xp.astype(xp.reshape(w, (channels, -1)), xp.float64)
    q = xp.astype(xp.reshape(q, (channels, -1)), xp.float64)
    square = xp.sum(q * q, axis=1)
    scale = xp.sum(rows * q, axis=1) / xp.where(square > 0, square, xp.ones_like(square))
    return replace(code, floats={**code.floats, "scale": xp.astype(scale, w.dtype)})
