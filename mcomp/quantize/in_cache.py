"""Fake quantization in one pass over memory: six operations on a piece that stays in the cache.

Each numpy operation reads an array and writes one. On ten million weights that is a pass over 40 MB in main
memory for each; on pieces of some ten thousand it is a pass over the processor's cache.
"""

import numpy as np

from mcomp.arrays import from_host, host_array, in_host_memory, is_numpy_array, is_torch_array

__all__ = ["can_run_in_cache", "fake_quantize_in_cache"]

PIECE = 2**15  # entries at a time: 128 kB of float32


def can_run_in_cache(x, *parameters):
    """Whether numpy can work on the memory of `x` in its own precision, and no gradient is wanted."""
    if not (is_numpy_array(x) or is_torch_array(x)) or not in_host_memory(x):
        return False
    wanted = any(getattr(p, "requires_grad", False) for p in (x, *parameters))
    return not wanted and all(p.dtype == x.dtype for p in parameters)


def fake_quantize_in_cache(x, scale, zero, *, qmin, qmax):
    """``(clip(round(x / scale) + zero, qmin, qmax) - zero) * scale``, `scale` and `zero` one number a row.

    Parameters
    ----------
    x : floating array (..., n) of numpy, or a tensor in CPU memory
    scale, zero : floating arrays () or (..., 1)
    qmin, qmax : int

    Returns
    -------
    y : array of the shape, dtype and library of `x`
    """
    a = host_array("x", x)
    out = np.empty(a.shape, a.dtype)
    rows = (-1, a.shape[-1])
    s, z = (host_array("scale", p).reshape(-1, 1) for p in (scale, zero))
    with np.errstate(over="ignore"):  # an infinity is clipped like any other number
        _rows(a.reshape(rows), s, (qmin - z, qmax - z), out.reshape(rows))
    return from_host(out, x)


def _rows(a, scale, ends, out):
    """In pieces: of many short rows, or of part of a long one."""
    n, inverse = a.shape[1], 1 / scale
    high, wide = max(1, PIECE // n), min(n, PIECE)
    for i in range(0, len(a), high):
        one = slice(None) if len(scale) == 1 else slice(i, i + high)
        for j in range(0, n, wide):
            piece = (slice(i, i + high), slice(j, j + wide))
            _piece(a[piece], inverse[one], scale[one], [e[one] for e in ends], out[piece])


def _piece(a, inverse, scale, ends, y):
    """Integers minus zero_point: the clip moves by it. Adding 0.0 makes 0.0 of -0.0, as integers would.

    numpy.clip with arrays for its ends takes three times as long as the maximum and the minimum.
    """
    np.multiply(a, inverse, out=y)
    np.rint(y, out=y)
    np.maximum(y, ends[0], out=y)
    np.minimum(y, ends[1], out=y)
    np.add(y, 0.0, out=y)
    np.multiply(y, scale, out=y)
