"""Right answers to chapter 12's exercises as a learner would write them, in numpy and in torch."""

import itertools

import numpy as np
import torch
from torch.nn import functional as F


def numpy_softmax_t(z, T):
    raised = np.exp((z - z.max(axis=-1, keepdims=True)) / T)
    return raised / raised.sum(axis=-1, keepdims=True)


def torch_softmax_t(z, T):
    return torch.softmax(z / T, dim=-1)


def _log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def numpy_kd_loss(student, teacher, T):
    log_p, log_q = _log_softmax(teacher / T), _log_softmax(student / T)
    return T**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis=-1).mean()


def torch_kd_loss(student, teacher, T):
    log_q = F.log_softmax(student / T, dim=-1)
    return T**2 * F.kl_div(log_q, F.softmax(teacher / T, dim=-1), reduction="batchmean")


def numpy_kd_gradient(student, teacher, T):
    p, q = np.exp(_log_softmax(teacher / T)), np.exp(_log_softmax(student / T))
    return T * (q - p) / len(student)


def torch_kd_gradient(student, teacher, T):
    student = student.clone().requires_grad_()
    torch_kd_loss(student, teacher, T).backward()
    return student.grad


def numpy_smoothed_targets(labels, classes, epsilon):
    return (1 - epsilon) * np.eye(classes)[labels] + epsilon / classes


def torch_smoothed_targets(labels, classes, epsilon):
    return (1 - epsilon) * F.one_hot(labels, classes).double() + epsilon / classes


def numpy_two_parts(p, q, labels):
    rows, rest = np.arange(len(p)), np.arange(p.shape[1]) != labels[:, None]
    a, b = p[rows, labels], q[rows, labels]
    target = a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))
    c, d = p / (1 - a)[:, None], q / (1 - b)[:, None]
    return target, (rest * c * np.log(c / d)).sum(axis=1)


def torch_two_parts(p, q, labels):
    label = F.one_hot(labels, p.shape[1]).bool()
    a, b = p[label], q[label]
    target = a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()
    c = p[~label].reshape(len(p), -1) / (1 - a)[:, None]
    d = q[~label].reshape(len(p), -1) / (1 - b)[:, None]
    return target, (c * (c / d).log()).sum(1)


def numpy_logit_matching(student, teacher):
    gap = student - teacher
    gap = gap - gap.mean(axis=1, keepdims=True)
    return (gap**2).mean() / 2


def torch_logit_matching(student, teacher):
    gap = student - teacher
    return (gap - gap.mean(1, keepdim=True)).square().mean() / 2


def numpy_sign_flip_p(a, b):
    d = a - b
    signs = np.array(list(itertools.product((1, -1), repeat=len(d))))
    return (abs(signs @ d) >= abs(d.sum())).mean()


def torch_sign_flip_p(a, b):
    d = a - b
    signs = torch.cartesian_prod(*[torch.tensor([1, -1])] * len(d)).reshape(-1, len(d))
    return ((signs * d).sum(1).abs() >= d.sum().abs()).double().mean()
