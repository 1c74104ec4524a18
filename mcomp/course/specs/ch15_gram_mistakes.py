"""Chapter 15: wrong weights of PCGrad from the inner products, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def parts(
    gram,
    orders,
    *,
    inner=lambda c, own, gram, j: c @ gram[:, j],
    conflict=None,
    length=lambda c, gram, i, j: gram[j, j],
    in_place=False,
    pick=lambda i, order: order,
    sign=1,
    stop=False,
    into=lambda i, j: (i, j),
):
    """Row i: how much of each original gradient is in what is left of gradient i."""
    rest, conflict = np.eye(len(gram)), conflict or (lambda c, own, gram, j: inner(c, own, gram, j) < 0)
    for i, order in enumerate(orders):
        for j in pick(i, order):
            onto = rest[j].copy() if in_place else np.eye(len(gram))[j]
            seen = gram @ onto if in_place else gram[:, j]
            value = rest[i] @ seen if in_place else inner(rest[i], i, gram, j)
            below = onto @ gram @ onto if in_place else length(rest[i], gram, i, j)
            if (value < 0 if in_place else conflict(rest[i], i, gram, j)) and below:
                where = into(i, j)
                if in_place:
                    rest[i] = rest[i] - sign * value / below * onto
                else:
                    rest[where] -= sign * value / below
                if stop:
                    break
    return rest


def _sum(**how):
    return quiet(lambda gram, orders: parts(gram, orders, **how).sum(0))


def _from_the_start(c, own, gram, j):
    return gram[own, j]


def _any(c, own, gram, j):
    return True


def _asked_at_the_start(c, own, gram, j):
    return gram[own, j] < 0


def _of_the_rest(c, own, gram, j):
    return c @ gram[:, j] < 0


def _only_inner(gram, orders, **how):
    return parts(gram, orders, **how) - np.eye(len(gram))


def _half_in_place(gram, orders):
    """The inner product with row j as it came in; what is taken away is row j as it is now."""
    rest = np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            inner = rest[i] @ gram[:, j]
            if inner < 0:
                rest[i] = rest[i] - inner / gram[j, j] * rest[j]
    return rest.sum(0)


def _changed_gram(gram, orders):
    """The Gram matrix itself is brought up to date, rows and columns: later tasks see changed gradients."""
    gram, rest = gram.copy(), np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            if gram[i, j] < 0:
                step = gram[i, j] / gram[j, j]
                rest[i, j] -= step
                gram[i] = gram[i] - step * gram[j]
                gram[:, i] = gram[:, i] - step * gram[:, j]
    return rest.sum(0)


def _rows_of_gram(gram, orders):
    """Rows of the Gram matrix are brought up to date, its columns not."""
    gram, rest = gram.copy(), np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            if gram[i, j] < 0:
                step = gram[i, j] / gram[j, j]
                rest[i], gram[i] = rest[i] - step * rest[j], gram[i] - step * gram[j]
    return rest.sum(0)


def _one_for_all(gram, orders):
    weights = np.ones(len(gram))
    for order in orders:
        for j in order:
            inner = weights @ gram[:, j]
            if inner < 0:
                weights[j] -= inner / gram[j, j]
    return weights


def _restarted(gram, orders):
    rest = np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            inner = rest[i] @ gram[:, j]
            if inner < 0:
                rest[i] = np.eye(len(gram))[i]
                rest[i, j] -= gram[i, j] / gram[j, j]
    return rest.sum(0)


GRAM = (
    Mistake("ones", lambda gram, orders: np.ones(len(gram)),
            "that is the plain sum: nothing was projected"),
    Mistake("by_row", lambda gram, orders: parts(gram, orders).sum(1),
            "you added up what one projected gradient holds; add over the tasks: axis 0"),
    Mistake("transposed", _sum(into=lambda i, j: (j, i)),
            "projecting row i takes away some of row j; you took away some of row i"),
    Mistake("own_part", _sum(into=lambda i, j: (i, i)),
            "you took away some of row i itself; the projection takes away some of row j"),
    Mistake("from_the_start", _sum(inner=_from_the_start),
            "gram[i, j] is right for the first projection only: later, take what is left of row i"),
    Mistake("asked_at_the_start", _sum(conflict=_asked_at_the_start),
            "you asked gram[i, j] for conflicts; ask the inner product of what is left of row i"),
    Mistake("step_from_the_start", _sum(inner=_from_the_start, conflict=_of_the_rest),
            "the condition is right; the part taken away is gram[i, j] / gram[j, j] in the first step only"),
    Mistake("in_place", _sum(in_place=True),
            "you projected on what is left of row j; project on row j as it came in"),
    Mistake("half_in_place", quiet(_half_in_place),
            "you took away what is left of row j; take away row j as it came in: c[j] alone changes"),
    Mistake("changed_gram", quiet(_changed_gram),
            "you changed the Gram matrix itself, so that later tasks see projected gradients"),
    Mistake("rows_of_gram", quiet(_rows_of_gram),
            "you took away what is left of row j; take away row j as it came in: gram and c as they were"),
    Mistake("always", _sum(conflict=_any),
            "you projected gradients that don't conflict, too: only where the inner product is negative"),
    Mistake("always_from_the_start", _sum(conflict=_any, inner=_from_the_start),
            "project only in conflict, and by the inner product of what is left of row i"),
    Mistake("when_positive", _sum(conflict=lambda c, own, gram, j: c @ gram[:, j] > 0),
            "the condition is upside down: a conflict is a negative inner product"),
    Mistake("mean", lambda gram, orders: parts(gram, orders).mean(0),
            "that is the mean over the tasks; their sum was asked for"),
    Mistake("scaled", lambda gram, orders: parts(gram, orders).sum(0) / parts(gram, orders).sum(),
            "you scaled the weights to sum 1"),
    Mistake("matrix", lambda gram, orders: parts(gram, orders),
            "that holds each task's part; add them over the tasks"),
    Mistake("no_ones", lambda gram, orders: _only_inner(gram, orders).sum(0),
            "what is taken away is right; every row starts with 1 of itself"),
    Mistake("minus", _sum(sign=-1),
            "the sign is wrong: the part is taken away; the inner product is negative already"),
    Mistake("twice", _sum(sign=2),
            "the part was taken away twice: that is a mirror, not a projection"),
    Mistake("no_length", _sum(length=lambda c, gram, i, j: 1),
            "divide by the squared length of row j, gram[j, j]"),
    Mistake("length", _sum(length=lambda c, gram, i, j: np.sqrt(gram[j, j])),
            "gram[j, j] is the squared length already: no root"),
    Mistake("own_length", _sum(length=lambda c, gram, i, j: gram[i, i]),
            "you divided by gram[i, i]; the projection on row j is divided by gram[j, j]"),
    Mistake("length_of_rest", _sum(length=lambda c, gram, i, j: c @ gram @ c),
            "you divided by the squared length of what is left of row i; it is that of row j, gram[j, j]"),
    Mistake("cosine", _sum(length=lambda c, gram, i, j: np.sqrt(gram[i, i] * gram[j, j])),
            "you took away the cosine; the part along row j is the inner product divided by gram[j, j]"),
    Mistake("squared", _sum(length=lambda c, gram, i, j: gram[j, j] ** 2),
            "gram[j, j] is the squared length already; you squared it again"),
    Mistake("index_order", _sum(pick=lambda i, order: np.sort(order)),
            "you went through the others by their number; row i visits them in the order of orders[i]"),
    Mistake("mean_from_the_start", lambda gram, orders:
            parts(gram, orders, inner=_from_the_start).mean(0),
            "take the sum, not the mean; and inner products are of what is left of row i"),
    Mistake("reversed", _sum(pick=lambda i, order: order[::-1]),
            "you went through orders[i] backwards"),
    Mistake("first_only", _sum(pick=lambda i, order: order[:1]),
            "row i met only the first of the others"),
    Mistake("not_the_last", _sum(pick=lambda i, order: order[:-1]),
            "row i didn't meet the last of the others"),
    Mistake("last_only", _sum(pick=lambda i, order: order[-1:]),
            "of the others only the last counts: go on with what is left of row i"),
    Mistake("stops", _sum(stop=True),
            "you stopped at the first conflict; row i goes on to the others"),
    Mistake("restarted", quiet(_restarted),
            "each projection started from row i as it came in, so that the last one alone is kept"),
    Mistake("each_pair_once", _sum(pick=lambda i, order: [j for j in order if j > i]),
            "only rows behind row i were met; it meets all others"),
    Mistake("products", lambda gram, orders: parts(gram, orders).sum(0) @ gram,
            "these are the answer's inner products with the gradients; its weights were asked for"),
    Mistake("one_for_all", quiet(_one_for_all),
            "you projected the sum of all gradients; each task starts from 1 of its own and 0 of the others"),
    Mistake("own_part_from_the_start", _sum(inner=_from_the_start, into=lambda i, j: (i, i)),
            "length or place of the wrong row; and gram[i, j] is right at the first visit only"),
    Mistake("minus_from_the_start", _sum(inner=_from_the_start, sign=-1),
            "the sign is wrong, and gram[i, j] is right at the first visit only"),
    Mistake("first_task", lambda gram, orders: parts(gram, orders)[0],
            "that is what is left of the first row; add over the tasks"),
    Mistake("last_task", lambda gram, orders: parts(gram, orders)[-1],
            "that is what is left of the last row; add over the tasks"),
)  # fmt: skip
