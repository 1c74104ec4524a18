"""Right answers to chapter 08's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_ste_path(start, target, rate, n):
    path = [start.astype(float)]
    for _ in range(n):
        path.append(path[-1] - rate * (np.round(path[-1]) - target))
    return np.array(path)


def torch_ste_path(start, target, rate, n):
    path = [start.clone()]
    for _ in range(n):
        w = path[-1].clone().requires_grad_()
        rounded = w + (w.round() - w).detach()
        ((rounded - target) ** 2 / 2).sum().backward()
        path.append((w - rate * w.grad).detach())
    return torch.stack(path)


def numpy_upper_share(target, scale):
    return target / scale - np.floor(target / scale)


def torch_upper_share(target, scale):
    return torch.remainder(target / scale, 1.0)


def numpy_through(upstream, x, scale, qmin, qmax):
    v = x / scale
    return np.where((v >= qmin) & (v <= qmax), upstream, 0.0)


def torch_through(upstream, x, scale, qmin, qmax):
    v = x / scale
    return upstream * (v == v.clamp(qmin, qmax))


def numpy_step_slope(x, scale, qmin, qmax):
    """In units of x: no case may lie so near an end that x / scale <= qmax and x <= qmax * scale differ."""
    inside = (x >= qmin * scale) & (x <= qmax * scale)
    return np.clip(np.round(x / scale), qmin, qmax) - x / scale * inside


def torch_step_slope(x, scale, qmin, qmax):
    scale = torch.full_like(x, scale).requires_grad_()
    v = (x / scale).clamp(qmin, qmax)
    ((v + (v.round() - v).detach()) * scale).sum().backward()
    return scale.grad


def numpy_pact_gradients(upstream, x, alpha):
    to_x = np.where((x > 0) & (x < alpha), upstream, 0.0)
    return to_x, upstream[x >= alpha].sum()


def torch_pact_gradients(upstream, x, alpha):
    return upstream * ((x > 0) & (x < alpha)), (upstream * (x >= alpha)).sum()


def numpy_turns(history):
    way = np.zeros(history.shape[1], int)
    found = np.zeros(history.shape[1], int)
    for moved in np.sign(np.diff(history, axis=0)):
        found += moved * way < 0
        way = np.where(moved != 0, moved, way)
    return found


def torch_turns(history):
    way = torch.zeros_like(history[0])
    found = torch.zeros_like(history[0])
    for moved in history.diff(dim=0).sign():
        found += (moved * way < 0).to(found.dtype)
        way = torch.where(moved != 0, moved, way)
    return found
