"""Parameters counted as torch counts them, parametrised ones as the weight that they stand for."""

import os
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from mcomp.measure.sizes import count_parameters, file_bytes, named_weights


class Halves(nn.Module):
    """A parametrisation with a parameter of its own that zeroes the first column."""

    def __init__(self):
        super().__init__()
        self.own = nn.Parameter(torch.ones(7))

    def forward(self, w):
        return torch.cat([torch.zeros_like(w[:, :1]), w[:, 1:]], 1)


def by_torch(model):
    return sum(p.numel() for p in model.parameters())


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5), st.booleans())
def test_plain_models_count_as_torch_counts(widths, bias):
    model = nn.Sequential(*(nn.Linear(a, b, bias=bias) for a, b in pairwise(widths)))
    assert count_parameters(model) == by_torch(model)
    assert [name for name, _ in named_weights(model)] == [name for name, _ in model.named_parameters()]
    with torch.no_grad():
        model[0].weight.zero_()
    expected = sum(int((p != 0).sum()) for p in model.parameters())
    assert count_parameters(model, nonzero=True) == expected


def test_batch_norm_counts_its_two_vectors_and_no_buffers():
    assert count_parameters(nn.BatchNorm2d(16)) == 32


def test_a_parametrised_weight_counts_once_as_what_it_stands_for():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Conv2d(3, 2, 3))
    plain, names = by_torch(model), sorted(name for name, _ in model.named_parameters())
    parametrize.register_parametrization(model[0], "weight", Halves())
    parametrizations.weight_norm(model[2])  # two originals stand for one weight
    assert by_torch(model) == plain + 7 + 2
    assert count_parameters(model) == plain
    assert sorted(name for name, _ in named_weights(model)) == names
    zeros = plain - int(sum((p == 0).sum() for p in (model[0].weight, model[0].bias)))
    assert count_parameters(model, nonzero=True) == zeros
    weights = dict(named_weights(model))
    assert torch.equal(weights["0.weight"], model[0].weight)
    assert not weights["0.weight"][:, 0].any()


def test_the_mode_and_the_parametrisation_are_left_alone():
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout())
    parametrize.register_parametrization(model[0], "weight", Halves())
    model[1].eval()
    count_parameters(model)
    assert [module.training for module in model.modules()].count(False) == 1
    assert parametrize.is_parametrized(model[0])


def test_a_shared_parameter_counts_once():
    model = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 11, bias=False))
    model[1].weight = model[0].weight
    assert count_parameters(model) == by_torch(model) == 66


def test_a_parameter_of_the_model_itself_has_its_plain_name():
    model = nn.Linear(3, 2)
    assert [name for name, _ in named_weights(model)] == ["weight", "bias"]


@pytest.mark.parametrize("size", [0, 1, 12_345])
def test_file_bytes_is_what_was_written(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert file_bytes(path) == file_bytes(os.fspath(path)) == size


@pytest.mark.parametrize("path", ["", "nowhere", "."])
def test_file_bytes_refuses_what_is_no_file(tmp_path, path):
    with pytest.raises(ValueError, match=r"path is .*allowed: an existing file"):
        file_bytes(tmp_path / path)
