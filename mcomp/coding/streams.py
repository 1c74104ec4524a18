"""Streams for a file: symbols and floats in the shortest of the codes of this package, exactly.

A symbol stream starts with a byte that names its code; an empty one has no bytes at all. Floats are cut
into byte planes, or listed once each when few are distinct: NaN payloads and -0.0 come back as they were.
"""

import math
from functools import lru_cache

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.arith import BitDecoder, encode_bits
from mcomp.coding.batch import run, together
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
from mcomp.coding.entropy import entropy, histogram
from mcomp.coding.huffman import code_lengths, huffman_decode, huffman_encode_steps
from mcomp.coding.rans import rans_decode_steps, rans_encode_steps

__all__ = [
    "least_bytes", "pack_floats", "pack_floats_steps", "pack_symbols", "pack_symbols_steps", "unpack_floats",
    "unpack_floats_steps", "unpack_symbols", "unpack_symbols_steps",
]  # fmt: skip

CONSTANT, BITS, HUFFMAN, RANS, ADAPTIVE = range(5)
RAW, PLANES, TABLE = range(3)
MAX_ADAPTIVE = 1 << 16  # binary decisions that the adaptive code takes, for the time it needs
MAX_QUICK = 1 << 13  # and those in a network of many layers
CLIP = 16, 65520  # no bit is thought to be surer than that


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


def pack_symbols_steps(symbols, alphabet, *, quick=False):
    """`pack_symbols` as a generator for `mcomp.coding.batch.run_all`; `quick` tries one code only."""
    s = as_symbols(symbols, alphabet)
    if s.size == 0:
        return b""
    if s.min() == s.max():
        return bytes([CONSTANT]) + varint(int(s[0]))
    width, counts = (alphabet - 1).bit_length(), histogram(s, alphabet)
    plain, floor = packed_size(s.size, width), s.size * entropy(counts) / 8
    if floor + 2 > plain:  # no code gets below the entropy, and each has a head
        return bytes([BITS]) + pack_bits(s, width)
    adaptive = _adaptive_bits(counts, width) / 8 if s.size * width <= MAX_ADAPTIVE else math.inf
    if quick:
        return (yield from _pack_quickly(s, alphabet, counts, adaptive))
    best = bytes([RANS]) + (yield from rans_encode_steps(s, alphabet))
    if adaptive < len(best):
        best = min(best, bytes([ADAPTIVE]) + _encode_adaptive(s, width), key=len)
    least = floor + 2 + min(alphabet / 8, 6)  # Huffman's code words, their lengths, a tag and a width
    if least < len(best) and counts @ code_lengths(counts) < 8 * (len(best) - least + floor):
        best = min(best, bytes([HUFFMAN]) + (yield from huffman_encode_steps(s, alphabet)), key=len)
    return best if len(best) <= plain else bytes([BITS]) + pack_bits(s, width)


def _pack_quickly(s, alphabet, counts, adaptive):
    """One code, chosen by estimate: the adaptive one for short streams, else rANS."""
    width = (alphabet - 1).bit_length()
    table = 6 + np.count_nonzero(counts) / 2  # bytes that rANS spends on its table and its state, at least
    short = s.size * width <= MAX_QUICK and adaptive < s.size * entropy(counts) / 8 + table
    data = _encode_adaptive(s, width) if short else (yield from rans_encode_steps(s, alphabet))
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
    s = unpack_bits(reader.rest(), width, n) if code == BITS else _decode_adaptive(reader.rest(), n, width)
    if int(s.max()) >= alphabet:
        raise CorruptFileError(f"a symbol is {int(s.max())}; allowed: 0 to {alphabet - 1}")
    return s.astype(dtype, copy=False)


def _adaptive_bits(counts, width):
    """What the adaptive code takes of symbols with these counts, whatever their order; clipping aside.

    At a node that n0 zeros and n1 ones pass, gamma(n0 + 1/2) gamma(n1 + 1/2) / (pi gamma(n0 + n1 + 1)).
    """
    level, bits = np.zeros(1 << width, np.int64), 0.0
    level[: len(counts)] = counts
    half, whole = _log_gammas(MAX_ADAPTIVE)
    for _ in range(width):
        pairs = level.reshape(-1, 2)
        level = pairs.sum(1)
        bits -= float(half[pairs].sum() - whole[level].sum())
    return bits


@lru_cache(1)
def _log_gammas(n):
    """log2 of gamma(k + 1/2) / gamma(1/2), and of gamma(k + 1), for k = 0 ... n."""
    k = np.arange(1, n + 1)
    return [np.append(0.0, np.cumsum(np.log2(x))) for x in (k - 0.5, k)]


def _encode_adaptive(s, width):
    """Each symbol bit by bit, the highest first, each bit predicted from how the others at its node were."""
    bits = (s[:, None].astype(np.int64) >> np.arange(width - 1, -1, -1)) & 1  # (n, width)
    higher = (s[:, None].astype(np.int64) >> np.arange(width, 0, -1)) + (1 << np.arange(width))
    order = np.argsort(higher.reshape(-1), kind="stable")  # the nodes of the tree, in the order of time
    sorted_bits = bits.reshape(-1)[order]
    first = np.flatnonzero(np.diff(higher.reshape(-1)[order], prepend=-1))
    start = np.repeat(first, np.diff(first, append=len(order)))
    ones = np.cumsum(sorted_bits) - sorted_bits
    n1, n = np.empty((2, len(order)), np.int64)
    n1[order], n[order] = ones - ones[start], np.arange(len(order)) - start
    p1 = np.clip(((2 * n1 + 1) << 16) // (2 * n + 2), *CLIP)
    return encode_bits(bits.reshape(-1).tolist(), p1.tolist())


def _decode_adaptive(data, n, width):
    """Inverse of `_encode_adaptive`. n1 counts ones twice, plus one; seen counts bits twice, plus two."""
    coder, numbers, (low, high) = BitDecoder(data), [], CLIP
    n1, seen, step = [1] * (1 << width), [2] * (1 << width), coder.step
    for _ in range(n):
        node = 1
        for _ in range(width):
            p1 = (n1[node] << 16) // seen[node]
            bit = step(low if p1 < low else high if p1 > high else p1)
            seen[node] += 2
            n1[node] += bit << 1
            node += node + bit
        numbers.append(node - (1 << width))
    coder.finish()
    return np.array(numbers, symbol_dtype(1 << width))


def _float_dtype(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind not in "biuf" or dtype.itemsize not in (1, 2, 4, 8):
        raise bad_value("dtype", dtype.name, "a bool, integer or float dtype of 1, 2, 4 or 8 bytes")
    return dtype.newbyteorder("<"), np.dtype(f"<u{dtype.itemsize}")


def pack_floats(x):
    """Code numbers losslessly: raw bytes, byte planes, or each distinct value once and an index stream.

    Parameters
    ----------
    x : array, any shape (flattened)
        Floats, integers or bools of 1 to 8 bytes. bfloat16 comes as uint16.

    Returns
    -------
    data : bytes
        At most one byte more than the raw bytes; none for an empty array.

    Examples
    --------
    >>> len(pack_floats(np.float32([1.5, -0.0, 1.5, 1.5] * 100)))  # 400 numbers, two of them distinct
    52
    """
    return run(pack_floats_steps(x))


def pack_floats_steps(x, *, quick=False):
    """`pack_floats` as a generator for `mcomp.coding.batch.run_all`."""
    x = np.asarray(x)
    stored, pattern = _float_dtype(x.dtype)
    if x.size == 0:
        return b""
    raw = np.ascontiguousarray(x.reshape(-1), dtype=stored)
    planes = raw.view(np.uint8).reshape(x.size, -1).T  # (bytes a number, n)
    ways = [(sum(_least_bytes(p, 256) for p in planes), lambda: _planes(planes, quick))]
    values = np.sort(raw.view(pattern))
    values = values[np.append(True, values[1:] != values[:-1])]
    if values.size <= min(65536, x.size // 2):
        index = np.searchsorted(values, raw.view(pattern))
        ways.append((values.nbytes + _least_bytes(index, values.size), lambda: _table(values, index, quick)))
    best = bytes([RAW]) + raw.tobytes()
    for least, way in sorted(ways, key=lambda w: w[0]):
        if least < len(best):
            best = min(best, (yield from way()), key=len)
    return best


def least_bytes(x):
    """A number of bytes that `pack_floats` can't get below, found in a pass over `x`."""
    raw = np.ascontiguousarray(np.asarray(x).reshape(-1))
    planes = raw.view(np.uint8).reshape(raw.size, -1).T
    values = np.sort(raw.view(f"u{raw.itemsize}"))
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    table = raw.size * entropy(np.diff(starts, append=raw.size)) / 8 + starts.size * raw.itemsize
    return min(raw.nbytes, sum(_least_bytes(p, 256) for p in planes), table)


def _planes(planes, quick=False):
    parts = yield from together([pack_symbols_steps(p, 256, quick=quick) for p in planes])
    return bytes([PLANES]) + b"".join(varint(len(p)) + p for p in parts)


def _table(values, index, quick=False):
    coded = yield from pack_symbols_steps(index, values.size, quick=quick)
    return bytes([TABLE]) + varint(values.size) + values.tobytes() + coded


def _least_bytes(s, alphabet):
    """A number of bytes that `pack_symbols` can't get below: the entropy."""
    return s.size * entropy(np.bincount(s, minlength=alphabet)) / 8


def unpack_floats(data, n, dtype):
    """Inverse of `pack_floats`: `n` numbers of `dtype`, bit for bit, from exactly `data`.

    Raises
    ------
    CorruptFileError
        If `data` is not what `pack_floats` writes for n numbers of this dtype.

    Examples
    --------
    >>> unpack_floats(pack_floats(np.float32([1.5, -0.0])), n=2, dtype=np.float32)
    array([ 1.5, -0. ], dtype=float32)
    """
    return run(unpack_floats_steps(data, n, dtype))


def unpack_floats_steps(data, n, dtype):
    """`unpack_floats` as a generator for `mcomp.coding.batch.run_all`."""
    n, reader = check_int("n", n, 0), Reader(data)
    stored, pattern = _float_dtype(dtype)
    if n == 0:
        reader.end()
        return np.zeros(0, dtype)
    code = reader.byte(high=TABLE)
    if code == RAW:
        raw = np.frombuffer(reader.read(n * pattern.itemsize), pattern)
    elif code == PLANES:
        parts = [reader.read(reader.varint(reader.left())) for _ in range(pattern.itemsize)]
        planes = yield from together([unpack_symbols_steps(part, n, 256) for part in parts])
        raw = np.stack(planes, axis=1).view(pattern).reshape(-1)
    else:
        size = reader.varint(high=min(65536, n))
        if size == 0:
            raise CorruptFileError(f"a table of no values for {n} numbers")
        values = np.frombuffer(reader.read(size * pattern.itemsize), pattern)
        raw = values[(yield from unpack_symbols_steps(reader.rest(), n, size))]
    reader.end()
    if stored.kind == "b" and raw.max() > 1:
        raise CorruptFileError(f"a bool is {int(raw.max())}; allowed: 0 and 1")
    return raw.view(stored).astype(dtype)
