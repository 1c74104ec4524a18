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
