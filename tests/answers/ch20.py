"""Right answers to chapter 20's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_pareto_front(nbytes, accuracy):
    order = np.lexsort((np.arange(len(nbytes)), -accuracy, nbytes))
    best = np.maximum.accumulate(accuracy[order])
    return order[accuracy[order] > np.append(-np.inf, best[:-1])]


def torch_pareto_front(nbytes, accuracy):
    best, front = float("-inf"), []
    for i in sorted(range(len(nbytes)), key=lambda i: (float(nbytes[i]), -float(accuracy[i]), i)):
        if float(accuracy[i]) > best:
            best = float(accuracy[i])
            front.append(i)
    return torch.tensor(front)


def numpy_bound(nbytes, error, budget):
    if nbytes.min(1).sum() > budget:
        return np.inf
    more, less = (x[:, None, :] - x[:, :, None] for x in (nbytes, -error))
    prices = np.append(0.0, less[(more > 0) & (less > 0)] / more[(more > 0) & (less > 0)])
    return max(float((error + p * nbytes).min(1).sum() - p * budget) for p in prices)


def torch_bound(nbytes, error, budget):
    if float(nbytes.amin(1).sum()) > budget:
        return float("inf")
    prices = [0.0]
    for n, e in zip(nbytes.tolist(), error.tolist(), strict=True):
        for a, x in zip(n, e, strict=True):
            prices += [(x - y) / (b - a) for b, y in zip(n, e, strict=True) if b > a and y < x]
    return max(float((error + p * nbytes).amin(1).sum()) - p * budget for p in prices)


def numpy_nearest(nbytes, accuracy, limits):
    most, least = limits
    missed = np.maximum(nbytes / most - 1, 0) + np.maximum(least - accuracy, 0)
    place = np.lexsort((nbytes, missed))[0]
    return int(place), float(missed[place])


def torch_nearest(nbytes, accuracy, limits):
    most, least = limits
    missed = (nbytes / most - 1).clamp(min=0) + (least - accuracy).clamp(min=0)
    place = min(range(len(nbytes)), key=lambda i: (float(missed[i]), float(nbytes[i])))
    return place, float(missed[place])


def numpy_area(nbytes, accuracy, corner):
    keep = (nbytes < corner[0]) & (accuracy > corner[1])
    order = np.argsort(nbytes[keep])
    n, top = nbytes[keep][order], np.maximum.accumulate(accuracy[keep][order])
    return float((np.diff(np.append(n, corner[0])) * (top - corner[1])).sum())


def torch_area(nbytes, accuracy, corner):
    total, right, most = 0.0, corner[0], corner[1]
    for i in sorted(range(len(nbytes)), key=lambda i: (-float(accuracy[i]), float(nbytes[i]))):
        if accuracy[i] > corner[1] and nbytes[i] < right:
            total += (right - float(nbytes[i])) * (float(accuracy[i]) - most)
            right = float(nbytes[i])
    return total


def numpy_halving(scores, factor):
    left, epochs = np.arange(len(scores)), 0
    for rung in range(scores.shape[1]):
        epochs += len(left) * factor**rung
        order = np.argsort(-scores[left, rung], kind="stable")
        left = np.sort(left[order][: max(1, len(left) // factor)])
    return int(left[np.argmax(scores[left, -1])]), epochs


def torch_halving(scores, factor):
    left, epochs, rungs = list(range(len(scores))), 0, scores.shape[1]
    for rung in range(rungs):
        epochs += len(left) * factor**rung
        left.sort(key=lambda i: (-float(scores[i, rung]), i))
        if rung + 1 < rungs:
            left = left[: max(1, len(left) // factor)]
    return left[0], epochs
