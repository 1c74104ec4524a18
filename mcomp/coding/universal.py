"""Universal codes for gaps: a whole number of any size in bits that no table has to be told for.

Elias 1975 (doi:10.1109/TIT.1975.1055349): gamma spends 2 floor(log2 n) + 1 bits on n, delta
floor(log2 n) + 2 floor(log2(floor(log2 n) + 1)) + 1. A mask as gaps: mcomp/coding/gaps.py; the Golomb-Rice
code, which has a parameter, is the dialect `runs` of mcomp/coding/positions.py.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, host_array, size
from mcomp.coding.bits import CorruptFileError, packed_size

__all__ = [
    "MOST",
    "decode_delta",
    "decode_gamma",
    "delta_bits",
    "encode_delta",
    "encode_gamma",
    "gamma_bits",
]  # fmt: skip

MOST = 2**31 - 1


def gamma_bits(n):
    """The length of Elias's gamma code of each number: 2 floor(log2 n) + 1 bits.

    So many zeros as the number has binary digits after the first, then the number. An optimal code for
    P(n) near 1 / (2 n^2).

    Parameters
    ----------
    n : integer array
        Each from 1 to `MOST`.

    Returns
    -------
    bits : int64 array of the shape of `n`

    Examples
    --------
    >>> gamma_bits(np.array([1, 2, 3, 4, 255]))
    array([ 1,  3,  3,  5, 15])
    """
    return 2 * _log2(_checked(n, 1)) + 1


def delta_bits(n):
    """The length of Elias's delta code of each number: the count of its digits in gamma, then the digits.

    Longer than gamma for 2, 3 and 8 to 15, shorter from 32 on. Parameters as of `gamma_bits`.

    Examples
    --------
    >>> delta_bits(np.array([1, 2, 8, 32, 255]))
    array([ 1,  4,  8, 10, 14])
    """
    digits = _log2(_checked(n, 1))
    return digits + gamma_bits(digits + 1)


def encode_gamma(n):
    """The gamma codes of numbers from 1, one after the other: bytes, the last filled up with zeros.

    Examples
    --------
    >>> encode_gamma(np.array([1, 2, 5])).hex()  # 1 010 00101, then zeros
    'a280'
    """
    n = host_array("n", _checked(n, 1)).reshape(-1)
    digits = _log2(n)
    return _written([(np.zeros_like(n), digits), (n, digits + 1)])


def decode_gamma(data, n):
    """Inverse of `encode_gamma`: `n` numbers, int64 (n,), from exactly `data`; else CorruptFileError."""
    reader = _Bits(data)
    return reader.all(n, lambda: reader.number(reader.zeros()))


def encode_delta(n):
    """The delta codes of numbers from 1, one after the other: bytes.

    Examples
    --------
    >>> encode_delta(np.array([1, 2, 5])).hex()  # 1 0100 01101
    'a340'
    """
    n = host_array("n", _checked(n, 1)).reshape(-1)
    digits = _log2(n)
    more = _log2(digits + 1)
    return _written([(np.zeros_like(n), more), (digits + 1, more + 1), (n - (1 << digits), digits)])


def decode_delta(data, n):
    """Inverse of `encode_delta`, as `decode_gamma`."""
    reader = _Bits(data)
    return reader.all(n, lambda: reader.number(reader.number(reader.zeros()) - 1))


def _checked(n, low):
    """`n` as int64 numbers from `low` to `MOST`, else ValueError."""
    xp = array_namespace(n)
    if not xp.isdtype(n.dtype, "integral"):
        raise bad_value("n.dtype", str(n.dtype), "an integer dtype")
    if size(n) and not (low <= int(xp.min(n)) and int(xp.max(n)) <= MOST):
        raise bad_value("n from", (int(xp.min(n)), int(xp.max(n))), f"{low} to {MOST}")
    return xp.astype(n, xp.int64)


def _log2(n):
    """floor(log2 n) of integers from 1, exactly."""
    xp = array_namespace(n)
    return sum((xp.astype(n >= (1 << j), xp.int64) for j in range(1, 31)), xp.zeros_like(n))


def _written(fields):
    """Bytes in which each number's fields (values, widths in bits) follow each other, the highest bit first.

    A field may be wider than its value: zeros come before.
    """
    widths = np.stack([np.broadcast_to(w, v.shape) for v, w in fields], axis=1)  # (n, fields)
    ends = np.cumsum(widths.reshape(-1)).reshape(widths.shape)
    bits = np.zeros(int(ends[-1, -1]) if ends.size else 0, np.uint8)
    for i, (values, _) in enumerate(fields):
        for j in range(int(values.max(initial=0)).bit_length()):
            here = (widths[:, i] > j) & (values >> j & 1 > 0)
            bits[ends[here, i] - 1 - j] = 1
    return np.packbits(bits).tobytes()


class _Bits:
    """Reads zeros, numbers of a few bits, and at last that nothing is left but fill of zeros."""

    def __init__(self, data):
        self.data = bytes(data)
        self.bits = np.unpackbits(np.frombuffer(self.data, np.uint8))
        self.ones, self.at = np.flatnonzero(self.bits), 0

    def zeros(self):
        """How many zeros come before the next one, which is passed: not read if a number begins with it."""
        i = int(np.searchsorted(self.ones, self.at))
        count = int(self.ones[i]) - self.at if i < len(self.ones) else 31
        if count > 30:
            raise CorruptFileError(f"more than 30 zeros, or no one, after bit {self.at}")
        self.at += count + 1
        return count

    def number(self, width):
        """The number of `width` bits after a first one, which has been read."""
        if not 0 <= width <= 30 or self.at + width > len(self.bits):
            raise CorruptFileError(f"a number of {width} bits after bit {self.at} of {len(self.bits)}")
        number = 1
        for bit in self.bits[self.at : self.at + width].tolist():
            number = 2 * number + bit
        self.at += width
        return number

    def all(self, n, one):
        """`n` numbers, each read by `one`."""
        if check_int("n", n, 0) > len(self.bits):
            raise CorruptFileError(f"{n} numbers in {len(self.bits)} bits")
        found = np.array([one() for _ in range(n)], np.int64)
        if len(self.data) != packed_size(self.at, 1) or self.bits[self.at :].any():
            raise CorruptFileError(f"{len(self.data)} bytes came, the numbers end with bit {self.at}")
        return found
