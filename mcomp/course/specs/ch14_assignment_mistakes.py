"""Chapter 14: the mistakes of the exercise on the best order."""

from itertools import combinations, permutations

import numpy as np

from mcomp.course.model import Mistake


def _rows_greedy(gain, rows=None, worth=1.0):
    """One row after the other takes the best column that is free."""
    n, taken, found = len(gain), set(), [0] * len(gain)
    for i in range(n) if rows is None else rows:
        j = max((j for j in range(n) if j not in taken), key=lambda j: worth * gain[i, j])
        found[int(i)] = j
        taken.add(j)
    return np.array(found)


def _largest_first(gain, worth=1.0):
    """The largest entry of all, then the largest in the rows and columns that are left."""
    found, rows, columns = [0] * len(gain), list(range(len(gain))), list(range(len(gain)))
    while rows:
        i, j = max(((i, j) for i in rows for j in columns), key=lambda pair: worth * gain[pair])
        found[i] = j
        rows.remove(i)
        columns.remove(j)
    return np.array(found)


def _exact(gain, total=None):
    def summed(p):
        return sum(gain[i, p[i]] for i in range(len(p)))

    return np.array(max(permutations(range(len(gain))), key=total or summed))


def _swaps(gain, passes=100):
    """From the order as it is, swap two as long as one helps."""
    p, again = np.arange(len(gain)), True
    while again and passes:
        again, passes = False, passes - 1
        for i, j in combinations(range(len(p)), 2):
            if gain[i, p[j]] + gain[j, p[i]] > gain[i, p[i]] + gain[j, p[j]] + 1e-12:
                p[i], p[j], again = p[j], p[i], True
    return p


def _shifts(gain):
    n = len(gain)
    orders = [np.roll(np.arange(n), k) for k in range(n)]
    return max(orders, key=lambda p: gain[np.arange(n), p].sum())


def _value(gain):
    return float(gain[np.arange(len(gain)), _exact(gain)].sum())


def _from_zero(gain, found):
    """Begins with a best sum of 0."""
    best = 0.0
    for p in permutations(range(len(gain))):
        total = sum(gain[i, p[i]] for i in range(len(p)))
        if total > best:
            best, found = total, np.array(p)
    return found


def _taken_is_zero(gain):
    left, found = gain.copy(), []
    for i in range(len(gain)):
        found.append(int(left[i].argmax()))
        left[:, found[-1]] = 0
    return np.array(found)


def _largest_taken_is_zero(gain):
    left, found = gain.copy(), np.zeros(len(gain), int)
    for _ in range(len(gain)):
        i, j = np.unravel_index(left.argmax(), left.shape)
        found[i], left[i], left[:, j] = j, 0, 0
    return found


def _most_to_lose(gain):
    lost = [np.sort(row)[-1] - np.sort(row)[-2] if len(gain) > 1 else 0 for row in gain]
    return _rows_greedy(gain, np.argsort(-np.array(lost), kind="stable"))


def _partial_sums(gain):
    best, found = -np.inf, None
    for p in permutations(range(len(gain))):
        total = 0.0
        for i, j in enumerate(p):
            total += gain[i, j]
            if total > best:
                best, found = total, p
    return np.array(found)


def _neighbours(gain):
    p = np.arange(len(gain))
    for _ in range(len(p) ** 2):
        for i in range(len(p) - 1):
            if gain[i, p[i + 1]] + gain[i + 1, p[i]] > gain[i, p[i]] + gain[i + 1, p[i + 1]]:
                p[i], p[i + 1] = p[i + 1], p[i]
    return p


ORDER = (
    Mistake("each_row", lambda gain: gain.argmax(1),
            "each row took its best column, some of them the same; each column once"),
    Mistake("each_column", lambda gain: gain.argmax(0),
            "each column took its best row, some of them the same; give each row a column, each once"),
    Mistake("row_by_row", _rows_greedy,
            "each row took the best that was left; an earlier row may have to leave it to a later one"),
    Mistake("largest_first", _largest_first,
            "you took the largest entry first, then the largest that is left: that isn't the largest sum"),
    Mistake("column_by_column", lambda gain: np.argsort(_rows_greedy(gain.T)),
            "each column took the best row that was left; that isn't the largest sum"),
    Mistake("column_by_column_turned", lambda gain: _rows_greedy(gain.T),
            "each column took the best row that was left; and p[i] should be the column of row i"),
    Mistake("surest_first", lambda gain: _rows_greedy(gain, np.argsort(-gain.max(1), kind="stable")),
            "the row with the largest entry chose first; that isn't the largest sum"),
    Mistake("most_to_lose", _most_to_lose,
            "the row that loses most without its best chose first; that isn't always the largest sum"),
    Mistake("partial_sums", _partial_sums,
            "you compared within the loop, before a sum is complete"),
    Mistake("largest_first_turned", lambda gain: np.argsort(_largest_first(gain)),
            "you took the largest entry first, and p says the row of a column; it is the column of a row"),
    Mistake("from_zero_zeros", lambda gain: _from_zero(gain, np.zeros(len(gain), int)),
            "where all sums are negative yours finds nothing: your best sum begins at 0; begin at -infinity"),
    Mistake("neighbours", _neighbours,
            "you swapped neighbours where it helped; go through all orders"),
    Mistake("smallest", lambda gain: _exact(-gain),
            "that is the order with the smallest sum: a gain is wanted large, a cost small"),
    Mistake("inverse", lambda gain: np.argsort(_exact(gain)),
            "that is the inverse order, the row of each column: p[i] is the column of row i"),
    Mistake("smallest_inverse", lambda gain: np.argsort(_exact(-gain)),
            "you made the sum small, and returned the row of each column"),
    Mistake("swaps", _swaps,
            "you swapped two as long as it helped; a better order may need three to move at once"),
    Mistake("shifts", _shifts,
            "you tried the n shifts; there are n! orders"),
    Mistake("size", lambda gain: _exact(abs(gain)),
            "you summed sizes; a negative gain is a loss"),
    Mistake("size_of_sum", lambda gain: _exact(gain, lambda p: abs(gain[np.arange(len(p)), p].sum())),
            "you compared the sizes of the sums; a negative sum is a bad one"),
    Mistake("largest_product", lambda gain: _exact(gain, lambda p: np.prod(gain[np.arange(len(p)), p])),
            "you looked for the largest product; the largest sum is asked"),
    Mistake("squares", lambda gain: _exact(gain**2),
            "you summed squares; the gains themselves count"),
    Mistake("worst_best", lambda gain: _exact(gain, lambda p: gain[np.arange(len(p)), p].min()),
            "you made the smallest gain as large as it can be; the sum counts"),
    Mistake("best_best", lambda gain: _exact(gain, lambda p: gain[np.arange(len(p)), p].max()),
            "you looked at the largest gain of an order; the sum counts"),
    Mistake("from_zero", lambda gain: _from_zero(gain, np.arange(len(gain))),
            "your best sum begins at 0, so that orders with a negative sum never count; begin at -infinity"),
    Mistake("from_zero_empty", lambda gain: _from_zero(gain, np.array([])),
            "where all sums are negative yours stays empty: your best sum begins at 0; begin at -infinity"),
    Mistake("taken_is_zero", _taken_is_zero,
            "a taken column is 0 in yours, more than a negative gain; and each row takes the best that is "
            "left, which isn't the largest sum"),
    Mistake("largest_taken_is_zero", _largest_taken_is_zero,
            "what is taken is 0 in yours, more than a negative gain; and to take the largest entry first "
            "isn't the largest sum"),
    Mistake("one_pass", lambda gain: _swaps(gain, passes=1),
            "you swapped two where it helped, once through all pairs; go through all orders"),
    Mistake("last_order", lambda gain: np.arange(len(gain))[::-1].copy(),
            "that is the order n - 1, ..., 0, the largest tuple: max needs a key, the sum of the gains"),
    Mistake("identity", lambda gain: np.arange(len(gain)),
            "yours is always 0, 1, 2, ...: nothing moved, or all orders have one sum, as gain[p] has"),
    Mistake("value", _value,
            "that is the largest sum; the order that has it is asked"),
    Mistake("matrix", lambda gain: np.eye(len(gain))[_exact(gain)],
            "that is the matrix of the order; p[i] is the column of row i, (n,)"),
    Mistake("both", lambda gain: (np.arange(len(gain)), _exact(gain)),
            "the columns alone are asked, (n,); yours has the rows, too"),
    Mistake("pairs", lambda gain: np.stack([np.arange(len(gain)), _exact(gain)], axis=1),
            "you returned pairs of row and column; the columns alone are asked, (n,)"),
    Mistake("ranks", lambda gain: np.argsort(-gain, axis=1, kind="stable"),
            "you sorted each row; one column for each row is asked"),
    Mistake("row_sums", lambda gain: np.argsort(-gain.sum(1), kind="stable"),
            "you sorted by the sums of the rows; which column goes with a row, the single entries say"),
    Mistake("column_sums", lambda gain: np.argsort(-gain.sum(0), kind="stable"),
            "you sorted by the sums of the columns; which column goes with a row, the single entries say"),
    Mistake("smallest_greedy", lambda gain: _rows_greedy(gain, worth=-1.0),
            "each row took the smallest that was left; the largest sum is asked"),
    Mistake("best_and_value", lambda gain: (_exact(gain), _value(gain)),
            "the order alone is asked; yours comes with its sum"),
    Mistake("backwards", lambda gain: _rows_greedy(gain, range(len(gain))[::-1]),
            "each row, from the last up, took the best that was left; that isn't the largest sum"),
)  # fmt: skip
