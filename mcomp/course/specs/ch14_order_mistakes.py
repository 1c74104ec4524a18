"""Chapter 14: the mistakes of the exercise on hidden units in another order."""

import numpy as np

from mcomp.course.model import Mistake


def _turned(
    w1, b1, w2, b2, w3, p, q, *, rows1=None, bias1=None, rows2=None, columns2=None, bias2=None, columns3=None
):
    """Each part by an order of its own; None: as it should be."""
    p1, p2, p3 = (p if order is None else order for order in (rows1, bias1, columns2))
    q1, q2, q3 = (q if order is None else order for order in (rows2, bias2, columns3))
    return w1[p1], b1[p2], w2[np.ix_(q1, p3)], b2[q2], w3[:, q3]


def _back(order):
    return np.argsort(order, kind="stable")


def _same(order):
    return np.arange(len(order))


def _inverse(*parts):
    """The inverse order in some of the parts."""
    return lambda *a: _turned(*a, **{part: _back(a[5] if part in FIRST else a[6]) for part in parts})


def _left(*parts):
    """Some of the parts left as they were."""
    return lambda *a: _turned(*a, **{part: _same(a[5] if part in FIRST else a[6]) for part in parts})


FIRST, SECOND = ("rows1", "bias1", "columns2"), ("rows2", "bias2", "columns3")


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
    Mistake("columns_back", _inverse("columns2", "columns3"),
            "your columns are in the inverse order: rows and columns follow the same p, the same q"),
    Mistake("rows_back", _inverse("rows1", "bias1", "rows2", "bias2"),
            "your rows are in the inverse order: new unit i is old unit p[i]"),
    Mistake("columns2_back", _inverse("columns2"),
            "the columns of w2 are in the inverse order; they follow p, as the rows of w1 do"),
    Mistake("columns3_back", _inverse("columns3"),
            "the columns of w3 are in the inverse order; they follow q, as the rows of w2 do"),
    Mistake("columns2_left", _left("columns2"),
            "the columns of w2 stayed: they read the first hidden layer, whose units moved"),
    Mistake("columns3_left", _left("columns3"),
            "the columns of w3 stayed: they read the second hidden layer, whose units moved"),
    Mistake("columns_left", _left("columns2", "columns3"),
            "you moved the units, but the next layers still read the old places: their columns move, too"),
    Mistake("rows2_left", _left("rows2"),
            "the rows of w2 stayed: they make the second hidden layer, in the order q"),
    Mistake("rows2_columns3_left", _left("rows2", "columns3"),
            "rows of w2, columns of w3 stayed, while b2 moved: all three belong to the second hidden layer"),
    Mistake("bias1_left", _left("bias1"),
            "b1 stayed: a unit takes its bias along"),
    Mistake("bias2_left", _left("bias2"),
            "b2 stayed: a unit takes its bias along"),
    Mistake("biases_left", _left("bias1", "bias2"),
            "the biases stayed: a unit takes its bias along"),
    Mistake("second_left", _left(*SECOND),
            "only the first hidden layer moved; the second has an order, too: q"),
    Mistake("first_left", _left(*FIRST),
            "only the second hidden layer moved; the first has an order, too: p"),
    Mistake("nothing", _left(*FIRST, *SECOND),
            "nothing moved"),
    Mistake("exchanged", _parts(w2=lambda w2, p, q: w2[np.ix_(p, q)]),
            "in w2 the orders are exchanged: rows follow q, columns follow p"),
    Mistake("pairs", _parts(w2=lambda w2, p, q: w2[q, p]),
            "w2[q, p] picks single entries, (q[i], p[i]); rows first, then columns: w2[q][:, p]"),
    Mistake("inputs_first", _inputs_first,
            "you took the weights as (inputs, outputs): here w1 is (hidden, inputs), its rows are units"),
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
    Mistake("rows2_back", _inverse("rows2"),
            "the rows of w2 are in the inverse order: new unit i is old unit q[i]"),
    Mistake("biases_back", _inverse("bias1", "bias2"),
            "the biases are in the inverse order: new unit i is old unit p[i], with its own bias"),
    Mistake("bias2_back", _inverse("bias2"),
            "b2 is in the inverse order: new unit i is old unit q[i], with its own bias"),
    Mistake("bias1_back", _inverse("bias1"),
            "b1 is in the inverse order: new unit i is old unit p[i], with its own bias"),
    Mistake("rows1_back", _inverse("rows1"),
            "the rows of w1 are in the inverse order: new unit i is old unit p[i]"),
    Mistake("rows12_back", _inverse("rows1", "rows2"),
            "the rows of w1 and w2 are in the inverse order: new unit i is old unit p[i]"),
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
