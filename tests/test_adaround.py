import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mcomp import zoo
from mcomp.codecs import Codebook, Uniform, attach, attached, bake
from mcomp.ptq.adaround import adaround, choose_rounding, inputs_of

IMAGES = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 4 - 1


def quadratic(seed, n=10, rank=3):
    """Inputs (40, n) that are strongly correlated, weights (n,), and the error of a choice of roundings."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, rank)) @ rng.normal(size=(rank, n)) + 0.1 * rng.normal(size=(40, n)) + 1
    w = rng.uniform(0, 4, n)
    return torch.tensor(x), torch.tensor(w)


def test_between_the_best_of_all_roundings_and_the_nearest():
    ours, best = [], []
    for seed in range(4):
        x, w = quadratic(seed)
        floor, target = w.floor(), x @ w

        def error(q, x=x, target=target):
            return (x @ q - target).square().mean()

        nearest = error(w.round())
        ups = itertools.product((0.0, 1.0), repeat=len(w))
        best.append(min(float(error(floor + torch.tensor(up, dtype=w.dtype)) / nearest) for up in ups))
        up = choose_rounding(floor, w - floor, loss=lambda q, e=error, n=nearest: e(q) / n)
        ours.append(float(error(floor + up) / nearest))
    assert all(b <= o * (1 + 1e-12) for b, o in zip(best, ours, strict=True))
    # a relaxation finds a local minimum: on ten weights well below the nearest on average, not the optimum
    assert np.mean(ours) < 0.8
    assert max(ours) < 1.1


def test_each_entry_goes_to_a_neighbour_and_a_pull_alone_is_nearest():
    rest = torch.linspace(0, 1, 41)
    up = choose_rounding(torch.zeros(41), rest, loss=lambda q: 0 * q.sum(), steps=50)
    assert set(up.tolist()) == {0.0, 1.0}
    far = (rest - 0.5).abs() > 1e-6
    assert torch.equal(up[far], (rest > 0.5).float()[far])


def rounded(name, bits, **options):
    model = zoo.load(name)
    attach(model, {"*.weight": Uniform(bits, **options)})
    return model.eval()


@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": 0, "group": 50}])
def test_a_network_rounds_better_than_to_the_nearest(options):
    model, original = rounded("lenet300", 3, **options), zoo.load("lenet300")
    before = copy.deepcopy(model.state_dict())
    better = adaround(model, original, x=IMAGES, steps=40)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with torch.no_grad():
        errors = [float((m(IMAGES) - original(IMAGES)).square().mean()) for m in (model, better)]
    assert errors[1] < 0.7 * errors[0]
    for name, parametrization in attached(better).items():
        old = attached(model)[name]._code.symbols["q"]
        q = parametrization._code.symbols["q"]
        assert int((q - old).abs().max()) == 1  # the other neighbour, never further
        assert int(q.abs().max()) <= 3
        w = original.get_parameter(name).detach()
        baked = better.get_submodule(name.removesuffix(".weight")).weight.detach()
        if options == {"axis": 0}:
            step = w.abs().amax(1, keepdim=True) / 3
            assert bool(((w - baked).abs() <= step * 1.001).all())
    assert torch.equal(bake(copy.deepcopy(better)).fc1.weight, better.fc1.weight)


def test_same_seed_same_network():
    model, original = rounded("lenet300", 3), zoo.load("lenet300")
    one, two, other = (adaround(model, original, x=IMAGES, steps=5, seed=s).fc1.weight for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_search_that_finds_nothing_better_leaves_the_nearest():
    model, original = rounded("lenet300", 4), zoo.load("lenet300")
    wild = adaround(model, original, x=IMAGES, steps=3, lr=50.0)  # throws every weight to one side
    assert torch.equal(wild.fc1.weight, model.fc1.weight)
    assert torch.equal(wild.fc3.weight, model.fc3.weight)


def test_convolutions_and_quantized_inputs():
    model, original = rounded("lenet5", 3, axis=0), zoo.load("lenet5")
    better = adaround(model, original, x=IMAGES[:40], steps=20)
    assert not torch.equal(better.conv2.weight, model.conv2.weight)


def test_inputs_of_a_layer():
    model = zoo.load("lenet300")
    seen = inputs_of(model, "fc2", x=IMAGES)
    with torch.no_grad():
        assert torch.equal(seen, model.fc1(IMAGES.flatten(1)).relu())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(self.fc(x))


@pytest.mark.parametrize(
    ("make", "codec", "reason"),
    [
        (Twice, Uniform(3), "fc, which runs 2 times"),
        (lambda: nn.Sequential(nn.Linear(4, 4)), Codebook(3), "^0: a codec is Codebook"),
        (lambda: nn.Sequential(nn.Linear(4, 4)), Uniform(3, symmetric=False), "^0: a codec is Uniform"),
        (
            lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 1, 4)),
            Uniform(3), "0.self_attn.out_proj, which never runs",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(make, codec, reason):
    original = make()
    model = copy.deepcopy(original)
    attach(model, {"*.weight": codec})
    with pytest.raises(ValueError, match=reason):
        adaround(model, original, x=torch.randn(8, 3, 4), steps=2)


def test_a_weight_that_something_else_makes_in_the_original_is_refused():
    original = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match="0, whose weight is made by _WeightNorm"):
        adaround(rounded("lenet300", 3), original, x=torch.randn(8, 4), steps=2)


STRANGERS = {
    "1d, groups": (
        lambda: nn.Sequential(nn.Conv1d(4, 6, 3, groups=2), nn.ReLU(), nn.Conv1d(6, 3, 3)),
        (60, 4, 9),
    ),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2)), (60, 4, 5, 5)),
    "rows": (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), (60, 7, 6)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", STRANGERS)
def test_other_layers_round_better_than_to_the_nearest(name, dtype):
    make, shape = STRANGERS[name]
    torch.manual_seed(0)
    original, x = make().requires_grad_(False).to(dtype), (0.2 * torch.randn(shape) + 1).to(dtype)
    model = copy.deepcopy(original)
    attach(model, {"*.weight": Uniform(3)})
    better = adaround(model.eval(), original, x=x, steps=60, lr=0.05)
    with torch.no_grad():
        wanted = original.double()(x.double())
        errors = [float((m.double()(x.double()) - wanted).square().mean()) for m in (model, better)]
    assert errors[1] < 0.9 * errors[0]
    assert not any(p.requires_grad for p in better.parameters())
    assert {p.dtype for p in bake(better).parameters()} == {torch.float64}


def test_bad_input():
    flat = torch.zeros(3)
    asymmetric, shared = rounded("lenet300", 3, symmetric=False), zoo.load("lenet300")
    attach(shared, {"fc1.weight": Codebook(4)})
    original = zoo.load("lenet300")
    for call in (
        lambda: choose_rounding(flat, flat - 1, loss=torch.sum),
        lambda: choose_rounding(flat, flat, loss=torch.sum, steps=0),
        lambda: adaround(asymmetric, original, x=IMAGES),
        lambda: adaround(shared, original, x=IMAGES),
        lambda: adaround(original, original, x=IMAGES),
        lambda: adaround(rounded("lenet300", 3), original, x=IMAGES, batch_size=0),
    ):
        with pytest.raises(ValueError, match="allowed: "):
            call()
    assert isinstance(original, nn.Sequential)
