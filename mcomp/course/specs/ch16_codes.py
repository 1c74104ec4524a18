"""Chapter 16: what is asked of codes, words from their lengths, an interval, a number."""

import numpy as np

from mcomp.course.model import case


def code_words(lengths):
    """The canonical code words of these lengths (n,): whole numbers, one for each symbol.

    Word s is its number in lengths[s] binary digits. Symbols come in the order of their lengths, of equal
    lengths the lower first. The first word is all zeros; each next word is the number after the last one,
    with zeros behind it if it is longer. No length is 0. Where no prefix code has such lengths (2 ** -length
    adds up to more than 1), there are none: an empty list.
    """
    lengths = [int(n) for n in lengths]
    if sum(2.0**-n for n in lengths) > 1:
        return []
    words, code, last = [0] * len(lengths), -1, 0
    for symbol in sorted(range(len(lengths)), key=lambda s: (lengths[s], s)):
        code = (code + 1) << (lengths[symbol] - last)
        words[symbol], last = code, lengths[symbol]
    return words


def code_cases(rng):
    yield case(np.array([1, 1]))
    yield case(np.array([1, 2, 2]))
    yield case(np.array([2, 1, 2]))
    yield case(np.array([1, 1, 2]))
    yield case(np.array([3, 1, 3, 2]))
    yield case(np.array([2, 2, 2, 2]))
    yield case(np.array([2, 3]))
    yield case(np.array([4]))
    yield case(np.array([2, 2, 2, 3, 3]))
    yield case(np.array([2, 2, 2, 2, 5]))
    yield case(np.array([4, 4, 1, 4, 3, 4]))
    for n in range(2, 14):
        yield case(rng.integers(1 + n // 5, 6, n))


def interval(message, chances):
    """Where arithmetic coding puts a message of symbols 0, 1, ... (n,): (low, width) of its interval.

    From the interval (0, 1) on, each symbol s takes the part of what is left that belongs to it: it begins
    behind the chances of all lower symbols and is as wide as chances[s] of it.
    """
    low, width = 0.0, 1.0
    for s in message:
        low += width * sum(float(c) for c in chances[:s])
        width *= float(chances[s])
    return low, width


def interval_cases(rng):
    yield case(np.array([0]), np.array([0.5, 0.5]))
    yield case(np.array([1]), np.array([0.25, 0.75]))
    yield case(np.array([1, 0]), np.array([0.25, 0.75]))
    yield case(np.array([0, 1]), np.array([0.25, 0.75]))
    yield case(np.array([2, 1]), np.array([0.5, 0.25, 0.25]))
    yield case(np.array([], dtype=int), np.array([0.5, 0.5]))
    yield case(np.array([2, 2, 0]), np.array([0.1, 0.2, 0.7]))
    for n in range(3, 14):
        parts = rng.integers(1, 9, n % 4 + 2)
        yield case(rng.integers(0, len(parts), n % 6 + 1), parts / parts.sum())


def rans_number(message, freqs, start):
    """The whole number that holds a message, by rANS without limits: an int.

    It begins as `start`. Symbol s has freqs[s] of the m = sum(freqs) slots, behind those of all lower
    symbols. From the last symbol of the message to the first, x becomes m * (x // freqs[s]) + the first slot
    of s + x % freqs[s].
    """
    freqs = [int(f) for f in freqs]
    x, m = int(start), sum(freqs)
    for s in reversed([int(symbol) for symbol in message]):
        x = m * (x // freqs[s]) + sum(freqs[:s]) + x % freqs[s]
    return x


def rans_cases(rng):
    yield case(np.array([0]), np.array([1, 1]), 1)
    yield case(np.array([1]), np.array([3, 1]), 5)
    yield case(np.array([1, 0]), np.array([3, 1]), 1)
    yield case(np.array([0, 1]), np.array([3, 1]), 1)
    yield case(np.array([], dtype=int), np.array([3, 1]), 7)
    yield case(np.array([2, 0, 1]), np.array([2, 1, 1]), 4)
    yield case(np.zeros(12, dtype=int), np.array([7, 1]), 8)
    for n in range(2, 14):
        freqs = rng.integers(1, 7, n % 4 + 2)
        yield case(rng.integers(0, len(freqs), n % 8 + 1), freqs, int(rng.integers(1, 40)))
