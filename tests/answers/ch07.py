"""Right answers to chapter 07's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_moving_range(batches, weight):
    low, high = batches[0].min(), batches[0].max()
    for batch in batches[1:]:
        low = low + weight * (batch.min() - low)
        high = high + weight * (batch.max() - high)
    return low, high


def torch_moving_range(batches, weight):
    low, high = batches[0].min(), batches[0].max()
    for batch in batches[1:]:
        low, high = torch.lerp(low, batch.min(), weight), torch.lerp(high, batch.max(), weight)
    return low, high


def numpy_fold(w, bias, mean, var, gamma, beta, eps):
    gain = gamma / np.sqrt(var + eps)
    return w * gain.reshape(-1, *[1] * (w.ndim - 1)), beta + gain * (bias - mean)


def torch_fold(w, bias, mean, var, gamma, beta, eps):
    gain = gamma * torch.rsqrt(var + eps)
    return (w.movedim(0, -1) * gain).movedim(-1, 0), beta + gain * (bias - mean)


def numpy_equalize(first, second):
    s = np.sqrt(abs(first).max(1) / abs(second).max(0))
    return first / s[:, None], second * s


def torch_equalize(first, second):
    s = (first.abs().amax(1) / second.abs().amax(0)).sqrt()
    return first / s[:, None], second * s


def numpy_corrected_bias(bias, w, rounded, x):
    return bias + (w - rounded) @ x.mean(0)


def torch_corrected_bias(bias, w, rounded, x):
    return bias + (x @ (w - rounded).T).mean(0)
