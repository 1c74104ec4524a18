"""Right answers to chapter 03's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_taylor_score(w, g):
    return abs(w * g)


def torch_taylor_score(w, g):
    return torch.abs(w) * g.abs()


def numpy_predicted_rise(w, g, hessian, gone):
    step = -w * gone
    return g @ step + step @ hessian @ step / 2


def torch_predicted_rise(w, g, hessian, gone):
    removed = w[gone]
    return 0.5 * removed @ hessian[gone][:, gone] @ removed - torch.dot(g[gone], removed)


def numpy_obs_score(w, inverse):
    return w**2 / (2 * np.diag(inverse))


def torch_obs_score(w, inverse):
    return 0.5 * w.square() / torch.diagonal(inverse)


def numpy_obs_update(w, inverse, q):
    new = w - w[q] / inverse[q, q] * inverse[:, q]
    new[q] = 0
    return new


def torch_obs_update(w, inverse, q):
    new = torch.sub(w, inverse[q], alpha=float(w[q] / inverse[q, q]))
    return new.index_fill(0, torch.tensor([q]), 0.0)


def numpy_wanda_mask(w, x, k):
    score = abs(w) * np.sqrt((x**2).mean(axis=0))
    rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1)
    return rank < k


def torch_wanda_mask(w, x, k):
    score = w.abs() * x.norm(dim=0)  # the norm is rms times a constant: the same order
    best = torch.sort(score, dim=1, descending=True, stable=True).indices[:, :k]
    return torch.zeros_like(w, dtype=torch.bool).scatter(1, best, True)


def numpy_neurons_to_keep(y, least_mean, least_std, most_zeros):
    zeros = (y == 0).mean(axis=0)
    return (y.mean(axis=0) >= least_mean) & (y.std(axis=0) >= least_std) & (zeros <= most_zeros)


def torch_neurons_to_keep(y, least_mean, least_std, most_zeros):
    goes = (y.mean(0) < least_mean) | (y.std(0, correction=0) < least_std)
    return ~(goes | ((y == 0).double().mean(0) > most_zeros))


def numpy_absorb_mean(w, b, mean, gone):
    return w * ~gone, b + w @ (mean * gone)


def torch_absorb_mean(w, b, mean, gone):
    return torch.where(gone, 0.0, w), b + w[:, gone] @ mean[gone]
