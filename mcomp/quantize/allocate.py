"""Mixed precision: which layer gets how many bits, so that all fit a budget and the damage is least.

Every layer has a few choices, each with a size and a damage; damages add up. That is a knapsack problem with
one choice from each class. Three ways: a price on bytes (Shoham and Gersho 1988, doi:10.1109/29.90373), the
best exchange next (greedy), and exactly, by dynamic programming over the states that nothing dominates.
HAWQ-V2 (Dong et al. 2020, arXiv:1911.03852) chooses bits by such a damage. Derived in chapter 09b.
"""

import itertools
import math

from mcomp.arrays import bad_value, check_int, check_real

__all__ = ["allocate_exact", "allocate_greedy", "allocate_lagrangian", "cheapest_at_price", "totals"]


def totals(sizes, damages, choice):
    """Size and damage of a choice in all: (int, float).

    Examples
    --------
    >>> totals([[1, 2], [3, 6]], [[5.0, 1.0], [4.0, 0.0]], [1, 0])
    (5, 5.0)
    """
    return (
        sum(row[c] for row, c in zip(sizes, choice, strict=True)),
        float(sum(row[c] for row, c in zip(damages, choice, strict=True))),
    )


def cheapest_at_price(sizes, damages, *, price):
    """In each layer the choice of least damage + price · size: no choice of that size does less damage.

    Examples
    --------
    >>> cheapest_at_price([[1, 2], [3, 6]], [[5.0, 1.0], [4.0, 0.0]], price=2.0)
    [1, 0]
    """
    _check(sizes, damages, math.inf)
    price = check_real("price", price, 0.0)
    cost = [
        [(d + price * s, s) for s, d in zip(*rows, strict=True)] for rows in zip(sizes, damages, strict=True)
    ]
    return [row.index(min(row)) for row in cost]


def allocate_lagrangian(sizes, damages, *, budget):
    """The best choice at the least price that fits: it lies on the convex hull of size against damage.

    Optimal for its own size (Everett 1963); where no point of the hull is nearer to the budget, bytes stay
    unused. At the price where layers change over, several choices cost the same: of those the one that does
    least damage and fits.

    Parameters
    ----------
    sizes : list of lists of int
        ``sizes[layer][choice]`` in bytes.
    damages : list of lists of float
        The like: what the choice costs in loss, or in squared error. Layers add up.
    budget : int
        Bytes in all.

    Returns
    -------
    choice : list of int, one for each layer

    Raises
    ------
    ValueError
        If the lists don't match, a number is out of range, or not even the smallest choices fit.

    Examples
    --------
    >>> allocate_lagrangian([[1, 2], [3, 6]], [[5.0, 1.0], [4.0, 0.0]], budget=7)
    [1, 0]
    """
    _check(sizes, damages, budget)
    for price in [0.0, *_prices(sizes, damages)]:
        ties = [_cheapest(*layer, price) for layer in zip(sizes, damages, strict=True)]
        fewest, least = (
            [[row[c] for c in t] for row, t in zip(x, ties, strict=True)] for x in (sizes, damages)
        )
        if sum(map(min, fewest)) <= budget:
            return [t[c] for t, c in zip(ties, allocate_exact(fewest, least, budget=budget), strict=True)]
    return [row.index(min(row)) for row in sizes]


def _cheapest(size, damage, price):
    """The choices of one layer that cost the least at `price`, but for what rounding may have moved them."""
    cost = [d + price * s for s, d in zip(size, damage, strict=True)]
    slack = 1e-12 * max(abs(d) + price * s for s, d in zip(size, damage, strict=True))
    return [c for c, found in enumerate(cost) if found <= min(cost) + slack]


def _prices(sizes, damages):
    """Ascending, the prices at which a layer may change its choice: there two of them cost the same."""
    slopes = set()
    for size, damage in zip(sizes, damages, strict=True):
        for (a, x), (b, y) in itertools.permutations(zip(size, damage, strict=True), 2):
            if a < b and x > y:
                slopes.add((x - y) / (b - a))
    return sorted(slopes)


def allocate_greedy(sizes, damages, *, budget):
    """From the smallest choices up: always the exchange that saves the most damage for each byte, if it fits.

    Examples
    --------
    >>> allocate_greedy([[1, 2], [3, 6]], [[5.0, 1.0], [4.0, 0.0]], budget=7)
    [1, 0]
    """
    _check(sizes, damages, budget)
    choice = [row.index(min(row)) for row in sizes]
    while True:
        left = budget - totals(sizes, damages, choice)[0]
        steps = []
        for layer, now in enumerate(choice):
            size, damage = sizes[layer], damages[layer]
            for c in range(len(size)):
                grows, saves = size[c] - size[now], damage[now] - damage[c]
                if saves > 0 and grows <= left:
                    steps.append((saves / grows if grows > 0 else math.inf, -layer, -c))
        if not steps:
            return choice
        _, layer, c = max(steps)
        choice[-layer] = -c


def allocate_exact(sizes, damages, *, budget):
    """The choice of least damage that fits, by dynamic programming.

    Layer by layer all states (size, damage) that fit are kept, but for those that another one beats in
    both: a state that is larger and worse stays so, whatever the next layers choose.

    Examples
    --------
    >>> allocate_exact([[1, 2], [3, 6]], [[5.0, 1.0], [4.0, 0.0]], budget=7)
    [1, 0]
    >>> allocate_exact([[1, 2], [3, 5]], [[5.0, 1.0], [4.0, 0.0]], budget=7)
    [1, 1]
    """
    _check(sizes, damages, budget)
    states = [(0, 0.0, ())]  # ascending in size, descending in damage
    for layer in zip(sizes, damages, strict=True):
        grown = [
            (size + s, damage + d, (*choice, c))
            for size, damage, choice in states
            for c, (s, d) in enumerate(zip(*layer, strict=True))
            if size + s <= budget
        ]
        states, least = [], math.inf
        for state in sorted(grown):
            if state[1] < least:
                states.append(state)
                least = state[1]
    return list(states[-1][2])


def _check(sizes, damages, budget):
    if not sizes or [len(row) for row in sizes] != [len(row) for row in damages] or not min(map(len, sizes)):
        found = [len(row) for row in sizes], [len(row) for row in damages]
        raise bad_value("choices of sizes and damages", found, "as many for each layer, one or more")
    for size, damage in zip(sizes, damages, strict=True):
        for s, d in zip(size, damage, strict=True):
            check_int("a size", s, 0)
            check_real("a damage", d)
    least = sum(map(min, sizes))
    if budget < least:
        raise bad_value("budget", budget, f"at least {least}, the smallest choices of all layers")
