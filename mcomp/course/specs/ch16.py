"""Chapter 16, coding to the limit: what the exercises ask, how they are checked, what usually goes wrong.

In this order: code words from their lengths, arithmetic coding's interval, rANS's number, a model that learns
while it codes, the entropy of soft assignments, values chosen by error and bits.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch16_codes import (
    code_cases,
    code_words,
    interval,
    interval_cases,
    rans_cases,
    rans_number,
)
from mcomp.course.specs.ch16_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Coding to the limit"


def adaptive_bits(bits, contexts):
    """How many bits a code that learns spends on `bits` (n,), each 0 or 1: a float.

    contexts[i], a whole number from 0 on, is what is known when bit i comes. Its chance is
    (k + 1/2) / (n + 1), where n counts the earlier bits with the same context and k those of them that were
    equal to bit i. It costs -log2 of that chance.
    """
    total, seen = 0.0, {}
    for bit, context in zip(map(int, bits), map(int, contexts), strict=True):
        counts = seen.setdefault(context, [0, 0])
        total -= math.log2((counts[bit] + 0.5) / (sum(counts) + 1))
        counts[bit] += 1
    return total


def adaptive_cases(rng):
    yield case(np.array([1]), np.array([0]))
    yield case(np.array([0, 0]), np.array([0, 0]))
    yield case(np.array([1, 0]), np.array([0, 0]))
    yield case(np.array([1, 1]), np.array([0, 1]))
    yield case(np.array([0, 0, 0, 1]), np.array([5, 5, 5, 5]))
    yield case(np.array([0, 1, 0, 1, 0, 1]), np.array([0, 1, 0, 1, 0, 1]))
    yield case(np.array([1, 1, 0, 1, 1, 0]), np.array([2, 2, 0, 2, 2, 0]))
    for n in range(4, 18):
        contexts = rng.integers(0, n % 3 + 1, n)
        bits = rng.uniform(size=n) < np.array([0.2, 0.8, 0.5])[contexts]
        yield case(bits.astype(int), contexts)


def soft_entropy(w, values, beta):
    """The entropy, in bits, of how often each shared value is used, if each weight uses all of them a little.

    Weight i uses value j by the softmax over j of -beta * (w[i] - values[j]) ** 2. The mean of that over the
    weights w (n,) is the chance of value j; the result is the entropy of these chances, a float.
    """
    use = [0.0] * len(values)
    for x in w:
        scores = [-beta * (float(x) - float(v)) ** 2 for v in values]
        parts = [math.exp(s - max(scores)) for s in scores]
        for j, part in enumerate(parts):
            use[j] += part / sum(parts) / len(w)
    return sum(-p * math.log2(p) for p in use if p > 0)


def soft_cases(rng):
    yield case(np.array([0.0]), np.array([-1.0, 1.0]), 1.0)
    yield case(np.array([0.0, 0.0]), np.array([0.0, 1.0]), 1.0)
    yield case(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]), 2.0)
    yield case(np.array([3.0, 3.1]), np.array([3.0]), 1.0)
    yield case(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 4.0]), 0.0)
    yield case(np.array([0.0, 0.0]), np.array([0.0, 1.0]), 5000.0)  # value 1 is used by none
    for n in range(2, 15):
        values = np.sort(rng.normal(size=n % 4 + 2)).round(1)
        yield case(rng.normal(size=n).round(1), values, (0.5, 2.0, 8.0)[n % 3])


def assign(w, values, bits, price):
    """Which value each weight takes: whole numbers (n,) that say where in `values` (k,) it stands.

    Value j costs bits[j] bits. Weight i takes the one with the least
    (w[i] - values[j]) ** 2 + price * bits[j]; of equal ones the first.
    """
    out = []
    for x in w:
        costs = [(float(x) - float(v)) ** 2 + price * float(b) for v, b in zip(values, bits, strict=True)]
        out.append(costs.index(min(costs)))
    return np.array(out)


def assign_cases(rng):
    yield case(np.array([0.2]), np.array([0.0, 1.0]), np.array([1.0, 1.0]), 0.0)
    yield case(np.array([0.6]), np.array([0.0, 1.0]), np.array([1.0, 3.0]), 0.25)
    yield case(np.array([0.6]), np.array([0.0, 1.0]), np.array([1.0, 3.0]), 0.0)
    yield case(np.array([0.5]), np.array([0.0, 1.0]), np.array([2.0, 2.0]), 1.0)
    yield case(np.array([-0.9, 0.1, 0.9]), np.array([-1.0, 0.0, 1.0]), np.array([4.0, 0.5, 4.0]), 0.3)
    yield case(np.array([-5.0, 0.3, 7.0]), np.array([-1.0, 0.0, 1.0]), np.array([4.0, 0.5, 4.0]), 100.0)
    for n in range(3, 17):
        while not _clear(found := _weights(rng, n)):
            pass
        yield case(*found)


def _weights(rng, n):
    values = np.sort(rng.normal(size=n % 4 + 2)).round(1)
    bits = rng.integers(1, 9, len(values)) / 2
    return rng.normal(size=n).round(2), values, bits, (0.02, 0.1, 0.5)[n % 3]


def _clear(found):
    """Whether no weight stands between two values whose costs are nearly equal."""
    w, values, bits, price = found
    costs = np.sort((w[:, None] - values) ** 2 + price * bits, axis=1)
    return bool((costs[:, 1] - costs[:, 0] > 1e-3).all())


EXERCISES = (
    Exercise(
        "16.1", code_words, code_cases, title="Words from their lengths",
        hints=(
            "Sort the symbols by length, of equal lengths the lower first. The first word is all zeros.",
            "The next word is the last one plus 1; where it is longer, zeros are put behind.",
            "code = (code + 1) << (length - last), from code = -1 and last = 0: a shift puts zeros behind.",
        ),
        mistakes=MISTAKES["16.1"],
    ),
    Exercise(
        "16.2", interval, interval_cases, title="A message is an interval",
        hints=(
            "Start with the interval from 0 to 1. Each symbol takes its own part of what is left.",
            "Below symbol s lie the chances of all symbols before it. Move low by width times their sum.",
            "for s in message: low += width * sum(chances[:s]); width *= chances[s]",
        ),
        mistakes=MISTAKES["16.2"], rtol=1e-9, atol=1e-12,
    ),
    Exercise(
        "16.3", rans_number, rans_cases, title="A message is a number",
        hints=(
            "What is put on last comes off first. From which end do you begin?",
            "x // freqs[s] counts whole rounds of all slots, x % freqs[s] which of the symbol's slots it is.",
            "for s in message[::-1]: x = sum(freqs) * (x // freqs[s]) + sum(freqs[:s]) + x % freqs[s]",
        ),
        mistakes=MISTAKES["16.3"],
    ),
    Exercise(
        "16.4", adaptive_bits, adaptive_cases, title="Learn while coding",
        hints=(
            "A dict from context to how often 0 and 1 came so far. What is the first bit's chance?",
            "Cost first, count then: the reader of the file doesn't know the bit before it has read it.",
            "n0, n1 = seen.get(context, (0, 0)); total -= log2(((n1 if bit else n0) + 0.5) / (n0 + n1 + 1))",
        ),
        mistakes=MISTAKES["16.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "16.5", soft_entropy, soft_cases, title="Entropy of soft choices",
        hints=(
            "First an (n, k) array, each row the softmax over the values. Over which axis is the mean taken?",
            "The entropy is that of the mean use, not the mean of the weights' entropies. 0 log 0 is 0.",
            "a = softmax(-beta * (w[:, None] - values) ** 2); p = a.mean(0); -sum(p * log2(p)) where p > 0",
        ),
        mistakes=MISTAKES["16.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "16.6", assign, assign_cases, title="Error and bits",
        hints=(
            "All costs in one (n, k) array: weights down, values across.",
            "(w[:, None] - values) ** 2 + price * bits: the error squared, the bits of each column priced.",
            "np.argmin(costs, axis=1): of equal ones it takes the first.",
        ),
        mistakes=MISTAKES["16.6"],
    ),
)  # fmt: skip
