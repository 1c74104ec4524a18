"""Right answers to chapter 18b's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_made_up(w, h, keep):
    v = np.zeros(len(w))
    v[keep] = w[keep] + np.linalg.solve(h[keep][:, keep], h[keep][:, ~keep] @ w[~keep])
    return v


def torch_made_up(w, h, keep):
    v = torch.zeros_like(w)
    v[keep] = torch.linalg.solve(h[keep][:, keep], (h @ w)[keep])
    return v


def numpy_merged(w, down, up, alpha):
    return w + alpha / len(down) * (up @ down)


def torch_merged(w, down, up, alpha):
    return torch.addmm(w, up, down, alpha=alpha / down.shape[0])


def numpy_kept_neighbours(before, after, k):
    def near(v):
        v = v / np.sqrt((v**2).sum(axis=1, keepdims=True))
        like = v @ v.T
        np.fill_diagonal(like, -np.inf)
        return like >= -np.sort(-like, axis=1)[:, k - 1 : k]

    return float((near(before) & near(after)).sum() / (len(before) * k))


def torch_kept_neighbours(before, after, k):
    near = []
    for v in (before, after):
        like = torch.nn.functional.normalize(v, dim=1)
        like = (like @ like.T).fill_diagonal_(-torch.inf)
        near.append(torch.zeros_like(like).scatter_(1, like.topk(k, dim=1).indices, 1.0))
    return float((near[0] * near[1]).sum(1).mean() / k)
