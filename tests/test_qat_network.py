"""A network with learned grids: what is quantized, what trains, what a file gives back."""

import copy

import pytest
import torch
from torch import nn

from mcomp import load, save, zoo
from mcomp.course.results import read
from mcomp.qat.network import (
    Flips,
    LearnedGrid,
    StepRates,
    attach_grids,
    bake_grids,
    grids,
    rounding_distance,
)
from mcomp.train import Callback, fit, one_cycle, predict


class Data:
    """Two hundred images that a small network can learn."""

    def __init__(self):
        chance = torch.Generator().manual_seed(0)
        x = torch.randn(200, 1, 28, 28, generator=chance)
        self.train = (x, (x[:, 0, :14].sum((1, 2)) > 0).long())


@pytest.fixture(scope="module")
def data():
    return Data()


def small():
    torch.manual_seed(0)
    return zoo.build("lenet300", hidden=(12, 8)).eval()


@pytest.mark.parametrize("name", ["lenet300", "lenet5", "resnet"])
def test_every_layer_reads_grids(name, data):
    model = zoo.load(name)
    x = data.train[0][:20]
    prepared = attach_grids(model, x, weight_bits=3, activation_bits=4)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    assert set(grids(prepared)) == {f"{n}.{end}" for n in layers for end in ("weight", "input")}
    seen = {}
    for n, layer in prepared.named_modules():
        if n in layers:
            layer.register_forward_hook(lambda m, inputs, out, n=n: seen.update({n: (inputs[0], m.weight)}))
    predict(prepared, x)
    first = next(iter(seen))
    for n, (a, w) in seen.items():
        assert len(a.unique()) <= (256 if n == first else 16)
        assert len(w.unique()) <= 8
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), zoo.load(name).parameters(), strict=True)
    )


def test_weights_or_activations_alone(data):
    x = data.train[0][:20]
    assert all(n.endswith("weight") for n in grids(attach_grids(small(), x, weight_bits=4)))
    assert all(n.endswith("input") for n in grids(attach_grids(small(), x, activation_bits=4)))


def test_in_two_stages_the_first_grids_stay(data):
    x = data.train[0][:20]
    first = attach_grids(small(), x, weight_bits=2)
    first.fc1.parametrizations.weight[0].scale.data.fill_(0.123)
    second = attach_grids(first, x, weight_bits=2, activation_bits=4)
    assert grids(second)["fc1.weight"].scale.item() == pytest.approx(0.123)
    assert len(grids(second)) == 6
    assert len(grids(first)) == 3


def test_sixteen_bits_change_next_to_nothing(data):
    model, x = small(), data.train[0][:20]
    near = predict(attach_grids(model, x, weight_bits=16, activation_bits=16, input_bits=16), x)
    # the steps start at 2 mean|x| / sqrt(32767), 1/90 of the mean: half a percent of error a number
    assert float((near - predict(model, x)).abs().max()) < 0.02 * float(predict(model, x).abs().max())


def test_training_moves_the_steps_and_a_file_predicts_the_same(data, tmp_path):
    prepared = attach_grids(small(), data.train[0], weight_bits=3, activation_bits=3)
    before = {n: grid.scale.item() for n, grid in grids(prepared).items()}
    history = fit(prepared, data, epochs=8, lr=1e-2, batch_size=50, progress=False)
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert all(grid.scale.item() != before[n] for n, grid in grids(prepared).items())
    done = bake_grids(prepared)
    x = data.train[0][:50]
    assert torch.equal(predict(done, x), predict(prepared, x))
    assert len(done.fc1.weight.unique()) <= 8
    nbytes = save(done, tmp_path / "small.safetensors")
    assert torch.equal(predict(load(tmp_path / "small.safetensors", model=done), x), predict(done, x))
    weights = sum(p.numel() for p in done.parameters())
    assert nbytes < weights * 3.2 / 8 + 1500  # three bits a weight, floats for biases, the format


def test_copies_are_independent(data):
    x = data.train[0][:20]
    one = attach_grids(small(), x, weight_bits=2, activation_bits=2)
    two = copy.deepcopy(one)
    grids(two)["fc2.input"].scale.data.mul_(3)
    assert grids(one)["fc2.input"].scale.item() != grids(two)["fc2.input"].scale.item()
    assert not torch.equal(predict(one, x), predict(two, x))


def test_rounding_distance(data):
    prepared = attach_grids(small(), data.train[0][:20], weight_bits=4)
    expected = 0.0
    for layer in (prepared.fc1, prepared.fc2, prepared.fc3):
        w = layer.parametrizations.weight.original
        expected += (w - layer.weight).square().sum().item()
    distance = rounding_distance(prepared)
    assert distance.item() == pytest.approx(expected, rel=1e-5)  # float32 sums
    distance.backward()
    w, grid = prepared.fc1.parametrizations.weight.original, grids(prepared)["fc1.weight"]
    assert torch.allclose(w.grad, 2 * (w - grid(w)).detach())
    assert grid.scale.grad is None


def test_flips_counts_turns():
    layer = nn.Sequential(nn.Linear(2, 1, bias=False))
    prepared = attach_grids(layer, torch.ones(1, 2), weight_bits=4)
    chain = prepared[0].parametrizations.weight
    chain[0].scale.data.fill_(1.0)
    chain.original.data.copy_(torch.tensor([[0.4, 0.4]]))
    flips = Flips(prepared)

    class Run:
        step = 0

    for first, second in [(0.6, 0.6), (0.4, 1.6), (0.6, 2.6), (0.4, 2.6)]:
        chain.original.data.copy_(torch.tensor([[first, second]]))
        flips.after_step(Run)
    assert flips.turns["0"].tolist() == [[3, 0]]  # up, down, up, down; and up all the way
    assert flips.steps == 4


class Rates(Callback):
    """The learning rate with which each parameter is moved, step by step."""

    def __init__(self):
        self.seen = []

    def after_step(self, run):
        self.seen.append({p: group["lr"] for group in run.optimizer.param_groups for p in group["params"]})


def test_a_step_moves_at_a_rate_in_proportion_to_its_size(data):
    prepared = attach_grids(small(), data.train[0], weight_bits=3, activation_bits=3)
    start = {grid.scale: grid.scale.item() for grid in grids(prepared).values()}
    rates = Rates()
    callbacks = [StepRates(prepared, relative=0.5), rates]
    fit(prepared, data, epochs=2, lr=0.01, batch_size=50, callbacks=callbacks, progress=False)
    for step, seen in enumerate(rates.seen):
        lr = 0.01 * one_cycle(step, len(rates.seen))
        assert len(seen) == len(list(prepared.parameters()))  # each in one group
        for p, rate in seen.items():
            assert rate == pytest.approx(0.5 * start[p] * lr if p in start else lr)
    moved = [abs(scale.item() / size - 1) for scale, size in start.items()]
    assert 0 < max(moved) <= 0.5 * 0.01 * len(rates.seen) * 1.2  # Adam: hardly more than the rate a step


@pytest.mark.parametrize(
    ("network", "name", "points"),
    [("lenet5", "W4A4", 0.5), ("lenet5", "W2", 1.5), ("resnet", "W4A4", 0.5), ("resnet", "W2", 1.5)],
)
def test_the_networks_of_chapter_08_lose_no_more_than_promised(network, name, points):
    methods = read(f"08_training_with_the_rounding_{network}")["methods"]
    whole, small = (sum(methods[key]["accuracy"]) / 3 for key in ("float32", name))
    assert 100 * (whole - small) <= points


# Networks as people bring them


def test_the_share_of_a_step_counts_the_numbers_of_one_image():
    """Esser et al. 2019, section 2.2: the number of features of an activation, not those of the batch."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    for images in (1, 20):
        prepared = grids(attach_grids(model, torch.randn(images, 3, 6, 6), weight_bits=4, activation_bits=4))
        shares = {name: grid.share for name, grid in prepared.items()}
        counts = {"0.weight": 108 * 7, "0.input": 108 * 127, "2.weight": 128 * 7, "2.input": 64 * 7}
        assert shares == pytest.approx({name: count**-0.5 for name, count in counts.items()})
    with pytest.raises(ValueError, match="count is 0"):
        LearnedGrid(torch.randn(4), bits=4, count=0)


def test_with_that_share_step_and_activations_change_alike():
    """Esser et al. 2019, eq. 4: R = (grad of the step / step) : (|grad of x| / |x|), near 1.

    For one image, as a root mean square over twenty random ones; without the share it would be 77 times that.
    """
    squares = []
    for seed in range(20):
        chance = torch.Generator().manual_seed(seed)
        x = torch.randn(1, 400, generator=chance).relu_().requires_grad_()
        grid = LearnedGrid(x.detach(), bits=4, signed=False, count=400)
        grid(x).backward(torch.randn(1, 400, generator=chance))
        step = grid.scale.grad / grid.scale.detach()
        squares.append(float((step / (x.grad.norm() / x.detach().norm())) ** 2))
    assert 0.2 < (sum(squares) / 20) ** 0.5 < 5


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * nn.functional.linear(x, self.weight, self.bias)


def test_every_kind_of_layer_reads_its_grid_in_float64():
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ConvTranspose1d(4, 4, 3, groups=2), nn.Flatten(), Doubled(24, 5),
        nn.Linear(5, 2),
    ).double().requires_grad_(False)  # fmt: skip
    model[4].requires_grad_(True)
    x = torch.randn(3, 2, 6, dtype=torch.float64)
    prepared = attach_grids(model, x, weight_bits=3)
    assert list(grids(prepared)) == ["0.weight", "1.weight", "3.weight", "4.weight"]
    expected = copy.deepcopy(model)
    for name, grid in grids(prepared).items():
        w = expected.get_parameter(name)
        w.data = (w.data / grid.scale).clamp(-4, 3).round() * grid.scale
    torch.testing.assert_close(prepared(x), expected(x), rtol=1e-12, atol=1e-12)
    free = [name for name, p in prepared.named_parameters() if p.requires_grad]
    assert all(name.startswith("4.") for name in free)
    assert len(free) == 3  # weight, bias, step
    done = bake_grids(prepared)
    torch.testing.assert_close(done(x), expected(x), rtol=1e-12, atol=1e-12)
    assert [p.requires_grad for p in done.parameters()] == [p.requires_grad for p in model.parameters()]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(-self.fc(x).relu())


def test_a_layer_that_runs_twice_has_a_grid_for_both_inputs():
    model, x = Twice(), torch.rand(20, 3)
    grid = grids(attach_grids(model, x, activation_bits=8))["fc.input"]
    assert grid.signed  # the first input is positive, the second isn't
    both = torch.cat([x.flatten(), -model.fc(x).relu().flatten()])
    assert grid.scale.item() == pytest.approx(2 * both.abs().mean().item() / 127**0.5, rel=1e-5)


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("make", "bits", "reason"),
    [
        (tied, {"weight_bits": 4}, "0.weight.*one in one place; it is 0.weight, 1.weight"),
        (
            lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))),
            {"weight_bits": 4}, "0.weight, made by _WeightNorm",
        ),
        (
            lambda: nn.TransformerEncoderLayer(4, 1, 4, batch_first=True),
            {"activation_bits": 4}, "self_attn.out_proj, which x doesn't reach",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(make, bits, reason):
    with pytest.raises(ValueError, match=reason):
        attach_grids(make(), torch.randn(2, 3, 4), **bits)


def test_weights_of_an_attention():
    model = nn.TransformerEncoderLayer(4, 1, 4, batch_first=True).eval()
    prepared = attach_grids(model, torch.randn(2, 3, 4), weight_bits=4)
    assert list(grids(prepared)) == ["self_attn.out_proj.weight", "linear1.weight", "linear2.weight"]
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(bake_grids(prepared)(x), prepared(x), rtol=1e-4, atol=1e-5)  # float32


def test_bad_input(data):
    x = data.train[0][:2]
    with pytest.raises(ValueError, match="weight_bits and activation_bits is None"):
        attach_grids(small(), x)
    with pytest.raises(ValueError, match="bits is 1; allowed: an integer from 2 to 16"):
        attach_grids(small(), x, weight_bits=1)
    with pytest.raises(ValueError, match="model is 'Flatten'; allowed: one with linear or convolutional"):
        attach_grids(nn.Flatten(), x, weight_bits=4)
    with pytest.raises(ValueError, match="bits is 17"):
        LearnedGrid(torch.ones(3), bits=17)
    with pytest.raises(ValueError, match="relative is 0; allowed: a finite number from 1e-06"):
        StepRates(attach_grids(small(), x, weight_bits=4), relative=0)
