"""A binary range coder, and logarithms in integers: the parts of a code that learns while it is read.

The coder keeps an interval of the numbers below 2**32 and cuts it in the ratio of the two probabilities for
every bit (Martin 1979, "Range encoding"; Witten, Neal & Cleary 1987, doi:10.1145/214762.214771). Unlike rANS
it goes forwards at both ends, so the probability of a bit may depend on everything decoded before it. Models
must agree bit for bit on every machine: the tables here come from whole-number arithmetic alone.

Units: probabilities are of a 1, times 2**16. Logarithms and log-odds are natural, times 256.
"""

import numpy as np

from mcomp.coding.bits import CorruptFileError

__all__ = [
    "LIMIT",
    "SQUASH",
    "SQUASHED",
    "AdaptiveBit",
    "BitDecoder",
    "BitEncoder",
    "encode_bits",
    "ln_fixed",
]

LIMIT = 3072  # log-odds are cut off at +-12 = LIMIT / 256


def _ln_table(n):
    """round(256 ln k) for k in 1..n (0 for k = 0), by ln(k+1) - ln k = 2 artanh(1 / (2k + 1))."""
    table, total, one = [0, 0], 0, 1 << 64
    for k in range(1, n):
        y = 2 * k + 1
        term, power = 1, one // y
        while power:
            total += 2 * power // term
            term, power = term + 2, power // (y * y)
        table.append((total * 256 + one // 2) // one)
    return table


def _squash_table():
    """round(2**16 / (1 + exp(-t / 256))) within [1, 2**16 - 1], for t in 0..LIMIT-1, then -LIMIT..-1."""
    one = 1 << 64
    step = one + one // 256 + one // (2 * 256**2) + one // (6 * 256**3) + one // (24 * 256**4)  # exp(1/256)
    power, positive = one, []
    for _ in range(LIMIT + 1):
        positive.append((65536 * power + (one + power) // 2) // (one + power))
        power = power * step >> 64
    positive = [min(p, 65535) for p in positive]
    return positive[:LIMIT] + [65536 - p for p in positive[LIMIT:0:-1]]


LN = _ln_table(4096)
SQUASH = _squash_table()  # SQUASH[t] for t in [-LIMIT, LIMIT), a negative t counting from the end
SQUASHED = np.array(SQUASH, np.int64)  # the same for numpy's indices
_LN, _POWERS = np.array(LN, np.int64), 1 << np.arange(12, 63)
LN2 = LN[2]


def ln_fixed(v):
    """256 ln v for positive integers `v`, within 2: an int64 array.

    Examples
    --------
    >>> ln_fixed(np.array([1, 2, 1000, 10**6]))
    array([   0,  177, 1768, 3536])
    """
    if v.size and v.max() < len(LN):
        return _LN[v]
    shift = np.searchsorted(_POWERS, v, side="right")  # bits that are too many for the table
    return _LN[v >> shift] + (shift * 45426 >> 8)  # 45426 = 256 * 256 ln 2


class BitEncoder:
    r"""Takes bits from an iterator and codes each when `step` is told its probability.

    Examples
    --------
    >>> coder = BitEncoder(iter([1, 0, 1]))
    >>> [coder.step(p1) for p1 in (60000, 100, 50000)], coder.finish()
    ([1, 0, 1], b'\x01')
    """

    def __init__(self, bits):
        self.bits, self.low, self.range, self.out = bits, 0, 1 << 32, bytearray()

    def step(self, p1):
        """Code the next bit, a 1 with probability ``p1 / 2**16``, 0 < p1 < 2**16; return it."""
        bit = next(self.bits)
        split = (self.range >> 16) * p1
        if bit:
            self.range = split
        else:
            self.low += split
            self.range -= split
        while self.range < 1 << 24:
            self._carry()
            self.out.append(self.low >> 24)
            self.low = self.low << 8 & 0xFFFFFFFF
            self.range <<= 8
        return bit

    def _carry(self):
        if self.low >> 32:
            self.low &= 0xFFFFFFFF
            i = len(self.out) - 1
            while self.out[i] == 255:
                self.out[i] = 0
                i -= 1
            self.out[i] += 1

    def finish(self):
        """The coded bytes: the shortest that lie in the interval, without zeros at the end."""
        for zeros in (32, 24, 16, 8, 0):
            value = (self.low + (1 << zeros) - 1) >> zeros << zeros
            if value < self.low + self.range:
                break
        self.low = value
        self._carry()
        return bytes(self.out + self.low.to_bytes(4, "big")).rstrip(b"\0")


class BitDecoder:
    r"""Inverse of `BitEncoder`: `step` with the same probabilities gives the same bits.

    Examples
    --------
    >>> coder = BitDecoder(b"\x01")
    >>> [coder.step(p1) for p1 in (60000, 100, 50000)], coder.finish()
    ([1, 0, 1], None)
    """

    def __init__(self, data):
        self.end = len(data)
        self.data, self.range, self.at = data + bytes(8), 1 << 32, 4
        self.value = int.from_bytes(self.data[:4], "big")  # how far into the interval the coded number lies

    def step(self, p1):
        """The next bit, a 1 with probability ``p1 / 2**16``."""
        split = (self.range >> 16) * p1
        if self.value < split:
            self.range = split
            bit = 1
        else:
            self.value -= split
            self.range -= split
            bit = 0
        while self.range < 1 << 24:
            self.range <<= 8
            self.value <<= 8
            if self.at < self.end:
                self.value |= self.data[self.at]
            self.at += 1
        return bit

    def finish(self):
        """Raise `CorruptFileError` unless the bytes end where the encoder would have ended them."""
        if self.at < self.end or (self.end and self.data[self.end - 1] == 0):
            raise CorruptFileError(f"the range coder read {self.at} of {self.end} bytes")


def encode_bits(bits, p1):
    r"""All bits at once, for an encoder that knows their probabilities: the bytes of `BitEncoder`.

    Examples
    --------
    >>> encode_bits([1, 0, 1], [60000, 100, 50000])
    b'\x01'
    """
    coder = BitEncoder(None)
    low, width, out = 0, 1 << 32, coder.out
    for bit, p in zip(bits, p1, strict=True):
        split = (width >> 16) * p
        if bit:
            width = split
        else:
            low += split
            width -= split
        while width < 1 << 24:
            if low >> 32:
                coder.low = low
                coder._carry()
                low = coder.low
            out.append(low >> 24)
            low, width = low << 8 & 0xFFFFFFFF, width << 8
    coder.low, coder.range = low, width
    return coder.finish()


class AdaptiveBit:
    """The probability of a bit from how often it was 1 before: (n1 + 1/2) / (n + 1).

    Krichevsky & Trofimov 1981, doi:10.1109/TIT.1981.1056331.

    Examples
    --------
    >>> model, coder = AdaptiveBit(), BitEncoder(iter([1, 1, 1, 0]))
    >>> [model.code(coder) for _ in range(4)], model.n1, model.n
    ([1, 1, 1, 0], 3, 4)
    """

    __slots__ = ("n", "n1")

    def __init__(self):
        self.n = self.n1 = 0

    def code(self, coder):
        """One bit through `coder` (either direction)."""
        p1 = ((2 * self.n1 + 1) << 16) // (2 * self.n + 2)
        bit = coder.step(min(max(p1, 16), 65520))
        self.n += 1
        self.n1 += bit
        return bit
