"""Chapter 04: what the known wrong answers compute, for the table in `ch04_mistakes`."""

from itertools import pairwise, permutations

import numpy as np


def top(score, k):
    mask = np.zeros(len(score), bool)
    mask[np.argsort(-score, kind="stable")[:k]] = True
    return mask


def late_top(score, k):
    return top(score[::-1], k)[::-1].copy()


def at_least(score, k):
    return score >= np.sort(score)[-k] if k else np.zeros(len(score), bool)


def above(score, k):
    return score > np.sort(score)[-k - 1] if k < len(score) else np.ones(len(score), bool)


def left(widths, ratio, *, ends=False, cut=lambda n, ratio: n - round(ratio * n), product=True):
    widths = [int(n) for n in widths]
    inner = [n if i in (0, len(widths) - 1) and not ends else cut(n, ratio) for i, n in enumerate(widths)]
    reads = inner[:-1] if product else widths[:-1]
    return sum(a * b for a, b in zip(reads, inner[1:], strict=True))


def widths_left(widths, ratio):
    inner = [int(n) - round(ratio * int(n)) for n in widths[1:-1]]
    return [int(widths[0]), *inner, int(widths[-1])]


def products(widths):
    return int(sum(a * b for a, b in pairwise(widths)))


def rank(groups):
    return np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1, kind="stable")


def fours(score, keep):
    return keep(rank(score.reshape(len(score), -1, 4))).reshape(score.shape)


def by_column(score):
    return (rank(score.T.reshape(-1, 4)) < 2).reshape(score.T.shape).T.copy()


def late(score):
    return fours(score[:, ::-1], lambda rank: rank < 2)[:, ::-1].copy()


def third(score, compare):
    groups = score.reshape(len(score), -1, 4)
    return compare(groups, np.sort(groups, axis=-1)[..., 1:3]).reshape(score.shape)


def pairs(score):
    return (rank(score.reshape(len(score), -1, 2)) < 1).reshape(score.shape)


def larger_of_two(score):
    groups = score.reshape(len(score), -1, 2)
    return (groups == groups.max(-1, keepdims=True)).reshape(score.shape)


def apart(score):
    groups = score.reshape(len(score), 4, -1)
    return (rank(groups.swapaxes(1, 2)) < 2).swapaxes(1, 2).reshape(score.shape)


def sliding(score):
    mask = np.zeros(score.shape, bool)
    for start in range(score.shape[1] - 3):
        mask[:, start : start + 4] |= rank(score[:, start : start + 4]) < 2
    return mask


def taken_is_zero(score, taken=0):
    groups = score.reshape(-1, 4).copy()
    mask, rows = np.zeros(groups.shape, bool), np.arange(len(groups))
    for _ in range(2):
        best = groups.argmax(1)
        mask[rows, best], groups[rows, best] = True, taken
    return mask.reshape(score.shape)


def kept(w, order=None, *, measure=abs, first=2):
    w = measure(w) if order is None else measure(w)[:, order]
    return float(np.sort(w.reshape(len(w), 2, 4), axis=-1)[:, :first, 2:].sum())


def orders():
    seen = {frozenset(p) for p in permutations(range(8), 4)}
    return [[*sorted(first), *sorted(set(range(8)) - first)] for first in sorted(seen, key=sorted)]


def best(w, *, pick=max, **options):
    return pick(kept(w, order, **options) for order in orders())


def swapped(pairs):
    orders = [list(range(8)) for _ in range(1 + len(pairs))]
    for order, (i, j) in zip(orders[1:], pairs, strict=True):
        order[i], order[j] = j, i
    return orders


CROSS = [(i, j) for i in range(4) for j in range(4, 8)]


def tried(w, orders):
    return max(kept(w, order) for order in orders)


def climbed(w):
    """Swaps between the two fours as long as one helps, the first that does."""
    order, best, again = list(range(8)), kept(w), True
    while again:
        again = False
        for i, j in CROSS:
            order[i], order[j] = order[j], order[i]
            if kept(w, order) > best + 1e-12:
                best, again = kept(w, order), True
            else:
                order[i], order[j] = order[j], order[i]
    return best


def by_size(w, places):
    sizes = np.asarray(abs(w)).sum(0).round(9)  # equal sums are ties in every library
    return kept(w, np.argsort(-sizes, kind="stable")[list(places)])
