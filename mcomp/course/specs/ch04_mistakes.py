"""Chapter 04: the wrong answers that people write, each with what happened; and the quiz.

The wrong axis for a neuron's weights and a mask called a smaller layer are errors of published tutorials.
"""

from itertools import permutations

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _top(score, k):
    mask = np.zeros(len(score), bool)
    mask[np.argsort(-score, kind="stable")[:k]] = True
    return mask


def _left(widths, ratio, *, ends=False, cut=lambda n, ratio: n - round(ratio * n), product=True):
    widths = [int(n) for n in widths]
    inner = [n if i in (0, len(widths) - 1) and not ends else cut(n, ratio) for i, n in enumerate(widths)]
    reads = inner[:-1] if product else widths[:-1]
    return sum(a * b for a, b in zip(reads, inner[1:], strict=True))


def _wrong_side(w1, b1, w2, keep):
    rows = np.resize(w2, (len(keep), w2.shape[1]))
    return w1[keep], b1[keep], rows[keep]


def _fours(score, keep):
    groups = score.reshape(len(score), -1, 4)
    order = np.argsort(-groups, axis=-1, kind="stable")
    return keep(np.argsort(order, axis=-1, kind="stable")).reshape(score.shape)


def _by_column(score):
    return _fours(np.ascontiguousarray(score.T), lambda rank: rank < 2).T.copy()


def _half_of_row(score):
    order = np.argsort(-score, axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable") < score.shape[1] // 2


def _late(score):
    return _fours(score[:, ::-1], lambda rank: rank < 2)[:, ::-1].copy()


def _ties_stay(score):
    groups = score.reshape(len(score), -1, 4)
    return (groups >= np.sort(groups, axis=-1)[..., 2:3]).reshape(score.shape)


def _kept(w, order=None):
    w = abs(w) if order is None else abs(w)[:, order]
    return float(np.sort(w.reshape(len(w), 2, 4), axis=-1)[..., 2:].sum())


def _neighbours(w):
    orders = [np.arange(8)]
    for i in range(7):
        order = np.arange(8)
        order[[i, i + 1]] = order[[i + 1, i]]
        orders.append(order)
    return max(_kept(w, order) for order in orders)


def _sorted_columns(w):
    return _kept(w, np.argsort(-abs(w).sum(0), kind="stable"))


def _squares(w):
    best = max(((_kept(w**2, order), order) for order in _orders()), key=lambda pair: pair[0])
    return float(best[0])


def _orders():
    seen = {frozenset(p) for p in permutations(range(8), 4)}
    return [[*sorted(first), *sorted(set(range(8)) - first)] for first in sorted(seen, key=sorted)]


MISTAKES = {
    "04.1": (
        Mistake("wrong_axis", lambda w: abs(w).sum((0, 2, 3)),
                "you summed over the outputs: that gives a number for each input channel, not each filter"),
        Mistake("no_abs", lambda w: w.sum((1, 2, 3)),
                "positive and negative weights cancel in your sum; it is |w| that is added up"),
        Mistake("mean", lambda w: abs(w).mean((1, 2, 3)),
                "you took the mean; the sum was asked for (the ranking within a layer is the same)"),
        Mistake("l2", lambda w: np.sqrt((w**2).sum((1, 2, 3))),
                "that is the Euclidean length; this score adds up |w|"),
        Mistake("pixels_left", lambda w: abs(w).sum((2, 3)),
                "you summed over the pixels alone: a filter has all input channels"),
        Mistake("largest", lambda w: abs(w).max((1, 2, 3)),
                "you took the largest weight of each filter; this score adds them all up"),
    ),
    "04.2": (
        Mistake("rows_only", lambda w1, b1, w2, keep: (w1[keep], b1[keep], w2),
                "w2 still reads the neurons that are gone: its columns must go as well"),
        Mistake("bias_stays", lambda w1, b1, w2, keep: (w1[keep], b1, w2[:, keep]),
                "b1 still has an entry for each neuron that is gone"),
        Mistake("masked", lambda w1, b1, w2, keep: (w1 * keep[:, None], b1 * keep, w2 * keep),
                "you set to zero; the arrays are as large as before, and so is the work"),
        Mistake("inverted", lambda w1, b1, w2, keep: (w1[~keep], b1[~keep], w2[:, ~keep]),
                "you kept the neurons that should go: True means keep"),
        Mistake("rows_of_w2", _wrong_side,
                "you took rows of w2; its rows are the outputs, its columns the hidden neurons"),
    ),
    "04.3": (
        Mistake("tiled", lambda keep, height, width: np.tile(keep, height * width),
                "you repeated the whole mask; after a flatten the pixels of one channel stand together"),
        Mistake("one_each", lambda keep, height, width: np.array(keep),
                "one entry a channel: behind the flatten a channel has height·width columns"),
        Mistake("height_only", lambda keep, height, width: np.repeat(keep, height),
                "you repeated each entry height times; a channel has height·width pixels"),
        Mistake("width_only", lambda keep, height, width: np.repeat(keep, width),
                "you repeated each entry width times; a channel has height·width pixels"),
        Mistake("inverted", lambda keep, height, width: ~np.repeat(keep, height * width),
                "your mask is upside down: True means keep"),
    ),
    "04.4": (
        Mistake("by_column", _by_column,
                "you took groups of four down the columns; neighbours are in a row, along the inputs"),
        Mistake("half_of_row", _half_of_row,
                "you kept half of each row: some groups of four then have more than two"),
        Mistake("smallest", lambda score: _fours(-score, lambda rank: rank < 2),
                "you kept the two smallest of each four"),
        Mistake("ties_stay", _ties_stay,
                "on ties you keep more than two: a threshold lets all equals in"),
        Mistake("later_wins", _late,
                "the count is right, but of equal scores yours keeps the later; the earlier column stays"),
        Mistake("one", lambda score: _fours(score, lambda rank: rank < 1),
                "you kept one of each four; two stay"),
        Mistake("drops_largest", lambda score: _fours(score, lambda rank: rank >= 2),
                "your mask is upside down where scores differ: True means keep"),
    ),
    "04.5": (
        Mistake("no_order", _kept,
                "you kept the columns as they are; another order may keep more"),
        Mistake("neighbours", _neighbours,
                "you tried swaps of neighbours alone; columns may go anywhere"),
        Mistake("sorted", _sorted_columns,
                "sorting puts the large columns into one group, where they throw each other out"),
        Mistake("row_by_row", lambda w: float(sum(max(_kept(row[None], o) for o in _orders()) for row in w)),
                "you gave each row an order of its own; a column moves as a whole, for all rows"),
        Mistake("squares", _squares,
                "you added up squares; the sum of |w| was asked for"),
        Mistake("top_half", lambda w: float(np.sort(abs(w), axis=None)[w.size // 2 :].sum()),
                "that is the larger half of all weights, which no order need reach"),
        Mistake("signed", lambda w: max(float(np.sort(w[:, o].reshape(len(w), 2, 4), axis=-1)[..., 2:].sum())
                                        for o in _orders()),
                "you ranked w, not |w|, so large negative weights went"),
    ),
    "04.6": (
        Mistake("ends_too", lambda widths, ratio: _left(widths, ratio, ends=True),
                "you pruned the input or the output too: the pixels and the classes must stay"),
        Mistake("outputs_only", lambda widths, ratio: _left(widths, ratio, product=False),
                "you shrank what each layer makes but not what it reads: then the layers don't fit"),
        Mistake("no_rounding", lambda widths, ratio: _left(widths, ratio, cut=lambda n, r: (1 - r) * n),
                "a width is a whole number: of n, round(ratio * n) go"),
        Mistake("rounds_down", lambda widths, ratio: _left(widths, ratio, cut=lambda n, r: int((1 - r) * n)),
                "you rounded what stays downwards; of n, round(ratio * n) go"),
        Mistake("linear", lambda widths, ratio: round((1 - ratio) * _left(widths, 0.0)),
                "you removed the fraction `ratio` of the weights; a channel is shared by two matrices"),
        Mistake("square", lambda widths, ratio: round((1 - ratio) ** 2 * _left(widths, 0.0)),
                "(1 - ratio)² holds between two hidden layers; the first and the last matrix lose one side"),
        Mistake("what_goes", lambda widths, ratio: _left(widths, 0.0) - _left(widths, ratio),
                "that is how many weights go; how many stay was asked for"),
    ),
    "04.7": (
        Mistake("first_only", lambda a, b, k: _top(a, k),
                "you looked at the first layer alone; the second loses the same channels"),
        Mistake("second_only", lambda a, b, k: _top(b, k),
                "you looked at the second layer alone; the first loses the same channels"),
        Mistake("both_masks_or", lambda a, b, k: _top(a, k) | _top(b, k),
                "you kept what either layer wants: more than k stay"),
        Mistake("both_masks_and", lambda a, b, k: _top(a, k) & _top(b, k),
                "you kept what both layers want: fewer than k stay"),
        Mistake("larger", lambda a, b, k: _top(np.maximum(a, b), k),
                "you ranked by the larger of the two scores; their sum was asked for"),
        Mistake("product", lambda a, b, k: _top(a * b, k),
                "you multiplied the scores; their sum was asked for"),
        Mistake("drops_k", lambda a, b, k: _top(a + b, len(a) - k),
                "you let k channels go; k is how many stay"),
        Mistake("smallest", lambda a, b, k: _top(-(a + b), k),
                "you kept the k smallest"),
    ),
}  # fmt: skip

QUIZ = (
    Question("A network adds conv1(x) + conv2(x). Filter 5 of conv1 scores lowest. May it go?", (
        Option("yes, alone", "the sum would add tensors of different widths"),
        Option("yes, together with filter 5 of conv2",
               "the two make the same channel, so they leave together", right=True),
        Option("no, never", "coupled filters can go; they must go as one"),
    )),
    Question("Half of the channels of every hidden layer go. What is left of an inner matrix?", (
        Option("half of its weights", "it loses half of its rows, and then half of its columns"),
        Option("a quarter", "half of the rows times half of the columns", right=True),
        Option("three quarters", "three quarters are what goes"),
    )),
    Question("A 2:4 mask on a CPU without kernels for it makes a layer", (
        Option("twice as fast", "only hardware or a kernel that skips the zeros gains from them"),
        Option("as fast as before", "the zeros are multiplied like any other number", right=True),
        Option("slower than an unstructured mask of the same sparsity",
               "both are dense arrays to the processor"),
    )),
)  # fmt: skip
