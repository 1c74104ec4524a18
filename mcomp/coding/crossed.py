"""A mask as rows and columns see it: the log-odds that an entry is kept are its row's plus its column's.

This is the model of Rasch (1960) for who solves which question. Rows and columns get one of a few classes
each, which are told first, so all probabilities are known before the first bit: the bits of equal
probability are gathered, four make a symbol, and rANS codes all symbols side by side. Classes are chosen by
what they cost in all, bits of the mask and of the class itself (Chou, Lookabaugh & Gray 1989,
doi:10.1109/29.17498), so a mask without structure pays for none.
"""

import math
from functools import lru_cache

import numpy as np

from mcomp.coding.arith import SQUASH
from mcomp.coding.batch import Decode, Encode, Levels
from mcomp.coding.bits import CorruptFileError, varint
from mcomp.coding.entropy import quantize_counts
from mcomp.coding.lanes import lanes_for, least_bytes, pack_states, read_lanes
from mcomp.coding.streams import pack_symbols_steps, unpack_symbols_steps

__all__ = ["decode_crossed_steps", "encode_crossed_steps"]

STEP, CLASSES, MIDDLE = 64, 64, 32  # a class is a quarter of a nat; columns' offsets are -32 to 31
TOP = 2752 // STEP  # log-odds beyond 10.75 are not told apart
GROUP, PRECISION = 4, 16
ROUNDS = 4  # rows, then columns


@lru_cache(1)
def _levels():
    """Frequencies of the 16 symbols (four bits, the first the highest) at each log-odds from -TOP to TOP."""
    p = np.array([SQUASH[STEP * level] for level in range(-TOP, TOP + 1)], np.int64)[:, None]
    bits = np.arange(16)[:, None] >> np.arange(3, -1, -1) & 1  # (16, 4)
    ones, rows = bits.sum(1), []
    for q in p[:, 0].tolist():
        rows.append(
            quantize_counts(np.array([q**k * (65536 - q) ** (4 - k) >> 20 | 1 for k in ones.tolist()]), 16)
        )
    return np.array(rows, np.int32)


@lru_cache(1)
def _bits():
    """Bits that a zero and a one cost at each log-odds from -96 to 95 steps: (2, 192)."""
    p = np.array([SQUASH[STEP * min(max(level, -TOP), TOP)] for level in range(-96, 96)]) / 65536
    return -np.log2(np.stack([1 - p, p]))


def _level(rows, columns):
    """The place in `_levels` of each entry: (rows, columns)."""
    sums = rows.astype(np.int16)[:, None] + (columns.astype(np.int16) - 2 * MIDDLE)
    return (np.clip(sums, -TOP, TOP) + TOP).astype(np.uint8)


def _best_classes(kept, total, offsets):
    """A class for each of n rows, from how much of each of k groups of columns it keeps.

    `kept` (n, k); `total` (k,) columns of each group; `offsets` (CLASSES, k) the log-odds that class and
    group make, in steps, plus 96. Returns the classes, shape (n,).
    """
    zero, one = _bits()
    cost = (total - kept) @ zero[offsets].T + kept @ one[offsets].T  # (n, CLASSES)
    price, before = np.zeros(CLASSES), None
    for _ in range(8):
        classes = np.argmin(cost + price, axis=1)
        count = np.bincount(classes, minlength=CLASSES)
        price = np.log2(len(classes) + 4) - np.log2(count + 4 / CLASSES)
        if before is not None and (classes == before).all():
            break
        before = classes
    return classes.astype(np.uint8)


def _grouped(matrix, classes):
    """Sums of the rows of each class that occurs (classes, columns); the classes; the rows of each."""
    order = np.argsort(classes, kind="stable")
    used, first, count = np.unique(classes[order], return_index=True, return_counts=True)
    return np.add.reduceat(matrix[order], first, axis=0, dtype=np.float64), used, count


def _choose(matrix):
    """Classes of rows and of columns."""
    columns, across = np.full(matrix.shape[1], MIDDLE, np.uint8), np.arange(CLASSES)[:, None]
    for _ in range(ROUNDS):
        kept, used, total = _grouped(matrix.T, columns)
        rows = _best_classes(kept.T, total, across + used.astype(int) - 2 * MIDDLE + 96)
        kept, used, total = _grouped(matrix, rows)
        columns = _best_classes(kept.T, total, across + used.astype(int) - 2 * MIDDLE + 96)
    return rows, columns


def _symbols_of(level):
    """The order that gathers entries of equal level, their places, and the level of each group of four."""
    order = np.argsort(level, axis=None, kind="stable")
    count = np.bincount(level.reshape(-1), minlength=2 * TOP + 1)
    groups = -(-count // GROUP)
    first = (np.cumsum(groups) - groups) * GROUP  # where the bits of each level begin
    place = np.arange(len(order)) + np.repeat(first - (np.cumsum(count) - count), count)
    return order, place, np.repeat(np.arange(len(groups), dtype=np.uint8), groups)


def encode_crossed_steps(matrix, most=math.inf):
    """A generator that returns the bytes of a bool matrix; None if they are surely more than `most`."""
    rows, columns = _choose(matrix)
    order, place, level = _symbols_of(_level(rows, columns))
    bits = np.zeros((len(level), GROUP), np.uint8)
    bits.reshape(-1)[place] = matrix.reshape(-1)[order]
    s = bits @ np.array([8, 4, 2, 1], np.uint8)
    freqs = _levels()
    starts = np.cumsum(freqs, axis=1, dtype=np.int32) - freqs
    at = level.astype(np.int64) * 16 + s
    f, c = freqs.reshape(-1)[at], starts.reshape(-1)[at]
    head = b""
    for classes in (rows, columns):
        data = yield from pack_symbols_steps(classes, CLASSES)
        head += varint(len(data)) + data
    if len(head) + least_bytes(f, PRECISION) > most:
        return None
    lanes = lanes_for(len(s), 0.0, PRECISION)  # the fewest: other masks are decoded beside it
    states, words = yield Encode(len(s), lanes, PRECISION, lambda a, b: (f[a:b], c[a:b]))
    return head + varint(lanes) + pack_states(states, PRECISION) + words.astype("<u2").tobytes()


def decode_crossed_steps(reader, shape):
    """A generator that returns the bool matrix of `shape`."""
    classes = []
    for n in shape:
        data = reader.read(reader.varint(reader.left()))
        classes.append((yield from unpack_symbols_steps(data, n, CLASSES)))
    order, place, level = _symbols_of(_level(*classes))
    states, words = read_lanes(reader, len(level), PRECISION)
    s = yield Decode(len(level), states, words, PRECISION, Levels(_levels(), level))
    bits = np.unpackbits(s[:, None] << 4, axis=1, count=GROUP).reshape(-1)
    filled = np.ones(len(bits), bool)
    filled[place] = False
    if bits[filled].any():
        raise CorruptFileError("kept entries where a group of bits is filled up")
    mask = np.zeros(len(order), bool)
    mask[order] = bits[place]
    return mask.reshape(shape)
