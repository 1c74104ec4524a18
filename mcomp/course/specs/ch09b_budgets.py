"""Chapter 09b, the best choice that fits: the wrong answers that people write."""

import itertools

import numpy as np

from mcomp.course.model import Mistake


def _best(sizes, damages, budget, fits=lambda size, budget: size <= budget, key=lambda d, s: (d, s)):
    rows = range(len(sizes))
    found = [
        (key(damages[rows, c].sum(), sizes[rows, c].sum()), c)
        for c in map(list, itertools.product(range(sizes.shape[1]), repeat=len(sizes)))
        if fits(sizes[rows, c].sum(), budget)
    ]
    return np.array(min(found)[1]) if found else sizes.argmin(1)


def _by_price(sizes, damages, budget):
    low, high = 0.0, 1e6
    if sizes[range(len(sizes)), damages.argmin(1)].sum() <= budget:
        return damages.argmin(1)
    for _ in range(80):
        price = (low + high) / 2
        fits = sizes[range(len(sizes)), (damages + price * sizes).argmin(1)].sum() <= budget
        low, high = (low, price) if fits else (price, high)
    return (damages + high * sizes).argmin(1)


def _neighbours(sizes, damages, budget):
    choice = [0] * len(sizes)
    while True:
        left, steps = budget - sizes[range(len(sizes)), choice].sum(), []
        for i, c in enumerate(choice):
            if c + 1 < sizes.shape[1] and sizes[i, c + 1] - sizes[i, c] <= left:
                gain = (damages[i, c] - damages[i, c + 1]) / (sizes[i, c + 1] - sizes[i, c])
                steps += [(gain, -i)] if gain > 0 else []
        if not steps:
            return np.array(choice)
        choice[-max(steps)[1]] += 1


def _largest_down(sizes, damages, budget):
    choice = damages.argmin(1)
    while sizes[range(len(sizes)), choice].sum() > budget:
        i = sizes[range(len(sizes)), choice].argmax()
        if choice[i] == 0:
            break
        choice[i] -= 1
    return choice


def _greedy(sizes, damages, budget, ratio=True):
    choice = sizes.argmin(1)
    while True:
        left, steps = budget - sizes[range(len(sizes)), choice].sum(), []
        for i, j in np.ndindex(sizes.shape):
            more, less = sizes[i, j] - sizes[i, choice[i]], damages[i, choice[i]] - damages[i, j]
            if less > 0 and more <= left:
                steps.append((less / max(more, 1e-9) if ratio else less, -i, -j))
        if not steps:
            return choice
        _, i, j = max(steps)
        choice[-i] = -j


def _down(sizes, damages, budget):
    """From the least damage, again and again the step down that loses least for a byte."""
    choice = damages.argmin(1)
    while sizes[range(len(sizes)), choice].sum() > budget and choice.any():
        steps = [
            ((damages[i, c - 1] - damages[i, c]) / max(sizes[i, c] - sizes[i, c - 1], 1e-9), i)
            for i, c in enumerate(choice)
            if c > 0
        ]
        choice[min(steps)[1]] -= 1
    return choice


def _worst_layer(sizes, damages, budget):
    rows, fits = range(len(sizes)), []
    for c in map(list, itertools.product(range(sizes.shape[1]), repeat=len(sizes))):
        if sizes[rows, c].sum() <= budget:
            fits.append((damages[rows, c].max(), c))
    return np.array(min(fits)[1])


def _totals(sizes, damages, budget):
    best = _best(sizes, damages, budget)
    return tuple(float(x[range(len(sizes)), best].sum()) for x in (sizes, damages))


def _uniform(sizes, damages, budget):
    fits = sizes.sum(0) <= budget
    return np.full(len(sizes), np.where(fits, damages.sum(0), np.inf).argmin())


def _in_turn(sizes, damages, budget):
    choice = sizes.argmin(1)
    for i in range(len(sizes)):
        left = budget - np.delete(sizes[range(len(sizes)), choice], i).sum()
        choice[i] = np.where(sizes[i] <= left, damages[i], np.inf).argmin()
    return choice


def _shares(sizes, damages, budget):
    fits = sizes <= budget / len(sizes)
    return np.where(fits.any(1), np.where(fits, damages, np.inf).argmin(1), sizes.argmin(1))


MISTAKES = {
    "09b.3": (
        Mistake("by_price", _by_price,
                "a price finds points of the convex hull only: between them bytes stay unused"),
        Mistake("greedy", _greedy, "greedy: a good step early may take the bytes of a better one"),
        Mistake("greedy_neighbours", _neighbours,
                "greedy, one column at a time: a good step early may take the bytes of a better one"),
        Mistake("largest_down", _largest_down,
                "you shrank the largest layer until it fitted; look at the damage that each shrinking does"),
        Mistake("chosen_sizes", lambda s, d, b: s[range(len(s)), _best(s, d, b)],
                "those are the sizes of the best choice; its indices were asked for"),
        Mistake("greedy_by_damage", lambda s, d, b: _greedy(s, d, b, ratio=False),
                "you always took the step that saves most; it may eat the bytes of several others"),
        Mistake("no_budget", lambda s, d, b: d.argmin(1),
                "you took the least damage; it doesn't fit the budget"),
        Mistake("smallest", lambda s, d, b: s.argmin(1),
                "you took the smallest choices; the budget holds more"),
        Mistake("strictly_below", lambda s, d, b: _best(s, d, b, fits=lambda size, b: size < b),
                "what costs exactly the budget fits as well"),
        Mistake("uniform", _uniform, "you chose one column for all layers; each may have its own"),
        Mistake("in_turn", _in_turn,
                "you let one layer after the other take its best: the first took too much"),
        Mistake("shares", _shares,
                "you gave each layer the same part of the budget; only their sum has to fit"),
        Mistake("each_fits", lambda s, d, b: np.where(s <= b, d, np.inf).argmin(1),
                "each choice fits alone; their sizes in all must fit"),
        Mistake("fullest", lambda s, d, b: _best(s, d, b, key=lambda d, s: (-s, d)),
                "you used the most bytes; the least damage was asked for, and it may need fewer"),
        Mistake("larger_of_equals", lambda s, d, b: _best(s, d, b, key=lambda d, s: (d, -s)),
                "of equal damages you took the larger; the smaller sizes were asked for"),
        Mistake("damage", lambda s, d, b: float(d[range(len(s)), _best(s, d, b)].sum()),
                "that is the least damage; the choices that bring it were asked for"),
        Mistake("down", _down, 
                "greedy from above: a step that loses little now may be paid for later"),
        Mistake("worst_layer", _worst_layer,
                "you made the worst layer's damage small; it is the sum of all that counts"),
        Mistake("first_of_equals", lambda s, d, b: _best(s, d, b, key=lambda d, s: d),
                "of equal damages you took the first; the smaller sizes were asked for"),
        Mistake("most_damage", lambda s, d, b: _best(s, d, b, key=lambda d, s: (-d, s)),
                "you took the most damage; the least was asked for"),
        Mistake("sum_of_both", lambda s, d, b: _best(s, d, b, key=lambda d, s: d + s),
                "you added bytes to the loss; bytes only have to fit the budget"),
        Mistake("totals", _totals, "those are the sizes and the damage in all; the choices were asked for"),
        Mistake("ratio", lambda s, d, b: (d / s).argmin(1),
                "damage per byte knows no budget: what you chose may not fit"),
        Mistake("product", lambda s, d, b: (d * s).argmin(1),
                "damage times size knows no budget: what you chose may not fit"),
        Mistake("from_one", lambda s, d, b: _best(s, d, b) + 1,
                "your indices count from 1; the first choice is 0"),
    ),
}  # fmt: skip
