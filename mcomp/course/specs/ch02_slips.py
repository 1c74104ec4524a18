"""Chapter 02: slips that blind trials found, two at once and at the edges, beside `ch02_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs import ch02_parts as p


def _share(score, alpha):
    return p.mask(score, p.order(score)[: round((1 - alpha) * score.size)])


def _at_least_nothing(score, alpha):
    least = alpha * score.max()
    return score > least if least > 0 else score >= least


def _rows_marked(score, k):
    keep = np.zeros(score.shape, bool)
    keep[np.argsort(-score, kind="stable")[:k]] = True
    return keep


def _tail(score, k):
    """The k largest, the lower index of equals, by a slice [-k:] of the order upwards."""
    return p.mask(score, p.order(score)[::-1][-k:])


def _late_tail(score, k):
    return p.mask(score, np.argsort(score, axis=None, kind="stable")[-k:])


def _sparse(w, keep):
    return w * keep, float((w[~keep] ** 2).sum())


def _guarded(edge):
    """The entropy's formula with one of its two edges treated."""
    return quiet(lambda mask: 0.0 if np.mean(mask) == edge else p.nan_entropy(mask))


SLIPS = {
    "02.1": (
        Mistake("no_abs_equal", lambda w, theta: w >= theta,
                "two things: compare |w|, not w; and a size that equals theta goes: >, not >="),
        Mistake("zero_keeps_all", lambda w, theta: abs(w) > theta if theta else np.ones(w.shape, bool),
                "theta = 0 is a threshold like any other: a weight of 0 isn't above it and goes"),
    ),
    "02.2": (
        Mistake("by_row_equal", lambda score, alpha: score >= alpha * score.max(axis=-1, keepdims=True),
                "two things: one threshold serves the whole array; and a score equal to it goes: >, not >="),
        Mistake("share_goes", _share,
                "you let the fraction alpha of the scores go; alpha is a fraction of the largest score"),
        Mistake("zero_keeps_all", _at_least_nothing,
                "where the largest score is 0 so is the threshold, and nothing lies above it: all go"),
    ),
    "02.3": (
        Mistake("rows_marked", _rows_marked,
                "argsort sorts each row for itself, and its numbers then mark whole rows: ravel first"),
        Mistake("tail_slice_alone", _tail,
                "for k = 0 the slice [-k:] is the whole order, so everything stays"),
    ),
    "02.4": (
        Mistake("no_abs_root", lambda w, k: p.nearest(
                    w, k, score=np.asarray, distance=lambda w, near: np.linalg.norm(w - near)),
                "two things: choose by |w|, not by w; and the squared distance has no root"),
        Mistake("tail_slice_alone", lambda w, k: _sparse(w, _tail(abs(w), k)),
                "for k = 0 the slice [-k:] is the whole order, so everything stays"),
        Mistake("tail_slice", lambda w, k: _sparse(w, _late_tail(abs(w), k)),
                "for k = 0 the slice [-k:] is the whole order; and of equal sizes yours keeps the later"),
    ),
    "02.6": (
        Mistake("tail_slice_alone", lambda scores, k: p.split(_tail(p.joined(scores), k), scores),
                "for k = 0 the slice [-k:] is the whole order, so everything stays"),
        Mistake("tail_slice", lambda scores, k: p.split(_late_tail(p.joined(scores), k), scores),
                "for k = 0 the slice [-k:] is the whole order; and of equal scores yours keeps the later"),
    ),
    "02.7": (
        Mistake("unmasked_up", lambda w, grad, mask, lr: w + lr * grad,
                "two things: a step goes down the gradient; and nothing in yours looks at the mask"),
    ),
    "02.8": (
        Mistake("nats_per_entry", lambda mask: float(p.entropy(np.mean(mask), np.log)),
                "two things: bits take log2, not log; and that is for one entry, the mask has n of them"),
        Mistake("no_ones", _guarded(0),
                "where the mask is all True yours is nan: h(1) = 0 too, and 0·log2(0) counts as 0"),
        Mistake("no_zeros", _guarded(1),
                "where the mask is all False yours is nan: h(0) = 0 too, and 0·log2(0) counts as 0"),
    ),
}  # fmt: skip
