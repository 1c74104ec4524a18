"""Right answers to chapter 16's exercises as a learner would write them, in numpy and in torch."""

import math
from fractions import Fraction

import numpy as np
import torch


def numpy_code_words(lengths):
    lengths = [int(n) for n in lengths]
    if sum(Fraction(1, 2**n) for n in lengths) > 1:
        return []
    longest, at, words = max(lengths), 0, {}
    for n, symbol in sorted((n, s) for s, n in enumerate(lengths)):
        words[symbol] = at >> (longest - n)
        at += 2 ** (longest - n)
    return [words[s] for s in range(len(lengths))]


torch_code_words = numpy_code_words


def numpy_interval(message, chances):
    below = np.concatenate([[0], np.cumsum(chances)])
    low, width = 0.0, 1.0
    for s in message:
        low, width = low + width * below[s], width * chances[s]
    return low, width


def torch_interval(message, chances):
    parts = chances[message]
    before = torch.cat([torch.ones(1, dtype=chances.dtype), torch.cumprod(parts, 0)])
    below = torch.cumsum(chances, 0)[message] - parts
    return float((before[:-1] * below).sum()), float(before[-1])


def numpy_rans_number(message, freqs, start):
    below, freqs, x = np.cumsum([0, *freqs]).tolist(), freqs.tolist(), start
    for s in message[::-1]:
        rounds, place = divmod(x, freqs[s])
        x = rounds * below[-1] + below[s] + place
    return x


def torch_rans_number(message, freqs, start):
    if len(message) == 0:
        return start
    first, x, freqs = int(message[0]), torch_rans_number(message[1:], freqs, start), freqs.tolist()
    return sum(freqs) * (x // freqs[first]) + sum(freqs[:first]) + x % freqs[first]


def numpy_adaptive_bits(bits, contexts):
    total, counts = 0.0, np.full((contexts.max() + 1, 2), 0.5)
    for bit, context in zip(bits, contexts, strict=True):
        total -= np.log2(counts[context, bit] / counts[context].sum())
        counts[context, bit] += 1
    return float(total)


def torch_adaptive_bits(bits, contexts):
    total = 0.0
    for context in contexts.unique():
        ones, n = int(bits[contexts == context].sum()), int((contexts == context).sum())
        logs = [math.lgamma(k + 0.5) - math.lgamma(0.5) for k in (ones, n - ones)]
        total -= (sum(logs) - math.lgamma(n + 1)) / math.log(2)
    return total


def numpy_soft_entropy(w, values, beta):
    scores = -beta * (w[:, None] - values) ** 2
    parts = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = (parts / parts.sum(axis=1, keepdims=True)).mean(axis=0)
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def torch_soft_entropy(w, values, beta):
    p = torch.softmax(-beta * (w[:, None] - values).square(), dim=1).mean(0)
    return float(torch.special.entr(p).sum() / math.log(2))


def numpy_assign(w, values, bits, price):
    return np.argmin((w[:, None] - values) ** 2 + price * bits, axis=1)


def torch_assign(w, values, bits, price):
    return torch.argmin((w[:, None] - values) ** 2 + price * bits, dim=1)
