"""A network rounded to fewer values, so that a page has room for it."""

import copy

import torch

from mcomp.coding.entropy import entropy

__all__ = ["FEW", "VALUES", "estimate", "rounded"]

VALUES = (None, 255, 191, 127, 111, 95, 79, 63, 47, 31, 15)  # of a layer's weights; None: as they are
FEW = 4_096  # weights: a tensor with fewer is never rounded


def rounded(plain, values):
    """A copy in which each large tensor has so many evenly spaced values, symmetric around zero."""
    plain = copy.deepcopy(plain)
    with torch.no_grad():
        for w in plain.parameters():
            if values is not None and w.numel() >= FEW and (most := float(w.abs().max())) > 0:
                step = most / (values // 2)
                w.copy_((w / step).round() * step)
    return plain


def estimate(plain, values):
    """About the bytes of the file, without writing it."""
    total = 0.0
    for w in plain.parameters():
        w = w.detach().reshape(-1)
        if values is None or len(w) < FEW:
            total += 3.4 * len(w)  # of trained float32 numbers a code saves a seventh
        else:
            total += len(w) * entropy(w.unique(return_counts=True)[1].numpy()) / 8
    return total
