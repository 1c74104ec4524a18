"""Entropy, and frequency tables: counts made into probabilities that both ends of a file agree on.

Shannon 1948, "A Mathematical Theory of Communication", section 6: no code of independent symbols with
probabilities p spends fewer than H(p) = -sum p log2 p bits a symbol. Everything after `cross_entropy` is
integer arithmetic, so encoder and decoder compute the same on every machine.
"""

import math
from functools import lru_cache

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.bits import CorruptFileError, as_symbols, pack_codes, packed_size

__all__ = [
    "cross_entropy", "entropy", "histogram", "least_table", "pack_table", "quantize_counts", "quantized",
    "table_sizes", "unpack_table",
]  # fmt: skip


def histogram(symbols, alphabet):
    """How often each of `alphabet` symbols occurs.

    Returns
    -------
    counts : int64 array, shape (alphabet,)

    Examples
    --------
    >>> histogram([0, 2, 2], alphabet=4)
    array([1, 0, 2, 0])
    """
    return np.bincount(as_symbols(symbols, alphabet), minlength=alphabet)


def _check_counts(name, counts):
    counts = np.asarray(counts)
    if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu":
        raise bad_value(name, counts, "a 1-D integer array of at least one entry")
    if int(counts.min()) < 0 or int(counts.max()) >= 1 << 46:  # so that 2**16 times a count fits in an int64
        raise bad_value(name, counts, "counts from 0 to 2**46 - 1")
    return counts.astype(np.int64)


def entropy(counts):
    """Empirical entropy H = sum (c/n) log2(n/c), in bits per symbol.

    Parameters
    ----------
    counts : real array, shape (alphabet,)
        From `histogram`, or probabilities. All zero: the entropy is 0.

    Examples
    --------
    >>> entropy([2, 1, 1])
    1.5
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not (counts.min(initial=0) >= 0 and counts.sum() < math.inf):
        raise bad_value("counts", counts, "finite numbers of at least 0, shape (alphabet,)")
    here = counts[counts > 0]
    return float((here / here.sum()) @ np.log2(here.sum() / here)) + 0.0 if here.size else 0.0


def cross_entropy(counts, freqs):
    """Bits per symbol of data with these `counts` under a code made for `freqs` (of any total).

    At least ``entropy(counts)``; the excess is the Kullback-Leibler divergence. ``inf`` if a symbol that
    occurs has frequency 0.

    Examples
    --------
    >>> cross_entropy([2, 1, 1], [1, 1, 2])
    1.75
    """
    counts, freqs = np.asarray(counts, np.float64), np.asarray(freqs, np.float64)
    if counts.ndim != 1 or counts.shape != freqs.shape:
        raise bad_value("shapes of counts and freqs", (counts.shape, freqs.shape), "(alphabet,) twice")
    if not (np.isfinite([counts, freqs]).all() and min(counts.min(initial=0), freqs.min(initial=0)) >= 0):
        raise bad_value("counts or freqs", "negative, NaN or infinite", "finite numbers of at least 0")
    here = counts > 0
    if (freqs[here] == 0).any():
        return math.inf
    p = counts[here] / (counts.sum() or 1.0)
    return float(p @ np.log2(freqs.sum() / freqs[here])) + 0.0  # + 0.0: never -0.0


def quantize_counts(counts, bits):
    """Scale `counts` to integers that sum to ``2**bits``, none that occurs rounded down to 0.

    Symbols whose share is below 1 get 1; the others divide what is left in proportion, the remainders going
    to the largest fractions (ties: the lower symbol first).

    Parameters
    ----------
    counts : integer array, shape (alphabet,)
        At least one positive.
    bits : int
        0 to 16, and ``2**bits`` at least the number of symbols that occur.

    Returns
    -------
    freqs : int64 array, shape (alphabet,)

    Raises
    ------
    ValueError
        If no symbol occurs, or more than ``2**bits`` do.

    Examples
    --------
    >>> quantize_counts([1000, 1, 0, 500], bits=4)
    array([10,  1,  0,  5])
    """
    counts, total = _check_counts("counts", counts), 1 << check_int("bits", bits, 0, 16)
    if not 1 <= np.count_nonzero(counts) <= total:
        raise bad_value("number of symbols that occur", int(np.count_nonzero(counts)), f"1 to {total}")
    return quantized(counts, np.array([bits]))[0]


def quantized(counts, bits):
    """`quantize_counts` for several `bits` (n,) at once, without its checks: int64 (n, alphabet)."""
    here = np.flatnonzero(counts)
    freqs, counts = np.zeros((len(bits), len(counts)), np.int64), counts[here]
    total = np.left_shift(1, bits)[:, None]
    free, room = np.ones((len(bits), len(here)), bool), total
    while True:
        weight = (counts * free).sum(1, keepdims=True)
        pinned = free & (counts * room < weight)
        if not pinned.any():
            break
        free, room = free & ~pinned, room - pinned.sum(1, keepdims=True)
    share, part = np.divmod(counts * room, weight)
    few = np.where(free, share, 1)
    order = np.argsort(np.where(free, -part, 1), axis=1, kind="stable")  # those that aren't free come last
    more = np.arange(len(here)) < total - few.sum(1, keepdims=True)
    np.put_along_axis(few, order, np.take_along_axis(few, order, 1) + more, 1)
    freqs[:, here] = few
    return freqs


def pack_table(freqs):
    """A frequency table in few bits: halve the alphabet again and again, write the left half's share.

    A range of symbols with total T needs log2(T + 1) bits for the sum of its left half (a phased-in code),
    and none if T is 0 or one symbol is left, so absent symbols are nearly free.

    Parameters
    ----------
    freqs : integer array, shape (alphabet,)
        Non-negative. The decoder must know the alphabet's size and the sum.

    Returns
    -------
    data : bytes

    Examples
    --------
    >>> pack_table([11, 2, 0, 3]).hex()  # 13 of 16, 11 of 13, 0 of 3
    'dd00'
    """
    sums = np.concatenate([[0], np.cumsum(_check_counts("freqs", freqs))])
    value, bits = _phased_in(sums[None], len(sums) - 1)
    low = np.minimum(bits[0], 24)  # a code may be longer than `pack_codes` takes: its high bits, its low bits
    codes = np.stack([value[0] >> low, value[0] & (1 << low) - 1], axis=1)
    return pack_codes(codes.reshape(-1), np.stack([bits[0] - low, low], axis=1).reshape(-1))


def table_sizes(freqs):
    """The bytes of `pack_table` of each row of an integer array (n, alphabet), without making them: (n,)."""
    sums = np.concatenate([np.zeros((len(freqs), 1), np.int64), np.cumsum(freqs, axis=1)], axis=1)
    return -(-_phased_in(sums, freqs.shape[1])[1].sum(1) // 8)


def least_table(counts):
    """Bytes that `pack_table` takes at least, whatever the frequencies of the symbols with such counts are.

    A range in which m symbols occur has a total of m or more.

    Examples
    --------
    >>> least_table([90, 7, 0, 3]), len(pack_table([11, 2, 0, 3]))
    (1, 2)
    """
    a, _, b = _all_halves(len(counts))
    sums = np.concatenate([[0], np.cumsum(np.asarray(counts) > 0)])
    return packed_size(int((np.frexp(sums[b] - sums[a] + 1)[1] - 1).sum()), 1)


def _phased_in(sums, alphabet):
    """The code of the left half's share of each range, and its bits, for each row of `sums`.

    A number below `size` has floor or ceil(log2 size) bits, the small ones the shorter.
    """
    a, m, b = _all_halves(alphabet)
    begin = sums[:, a]
    size, value = sums[:, b] - begin + 1, sums[:, m] - begin
    k = np.frexp(size)[1].astype(np.int64) - 1
    short = (2 << k) - size  # so many values get k bits, the others k + 1
    long = (value >= short) & (size > 1)
    return value + short * long, k + long


@lru_cache(16)
def _all_halves(n):
    """Begin, middle and end of every range of [0, n) that `_halves` can come to: three arrays (n - 1,)."""
    return np.array([*_halves(n, range(n + 1))], np.int64).reshape(-1, 3).T


def unpack_table(data, alphabet, total):
    """Inverse of `pack_table` for frequencies that sum to `total`.

    Returns
    -------
    freqs : int64 array, shape (alphabet,)
    used : int
        Bytes of `data` that the table took; what follows is not looked at.

    Raises
    ------
    CorruptFileError
        If `data` ends too early.

    Examples
    --------
    >>> unpack_table(bytes.fromhex("dd00") + b"more", alphabet=4, total=16)
    (array([11,  2,  0,  3]), 2)
    """
    alphabet, total = check_int("alphabet", alphabet, 1, 65536), check_int("total", total, 0, 1 << 46)
    head = bytes(data[: alphabet * 6])  # no split takes more than 47 bits
    text = format(int.from_bytes(b"\1" + head, "big"), "b")[1:]
    sums, at = [0] * alphabet + [total], 0
    for a, m, b in _halves(alphabet, sums):
        value, at = _read_phased_in(text, at, sums[b] - sums[a] + 1)
        sums[m] = sums[a] + value
    for i in range(1, alphabet):  # the borders inside ranges of total 0 were never split
        sums[i] = max(sums[i], sums[i - 1])
    return np.diff(np.array(sums, np.int64)), packed_size(at, 1)


def _halves(n, sums):
    """Yield (begin, middle, end) of every range of [0, n) with a total, parents before children."""
    stack = [(0, n)]
    while stack:
        a, b = stack.pop()
        if b - a > 1 and sums[b] > sums[a]:
            m = (a + b) // 2
            yield a, m, b
            stack += [(m, b), (a, m)]


def _read_phased_in(text, at, size):
    k = size.bit_length() - 1
    short = (2 << k) - size
    value = int(text[at : at + k] or "0", 2)
    if value >= short:
        k += 1
        value = int(text[at : at + k], 2) - short
    if at + k > len(text):
        raise CorruptFileError(f"the frequency table ends early, at bit {len(text)}")
    return value, at + k
