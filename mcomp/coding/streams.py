"""Streams for a file: symbols in the shortest of the codes of this package, exactly.

A stream starts with a byte that names its code; an empty one has no bytes at all. Other numbers:
mcomp/coding/floats.py.
"""

import numpy as np

from mcomp.arrays import check_int
from mcomp.coding.batch import run
from mcomp.coding.bits import (
    CorruptFileError,
    Reader,
    as_symbols,
    pack_bits,
    packed_size,
    symbol_dtype,
    unpack_bits,
    varint,
)
from mcomp.coding.counted import MAX_ADAPTIVE, Count
from mcomp.coding.huffman import huffman_decode, huffman_encode_steps
from mcomp.coding.least import least_huffman, least_rans
from mcomp.coding.range_lanes import RangeEncode
from mcomp.coding.range_rows import CLIP, decode_symbols
from mcomp.coding.rans import best_table, rans_decode_steps, rans_encode_steps

__all__ = ["least_packed", "pack_symbols", "pack_symbols_steps", "unpack_symbols", "unpack_symbols_steps"]

CONSTANT, BITS, HUFFMAN, RANS, ADAPTIVE = range(5)
SURE = 3  # bytes that the adaptive code must be shorter by, as estimated, for rANS not to be tried
MAX_QUICK = 1 << 13  # binary decisions that it takes in a network of many layers
LUCK = 2  # bytes that its end may save, where a short number lies in the last interval


def pack_symbols(symbols, alphabet):
    """Code symbols in the shortest way: constant, fixed width, Huffman, rANS, or adaptive for short streams.

    Parameters
    ----------
    symbols : integer array, any shape (flattened)
        Each in [0, alphabet).
    alphabet : int
        1 to 65,536.

    Returns
    -------
    data : bytes
        At most one byte more than `mcomp.coding.bits.pack_bits`.

    Raises
    ------
    ValueError
        If a symbol is out of range.

    Examples
    --------
    >>> [len(pack_symbols(s, alphabet=4)) for s in ([], [3] * 1000, [0, 1, 2, 3], [0, 0, 1, 0] * 100)]
    [0, 2, 2, 43]
    """
    return run(pack_symbols_steps(symbols, alphabet))


def pack_symbols_steps(symbols, alphabet, *, quick=False, counted=None):
    """`pack_symbols` as a generator for `mcomp.coding.batch.run_all`; `quick` tries one code only.

    `counted` is the answer to a `Count` of the symbols, if there was one before.
    """
    s = as_symbols(symbols, alphabet)
    if s.size == 0:
        return b""
    counted = counted or (yield Count(s, alphabet))
    if counted.present == 1:
        return bytes([CONSTANT]) + varint(int(s[0]))
    width, counts, floor = (alphabet - 1).bit_length(), counted.counts, counted.floor
    if floor + 2 > packed_size(s.size, width):  # no code gets below the entropy, and each has a head
        return bytes([BITS]) + pack_bits(s, width)
    if quick:
        return (yield from _pack_quickly(s, alphabet, counted))
    best = bytes([BITS]) + pack_bits(s, width)
    most = min(len(best), 1.002 * counted.adaptive + SURE) - 1  # without the byte that names the code
    if least_rans(counts, floor, floor + counted.table) < most:
        table = best_table(counts)
        if least_rans(counts, floor, table[2]) < most:
            coded = yield from rans_encode_steps(s, alphabet, counts=counts, table=table)
            best = min(best, bytes([RANS]) + coded, key=len)
    if counted.adaptive < len(best):
        best = min(best, bytes([ADAPTIVE]) + (yield from _encode_adaptive_steps(s, width)), key=len)
    if least_huffman(counts, floor, len(best) - 1) < len(best) - 1:
        best = min(best, bytes([HUFFMAN]) + (yield from huffman_encode_steps(s, alphabet)), key=len)
    return best


def least_packed(counted, n):
    """Bytes that `pack_symbols` takes at least of `n` symbols, from the answer to their `Count`.

    Examples
    --------
    >>> s = np.array([0, 1, 0, 0] * 1000, np.uint8)
    >>> least_packed(Count.serve([Count(s, 2)])[0], 4000) <= len(pack_symbols(s, 2)) < 420
    True
    """
    if counted.present == 1:
        return 2
    rans = least_rans(counted.counts, counted.floor, counted.floor + counted.table)
    adaptive = max(counted.floor, counted.adaptive - LUCK)
    plain = packed_size(n, (len(counted.counts) - 1).bit_length())
    return 1 + min(plain, rans, adaptive, least_huffman(counted.counts, counted.floor, 0))


def _pack_quickly(s, alphabet, counted):
    """One code, chosen by estimate: the adaptive one for short streams, else rANS."""
    width = (alphabet - 1).bit_length()
    table = 6 + counted.present / 2  # bytes that rANS spends on its table and its state, at least
    short = s.size * width <= MAX_QUICK and counted.adaptive < counted.floor + table
    rans = rans_encode_steps(s, alphabet, counts=counted.counts)
    data = yield from (_encode_adaptive_steps(s, width) if short else rans)
    if len(data) + 1 > packed_size(s.size, width):
        return bytes([BITS]) + pack_bits(s, width)
    return bytes([ADAPTIVE if short else RANS]) + data


def unpack_symbols(data, n, alphabet):
    """Inverse of `pack_symbols`: `n` symbols from exactly `data`.

    Returns
    -------
    symbols : uint8 or uint16 array, shape (n,)

    Raises
    ------
    CorruptFileError
        If `data` is not what `pack_symbols` writes for n symbols of this alphabet.

    Examples
    --------
    >>> unpack_symbols(pack_symbols([2, 0, 1], alphabet=3), n=3, alphabet=3)
    array([2, 0, 1], dtype=uint8)
    """
    return run(unpack_symbols_steps(data, n, alphabet))


def unpack_symbols_steps(data, n, alphabet):
    """`unpack_symbols` as a generator for `mcomp.coding.batch.run_all`."""
    n, dtype, reader = check_int("n", n, 0), symbol_dtype(alphabet), Reader(data)
    if n == 0:
        reader.end()
        return np.zeros(0, dtype)
    code = reader.byte(high=ADAPTIVE)
    if code == CONSTANT:
        s = np.full(n, reader.varint(high=alphabet - 1), dtype)
        reader.end()
        return s
    if code == RANS:
        return (yield from rans_decode_steps(reader.rest(), n, alphabet))
    if code == HUFFMAN:
        return huffman_decode(reader.rest(), n, alphabet)
    width = (alphabet - 1).bit_length()
    if code == ADAPTIVE and n * width > MAX_ADAPTIVE:
        raise CorruptFileError(f"{n} symbols of {width} bits are too many for the adaptive code")
    s = unpack_bits(reader.rest(), width, n) if code == BITS else decode_symbols(reader.rest(), n, width)
    if int(s.max()) >= alphabet:
        raise CorruptFileError(f"a symbol is {int(s.max())}; allowed: 0 to {alphabet - 1}")
    return s.astype(dtype, copy=False)


def _encode_adaptive_steps(s, width):
    """Each symbol bit by bit, the highest first, each bit predicted from how the others at its node were."""
    s, depth = s[:, None].astype(np.int32), np.arange(width, dtype=np.int32)
    bits = (s >> (width - 1 - depth) & 1).reshape(-1)
    node = ((s >> (width - depth)) + (1 << depth)).astype(np.uint16).reshape(-1)  # of the tree, from 1
    order = np.argsort(node, kind="stable")  # node by node, in the order of time
    sorted_bits, node = bits[order], node[order]
    first = np.flatnonzero(np.append(True, node[1:] != node[:-1]))
    start = np.repeat(first, np.diff(first, append=len(order)))
    ones = np.cumsum(sorted_bits) - sorted_bits
    n1, n = ones - ones[start], np.arange(len(order)) - start
    p1 = np.empty(len(order), np.uint16)
    p1[order] = np.clip(((2 * n1 + 1) << 16) // (2 * n + 2), *CLIP)
    return (yield RangeEncode(bits.astype(np.uint8), p1))
