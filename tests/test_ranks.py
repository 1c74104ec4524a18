import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from mcomp.arrays import to_numpy
from mcomp.lowrank import (
    break_even,
    budget_ranks,
    energy_rank,
    gap_rank,
    gram,
    low_rank,
    low_rank_plus_sparse,
    marchenko_pastur,
    marchenko_pastur_edges,
    relative_error,
    whitened_low_rank,
)
from mcomp.lowrank.project import whitener

quick = settings(derandomize=True, deadline=None, max_examples=60)
spectra = st.lists(st.integers(1, 9).map(float), min_size=1, max_size=4).map(
    lambda values: np.array(sorted(values, reverse=True))
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------- projections


@quick
@given(seed=st.integers(0, 999), m=st.integers(1, 6), n=st.integers(1, 6), data=st.data())
def test_no_matrix_of_the_rank_is_nearer(seed, m, n, data):
    """Eckart-Young-Mirsky: the error is the rest of the spectrum, and other factors, tuned too, lose."""
    rank, w = data.draw(st.integers(1, min(m, n))), normal(m, n, seed=seed)
    up, down = low_rank(w, rank)
    s = np.linalg.svd(w, compute_uv=False)
    error = np.linalg.norm(w - up @ down)
    assert error == pytest.approx(np.sqrt((s[rank:] ** 2).sum()), abs=1e-12)
    spectral = s[rank] if rank < len(s) else 0.0
    assert np.linalg.norm(w - up @ down, 2) == pytest.approx(spectral, abs=1e-12)
    other = normal(rank, n, seed=seed + 1)
    for _ in range(5):  # alternating least squares from a random start: each other is the best for one factor
        left = np.linalg.lstsq(other.T, w.T, rcond=None)[0].T
        other = np.linalg.lstsq(left, w, rcond=None)[0]
        assert error <= np.linalg.norm(w - left @ other) + 1e-12
        assert spectral <= np.linalg.norm(w - left @ other, 2) + 1e-12


def test_low_rank_on_every_library(xp):
    w = normal(5, 7)
    up, down = map(to_numpy, low_rank(xp.asarray(w), 3))
    assert up.shape == (5, 3)
    assert down.shape == (3, 7)
    assert np.linalg.norm(up, axis=0) == pytest.approx(np.linalg.norm(down, axis=1), rel=1e-12)
    u, s, vt = np.linalg.svd(w)
    assert np.allclose(up @ down, u[:, :3] * s[:3] @ vt[:3], rtol=0, atol=1e-12)


def test_whitened_low_rank_is_the_best_for_the_outputs(xp):
    w, x = normal(6, 9), normal(40, 9, seed=1) * np.logspace(0, 2, 9)
    g = gram(xp.asarray(x))
    assert np.allclose(to_numpy(g), x.T @ x / 40, rtol=1e-12)
    up, down = map(to_numpy, whitened_low_rank(xp.asarray(w), 2, gram=g, damp=0.0))
    assert np.linalg.norm(up, axis=0) == pytest.approx(np.linalg.norm(down, axis=1), rel=1e-9)
    error = np.linalg.norm((w - up @ down) @ x.T)
    least = np.linalg.svd(w @ x.T, compute_uv=False)  # no rank-2 output can be nearer to w xᵀ than its own
    assert error == pytest.approx(np.sqrt((least[2:] ** 2).sum()), rel=1e-9)
    plain = np.linalg.norm((w - np.matmul(*low_rank(w, 2))) @ x.T)
    assert error < plain


def test_whitened_low_rank_of_white_inputs_is_plain():
    w = normal(5, 4)
    ours, plain = (up @ down for up, down in (whitened_low_rank(w, 2, gram=np.eye(4)), low_rank(w, 2)))
    assert np.allclose(ours, plain, rtol=0, atol=1e-12)


def test_dead_inputs_need_damping():
    w, g = normal(3, 4).astype(np.float32), np.diag([1.0, 2.0, 0.0, 3.0])
    up, down = whitened_low_rank(w, 3, gram=g)
    assert up.dtype == down.dtype == np.float32
    keep = [0, 1, 3]
    assert np.allclose((up @ down)[:, keep], w[:, keep], rtol=0, atol=1e-5)  # float32
    for library in (np, torch):
        with pytest.raises(ValueError, match=r"positive definite .* more damp"):
            whitened_low_rank(library.asarray(w), 1, gram=library.asarray(g), damp=0.0)


def test_whitener_agrees_with_numpy():
    g = gram(normal(20, 5))
    assert np.allclose(whitener(g, 5, damp=0.0), np.linalg.cholesky(g), rtol=1e-12)


def test_a_matrix_of_zeros_has_factors_of_zeros():
    for up, down in (low_rank(np.zeros((3, 2)), 1), whitened_low_rank(np.zeros((3, 2)), 1, gram=np.eye(2))):
        assert not (up @ down).any()


@pytest.mark.parametrize("size", [0.5, 5.0, 50.0])
def test_low_rank_plus_sparse_finds_what_was_planted(xp, size):
    w = np.outer(normal(20), normal(30, seed=1))
    places = np.random.default_rng(2).choice(600, 12, replace=False)
    w.flat[places] += size * np.sign(normal(12, seed=3)) + size
    w.flat[places] -= 2.5 * size * (abs(w.flat[places]) < 0.2 * size)
    up, down, sparse = map(to_numpy, low_rank_plus_sparse(xp.asarray(w), 1, k=12, sweeps=200))
    assert np.count_nonzero(sparse) <= 12
    assert np.linalg.norm(w - up @ down - sparse) < 0.02 * np.linalg.norm(w)


@quick
@given(seed=st.integers(0, 999), rank=st.integers(1, 4), k=st.integers(0, 20))
def test_low_rank_plus_sparse_gets_better(seed, rank, k):
    w = normal(4, 5, seed=seed)
    errors = []
    for sweeps in (1, 2, 5, 20):
        up, down, sparse = low_rank_plus_sparse(w, rank, k=k, sweeps=sweeps)
        errors.append(np.linalg.norm(w - up @ down - sparse))
    assert (np.diff(errors) <= 1e-12).all()
    assert k > 0 or errors[0] == pytest.approx(np.linalg.norm(w - np.matmul(*low_rank(w, rank))), abs=1e-12)


# ---------------------------------------------------------------- ranks


@quick
@given(m=st.integers(1, 60), n=st.integers(1, 60))
def test_break_even_is_where_two_factors_begin_to_save(m, n):
    for rank in range(1, min(m, n) + 1):
        assert (rank * (m + n) < m * n) == (rank < break_even(m, n))


@quick
@given(s=spectra, energy=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_energy_rank_is_the_first_that_suffices(xp, s, energy):
    rank = energy_rank(xp.asarray(s), energy)
    held = np.append(0.0, np.cumsum(s**2)) / (s**2).sum()
    assert held[rank] >= energy - 1e-12
    assert rank == 0 or held[rank - 1] < energy


def test_energy_rank_of_a_long_spectrum():
    """A sum anew for each rank would add two thousand million numbers here."""
    s = np.linspace(1, 0, 60_000)
    held = np.cumsum(s**2) / (s**2).sum()
    assert energy_rank(s, 0.5) == int(np.searchsorted(held, 0.5)) + 1


@quick
@given(s=spectra, data=st.data())
def test_relative_error_is_that_of_the_truncation(s, data):
    rank = data.draw(st.integers(0, len(s)))
    assert relative_error(s, rank) == pytest.approx(np.linalg.norm(s[rank:]) / np.linalg.norm(s))


def test_gap_rank():
    assert gap_rank(np.array([10.0, 9.0, 8.0, 0.5, 0.4])) == 3
    assert gap_rank(np.array([3.0])) == 1
    assert gap_rank(np.array([8.0, 4.0, 2.0])) == 1  # equal drops: the first
    assert gap_rank(np.array([5.0, 4.0, 0.0])) == 2
    noisy = np.outer(normal(30), normal(20, seed=1)) * 9 + normal(30, 20, seed=2)
    assert gap_rank(np.linalg.svd(noisy, compute_uv=False)) == 1
    exact = normal(30, 4) @ normal(4, 20, seed=1)
    assert gap_rank(np.linalg.svd(exact, compute_uv=False)) == 4  # the rest is rounding


@quick
@given(
    found=st.lists(st.tuples(spectra, st.integers(1, 5)), min_size=1, max_size=3),
    budget=st.integers(0, 40),
)
def test_nothing_that_costs_as_much_has_less_error_than_budget_ranks(found, budget):
    spectra = {str(i): s for i, (s, _) in enumerate(found)}
    costs = {str(i): cost for i, (_, cost) in enumerate(found)}
    ranks = budget_ranks(spectra, costs, budget=budget)

    def error_and_cost(ranks):
        error = sum((s[r:] ** 2).sum() for s, r in zip(spectra.values(), ranks, strict=True))
        return error, sum(r * c for r, c in zip(ranks, costs.values(), strict=True))

    error, spent = error_and_cost(ranks.values())
    assert spent <= budget
    every = map(error_and_cost, itertools.product(*(range(len(s) + 1) for s in spectra.values())))
    others = list(every)
    assert min(e for e, c in others if c <= spent) == pytest.approx(error, abs=1e-9)
    if len(set(costs.values())) == 1:  # equal prices: then for the whole budget, not only for what was spent
        assert min(e for e, c in others if c <= budget) == pytest.approx(error, abs=1e-9)


def test_marchenko_pastur_is_a_density_and_what_random_matrices_have(xp):
    m, n, sigma = 400, 150, 0.3
    low, high = marchenko_pastur_edges(shape=(m, n), sigma=sigma)

    def density(s):
        return float(marchenko_pastur(np.array([s]), shape=(m, n), sigma=sigma)[0])

    def moment(k):
        return quad(lambda s: s**k * density(s), low, high)[0]

    assert moment(0) == pytest.approx(1, abs=1e-6)
    assert moment(2) == pytest.approx(sigma**2 * m, rel=1e-6)  # the mean of s² is ‖w‖² / 150, exactly
    s = np.linalg.svd(sigma * normal(m, n), compute_uv=False)
    edges = np.linspace(low, high, 7)
    measured = np.histogram(s, edges)[0] / n
    derived = [quad(density, a, b)[0] for a, b in itertools.pairwise(edges)]
    assert measured == pytest.approx(derived, abs=0.02)  # three of 150 values; they repel, so vary little
    found = to_numpy(marchenko_pastur(xp.asarray(edges), shape=(n, m), sigma=sigma))
    assert found == pytest.approx([density(s) for s in edges])
    assert not marchenko_pastur(np.array([low - 0.1, high + 0.1]), shape=(m, n), sigma=sigma).any()


def test_marchenko_pastur_of_a_square_matrix_is_a_quarter_circle():
    s = np.linspace(0.05, 1.95, 20)
    assert marchenko_pastur(10 * s, shape=(100, 100), sigma=1.0) == pytest.approx(
        np.sqrt(4 - s**2) / math.pi / 10
    )


good, w = np.array([2.0, 1.0]), np.ones((3, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: low_rank(w, 0), lambda: low_rank(w, 3), lambda: low_rank(w[0], 1),
        lambda: low_rank(w * np.nan, 1),
        lambda: whitened_low_rank(w, 1, gram=np.eye(3)), lambda: whitened_low_rank(w, 3, gram=np.eye(2)),
        lambda: whitened_low_rank(w, 1, gram=np.eye(2), damp=-1.0), lambda: gram(np.ones(3)),
        lambda: whitened_low_rank(w, 1, gram=np.eye(2) * np.nan),
        lambda: low_rank_plus_sparse(w, 1, k=7), lambda: low_rank_plus_sparse(w, 1, k=1, sweeps=0),
        lambda: low_rank_plus_sparse(w, 3, k=1),
        lambda: break_even(0, 3), lambda: break_even(3, 2.5),
        lambda: energy_rank(good, 90), lambda: energy_rank(good[::-1], 0.9),
        lambda: energy_rank(0 * good, 0.9),
        lambda: energy_rank(-good, 0.9), lambda: energy_rank(w, 0.9), lambda: energy_rank(good[:0], 0.9),
        lambda: gap_rank(good * np.nan), lambda: relative_error(good, 3),
        lambda: budget_ranks({}, {}, budget=1), lambda: budget_ranks({"a": good}, {"b": 1}, budget=1),
        lambda: budget_ranks({"a": good}, {"a": 0}, budget=1),
        lambda: budget_ranks({"a": good}, {"a": 1}, budget=-1),
        lambda: marchenko_pastur(good, shape=(3, 0), sigma=1.0),
        lambda: marchenko_pastur(good, shape=(3, 2), sigma=0.0),
    ],
)  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()
