"""Chapter 15: what the known wrong answers to 15.7 compute, for the table in `ch15_gram_mistakes`."""

import numpy as np


def parts(
    gram,
    orders,
    *,
    inner=lambda c, own, gram, j: c @ gram[:, j],
    conflict=None,
    length=lambda c, gram, i, j: gram[j, j],
    pick=lambda i, order: order,
    sign=1,
    stop=False,
    into=lambda i, j: (i, j),
):
    """Row i: how much of each original gradient is in what is left of gradient i."""
    rest, conflict = np.eye(len(gram)), conflict or (lambda c, own, gram, j: inner(c, own, gram, j) < 0)
    for i, order in enumerate(orders):
        for j in pick(i, order):
            below = length(rest[i], gram, i, j)
            if conflict(rest[i], i, gram, j) and below:
                rest[into(i, j)] -= sign * inner(rest[i], i, gram, j) / below
                if stop:
                    break
    return rest


def in_place(gram, orders):
    rest = np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            inner, below = rest[i] @ gram @ rest[j], rest[j] @ gram @ rest[j]
            if inner < 0 < below:
                rest[i] = rest[i] - inner / below * rest[j]
    return rest.sum(0)


def from_the_start(c, own, gram, j):
    return gram[own, j]


def any_two(c, own, gram, j):
    return True


def asked_at_the_start(c, own, gram, j):
    return gram[own, j] < 0


def of_the_rest(c, own, gram, j):
    return c @ gram[:, j] < 0


def half_in_place(gram, orders):
    """The inner product with row j as it came in; what is taken away is row j as it is now."""
    rest = np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            inner = rest[i] @ gram[:, j]
            if inner < 0:
                rest[i] = rest[i] - inner / gram[j, j] * rest[j]
    return rest.sum(0)


def changed_gram(gram, orders):
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


def rows_of_gram(gram, orders):
    """Rows of the Gram matrix are brought up to date, its columns not."""
    gram, rest = gram.copy(), np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            if gram[i, j] < 0:
                step = gram[i, j] / gram[j, j]
                rest[i], gram[i] = rest[i] - step * rest[j], gram[i] - step * gram[j]
    return rest.sum(0)


def one_row_of_gram(gram, orders):
    """As `rows_of_gram`, but what is taken away is counted as of original gradients."""
    gram, weights = gram.copy(), np.ones(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            if gram[i, j] < 0:
                step = gram[i, j] / gram[j, j]
                weights[j] -= step
                gram[i] = gram[i] - step * gram[j]
    return weights


def row_of_gram_away(gram, orders):
    rest = np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            if rest[i] @ gram[:, j] < 0:
                rest[i] = rest[i] - rest[i] @ gram[:, j] / gram[j, j] * gram[j]
    return rest.sum(0)


def from_all(gram, orders):
    """Each task starts from 1 of every gradient."""
    total = np.zeros(len(gram))
    for order in orders:
        held = np.ones(len(gram))
        for j in order:
            held[j] -= min(held @ gram[:, j], 0) / (gram[j, j] or 1)
        total += held
    return total


def one_for_all(gram, orders):
    weights = np.ones(len(gram))
    for order in orders:
        for j in order:
            inner = weights @ gram[:, j]
            if inner < 0:
                weights[j] -= inner / gram[j, j]
    return weights


def restarted(gram, orders):
    rest = np.eye(len(gram))
    for i, order in enumerate(orders):
        for j in order:
            inner = rest[i] @ gram[:, j]
            if inner < 0:
                rest[i] = np.eye(len(gram))[i]
                rest[i, j] -= gram[i, j] / gram[j, j]
    return rest.sum(0)
