"""GPTQ and one-shot pruning on networks: layer after layer, each by the inputs that it now gets."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Codebook, GroupUniform, Uniform, attach, attached, bake
from mcomp.codecs.attachment import codes
from mcomp.file import load, save
from mcomp.gpt import TinyGPT
from mcomp.prune import nm_mask, wanda
from mcomp.prune.sparsegpt import sparsegpt
from mcomp.ptq import gptq_layers, layer_by_layer
from mcomp.ptq.layers import hessians, in_order
from mcomp.quantize import fake_quantize
from mcomp.quantize.gptq import by_curvature, gptq
from mcomp.watch import input_grams


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(72, 16), nn.ReLU(), nn.Linear(16, 5),
    ).double()  # fmt: skip


def images(n=60):
    x = torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return F.avg_pool2d(x, 3, 1, 1) * 3  # neighbours are alike


def rows_of(layer, x):
    """What a layer multiplies with, by loops over places."""
    if isinstance(layer, nn.Linear):
        return x
    x = F.pad(x, (layer.padding[0],) * 4)
    k, s = layer.kernel_size[0], layer.stride[0]
    places = [(i, j) for i in range(0, x.shape[2] - k + 1, s) for j in range(0, x.shape[3] - k + 1, s)]
    return torch.cat([x[:, :, i : i + k, j : j + k].flatten(1) for i, j in places])


CODEC = GroupUniform(3, group=8)


@pytest.mark.parametrize("ordered", [True, False])
def test_each_layer_is_rounded_by_the_inputs_that_it_gets(ordered):
    model, exact, x = network(), network(), images()
    attach(model, {"*.weight": CODEC})
    found = bake(gptq_layers(model, x, ordered=ordered))
    a = x
    with torch.no_grad():
        for layer, before in zip(found, exact, strict=True):
            if hasattr(layer, "weight"):
                rows, w = rows_of(layer, a), before.weight.detach().flatten(1)
                hessian = rows.T @ rows / len(rows)
                grid = CODEC.grid(w)
                order = by_curvature(hessian) if ordered else None
                q, _ = gptq(
                    w.numpy(), hessian.numpy(), _numpy(grid), order=None if order is None else order.numpy()
                )
                scale, zero = grid.scale.repeat_interleave(8, 1), grid.zero_point.repeat_interleave(8, 1)
                n = w.shape[1]
                wanted = (torch.from_numpy(q) - zero[:, :n]) * scale[:, :n]
                assert torch.allclose(layer.weight.flatten(1), wanted, atol=1e-12)
            a = layer(a)  # the layers behind see what this one is now


def _numpy(grid):
    return type(grid)(to_numpy(grid.scale), to_numpy(grid.zero_point), grid.qmin, grid.qmax, 0, grid.group)


def test_it_pays_and_the_file_holds_it(tmp_path):
    model, exact, x = network().float(), network().float(), images().float()
    attach(model, {"*.weight": CODEC})
    nearest = copy.deepcopy(model)
    found = gptq_layers(model, x)
    fresh = images(200)[60:].float()
    with torch.no_grad():
        off = [(m(fresh) - exact(fresh)).square().mean().item() for m in (found, nearest)]
        assert off[0] < 0.6 * off[1]
        assert torch.equal(model(x), nearest(x))  # the model that came in is as it was
        save(found, tmp_path / "a.safetensors")
        again = load(tmp_path / "a.safetensors", model=network().float())
        assert torch.equal(again(x), found(x))
    assert all(code.kind == "uniform" for code in codes(found).values())


def test_a_transformer_with_its_embedding_rounded_to_the_nearest(capsys):
    torch.manual_seed(0)
    model = TinyGPT(dim=16, layers=2, heads=2, hidden=24, tied=False).double()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(5)
    exact, x = copy.deepcopy(model), torch.randint(256, (16, 30))
    attach(model, {"*.weight": GroupUniform(3, group=8)} | {"*norm.weight": Uniform(8)})
    with torch.no_grad():
        found = gptq_layers(model, x)
        off = [(m(x) - exact(x)).square().mean().item() for m in (found, model)]
    assert off[0] < off[1]
    said = capsys.readouterr().out
    assert "not rounded: embed.weight, because it is no weight of a linear or convolutional layer" in said
    assert len(attached(found)) == len(attached(model))


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_searched_range_is_weighted_by_the_inputs(tmp_path, symmetric):
    torch.manual_seed(0)
    x = torch.randn(300, 32) * torch.logspace(-1.5, 1.5, 32)[torch.randperm(32)]
    exact, off = nn.Sequential(nn.Linear(32, 24)), {}
    codec = GroupUniform(2, group=16, symmetric=symmetric, search=True)
    for compensate in (True, False):
        model = copy.deepcopy(exact)
        attach(model, {"0.weight": codec})
        nearest = copy.deepcopy(model)
        found = gptq_layers(model, x, compensate=compensate)
        rows = exact[0].weight.detach()
        grid = codec.grid(rows, weights=x.square().mean(0))
        if not compensate:
            assert torch.allclose(found[0].weight, fake_quantize(rows, grid), atol=1e-6)
        assert float((found[0].weight.abs() > 1.5 * rows.abs().max()).sum()) == 0
        with torch.no_grad():
            off[compensate] = float((found(x) - exact(x)).square().mean())
            assert off[compensate] < 0.8 * float((nearest(x) - exact(x)).square().mean())
        save(found, tmp_path / "a.safetensors")
        again = load(tmp_path / "a.safetensors", model=copy.deepcopy(exact))
        assert torch.equal(again[0].weight, found[0].weight)
    # inputs are independent: there is little to make up for
    assert off[True] < 1.1 * off[False]


def test_layers_change_in_the_order_of_their_calls():
    model, x = zoo.build("resnet", widths=(2, 3, 4)), torch.randn(3, 1, 28, 28)
    assert in_order(model, x)[:4] == ["conv", "block1.conv1", "block1.conv2", "block2.conv1"]
    seen = []
    layer_by_layer(model, x, lambda w, h: seen.append(h.shape[0]) or w)
    assert seen == [9, 18, 18, 18, 27, 2 * 1, 27, 36, 3, 4]


def test_layers_that_read_the_same_are_measured_in_one_pass(monkeypatch):
    torch.manual_seed(0)
    model, x = TinyGPT(dim=8, layers=2, heads=2, hidden=12, tied=False), torch.randint(256, (3, 9))
    wanted = [(name, input_grams(model, x, names=[name])[name]) for name in in_order(model, x)]
    passes = []
    monkeypatch.setattr(
        "mcomp.ptq.layers.input_grams", lambda *a, names: passes.append(names) or input_grams(*a, names=names)
    )
    found = list(hessians(model, x, None))
    assert [name for name, _ in found] == [name for name, _ in wanted]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(found, wanted, strict=True))
    assert [len(names) for names in passes] == [3, 1, 2, 1] * 2 + [1]


class InPlace(nn.Module):
    """Its second layer reads the tensor of the first, changed by it; its third is called twice."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        h = x.clone()
        h += self.a(h)
        y = self.b(h) + self.c(h)
        return self.c(y)


def test_a_tensor_changed_in_place_is_another_and_a_layer_called_twice_is_alone(monkeypatch):
    passes, model, x = [], InPlace().double(), torch.randn(20, 4, dtype=torch.float64)
    monkeypatch.setattr(
        "mcomp.ptq.layers.input_grams", lambda *a, names: passes.append(names) or input_grams(*a, names=names)
    )
    seen = []
    changed = layer_by_layer(model, x, lambda w, h: seen.append(h) or w / 2)
    assert passes == [["a"], ["b"], ["c"]]
    h = x + changed.a(x)
    assert torch.allclose(seen[1], h.T @ h / 20)


def test_each_change_sees_the_layers_before_it_changed():
    model, x, seen = network(), images(), []

    def halved(w, hessian):
        seen.append(hessian)
        return w / 2

    changed = layer_by_layer(model, x, halved)
    rows = rows_of(changed[2], changed[1](changed[0](x)))
    assert torch.allclose(seen[1], rows.T @ rows / len(rows))
    assert torch.equal(changed[0].weight, model[0].weight / 2)
    assert torch.equal(changed[0].bias, model[0].bias)


def test_pruned_in_one_shot_by_each_rule():
    model, exact, x = network(), network(), images()
    shots = {
        "magnitude": lambda w, h: w * nm_mask(w.abs(), w.shape[1] // 2, m=w.shape[1]),
        "wanda": lambda w, h: w * nm_mask(wanda(w, h.diagonal().sqrt()), w.shape[1] // 2, m=w.shape[1]),
        "sparsegpt": lambda w, h: sparsegpt(w, h, sparsity=0.5)[0],
    }
    off = {}
    for name, shot in shots.items():
        found = layer_by_layer(model, x, shot)
        zeros = sum(int((layer.weight == 0).sum()) for layer in found if hasattr(layer, "weight"))
        assert zeros == sum(layer.weight.numel() // 2 for layer in exact if hasattr(layer, "weight"))
        with torch.no_grad():
            off[name] = float((found(x) - exact(x)).square().mean())
    assert off["sparsegpt"] < 0.7 * min(off["wanda"], off["magnitude"])


def test_what_is_left_out_is_told(capsys):
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.used(x)

    layer_by_layer(Half(), torch.randn(5, 4), lambda w, h: w)
    assert capsys.readouterr().out == "not changed: idle.weight, because it is of a Linear\n"


def test_fewer_examples_than_inputs_need_damping():
    model = nn.Linear(20, 3)
    attach(model, {"weight": Uniform(4)})
    with pytest.raises(ValueError, match="positive definite; more damping, or more samples than inputs"):
        gptq_layers(model, torch.randn(5, 20), damping=0)
    assert np.isfinite(to_numpy(gptq_layers(model, torch.randn(5, 20)).weight.detach())).all()


def coded(codec, layer=None):
    model = nn.Sequential(layer or nn.Linear(8, 8))
    attach(model, {"0.weight": codec})
    return model


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: gptq_layers(nn.Linear(8, 8), torch.randn(9, 8)), "the codecs of the model is"),
        (lambda: gptq_layers(coded(Codebook(4)), torch.randn(9, 8)), "0: a codec is Codebook"),
        (lambda: gptq_layers(coded(Uniform(4, axis=1)), torch.randn(9, 8)), "0: a codec is Uniform"),
        (
            lambda: gptq_layers(coded(Uniform(4), nn.Conv2d(8, 8, 1, groups=2)), torch.randn(9, 8, 1, 1)),
            "the layer 0 is (?s:.*)groups=2",
        ),
        (
            lambda: layer_by_layer(nn.Sequential(nn.ReLU()), torch.randn(3, 3), lambda w, h: w),
            "the layers that run",
        ),
        (
            lambda: layer_by_layer(network(), images(), lambda w, h: w[:1]),
            "0: the shape of what change returned",
        ),
        (lambda: layer_by_layer(network(), images(), lambda w, h: w / 0), "0: what change returned holds"),
        (lambda: layer_by_layer(network(), images(), lambda w, h: w, names=["9"]), "name is '9'"),
        (lambda: layer_by_layer(coded(Uniform(4)), torch.randn(9, 8), lambda w, h: w), "made by"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
