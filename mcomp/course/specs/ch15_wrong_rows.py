"""Chapter 15: what the known wrong answers to 15.6 compute, for the table in `ch15_row_mistakes`."""

import numpy as np

from mcomp.course.specs.ch15_pair_mistakes import along, without


def own_along(left, own, other):
    return along(own, other)


def any_two(left, own, other):
    return True


def as_it_came(left, own, other):
    return own @ other < 0


def length(x):
    return np.sqrt(x @ x)


def over(below):
    """A step along the other row with something else below the line."""
    return lambda left, own, other: (left @ other) / (below(left, own, other) or 1) * other


def rows(
    g,
    orders,
    *,
    conflict=lambda left, own, other: left @ other < 0,
    step=lambda left, own, other: along(left, other),
    in_place=False,
    pick=lambda i, order: order,
    stop=False,
):
    """What is left of each row, (tasks, n)."""
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in pick(i, order):
            other = rest[j] if in_place else g[j]
            if conflict(rest[i], g[i], other):
                rest[i] = rest[i] - step(rest[i], g[i], other)
                if stop:
                    break
    return rest


def restarted(*, conflict=lambda left, own, other: left @ other < 0, step=own_along):
    """Each projection starts from the row as it came in, so that the last one alone is kept."""

    def answer(g, orders):
        rest = g.copy()
        for i, order in enumerate(orders):
            for j in order:
                if conflict(rest[i], g[i], g[j]):
                    rest[i] = g[i] - step(rest[i], g[i], g[j])
        return rest.sum(0)

    return answer


def half_in_place(g, orders):
    """Inner products and lengths as the rows came in; what is taken away is row j as it is now."""
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if g[i] @ g[j] < 0:
                rest[i] = rest[i] - (g[i] @ g[j]) / (g[j] @ g[j]) * rest[j]
    return rest.sum(0)


def worst_only(g, orders):
    """Row i is projected once, on the row with which its inner product is lowest."""
    return sum(
        without(g[i], g[min(order, key=lambda j, i=i: g[i] @ g[j])]) if len(order) else g[i]
        for i, order in enumerate(orders)
    )


def replaced(g, orders):
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if rest[i] @ g[j] < 0:
                rest[i] = along(rest[i], g[j])
    return rest.sum(0)


def every_pair_added(g, orders):
    return sum((without(g[i], g[j]) for i, order in enumerate(orders) for j in order), 0 * g[0])


def every_step_added(g, orders):
    total = np.zeros(g.shape[1])
    for i, order in enumerate(orders):
        left = g[i]
        for j in order:
            left = without(left, g[j])
            total = total + left
    return total


def sum_projected(g, orders):
    total = g.sum(0)
    for order in orders:
        for j in order:
            total = without(total, g[j])
    return total


def both_ways(g, orders):
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if g[i] @ g[j] < 0:
                rest[i], rest[j] = rest[i] - along(g[i], g[j]), rest[j] - along(g[j], g[i])
    return rest.sum(0)


def against_the_sum(g, orders):
    return np.sum([without(own, g.sum(0) - own) for own in g], axis=0)


def folded(g, orders):
    total = g[0]
    for other in g[1:]:
        total = without(total, other) + without(other, total)
    return total


def alone(g, orders):
    """The rows that are in no conflict, added up."""
    return sum((own for i, own in enumerate(g) if all(own @ g[j] >= 0 for j in orders[i])), 0 * g[0])
