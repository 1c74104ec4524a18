"""Right answers to chapter 14b's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch
from torch.nn import functional as F


def numpy_trim(vectors, k):
    order = np.argsort(-abs(vectors), axis=1, kind="stable")[:, :k]
    trimmed = np.zeros_like(vectors)
    np.put_along_axis(trimmed, order, np.take_along_axis(vectors, order, axis=1), axis=1)
    return trimmed


def torch_trim(vectors, k):
    order = vectors.abs().argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(vectors).scatter(1, order, vectors.gather(1, order))


def numpy_elect(vectors):
    signs = np.sign(vectors.sum(axis=0))
    return np.where(signs == 0, 1 if signs.sum() >= 0 else -1, signs)


def torch_elect(vectors):
    signs = vectors.sum(0).sign()
    signs[signs == 0] = 1.0 if signs.sum() >= 0 else -1.0
    return signs


def numpy_merge_agreeing(vectors, signs):
    agree = vectors * signs > 0
    return (vectors * agree).sum(axis=0) / np.maximum(agree.sum(axis=0), 1)


def torch_merge_agreeing(vectors, signs):
    agree = vectors.sign() == signs
    return torch.where(agree, vectors, 0.0).sum(0) / agree.sum(0).clamp(min=1)


def numpy_dare(base, tuned, u, drop):
    return base + (tuned - base) * (u >= drop) / (1 - drop)


def torch_dare(base, tuned, u, drop):
    return base + torch.where(u < drop, 0.0, tuned - base) / (1 - drop)


def numpy_beside(a, b):
    wide = [np.vstack([a[0], b[0]])]
    for v, w in zip(a[1:-1], b[1:-1], strict=True):
        wide.append(np.zeros((len(v) + len(w), v.shape[1] + w.shape[1])))
        wide[-1][: len(v), : v.shape[1]] = v
        wide[-1][len(v) :, v.shape[1] :] = w
    return [*wide, np.hstack([a[-1], b[-1]]) / 2]


def torch_beside(a, b):
    inside = [torch.block_diag(v, w) for v, w in zip(a[1:-1], b[1:-1], strict=True)]
    return [torch.cat([a[0], b[0]]), *inside, torch.cat([a[-1], b[-1]], dim=1) / 2]


def numpy_balance_loss(gates):
    n = gates.shape[1]
    f = np.bincount(gates.argmax(axis=1), minlength=n) / len(gates)
    return n * (f * gates.mean(axis=0)).sum()


def torch_balance_loss(gates):
    n = gates.shape[1]
    return n * F.one_hot(gates.argmax(1), n).double().mean(0) @ gates.mean(0)


def numpy_stitching(lower, upper):
    found = np.linalg.lstsq(np.c_[lower, np.ones(len(lower))], upper, rcond=None)[0]
    return found[:-1].T, found[-1]


def torch_stitching(lower, upper):
    x, y = lower - lower.mean(0), upper - upper.mean(0)
    weight = torch.linalg.solve(x.T @ x, x.T @ y).T
    return weight, upper.mean(0) - weight @ lower.mean(0)
