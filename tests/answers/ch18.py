"""Right answers to chapter 18's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_group_round(w, bits, group):
    parts, most = w.reshape(len(w), -1, group), 2**bits - 1
    low = np.minimum(parts.min(axis=2, keepdims=True), 0)
    high = np.maximum(parts.max(axis=2, keepdims=True), 0)
    scale = (high - low) / most
    zero = np.round(-low / scale)
    q = np.clip(np.round(parts / scale) + zero, 0, most)
    return (scale * (q - zero)).reshape(w.shape)


def torch_group_round(w, bits, group):
    rows = w.reshape(-1, group)
    low, high = rows.amin(1).clamp(max=0), rows.amax(1).clamp(min=0)
    scale = ((high - low) / (2**bits - 1)).unsqueeze(1)
    zero = torch.round(-low.unsqueeze(1) / scale)
    q = (torch.round(rows / scale) + zero).clamp(0, 2**bits - 1)
    return ((q - zero) * scale).reshape(w.shape)


def numpy_round_one(w, inverse, j, value):
    column = inverse[:, j]
    moved = w - (w[j] - value) / column[j] * column
    return moved, inverse - np.outer(column, column) / column[j]


def torch_round_one(w, inverse, j, value):
    step = inverse[:, j] / inverse[j, j]
    left = inverse - step[:, None] * inverse[j]
    left[j], left[:, j] = 0, 0
    moved = w - (w[j] - value) * step
    moved[j] = value
    return moved, left


def numpy_gptq_row(w, factor, step):
    w = w.copy()
    for j in range(len(w)):
        rounded = step * np.round(w[j] / step)
        w[j:] -= (w[j] - rounded) / factor[j, j] * factor[j, j:]
    return w


def torch_gptq_row(w, factor, step):
    left, done = w.clone(), []
    for j, row in enumerate(factor):
        done.append(torch.round(left[j] / step) * step)
        left = left - (left[j] - done[j]) / row[j] * row
    return torch.stack(done)


def numpy_wanda_mask(w, x, k):
    score = abs(w) * np.sqrt((x**2).mean(axis=0))
    rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1)
    return rank < k


def torch_wanda_mask(w, x, k):
    score = w.abs() * (x.square().mean(dim=0)).sqrt()
    best = torch.sort(score, dim=1, descending=True, stable=True).indices[:, :k]
    return torch.zeros_like(w, dtype=torch.bool).scatter(1, best, True)


def numpy_smoothing(x, w, alpha):
    s = abs(x).max(axis=0) ** alpha / abs(w).max(axis=0) ** (1 - alpha)
    return x / s, w * s


def torch_smoothing(x, w, alpha):
    s = torch.exp(alpha * x.abs().amax(0).log() - (1 - alpha) * w.abs().amax(0).log())
    return x / s, w * s


def numpy_hadamard(x):
    n, matrix = x.shape[1], np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return x @ matrix / np.sqrt(n)


def torch_hadamard(x):
    if x.shape[1] == 1:
        return x.clone()
    a, b = x.chunk(2, dim=1)
    return torch.cat([torch_hadamard(a + b), torch_hadamard(a - b)], dim=1) / 2**0.5
