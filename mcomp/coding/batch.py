"""Many short rANS streams at once, so that a network of many small layers doesn't pay numpy's price for each.

A coder that needs a stream coded is a generator: it yields an `Encode` or a `Decode` and is sent the result.
`run` drives one of them, `run_all` many side by side: what all of them wait for is coded together, the lanes
of all streams in one array. The bytes are those of mcomp/coding/lanes.py, stream by stream.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcomp.coding import abreast
from mcomp.coding import lanes as solo
from mcomp.coding.lanes import decode_few, decode_few_bits, decode_few_levels, state_base

__all__ = ["Bits", "Decode", "Encode", "Job", "Levels", "Table", "run", "run_all", "together"]

WIDE = 512  # lanes of a stream that is coded by itself


class Job:
    """Another kind of request: ``serve(requests)`` of its class gives the answers to many, in order."""


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
        if isinstance(r, Job):
            groups.setdefault((type(r), None), []).append(i)
            continue
        if isinstance(r, Encode):
            wide, kind = r.lanes >= WIDE, Encode
        else:
            wide, kind = len(r.states) >= WIDE, type(r.model)
        if wide:
            answers[i] = _alone(r)
        else:
            groups.setdefault((kind, state_base(r.precision)), []).append(i)
    for (kind, base), members in groups.items():
        some = [requests[i] for i in members]
        if issubclass(kind, Job):
            found = kind.serve(some)
        else:
            found = abreast.encode(some, base) if kind is Encode else abreast.decode(some, base)
        answers |= zip(members, found, strict=True)
    return [answers[i] for i in range(len(requests))]


def _alone(r):
    if isinstance(r, Encode):
        return solo.encode(r.n, r.lanes, r.precision, r.intervals)
    out = np.zeros(r.n, r.model.dtype)
    return solo.decode(r.n, r.states, r.words, r.precision, r.model.reader(), out=out)
