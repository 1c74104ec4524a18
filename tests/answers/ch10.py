"""Right answers to chapter 10's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_saving_rank(w):
    m, n = w.shape
    return (m * n - 1) // (m + n)


def torch_saving_rank(w):
    m, n = w.shape
    rank = torch.arange(1, m + n)
    return int((rank * (m + n) < m * n).sum())


def numpy_rotate(p, q):
    gamma, difference = p @ q, p @ p - q @ q
    sign = -1 if difference < 0 else 1
    angle = np.arctan2(2 * sign * gamma, abs(difference)) / 2
    c, s = np.cos(angle), np.sin(angle)
    return c * p + s * q, c * q - s * p


def torch_rotate(p, q):
    if p.dot(q) == 0:
        return p.clone(), q.clone()
    zeta = (p.dot(p) - q.dot(q)) / (2 * p.dot(q))
    t = 1 / (zeta.abs() + torch.sqrt(1 + zeta**2))
    t = -t if zeta < 0 or (zeta == 0 and p.dot(q) < 0) else t
    c = 1 / torch.sqrt(1 + t**2)
    return c * (p + t * q), c * (q - t * p)


def numpy_nearest_rank(w, rank):
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :rank] * s[:rank] @ vt[:rank], (s[rank:] ** 2).sum()


def torch_nearest_rank(w, rank):
    u, s, vt = torch.linalg.svd(w, full_matrices=False)
    near = u[:, :rank] @ torch.diag(s[:rank]) @ vt[:rank]
    return near, torch.sum((w - near) ** 2)


def numpy_energy_rank(s, energy):
    held = np.append(0.0, np.cumsum(s**2))
    return int((held < energy * held[-1]).sum())


def torch_energy_rank(s, energy):
    held = torch.cumsum(s**2, dim=0)
    return int((held < energy * held[-1]).sum()) + 1 if energy > 0 else 0


def numpy_budget_ranks(spectra, costs, budget):
    pool = [(s**2 / costs[name], name) for name, spectrum in spectra.items() for s in spectrum]
    ranks = dict.fromkeys(spectra, 0)
    for _, name in sorted(pool, reverse=True):
        if costs[name] > budget:
            break
        ranks[name] += 1
        budget -= costs[name]
    return ranks


def torch_budget_ranks(spectra, costs, budget):
    names = [name for name, s in spectra.items() for _ in s]
    gains = torch.cat([s**2 / costs[name] for name, s in spectra.items()])
    ranks, order = dict.fromkeys(spectra, 0), torch.sort(gains, descending=True, stable=True).indices
    for i in order.tolist():
        budget -= costs[names[i]]
        if budget < 0:
            break
        ranks[names[i]] += 1
    return ranks


def numpy_spatial_matrix(w):
    out, inputs, kh, kw = w.shape
    return w.transpose(0, 3, 1, 2).reshape(out * kw, inputs * kh)


def torch_spatial_matrix(w):
    return w.permute(0, 3, 1, 2).flatten(2, 3).flatten(0, 1)


def numpy_whitened(w, x, rank):
    factor = np.linalg.cholesky(x.T @ x)
    u, s, vt = np.linalg.svd(w @ factor, full_matrices=False)
    return u[:, :rank] * s[:rank] @ vt[:rank] @ np.linalg.inv(factor)


def torch_whitened(w, x, rank):
    factor = torch.linalg.cholesky(x.T @ x)
    u, s, vt = torch.linalg.svd(w @ factor, full_matrices=False)
    return torch.linalg.solve(factor.T, (u[:, :rank] * s[:rank] @ vt[:rank]).T).T
