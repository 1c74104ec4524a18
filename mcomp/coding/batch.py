"""Many short rANS streams at once, so that a network of many small layers doesn't pay numpy's price for each.

A coder that needs a stream coded is a generator: it yields an `Encode` or a `Decode` and is sent the result.
`run` drives one of them, `run_all` many side by side: what all of them wait for is coded together, the lanes
of all streams in one array. The bytes are those of mcomp/coding/lanes.py, stream by stream.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcomp.coding import lanes as solo
from mcomp.coding.bits import CorruptFileError
from mcomp.coding.lanes import WORD, decode_few, decode_few_bits, decode_few_levels, encode_few, state_base

__all__ = ["Bits", "Decode", "Encode", "Levels", "Table", "run", "run_all", "together"]

WIDE = 512  # lanes of a stream that is coded by itself
NARROW = 40  # with fewer lanes left, Python's own numbers are quicker than numpy's arrays


@dataclass(frozen=True, eq=False)
class Encode:
    """Symbols to code: as the arguments of `mcomp.coding.lanes.encode`; the answer is what that returns."""

    n: int
    lanes: int
    precision: int
    intervals: Any


@dataclass(frozen=True, eq=False)
class Decode:
    """A stream to decode; `model`, a `Table` or `Bits`, knows the symbols. The answer is an array (n,)."""

    n: int
    states: np.ndarray
    words: np.ndarray
    precision: int
    model: Any


@dataclass(frozen=True, eq=False)
class Table:
    """One frequency for each symbol. `freqs` (alphabet,) sum to 2**precision; `dtype` of the symbols."""

    freqs: np.ndarray
    dtype: np.dtype

    def columns(self):
        """Symbol, frequency and place within its interval, of each slot."""
        s = np.repeat(np.arange(len(self.freqs)), self.freqs)
        starts = np.cumsum(self.freqs) - self.freqs
        return (
            s.astype(np.uint16),
            self.freqs[s].astype(np.int32),
            (np.arange(len(s)) - starts[s]).astype(np.int32),
        )

    def reader(self):
        """``symbols(slot, a)`` as `mcomp.coding.lanes.decode` takes it."""
        s, f, inside = self.columns()
        return lambda slot, a: (s.take(slot), f.take(slot), inside.take(slot))

    def decode_few(self, a, n, states, words, precision):
        """`n` symbols and the number of words that they took; `states` are moved on."""
        s, f, inside = self.columns()
        slots, used = decode_few(n, states, words, precision, f.tolist(), inside.tolist())
        return s[slots], used

    @staticmethod
    def joined(requests):
        """``symbols(slot, at, lane)`` for the lanes of all requests; `at` counts all symbols."""
        parts = [
            np.concatenate(column) for column in zip(*(r.model.columns() for r in requests), strict=True)
        ]
        sizes = [1 << r.precision for r in requests]
        offset = np.repeat(np.cumsum(sizes) - sizes, [len(r.states) for r in requests])

        def symbols(slot, at, active):
            slot = slot + offset[:active]
            return [column.take(slot) for column in parts]

        return symbols


@dataclass(frozen=True, eq=False)
class Bits:
    """Bits under probabilities of their own: `p1` (n,) that it is 1, times 2**precision."""

    p1: np.ndarray
    precision: int
    dtype = np.dtype(bool)

    def reader(self):
        return lambda slot, a: _bit(slot, self.p1[a : a + len(slot)], 1 << self.precision)

    def decode_few(self, a, n, states, words, precision):
        return decode_few_bits(self.p1[a : a + n].tolist(), states, words, precision)

    @staticmethod
    def joined(requests):
        p1 = np.concatenate([r.model.p1 for r in requests])
        m = np.repeat([1 << r.precision for r in requests], [len(r.states) for r in requests])
        return lambda slot, at, active: _bit(slot, p1.take(at, mode="clip"), m[:active])


def _bit(slot, p, m):
    zeros = m - p
    bit = slot >= zeros
    return bit, np.where(bit, p, zeros), np.where(bit, slot - zeros, slot)


@dataclass(frozen=True, eq=False)
class Levels:
    """Few symbols under one of several tables: `freqs` (tables, symbols), `level` (n,) the table of each."""

    freqs: np.ndarray
    level: np.ndarray
    dtype = np.dtype(np.uint8)

    def reader(self):
        symbols = self.joined([self])
        return lambda slot, a: symbols(slot, np.arange(a, a + len(slot)), len(slot))

    def decode_few(self, a, n, states, words, precision):
        starts = np.cumsum(self.freqs, axis=1) - self.freqs
        rows = [*zip(self.freqs.tolist(), starts.tolist(), strict=True)]
        return decode_few_levels([rows[i] for i in self.level[a : a + n].tolist()], states, words, precision)

    @classmethod
    def joined(cls, requests):
        """All requests must have the same tables."""
        models = [r if isinstance(r, cls) else r.model for r in requests]
        freqs, level = models[0].freqs, np.concatenate([model.level for model in models])
        ends, flat = np.cumsum(freqs, axis=1)[:, :-1], freqs.reshape(-1)
        starts = (np.cumsum(freqs, axis=1) - freqs).reshape(-1)

        def symbols(slot, at, active):
            row = level.take(at, mode="clip")
            s = np.count_nonzero(slot[:, None] >= ends[row], axis=1)
            i = row.astype(np.int64) * freqs.shape[1] + s
            return s, flat.take(i), slot - starts.take(i)

        return symbols


def run(steps):
    """Drive one generator to its end; returns what it returns."""
    answer = None
    while True:
        try:
            asked = steps.send(answer)
        except StopIteration as end:
            return end.value
        leaves = []
        _collect(asked, leaves)
        answer = _hand_out(asked, iter(_serve(leaves)))


def run_all(steps):
    """Drive generators side by side; the list of what they return."""
    return run(together(steps))


def together(steps):
    """A generator that drives others side by side and returns the list of what they return."""
    results, answers = [None] * len(steps), dict.fromkeys(range(len(steps)))
    while answers:
        asked = {}
        for i, answer in answers.items():
            try:
                asked[i] = steps[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        answers = dict(zip(asked, (yield [*asked.values()]), strict=True)) if asked else {}
    return results


def _collect(asked, leaves):
    for x in asked if isinstance(asked, list) else ():
        _collect(x, leaves)
    if not isinstance(asked, list):
        leaves.append(asked)


def _hand_out(asked, answers):
    return [_hand_out(x, answers) for x in asked] if isinstance(asked, list) else next(answers)


def _serve(requests):
    """The answers, in order."""
    answers, groups = {}, {}
    for i, r in enumerate(requests):
        if isinstance(r, Encode):
            wide, kind = r.lanes >= WIDE, Encode
        else:
            wide, kind = len(r.states) >= WIDE, type(r.model)
        if wide:
            answers[i] = _alone(r)
        else:
            groups.setdefault((kind, state_base(r.precision)), []).append(i)
    for (kind, base), members in groups.items():
        function = _encode if kind is Encode else _decode
        answers |= zip(members, function([requests[i] for i in members], base), strict=True)
    return [answers[i] for i in range(len(requests))]


def _alone(r):
    if isinstance(r, Encode):
        return solo.encode(r.n, r.lanes, r.precision, r.intervals)
    out = np.zeros(r.n, r.model.dtype)
    return solo.decode(r.n, r.states, r.words, r.precision, r.model.reader(), out=out)


class _Layout:
    """The lanes of several streams in one array, the streams with the most steps first.

    Stream j has `lanes[j]` lanes from `first[j]` on and `n[j]` symbols from `begin[j]` on. In its last step
    the lanes beyond its end are `idle`.
    """

    def __init__(self, n, lanes):
        self.n, self.lanes = np.array(n, np.int64), np.array(lanes, np.int64)
        self.steps = -(-self.n // self.lanes)
        self.first, self.begin = (np.cumsum(x) - x for x in (self.lanes, self.n))
        self.stream = np.repeat(np.arange(len(n)), self.lanes)
        self.stride = self.lanes[self.stream]
        self.at = np.arange(len(self.stream)) + (self.begin - self.first)[self.stream]
        self.idle = {}
        for j in np.flatnonzero(self.n % self.lanes):
            used = self.first[j] + self.n[j] % self.lanes[j]
            self.idle.setdefault(int(self.steps[j]) - 1, []).append(
                np.arange(used, self.first[j] + self.lanes[j])
            )

    def spans(self):
        """(first step, end, active streams) while many lanes are active, in order; and where few are."""
        wide, begin = [], 0
        for end in np.unique(self.steps).tolist():
            streams = int(np.count_nonzero(self.steps >= end))
            if self.lanes[:streams].sum() < NARROW:
                break
            wide.append((begin, end, streams))
            begin = end
        return wide, begin

    def span(self, j, step):
        """The symbols, among all, of stream j from a step on."""
        a = int(self.begin[j])
        return a + step * int(self.lanes[j]), a + int(self.n[j])

    def places(self, t, active):
        """Which symbol, among all, each active lane codes in step t, and which lanes are idle."""
        at, idle = self.at[:active] + t * self.stride[:active], self.idle.get(t)
        return at, None if idle is None else np.concatenate(idle)

    def share(self, hungry, streams):
        """For lanes that move a word: the stream of each, its place in the queue there; and all queues."""
        stream = self.stream[hungry]
        count = np.bincount(stream, minlength=streams)
        return stream, np.arange(len(hungry)) - (np.cumsum(count) - count)[stream], count


def _sorted(requests, lanes):
    """Requests, and their numbers of lanes, with the most steps first; and how to sort answers back."""
    order = sorted(range(len(requests)), key=lambda i: requests[i].n // -lanes[i])
    back = sorted(range(len(order)), key=order.__getitem__)
    return [requests[i] for i in order], [lanes[i] for i in order], back


def _encode(requests, base):
    requests, lanes, back = _sorted(requests, [r.lanes for r in requests])
    layout = _Layout([r.n for r in requests], lanes)
    f, c = (np.concatenate(x) for x in zip(*(r.intervals(0, r.n) for r in requests), strict=True))
    states, words = np.full(sum(lanes), 1 << base, np.int64), np.zeros(len(f), np.uint16)
    place = layout.begin + layout.n  # of the words; filled from the back, the decoder reads forwards
    wide, few = layout.spans()
    for j, r in enumerate(requests[: int(np.count_nonzero(layout.steps > few))]):
        a, b = layout.span(j, few)
        x = states[layout.first[j] :][: lanes[j]]
        new = encode_few(f[a:b], c[a:b], x, r.precision)
        words[place[j] - len(new) : place[j]] = new
        place[j] -= len(new)
    for begin, end, streams in reversed(wide):
        precision = np.repeat([r.precision for r in requests[:streams]], lanes[:streams])
        arrays = f, c, states[: len(precision)], words, place[:streams]
        _encode_span(layout, range(end - 1, begin - 1, -1), precision, base, *arrays)
    cut = zip(layout.first, lanes, place, layout.begin + layout.n, strict=True)
    found = [(states[k : k + m], words[a:b]) for k, m, a, b in cut]
    return [found[i] for i in back]


def _encode_span(layout, steps, precision, base, f, c, x, words, place):
    shift, total = base + WORD - precision, 1 << precision
    for t in steps:
        at, idle = layout.places(t, len(x))
        fs, cs = f.take(at, mode="clip"), c.take(at, mode="clip")
        if idle is not None:
            fs[idle], cs[idle] = total[idle], 0  # which changes nothing
        hungry = np.flatnonzero(x >= fs << shift)
        if len(hungry):
            stream, queue, count = layout.share(hungry, len(place))
            place -= count
            low = x[hungry]
            words[place[stream] + queue] = low & 0xFFFF
            x[hungry] = low >> WORD
        x += x // fs * (total - fs) + cs  # M * (x // f) + c + x % f


def _decode(requests, base):
    requests, lanes, back = _sorted(requests, [len(r.states) for r in requests])
    layout, model = _Layout([r.n for r in requests], lanes), type(requests[0].model)
    states, words = (np.concatenate([getattr(r, name) for r in requests]) for name in ("states", "words"))
    stop = np.cumsum([len(r.words) for r in requests])
    place, out = stop - [len(r.words) for r in requests], np.zeros(int(layout.n.sum()), np.uint16)
    wide, few = layout.spans()
    symbols = model.joined(requests) if wide else None
    for begin, end, streams in wide:
        precision = np.repeat([r.precision for r in requests[:streams]], lanes[:streams])
        arrays = states[: len(precision)], words, place[:streams], stop[:streams], out
        _decode_span(layout, range(begin, end), precision, base, symbols, *arrays)
    for j, r in enumerate(requests[: int(np.count_nonzero(layout.steps > few))]):
        a, b = layout.span(j, few)
        x = states[layout.first[j] :][: lanes[j]]
        out[a:b], used = r.model.decode_few(
            a - int(layout.begin[j]), b - a, x, words[place[j] : stop[j]], r.precision
        )
        place[j] += used
    if (place != stop).any() or (states != 1 << base).any():
        raise CorruptFileError("a rANS stream doesn't end where it should")
    found = [out[a : a + r.n].astype(r.model.dtype) for a, r in zip(layout.begin, requests, strict=True)]
    return [found[i] for i in back]


def _decode_span(layout, steps, precision, base, symbols, x, words, place, stop, out):
    mask = (1 << precision) - 1
    for t in steps:
        at, idle = layout.places(t, len(x))
        s, f, inside = symbols(x & mask, at, len(x))
        if idle is not None:
            f[idle], inside[idle] = mask[idle] + 1, x[idle] & mask[idle]  # which changes nothing
            s, at = np.delete(s, idle), np.delete(at, idle)
        out[at] = s
        x >>= precision
        x *= f
        x += inside
        hungry = np.flatnonzero(x < 1 << base)
        if len(hungry):
            stream, queue, count = layout.share(hungry, len(place))
            if (place + count > stop).any():
                raise CorruptFileError("a rANS stream ends early")
            x[hungry] = x[hungry] << WORD | words[place[stream] + queue]
            place += count
