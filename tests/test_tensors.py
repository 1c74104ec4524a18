import numpy as np
import pytest
import tensorly as tl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorly.decomposition import parafac, partial_tucker

from mcomp.arrays import to_numpy
from mcomp.lowrank import cp_als, cp_tensor, khatri_rao, mode_product, tucker2, unfold

quick = settings(derandomize=True, deadline=None, max_examples=30)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tucker_tensor(up, core, down):
    return mode_product(mode_product(core, up, axis=0), down.T, axis=1)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_unfold_and_mode_product_agree_with_tensorly(xp, axis):
    t = normal(2, 3, 4, 5)
    m = normal(6, t.shape[axis])
    assert (to_numpy(unfold(xp.asarray(t), axis)) == tl.base.unfold(t, axis)).all()
    ours = to_numpy(mode_product(xp.asarray(t), xp.asarray(m), axis=axis))
    assert np.allclose(ours, tl.tenalg.mode_dot(t, m, axis), rtol=0, atol=1e-13)


def test_khatri_rao_and_cp_tensor_agree_with_tensorly(xp):
    factors = [normal(n, 3, seed=n) for n in (2, 4, 5)]
    ours = [xp.asarray(f) for f in factors]
    assert np.allclose(to_numpy(khatri_rao(ours)), tl.tenalg.khatri_rao(factors), rtol=0, atol=1e-14)
    assert np.allclose(to_numpy(cp_tensor(ours)), tl.cp_to_tensor((None, factors)), rtol=0, atol=1e-13)


@pytest.mark.filterwarnings("ignore:Trying to compute SVD")  # of tensorly, which then takes fewer
@pytest.mark.parametrize(
    ("shape", "ranks"), [((12, 9, 3, 3), (5, 4)), ((20, 30, 5, 5), (3, 11)), ((8, 7), (2, 3))]
)
def test_tucker2_is_as_good_as_tensorly(xp, shape, ranks):
    w = normal(*shape)
    up, core, down = map(to_numpy, tucker2(xp.asarray(w), ranks))
    assert core.shape == (*ranks, *shape[2:])
    assert abs(up.T @ up - np.eye(ranks[0])).max() < 1e-12
    assert abs(down @ down.T - np.eye(ranks[1])).max() < 1e-12
    (peer_core, factors), _ = partial_tucker(w, rank=list(ranks), modes=[0, 1])
    peer = np.linalg.norm(w - tl.tenalg.multi_mode_dot(peer_core, factors, modes=[0, 1]))
    assert np.linalg.norm(w - tucker_tensor(up, core, down)) <= 1.01 * peer  # the bar of the project


def test_tucker2_finds_an_exact_one():
    w = tucker_tensor(normal(9, 3), normal(3, 2, 4, 4), normal(2, 8))
    assert np.allclose(tucker_tensor(*tucker2(w, (3, 2))), w, rtol=0, atol=1e-12)


@quick
@given(st.data())
def test_hooi_never_makes_hosvd_worse(data):
    shape = [data.draw(st.integers(1, 5)) for _ in range(4)]
    ranks = [data.draw(st.integers(1, n)) for n in shape[:2]]
    w = normal(*shape, seed=data.draw(st.integers(0, 99)))
    errors = [np.linalg.norm(w - tucker_tensor(*tucker2(w, ranks, sweeps=n))) for n in (0, 1, 2, 5)]
    assert (np.diff(errors) <= 1e-12).all()


def test_tucker2_of_a_matrix_is_its_svd():
    w = normal(7, 6)
    s = np.linalg.svd(w, compute_uv=False)
    error = np.linalg.norm(w - tucker_tensor(*tucker2(w, (3, 3), sweeps=50)))
    assert error == pytest.approx(np.sqrt((s[3:] ** 2).sum()), rel=1e-9)


def test_tucker2_keeps_the_dtype_and_the_input():
    w = torch.asarray(normal(4, 5, 3, 3)).float()
    before = w.clone()
    assert {x.dtype for x in tucker2(w, (2, 2))} == {torch.float32}
    assert torch.equal(w, before)


@pytest.mark.parametrize("shape", [(6, 5, 4), (4, 3, 3, 3), (7, 5)])
def test_cp_als_finds_an_exact_one(xp, shape):
    t = cp_tensor([normal(n, 2, seed=i) for i, n in enumerate(shape)])
    factors, errors = cp_als(xp.asarray(t), 2, sweeps=1000, tolerance=1e-16)
    assert np.allclose(to_numpy(cp_tensor(factors)), t, rtol=0, atol=1e-6 * np.linalg.norm(t))
    assert errors[-1] < 1e-6  # its square is then below the tolerance
    assert all(abs(np.linalg.norm(to_numpy(f), axis=0) - 1).max() < 1e-12 for f in factors[:-1])


def test_cp_als_is_as_good_as_tensorly():
    t = normal(8, 7, 6)
    ours = cp_als(t, 4, sweeps=500, seed=0)[1][-1]
    peers = [
        np.linalg.norm(t - tl.cp_to_tensor(parafac(t, 4, n_iter_max=500, init="random", random_state=seed)))
        for seed in range(3)
    ]
    assert ours <= 1.02 * max(peers) / np.linalg.norm(t)  # both end in a local minimum, not in the same


@quick
@given(seed=st.integers(0, 999), rank=st.integers(1, 6))
def test_cp_errors_never_rise_and_are_true(seed, rank):
    t = normal(4, 3, 5, seed=seed)
    factors, errors = cp_als(t, rank, sweeps=15, seed=seed, tolerance=0.0)
    assert (np.diff(errors) <= 1e-9).all()
    assert errors[-1] == pytest.approx(np.linalg.norm(t - cp_tensor(factors)) / np.linalg.norm(t), abs=1e-12)


def test_cp_of_border_rank_grows_without_limit():
    """a⊗a⊗b + a⊗b⊗a + b⊗a⊗a has rank 3, and rank-2 tensors come as near as you like (de Silva and Lim)."""
    a, b = np.eye(2)
    t = sum(np.einsum("i,j,k", *x) for x in ((a, a, b), (a, b, a), (b, a, a)))
    found = [cp_als(t, 2, sweeps=n, tolerance=0.0) for n in (10, 100, 1000)]
    sizes = [np.linalg.norm(factors[-1]) for factors, _ in found]
    errors = [errors[-1] for _, errors in found]
    assert sizes[0] < sizes[1] < sizes[2]
    assert errors[0] > errors[1] > errors[2] > 0


t = np.ones((3, 4, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: tucker2(t, (4, 1)), lambda: tucker2(t, (1, 0)), lambda: tucker2(t, 2),
        lambda: tucker2(t, (1,)),
        lambda: tucker2(t, (1, 1), sweeps=-1), lambda: tucker2(np.ones(3), (1, 1)),
        lambda: tucker2(t.astype(int), (1, 1)), lambda: tucker2(t * np.nan, (1, 1)),
        lambda: cp_als(t, 0), lambda: cp_als(t, 1, sweeps=0), lambda: cp_als(0 * t, 1),
        lambda: cp_als(t * np.inf, 1), lambda: cp_als(t, 1, tolerance=-1.0), lambda: cp_als(t, 1, seed=-1),
        lambda: unfold(t, 3), lambda: mode_product(t, np.ones((2, 2)), axis=0),
    ],
)  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()
