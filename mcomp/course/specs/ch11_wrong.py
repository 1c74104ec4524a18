"""Chapter 11: what the known wrong answers compute, for the tables of mistakes."""

from itertools import combinations, pairwise

import numpy as np


def pairs(widths):
    """The sum of the products of neighbours."""
    return int(sum(a * b for a, b in pairwise(widths)))


def ints(widths):
    return [int(n) for n in widths]


def subsets(widths):
    """Every chain with some of the hidden widths left out."""
    first, *inner, last = ints(widths)
    return [[first, *kept, last] for n in range(len(inner) + 1) for kept in combinations(inner, n)]


def swept(widths):
    """Goes along the chain once and merges where it saves at once."""
    left, i = ints(widths), 1
    while i < len(left) - 1:
        shorter = left[:i] + left[i + 1 :]
        if pairs(shorter) < pairs(left):
            left = shorter
        else:
            i += 1
    return pairs(left)


def kept_where(widths, pays):
    """Each hidden width by its two neighbours as they were."""
    left = ints(widths)
    kept = [b for a, b, c in zip(left, left[1:], left[2:], strict=False) if pays(a, b, c)]
    return pairs([left[0], *kept, left[-1]])


def judged_alone(widths):
    return kept_where(widths, lambda a, b, c: a * b + b * c <= a * c)


def half_of_ends(widths):
    left = ints(widths)
    ends = min(left[0], left[-1])
    return pairs([left[0], *(n for n in left[1:-1] if 2 * n < ends), left[-1]])


def in_pairs(widths):
    """Goes along the chain and merges two layers into one where that saves."""
    left, kept, i = ints(widths), [], 0
    while i < len(left):
        kept.append(left[i])
        three = left[i : i + 3]
        i += 2 if len(three) == 3 and three[0] * three[2] < pairs(three) else 1
    return pairs(kept)


def matrix_chain(widths):
    """The fewest multiplications that multiply all the matrices out."""
    left, best = ints(widths), {}
    for size in range(1, len(left)):
        for i in range(len(left) - size):
            k = i + size
            ways = [best[i, j] + best[j, k] + left[i] * left[j] * left[k] for j in range(i + 1, k)]
            best[i, k] = min(ways, default=0)
    return best[0, len(left) - 1]


def one_merge(widths):
    left = ints(widths)
    return min([pairs(left), *(pairs(left[:i] + left[i + 1 :]) for i in range(1, len(left) - 1))])


def narrower_than_ends(widths):
    left = ints(widths)
    ends = min(left[0], left[-1])
    return pairs([left[0], *(n for n in left[1:-1] if n < ends), left[-1]])


def prefixes(widths):
    """Only chains that merge from the front."""
    left = ints(widths)
    return min(pairs([left[0], *left[i:]]) for i in range(1, len(left)))


def with_biases(widths):
    return min(pairs(left) + sum(left[1:]) for left in subsets(widths))


def chain(widths):
    """The widths of the cheapest chain."""
    return np.array(min(subsets(widths), key=pairs))


def centred(w3, w1, same, *, identity=None, at=1):
    kernel = np.array(w3, dtype=float)
    kernel[:, :, at, at] += w1[:, :, 0, 0]
    if identity is not None:
        kernel[:, :, at, at] += identity(same)
    return kernel


def scaled_centre(w3, w1, same):
    kernel = centred(w3, w1, same)
    kernel[:, :, 1, 1] *= same
    return kernel


def diagonal(w3, w1, same):
    """Adds the factors along each kernel's own diagonal."""
    kernel = centred(w3, w1, same)
    for i, factor in enumerate(same):
        kernel[i, i] += factor * np.eye(3)
    return kernel


def everywhere(w3, w1, same):
    kernel = w3 + w1
    for i, factor in enumerate(same):
        kernel[i, i] += factor
    return kernel


def first_stop(sure, threshold, *, above=False, last=True):
    """The exit at which each input stops, (n,)."""
    stop = sure > threshold if above else sure >= threshold
    if last:
        stop = stop.copy()
        stop[-1] = True
    return stop.argmax(0)


def running(cost, exit):
    """As if each exit's cost came on top of those before."""
    return float(np.cumsum(cost)[exit].mean())


def cosine(h, g, axis=1):
    return (h * g).sum(axis) / np.sqrt((h * h).sum(axis) * (g * g).sum(axis))
