"""Right answers to chapter 15's exercises as a learner would write them, in numpy and in torch."""

from itertools import pairwise

import numpy as np
import torch


def numpy_shared_part(widths, classes, at):
    sizes = widths[:-1] * widths[1:] + widths[1:]
    heads = ((widths[-1] + 1) * classes).sum()
    separate = len(classes) * sizes.sum() + heads
    return (separate - (len(classes) - 1) * sizes[:at].sum()) / separate


def torch_shared_part(widths, classes, at):
    def layers(last):
        full = torch.cat([widths, last.reshape(1)]).tolist()
        return [torch.nn.Linear(n, m) for n, m in pairwise(full)]

    def size(layers):
        return sum(p.numel() for layer in layers for p in layer.parameters())

    networks = [layers(last) for last in classes]
    return (size(networks[0][:at]) + sum(size(n[at:]) for n in networks)) / sum(size(n) for n in networks)


def numpy_uncertainty_total(losses, s, regression):
    return (np.where(regression, 0.5, 1.0) * np.exp(-s) * losses + s / 2).sum()


def torch_uncertainty_total(losses, s, regression):
    precision = (-s).exp()
    return (losses * precision / (1 + regression.double()) + 0.5 * s).sum()


def numpy_at_rest(losses, regression):
    return np.log(np.where(regression, losses, 2 * losses)), 1 / (2 * losses)


def torch_at_rest(losses, regression):
    s = losses.log()
    s[~regression] += torch.log(torch.tensor(2.0, dtype=losses.dtype))
    weights = torch.exp(-s)
    weights[regression] /= 2
    return s, weights


def numpy_gradnorm_targets(norms, losses, first_losses, alpha):
    left = losses / first_losses
    return norms.mean() * (left / left.mean()) ** alpha


def torch_gradnorm_targets(norms, losses, first_losses, alpha):
    left = losses.div(first_losses)
    return torch.pow(left / left.mean(), alpha).mul(norms.mean())


def numpy_pcgrad_pair(a, b):
    inner = a @ b
    if inner >= 0:
        return a + b
    return (1 - inner / (a @ a)) * a + (1 - inner / (b @ b)) * b


def torch_pcgrad_pair(a, b):
    def without(x, y):
        return x - torch.clamp(torch.dot(x, y), max=0) / y.square().sum().clamp(min=1e-300) * y

    return without(a, b) + without(b, a)


def numpy_pcgrad(gradients, orders):
    total = np.zeros_like(gradients[0])
    for left, others in zip(gradients.copy(), orders, strict=True):
        for other in gradients[others]:
            inner = left @ other
            if inner < 0:
                left -= inner / (other @ other) * other
        total += left
    return total


def torch_pcgrad(gradients, orders):
    projected = gradients.clone()
    for i, others in enumerate(orders.tolist()):
        for j in others:
            inner = torch.dot(projected[i], gradients[j])
            if inner < 0:
                projected[i] -= inner / gradients[j].norm() ** 2 * gradients[j]
    return projected.sum(dim=0)


def numpy_gram_weights(gram, orders):
    parts = np.eye(len(gram))
    for i, others in enumerate(orders):
        for j in others:
            inner = parts[i] @ gram[:, j]
            if inner < 0:
                parts[i, j] -= inner / gram[j, j]
    return parts.sum(axis=0)


def torch_gram_weights(gram, orders):
    parts = torch.eye(len(gram), dtype=gram.dtype)
    for i, others in enumerate(orders.tolist()):
        inner = gram[i].clone()  # of what is left of row i with every original row
        for j in others:
            if inner[j] < 0:
                step = inner[j] / gram[j, j]
                parts[i, j] -= step
                inner = inner - step * gram[j]
    return parts.sum(0)
