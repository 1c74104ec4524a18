"""Canonical Huffman codes of at most 16 bits: whole bits for each symbol, within 1 bit of the entropy.

Huffman 1952, "A method for the construction of minimum-redundancy codes". The lengths come from
package-merge (Larmore & Hirschberg 1990, doi:10.1145/79147.79150), which is optimal under the limit, and
Huffman's own code where the limit doesn't bind. The code words follow from the lengths alone (the shorter
first, then the lower symbol), so only lengths are stored.
"""

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.batch import run
from mcomp.coding.bits import (
    CorruptFileError,
    Reader,
    as_symbols,
    pack_bits,
    pack_codes,
    packed_size,
    symbol_dtype,
    unpack_bits,
)
from mcomp.coding.entropy import histogram
from mcomp.coding.rans import rans_decode, rans_encode_steps

__all__ = ["canonical_codes", "code_lengths", "huffman_decode", "huffman_encode"]

LIMIT = 16  # bits of the longest code word
BLOCK = 4096  # symbols between two entry points into the stream, from which blocks are decoded side by side


def code_lengths(counts, limit=LIMIT):
    """Lengths of an optimal prefix code with no word longer than `limit` bits.

    Package-merge: a symbol of length n is a purchase of n coins, of values 1/2, 1/4, ..., 2**-n, each at the
    price of its count; the cheapest set worth m - 1 for m symbols is the best code. From the smallest coins
    up, pair the cheapest into packages and merge these with the coins of the next value.

    Parameters
    ----------
    counts : integer array, shape (alphabet,)
        Non-negative.
    limit : int
        1 to 16; at most ``2**limit`` symbols may occur.

    Returns
    -------
    lengths : uint8 array, shape (alphabet,)
        0 for a symbol that doesn't occur, 1 for one that occurs alone.

    Raises
    ------
    ValueError
        If more symbols occur than `limit` bits can tell apart.

    Examples
    --------
    >>> code_lengths([5, 0, 2, 1, 1])
    array([1, 0, 2, 3, 3], dtype=uint8)
    """
    counts = np.asarray(counts, np.int64)
    limit = check_int("limit", limit, 1, LIMIT)
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]  # (m,) the symbols that occur, the rarest first
    if order.size > 1 << limit:
        raise bad_value("number of symbols that occur", order.size, f"at most {1 << limit} for {limit} bits")
    lengths = np.zeros(counts.size, np.uint8)
    lengths[order] = 1 if order.size == 1 else _package_merge(counts[order], limit)
    return lengths


def _package_merge(coins, limit):
    """Lengths for ascending counts `coins` (two or more)."""
    level, is_coin = coins, [np.ones(coins.size, bool)]
    for _ in range(limit - 1):
        pairs = level[: level.size // 2 * 2].reshape(-1, 2).sum(1)
        both = np.concatenate([coins, pairs])
        rank = np.argsort(both, kind="stable")  # on ties coins come first, as in Huffman's algorithm
        level = both[rank]
        is_coin.append(rank < coins.size)
    lengths, take = np.zeros(coins.size, np.uint8), 2 * coins.size - 2
    for flags in reversed(is_coin):
        bought = int(np.count_nonzero(flags[:take]))
        lengths[:bought] += 1
        take = 2 * (take - bought)
    return lengths


def canonical_codes(lengths):
    """Code words from their lengths: counting upwards, the shorter words first, then the lower symbols.

    Parameters
    ----------
    lengths : integer array, shape (alphabet,)
        0 to 16, 0 for a symbol without a code; ``sum 2**-length <= 1`` (Kraft).

    Returns
    -------
    codes : int64 array, shape (alphabet,)

    Examples
    --------
    >>> [f"{c:0{n}b}" for c, n in zip(canonical_codes([1, 3, 2, 3]), [1, 3, 2, 3])]
    ['0', '110', '10', '111']
    """
    lengths = np.asarray(lengths, np.int64)
    if lengths.size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= LIMIT:
        raise bad_value("code length", (int(lengths.min()), int(lengths.max())), f"0 to {LIMIT}")
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    room = 1 << (LIMIT - lengths[order])  # how many 16-bit numbers begin with this word
    ends = np.cumsum(room)
    if order.size and ends[-1] > 1 << LIMIT:
        raise bad_value("Kraft sum", f"{ends[-1]}/{1 << LIMIT}", "at most 1")
    codes = np.zeros(lengths.size, np.int64)
    codes[order] = (ends - room) >> (LIMIT - lengths[order])
    return codes


def huffman_encode(symbols, alphabet):
    """Code symbols with an optimal prefix code of at most 16 bits.

    Layout: the lengths, the sizes in bits of all blocks of 4,096 symbols but the last, the code words.

    Parameters
    ----------
    symbols : integer array, any shape (flattened)
        Each in [0, alphabet).
    alphabet : int
        1 to 65,536.

    Returns
    -------
    data : bytes
        Empty if there are no symbols.

    Raises
    ------
    ValueError
        If a symbol is out of range.

    Examples
    --------
    >>> huffman_encode([0, 0, 1, 0, 2], alphabet=3).hex()  # 2-bit lengths 1 2 2, then 0 0 10 0 11
    '026826'
    """
    return run(huffman_encode_steps(symbols, alphabet))


def huffman_encode_steps(symbols, alphabet):
    """`huffman_encode` as a generator for `mcomp.coding.batch.run_all`."""
    s = as_symbols(symbols, alphabet)
    if s.size == 0:
        return b""
    lengths = code_lengths(histogram(s, alphabet))
    n = lengths[s]
    sizes = np.add.reduceat(n, np.arange(0, s.size, BLOCK), dtype=np.int64)[:-1]
    head = yield from _pack_lengths(lengths)
    return head + _pack_sizes(sizes) + pack_codes(canonical_codes(lengths)[s], n)


def huffman_decode(data, n, alphabet):
    """Inverse of `huffman_encode`: `n` symbols from exactly `data`.

    A table tells for each 16 bits which symbol they begin with. All blocks advance by one symbol at a time.

    Returns
    -------
    symbols : uint8 or uint16 array, shape (n,)

    Raises
    ------
    CorruptFileError
        If `data` is not what `huffman_encode` writes for n symbols.

    Examples
    --------
    >>> huffman_decode(bytes.fromhex("026826"), n=5, alphabet=3)
    array([0, 0, 1, 0, 2], dtype=uint8)
    """
    n, dtype, reader = check_int("n", n, 0), symbol_dtype(alphabet), Reader(data)
    if n == 0:
        reader.end()
        return np.zeros(0, dtype)
    owner, length = _decode_table(_read_lengths(reader, alphabet))
    bit = np.concatenate([[0], np.cumsum(_read_sizes(reader, (n - 1) // BLOCK))])  # where each block starts
    stream = reader.rest()
    total = 8 * len(stream)
    window = _windows(stream)
    out, goal = np.zeros((min(n, BLOCK), bit.size), dtype), bit[1:].copy()
    last = n - (bit.size - 1) * BLOCK  # symbols of the last block
    for t in range(out.shape[0]):
        at = bit if t < last else bit[:-1]
        if int(at.max(initial=0)) >= total:
            raise CorruptFileError(f"the Huffman stream ends early, after {total} bits")
        head = (window[at >> 3] >> (8 - (at & 7))) & 0xFFFF  # the 16 bits from `at` on
        out[t, : at.size] = owner[head]
        at += length[head]
    if (bit[:-1] != goal).any() or packed_size(int(bit[-1]), 1) != len(stream):
        raise CorruptFileError("a block of the Huffman stream doesn't end where the next one starts")
    return out.T.reshape(-1)[:n]


def _windows(stream):
    """For each byte the 24-bit number that starts there (zeros after the end)."""
    b = np.frombuffer(stream + b"\0\0", np.uint8).astype(np.int64)
    return b[:-2] << 16 | b[1:-1] << 8 | b[2:]


def _decode_table(lengths):
    """Symbol and code length for each 16-bit number; refuses what no optimal code looks like."""
    used = np.flatnonzero(lengths)
    order = used[np.argsort(lengths[used], kind="stable")]
    room = 1 << (LIMIT - lengths[order].astype(np.int64))
    if int(room.sum()) != 1 << LIMIT and lengths[order].tolist() != [1]:
        raise CorruptFileError(f"the Huffman code lengths have Kraft sum {int(room.sum())}/{1 << LIMIT}")
    if order.size == 1:
        room = room * 2  # one symbol, code 0: a 1 in its stream goes unnoticed
    return np.repeat(order, room), np.repeat(lengths[order].astype(np.int64), room)


def _pack_lengths(lengths):
    """A byte with the width w, then w bits a length; or w = 0 and the lengths by rANS, if shorter."""
    width = int(lengths.max()).bit_length()
    plain, coded = pack_bits(lengths, width), (yield from rans_encode_steps(lengths, LIMIT + 1))
    coded = np.array(len(coded), "<u4").tobytes() + coded
    return bytes([width]) + plain if len(plain) <= len(coded) else b"\0" + coded


def _read_lengths(reader, alphabet):
    width = reader.byte(high=5)
    if width == 0:
        size = int.from_bytes(reader.read(4), "little")
        return rans_decode(reader.read(size), alphabet, LIMIT + 1)
    lengths = unpack_bits(reader.read(packed_size(alphabet, width)), width, alphabet)
    if int(lengths.max()) > LIMIT:
        raise CorruptFileError(f"a Huffman code of {int(lengths.max())} bits; allowed: at most {LIMIT}")
    return lengths


def _pack_sizes(sizes):
    """Sizes of blocks in bits: the smallest (2 bytes, minus 1), a width, and what each is above it."""
    if sizes.size == 0:
        return b""
    low, width = int(sizes.min()), int(np.ptp(sizes)).bit_length()
    return (low - 1).to_bytes(2, "big") + bytes([width]) + pack_bits(sizes - low, width)


def _read_sizes(reader, count):
    if count == 0:
        return np.zeros(0, np.int64)
    low, width = int.from_bytes(reader.read(2), "big") + 1, reader.byte(high=16)
    return low + unpack_bits(reader.read(packed_size(count, width)), width, count).astype(np.int64)
