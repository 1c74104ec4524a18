"""Right answers to chapter 04's exercises as a learner would write them, in numpy and in torch."""

from itertools import combinations

import numpy as np
import torch


def numpy_filter_scores(w):
    return abs(w).sum((1, 2, 3))


def torch_filter_scores(w):
    return w.abs().flatten(1).sum(1)


def numpy_remove_neurons(w1, b1, w2, keep):
    return np.compress(keep, w1, axis=0), b1[keep], np.compress(keep, w2, axis=1)


def torch_remove_neurons(w1, b1, w2, keep):
    kept = keep.nonzero().flatten()
    return w1.index_select(0, kept), b1.index_select(0, kept), w2.index_select(1, kept)


def numpy_flatten_columns(keep, height, width):
    pixels = height * width
    return keep[np.arange(len(keep) * pixels) // pixels]


def torch_flatten_columns(keep, height, width):
    return keep[:, None, None].expand(-1, height, width).flatten()


def numpy_residual_keep(score_a, score_b, k):
    mask = np.zeros(len(score_a), bool)
    mask[np.argsort(-(score_a + score_b), kind="stable")[:k]] = True
    return mask


def torch_residual_keep(score_a, score_b, k):
    order = torch.argsort(score_a + score_b, descending=True, stable=True)
    mask = torch.zeros(len(score_a), dtype=torch.bool)
    mask[order[:k]] = True
    return mask


def numpy_weights_left(widths, ratio):
    left = widths - np.round(ratio * widths).astype(int)
    left[0], left[-1] = widths[0], widths[-1]
    return int((left[:-1] * left[1:]).sum())


def torch_weights_left(widths, ratio):
    left = widths - torch.round(ratio * widths.double()).long()
    left[0], left[-1] = widths[0], widths[-1]
    return int((left[:-1] * left[1:]).sum())


def numpy_two_of_four(score):
    groups = score.reshape(len(score), -1, 4)
    rank = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1, kind="stable")
    return (rank < 2).reshape(score.shape)


def torch_two_of_four(score):
    groups = score.reshape(len(score), -1, 4)
    order = torch.argsort(groups, dim=-1, descending=True, stable=True)
    mask = torch.zeros(groups.shape, dtype=torch.bool)
    return mask.scatter(-1, order[..., :2], True).reshape(score.shape)


def numpy_best_kept(w):
    best = 0.0
    for first in combinations(range(8), 4):
        second = [j for j in range(8) if j not in first]
        both = np.sort(abs(w)[:, [*first, *second]].reshape(len(w), 2, 4), axis=-1)
        best = max(best, both[..., 2:].sum())
    return best


def torch_best_kept(w):
    kept = []
    for first in combinations(range(8), 4):
        second = [j for j in range(8) if j not in first]
        both = w.abs()[:, [*first, *second]].reshape(len(w), 2, 4)
        kept.append(both.topk(2, dim=-1).values.sum())
    return torch.stack(kept).max()
