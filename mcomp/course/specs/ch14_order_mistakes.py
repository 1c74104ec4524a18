"""Chapter 14: the mistakes of the exercise on hidden units in another order."""

from itertools import combinations

import numpy as np

from mcomp.course.model import Mistake


def _turned(
    w1, b1, w2, b2, w3, p, q, *, rows1=None, bias1=None, rows2=None, columns2=None, bias2=None, columns3=None
):
    """Each part by an order of its own; None: as it should be."""
    p1, p2, p3 = (p if order is None else order for order in (rows1, bias1, columns2))
    q1, q2, q3 = (q if order is None else order for order in (rows2, bias2, columns3))
    return w1[p1], b1[p2], w2[np.ix_(q1, p3)], b2[q2], w3[:, q3]


FIRST, SECOND = ("rows1", "bias1", "columns2"), ("rows2", "bias2", "columns3")
PARTS = {
    "rows1": "the rows of w1", "bias1": "b1", "columns2": "the columns of w2",
    "rows2": "the rows of w2", "bias2": "b2", "columns3": "the columns of w3",
}  # fmt: skip
COLUMNS, BIASES = ("columns2", "columns3"), ("bias1", "bias2")


def _with(change, parts):
    """Some of the parts by change(order) instead of their order."""
    return lambda *a: _turned(*a, **{part: change(a[5] if part in FIRST else a[6]) for part in parts})


def _inverse(*parts):
    return _with(np.argsort, parts)


def _left(*parts):
    return _with(lambda order: np.arange(len(order)), parts)


def _of(most, name, answer, sentence, *, but):
    """A mistake for each one, two, ... of the parts."""
    for size in range(1, most + 1):
        for parts in combinations(PARTS, size):
            if parts in but:
                continue
            named = ", ".join(PARTS[part] for part in parts)
            yield Mistake("_".join((*parts, name)), answer(*parts), sentence.format(named))


def _parts(**changed):
    """The right answer but for some of the parts: change(part, p, q)."""

    def answer(w1, b1, w2, b2, w3, p, q):
        right = dict(zip(NAMES, _turned(w1, b1, w2, b2, w3, p, q), strict=True))
        given = dict(zip(NAMES, (w1, b1, w2, b2, w3), strict=True))
        return tuple(
            {**right, **{name: change(given[name], p, q) for name, change in changed.items()}}.values()
        )

    return answer


NAMES = ("w1", "b1", "w2", "b2", "w3")


def _inputs_first(w1, b1, w2, b2, w3, p, q):
    return w1[:, p], b1[p], w2[np.ix_(p, q)], b2[q], w3[q]


def _rows_of_readers(w1, b1, w2, b2, w3, p, q):
    return w1[p], b1[p], w2[p], b2[q], w3[q]


def _all_by_p(w1, b1, w2, b2, w3, p, q):
    return w1[p], b1[p], w2[p][:, p], b2[p], w3[:, p]


def _middle_by_other(w1, b1, w2, b2, w3, p, q):
    return w1[p], b1[p], w2[np.ix_(p, q)], b2[p], w3[:, q]


def _swapped_orders(w1, b1, w2, b2, w3, p, q):
    return w1[q], b1[q], w2[np.ix_(p, q)], b2[p], w3[:, p]


RENUMBERED = (
    Mistake("all_inverse", _inverse(*FIRST, *SECOND),
            "the other way round: yours puts old unit i in place p[i]; new unit i is old unit p[i]"),
    Mistake("rows_back", _inverse("rows1", "bias1", "rows2", "bias2"),
            "your rows are in the inverse order: new unit i is old unit p[i]"),
    Mistake("first_left", _left(*FIRST),
            "only the second hidden layer moved; the first has an order, too: p"),
    Mistake("second_left", _left(*SECOND),
            "only the first hidden layer moved; the second has an order, too: q"),
    Mistake("columns_back", _inverse(*COLUMNS),
            "your columns are in the inverse order: rows and columns follow the same p, the same q"),
    Mistake("columns_left", _left(*COLUMNS),
            "you moved the units, but the next layers still read the old places: their columns move, too"),
    Mistake("biases_left", _left(*BIASES),
            "the biases stayed: a unit takes its bias along"),
    *_of(2, "left", _left, "you didn't move {}: all that belongs to a hidden unit moves with it",
         but={COLUMNS, BIASES}),
    *_of(2, "back", _inverse, "in the inverse order: {}; what comes to place i is old unit p[i], or q[i]",
         but={COLUMNS}),
    Mistake("nothing", _left(*FIRST, *SECOND),
            "nothing moved"),
    Mistake("exchanged", _parts(w2=lambda w2, p, q: w2[np.ix_(p, q)]),
            "in w2 the orders are exchanged: rows follow q, columns follow p"),
    Mistake("pairs", _parts(w2=lambda w2, p, q: w2[q, p]),
            "w2[q, p] picks single entries, (q[i], p[i]); rows first, then columns: w2[q][:, p]"),
    Mistake("inputs_first", _inputs_first,
            "you took the weights as (inputs, outputs): here w1 is (hidden, inputs), its rows are units"),
    Mistake("rows_alone", _parts(w2=lambda w2, p, q: w2[q], w3=lambda w3, p, q: w3[q]),
            "only rows moved: the columns of w2 and w3 read hidden units, and move with them"),
    Mistake("four", lambda *a: _turned(*a)[:4],
            "w3 is missing: it reads the second hidden layer"),
    Mistake("rows_twice", _parts(w2=lambda w2, p, q: w2[q][p]),
            "you moved the rows of w2 twice; q moves its rows, p its columns: w2[q][:, p]"),
    Mistake("rows_of_readers", _rows_of_readers,
            "you moved rows alone; units are rows where they are made and columns where they are read"),
    Mistake("all_by_p", _all_by_p,
            "all follow p in yours; b2, the rows of w2 and the columns of w3 follow q"),
    Mistake("middle_by_other", _middle_by_other,
            "in w2 the orders are exchanged, and b2 follows p: rows of w2 and b2 follow q, columns of w2 p"),
    Mistake("rows2_by_p", _parts(w2=lambda w2, p, q: w2[p]),
            "w2[p] moves rows by p; the rows of w2 follow q, its columns p: w2[q][:, p]"),
    Mistake("columns2_by_q", _parts(w2=lambda w2, p, q: w2[:, q]),
            "w2[:, q] moves columns by q; the rows of w2 follow q, its columns p: w2[q][:, p]"),
    Mistake("middle_transposed", _parts(w2=lambda w2, p, q: w2[np.ix_(q, p)].T),
            "w2 came out transposed; it stays (second hidden layer, first hidden layer)"),
    Mistake("columns_and_biases_back", _inverse("bias1", "columns2", "bias2", "columns3"),
            "biases and columns are in the inverse order: they follow the same p, the same q as the rows"),
    Mistake("biases_exchanged", _parts(b1=lambda b1, p, q: b1[q], b2=lambda b2, p, q: b2[p]),
            "the biases follow the wrong orders: b1 belongs to the first hidden layer and follows p"),
    Mistake("last_by_both", _parts(w3=lambda w3, p, q: w3[:, p][:, q]),
            "w3 reads the second hidden layer alone: its columns follow q, not p as well"),
    Mistake("last_rows_by_p", _parts(w3=lambda w3, p, q: w3[p]),
            "you moved the rows of w3, the outputs; the hidden units are its columns, in the order q"),
    Mistake("last_by_p", _parts(w3=lambda w3, p, q: w3[:, p]),
            "w3 reads the second hidden layer: its columns follow q"),
    Mistake("bias2_by_p", _parts(b2=lambda b2, p, q: b2[p]),
            "b2 belongs to the second hidden layer: it follows q"),
    Mistake("rows_of_last", _parts(w3=lambda w3, p, q: w3[q]),
            "you moved the rows of w3, the outputs; the hidden units are its columns"),
    Mistake("inputs_too", _parts(w1=lambda w1, p, q: w1[np.ix_(p, p)]),
            "you moved the columns of w1, too: those are the inputs, which keep their order"),
    Mistake("inputs_only", _parts(w1=lambda w1, p, q: w1[:, p]),
            "you moved the columns of w1, the inputs; the hidden units are its rows"),
    Mistake("outputs_too", _parts(w3=lambda w3, p, q: w3[np.ix_(q, q)]),
            "you moved the rows of w3, too: those are the outputs, which keep their order"),
    Mistake("swapped_orders", _swapped_orders,
            "p and q are exchanged: p is the order of the first hidden layer"),
    Mistake("last_transposed", _parts(w3=lambda w3, p, q: w3[:, q].T),
            "w3 came out transposed; it stays (outputs, hidden)"),
    Mistake("no_biases", lambda *a: (_turned(*a)[0], _turned(*a)[2], _turned(*a)[4]),
            "the biases are missing: return (w1, b1, w2, b2, w3)"),
    Mistake("weights_first", lambda *a: tuple(_turned(*a)[i] for i in (0, 2, 4, 1, 3)),
            "the order is (w1, b1, w2, b2, w3)"),
    Mistake("second_inverse", _inverse(*SECOND),
            "the second hidden layer is in the inverse order: its new unit i is old unit q[i]"),
    Mistake("first_inverse", _inverse(*FIRST),
            "the first hidden layer is in the inverse order: its new unit i is old unit p[i]"),
    Mistake("only_rows1", _left("bias1", "columns2", *SECOND),
            "only the rows of w1 moved; b1 and the columns of w2 belong to the same units"),
)  # fmt: skip
