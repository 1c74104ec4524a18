"""Factors moved between inputs and weights: the function stays, outliers go, the search is the loop."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mcomp.arrays import to_numpy
from mcomp.codecs import GroupUniform, Uniform, attach, bake, calibrate
from mcomp.gpt import TinyGPT, untied
from mcomp.measure.difference import largest_difference
from mcomp.ptq import awq, linear_readers, norm_readers, plant_outliers, smooth
from mcomp.ptq.scaling import checked_pairs, divide
from mcomp.quantize.scales import ALPHAS, activation_aware_scales, smoothing_scales

quick = settings(derandomize=True, deadline=None, max_examples=12)


def gpt(tied=True, **config):
    torch.manual_seed(0)
    model = TinyGPT(**{"dim": 16, "layers": 2, "heads": 2, "hidden": 24, "tied": tied} | config)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(4 if p.ndim == 2 else torch.rand_like(p) + 0.5)
    return model.eval()


def tokens(n=12):
    return torch.randint(256, (n, 20), generator=torch.Generator().manual_seed(1))


class WithBias(nn.Module):
    """A LayerNorm with a bias, read by two layers, and a post-norm that its residual reads too."""

    def __init__(self):
        super().__init__()
        self.pre, self.post = nn.LayerNorm(6), nn.LayerNorm(6)
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
        with torch.no_grad():
            self.pre.bias.normal_()

    def forward(self, x):
        h = self.pre(x)
        h = self.post(self.a(h) * self.b(h).tanh())
        return self.c(h) + h[..., :4]


@quick
@given(seed=st.integers(0, 1000), n=st.integers(1, 9), alpha=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_smoothing_is_its_formula(xp, seed, n, alpha):
    rng = np.random.default_rng(seed)
    x, w = rng.exponential(size=(2, n)) * rng.integers(0, 2, (2, n))
    s = to_numpy(smoothing_scales(xp.asarray(x), xp.asarray(w), alpha=alpha))
    for j in range(n):
        wanted = x[j] ** alpha / w[j] ** (1 - alpha) if x[j] > 0 and w[j] > 0 else 1.0
        assert s[j] == pytest.approx(wanted)
        if x[j] > 0 and w[j] > 0 and alpha == 0.5:
            assert x[j] / s[j] == pytest.approx(w[j] * s[j])  # both sides share the range


@quick
@given(seed=st.integers(0, 1000), bits=st.integers(2, 4))
def test_the_search_is_the_loop(xp, seed, bits):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(50, 8)) * rng.lognormal(sigma=1.5, size=8)
    w, hessian, size = rng.normal(size=(5, 8)), x.T @ x / 50, abs(x).mean(0)
    codec, losses = Uniform(bits, axis=0), []
    for alpha in ALPHAS:
        s = size**alpha
        s = s / math.sqrt(s.max() * s.min())
        off = (codec.project(w * s) / s - w) @ x.T
        losses.append((off**2).sum() / 100)
    arrays = [xp.asarray(a) for a in (w, hessian, size)]
    s, alpha, errors = activation_aware_scales(*arrays[:2], size=arrays[2], project=codec.project)
    # sums in another order; a weight that lies on a half falls to either side
    np.testing.assert_allclose(errors, losses, rtol=1e-7)
    assert errors[ALPHAS.index(alpha)] == min(errors)
    assert errors[0] >= min(errors)
    assert float(xp.max(s) * xp.min(s)) == pytest.approx(1)


def test_a_dead_input_has_a_finite_factor():
    s, _, _ = activation_aware_scales(
        np.ones((2, 3)), np.eye(3), size=np.array([0.0, 1.0, 4.0]), project=Uniform(4).project, alphas=[0.5]
    )
    np.testing.assert_allclose(s, [0.5**0.5, 0.5**0.5, 2**0.5])


@pytest.mark.parametrize(
    "model", [gpt(), gpt(tied=False), gpt(kv_heads=1)], ids=["tied", "untied", "shared keys"]
)
def test_the_function_stays(model):
    x, before = tokens(), copy.deepcopy(model.state_dict())
    planted = plant_outliers(model, x, channels=2)
    assert largest_difference(model, planted, x) < 1e-5  # its weights are float32: one rounding each
    wide = copy.deepcopy(model).double()
    changed = [
        plant_outliers(wide, x), smooth(wide, x), smooth(plant_outliers(wide, x), x, alpha=0.8),
        awq(wide, x, codec=GroupUniform(3, group=8)),
    ]  # fmt: skip
    for other in changed:
        assert largest_difference(wide, other, x) < 1e-13
        assert not torch.equal(other.layers[0].mlp.up_proj.weight, wide.layers[0].mlp.up_proj.weight)
    assert all(torch.equal(before[name], p) for name, p in model.state_dict().items())


def test_biases_of_norms_go_along_and_other_readers_forbid_it(capsys):
    model, x = WithBias().double(), torch.randn(9, 6, dtype=torch.float64)
    assert norm_readers(model, x) == {"pre": ("a", "b")}
    said = "not scaled: post, because something else reads it too, or its weight isn't its last factor\n"
    assert capsys.readouterr().out == said
    assert largest_difference(model, smooth(model, x), x) < 1e-14


def test_who_reads_a_norm_in_a_decoder(capsys):
    found = norm_readers(gpt(), tokens())
    assert found == {
        f"layers.{i}.{norm}": tuple(f"layers.{i}.{name}_proj" for name in names)
        for i in range(2)
        for norm, names in (
            ("attention_norm", ("attention.q", "attention.k", "attention.v")),
            ("mlp_norm", ("mlp.gate", "mlp.up")),
        )
    }
    assert (
        "not scaled: norm, because head: its weight is shared: embed.weight, head.weight"
        in capsys.readouterr().out
    )
    assert norm_readers(untied(gpt()), tokens())["norm"] == ("head",)


def test_linear_layers_may_take_the_factor_too():
    model, x = gpt().double(), tokens()
    pairs = {
        "layers.0.mlp.up_proj": ["layers.0.mlp.down_proj"],
        "layers.1.attention.v_proj": ["layers.1.attention.o_proj"],
    }
    for changed in (
        smooth(model, x, pairs=pairs),
        awq(model, x, codec=GroupUniform(3, group=8), pairs=pairs),
    ):
        assert largest_difference(model, changed, x) < 1e-13
        assert not torch.equal(changed.layers[0].mlp.down_proj.weight, model.layers[0].mlp.down_proj.weight)
        assert torch.equal(changed.layers[0].attention.q_proj.weight, model.layers[0].attention.q_proj.weight)


class Chain(nn.Module):
    """One layer, ``between``, and two layers that read the same; with `skip` it is read elsewhere too."""

    def __init__(self, between, *, skip=False):
        super().__init__()
        self.first, self.between, self.skip = nn.Linear(6, 6), between, skip
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        h = self.between(self.first(x))
        return self.a(h) * self.b(h) + (h if self.skip else 0)


def test_who_else_makes_inputs_in_a_decoder():
    wanted = {
        f"layers.{i}.{maker}_proj": (f"layers.{i}.{reader}_proj",)
        for i in range(2)
        for maker, reader in (("attention.v", "attention.o"), ("mlp.up", "mlp.down"))
    }
    assert linear_readers(gpt(), tokens()) == wanted
    shared = linear_readers(gpt(kv_heads=1), tokens())  # its values are read by both heads
    assert shared == {name: readers for name, readers in wanted.items() if ".mlp." in name}


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (Chain(nn.ReLU()), {"first": ("a", "b")}),
        (Chain(nn.Identity()), {"first": ("a", "b")}),
        (Chain(nn.GELU()), {}),
        (Chain(nn.Tanh()), {}),
        (Chain(nn.LayerNorm(6)), {}),
        (Chain(nn.ReLU(), skip=True), {}),
    ],
    ids=["relu", "nothing", "gelu", "tanh", "norm", "skip"],
)
def test_what_a_factor_passes(model, wanted):
    assert linear_readers(model, torch.randn(9, 6)) == wanted


def test_all_pairs_together_keep_the_function():
    model, x = gpt().double(), tokens()
    pairs = norm_readers(model, x) | linear_readers(model, x)
    searched = awq(model, x, codec=GroupUniform(3, group=8), pairs=pairs)
    for changed in (smooth(model, x, pairs=pairs), searched):
        assert largest_difference(model, changed, x) < 1e-13
        for name, layer in model.named_modules():
            if name.endswith("_proj"):  # each reads something that was scaled
                assert not torch.equal(changed.get_submodule(name).weight, layer.weight)


def w8a8(model, x):
    model = copy.deepcopy(model)
    attach(model, {"layers.*_proj.weight": Uniform(8, axis=0), "layers.*_proj.input": Uniform(8)})
    calibrate(model, x)
    return model


def test_planted_outliers_break_eight_bits_and_smoothing_mends_them():
    model, x = gpt(), tokens(40)
    planted = plant_outliers(model, x, channels=1, factor=100.0)
    with torch.no_grad():
        exact = model(x)
        off = {
            name: float((w8a8(m, x)(x) - exact).square().mean())
            for name, m in (("plain", model), ("planted", planted), ("smoothed", smooth(planted, x)))
        }
    assert off["planted"] > 100 * off["plain"]
    assert off["smoothed"] < 3 * off["plain"]


def test_awq_pays_where_inputs_differ():
    model, x = gpt(), tokens(40)
    planted, codec = plant_outliers(model, x, channels=2, factor=10.0), GroupUniform(3, group=8)
    off = []
    with torch.no_grad():
        exact = model(x)
        for m in (planted, awq(planted, x, codec=codec)):
            attach(m, {"layers.*_proj.weight": codec})
            off.append(float((bake(m)(x) - exact).square().mean()))
    assert off[1] < 0.8 * off[0]


def test_each_reader_has_grids_of_its_own():
    model = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)).double()
    found = awq(model, torch.randn(30, 4, dtype=torch.float64), codec=Uniform(3))
    assert largest_difference(model, found, torch.randn(5, 4)) < 1e-14


ONE = np.ones(3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: smoothing_scales(ONE, np.ones(2)), r"weights.shape is \(2,\)"),
        (lambda: smoothing_scales(-ONE, ONE), "the least of inputs is -1.0"),
        (lambda: smoothing_scales(ONE, ONE, alpha=2), "alpha is 2"),
        (lambda: smoothing_scales(ONE * np.nan, ONE), "inputs holds 3 NaN"),
        (lambda: activation_aware_scales(np.eye(3), np.eye(3), size=ONE * 0, project=abs), "size is"),
        (lambda: activation_aware_scales(np.eye(3), np.eye(2), size=ONE, project=abs), "hessian.shape is"),
        (
            lambda: activation_aware_scales(np.eye(3), np.eye(3), size=ONE, project=abs, alphas=[]),
            "alphas is",
        ),
        (
            lambda: activation_aware_scales(np.eye(3), np.eye(3), size=ONE, project=abs, alphas=[2]),
            "an alpha is 2",
        ),
        (lambda: smooth(gpt(), tokens(), alpha=-1), "alpha is -1"),
        (lambda: awq(gpt(), tokens(), codec=4), "codec is 4"),
        (lambda: plant_outliers(gpt(), tokens(), factor=0), "factor is 0"),
        (
            lambda: plant_outliers(gpt(), tokens(), channels=17),
            "channels is 17; allowed: an integer from 0 to 16",
        ),
        (
            lambda: smooth(nn.Sequential(nn.Linear(3, 3)), torch.ones(2, 3)),
            "norms that only linear layers read",
        ),
        (
            lambda: checked_pairs(gpt(), tokens(), {"layers.0.mlp.gate_proj": ["layers.0.mlp.down_proj"]}),
            "a pair to scale is .layers.0.mlp.gate_proj: something else reads it too",
        ),
        (
            lambda: checked_pairs(gpt(), tokens(), {"norm": ["head"]}),
            "a pair to scale is .norm: head: its weight is shared",
        ),
        (
            lambda: checked_pairs(
                gpt(kv_heads=1), tokens(), {"layers.0.attention.v_proj": ["layers.0.attention.o_proj"]}
            ),
            r"it gives 8 channels, its readers read \[16\]",
        ),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_divide_is_in_place():
    model = nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 1))
    divide(model, "0", ["1"], torch.tensor([2.0, 4.0]))
    assert model[0].weight.tolist() == [0.5, 0.25]
