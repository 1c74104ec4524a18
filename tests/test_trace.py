"""The graph by torch.fx, and layers whose weights are made from other tensors."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from mcomp.codecs import Sparse, attach
from mcomp.trace import check_own_tensors, trace


class Untraced(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.shift = nn.Conv2d(4, 4, 1), nn.Parameter(torch.zeros(4, 1, 1))

    def forward(self, x):
        x = self.conv(x) + self.shift
        torch._assert(x.ndim == 4, "4D")
        return x + 1 if x.sum() > 0 else x


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Untraced()

    def forward(self, x):
        return self.block(x) * self.block.shift


def test_a_module_that_cannot_be_traced_leaves_nothing_behind():
    graph = trace(Twice())
    assert [(node.op, node.target) for node in graph.nodes if node.op == "call_module"] == [
        ("call_module", "block")
    ]
    assert {node.target for node in graph.nodes if node.op == "get_attr"} == {"block.shift"}
    graph.lint()


class OnTheSpot(nn.Module):
    def forward(self, x):
        return nn.Sequential(nn.ReLU(), nn.Flatten())(x)


def test_a_module_made_on_the_spot_is_its_operations():
    targets = [node.target for node in trace(OnTheSpot()).nodes if node.op != "placeholder"]
    assert targets == [torch.nn.functional.relu, "flatten", "output"]


def old_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(layer)


def masked(layer):
    prune.l1_unstructured(layer, "weight", amount=0.5)
    return layer


def coded(layer):
    attach(layer, {"weight": Sparse(0.5)})
    return layer


def lazy(layer):
    return nn.LazyLinear(4)


class Remembers(nn.Linear):
    def forward(self, x):
        self.seen = super().forward(x)
        return self.seen


def run(layer):
    layer = Remembers(3, 4)
    layer(torch.zeros(1, 3))
    return layer


MADE_UP = {
    run: r"0, whose seen the last run makes'.*call it under torch\.no_grad\(\)",
    old_weight_norm: r"0, whose weight WeightNorm makes'.*utils\.remove_weight_norm\(layer, 'weight'\)",
    nn.utils.spectral_norm: r"0, whose weight SpectralNorm makes'.*remove_spectral_norm\(layer, 'weight'\)",
    parametrizations.weight_norm: r"0, whose weight _WeightNorm makes'.*remove_parametrizations\(lay",
    parametrizations.spectral_norm: r"0, whose weight _SpectralNorm makes'.*remove_parametrizations",
    parametrizations.orthogonal: r"0, whose weight _Orthogonal makes'.*remove_parametrizations",
    masked: r"0, whose weight L1Unstructured makes'.*torch\.nn\.utils\.prune\.remove\(layer, 'weight'\)",
    coded: r"0, whose weight Attached makes'.*call mcomp\.codecs\.bake",
    lazy: r"0, whose weights its first input makes",
}


@pytest.mark.parametrize("make", MADE_UP, ids=lambda make: make.__module__ + "." + make.__name__)
def test_a_layer_whose_weights_are_made_up_is_named(make):
    model = nn.Sequential(make(nn.Linear(3, 4)), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=MADE_UP[make]):
        check_own_tensors(model)


def test_a_plain_network_passes():
    assert check_own_tensors(nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 4))) is None


def test_bad_input():
    with pytest.raises(ValueError, match=r"model is 'Untraced'; allowed: a network whose forward torch\.fx"):
        trace(Untraced())
