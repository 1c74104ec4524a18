"""Chapter 16: wrong codes that learn, each with what happened."""

import math

import numpy as np

from mcomp.course.model import Mistake, quiet


def _learn(chance, *, first=False, log=math.log2, split=True, total=sum):
    """The cost by ``chance(k, n)``, k of n earlier bits equal to this one; counted before or after."""

    def answer(bits, contexts):
        costs, seen = [], {}
        for bit, context in zip(map(int, bits), map(int, contexts), strict=True):
            counts = seen.setdefault(context if split else 0, [0, 0])
            counts[bit] += first
            costs.append(-log(chance(counts[bit], sum(counts))))
            counts[bit] += not first
        return total(costs)

    return quiet(answer)


def _half(k, n):
    return (k + 0.5) / (n + 1)


def _ones(bits, contexts):
    total, seen = 0.0, {}
    for bit, context in zip(map(int, bits), map(int, contexts), strict=True):
        n, ones = seen.get(context, (0, 0))
        total -= math.log2((ones + 0.5) / (n + 1))
        seen[context] = n + 1, ones + bit
    return total


def _afterwards(bits, contexts):
    """The entropy of each context, as if its counts were known."""
    total = 0.0
    for c in np.unique(contexts):
        own = np.asarray(bits)[np.asarray(contexts) == c]
        for k in (own.sum(), len(own) - own.sum()):
            total -= k * math.log2(k / len(own)) if k else 0.0
    return float(total)


def _last_context(bits, contexts):
    """Counts begin anew where the context changes."""
    total, counts, before = 0.0, [0, 0], None
    for bit, context in zip(map(int, bits), map(int, contexts), strict=True):
        counts = [0, 0] if context != before else counts
        total -= math.log2((counts[bit] + 0.5) / (sum(counts) + 1))
        counts[bit], before = counts[bit] + 1, context
    return total


LEARN = (
    Mistake(
        "counted_first",
        _learn(lambda k, n: (k + 0.5) / (n + 1), first=True),
        "the bit was counted before it was coded; the reader doesn't know it yet",
    ),
    Mistake(
        "laplace",
        _learn(lambda k, n: (k + 1) / (n + 2)),
        "you began with one of each, (k + 1) / (n + 2); half of each is asked for",
    ),
    Mistake(
        "no_start",
        _learn(lambda k, n: max(k, 1e-9) / max(n, 1e-9)),
        "without the halves a bit that wasn't seen yet has the chance 0",
    ),
    Mistake(
        "half_over_n",
        _learn(lambda k, n: (k + 0.5) / (n + 0.5)),
        "both bits bring a half: the sum below is n + 1",
    ),
    Mistake(
        "n_plus_two",
        _learn(lambda k, n: (k + 0.5) / (n + 2)),
        "the chances of 0 and 1 don't add up to 1: below stands n + 1",
    ),
    Mistake(
        "one_context", _learn(_half, split=False), "all bits share their counts; each context has its own"
    ),
    Mistake("ones", _ones, "you took the chance of a 1 for every bit; a 0 has the chance of a 0"),
    Mistake("other_bit", _learn(lambda k, n: 1 - _half(k, n)), "you took the chance of the other bit"),
    Mistake(
        "afterwards",
        _afterwards,
        "that is the entropy, as if the counts were known; the first bits cost more",
    ),
    Mistake("nats", _learn(_half, log=math.log), "the natural logarithm gives nats; bits are asked for"),
    Mistake(
        "negative",
        _learn(_half, log=lambda p: -math.log2(p)),
        "the sign is turned: a bit costs -log2 of its chance",
    ),
    Mistake(
        "mean",
        _learn(_half, total=lambda costs: sum(costs) / len(costs)),
        "that is the mean of a bit; the sum is asked for",
    ),
    Mistake(
        "rounded_up",
        _learn(_half, total=lambda costs: float(sum(map(math.ceil, costs)))),
        "each cost was rounded up to whole bits; an arithmetic code needn't",
    ),
    Mistake(
        "chances_added",
        _learn(_half, log=lambda p: -p),
        "the chances were added up; the cost is -log2 of each",
    ),
    Mistake(
        "anew", _last_context, "the counts began anew where the context changed; each context keeps its own"
    ),
    Mistake("not_learning", _learn(lambda k, n: 0.5), "every bit cost 1: nothing was counted"),
    Mistake(
        "last_cost",
        _learn(_half, total=lambda costs: costs[-1]),
        "only the last bit's cost came back; the sum is asked for",
    ),
)
