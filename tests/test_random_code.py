"""Minimal random coding: samples of q at about KL bits, on a Gaussian and on a tiny network."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from mcomp.coding import random_code
from mcomp.coding.random_code import (
    candidates,
    decode_block,
    decode_blocks,
    encode_block,
    encode_blocks,
    kl_bits,
)

SHARED = {"prior_std": 1.5, "seed": 4}


def test_kl_is_torch_s():
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=(3, 4)), rng.random((3, 4)) + 0.1
    q = torch.distributions.Normal(torch.tensor(mean), torch.tensor(std))
    p = torch.distributions.Normal(torch.zeros(3, 4, dtype=torch.float64), 1.5)
    theirs = torch.distributions.kl_divergence(q, p).numpy() / math.log(2)
    assert kl_bits(mean, std, prior_std=1.5) == pytest.approx(theirs, abs=1e-12)


def test_candidates_are_gaussian_and_the_same_for_both():
    z = candidates(12, 4, **SHARED)
    assert kstest(z.reshape(-1) / 1.5, "norm").pvalue > 0.01
    assert (z == candidates(12, 4, **SHARED)).all()
    assert not (z == candidates(12, 4, **SHARED, block=1)).any()
    u = np.concatenate(
        [10.0 ** -np.arange(1, 16), 1 - 10.0 ** -np.arange(1, 15), np.linspace(0.01, 0.99, 50)]
    )
    assert random_code._normal(u) == pytest.approx(norm.ppf(u), rel=2e-9, abs=2e-9)  # Acklam's bound: 1.15e-9


def test_the_same_sample_comes_back():
    mean, std = np.array([0.5, -1.0, 0.2]), np.array([0.3, 0.2, 1.0])
    index = encode_block(mean, std, bits=9, block=5, **SHARED)
    z = candidates(9, 3, block=5, **SHARED)
    assert (decode_block(index, 3, bits=9, block=5, **SHARED) == z[index]).all()
    # by the densities themselves, candidate by candidate, with the same draw
    weight = np.exp(norm.logpdf(z, mean, std).sum(1) - norm.logpdf(z, 0, 1.5).sum(1))
    draw = np.random.default_rng(0).random()
    found = encode_block(mean, std, bits=9, block=5, chance=np.random.default_rng(0), **SHARED)
    assert found == int(np.argmax(np.cumsum(weight) / weight.sum() > draw))


@pytest.mark.parametrize(("spare", "fair"), [(-4, False), (4, True)])
def test_with_kl_bits_and_some_more_it_is_a_sample_of_q(spare, fair):
    """300 blocks of one number each, KL 4 bits: their mean and spread are q's, or those of too few draws."""
    mean, std = np.full(300, 1.2), np.full(300, 0.08)
    kl = float(kl_bits(mean[:1], std[:1], prior_std=1.5)[0])
    bits = max(0, round(kl) + spare)
    shared = {"size": 1, "bits": bits, **SHARED}
    z = (decode_blocks(encode_blocks(mean, std, **shared), 300, **shared) - 1.2) / 0.08
    near = abs(z.mean()) < 0.25 and 0.8 < z.std() < 1.2  # 300 draws: standard errors 0.06 and 0.04
    assert near == fair


def tiny_network():
    """A network of 2-6-2 whose weights are Gaussians, trained for its loss and KL together."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=rng)
    y = (x[:, 0] * x[:, 1] > 0).long()
    mean = torch.randn(32, generator=rng).requires_grad_()
    log_std = torch.full((32,), -2.0, requires_grad=True)

    def logits(w):
        hidden = torch.relu(x @ w[:12].reshape(2, 6) + w[12:18])
        return hidden @ w[18:30].reshape(6, 2) + w[30:]

    optimizer = torch.optim.Adam([mean, log_std], lr=0.05)
    for _ in range(250):
        optimizer.zero_grad()
        std = log_std.exp()
        kl = (0.5 * (std**2 + mean**2) / 4 - 0.5 - log_std + math.log(2)).sum()
        noise = torch.randn(32, generator=rng)
        (torch.nn.functional.cross_entropy(logits(mean + std * noise), y) + 2e-3 * kl).backward()
        optimizer.step()
    accuracy = lambda w: float((logits(torch.as_tensor(w).float()).argmax(1) == y).float().mean())  # noqa: E731
    return mean.detach().numpy(), log_std.detach().exp().numpy(), accuracy


def test_a_tiny_network_in_far_fewer_bits_than_it_has_numbers():
    mean, std, accuracy = tiny_network()
    kl = float(kl_bits(mean, std, prior_std=2.0).sum())
    size = 4
    bits = math.ceil(kl / 32 * size) + 3
    shared = {"size": size, "bits": bits, "prior_std": 2.0, "seed": 1}
    indices = encode_blocks(mean, std, **shared)
    decoded = decode_blocks(indices, 32, **shared)
    assert accuracy(mean) > 0.9
    assert accuracy(decoded) > accuracy(mean) - 0.1
    assert len(indices) * bits < 160  # of 1,024 as float32
    assert kl < len(indices) * bits < kl + len(indices) * 4  # 3 spare, and rounding


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: kl_bits([0.0], [0.0], prior_std=1.0), "std above 0"),
        (lambda: kl_bits([0.0, 1.0], [1.0], prior_std=1.0), "shapes of mean and std"),
        (lambda: candidates(21, 1, **SHARED), "bits is 21"),
        (lambda: candidates(20, 100, **SHARED), "smaller blocks"),
        (lambda: candidates(3, 1, prior_std=0.0, seed=0), "prior_std is 0.0"),
        (lambda: decode_block(8, 2, bits=3, **SHARED), "index is 8; allowed: an integer from 0 to 7"),
        (lambda: decode_blocks([1], 5, size=2, bits=3, **SHARED), "allowed: 3, one a block"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
