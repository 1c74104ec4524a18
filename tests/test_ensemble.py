"""Networks side by side, halves stitched, experts behind a gate: exact in float64, or refused by name."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import mcomp
from mcomp import train
from mcomp.measure import largest_difference
from mcomp.merge import Ensemble, Mixture, balance_loss, side_by_side, stitch

X = (4, 1, 6, 6)


class Skips(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width)
        self.inner = nn.Conv2d(width, width, 3, padding=1, groups=2)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(width, 3)

    def forward(self, x):
        h = self.norm(self.stem(x)).relu()
        h = h + self.inner(h)
        return self.head(torch.flatten(self.pool(h), 1))


def mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 5), nn.ReLU(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)
    )


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2, bias=False), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip


def several(build, n):
    for seed in range(n):
        torch.manual_seed(seed)
        model = build().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        yield model


@pytest.mark.parametrize("build", [mlp, convolutions, Skips])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_side_by_side_is_the_mean_of_the_logits(build, n):
    models, x = [*several(build, n)], torch.randn(X)
    before = [copy.deepcopy(model.state_dict()) for model in models]
    wide = side_by_side(models, x)
    assert type(wide) is type(models[0])
    assert torch.allclose(wide(x), Ensemble(models, probabilities=False)(x), atol=1e-6)
    for model, state in zip(models, before, strict=True):
        assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    models = [model.double() for model in models]
    assert largest_difference(Ensemble(models, probabilities=False), side_by_side(models, x), x) < 1e-12


def test_networks_of_the_zoo_stand_side_by_side():
    x = torch.randn(2, 1, 28, 28)
    for name in ("lenet5", "resnet"):
        models = [mcomp.zoo.load(name, seed).double() for seed in (0, 1)]
        assert largest_difference(Ensemble(models, probabilities=False), side_by_side(models, x), x) < 1e-12


def test_a_file_opens_the_wide_network_from_its_class(tmp_path):
    models, x = [*several(mlp, 2)], torch.randn(X)
    wide = side_by_side(models, x)
    mcomp.save(wide, tmp_path / "wide.safetensors")
    opened = mcomp.load(tmp_path / "wide.safetensors", model=mlp())
    assert torch.equal(opened(x), wide(x))


class Head(nn.Sequential):
    def __init__(self):
        super().__init__(nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


class Sized(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Conv2d(1, 4, 3), nn.Linear(64, 3)

    def forward(self, x):
        return self.head(self.first(x).view(-1, 64))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat, self.same, self.head = nn.Flatten(), nn.Linear(36, 36), nn.Linear(36, 3)

    def forward(self, x):
        return self.head(self.same(self.same(self.flat(x))))


class Mixed(Twice):
    def forward(self, x):
        flat = self.flat(x)
        return self.head(self.same(flat) + flat)


def with_layer_norm():
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.LayerNorm(4), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (Sized, r"operation of Sized is 'view"),
        (Twice, "layer is 'same, called more than once'"),
        (Mixed, r"operation of Mixed is 'add, on the input and on channels'"),
        (with_layer_norm, r"layer is '2 \(LayerNorm\)'"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.ReLU()), "output of Sequential is '_2'"),
    ],
)
def test_what_has_no_block_diagonal_form_is_refused_by_name(build, named):
    with pytest.raises(ValueError, match=named):
        side_by_side([*several(build, 2)], torch.randn(X))


def test_an_operation_across_channels_is_caught_by_its_numbers():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = nn.Conv2d(1, 4, 6), nn.Linear(4, 3)

        def forward(self, x):
            h = self.first(x)
            return self.head(torch.flatten(h + torch.mean(h, 1, keepdim=True), 1))

    models = [*several(Centred, 2)]
    with pytest.raises(ValueError, match="side by side is 'off by"):
        side_by_side(models, torch.randn(X))


def test_an_ensemble_averages_probabilities_or_logits():
    models, x = [*several(mlp, 3)], torch.randn(X)
    logits = torch.stack([model(x) for model in models])
    assert torch.allclose(Ensemble(models)(x).exp(), logits.softmax(-1).mean(0), atol=1e-6)
    assert torch.allclose(Ensemble(models, probabilities=False)(x), logits.mean(0))
    with pytest.raises(ValueError, match="number of networks is 0"):
        Ensemble([])


@pytest.mark.parametrize("at", ["1", "2", "3"])
def test_halves_of_one_network_stitched_by_nothing_are_that_network(at):
    model, x = next(several(mlp, 1)), torch.randn(X)
    stitched = stitch(model, model, nn.Identity(), at=(at, at))
    assert torch.equal(stitched(x), model(x))
    assert not any(p.requires_grad for p in stitched.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_halves_of_two_shapes_are_stitched_by_a_layer_that_learns():
    one, other = mcomp.zoo.load("lenet5", 0), mcomp.zoo.load("resnet", 0)
    layer = nn.Conv2d(20, 16, 1)
    stitched = stitch(one, other, layer, at=("conv1", "block1"))
    assert [n for n, p in stitched.named_parameters() if p.requires_grad] == ["layer.weight", "layer.bias"]
    assert stitched(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_training_a_stitch_leaves_the_halves_as_they_are():
    models = [*several(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), Head()), 2)]
    stitched = stitch(*models, nn.Conv2d(4, 4, 1), at=("0", "0"))
    before = copy.deepcopy(stitched.state_dict())
    data = SimpleNamespace(train=(torch.randn(20, *X[1:]), torch.arange(20) % 3))
    train.fit(stitched, data, epochs=2, lr=0.1, progress=False)
    moved = {n for n, t in stitched.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {"layer.weight", "layer.bias"}
    assert stitched.train().layer.training
    assert not stitched.upper.training


@pytest.mark.parametrize(
    ("build", "at", "named"),
    [
        (Skips, "inner", r"cut is .*inner.*, past which relu leads to add"),
        (Skips, "nose", "nose, called 0 times"),
        (Twice, "same", "same, called 2 times"),
    ],
)
def test_a_cut_that_something_passes_is_refused(build, at, named):
    model = build()
    with pytest.raises(ValueError, match=named):
        stitch(model, model, nn.Identity(), at=(at, at))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_mixture_is_the_loop_over_inputs(k):
    torch.manual_seed(0)
    experts, gate, x = [nn.Linear(4, 3) for _ in range(3)], nn.Linear(4, 3), torch.randn(9, 4)
    mixture = Mixture(experts, gate, k=k)
    found = mixture(x)
    for row, image in enumerate(x):
        gates = gate(image).softmax(-1)
        chosen = gates.argsort(descending=True)[:k]
        by_hand = sum(gates[i] * experts[i](image) for i in chosen)
        assert torch.allclose(found[row], by_hand, atol=1e-6)
        assert mixture.chosen[row].tolist() == chosen.tolist()
    found.sum().backward()
    assert gate.weight.grad is not None


def test_branches_with_a_gate_inside_of_a_network_are_their_weighted_sum():
    torch.manual_seed(0)
    branches = [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1)]
    gate = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 2))
    inside = Mixture(branches, gate, k=2)
    model, x = nn.Sequential(nn.ReLU(), inside, nn.Flatten(), nn.Linear(48, 5)), torch.randn(6, 2, 4, 4)
    g = gate(x.relu()).softmax(-1)
    summed = sum(torch.einsum("n,nchw->nchw", g[:, i], branch(x.relu())) for i, branch in enumerate(branches))
    assert torch.allclose(inside(x.relu()), summed, atol=1e-6)
    model(x).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def test_the_balance_loss_is_1_when_balanced_and_n_when_one_gets_all(xp):
    even = balance_loss(xp.asarray([[0.5, 0.5]] * 4), xp.asarray([0, 1, 0, 1]))
    one = balance_loss(xp.asarray([[1.0, 0.0]] * 4), xp.asarray([[0, 1]] * 4))
    assert [float(even), float(one)] == [1.0, 2.0]


def test_the_balance_loss_moves_the_gate_towards_the_expert_with_less():
    logits = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.5, 0.0]], requires_grad=True)
    p = logits.softmax(-1)
    balance_loss(p, p.argmax(-1)).backward()
    assert bool((logits.grad[:, 0] > 0).all())


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Mixture([nn.Linear(2, 2)], nn.Linear(2, 1), k=2), "k is 2"),
        (lambda: Mixture([nn.Linear(2, 2)], nn.Linear(2, 3))(torch.ones(1, 2)), "gate's output is"),
        (lambda: balance_loss(np.ones((2, 2)), np.array([0])), "the shapes"),
        (lambda: side_by_side([], torch.ones(X)), "number of networks is 0"),
    ],
)
def test_bad_mixtures_are_refused(call, named):
    with pytest.raises(ValueError, match=named):
        call()
