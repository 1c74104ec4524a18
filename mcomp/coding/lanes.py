"""Many rANS states side by side: the steps of mcomp/coding/rans.py for all lanes at once, in plain numpy.

Giesen 2014, "Interleaved entropy coders", arXiv:1402.3392. Symbol i belongs to lane i % lanes; all lanes
share one stream of 16-bit words.
"""

from bisect import bisect_right
from itertools import cycle

import numpy as np

from mcomp.coding.bits import CorruptFileError

__all__ = [
    "decode", "decode_few", "decode_few_bits", "decode_few_levels", "encode", "encode_few", "lanes_for",
    "least_bytes", "pack_states",
    "read_lanes", "state_base",
]  # fmt: skip

MAX_LANES = 4096  # 32 kB of states: they stay in the processor's first cache
LANE_SHARE = 1 / 500  # part of the payload that starting the lanes may cost
WORD = 16  # bits that move between a state and the stream


def state_base(precision):
    """b of the interval [2**b, 2**(b+16)): 32-bit states, 48-bit ones for finer tables (for x // f >= 16)."""
    return 16 if precision <= 12 else 32  # (precision is at most WORD)


def lanes_for(n, bits, precision):
    """Lanes for `n` symbols worth `bits`.

    Each wastes the b bits that its x starts with and half a word on average, as its last x is not full.
    """
    return max(1, _fewest_lanes(n), min(n, MAX_LANES, int(bits * LANE_SHARE / state_base(precision))))


def least_bytes(f, precision):
    """Bytes that the lanes of symbols with these f take at least, their number and states included.

    A state starts with b bits that hold nothing and ends, b + 16 bits wide, with as much as it holds. A step
    rounds by one part in 2**b / f, either way.
    """
    return 2 + state_base(precision) / 8 + 0.999 * float((precision - np.log2(f)).sum()) / 8


def _fewest_lanes(n):
    return n >> 16  # so that no stream, however sparse or false, takes more than 2**16 steps


def encode(n, lanes, precision, intervals):
    """States and words for symbols 0..n-1; ``intervals(a, b)`` gives the f and c of symbols a to b-1."""
    base = state_base(precision)
    states = np.full(lanes, 1 << base, np.int64)
    words, at = np.empty(n, np.uint16), n  # filled from the back: the decoder reads forwards
    for a in range((n - 1) // lanes * lanes, -1, -lanes):
        f, c = (v.astype(np.int64) for v in intervals(a, min(a + lanes, n)))  # so that no shift overflows
        x = states[: len(f)]
        full = np.flatnonzero(x >= f << (base + WORD - precision))
        low = x[full]
        words[at - len(full) : at] = low & 0xFFFF
        at -= len(full)
        x[full] = low >> WORD
        x += x // f * ((1 << precision) - f) + c  # M * (x // f) + c + x % f
    return states, words[at:]


def decode(n, states, words, precision, symbols, *, out):
    """Fill `out` with n symbols; ``symbols(slot, a)`` gives s, f and slot - c for slots of symbols from a."""
    base, lanes, at = state_base(precision), len(states), 0
    for a in range(0, n, lanes):
        x = states[: n - a]
        s, f, inside = symbols(x & ((1 << precision) - 1), a)
        out[a : a + lanes] = s
        x >>= precision
        x *= f
        x += inside
        hungry = np.flatnonzero(x < 1 << base)
        new = words[at : at + len(hungry)]
        if len(new) < len(hungry):
            raise CorruptFileError(f"the rANS stream ends early, at symbol {a} of {n}")
        x[hungry] = x[hungry] << WORD | new
        at += len(hungry)
    if at < len(words) or (states != 1 << base).any():
        raise CorruptFileError("the rANS stream doesn't end where it should")
    return out


def encode_few(f, c, states, precision):
    """The words of symbols with these f and c, coded one at a time; `states` (lanes,) are moved on."""
    base, x, words = state_base(precision), states.tolist(), []
    f, c = np.asarray(f, np.int64)[::-1], np.asarray(c, np.int64)[::-1]
    full, gap = (f << (base + WORD - precision)).tolist(), ((1 << precision) - f).tolist()
    lanes = (np.arange(len(f))[::-1] % len(x)).tolist()
    for fi, ci, most, rest, lane in zip(f.tolist(), c.tolist(), full, gap, lanes, strict=True):
        xi = x[lane]
        if xi >= most:
            words.append(xi & 0xFFFF)
            xi >>= WORD
        x[lane] = xi // fi * rest + ci + xi
    states[:] = x
    return words[::-1]


def decode_few(n, states, words, precision, f, inside):
    """The slots of n symbols, one at a time, and how many words they took; `states` are moved on.

    `f` and `inside` are lists: of each slot, the frequency of its symbol and its place within the interval.
    """
    low, mask, x, slots = 1 << state_base(precision), (1 << precision) - 1, states.tolist(), []
    queue = iter(words.tolist())
    try:
        for _, lane in zip(range(n), cycle(range(len(x))), strict=False):
            slot = x[lane] & mask
            new = (x[lane] >> precision) * f[slot] + inside[slot]
            x[lane] = new if new >= low else new << WORD | next(queue)
            slots.append(slot)
    except StopIteration:
        raise CorruptFileError(f"a rANS stream ends early, at symbol {len(slots)} of {n}") from None
    states[:] = x
    return slots, len(words) - len([*queue])


def decode_few_bits(p1, states, words, precision):
    """As `decode_few`, of bits that are 1 with probability ``p1 / 2**precision`` each."""
    low, total, x, bits = 1 << state_base(precision), 1 << precision, states.tolist(), []
    queue = iter(words.tolist())
    try:
        for p, lane in zip(p1, cycle(range(len(x))), strict=False):
            slot, zeros = x[lane] & (total - 1), total - p
            bit = slot >= zeros
            new = (x[lane] >> precision) * p + slot - zeros if bit else (x[lane] >> precision) * zeros + slot
            x[lane] = new if new >= low else new << WORD | next(queue)
            bits.append(bit)
    except StopIteration:
        raise CorruptFileError(f"a rANS stream ends early, at bit {len(bits)} of {len(p1)}") from None
    states[:] = x
    return bits, len(words) - len([*queue])


def decode_few_levels(tables, states, words, precision):
    """As `decode_few`, of symbols with a table each: the frequencies, and where their intervals begin."""
    low, mask, x, symbols = 1 << state_base(precision), (1 << precision) - 1, states.tolist(), []
    queue = iter(words.tolist())
    try:
        for (freqs, starts), lane in zip(tables, cycle(range(len(x))), strict=False):
            slot = x[lane] & mask
            s = bisect_right(starts, slot) - 1
            new = (x[lane] >> precision) * freqs[s] + slot - starts[s]
            x[lane] = new if new >= low else new << WORD | next(queue)
            symbols.append(s)
    except StopIteration:
        raise CorruptFileError(
            f"a rANS stream ends early, at symbol {len(symbols)} of {len(tables)}"
        ) from None
    states[:] = x
    return symbols, len(words) - len([*queue])


def pack_states(states, precision):
    size = (state_base(precision) + WORD) // 8
    return np.ascontiguousarray(states.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :size]).tobytes()


def _unpack_states(data, precision):
    base = state_base(precision)
    raw = np.frombuffer(data, np.uint8).reshape(-1, (base + WORD) // 8)
    states = np.zeros((len(raw), 8), np.uint8)
    states[:, : raw.shape[1]] = raw
    states = states.view("<u8").reshape(-1).astype(np.int64)
    if (states < 1 << base).any():
        raise CorruptFileError(f"a rANS state is {int(states.min())}; allowed: at least {1 << base}")
    return states


def read_lanes(reader, n, precision):
    """The number of lanes, their states, and the words that follow."""
    lanes = reader.varint(high=n)
    fewest = max(1, _fewest_lanes(n))
    if lanes < fewest:
        raise CorruptFileError(f"{lanes} rANS lanes for {n} symbols; allowed: at least {fewest}")
    states = _unpack_states(reader.read(lanes * (state_base(precision) + WORD) // 8), precision)
    if reader.left() % 2:
        raise CorruptFileError(f"{reader.left()} bytes of 16-bit rANS words; allowed: an even number")
    return states, np.frombuffer(reader.rest(), "<u2").astype(np.int64)
