"""Right answers to chapter 01's exercises as a learner would write them, in numpy and in torch."""

import heapq
import math

import numpy as np
import torch


def numpy_packed_bytes(w, bits):
    return (w.size * bits + 7) // 8


def torch_packed_bytes(w, bits):
    return math.ceil(w.numel() * bits / 8)


def numpy_entropy_bits(counts):
    p = counts[counts > 0] / counts.sum()
    return -(p * np.log2(p)).sum()


def torch_entropy_bits(counts):
    nats = torch.distributions.Categorical(probs=counts.float()).entropy()  # 2e-7 for a symbol alone
    return nats / math.log(2)


def numpy_huffman_bits(counts):
    trees = counts[counts > 0].tolist()
    if len(trees) == 1:
        return trees[0]
    heapq.heapify(trees)
    total = 0
    while len(trees) > 1:
        joined = heapq.heappop(trees) + heapq.heappop(trees)
        heapq.heappush(trees, joined)
        total += joined
    return total


def torch_huffman_bits(counts):
    trees = counts[counts > 0]
    total = trees.sum() if trees.numel() == 1 else 0
    while trees.numel() > 1:
        trees = trees.sort().values
        joined = trees[:2].sum()
        total += joined
        trees = torch.cat([joined[None], trees[2:]])
    return int(total)


def numpy_rate_distortion(w, step):
    q = np.round(w / step)
    p = np.unique(q, return_counts=True)[1] / w.size
    return -(p * np.log2(p)).sum(), ((w - step * q) ** 2).mean()


def torch_rate_distortion(w, step):
    q = torch.round(w / step)
    p = torch.unique(q, return_counts=True)[1].double() / w.numel()
    return float(-(p * p.log2()).sum()), torch.mean((w - step * q) ** 2).item()


def numpy_linear_intensity(w, n):
    out, size = w.shape
    return 2 * n * w.size / (4 * (w.size + n * size + n * out))


def torch_linear_intensity(w, n):
    moved = w.numel() + n * sum(w.shape)
    return n * w.numel() / (2 * moved)


def numpy_least_seconds(macs, nbytes, flops, bandwidth):
    return np.maximum(2 * macs / flops, nbytes / bandwidth).sum()


def torch_least_seconds(macs, nbytes, flops, bandwidth):
    return torch.stack([2 * macs.double() / flops, nbytes.double() / bandwidth]).amax(dim=0).sum()


def numpy_conv_macs(w, height, width, stride, padding):
    kh, kw = w.shape[2:]
    down = (height + 2 * padding - kh) // stride + 1
    across = (width + 2 * padding - kw) // stride + 1
    return down * across * w.size


def torch_conv_macs(w, height, width, stride, padding):
    image = torch.zeros(1, w.shape[1], height, width, dtype=w.dtype)
    out = torch.nn.functional.conv2d(image, w, stride=stride, padding=padding)
    return out.numel() * w[0].numel()
