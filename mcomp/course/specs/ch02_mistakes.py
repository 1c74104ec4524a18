"""Chapter 02: the wrong answers that people write, each with what happened; and the quiz.

The sign instead of the size, the matrix product instead of the elementwise one and the wrong count on ties
are errors of published tutorials.
"""

import math

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _order(score):
    """Flat positions, the largest score first, equals by index."""
    return np.argsort(-score, axis=None, kind="stable")


def _mask(score, positions):
    mask = np.zeros(score.shape, bool)
    mask.flat[positions] = True
    return mask


def _per_row(score, k):
    rank = np.argsort(np.argsort(-score, axis=-1, kind="stable"), axis=-1)
    return rank < k


def _at_least_kth(score, k):
    return score >= np.sort(score, axis=None)[score.size - k] if k else np.zeros(score.shape, bool)


def _at_least_last_k(score, k):
    return score >= np.sort(score, axis=None)[-k]


def _above_next(score, k):
    values = np.append(-np.inf, np.sort(score, axis=None))
    return score > values[score.size - k]


def _nearest(w, k, score=None, product=None, distance=None):
    """nearest_sparse with one of its three ideas replaced."""
    keep = _mask(w, _order(abs(w) if score is None else score(w))[:k])
    near = w * keep if product is None else product(w, keep)
    return near, float(((w - near) ** 2).sum() if distance is None else distance(w, near))


def _split(keep, scores):
    ends = np.cumsum([score.size for score in scores.values()])[:-1]
    parts = np.split(keep, ends)
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def _joined(scores):
    return np.concatenate([score.ravel() for score in scores.values()])


def _global_reversed(scores, k):
    masks = _global(dict(reversed(scores.items())), k)
    return {name: masks[name] for name in scores}


def _global(scores, k):
    flat = _joined(scores)
    return _split(_mask(flat, _order(flat)[:k]), scores)


def _global_scaled(scores, k):
    flat = np.concatenate([score.ravel() / (abs(score).max() or 1) for score in scores.values()])
    return _split(_mask(flat, _order(flat)[:k]), scores)


def _share(scores, k):
    total = sum(score.size for score in scores.values())
    return {name: _mask(s, _order(s)[: round(k * s.size / total)]) for name, s in scores.items()}


def _entropy(p, log=np.log2):
    return -p * log(p) - (1 - p) * log(1 - p) if 0 < p < 1 else 0.0


def _nan_entropy(mask):
    p = np.mean(mask)
    return float(mask.size * (-p * np.log2(p) - (1 - p) * np.log2(1 - p)))


MISTAKES = {
    "02.1": (
        Mistake("no_abs", lambda w, theta: w > theta,
                "you compared w, not |w|, so every negative weight went"),
        Mistake("sign", lambda w, theta: np.sign(w) > theta,
                "sign(w) is −1, 0 or 1: every negative weight goes, and the sizes of the others don't count"),
        Mistake("square", lambda w, theta: w**2 > theta,
                "you compared w² with theta; it is |w| that is compared with theta, or w² with theta²"),
        Mistake("keeps_equal", lambda w, theta: abs(w) >= theta,
                "a weight whose size equals theta goes: the comparison is >, not >="),
        Mistake("inverted", lambda w, theta: abs(w) <= theta,
                "your mask is upside down: True means keep, and yours marks the small weights"),
        Mistake("inverted_below", lambda w, theta: abs(w) < theta,
                "your mask marks the weights below theta: True means keep, and sizes equal to theta go"),
    ),
    "02.2": (
        Mistake("absolute", lambda score, alpha: score > alpha,
                "you took alpha itself as the threshold; it is a fraction of the largest score"),
        Mistake("mean", lambda score, alpha: score > alpha * score.mean(),
                "you took alpha times the mean; it is alpha times the largest score"),
        Mistake("quantile", lambda score, alpha: score > np.quantile(score, alpha),
                "you took a quantile: alpha is a fraction of the largest score, not of the count"),
        Mistake("by_row", lambda score, alpha: score > alpha * score.max(axis=-1, keepdims=True),
                "you took the largest of each row; one threshold serves the whole array"),
        Mistake("by_column", lambda score, alpha: score > alpha * score.max(axis=0),
                "you took the largest of each column; one threshold serves the whole array"),
        Mistake("keeps_equal", lambda score, alpha: score >= alpha * score.max(),
                "a score equal to the threshold goes: the comparison is >, not >="),
        Mistake("inverted", lambda score, alpha: score <= alpha * score.max(),
                "your mask is upside down: True means keep, and yours marks the small scores"),
    ),
    "02.3": (
        Mistake("too_many", _at_least_kth,
                "on ties your mask keeps more than k: a threshold at the k-th score lets all its equals in"),
        Mistake("too_many_or_all", _at_least_last_k,
                "on ties your mask keeps more than k; and for k = 0 the index -k is 0, so everything stays"),
        Mistake("too_few", _above_next,
                "on ties your mask keeps fewer than k: a threshold at the next score shuts its equals out"),
        Mistake("later_wins", lambda s, k: _mask(s, np.argsort(s, axis=None, kind="stable")[s.size - k :]),
                "the count is right, but of equal scores yours keeps the later ones; the lower index stays"),
        Mistake("tail_slice", lambda s, k: _mask(s, np.argsort(s, axis=None, kind="stable")[-k:]),
                "for k = 0 the slice [-k:] is the whole array; and of equal scores yours keeps the later"),
        Mistake("smallest", lambda s, k: _mask(s, np.argsort(s, axis=None, kind="stable")[:k]),
                "your mask keeps the k smallest: a sort goes upwards"),
        Mistake("drops_k", lambda s, k: _mask(s, _order(s)[: s.size - k]),
                "you let k scores go; k is how many stay"),
        Mistake("by_row", _per_row,
                "you kept k in every row; k counts over the whole array"),
        Mistake("abs", lambda s, k: _mask(s, _order(abs(s))[:k]),
                "you ranked |score|; a score may be negative and larger is kept, so take it as it comes"),
    ),
    "02.4": (
        Mistake("no_abs", lambda w, k: _nearest(w, k, score=lambda w: w),
                "you kept the k largest w, not the k largest |w|, so large negative weights went"),
        Mistake("matrix_product", lambda w, k: _nearest(w, k, product=lambda w, keep: w @ keep),
                "w @ mask is a matrix product and mixes the weights; a mask acts entry by entry: w * mask"),
        Mistake("inverted", lambda w, k: _nearest(w, k, product=lambda w, keep: w * ~keep),
                "you dropped the k largest and kept the rest: the mask is upside down"),
        Mistake("root", lambda w, k: _nearest(w, k, distance=lambda w, near: np.linalg.norm(w - near)),
                "your error is the distance; the squared distance was asked for, so leave out the root"),
        Mistake("mean", lambda w, k: _nearest(w, k, distance=lambda w, near: ((w - near) ** 2).mean()),
                "your error is the mean of the squares; the squared distance is their sum"),
        Mistake("l1", lambda w, k: _nearest(w, k, distance=lambda w, near: abs(w - near).sum()),
                "you added up sizes; the squared distance adds up squares"),
        Mistake("kept_energy", lambda w, k: _nearest(w, k, distance=lambda w, near: (near**2).sum()),
                "you added up the squares of what stays; the error is the squares of what goes"),
    ),
    "02.5": (
        Mistake("mean_of_layers", lambda masks: float(np.mean([1 - np.mean(m) for m in masks.values()])),
                "you took the mean over layers, in which a layer of 10 counts as much as one of 300"),
        Mistake("density", lambda masks: float(np.mean(_joined(masks))),
                "that is the fraction that stays; sparsity is the fraction that goes"),
        Mistake("percent", lambda masks: float(100 * (1 - np.mean(_joined(masks)))),
                "that is percent; sparsity is a fraction from 0 to 1"),
        Mistake("count", lambda masks: int((~_joined(masks)).sum()),
                "that is how many are gone; divide by how many there were"),
    ),
    "02.6": (
        Mistake("equal_shares", _share,
                "you gave each layer its share of k; in one ranking a layer keeps as many as it earns"),
        Mistake("k_each", lambda scores, k: {name: _mask(s, _order(s)[:k]) for name, s in scores.items()},
                "you kept k in every layer; k counts over all layers together"),
        Mistake("scaled", _global_scaled,
                "you divided each layer by its largest score; here the scores are compared as they are"),
        Mistake("too_many", lambda scores, k: _split(_at_least_kth(_joined(scores), k), scores),
                "on ties you keep more than k: a threshold at the k-th score lets all its equals in"),
        Mistake("too_many_or_all", lambda scores, k: _split(_at_least_last_k(_joined(scores), k), scores),
                "on ties you keep more than k; and for k = 0 the index -k is 0, so everything stays"),
        Mistake("later_wins", _global_reversed,
                "among equal scores you keep those of the later name; the earlier name stays"),
        Mistake("drops_k", lambda scores, k: _global(scores, _joined(scores).size - k),
                "you let k scores go; k is how many stay"),
    ),
    "02.7": (
        Mistake("unmasked", lambda w, grad, mask, lr: w - lr * grad,
                "removed weights came back: nothing in your step looks at the mask"),
        Mistake("gradient_only", lambda w, grad, mask, lr: w - lr * grad * mask,
                "you masked the gradient but not w: a removed weight that was not zero stays as it was"),
        Mistake("weights_only", lambda w, grad, mask, lr: w * mask - lr * grad,
                "you masked w but not the gradient: removed weights grow back with every step"),
        Mistake("ascent", lambda w, grad, mask, lr: (w + lr * grad) * mask,
                "you went up the gradient; a step that lowers the loss goes down it"),
        Mistake("no_rate", lambda w, grad, mask, lr: (w - grad) * mask,
                "you forgot the learning rate"),
        Mistake("inverted", lambda w, grad, mask, lr: (w - lr * grad) * ~mask,
                "you kept what the mask removes: True means keep"),
        Mistake("matrix_product", lambda w, grad, mask, lr: (w - lr * grad) @ mask,
                "@ is a matrix product, which mixes the weights; a mask acts entry by entry: *"),
    ),
    "02.8": (
        Mistake("nats", lambda mask: float(mask.size * _entropy(np.mean(mask), np.log)),
                "that is in nats, from the natural logarithm; bits take log2"),
        Mistake("per_entry", lambda mask: float(_entropy(np.mean(mask))),
                "that is bits for one entry; the mask has n of them"),
        Mistake("one_term", lambda mask: float(-mask.sum() * np.log2(np.mean(mask))) if mask.any() else 0.0,
                "you counted the True entries only; to learn that an entry is False costs bits too"),
        Mistake("not_a_number", _nan_entropy,
                "where the mask is all True or all False yours is nan: 0·log2(0) counts as 0"),
        Mistake("bitmap", lambda mask: float(mask.size),
                "that is the bitmap, one bit an entry; its entropy is less where True is rare"),
        Mistake("indices", lambda mask: float(mask.sum() * math.ceil(math.log2(max(mask.size, 2)))),
                "that is the cost of a list of indices; the entropy is what the best code needs"),
    ),
}  # fmt: skip

QUIZ = (
    Question("A layer's weights are all multiplied by 10. Which masks stay the same?", (
        Option("threshold at a fixed theta, relative threshold and top-k",
               "a fixed theta does not grow with the weights, so its mask keeps more of them"),
        Option("relative threshold and top-k",
               "both depend only on the sizes relative to each other", right=True),
        Option("top-k alone",
               "the relative threshold is alpha times the largest size, which grows by 10 as well"),
        Option("none of them",
               "the order of the sizes doesn't change, so at least the k largest are the same"),
    )),
    Question("Among all masks with k entries, keeping the k largest |w| is best for which aim?", (
        Option("the smallest loss of the network after pruning",
               "magnitude doesn't look at the loss: a small weight on a strong input can matter more"),
        Option("the smallest squared distance between w and what is left of it",
               "the error is the sum of the squares dropped, so dropping the smallest is the exact minimum",
               right=True),
        Option("the smallest file",
               "every mask with k entries keeps k values; where they lie decides the rest"),
    )),
    Question("90 % of the weights are zeros in a dense array. How much faster is the layer?", (
        Option("about ten times", "a dense product multiplies zeros like any other number"),
        Option("about twice", "the work is the same as before; nothing in a dense product skips zeros"),
        Option("not at all", "same array, same multiplications; only another layout or structure saves time",
               right=True),
    )),
)  # fmt: skip
