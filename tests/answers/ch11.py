"""Right answers to chapter 11's exercises as a learner would write them, in numpy and in torch."""

from itertools import combinations

import numpy as np
import torch


def numpy_fold_before(w, b, scale, shift):
    return w * scale, b + w @ shift


def torch_fold_before(w, b, scale, shift):
    return torch.einsum("oi,i->oi", w, scale), torch.addmv(b, w, shift)


def numpy_merge_linear(w1, b1, w2, b2):
    return w2 @ w1, w2 @ b1 + b2


def torch_merge_linear(w1, b1, w2, b2):
    merged = w2 @ torch.cat([w1, b1[:, None]], 1)
    return merged[:, :-1], merged[:, -1] + b2


def numpy_smallest_chain(widths):
    found = []
    for count in range(len(widths) - 1):
        for kept in combinations(widths[1:-1], count):
            left = np.array([widths[0], *kept, widths[-1]])
            found.append((left[:-1] * left[1:]).sum())
    return min(found)


def torch_smallest_chain(widths):
    best = [0]  # the fewest weights up to each width that stays
    for j in range(1, len(widths)):
        best.append(min(best[i] + int(widths[i] * widths[j]) for i in range(j)))
    return best[-1]


def numpy_rep_kernel(w3, w1, same):
    kernel = w3.copy()
    kernel[:, :, 1, 1] += w1[:, :, 0, 0] + np.diag(same)
    return kernel


def torch_rep_kernel(w3, w1, same):
    centre = w1 + torch.diag(same)[:, :, None, None]
    return w3 + torch.nn.functional.pad(centre, (1, 1, 1, 1))


def numpy_block_influence(before, after):
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return 1 - ((before * after).sum(1) / lengths).mean()


def torch_block_influence(before, after):
    return 1 - torch.nn.functional.cosine_similarity(before, after, dim=1).mean()


def numpy_mean_macs(sure, cost, threshold):
    stop = sure >= threshold
    stop[-1] = True
    return cost[stop.argmax(0)].mean()


def torch_mean_macs(sure, cost, threshold):
    going = (sure[:-1] < threshold).cumprod(0).sum(0)  # exits that are passed
    return cost[going].mean()
