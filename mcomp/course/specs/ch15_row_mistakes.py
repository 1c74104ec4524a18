"""Chapter 15: wrong PCGrads of any number of gradients, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs.ch15_pair_mistakes import along, without


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


def _sum(**how):
    return quiet(lambda g, orders: rows(g, orders, **how).sum(0))


def _mean(**how):
    return quiet(lambda g, orders: rows(g, orders, **how).mean(0))


def _any(left, own, other):
    return True


def _as_it_came(left, own, other):
    return own @ other < 0


def _own_along(left, own, other):
    return along(own, other)


def _length(x):
    return np.sqrt(x @ x)


def _over(length):
    """A step along the other row with something else below the line."""
    return lambda left, own, other: (left @ other) / (length(left, own, other) or 1) * other


def _restarted(g, orders):
    """Each projection starts from the row as it came in, so that the last one alone is kept."""
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if rest[i] @ g[j] < 0:
                rest[i] = g[i] - along(g[i], g[j])
    return rest.sum(0)


def _restarted_step(g, orders):
    """As `_restarted`, with the inner product of what was left."""
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if rest[i] @ g[j] < 0:
                rest[i] = g[i] - along(rest[i], g[j])
    return rest.sum(0)


def _restarted_from_the_start(g, orders):
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if g[i] @ g[j] < 0:
                rest[i] = g[i] - along(g[i], g[j])
    return rest.sum(0)


def _every_pair_added(g, orders):
    return sum((without(g[i], g[j]) for i, order in enumerate(orders) for j in order), 0 * g[0])


def _sum_projected(g, orders):
    total = g.sum(0)
    for order in orders:
        for j in order:
            total = without(total, g[j])
    return total


def _both_ways(g, orders):
    rest = g.copy()
    for i, order in enumerate(orders):
        for j in order:
            if g[i] @ g[j] < 0:
                rest[i], rest[j] = rest[i] - along(g[i], g[j]), rest[j] - along(g[j], g[i])
    return rest.sum(0)


def _every_step_added(g, orders):
    total = np.zeros(g.shape[1])
    for i, order in enumerate(orders):
        left = g[i]
        for j in order:
            left = left - along(left, g[j]) if left @ g[j] < 0 else left
            total = total + left
    return total


def _against_the_sum(g, orders):
    rest = [own - along(own, g.sum(0) - own) if own @ (g.sum(0) - own) < 0 else own for own in g]
    return np.sum(rest, axis=0)


def _folded(g, orders):
    total = g[0]
    for other in g[1:]:
        if total @ other < 0:
            total = total - along(total, other) + other - along(other, total)
        else:
            total = total + other
    return total


def _alone(g, orders):
    """The rows that are in no conflict, added up."""
    return sum((own for i, own in enumerate(g) if all(own @ g[j] >= 0 for j in orders[i])), 0 * g[0])


ROWS = (
    Mistake("sum", lambda g, orders: g.sum(0),
            "that is the plain sum: nothing was projected"),
    Mistake("index_order", _sum(pick=lambda i, order: np.sort(order)),
            "you went through the others by their number; row i visits them in the order of orders[i]"),
    Mistake("reversed", _sum(pick=lambda i, order: order[::-1]),
            "you went through orders[i] backwards"),
    Mistake("in_place", _sum(in_place=True),
            "row i is compared with row j as it came in; yours may have been projected by then"),
    Mistake("in_place_index_order", _sum(in_place=True, pick=lambda i, order: np.sort(order)),
            "compare with row j as it came in, in the order of orders[i]; you did neither"),
    Mistake("all_from_the_start", _sum(conflict=_as_it_came, step=_own_along),
            "inner products are of what is left of row i, which changes; yours are of row i as it came in"),
    Mistake("conflict_from_the_start", _sum(conflict=_as_it_came),
            "you asked row i as it came in for its conflicts; ask what is left of it"),
    Mistake("step_from_the_start", _sum(step=_own_along),
            "the part taken away is of what is left of row i, not of row i as it came in"),
    Mistake("always", _sum(conflict=_any),
            "you projected rows that don't conflict, too: only where the inner product is negative"),
    Mistake("always_in_place", _sum(conflict=_any, in_place=True),
            "project only on rows in conflict, and on rows as they came in"),
    Mistake("always_from_the_start", _sum(conflict=_any, step=_own_along),
            "project only on rows in conflict, and what is left of row i, not row i as it came in"),
    Mistake("when_positive", _sum(conflict=lambda left, own, other: left @ other > 0),
            "the condition is upside down: a conflict is a negative inner product"),
    Mistake("mean", _mean(),
            "that is the mean of the rows; their sum was asked for"),
    Mistake("mean_in_place", _mean(in_place=True),
            "take the sum, not the mean; and compare with row j as it came in"),
    Mistake("mean_from_the_start", _mean(conflict=_as_it_came, step=_own_along),
            "take the sum, not the mean; and inner products are of what is left of row i"),
    Mistake("plain_mean", lambda g, orders: g.mean(0),
            "that is the mean of the rows as they came in"),
    Mistake("first_only", _sum(pick=lambda i, order: order[:1]),
            "row i met only the first of the others"),
    Mistake("last_only", _sum(pick=lambda i, order: order[-1:]),
            "of the others only the last counts: go on with what is left of row i"),
    Mistake("not_the_last", _sum(pick=lambda i, order: order[:-1]),
            "row i didn't meet the last of the others"),
    Mistake("stops", _sum(stop=True),
            "you stopped at the first conflict; row i goes on to the others"),
    Mistake("restarted", _restarted,
            "each projection started from row i as it came in, so that the last one alone is kept"),
    Mistake("restarted_step", _restarted_step,
            "take the part away from what is left of row i; you took it from row i as it came in"),
    Mistake("restarted_from_the_start", _restarted_from_the_start,
            "each conflict overwrote the one before; go on with what is left of row i"),
    Mistake("every_pair_added", _every_pair_added,
            "you added a projection for each pair; row i meets all others, and then is added once"),
    Mistake("sum_projected", _sum_projected,
            "you projected the sum; project each row, then add"),
    Mistake("first_order", lambda g, orders: rows(g, [orders[0]] * len(g)).sum(0),
            "all rows went through orders[0]; row i has orders[i]"),
    Mistake("both_ways", _both_ways,
            "every pair was projected twice: while row i visits, row i alone changes"),
    Mistake("total", lambda g, orders: rows(g, orders).sum(),
            "you added up all entries; add the rows: the result has n entries"),
    Mistake("each_pair_once", _sum(pick=lambda i, order: [j for j in order if j > i]),
            "only rows behind row i were met; it meets all others"),
    Mistake("earlier_only", _sum(pick=lambda i, order: [j for j in order if j < i]),
            "only rows before row i were met; it meets all others"),
    Mistake("every_step_added", _every_step_added,
            "what is left of a row was added after every step; add it once, after the last"),
    Mistake("against_the_sum", _against_the_sum,
            "you projected on the sum of the others; they are met one after the other"),
    Mistake("folded", _folded,
            "you joined the rows two by two; every row meets every other as it came in"),
    Mistake("added", _sum(step=lambda left, own, other: -along(left, other)),
            "the sign is wrong: take the part away; the inner product is negative already"),
    Mistake("absolute", _sum(step=lambda left, own, other: 2 * along(left, other)),
            "the part was taken away twice: that is a mirror, not a projection"),
    Mistake("no_length", _sum(step=_over(lambda left, own, other: 1)),
            "divide by the squared length of row j"),
    Mistake("length", _sum(step=_over(lambda left, own, other: _length(other))),
            "divide by the squared length of row j; you divided by its length"),
    Mistake("own_length", _sum(step=_over(lambda left, own, other: left @ left)),
            "you divided by the squared length of row i; it is that of row j, on which you project"),
    Mistake("own_first_length", _sum(step=_over(lambda left, own, other: own @ own)),
            "you divided by the squared length of row i as it came in; it is that of row j"),
    Mistake("cosine", _sum(step=_over(lambda left, own, other: _length(left) * _length(other))),
            "you took away the cosine times row j; divide the inner product by row j's squared length"),
    Mistake("own_direction", _sum(step=lambda left, own, other:
            (left @ other) / (other @ other or 1) * left),
            "you stretched row i along itself; take away a multiple of row j"),
    Mistake("rows", lambda g, orders: rows(g, orders),
            "these are the projected rows; their sum was asked for"),
    Mistake("by_row", lambda g, orders: rows(g, orders).sum(1),
            "you added up each row; add the rows: the result has n entries"),
    Mistake("first_row", lambda g, orders: rows(g, orders)[0],
            "that is what is left of the first row; add all of them"),
    Mistake("last_row", lambda g, orders: rows(g, orders)[-1],
            "that is what is left of the last row; add all of them"),
    Mistake("conflict_free", _alone,
            "you dropped the rows in conflict; each loses only its part along the other"),
    Mistake("by_sign", lambda g, orders: np.where((g < 0).any(0) & (g > 0).any(0), 0.0, g.sum(0)),
            "you looked at each entry alone; a conflict is one of whole rows"),
)  # fmt: skip
