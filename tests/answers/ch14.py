"""Right answers to chapter 14's exercises as a learner would write them, in numpy and in torch."""

from itertools import permutations

import numpy as np
import torch


def numpy_corrected_means(weights, decay):
    m, means = np.zeros(weights.shape[1]), []
    for t, w in enumerate(weights):
        m = decay * m + (1 - decay) * w
        means.append(m / (1 - decay ** (t + 1)))
    return np.array(means)


def torch_corrected_means(weights, decay):
    ages = torch.arange(len(weights))[:, None] - torch.arange(len(weights))
    factors = torch.tril(decay ** ages.clamp(min=0).double())
    return factors @ weights / factors.sum(1, keepdim=True)


def numpy_soup_members(models, x, y):
    def accuracy(w):
        return ((x @ w.T).argmax(1) == y).mean()

    alone = np.array([accuracy(w) for w in models])
    order = np.argsort(-alone, kind="stable")
    members, best = [order[0]], alone[order[0]]
    for i in order[1:]:
        tried = accuracy(models[[*members, i]].mean(0))
        if tried >= best:
            members.append(i)
            best = tried
    return np.array(members)


def torch_soup_members(models, x, y):
    def right(w):
        return int(((x @ w.T).argmax(1) == y).sum())

    order = torch.argsort(torch.tensor([right(w) for w in models]), descending=True, stable=True).tolist()
    members, soup = order[:1], models[order[0]]
    for i in order[1:]:
        tried = soup + (models[i] - soup) / (len(members) + 1)
        if right(tried) >= right(soup):
            members, soup = [*members, i], tried
    return torch.tensor(members)


def numpy_barrier_height(losses, at):
    return np.max(losses - (1 - at) * losses[0] - at * losses[-1])


def torch_barrier_height(losses, at):
    return (losses - torch.lerp(losses[0], losses[-1], at)).max()


def numpy_bend_gradient(at, gradients):
    return (2 * at * (1 - at)) @ gradients / len(at)


def torch_bend_gradient(at, gradients):
    m = torch.zeros(gradients.shape[1], dtype=gradients.dtype, requires_grad=True)
    losses = [(2 * t * (1 - t) * m * g).sum() for t, g in zip(at, gradients, strict=True)]
    torch.stack(losses).mean().backward()
    return m.grad


def numpy_renumbered(w1, b1, w2, b2, w3, p, q):
    w2 = np.take(np.take(w2, q, axis=0), p, axis=1)
    return w1[p], b1[p], w2, b2[q], np.take(w3, q, axis=1)


def torch_renumbered(w1, b1, w2, b2, w3, p, q):
    first, second = torch.eye(len(p)).double()[p], torch.eye(len(q)).double()[q]
    return first @ w1, first @ b1, second @ w2 @ first.T, second @ b2, w3 @ second.T


def numpy_gains(a, b):
    (w1, b1, w2), (v1, c1, v2) = a, b
    return w1 @ v1.T + np.outer(b1, c1) + w2.T @ v2


def torch_gains(a, b):
    one, two = (torch.cat([w1, b1[:, None], w2.T], dim=1) for w1, b1, w2 in (a, b))
    return one @ two.T


def numpy_best_order(gain):
    orders = np.array(list(permutations(range(len(gain)))))
    return orders[gain[np.arange(len(gain)), orders].sum(1).argmax()]


def torch_best_order(gain):
    best, found = float("-inf"), None
    for p in permutations(range(len(gain))):
        total = gain[range(len(gain)), p].sum()
        if total > best:
            best, found = total, p
    return torch.tensor(found)
