"""Chapter 19: wrong ways to share heads, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _heads(change):
    """``change(heads (kv_heads, some, size, n))`` gives (kv_heads, size, n)."""

    def answer(w, heads, kv_heads):
        parts = w.reshape(kv_heads, heads // kv_heads, len(w) // heads, -1)
        return np.asarray(change(parts)).reshape(-1, w.shape[1])

    return quiet(answer)


def _far(w, heads, kv_heads):
    parts = w.reshape(heads // kv_heads, kv_heads, len(w) // heads, -1)
    return parts.mean(0).reshape(-1, w.shape[1])


def _rows_of_a_head(w, heads, kv_heads):
    """Neighbouring rows are averaged, whatever head they are of."""
    return w.reshape(-1, heads // kv_heads, w.shape[1]).mean(1)


def _size_first(w, heads, kv_heads):
    size = len(w) // heads
    parts = w.reshape(size, heads, -1).transpose(1, 0, 2).reshape(kv_heads, heads // kv_heads, size, -1)
    return parts.mean(1).reshape(-1, w.shape[1])


def _back(w, heads, kv_heads):
    parts = w.reshape(kv_heads, heads // kv_heads, len(w) // heads, -1)
    return np.broadcast_to(parts.mean(1, keepdims=True), parts.shape).reshape(w.shape)


def _order_turned(w, heads, kv_heads):
    parts = w.reshape(kv_heads, heads // kv_heads, len(w) // heads, -1)
    return parts.mean(1)[::-1].reshape(-1, w.shape[1])


def _first_heads(w, heads, kv_heads):
    return w[: kv_heads * (len(w) // heads)]


def _root(parts):
    return parts.sum(1) / np.sqrt(parts.shape[1])


HEADS = (
    Mistake("sum", _heads(lambda parts: parts.sum(1)), "the heads of a group were added up, not averaged"),
    Mistake(
        "root",
        _heads(_root),
        "the sum was divided by the root of the number of heads; the mean divides by it",
    ),
    Mistake(
        "first", _heads(lambda parts: parts[:, 0]), "each new head is the first of its group, not the mean"
    ),
    Mistake(
        "last", _heads(lambda parts: parts[:, -1]), "each new head is the last of its group, not the mean"
    ),
    Mistake(
        "median",
        _heads(lambda parts: np.median(parts, axis=1)),
        "you took the median of a group; the mean is asked for",
    ),
    Mistake(
        "largest",
        _heads(lambda parts: parts.max(1)),
        "you took the largest of a group; the mean is asked for",
    ),
    Mistake(
        "far_heads",
        quiet(_far),
        "heads that are kv_heads apart were averaged; a group are neighbours",
    ),
    Mistake(
        "rows",
        quiet(_rows_of_a_head),
        "neighbouring rows were averaged; row i of a head goes together with row i of the others",
    ),
    Mistake(
        "interleaved",
        quiet(_size_first),
        "you took every heads-th row for a head; a head's rows stand one after the other",
    ),
    Mistake(
        "as_many_rows",
        quiet(_back),
        "the mean was written back to each head of the group; fewer heads have fewer rows",
    ),
    Mistake("turned", quiet(_order_turned), "the new heads came back in the reverse order"),
    Mistake(
        "first_heads", quiet(_first_heads), "you kept the first kv_heads heads; all heads go into the means"
    ),
    Mistake(
        "all_heads",
        _heads(lambda parts: np.broadcast_to(parts.mean((0, 1))[None], parts[:, 0].shape)),
        "every new head is the mean of all heads; each is the mean of its own group",
    ),
    Mistake(
        "size_averaged",
        _heads(lambda parts: np.broadcast_to(parts.mean((1, 2), keepdims=True)[:, 0], parts[:, 0].shape)),
        "the rows of a head were averaged, too; they stay apart",
    ),
    Mistake(
        "transposed",
        quiet(lambda w, heads, kv_heads: _heads(lambda parts: parts.mean(1))(w, heads, kv_heads).T),
        "the answer is turned: (kv_heads * size, n) is asked for",
    ),
)
