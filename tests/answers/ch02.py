"""Right answers to chapter 02's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_magnitude_mask(w, theta):
    return abs(w) > theta


def torch_magnitude_mask(w, theta):
    return torch.abs(w) > theta


def numpy_relative_threshold_mask(score, alpha):
    return score > alpha * score.max()


def torch_relative_threshold_mask(score, alpha):
    return torch.gt(score, alpha * torch.amax(score))


def numpy_topk_mask(score, k):
    best = np.argsort(-score, axis=None, kind="stable")[:k]
    mask = np.zeros(score.size, bool)
    mask[best] = True
    return mask.reshape(score.shape)


def torch_topk_mask(score, k):
    best = torch.sort(score.flatten(), descending=True, stable=True).indices[:k]
    mask = torch.zeros(score.numel(), dtype=torch.bool)
    mask[best] = True
    return mask.view(score.shape)


def numpy_nearest_sparse(w, k):
    near = w * numpy_topk_mask(abs(w), k)
    return near, ((w - near) ** 2).sum()


def torch_nearest_sparse(w, k):
    near = w * torch_topk_mask(w.abs(), k)
    return near, torch.sum((w - near) ** 2)


def numpy_total_sparsity(masks):
    kept = sum(mask.sum() for mask in masks.values())
    return 1 - kept / sum(mask.size for mask in masks.values())


def torch_total_sparsity(masks):
    gone = torch.cat([~mask.flatten() for mask in masks.values()])
    return gone.double().mean().item()


def numpy_global_topk_masks(scores, k):
    flat = np.concatenate([score.ravel() for score in scores.values()])
    keep, masks, start = numpy_topk_mask(flat, k), {}, 0
    for name, score in scores.items():
        masks[name] = keep[start : start + score.size].reshape(score.shape)
        start += score.size
    return masks


def torch_global_topk_masks(scores, k):
    keep = torch_topk_mask(torch.cat([score.flatten() for score in scores.values()]), k)
    parts = keep.split([score.numel() for score in scores.values()])
    return {name: part.view(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


def numpy_masked_step(w, grad, mask, lr):
    return (w - lr * grad) * mask


def torch_masked_step(w, grad, mask, lr):
    return torch.where(mask, torch.sub(w, grad, alpha=lr), 0.0)


def numpy_position_bits(mask):
    p = mask.mean()
    if p == 0 or p == 1:
        return 0.0
    return mask.size * (-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def torch_position_bits(mask):
    p = mask.double().mean()
    p = torch.stack([p, 1 - p])
    return -mask.numel() * torch.special.xlogy(p, p).sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))
