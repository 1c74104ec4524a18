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


# Networks as people bring them: the same function in float64, or refused by name


class SharedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.three(self.two(self.one(x).relu()).relu())


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.two(torch.relu(self.one(x))) @ self.one.weight


def hooked():
    one = nn.Linear(4, 4)
    one.register_forward_hook(lambda module, inputs, out: out + 1)
    return nn.Sequential(one, nn.ReLU(), nn.Linear(4, 4))


STRANGERS = {
    "1d": (
        lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.MaxPool1d(2), nn.Conv1d(6, 2, 2)),
        (3, 4, 9), [("0", "2")],
    ),
    "3d": (
        lambda: nn.Sequential(nn.Conv3d(1, 4, 2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)),
        (2, 1, 4, 4, 4), [("0", "3")],
    ),
    "groups, circular": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 3, groups=4, padding=1, padding_mode="circular"), nn.ReLU(),
            nn.Conv2d(4, 6, 3, groups=2, bias=False),
        ), (2, 4, 6, 6), [("0", "2")],
    ),
    "rows": (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), (3, 5, 4), [("0", "2")]),
    "flat rows": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Flatten(), nn.Linear(12, 5)), (2, 4, 4), []),
    "pooled rows": (lambda: nn.Sequential(nn.Linear(4, 8), nn.AvgPool1d(2), nn.Linear(4, 5)), (2, 4, 4), []),
    "half": (lambda: nn.Sequential(nn.Conv2d(1, 3, 1), nn.Flatten(2), nn.Linear(9, 5)), (2, 1, 3, 3), []),
    "images": (lambda: nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Linear(3, 3)), (2, 1, 3, 3), []),
    "rows to 1d": (lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Conv1d(3, 3, 1)), (2, 3, 3), []),
    "relu6": (lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU6(), nn.Linear(3, 3)), (2, 3), []),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 2, 2)), (2, 2, 4, 4), []
    ),
    "shared": (SharedWeight, (2, 4), []),
    "read": (Reads, (4, 4), []),
    "hooks": (hooked, (2, 4), []),
    "channels last": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).to(
            memory_format=torch.channels_last
        ), (2, 2, 7, 7), [("0", "2")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_are_equalized_exactly_or_left(name):
    make, shape, pairs = STRANGERS[name]
    torch.manual_seed(0)
    model, x = make().double().requires_grad_(False), torch.randn(shape, dtype=torch.float64)
    assert equalized_pairs(model) == pairs
    even = equalize(model)
    torch.testing.assert_close(even(x), model(x), rtol=1e-10, atol=1e-10)  # float64
    changed = [n for n, p in even.named_parameters() if not torch.equal(p, model.get_parameter(n))]
    assert bool(changed) == bool(pairs)
    assert not any(p.requires_grad for p in even.parameters())


@pytest.mark.parametrize("act", [equalize, lambda model: clip_weights(model, 3)])
def test_a_weight_that_something_else_makes_is_refused_by_name(act):
    normed = nn.Sequential(nn.Linear(4, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    for model in (normed, rounded(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), 3)):
        with pytest.raises(ValueError, match=r"[01].*made by (_WeightNorm|Attached)"):
            act(model)


def test_clip_weights_of_transposed_and_shared_layers():
    layer = nn.ConvTranspose2d(4, 6, 3, groups=2)
    cut = clip_weights(layer, 3)
    for c in range(6):
        row = layer.weight.detach()[2 * (c // 3) : 2 * (c // 3) + 2, c % 3].reshape(1, -1)
        found = cut.weight.detach()[2 * (c // 3) : 2 * (c // 3) + 2, c % 3].reshape(1, -1)
        assert torch.allclose(found, best_clip(row, 3, axis=0))
    model = SharedWeight()
    assert torch.equal(clip_weights(model, 3).two.weight, best_clip(model.one.weight.detach(), 3, axis=0))


CORRECTED = {
    "rows, as many as features": (lambda: nn.Sequential(nn.Linear(4, 5)), (300, 5, 4)),
    "more rows": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), (300, 7, 4)),
    "1d": (lambda: nn.Sequential(nn.Conv1d(4, 5, 3, bias=False), nn.ReLU(), nn.Conv1d(5, 3, 3)), (200, 4, 7)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 3, groups=2)), (200, 2, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRECTED)
def test_the_means_of_every_channel_are_right_whatever_the_axis(name):
    make, shape = CORRECTED[name]
    torch.manual_seed(0)
    model, x = make().double(), torch.randn(shape, dtype=torch.float64) + 1
    small = copy.deepcopy(model)
    for p in small.parameters():
        if p.ndim > 1:
            p.data = (3 * p.data).round() / 3
    right = correct_bias(small, model, x=x)
    last = [n for n, m in model.named_modules() if hasattr(m, "weight")][-1]
    means = []
    for network in (model, right):
        y = network(x).detach()
        axis = y.ndim - 1 if isinstance(network[int(last)], nn.Linear) else 1
        means.append(y.movedim(axis, 0).flatten(1).mean(1))
    torch.testing.assert_close(*means, rtol=1e-10, atol=1e-10)  # float64 sums of some thousand


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(self.fc(x))


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def shared_bias():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].bias = model[0].bias
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Twice, "fc, which runs 2 times"),
        (
            lambda: nn.TransformerEncoderLayer(4, 1, 4, batch_first=True),
            "self_attn.out_proj, which runs 0 times",
        ),
        (lambda: nn.Sequential(Doubled(4, 4)), "0, Doubled"),
        (shared_bias, "0, Linear"),
    ],
)
def test_bias_correction_refuses_by_name(make, reason):
    model = make()
    with pytest.raises(ValueError, match=reason):
        correct_bias(rounded_in_place(model), model, x=torch.randn(8, 3, 4))


def test_bias_correction_refuses_a_bias_with_a_codec():
    small = nn.Sequential(nn.Linear(4, 4))
    attach(small, {"*": Uniform(3)})
    with pytest.raises(ValueError, match=r"0, .*without codec"):
        correct_bias(small, nn.Sequential(nn.Linear(4, 4)), x=torch.randn(8, 4))


def rounded_in_place(model):
    small = copy.deepcopy(model)
    for p in small.parameters():
        p.data = (3 * p.data).round() / 3
    return small


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
