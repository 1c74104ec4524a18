"""The steps of several rANS streams in one array of lanes, for `mcomp.coding.batch`.

The bytes are those of mcomp/coding/lanes.py, stream by stream.
"""

import numpy as np

from mcomp.coding.bits import CorruptFileError
from mcomp.coding.lanes import WORD, encode_few

__all__ = ["decode", "encode"]

NARROW = 40  # with fewer lanes left, Python's own numbers are quicker than numpy's arrays


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


def encode(requests, base):
    """States and words of each of several `mcomp.coding.batch.Encode`, whose states start at 2**base."""
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


def decode(requests, base):
    """The symbols of each of several `mcomp.coding.batch.Decode` of one kind of model."""
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
