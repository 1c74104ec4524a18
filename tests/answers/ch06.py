"""Right answers to chapter 06's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_to_integers(x, scale, zero_point, qmin, qmax):
    return np.clip(np.round(x / scale) + zero_point, qmin, qmax).astype(np.int64)


def torch_to_integers(x, scale, zero_point, qmin, qmax):
    return (torch.round(x / scale) + zero_point).clamp(qmin, qmax).to(torch.int32)


def numpy_there_and_back(w, scale):
    return scale * np.clip(np.round(w / scale), -127, 127)


def torch_there_and_back(w, scale):
    return torch.fake_quantize_per_tensor_affine(w.float(), scale, 0, -127, 127)


def numpy_symmetric_scale(w, bits):
    largest = abs(w).max()
    return largest / (2 ** (bits - 1) - 1) if largest > 0 else 1.0


def torch_symmetric_scale(w, bits):
    largest = w.abs().max()
    return torch.where(largest > 0, largest / (2 ** (bits - 1) - 1), torch.ones_like(largest))


def numpy_affine_parameters(x, bits):
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    scale = (high - low) / (2**bits - 1) if high > low else 1.0
    return scale, int(np.clip(np.round(-low / scale), 0, 2**bits - 1))


def torch_affine_parameters(x, bits):
    low, high = x.min().clamp(max=0).item(), x.max().clamp(min=0).item()
    if low == high:
        return 1.0, 0
    scale = (high - low) / (2**bits - 1)
    return scale, min(round(-low / scale), 2**bits - 1)


def numpy_channel_scales(w, bits):
    scales = abs(w).reshape(len(w), -1).max(axis=1) / (2 ** (bits - 1) - 1)
    return np.where(scales > 0, scales, 1.0)


def torch_channel_scales(w, bits):
    scales = w.abs().flatten(1).amax(1) / (2 ** (bits - 1) - 1)
    return scales.masked_fill(scales == 0, 1.0)


def numpy_best_scale(w, q):
    return (w * q).sum() / (q * q).sum()


def torch_best_scale(w, q):
    return (w * q).sum() / q.square().sum()
