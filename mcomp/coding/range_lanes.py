"""Many range-coded streams side by side: the bytes of `mcomp.coding.arith.BitEncoder`, stream by stream.

An encoder knows all probabilities before it starts, so numpy can take one bit of every stream at a time.
"""

from dataclasses import dataclass

import numpy as np

from mcomp.coding.batch import Job

__all__ = ["RangeEncode", "encode_bits"]

NARROW = 64  # with fewer streams left, Python's own numbers are quicker than numpy's arrays


@dataclass(frozen=True, eq=False)
class RangeEncode(Job):
    """Bits, uint8 (n,), and the probability of a one for each, times 2**16, uint16; the answer is bytes."""

    bits: np.ndarray
    p1: np.ndarray

    @staticmethod
    def serve(requests):
        order = sorted(range(len(requests)), key=lambda i: -len(requests[i].bits))
        found = dict(zip(order, _encode([requests[i] for i in order]), strict=True))
        return [found[i] for i in range(len(requests))]


def encode_bits(bits, p1):
    r"""The bytes of one stream, from a list or array of bits and one of probabilities times 2**16.

    Examples
    --------
    >>> encode_bits([1, 0, 1], [60000, 100, 50000])
    b'\x01'
    """
    return RangeEncode.serve([RangeEncode(np.asarray(bits, np.uint8), np.asarray(p1, np.uint16))])[0]


def _encode(requests):
    """The bytes of streams, the longest first. A digit may be above 255 until carries go up."""
    n = np.array([len(r.bits) for r in requests])
    begin = np.cumsum(n) - n
    bits, p1 = (np.concatenate([getattr(r, name) for r in requests]) for name in ("bits", "p1"))
    low, width = np.zeros(len(n), np.int64), np.full(len(n), 1 << 32, np.int64)
    steps = int(n[NARROW - 1]) if len(n) >= NARROW else 0
    lanes, digits = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for t in range(steps):
        active = int(np.searchsorted(-n, -t))
        _step(bits, p1, begin[:active] + t, low[:active], width[:active], lanes, digits)
    lanes, digits = np.concatenate(lanes), np.concatenate(digits)
    digits = digits[np.argsort(lanes, kind="stable")]
    ends, found = np.cumsum(np.bincount(lanes, minlength=len(n))).tolist(), []
    for i, (a, b, lo, w) in enumerate(zip([0, *ends], ends, low.tolist(), width.tolist(), strict=False)):
        some = slice(begin[i] + min(steps, n[i]), begin[i] + n[i])
        rest, lo, w = _rest(bits[some].tolist(), p1[some].tolist(), lo, w)
        found.append(_finish(np.concatenate([digits[a:b], np.array(rest, np.int64)]), lo, w))
    return found


def _step(bits, p1, at, low, width, lanes, digits):
    split = (width >> 16) * p1.take(at)
    one = bits.take(at) > 0
    low += np.where(one, 0, split)
    width[:] = np.where(one, split, width - split)
    hungry = np.flatnonzero(width < 1 << 24)
    while len(hungry):
        x = low[hungry]
        lanes.append(hungry)
        digits.append(x >> 24)
        low[hungry] = x << 8 & 0xFFFFFFFF
        width[hungry] <<= 8
        hungry = hungry[width[hungry] < 1 << 24]


def _rest(bits, p1, low, width):
    digits = []
    for bit, p in zip(bits, p1, strict=True):
        split = (width >> 16) * p
        if bit:
            width = split
        else:
            low += split
            width -= split
        while width < 1 << 24:
            digits.append(low >> 24)
            low, width = low << 8 & 0xFFFFFFFF, width << 8
    return digits, low, width


def _finish(digits, low, width):
    """The shortest bytes that lie in the interval, without zeros at the end."""
    for zeros in (32, 24, 16, 8, 0):
        value = (low + (1 << zeros) - 1) >> zeros << zeros
        if value < low + width:
            break
    whole, carried = (
        int.from_bytes(v.astype(np.uint8).tobytes(), "big") for v in (digits & 255, digits >> 8)
    )
    value += whole + (carried << 8) << 32
    return value.to_bytes(len(digits) + 4, "big").rstrip(b"\0")
