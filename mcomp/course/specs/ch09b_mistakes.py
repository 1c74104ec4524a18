"""Chapter 09b: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch09b_budgets import MISTAKES as BUDGETS


def _product(w, codebooks, distance=lambda x: (x**2).sum(-1), choose=np.argmin, book=lambda c: c):
    parts, _, d = codebooks.shape
    return choose(distance(w.reshape(len(w), parts, 1, d) - book(codebooks)), axis=-1)


def _last(cost, axis):
    return cost.shape[-1] - 1 - np.argmin(cost[..., ::-1], axis=-1)


def _inner(w, codebooks):
    parts, _, d = codebooks.shape
    return (w.reshape(len(w), parts, 1, d) * codebooks).sum(-1).argmax(-1)


def _strided(w, codebooks):
    parts, _, d = codebooks.shape
    return _product(w.reshape(len(w), d, parts).transpose(0, 2, 1).reshape(len(w), -1), codebooks)


def _decoded(w, codebooks):
    index = _product(w, codebooks)
    return codebooks[np.arange(len(codebooks)), index].reshape(w.shape)


def _one_number(w, codebooks):
    return _product(w, codebooks) @ codebooks.shape[1] ** np.arange(len(codebooks))[::-1]


def _whole_rows(w, codebooks):
    cost = ((w.reshape(len(w), len(codebooks), 1, -1) - codebooks) ** 2).sum((1, 3))
    return np.repeat(cost.argmin(1)[:, None], len(codebooks), axis=1)


def _any_codebook(w, codebooks):
    return _product(w, np.repeat(codebooks.reshape(1, -1, codebooks.shape[2]), len(codebooks), axis=0))


def _until(stops):
    """In each row how many entries stand before the first that is true; all, if none is."""
    return np.hstack([stops, np.ones((len(stops), 1), bool)]).argmax(1)


MISTAKES = BUDGETS | {
    "09b.1": (
        Mistake("first_codebook", lambda w, c: _product(w, c, book=lambda c: c[:1]),
                "you looked in the first codebook for every part; each part has its own"),
        Mistake("last_of_equals", lambda w, c: _product(w, c, choose=_last),
                "of vectors that are equally near you took the last; take the first"),
        Mistake("farthest", lambda w, c: _product(w, c, choose=np.argmax), "you took the farthest vector"),
        Mistake("absolute", lambda w, c: _product(w, c, distance=lambda x: abs(x).sum(-1)),
                "you added absolute differences; nearest in least squares was asked for"),
        Mistake("signed", lambda w, c: _product(w, c, distance=lambda x: x.sum(-1)),
                "differences of both signs cancel: square them before you add"),
        Mistake("largest_entry", lambda w, c: _product(w, c, distance=lambda x: abs(x).max(-1)),
                "you compared the largest difference of a run; all its squares count"),
        Mistake("inner_product", _inner,
                "the largest inner product favours long vectors: the nearest has the least distance"),
        Mistake("strided", _strided, "a part is a run of d neighbours, not every parts-th entry"),
        Mistake("decoded", _decoded,
                "those are the nearest vectors themselves; their indices were asked for"),
        Mistake("one_number", _one_number,
                "you joined the parts' indices to one number; a column for each part was asked for"),
        Mistake("whole_rows", _whole_rows,
                "you chose one index for all parts of a row; each part chooses alone, that is the product"),
        Mistake("transposed", lambda w, c: _product(w, c).T,
                "rows of w are rows of the answer: yours is transposed"),
        Mistake("first_part", lambda w, c: np.repeat(_product(w, c)[:, :1], len(c), axis=1),
                "you repeated the first part's index; every part chooses alone"),
        Mistake("flat", lambda w, c: _product(w, c).reshape(-1),
                "a row for each row of w, a column for each part"),
        Mistake("least_errors", lambda w, c: _product(w, c, choose=np.min),
                "those are the least squared distances; the indices were asked for"),
        Mistake("joined", lambda w, c: _product(w, c) + len(c[0]) * np.arange(len(c)),
                "you counted through all codebooks; an index counts within its own, from 0"),
        Mistake("any_codebook", lambda w, c: _any_codebook(w, c),
                "you looked in the codebooks of all parts; a part has only its own"),
        Mistake("signed_size", lambda w, c: _product(w, c, distance=lambda x: abs(x.sum(-1))),
                "you added the differences first: both signs cancel. Square each, then add"),
        Mistake("from_one", lambda w, c: _product(w, c) + 1, "your indices count from 1; the first is 0"),
    ),
    "09b.2": (
        Mistake("least_damage", lambda s, d, price: d.argmin(1),
                "you took the least damage whatever it costs; add price * size"),
        Mistake("smallest", lambda s, d, price: s.argmin(1),
                "you took the smallest choice whatever it breaks; add the damage"),
        Mistake("minus", lambda s, d, price: (d - price * s).argmin(1),
                "you subtracted the price: then bytes are a reward"),
        Mistake("price_on_damage", lambda s, d, price: (price * d + s).argmin(1),
                "the price is a loss per byte: it multiplies the size, not the damage, and divides neither"),
        Mistake("ratio", lambda s, d, price: (d / s).argmin(1),
                "damage per byte ignores the price, and favours large choices"),
        Mistake("product", lambda s, d, price: (d * s).argmin(1),
                "damage times size has no price in it; add the two costs"),
        Mistake("one_for_all", lambda s, d, price: np.full(len(s), (d + price * s).sum(0).argmin()),
                "you chose one column for all layers; each layer chooses alone"),
        Mistake("costs", lambda s, d, price: (d + price * s).min(1),
                "those are the least costs; their indices were asked for"),
        Mistake("last_of_equals",
                lambda s, d, price: s.shape[1] - 1 - (d + price * s)[:, ::-1].argmin(1),
                "of two choices that cost the same you took the later; take the first"),
        Mistake("most", lambda s, d, price: (d + price * s).argmax(1),
                "you took the dearest; the least is asked for"),
        Mistake("column_wise", lambda s, d, price: (d + price * s).argmin(0),
                "you went down the columns: a layer is a row, so choose along axis 1"),
        Mistake("price_once", lambda s, d, price: (d + price + s).argmin(1),
                "the price is for each byte: multiply the size by it"),
        Mistake("chosen_sizes", lambda s, d, price: s[range(len(s)), (d + price * s).argmin(1)],
                "those are the sizes of what you chose; the indices were asked for"),
        Mistake("first_rise", lambda s, d, price: _until((d + price * s)[:, 1:] >= (d + price * s)[:, :-1]),
                "you stopped where the cost first rose; a later choice may cost less still"),
        Mistake("step_by_step", lambda s, d, price: _until(d[:, :-1] - d[:, 1:] < price * np.diff(s, axis=1)),
                "you stopped at the first step that doesn't pay; several together may"),
        Mistake("bits", lambda s, d, price: (d + 8 * price * s).argmin(1),
                "you counted bits; the price is for a unit of the sizes as they are given"),
        Mistake("relative", lambda s, d, price: (
                    d / d.max(1, keepdims=True) + price * s / s.max(1, keepdims=True)).argmin(1),
                "you divided each layer by its largest: then a layer's loss no longer counts as what it is"),
        Mistake("smaller_of_equals", lambda s, d, price: np.lexsort((s, d + price * s), axis=1)[:, 0],
                "of two choices that cost the same you took the smaller; take the first"),
        Mistake("larger_of_two", lambda s, d, price: np.maximum(d, price * s).argmin(1),
                "you took the larger of the two costs; they add up"),
        Mistake("from_one", lambda s, d, price: (d + price * s).argmin(1) + 1,
                "your indices count from 1; the first choice is 0"),
        Mistake("one_of_all", lambda s, d, price: int((d + price * s).argmin()),
                "that is the cheapest choice of all layers; each layer has one: argmin along axis 1"),
        Mistake("total", lambda s, d, price: float((d + price * s).min(1).sum()),
                "that is what the choices cost in all; the choices were asked for"),
        Mistake("chosen_damages", lambda s, d, price: d[range(len(s)), (d + price * s).argmin(1)],
                "those are the damages of what you chose; the indices were asked for"),
        Mistake("below_the_price", lambda s, d, price: _until(d[:, :-1] < price),
                "you took the first damage below the price; the price is for bytes: damage + price * size"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "A codebook of 256 vectors of four weights: how many bits does a weight cost?",
        (
            Option("Eight: an index has eight bits.", "An index serves four weights."),
            Option("Two, and its share of the codebook.",
                   "Yes: log2(256) / 4, and 256 vectors that a small layer doesn't pay back.", right=True),
            Option("Two, exactly.",
                   "The codebook must be stored too; in a small layer it is most of the bytes."),
        ),
    ),
    Question(
        "A product quantizer has two parts with 16 vectors each. How many rows can it make?",
        (
            Option("32, the vectors that it stores.", "Each part chooses alone: the choices multiply."),
            Option("256, one for each pair.", "Yes: 16 times 16 from 32 stored halves.", right=True),
            Option("16, one for each index.", "A row has two indices, one a part."),
        ),
    ),
    Question(
        "Every layer's damage was measured with that layer alone at two levels. What is their sum?",
        (
            Option("The loss of the network with all layers at two levels.",
                   "Only while damages are small; large errors of one layer meet another layer's."),
            Option("A forecast that is good for small damages and can be far off for large ones.",
                   "Yes: the loss adds up near the trained weights, and not far from them.", right=True),
            Option("Always more than the true loss.",
                   "In this chapter it is less than the true loss where layers have three levels."),
        ),
    ),
)  # fmt: skip
