"""The steps of `mcomp.coding.arith.BitDecoder` written out in loops over many bits, for their time in Python.

Whoever decodes a bit must know the one before it, so numpy can't help here.
"""

import numpy as np

from mcomp.coding.arith import LIMIT, SQUASH
from mcomp.coding.bits import CorruptFileError, symbol_dtype

__all__ = ["CLIP", "NEAR", "RowDecoder", "decode_symbols"]

CLIP = 16, 65520  # no bit of a symbol is thought to be surer than that
TOP = 1 << 24
RADIUS = 3  # neighbours within a row of a mask that are looked at, (lines, columns) from a kept entry
NEAR = [(y, x) for y in range(RADIUS + 1) for x in range(-RADIUS, RADIUS + 1) if y > 0 or x > 0]
LEAST, MOST = SQUASH[-LIMIT], SQUASH[LIMIT - 1]


class _Bytes:
    """The bytes of a stream one by one, then zeros; and how many were taken."""

    def __init__(self, data):
        self.data, self.at = data, 4
        self.value = int.from_bytes(data[:4].ljust(4, b"\0"), "big")  # how far into the interval it lies

    def more(self, value, width):
        """The interval made wide again."""
        while width < TOP:
            width <<= 8
            value = value << 8 | (self.data[self.at] if self.at < len(self.data) else 0)
            self.at += 1
        return value, width

    def finish(self):
        """Raise `CorruptFileError` unless the bytes end where the encoder would have ended them."""
        if self.at < len(self.data) or self.data.endswith(b"\0"):
            raise CorruptFileError(f"the range coder read {self.at} of {len(self.data)} bytes")


class RowDecoder(_Bytes):
    """Bits of a mask, row by row: the loop over what `mcomp.coding.adaptive.MaskModels` predicts."""

    def __init__(self, data):
        super().__init__(data)
        self.width = 1 << 32

    def row(self, start, weight, ln_hits):
        """Bits under log-odds `start` plus what the kept entries before them in the row add: a list."""
        value, width, hits, bits = self.value, self.width, 0, []
        term, squash, low = weight * ln_hits[0] >> 16, SQUASH, -LIMIT
        for s in start:
            t = s + term
            p = squash[t] if low <= t < LIMIT else LEAST if t < 0 else MOST
            split = (width >> 16) * p
            if value < split:
                width = split
                hits += 1
                term = weight * ln_hits[hits] >> 16
                bits.append(1)
            else:
                value -= split
                width -= split
                bits.append(0)
            if width < TOP:
                value, width = self.more(value, width)
        self.value, self.width = value, width
        return bits

    def image_row(self, start, weight, ln_hits, line, near_weights):
        """As `row`, for an image of lines of this length, in which neighbours add their weights too."""
        value, width, hits, bits = self.value, self.width, 0, []
        term, squash, low = weight * ln_hits[0] >> 16, SQUASH, -LIMIT
        wide = line + 2 * RADIUS  # lines with a margin, so that neighbours don't wrap around
        near = [0] * (len(start) // line + RADIUS + 2) * wide
        fan = _fan(wide, near_weights)
        place, ends = RADIUS - 2 * RADIUS, 0
        for j, s in enumerate(start):
            if j == ends:
                ends += line
                place += 2 * RADIUS
            t = s + term + near[place]
            p = squash[t] if low <= t < LIMIT else LEAST if t < 0 else MOST
            split = (width >> 16) * p
            if value < split:
                width = split
                hits += 1
                term = weight * ln_hits[hits] >> 16
                bits.append(1)
                for o, w in fan:
                    near[place + o] += w
            else:
                value -= split
                width -= split
                bits.append(0)
            place += 1
            if width < TOP:
                value, width = self.more(value, width)
        self.value, self.width = value, width
        return bits


def _fan(wide, weights):
    """(distance, weight) from an entry to those of its neighbours that come later."""
    return [(y * wide + x, w) for (y, x), w in zip(NEAR, weights, strict=True)]


def decode_symbols(data, n, width):
    """`n` symbols of `width` bits, each bit predicted from how often it was one at its node of the tree.

    ``n1`` counts ones twice, plus one; ``seen`` counts bits twice, plus two.
    """
    coder, numbers, (low, high) = _Bytes(data), [], CLIP
    n1, seen, leaves = [1] * (1 << width), [2] * (1 << width), 1 << width
    value, wide = coder.value, 1 << 32
    for _ in range(n):
        node = 1
        while node < leaves:
            p1 = (n1[node] << 16) // seen[node]
            split = (wide >> 16) * (p1 if low <= p1 <= high else low if p1 < low else high)
            seen[node] += 2
            if value < split:
                wide = split
                n1[node] += 2
                node += node + 1
            else:
                value -= split
                wide -= split
                node += node
            if wide < TOP:
                value, wide = coder.more(value, wide)
        numbers.append(node - leaves)
    coder.finish()
    return np.array(numbers, symbol_dtype(leaves))
