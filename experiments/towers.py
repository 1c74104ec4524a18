"""What the experiments of chapter 11 share: a tower of equal residual blocks, and how it is trained.

In a tower nothing changes its shape between the first convolution and the last batch norm: so each block can
become an identity, and depth and width can be chosen freely. The blocks are He et al. 2016,
arXiv:1603.05027, figure 1b: x + f(x), nothing behind the sum.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import mcomp
from mcomp.measure import count_parameters, macs_by_layer
from mcomp.train import evaluate, fit

IMAGES, DEPTH, WIDTH, EPOCHS = 2_000, 9, 16, 6
FRESH, FURTHER = [0.008, 0.02, 0.05], [0.002, 0.008, 0.032]  # learning rates, from scratch and afterwards
TUNING = (0,)  # the seeds whose validation images choose


def full(width):
    """A 3 x 3 convolution."""
    return nn.Conv2d(width, width, 3, padding=1, bias=False)


def depthwise(width):
    """A 3 x 3 convolution that keeps the channels apart, then a 1 x 1 that mixes them."""
    apart = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return nn.Sequential(apart, nn.Conv2d(width, width, 1, bias=False))


class Residual(nn.Module):
    """x + f(x), f twice batch norm, ReLU, convolution."""

    def __init__(self, width, convolution=full):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(width), convolution(width)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), convolution(width)

    def forward(self, x):
        y = self.conv1(F.relu(self.bn1(x)))
        return x + self.conv2(F.relu(self.bn2(y)))


class Tower(nn.Sequential):
    """28 x 28 pixels become 4 x 4 positions; `depth` blocks of so many channels; ten classes.

    Each block is called `times` in a row, with one set of weights.
    """

    def __init__(self, depth, width, *, convolution=full, times=1):
        super().__init__()
        self.add_module("conv", nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False))
        self.add_module("pool", nn.MaxPool2d(3))
        blocks = [Residual(width, convolution) for _ in range(depth)]
        self.add_module("blocks", nn.Sequential(*[block for block in blocks for _ in range(times)]))
        self.add_module("bn", nn.BatchNorm2d(width))
        self.add_module("relu", nn.ReLU())
        self.add_module("mean", nn.AdaptiveAvgPool2d(1))
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc", nn.Linear(width, 10))


def trained(model, data, *, epochs, lr, order, loss=None):
    """A trained copy of `model`; `order` is the seed of the images' order."""
    model, more = copy.deepcopy(model), {} if loss is None else {"loss": loss}
    options = {"batch_size": 64, "weight_decay": 0.01, "progress": False}
    fit(model, data, epochs=epochs, lr=lr, seed=3000 + order, **options, **more)
    return model


def fresh(seed, make):
    """``make()`` with weights drawn from a stream of its own."""
    torch.manual_seed(seed)
    return make()


def towers_path(seed):
    """Where 11_scores.py keeps the tower of a seed for 11_repair.py."""
    return Path(tempfile.gettempdir(), f"mcomp-tower-{seed}.safetensors")


def trained_tower(seed):
    """The tower that 11_scores.py trained."""
    return mcomp.load(towers_path(seed), model=Tower(DEPTH, WIDTH))


def validated(make, data):
    """What `common.tune` maximises: accuracy on validation images, a mean over the seeds that tune."""

    def score(arm, lr):
        right = [evaluate(make(arm, lr, seed), data.validation) for seed in TUNING]
        print(f"{arm}, rate {lr:.4g}: {[round(100 * x, 2) for x in right]}", flush=True)
        return sum(right) / len(right)

    return score


def macs(model, x):
    return sum(macs_by_layer(model, x[:1]).values())


def figures(model, data, size):
    """What is stored of a trained network."""
    return {
        "bytes": size, "accuracy": evaluate(model, data.test), "macs": macs(model, data.test[0]),
        "parameters": count_parameters(model),
    }  # fmt: skip


def rank_correlation(a, b):
    """Spearman's: Pearson's correlation of the ranks."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])
