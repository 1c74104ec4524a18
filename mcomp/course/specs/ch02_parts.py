"""Parts of chapter 02's wrong answers, which `ch02_mistakes` puts together."""

import numpy as np


def order(score):
    """Flat positions, the largest score first, equals by index."""
    return np.argsort(-score, axis=None, kind="stable")


def mask(score, positions):
    mask = np.zeros(score.shape, bool)
    mask.flat[positions] = True
    return mask


def per_row(score, k):
    rank = np.argsort(np.argsort(-score, axis=-1, kind="stable"), axis=-1)
    return rank < k


def at_least_kth(score, k):
    return score >= np.sort(score, axis=None)[score.size - k] if k else np.zeros(score.shape, bool)


def at_least_last_k(score, k):
    return score >= np.sort(score, axis=None)[-k]


def above_next(score, k):
    values = np.append(-np.inf, np.sort(score, axis=None))
    return score > values[score.size - k]


def nearest(w, k, score=None, product=None, distance=None):
    """nearest_sparse with one of its three ideas replaced."""
    keep = mask(w, order(abs(w) if score is None else score(w))[:k])
    near = w * keep if product is None else product(w, keep)
    return near, float(((w - near) ** 2).sum() if distance is None else distance(w, near))


def split(keep, scores):
    ends = np.cumsum([score.size for score in scores.values()])[:-1]
    parts = np.split(keep, ends)
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def joined(scores):
    return np.concatenate([score.ravel() for score in scores.values()])


def global_reversed(scores, k):
    masks = global_topk(dict(reversed(scores.items())), k)
    return {name: masks[name] for name in scores}


def global_topk(scores, k):
    flat = joined(scores)
    return split(mask(flat, order(flat)[:k]), scores)


def global_scaled(scores, k, unit=lambda score: abs(score).max()):
    flat = np.concatenate([score.ravel() / (unit(score) or 1) for score in scores.values()])
    return split(mask(flat, order(flat)[:k]), scores)


def share(scores, k, whole=round, even=False):
    """k shared out to the layers by size, or evenly."""
    total = sum(score.size for score in scores.values())
    parts = {name: 1 / len(scores) if even else s.size / total for name, s in scores.items()}
    return {name: mask(s, order(s)[: whole(k * parts[name])]) for name, s in scores.items()}


def entropy(p, log=np.log2):
    return -p * log(p) - (1 - p) * log(1 - p) if 0 < p < 1 else 0.0


def wrong_sign(p):
    return -p * np.log2(p) + (1 - p) * np.log2(1 - p) if 0 < p < 1 else 0.0


def nan_entropy(mask):
    p = np.mean(mask)
    return float(mask.size * (-p * np.log2(p) - (1 - p) * np.log2(1 - p)))


def once_sorted(score, k):
    """argsort taken for a rank."""
    return (order(score) < k).reshape(score.shape)


def crossed_out(score, k):
    """The largest, k times, each taken one replaced by 0."""
    left, keep = score.copy(), np.zeros(score.shape, bool)
    for _ in range(k):
        best = np.unravel_index(np.argmax(left), left.shape)
        keep[best], left[best] = True, 0
    return keep


def each_row(w, k):
    """nearest_sparse with k in every row."""
    near = w * per_row(abs(w), k)
    return near, float(((w - near) ** 2).sum())


def at_least(w, k):
    """nearest_sparse by a threshold at the k-th size; -0 is the first."""
    near = w * at_least_last_k(abs(w), k)
    return near, float(((w - near) ** 2).sum())


def later(w, k):
    """nearest_sparse that keeps the later of two equal sizes."""
    order = np.argsort(abs(w), axis=None, kind="stable")
    near = w * mask(w, order[w.size - k :])
    return near, float(((w - near) ** 2).sum())


def first_entries(scores, k):
    """global_topk_masks whose place in the joined array never moves on."""
    flat = joined(scores)
    keep = mask(flat, order(flat)[:k])
    return {name: keep[: score.size].reshape(score.shape) for name, score in scores.items()}


def by_name(scores, k):
    """global_topk_masks with the names in alphabetical order."""
    masks = global_topk({name: scores[name] for name in sorted(scores)}, k)
    return {name: masks[name] for name in scores}


def each_rows_entropy(mask):
    """The entropies of what a loop over the mask gives: its rows, or single entries."""
    return float(sum(row.size * entropy(np.mean(row)) for row in mask))
