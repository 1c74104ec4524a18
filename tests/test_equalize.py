import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.ao.quantization import _equalize

from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Uniform, attach
from mcomp.ptq.equalize import (
    clip_weights,
    correct_bias,
    equalization_scales,
    equalize,
    equalized_pairs,
    mean_output,
)
from mcomp.quantize.ranges import best_clip
from mcomp.structure import fold_batchnorm

quick = settings(derandomize=True, deadline=None, max_examples=8)
IMAGES = torch.rand(60, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 4 - 1


@quick
@given(seed=st.integers(0, 2**31), channels=st.integers(1, 6), n=st.integers(1, 4), m=st.integers(1, 4))
def test_scales_make_the_ranges_equal(xp, seed, channels, n, m):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(channels, n)), rng.normal(size=(channels, m)) * 10
    s = to_numpy(equalization_scales(xp.asarray(first), xp.asarray(second)))
    r1, r2 = abs(first).max(1) / s, abs(second).max(1) * s
    np.testing.assert_allclose(r1, r2, rtol=1e-12)
    np.testing.assert_allclose(r1, np.sqrt(abs(first).max(1) * abs(second).max(1)), rtol=1e-12)


def test_a_channel_of_zeros_stays():
    s = equalization_scales(np.array([[0.0], [2.0]]), np.array([[5.0], [0.0]]))
    assert s.tolist() == [1.0, 1.0]


def test_one_pair_is_torch_cross_layer_equalization():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():  # theirs balances max - min, ours max |w|: the same where both signs reach as far
        for w in (model[0].weight, model[2].weight.T):
            w[:, 0] = -w[:, 1:].abs().amax(1)
            w[:, 1] = -w[:, 0]
    ours, theirs = equalize(model, rounds=1), copy.deepcopy(model)
    _equalize.cross_layer_equalization(theirs[0], theirs[2])
    torch.testing.assert_close(ours[0].weight, theirs[0].weight)
    torch.testing.assert_close(ours[2].weight, theirs[2].weight)
    torch.testing.assert_close(ours[0].bias, theirs[0].bias)


def depthwise_network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 12, 3, groups=6), nn.ReLU(),
        nn.Conv2d(12, 8, 1, groups=2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 12 * 12, 5),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("name", ["lenet300", "lenet5", "resnet", "depthwise"])
def test_the_function_stays_and_the_ranges_meet(name):
    model = depthwise_network() if name == "depthwise" else fold_batchnorm(zoo.load(name))
    before = copy.deepcopy(model.state_dict())
    even = equalize(model)
    with torch.no_grad():
        # float32 sums of up to 1,152 terms in another scaling
        torch.testing.assert_close(even(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    expected = {
        "lenet300": [("fc1", "fc2"), ("fc2", "fc3")],
        "lenet5": [("conv1", "conv2"), ("conv2", "fc1"), ("fc1", "fc2")],
        "resnet": [(f"block{i}.conv1", f"block{i}.conv2") for i in (1, 2, 3)],
        "depthwise": [("0", "2"), ("2", "4"), ("4", "7")],
    }
    assert equalized_pairs(model) == expected[name]
    for first, second in expected[name]:
        w1, w2 = (even.get_submodule(name).weight.detach() for name in (first, second))
        groups, channels = getattr(even.get_submodule(second), "groups", 1), len(w1)
        for c in range(channels):
            inner = channels // groups
            rows = slice(c // inner * (len(w2) // groups), (c // inner + 1) * (len(w2) // groups))
            read = w2[rows].reshape(len(w2) // groups, inner, -1)[:, c % inner]
            assert float(w1[c].abs().max() / read.abs().max()) == pytest.approx(1, abs=0.02)


@quick
@given(seed=st.integers(0, 2**31), bits=st.integers(2, 6), axis=st.sampled_from([None, 0, 1]))
def test_best_clip_is_the_best_of_a_search_by_torch(xp, seed, bits, axis):
    w = np.random.default_rng(seed).laplace(size=(3, 40)).astype(np.float32)
    ours = to_numpy(best_clip(xp.asarray(w.copy()), bits, axis=axis))
    assert ours.shape == w.shape
    channels = {None: [(w, ours)], 0: zip(w, ours, strict=True), 1: zip(w.T, ours.T, strict=True)}[axis]
    most = 2 ** (bits - 1) - 1

    def error(row, t):
        scale = float(t) / most
        y = torch.fake_quantize_per_tensor_affine(torch.tensor(row).reshape(-1), scale, 0, -most, most)
        return float((y.double() - torch.tensor(row).reshape(-1).double()).square().sum())

    for row, cut in channels:
        tried = [error(row, p / 100 * abs(row).max()) for p in range(1, 101)]
        assert error(row, abs(cut).max()) <= min(tried) * (1 + 1e-4) + 1e-12  # float32 sums


def test_clip_weights_cuts_layers_only():
    model = zoo.load("lenet5")
    cut = clip_weights(model, 3)
    assert torch.equal(cut.conv1.bias, model.conv1.bias)
    assert torch.equal(cut.fc1.weight, best_clip(model.fc1.weight.detach(), 3, axis=0))


def rounded(model, bits):
    model = copy.deepcopy(model)
    attach(model, {"*.weight": Uniform(bits)})
    return model.eval()


@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_bias_correction_makes_the_means_equal(name):
    model = fold_batchnorm(zoo.load(name))
    small = rounded(model, 3)
    before = copy.deepcopy(small.state_dict())
    right = correct_bias(small, model, x=IMAGES)
    assert all(torch.equal(before[key], value) for key, value in small.state_dict().items())
    for layer, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            wanted, found = (mean_output(m, layer, x=IMAGES) for m in (model, right))
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)  # later layers in float32
    with torch.no_grad():
        errors = [float((m(IMAGES) - model(IMAGES)).square().mean()) for m in (small, right)]
    assert errors[1] < errors[0]


def test_the_first_layers_correction_is_the_weight_error_times_the_mean_input():
    model = nn.Sequential(nn.Linear(4, 3, bias=False)).eval()
    small, x = rounded(model, 2), torch.rand(50, 4)
    right = correct_bias(small, model, x=x)
    expected = -(small[0].weight - model[0].weight) @ x.mean(0)
    torch.testing.assert_close(right[0].bias.detach(), expected.detach())


def test_bad_input():
    for call in (
        lambda: equalization_scales(np.ones((2, 3)), np.ones((3, 3))),
        lambda: equalization_scales(np.ones(3), np.ones(3)),
        lambda: equalize(zoo.load("lenet5"), rounds=0),
        lambda: best_clip(np.ones(3), 1),
        lambda: correct_bias(zoo.load("lenet5"), zoo.load("lenet300"), x=IMAGES),
    ):
        with pytest.raises(ValueError, match="allowed: "):
            call()
