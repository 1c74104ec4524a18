"""Right answers to chapter 13's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch
from torch.nn import functional as F


def numpy_hint_loss(student, teacher):
    return ((student - teacher) ** 2).sum() / 2 / len(student)


def torch_hint_loss(student, teacher):
    return F.mse_loss(student, teacher, reduction="sum") / (2 * len(student))


def numpy_attention_map(features):
    q = (features**2).sum(axis=1).reshape(len(features), -1)
    lengths = np.linalg.norm(q, axis=1, keepdims=True)
    return q / np.where(lengths > 0, lengths, 1)


def torch_attention_map(features):
    return F.normalize(features.square().sum(1).flatten(1), dim=1)


def numpy_distances(x):
    d = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=-1))
    return d / d[d > 0].mean() if d.any() else d


def torch_distances(x):
    d = torch.stack([(x - row).norm(dim=1) for row in x])
    return d / d[d > 0].mean() if bool(d.any()) else d


def numpy_sliced(first, bias, second, score, k):
    keep = np.sort(np.argsort(-score, kind="stable")[:k])
    return first[keep], bias[keep], second[:, keep]


def torch_sliced(first, bias, second, score, k):
    index = torch.argsort(score, descending=True, stable=True)[:k].sort().values
    return first.index_select(0, index), bias.index_select(0, index), second.index_select(1, index)


def numpy_refit(w, gram, keep):
    return np.linalg.solve(gram[np.ix_(keep, keep)].T, (w @ gram[:, keep]).T).T


def torch_refit(w, gram, keep):
    return w @ gram[:, keep] @ torch.linalg.inv(gram[keep][:, keep])


def numpy_moving_average(weights, decay):
    average = weights[0]
    for t in range(1, len(weights)):
        a = min(decay, 1 - 1 / (t + 1))
        average = a * average + (1 - a) * weights[t]
    return average


def torch_moving_average(weights, decay):
    average = weights[0].clone()
    for t, w in enumerate(weights[1:], 1):
        average.lerp_(w, 1 - min(decay, 1 - 1 / (t + 1)))
    return average
