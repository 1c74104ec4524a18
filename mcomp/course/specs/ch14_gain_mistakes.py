"""Chapter 14: the mistakes of the exercise on what a pair of units is worth."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _parts(a, b):
    (w1, b1, w2), (v1, c1, v2) = a, b
    return w1 @ v1.T, np.outer(b1, c1), w2.T @ v2


def _rows(network):
    """All numbers of a unit in a row: (hidden, inputs + 1 + outputs)."""
    w1, b1, w2 = network
    return np.concatenate([w1, b1[:, None], w2.T], axis=1)


def _cosines(a, b):
    one, two = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (_rows(a), _rows(b)))
    return one @ two.T


def _near(x, y):
    return ((x[:, None] - y) ** 2).sum(-1)


def _three_cosines(a, b):
    rows = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a[0], b[0], a[2].T, b[2].T)]
    return rows[0] @ rows[1].T + np.outer(a[1], b[1]) + rows[2] @ rows[3].T


def _other_axes(a, b):
    return a[0].T @ b[0] + np.outer(a[1], b[1]) + a[2] @ b[2].T


def _squares(a, b):
    return ((_rows(a)[:, None] - _rows(b)) ** 2).sum(-1)


def _correlations(a, b):
    one, two = (x - x.mean(1, keepdims=True) for x in (_rows(a), _rows(b)))
    return one @ two.T


def _second_plain(a, b):
    return a[0] @ b[0].T + np.outer(a[1], b[1]) + a[2] @ b[2].T


def _second_turned(a, b):
    return a[0] @ b[0].T + np.outer(a[1], b[1]) + b[2].T @ a[2]


GAINS = (
    Mistake("turned", lambda a, b: sum(_parts(a, b)).T,
            "rows are units of b in yours: entry [i, j] is for unit i of a and unit j of b"),
    Mistake("no_bias", lambda a, b: _parts(a, b)[0] + _parts(a, b)[2],
            "the bias is missing: a unit takes it along"),
    Mistake("no_second", lambda a, b: _parts(a, b)[0] + _parts(a, b)[1],
            "the columns of w2 are missing: they, too, belong to the units"),
    Mistake("first_only", lambda a, b: _parts(a, b)[0],
            "you compared the rows of w1 alone; biases and columns of w2 belong to the units, too"),
    Mistake("second_only", lambda a, b: _parts(a, b)[2],
            "you compared the columns of w2 alone; rows of w1 and biases belong to the units, too"),
    Mistake("no_first", lambda a, b: _parts(a, b)[1] + _parts(a, b)[2],
            "the rows of w1 are missing"),
    Mistake("bias_sum", lambda a, b: _parts(a, b)[0] + a[1][:, None] + b[1] + _parts(a, b)[2],
            "the two biases are multiplied, not added: each pair of numbers gives a product"),
    Mistake("bias_same", lambda a, b: _parts(a, b)[0] + a[1] * b[1] + _parts(a, b)[2],
            "b1 * c1 pairs unit i with unit i; an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("bias_column", lambda a, b: _parts(a, b)[0] + (a[1] * b[1])[:, None] + _parts(a, b)[2],
            "your biases pair unit i with unit i; an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("bias_number", lambda a, b: _parts(a, b)[0] + a[1] @ b[1] + _parts(a, b)[2],
            "b1 @ c1 is one number, the same for all pairs; an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("bias_turned", lambda a, b: _parts(a, b)[0] + _parts(a, b)[1].T + _parts(a, b)[2],
            "your biases are turned: entry [i, j] needs that of unit i of a and of unit j of b"),
    Mistake("second_plain", _second_plain,
            "w2 @ v2.T compares outputs; the hidden units are the columns of w2: w2.T @ v2"),
    Mistake("second_turned", _second_turned,
            "in the part of w2 the rows are units of b: w2.T @ v2, with those of a first"),
    Mistake("first_turned", lambda a, b: _parts(a, b)[0].T + _parts(a, b)[1] + _parts(a, b)[2],
            "in the part of w1 the rows are units of b: w1 @ v1.T, with those of a first"),
    Mistake("cosine", quiet(_cosines),
            "you divided by the lengths; the inner product itself is asked"),
    Mistake("three_cosines", quiet(_three_cosines),
            "you divided by lengths in each part; the inner product itself is asked"),
    Mistake("other_axes", _other_axes,
            "you compared inputs and outputs; hidden units are the rows of w1 and the columns of w2"),
    Mistake("first_squares", lambda a, b: _near(a[0], b[0]),
            "squared distances of rows of w1 are small where units fit; the inner product of all is asked"),
    Mistake("first_minus_squares", lambda a, b: -_near(a[0], b[0]),
            "you took minus the squared distance of rows of w1; the inner product of all parts is asked"),
    Mistake("correlation", quiet(lambda a, b: np.corrcoef(_rows(a), _rows(b))[: len(a[1]), len(a[1]) :]),
            "that is a correlation: means are taken away, lengths divided out; the inner product is asked"),
    Mistake("minus_differences", lambda a, b: -abs(_rows(a)[:, None] - _rows(b)).sum(-1),
            "you summed differences, with a minus; products are asked"),
    Mistake("means", lambda a, b: _parts(a, b)[0] / a[0].shape[1] + _parts(a, b)[1]
            + _parts(a, b)[2] / len(a[2]),
            "you took the mean in each part; sums are asked"),
    Mistake("absolute_parts", lambda a, b: sum(abs(part) for part in _parts(a, b)),
            "you took the size of each part; a negative inner product is a bad one"),
    Mistake("over_own", lambda a, b: sum(_parts(a, b)) - np.diag(sum(_parts(a, b)))[:, None],
            "you took away what unit i of b adds there now; what unit j adds is asked, by itself"),
    Mistake("column_sums", lambda a, b: sum(_parts(a, b)[:2]) + np.outer(a[2].sum(0), b[2].sum(0)),
            "you multiplied sums of columns of w2; multiply entry by entry, then sum"),
    Mistake("minus_distance", lambda a, b: -np.sqrt(_squares(a, b)),
            "that is minus the distance; the inner product is asked"),
    Mistake("bias_of_b", lambda a, b: _parts(a, b)[0] + b[1] + _parts(a, b)[2],
            "you added the biases of b; an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("bias_of_a", lambda a, b: _parts(a, b)[0] + a[1][:, None] + _parts(a, b)[2],
            "you added the biases of a; an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("second_minus", lambda a, b: _parts(a, b)[0] + _parts(a, b)[1] - _parts(a, b)[2],
            "the part of w2 is subtracted; all three parts are added"),
    Mistake("both_biases_added", lambda a, b: _parts(a, b)[0] + a[1] + b[1] + _parts(a, b)[2],
            "the two biases are multiplied, not added: an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("half", lambda a, b: sum(_parts(a, b)) / 2,
            "you took half of it; the inner product is asked"),
    Mistake("bias_diagonal", lambda a, b: _parts(a, b)[0] + np.diag(a[1] * b[1]) + _parts(a, b)[2],
            "your biases count for the pairs (i, i) only; an entry [i, j] needs b1[i] * c1[j]"),
    Mistake("own_second", lambda a, b: _parts(a, b)[0] + _parts(a, b)[1] + _parts(a, a)[2],
            "in the part of w2 you compared a with itself"),
    Mistake("first_cosine", quiet(lambda a, b: _parts(a, b)[0]
            / np.outer(np.linalg.norm(a[0], axis=1), np.linalg.norm(b[0], axis=1))),
            "you took cosines of the rows of w1; the inner product of all that belongs to a unit is asked"),
    Mistake("squared", lambda a, b: sum(_parts(a, b)) ** 2,
            "you squared the inner product; a negative one is bad"),
    Mistake("squares", _squares,
            "that is the squared distance, which is small for units that fit; the inner product is asked"),
    Mistake("minus_squares", lambda a, b: -_squares(a, b),
            "minus the squared distance leads to the same order, but the inner product itself is asked"),
    Mistake("distance", lambda a, b: np.sqrt(_squares(a, b)),
            "that is the distance, which is small for units that fit; the inner product is asked"),
    Mistake("absolute", lambda a, b: abs(sum(_parts(a, b))),
            "you took the size; a negative inner product is a bad one"),
    Mistake("centred", _correlations,
            "you took means away first; the inner product of the numbers as they are is asked"),
    Mistake("with_itself", lambda a, b: sum(_parts(a, a)),
            "you compared a with itself"),
    Mistake("with_itself_b", lambda a, b: sum(_parts(b, b)),
            "you compared b with itself"),
    Mistake("product", lambda a, b: _parts(a, b)[0] * _parts(a, b)[1] * _parts(a, b)[2],
            "you multiplied the three parts; an inner product adds them"),
    Mistake("mean", lambda a, b: sum(_parts(a, b)) / _rows(a).shape[1],
            "you took the mean over a unit's numbers; the sum is asked"),
    Mistake("third", lambda a, b: sum(_parts(a, b)) / 3,
            "you took the mean of the three parts; their sum is asked"),
    Mistake("diagonal", lambda a, b: np.diag(sum(_parts(a, b))).copy(),
            "you have only the pairs (i, i); all pairs are asked, (hidden, hidden)"),
    Mistake("total", lambda a, b: float(np.trace(sum(_parts(a, b)))),
            "that is the inner product as the networks stand; an entry for each pair is asked"),
    Mistake("minus", lambda a, b: -sum(_parts(a, b)),
            "the sign is the wrong way: what is asked is a gain, not a cost"),
    Mistake("differences", lambda a, b: abs(_rows(a)[:, None] - _rows(b)).sum(-1),
            "you summed differences; products are asked"),
)  # fmt: skip
