"""Range asymmetric numeral systems: a code within a fraction of a percent of the entropy, in plain numpy.

Duda 2013, arXiv:1311.2540. One number x holds everything coded so far. A symbol that owns the slots
[c, c + f) of every M = 2**p goes onto x by

    x -> M * (x // f) + c + x % f        (x grows by a factor M/f, i.e. log2(M/f) bits)

and comes off by looking at x % M. Whenever x would outgrow its interval [2**b, 2**(b+16)), its low 16 bits
go to the stream. The decoder meets the symbols in reverse, so the encoder starts at the last one. Symbol i
belongs to lane i % lanes, and numpy moves all lanes at once: mcomp/coding/lanes.py.
"""

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.batch import Bits, Decode, Encode, Table, run
from mcomp.coding.bits import Reader, as_symbols, symbol_dtype, varint
from mcomp.coding.entropy import cross_entropy, histogram, quantized
from mcomp.coding.lanes import lanes_for, pack_states, read_lanes
from mcomp.coding.tables import pack_table, table_sizes, unpack_table

__all__ = [
    "best_table", "rans_decode", "rans_decode_binary", "rans_decode_binary_steps", "rans_decode_steps",
    "rans_encode", "rans_encode_binary", "rans_encode_binary_steps", "rans_encode_steps",
]  # fmt: skip


def best_table(counts):
    """Precision and frequencies for which table and payload together are the shortest, and their bytes.

    The cost falls, then rises with the precision: from a guess, step by step to its least.
    """
    n, present = int(counts.sum()), int(np.count_nonzero(counts))
    low = (present - 1).bit_length()
    tries = [*range(low, 13), 14, 16] if low <= 8 else [*range(max(low, 10), 17, 2)]
    best = 0 if present == 1 else min(max(0, (n // present).bit_length() // 2 - 1), len(tries) - 1)
    found = {}
    while True:
        near = range(max(0, best - 2), min(best + 3, len(tries)))
        found |= _tried(counts, tries, {*near, len(tries) - 1} - found.keys())
        least = min(near, key=lambda i: found[i][0])
        if found[best][0] <= found[least][0]:
            break
        best = least
    best = min(best, len(tries) - 1, key=lambda i: found[i][0])  # nearly one symbol only wants the finest
    _, size, table = found[best]
    return tries[best], table, size


def _tried(counts, tries, places):
    """For some of the precisions their cost, the bytes of table and payload, and the table."""
    here, n = counts > 0, int(counts.sum())
    p, places = counts[here] / n, sorted(places)
    tables = quantized(counts.astype(np.int64), np.array([tries[i] for i in places], np.int64))
    found = {}
    for i, freqs, size in zip(places, tables, table_sizes(tables).tolist(), strict=True):
        payload = n * (float(p @ np.log2((1 << tries[i]) / freqs[here])) + 0.0) / 8
        slow = 1.001 if tries[i] > 12 else 1.0  # more than 4096 slots have to earn their slower gathers
        found[i] = slow * payload + size, payload + size, freqs
    return found


def rans_encode(symbols, alphabet):
    """Code symbols with one frequency for each, at about their empirical entropy.

    Layout: a byte with the table's precision p, the table, the number of lanes, their states, the words;
    a stream of one symbol (p = 0) ends after the table.

    Parameters
    ----------
    symbols : integer array, any shape (flattened)
        Each in [0, alphabet).
    alphabet : int
        1 to 65,536.

    Returns
    -------
    data : bytes
        Empty if there are no symbols. Else at most 0.5 % + 64 bytes above the entropy, for a table that is
        short beside the stream, up to about 4,096 different symbols (n below 1 million or H above 0.1).

    Raises
    ------
    ValueError
        If a symbol is out of range.

    Examples
    --------
    >>> data = rans_encode([0, 1, 0, 0] * 1000, alphabet=2)
    >>> len(data), round(500 * 0.8113)  # bytes; n H(1/4) / 8
    (411, 406)
    """
    return run(rans_encode_steps(symbols, alphabet))


def rans_encode_steps(symbols, alphabet, *, counts=None, table=None):
    """`rans_encode` as a generator for `mcomp.coding.batch.run_all`.

    `counts` of the symbols and `table`, as `best_table` gives it, if they are known.
    """
    s = as_symbols(symbols, alphabet)
    if s.size == 0:
        return b""
    counts = histogram(s, alphabet) if counts is None else counts
    precision, freqs, _ = table or best_table(counts)
    head = bytes([precision]) + pack_table(freqs)
    if precision == 0:
        return head
    lanes = lanes_for(s.size, s.size * cross_entropy(counts, freqs), precision)
    freqs = freqs.astype(np.int32)
    starts = np.cumsum(freqs, dtype=np.int32) - freqs

    def intervals(a, b):
        i = s[a:b].astype(np.intp)
        return freqs.take(i), starts.take(i)

    states, words = yield Encode(s.size, lanes, precision, intervals)
    head += varint(lanes) + pack_states(states, precision)
    return head + words.astype("<u2").tobytes()


def rans_decode(data, n, alphabet):
    """Inverse of `rans_encode`: `n` symbols from exactly `data`.

    Returns
    -------
    symbols : uint8 or uint16 array, shape (n,)

    Raises
    ------
    CorruptFileError
        If `data` is not what `rans_encode` writes for n symbols.

    Examples
    --------
    >>> rans_decode(rans_encode([3, 1, 3], alphabet=4), n=3, alphabet=4)
    array([3, 1, 3], dtype=uint8)
    """
    return run(rans_decode_steps(data, n, alphabet))


def rans_decode_steps(data, n, alphabet):
    """`rans_decode` as a generator for `mcomp.coding.batch.run_all`."""
    n, dtype, reader = check_int("n", n, 0), symbol_dtype(alphabet), Reader(data)
    if n == 0:
        reader.end()
        return np.zeros(0, dtype)
    precision = reader.byte(high=16)
    freqs, used = unpack_table(data[1:], alphabet, 1 << precision)
    reader.read(used)
    if precision == 0:
        reader.end()
        return np.full(n, np.argmax(freqs), dtype)
    states, words = read_lanes(reader, n, precision)
    return (yield Decode(n, states, words, precision, Table(freqs, dtype)))


def _check_p1(p1, n, precision):
    p1 = np.asarray(p1)
    if p1.shape != (n,) or p1.dtype.kind not in "iu":
        raise bad_value("p1", f"{p1.dtype} of shape {p1.shape}", f"integers of shape {(n,)}")
    if n and not 0 < int(p1.min()) <= int(p1.max()) < 1 << precision:
        raise bad_value("p1", (int(p1.min()), int(p1.max())), f"1 to {(1 << precision) - 1}")
    return p1.astype(np.int32)


def rans_encode_binary(bits, p1, *, precision=16):
    """Code each bit under a probability of its own, which the decoder must know too.

    Parameters
    ----------
    bits : bool array, shape (n,)
    p1 : integer array, shape (n,)
        Probability that the bit is 1, times ``2**precision``; 1 to ``2**precision - 1``.
    precision : int
        1 to 16.

    Returns
    -------
    data : bytes
        About ``-log2 p`` bits for each bit; empty for no bits.

    Examples
    --------
    >>> bits = np.arange(8000) % 100 == 0
    >>> len(rans_encode_binary(bits, np.full(8000, 655))), 1000 * 0.0808  # bytes; n H(1/100) / 8
    (87, 80.8)
    """
    return run(rans_encode_binary_steps(bits, p1, precision=precision))


def rans_encode_binary_steps(bits, p1, *, precision=16):
    """`rans_encode_binary` as a generator for `mcomp.coding.batch.run_all`."""
    bits, m = np.asarray(bits, bool).reshape(-1), 1 << check_int("precision", precision, 1, 16)
    p1 = _check_p1(p1, bits.size, precision)
    if bits.size == 0:
        return b""
    f, c = np.where(bits, p1, m - p1), np.where(bits, m - p1, 0)
    lanes = lanes_for(bits.size, float((precision - np.log2(f)).sum()), precision)
    states, words = yield Encode(bits.size, lanes, precision, lambda a, b: (f[a:b], c[a:b]))
    return varint(lanes) + pack_states(states, precision) + words.astype("<u2").tobytes()


def rans_decode_binary(data, p1, *, precision=16):
    """Inverse of `rans_encode_binary`: a bool array of the length of `p1`.

    Raises
    ------
    CorruptFileError
        If `data` is not what `rans_encode_binary` writes with these probabilities.

    Examples
    --------
    >>> p1 = np.array([10, 200, 30])
    >>> rans_decode_binary(rans_encode_binary([False, True, True], p1, precision=8), p1, precision=8)
    array([False,  True,  True])
    """
    return run(rans_decode_binary_steps(data, p1, precision=precision))


def rans_decode_binary_steps(data, p1, *, precision=16):
    """`rans_decode_binary` as a generator for `mcomp.coding.batch.run_all`."""
    check_int("precision", precision, 1, 16)
    p1, reader = _check_p1(p1, np.size(p1), precision), Reader(data)
    if p1.size == 0:
        reader.end()
        return np.zeros(0, bool)
    states, words = read_lanes(reader, p1.size, precision)
    return (yield Decode(p1.size, states, words, precision, Bits(p1, precision)))
