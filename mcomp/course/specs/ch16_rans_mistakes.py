"""Chapter 16: wrong rANS numbers, each with what happened."""

import math

from mcomp.course.model import Mistake, quiet


def _rans(step, *, order=reversed, begin=None, end=lambda x: x):
    """A number by ``step(x, f, c, m)``, f slots from c on of m."""

    def answer(message, freqs, start):
        freqs = [int(f) for f in freqs]
        x = int(start) if begin is None else begin
        for s in order([int(s) for s in message]):
            x = step(x, freqs[s], sum(freqs[:s]), sum(freqs))
        return end(x)

    return quiet(answer)


def _push(x, f, c, m):
    return m * (x // f) + c + x % f


RANS = (
    Mistake(
        "forwards",
        _rans(_push, order=iter),
        "the message was put on from its first symbol; what comes off first goes on last",
    ),
    Mistake(
        "no_slot",
        _rans(lambda x, f, c, m: m * (x // f) + x % f),
        "the symbol's first slot is missing: all symbols share the slots from 0 on",
    ),
    Mistake(
        "no_rest",
        _rans(lambda x, f, c, m: m * (x // f) + c),
        "x % freqs[s], which of the symbol's slots it is, is missing: then x can't be found again",
    ),
    Mistake(
        "rest_of_m", _rans(lambda x, f, c, m: m * (x // f) + c + x % m), "the rest is by freqs[s], not by m"
    ),
    Mistake(
        "over_m",
        _rans(lambda x, f, c, m: m * (x // m) + c + x % f),
        "the rounds are x // freqs[s], not x // m",
    ),
    Mistake(
        "rest_and_rounds",
        _rans(lambda x, f, c, m: m * (x % f) + c + x // f),
        "rounds and rest are exchanged: m * (x // freqs[s]) + ... + x % freqs[s]",
    ),
    Mistake(
        "times_f",
        _rans(lambda x, f, c, m: f * (x // m) + x % m - c),
        "that takes a symbol off; here one is put on",
    ),
    Mistake(
        "rounds_by_f",
        _rans(lambda x, f, c, m: f * (x // f) + c + x % f),
        "a round has m slots, not freqs[s]: m * (x // freqs[s])",
    ),
    Mistake(
        "own_included",
        _rans(lambda x, f, c, m: m * (x // f) + c + f + x % f),
        "the first slot of s is behind those of all lower symbols; you added its own",
    ),
    Mistake(
        "slots_from_one",
        _rans(lambda x, f, c, m: m * (x // f) + c + 1 + x % f),
        "slots are counted from 0; yours from 1",
    ),
    Mistake("from_one", _rans(_push, begin=1), "x begins as `start`; yours begins as 1"),
    Mistake("from_zero", _rans(_push, begin=0), "x begins as `start`; yours begins as 0"),
    Mistake(
        "float",
        _rans(lambda x, f, c, m: int(m * (x / f)) + c + x % f),
        "x / freqs[s] isn't whole; whole rounds are x // freqs[s]",
    ),
    Mistake(
        "log",
        _rans(_push, end=lambda x: int(math.log2(x)) if x > 0 else 0),
        "that is how many bits the number has; the number itself is asked for",
    ),
    Mistake(
        "last_left_out",
        lambda message, freqs, start: _rans(_push)(message[:-1], freqs, start),
        "the last symbol of the message is missing",
    ),
    Mistake(
        "first_left_out",
        lambda message, freqs, start: _rans(_push)(message[1:], freqs, start),
        "the first symbol of the message is missing",
    ),
    Mistake(
        "slots_from_above",
        _rans(lambda x, f, c, m: m * (x // f) + (m - c - f) + x % f),
        "the slots were laid out from the last symbol; symbol 0 has the first",
    ),
)
