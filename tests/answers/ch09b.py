"""Right answers to chapter 09b's exercises as a learner would write them, in numpy and in torch."""

import itertools

import numpy as np
import torch


def numpy_product_index(w, codebooks):
    parts, _, d = codebooks.shape
    return ((w.reshape(len(w), parts, 1, d) - codebooks) ** 2).sum(-1).argmin(-1)


def torch_product_index(w, codebooks):
    runs = w.view(len(w), len(codebooks), 1, -1)
    return (runs - codebooks).square().sum(-1).argmin(-1)


def numpy_choose_at_price(sizes, damages, price):
    return (damages + price * sizes).argmin(axis=1)


def torch_choose_at_price(sizes, damages, price):
    return (damages + price * sizes).argmin(1)


def numpy_allocate(sizes, damages, budget):
    rows, best = np.arange(len(sizes)), None
    for choice in itertools.product(range(sizes.shape[1]), repeat=len(sizes)):
        size, damage = sizes[rows, choice].sum(), damages[rows, choice].sum()
        if size <= budget and (best is None or (damage, size) < best[:2]):
            best = damage, size, choice
    return np.array(best[2])


def torch_allocate(sizes, damages, budget):
    states = {0: (0.0, [])}  # the least damage for each size in all
    for size, damage in zip(sizes.tolist(), damages.tolist(), strict=True):
        grown = {}
        for total, (lost, choice) in states.items():
            for c, (s, d) in enumerate(zip(size, damage, strict=True)):
                if total + s <= budget and lost + d < grown.get(total + s, (float("inf"),))[0]:
                    grown[total + s] = lost + d, [*choice, c]
        states = grown
    best = min(states, key=lambda total: (states[total][0], total))
    return torch.tensor(states[best][1])
