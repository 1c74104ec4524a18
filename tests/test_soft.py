"""Entropy as a loss: the gradient by hand, by torch, by differences; in a training loop bits fall."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.codecs import Codebook, Sparse, attach, bake
from mcomp.codecs.attachment import codes
from mcomp.codecs.entropy_loss import index_bits, with_entropy
from mcomp.coding.entropy import entropy
from mcomp.quantize import assign
from mcomp.quantize.soft import (
    soft_assignments,
    soft_entropy,
    soft_entropy_gradient,
    soft_histogram,
)

quick = settings(derandomize=True, deadline=None, max_examples=25)
LEVELS = np.array([-1.0, 0.2, 0.7, 1.1])
VALUES = st.lists(st.integers(-12, 12).map(lambda i: i / 8), min_size=1, max_size=8)


@quick
@given(x=VALUES, width=st.sampled_from([0.2, 0.5, 3.0]))
def test_soft_counts_one_entry_after_the_other(x, width):
    p = []
    for value in x:
        row = [math.exp(-((value - level) ** 2) / (2 * width**2)) for level in LEVELS]
        p.append([v / sum(row) for v in row])
    assert soft_assignments(np.array(x), LEVELS, width=width) == pytest.approx(np.array(p), abs=1e-12)
    m = np.mean(p, axis=0)
    assert soft_histogram(np.array(x), LEVELS, width=width) == pytest.approx(m, abs=1e-12)
    assert float(soft_entropy(np.array(x), LEVELS, width=width)) == pytest.approx(entropy(m), abs=1e-12)


def test_without_width_it_is_the_entropy_of_the_nearest_levels():
    x = np.random.default_rng(0).normal(size=500)
    counts = np.bincount(assign(x, LEVELS), minlength=4)
    # a few entries near a border are still undecided
    assert float(soft_entropy(x, LEVELS, width=1e-4)) == pytest.approx(entropy(counts), abs=0.01)
    assert soft_histogram(x, LEVELS, width=1e-4).sum() == pytest.approx(1)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_three_ways(weighted):
    rng = np.random.default_rng(1)
    x, weights = rng.normal(size=(4, 3)), rng.random((4, 3))
    options = {"width": 0.4, "weights": weights if weighted else None}
    by_hand = soft_entropy_gradient(x, LEVELS, **options)
    t, levels = torch.tensor(x, requires_grad=True), torch.tensor(LEVELS, requires_grad=True)
    w = torch.tensor(weights) if weighted else None
    assert torch.autograd.gradcheck(lambda a, b: soft_entropy(a, b, width=0.4, weights=w), (t, levels))
    soft_entropy(t, levels, width=0.4, weights=w).backward()
    assert by_hand == pytest.approx(t.grad.numpy(), abs=1e-12)
    step = np.zeros_like(x)
    step[2, 1] = 1e-5
    up, down = (float(soft_entropy(x + s * step, LEVELS, **options)) for s in (1, -1))
    assert by_hand[2, 1] == pytest.approx((up - down) / 2e-5, abs=1e-8)


def test_all_libraries_agree(xp):
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=(6, 2)), rng.random((6, 2))
    for f in (soft_histogram, soft_entropy, soft_entropy_gradient):
        for w in (None, weights):
            theirs = None if w is None else xp.asarray(w)
            found = f(xp.asarray(x), xp.asarray(LEVELS), width=0.3, weights=theirs)
            assert to_numpy(found) == pytest.approx(f(x, LEVELS, width=0.3, weights=w), abs=1e-12)


def test_an_entry_without_weight_counts_and_moves_nothing():
    x, weights = np.array([0.1, 5.0, -0.4]), np.array([1.0, 0.0, 1.0])
    kept = soft_entropy(x[[0, 2]], LEVELS, width=0.3)
    assert float(soft_entropy(x, LEVELS, width=0.3, weights=weights)) == pytest.approx(float(kept))
    assert soft_entropy_gradient(x, LEVELS, width=0.3, weights=weights)[1] == 0


def trained(lam):
    """A layer that learns a given matrix with eight values, most of its entries zero; its code."""
    torch.manual_seed(0)
    target, layer = torch.randn(12, 12), torch.nn.Linear(12, 12, bias=False)
    layer.weight.data.copy_(target)
    attach(layer, {"weight": Sparse(0.5) | Codebook(8)})
    loss = with_entropy(lambda y, batch: ((y - batch) ** 2).mean(), layer, lam)
    x, optimizer = torch.eye(12), torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        loss(layer(x), target.T).backward()
        optimizer.step()
    index = codes(layer)["weight"].floats["values"].symbols["index"]
    return layer, entropy(np.bincount(index.numpy(), minlength=8))


def test_training_with_it_makes_the_indices_shorter():
    (free, before), (priced, after) = trained(0.0), trained(3e-3)
    assert after < before - 0.3
    assert int((bake(priced).weight != 0).sum()) == int((bake(free).weight != 0).sum()) == 72


def test_bits_are_those_of_the_nearest_values_where_weights_lie_on_them():
    layer = torch.nn.Linear(8, 4)
    layer.weight.data.copy_(torch.tensor([-1.0, 0.0, 0.0, 1.0]).repeat(8).reshape(4, 8))
    attach(layer, {"weight": Codebook(3), "bias": Codebook(1)})
    assert float(index_bits(layer, width=0.05).detach()) == pytest.approx(32 * 1.5, abs=1e-4)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: soft_assignments(np.ones(2), LEVELS, width=0.0), "width is 0.0"),
        (lambda: soft_assignments(np.ones(2), LEVELS[None], width=1.0), "levels.shape"),
        (lambda: soft_entropy(np.array([math.nan]), LEVELS, width=1.0), "NaN"),
        (lambda: soft_histogram(np.ones(2), LEVELS, width=1.0, weights=np.zeros(2)), "weights is"),
        (lambda: soft_histogram(np.ones(2), LEVELS, width=1.0, weights=np.ones(3)), "weights.shape"),
        (lambda: with_entropy(None, torch.nn.Linear(2, 2), 1.0), "at least one Codebook"),
        (lambda: with_entropy(None, torch.nn.Linear(2, 2), -1.0), "lam is -1.0"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
