"""Blocks of 32 weights that share a scale of 16 bits, byte for byte as ggml's reference quantizers make them.

| | bytes of a block | scale d | a weight is |
|---|---|---|---|
| Q8_0 | 34: d, then 32 int8 | largest magnitude / 127 | d·q |
| Q4_0 | 18: d, then 16 bytes of two each | the largest in magnitude, with its sign, / -8 | d·(q - 8) |

In Q4_0 the weight furthest out is the 0 of the grid, so it is met exactly; its opposite would be 16, and is
rounded to 15. Reference: ggml-quants.c, `quantize_row_q8_0_ref` and `quantize_row_q4_0_ref`
(https://github.com/ggml-org/llama.cpp).
"""

import numpy as np

from mcomp.arrays import bad_value, check_finite, host_array

__all__ = ["BLOCK", "from_q4_0", "from_q8_0", "half", "q4_0", "q8_0"]

BLOCK = 32


def q8_0(w):
    """The Q8_0 bytes of `w`: integers of 8 bits, 8.5 bits a weight with the scale.

    Parameters
    ----------
    w : real floating array (..., n), numpy or torch on the CPU, finite
        32 divides n. Read as float32.

    Returns
    -------
    data : uint8 numpy array (..., n / 32 · 34)
        As in a file. The scale is rounded to float16 after the integers were chosen, as ggml does it.

    Raises
    ------
    ValueError
        If 32 doesn't divide n, an entry isn't finite, or a scale is too large for float16.

    Examples
    --------
    >>> w = np.zeros(32, np.float32)
    >>> w[:3] = 127.0, -1.0, 0.5
    >>> q8_0(w)[:6]  # 1.0 as float16, then 127, -1, and 0.5 away from zero
    array([  0,  60, 127, 255,   1,   0], dtype=uint8)
    """
    parts = _parts(w)  # (..., blocks, 32)
    d = np.max(np.abs(parts), axis=-1, keepdims=True) / np.float32(127)
    x = parts * _inverse(d)
    whole = np.trunc(x)
    away = whole + np.copysign(np.float32(1), x) * (np.abs(x - whole) >= 0.5)  # roundf of C: ties leave zero
    return _joined(d, away.astype(np.int8).view(np.uint8))


def from_q8_0(data):
    """Inverse of `q8_0`: float32 array (..., n). Of any bytes; a scale that is no number gives no numbers."""
    d, q = _split("Q8_0", data, 34)
    return _flat(d * q.view(np.int8).astype(np.float32))


def q4_0(w):
    """The Q4_0 bytes of `w`: sixteen levels, 4.5 bits a weight with the scale.

    Arguments and errors as those of `q8_0`.

    Returns
    -------
    data : uint8 numpy array (..., n / 32 · 18)
        Byte i of a block holds weight i in its low half, weight i + 16 in its high half.

    Examples
    --------
    >>> from_q4_0(q4_0(np.linspace(-4, 4, 32, dtype=np.float32)))[[0, 1, 15, 30, 31]]
    array([-4. , -3.5,  0. ,  3.5,  3.5], dtype=float32)
    """
    parts = _parts(w)
    furthest = np.argmax(np.abs(parts), axis=-1, keepdims=True)  # the first of equals
    d = np.take_along_axis(parts, furthest, axis=-1) / np.float32(-8)
    q = np.minimum(np.trunc(parts * _inverse(d) + np.float32(8.5)), 15).astype(np.uint8)
    return _joined(d, q[..., :16] | q[..., 16:] << 4)


def from_q4_0(data):
    """Inverse of `q4_0`: float32 array (..., n)."""
    d, pairs = _split("Q4_0", data, 18)
    q = np.concatenate([pairs & 15, pairs >> 4], axis=-1)
    return _flat(d * (q.astype(np.float32) - 8))


def half(x, what):
    """`x` as little-endian float16; ValueError if an entry of `what` is beyond its range."""
    with np.errstate(over="ignore"):
        y = x.astype("<f2")
    if not np.isfinite(y).all():
        raise bad_value(f"the largest of {what}", float(np.abs(x).max()), "up to 65504, as float16 holds")
    return y


def _parts(w):
    w = check_finite("w", host_array("w", w))
    if w.dtype.kind != "f" or w.ndim == 0 or w.shape[-1] % BLOCK:
        allowed = f"floats in rows that {BLOCK} divides"
        raise bad_value("w", f"{w.dtype} of shape {w.shape}", allowed)
    return w.astype(np.float32).reshape(*w.shape[:-1], -1, BLOCK)


def _inverse(d):
    """1 / d; 0 where d is 0, or so small that float32 has no inverse: its float16 is 0."""
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.float32(1) / d
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def _joined(d, q):
    """Scale and integers of each block, side by side, the blocks of a row one after the other."""
    blocks = np.concatenate([half(d, "the scales").view(np.uint8), q], axis=-1)
    return _flat(blocks)


def _split(name, data, nbytes):
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.ndim == 0 or data.shape[-1] % nbytes:
        allowed = f"uint8 in rows of blocks of {nbytes} bytes"
        raise bad_value(f"{name} data", f"{data.dtype} of shape {data.shape}", allowed)
    blocks = np.ascontiguousarray(data).reshape(*data.shape[:-1], -1, nbytes)
    d = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype(np.float32)  # (..., blocks, 1)
    return d, np.ascontiguousarray(blocks[..., 2:])


def _flat(blocks):
    return blocks.reshape(*blocks.shape[:-2], -1)
