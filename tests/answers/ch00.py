"""Right answers to chapter 00's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_times_smaller(w, nbytes):
    return 4 * w.size / nbytes


def torch_times_smaller(w, nbytes):
    return 4 * w.numel() / nbytes


def numpy_prune(w, k):
    sizes = np.sort(abs(w), axis=None)
    return np.where(abs(w) >= sizes[-k], w, 0.0)


def torch_prune(w, k):
    best = w.flatten().abs().topk(k).indices
    mask = torch.zeros(w.numel(), dtype=w.dtype)
    mask[best] = 1.0
    return w * mask.reshape(w.shape)


def numpy_nearest_value(w, values):
    return values[np.argmin(abs(w[:, None] - values), axis=1)]


def torch_nearest_value(w, values):
    return values[(w[:, None] - values).abs().argmin(dim=1)]


def numpy_code_bits(counts):
    used = counts[counts > 0]
    return float((used * np.log2(used.sum() / used)).sum())


def torch_code_bits(counts):
    used = counts[counts > 0].double()
    return float((used * torch.log2(used.sum() / used)).sum())
