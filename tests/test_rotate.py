"""Hadamard's matrices against scipy, and rotated transformers: the same function, nothing stands out."""

import copy

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mcomp.arrays import to_numpy
from mcomp.gpt import TinyGPT, untied
from mcomp.measure.difference import largest_difference
from mcomp.ptq import fold_gains, plant_outliers, rotate
from mcomp.quantize import choose_grid, fake_quantize
from mcomp.quantize.hadamard import fast_hadamard, hadamard, incoherence, random_rotation
from mcomp.strangers import STRANGERS
from mcomp.watch import watch

quick = settings(derandomize=True, deadline=None, max_examples=10)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 64, 256])
def test_powers_of_two_are_scipys(n):
    assert (hadamard(n) == scipy.linalg.hadamard(n)).all()


@pytest.mark.parametrize("n", [12, 20, 24, 40, 44, 96, 384])
def test_other_sizes_are_orthogonal_signs(n):
    h = hadamard(n)
    assert (abs(h) == 1).all()
    assert (h @ h.T == n * np.eye(n)).all()


@quick
@given(seed=st.integers(0, 1000), power=st.integers(0, 6), rows=st.integers(1, 3))
def test_the_fast_way_is_the_product(xp, seed, power, rows):
    x = np.random.default_rng(seed).integers(-9, 9, (rows, 2**power)).astype(np.float64)  # exact sums
    assert (to_numpy(fast_hadamard(xp.asarray(x))) == x @ hadamard(2**power)).all()
    assert (to_numpy(fast_hadamard(xp.asarray(x[0]))) == x[0] @ hadamard(2**power)).all()


@pytest.mark.parametrize("kind", ["hadamard", "orthogonal"])
def test_random_rotations_are_orthogonal_and_the_seed_counts(kind):
    a, again, other = (random_rotation(24, seed=seed, kind=kind) for seed in (0, 0, 1))
    np.testing.assert_allclose(a @ a.T, np.eye(24), atol=1e-12)
    assert (a == again).all()
    assert not np.allclose(a, other)


def test_an_outlier_is_spread_over_all(xp):
    w = np.zeros((4, 64))
    w[2, 5] = 10.0
    assert incoherence(xp.asarray(w)) == pytest.approx(16)  # √256
    spread = xp.asarray(w @ random_rotation(64))
    assert incoherence(spread) == pytest.approx(2)  # √4: one row of four has all
    assert incoherence(xp.asarray(np.zeros((2, 2)))) == 1.0


def test_what_a_rotation_buys_a_grid():
    x = np.random.default_rng(0).normal(size=(200, 128))
    x[:, 7] *= 100  # the channel that stretches every grid
    q = random_rotation(128)
    errors = [((fake_quantize(z, choose_grid(z, 8)) - z) ** 2).mean() for z in (x, x @ q)]
    # the largest entry falls from 100·4 to about 100·4/√128 + 4; the step's square by some fifty times
    assert errors[1] < errors[0] / 30


def gpt(**config):
    torch.manual_seed(0)
    model = TinyGPT(**{"dim": 16, "layers": 2, "heads": 2, "hidden": 24, "tied": False} | config)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(4 if p.ndim == 2 else torch.rand_like(p) + 0.5)
    return model.double().eval()


def tokens():
    return torch.randint(256, (3, 20), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("config", [{}, {"kv_heads": 1}, {"dim": 12, "hidden": 7}, {"dim": 28}], ids=str)
def test_the_function_stays_and_the_weights_turn(config):
    model = gpt(**config)
    before = copy.deepcopy(model.state_dict())
    for changed in (fold_gains(model, tokens()), rotate(model, tokens()), rotate(model, tokens(), seed=1)):
        assert largest_difference(model, changed, tokens()) < 1e-13
        gains = [p for name, p in changed.named_parameters() if "norm" in name]
        assert all(bool((p == 1).all()) for p in gains)
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
    turned = [rotate(model, tokens(), seed=seed).embed.weight for seed in (0, 1)]
    assert not torch.allclose(*turned)
    assert torch.allclose(turned[0].norm(), model.embed.weight.norm())


def test_the_identity_turns_nothing_but_folds():
    model = gpt()
    turned = rotate(model, tokens(), rotation=torch.eye(16))
    folded = fold_gains(model, tokens())
    assert all(torch.equal(turned.state_dict()[name], p) for name, p in folded.state_dict().items())


def test_float32_keeps_its_dtype_and_nearly_its_function():
    model = gpt().float()
    changed = rotate(model, tokens())
    assert {p.dtype for p in changed.parameters()} == {torch.float32}
    assert largest_difference(model, changed, tokens()) < 1e-5  # one rounding of each weight


def ranges(model):
    """The largest entry of what the first reader of a norm gets, over the root mean square."""
    seen = []
    look = lambda name, layer, a: seen.append(float(a.abs().max() / a.square().mean().sqrt()))  # noqa: E731
    watch(model, tokens(), look, names=["layers.1.attention.q_proj"])
    return seen[0]


def test_outliers_of_a_gain_go_by_folding_those_of_the_stream_by_turning():
    model = gpt(dim=64)
    planted = plant_outliers(model, tokens(), factor=50.0)
    assert ranges(planted) > 6  # √64 at most
    assert ranges(fold_gains(planted, tokens())) == pytest.approx(ranges(fold_gains(model, tokens())))
    with torch.no_grad():  # a network that writes a huge channel
        model.embed.weight[:, 3] *= 100
    assert ranges(fold_gains(model, tokens())) > 6
    assert ranges(rotate(model, tokens())) < 4


def test_a_stranger_like_llama_turns_too():
    s = STRANGERS["llama"]()
    changed = rotate(s.model(), s.x, **s.call)
    assert largest_difference(s.network, changed, s.x, **s.call) < 1e-13
    assert not torch.allclose(changed.embed_tokens.weight, s.network.embed_tokens.weight)


class Means(nn.Module):
    """A layer norm, which subtracts the mean: no rotation keeps it."""

    def __init__(self):
        super().__init__()
        self.table, self.norm, self.out = nn.Embedding(9, 4), nn.LayerNorm(4, bias=False), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.norm(self.table(x)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: hadamard(28), "n is 28; allowed: a power of two, or 12"),
        (lambda: hadamard(0), "n is 0"),
        (lambda: random_rotation(4, kind="givens"), "kind is 'givens'"),
        (lambda: random_rotation(4, seed=-1), "seed is -1"),
        (lambda: fast_hadamard(np.ones(3)), "the length of the last axis of x is 3"),
        (lambda: fast_hadamard(np.ones(4) * np.inf), "x holds 4"),
        (lambda: incoherence(np.zeros((0, 2))), "w is empty"),
        (lambda: rotate(gpt(tied=True), tokens()), "head: its weight is shared.*untie it first"),
        (lambda: rotate(gpt(), tokens(), rotation=torch.eye(5)), r"rotation.shape is \(5, 5\)"),
        (lambda: rotate(gpt(), tokens(), rotation=torch.ones(16, 16)), "rotation is 'not orthogonal'"),
        (
            lambda: rotate(Means(), torch.arange(6).view(2, 3)),
            "Means with LayerNorm: its outputs would differ",
        ),
        (
            lambda: rotate(nn.Sequential(nn.Linear(2, 2)), torch.ones(2, 2)),
            "the norms is 'none in Sequential'",
        ),
        (
            lambda: rotate(nn.Sequential(nn.LayerNorm(2)), torch.ones(2, 2)),
            "the readers of a norm is '0: none'",
        ),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_untied_turns():
    model = gpt(tied=True)
    assert largest_difference(model, rotate(untied(model), tokens()), tokens()) < 1e-13
