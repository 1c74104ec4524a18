"""Right answers to chapter 05's exercises as a learner would write them, in numpy and in torch."""

import math

import numpy as np
import torch


def numpy_iterative_sparsity(i, n, final):
    return 1 - (1 - final) ** (i / n)


def torch_iterative_sparsity(i, n, final):
    return 1 - torch.pow(1 - final, i.double() / n)


def numpy_cubic_sparsity(step, start, end, initial, final):
    left = 1 - np.clip((step - start) / (end - start), 0, 1)
    return final + (initial - final) * left**3


def torch_cubic_sparsity(step, start, end, initial, final):
    left = torch.clamp((end - step.double()) / (end - start), 0, 1)
    return torch.lerp(left.new_tensor(final), left.new_tensor(initial), left**3)


def numpy_surgery_mask(w, mask, low, high):
    return (abs(w) >= high) | (mask & (abs(w) >= low))


def torch_surgery_mask(w, mask, low, high):
    return torch.where(mask, w.abs() >= low, w.abs() >= high)


def numpy_drop_and_grow(w, mask, grad, k):
    new = mask.copy().ravel()
    new[np.argsort(np.where(new, abs(w).ravel(), np.inf))[:k]] = False
    new[np.argsort(np.where(new, np.inf, -abs(grad).ravel()))[:k]] = True
    return new.reshape(w.shape)


def torch_drop_and_grow(w, mask, grad, k):
    new = mask.flatten().clone()
    new[w.flatten().abs().masked_fill(~new, math.inf).argsort()[:k]] = False
    new[grad.flatten().abs().masked_fill(new, -1).argsort(descending=True)[:k]] = True
    return new.view(w.shape)


def numpy_tried_thresholds(holds, start, factor):
    good, tried = start / factor, start
    thresholds = [tried]
    for held in holds:
        if held:
            good = tried
        else:
            factor = np.sqrt(factor)
        tried = good * factor
        thresholds.append(tried)
    return np.array(thresholds)


def torch_tried_thresholds(holds, start, factor):
    good, thresholds = math.log(start / factor), [math.log(start)]
    step = math.log(factor)
    for held in holds.tolist():
        if held:
            good = thresholds[-1]
        else:
            step /= 2
        thresholds.append(good + step)
    return torch.tensor(thresholds, dtype=torch.float64).exp()


def numpy_ticket(first, trained, k):
    keep = np.zeros(first.size, bool)
    keep[np.argsort(-abs(trained), axis=None)[:k]] = True
    return first * keep.reshape(first.shape)


def torch_ticket(first, trained, k):
    start = torch.zeros_like(first).flatten()
    places = trained.flatten().abs().sort(descending=True, stable=True).indices[:k]
    start[places] = first.flatten()[places]
    return start.view(first.shape)
