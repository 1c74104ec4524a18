"""Chapter 18b: wrong counts of the neighbours that stay, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _unit(v):
    return v / np.sqrt((v**2).sum(1, keepdims=True))


def _cosine(v):
    return _unit(v) @ _unit(v).T


def _inner(v):
    return v @ v.T


def _apart(v):
    return -((v[:, None] - v) ** 2).sum(-1)


def _near(like, k, own=False):
    """(n, n) bool: the k largest of each row, without the row's own place."""
    like = like if own else like - np.where(np.eye(len(like)), np.inf, 0)
    near = np.zeros(like.shape, dtype=bool)
    np.put_along_axis(near, np.argsort(-like, axis=1, kind="stable")[:, :k], True, axis=1)
    return near


def _shared(before, after, k, like=_cosine, **options):
    return _near(like(before), k, **options) & _near(like(after), k, **options)


def _order(before, after, k):
    places = [np.argsort(-_cosine(v) + np.where(np.eye(len(v)), np.inf, 0), axis=1)[:, :k]
              for v in (before, after)]  # fmt: skip
    return float((places[0] == places[1]).mean())


def _union(before, after, k):
    a, b = (_near(_cosine(v), k) for v in (before, after))
    return float(((a & b).sum(1) / (a | b).sum(1)).mean())


def _all_pairs(before, after, k):
    def first(v):
        like = np.where(np.triu(np.ones((len(v), len(v))), 1) > 0, _cosine(v), -np.inf).ravel()
        return set(np.argsort(-like, kind="stable")[:k].tolist())

    return len(first(before) & first(after)) / k


def _crossed(before, after, k):
    like = _unit(before) @ _unit(after).T
    return float((_near(_cosine(before), k) & _near(like, k)).sum() / (len(before) * k))


def _columns(before, after, k):
    def one(v):
        v = v / np.sqrt((v**2).sum(0))
        return v @ v.T

    return float(_shared(before, after, k, one).mean() * len(before) / k)


NEIGHBOURS = (
    Mistake("itself", lambda b, a, k: float(_shared(b, a, k, own=True).sum() / (len(b) * k)),
            "each vector is among its own nearest, and always stays: leave it out"),
    Mistake("itself_and_k", lambda b, a, k: float(_shared(b, a, k + 1, own=True).sum() / (len(b) * (k + 1))),
            "k + 1 with the vector itself: it always stays and makes the part larger; don't count it"),
    Mistake("not_unit", lambda b, a, k: float(_shared(b, a, k, _inner).sum() / (len(b) * k)),
            "inner products, so long vectors are everybody's neighbours: divide by both lengths"),
    Mistake("distance", lambda b, a, k: float(_shared(b, a, k, _apart).sum() / (len(b) * k)),
            "you took distances of vectors of any length; the cosine doesn't ask for lengths"),
    Mistake("columns", quiet(_columns),
            "you made the columns one long; each vector is a row"),
    Mistake("farthest", lambda b, a, k: float(_shared(b, a, k, lambda v: -_cosine(v)).sum() / (len(b) * k)),
            "you took the smallest cosines: those are the farthest"),
    Mistake("opposite_too", lambda b, a, k: float(
                _shared(b, a, k, lambda v: abs(_cosine(v))).sum() / (len(b) * k)),
            "|cosine| takes the opposite of a vector for its neighbour"),
    Mistake("order", _order,
            "you wanted the same neighbour at the same place; that it stays among the k is enough"),
    Mistake("union", _union,
            "you divided by all that are near before or after; divide by k"),
    Mistake("count", lambda b, a, k: float(_shared(b, a, k).sum() / len(b)),
            "that is how many stay; the part of k was asked for"),
    Mistake("total", lambda b, a, k: float(_shared(b, a, k).sum()),
            "that is how many stay in all; divide by n k"),
    Mistake("matrix", lambda b, a, k: float(_shared(b, a, k).mean()),
            "the mean over all pairs; of n n pairs only n k are near: divide by n k"),
    Mistake("each", lambda b, a, k: _shared(b, a, k).sum(1) / k,
            "that is the part for each vector; their mean was asked for"),
    Mistake("lost", lambda b, a, k: 1 - float(_shared(b, a, k).sum() / (len(b) * k)),
            "that is the part that is lost"),
    Mistake("least", lambda b, a, k: float((_shared(b, a, k).sum(1) / k).min()),
            "that is the worst vector's part; the mean was asked for"),
    Mistake("first", lambda b, a, k: float(_shared(b, a, k)[0].sum() / k),
            "that is the first vector's part; the mean over all was asked for"),
    Mistake("unchanged", lambda b, a, k: float((_shared(b, a, k).sum(1) == k).mean()),
            "you counted vectors that keep all their neighbours; count the neighbours"),
    Mistake("pairs", _all_pairs,
            "you took the k nearest pairs of all; each vector has k neighbours of its own"),
    Mistake("crossed", _crossed,
            "you compared vectors before with vectors after; each version has neighbours of its own"),
    Mistake("cosine", lambda b, a, k: float((_unit(b) * _unit(a)).sum(1).mean()),
            "that is the cosine between before and after; who is near whom was asked for"),
    Mistake("others", lambda b, a, k: float(_shared(b, a, k).sum() / (len(b) * (len(b) - 1))),
            "you divided by all others; of each vector k count"),
)  # fmt: skip
