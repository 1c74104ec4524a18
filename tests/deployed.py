"""What the tests of engines share: images, a small network, what logits mean in integers, a refusal."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import mcomp.data
from mcomp import deploy, zoo
from mcomp.integer import integer_network
from mcomp.structure import fold_batchnorm

DATA = mcomp.data.load("fashion-mnist")
IMAGES, TRAIN = DATA.validation[0][:60], DATA.train[0][:100]


def small(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def in_integers(names):
    """By name of the zoo: (float network, integer network)."""
    networks = {name: zoo.load(name) for name in names}
    return {name: (model, integer_network(fold_batchnorm(model), TRAIN)) for name, model in networks.items()}


def steps(logits, network):
    """The integers of the last tensor that some logits mean."""
    grid = network.steps[-1].grid
    return np.rint(np.asarray(logits) / np.float32(grid.scale)).astype(int) + grid.zero_point


def refuses(engine, suffix, change, told, folder, monkeypatch):
    """Export with one argument changed: a ValueError that says `told`. Returns what it wrote."""
    monkeypatch.chdir(folder)
    options = {"model": small(), "path": f"net{suffix}", "example": torch.randn(5, 12)} | change
    with pytest.raises(ValueError, match=re.escape(told)):
        deploy.export(engine, options.pop("model"), options.pop("path"), **options)
    return list(folder.iterdir())
