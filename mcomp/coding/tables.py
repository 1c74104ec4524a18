"""Frequency tables in few bits, which a decoder needs before the symbols.

Integer arithmetic alone, so encoder and decoder compute the same on every machine.
"""

from functools import lru_cache

import numpy as np

from mcomp.arrays import check_int
from mcomp.coding.bits import CorruptFileError, pack_codes, packed_size
from mcomp.coding.entropy import check_counts

__all__ = ["least_table", "pack_table", "table_sizes", "unpack_table"]


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
    sums = np.concatenate([[0], np.cumsum(check_counts("freqs", freqs))])
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

    A range in which m symbols occur has a total of m or more. Of an array (n, alphabet): of each row.

    Examples
    --------
    >>> least_table([90, 7, 0, 3]), len(pack_table([11, 2, 0, 3]))
    (1, 2)
    """
    here = np.asarray(counts) > 0
    a, _, b = _all_halves(here.shape[-1])
    sums = np.zeros((*here.shape[:-1], here.shape[-1] + 1), np.int32)
    np.cumsum(here, axis=-1, out=sums[..., 1:])
    bits = (np.frexp(sums[..., b] - sums[..., a] + 1)[1] - 1).sum(-1)
    return packed_size(bits if here.ndim > 1 else int(bits), 1)


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
