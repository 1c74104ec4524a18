import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mcomp.arrays import to_numpy
from mcomp.lowrank import jacobi_svd, randomized_svd

quick = settings(derandomize=True, deadline=None, max_examples=60)
shapes = npst.array_shapes(min_dims=2, max_dims=2, max_side=7)
whole = st.integers(-3, 3).map(float)  # few values: zero rows, equal columns and deficient ranks are common
matrices = npst.arrays(np.float64, shapes, elements=whole)


def check_svd(a, u, s, vt, tolerance):
    k, scale = min(a.shape), np.linalg.norm(a) or 1.0
    assert (u.shape, s.shape, vt.shape) == ((a.shape[0], k), (k,), (k, a.shape[1]))
    assert abs(s - np.linalg.svd(a, compute_uv=False)).max() <= tolerance * scale
    assert abs(u * s @ vt - a).max() <= tolerance * scale
    assert abs(u.T @ u - np.eye(k)).max() <= tolerance
    assert abs(vt @ vt.T - np.eye(k)).max() <= tolerance
    assert (np.diff(s) <= 0).all()
    assert (s >= 0).all()


@quick
@given(a=matrices)
def test_jacobi_svd_is_the_svd(xp, a):
    found = jacobi_svd(xp.asarray(a.copy()))
    check_svd(a, *map(to_numpy, found), tolerance=1e-13)  # a few hundred roundings of float64


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (9, 1), (40, 31), (31, 40), (64, 64)])
def test_jacobi_svd_of_random_matrices(shape):
    a = np.random.default_rng(0).normal(size=shape)
    check_svd(a, *jacobi_svd(a), tolerance=1e-13)


def test_jacobi_svd_of_a_hard_spectrum():
    q = [np.linalg.qr(np.random.default_rng(i).normal(size=(30, 30)))[0] for i in (0, 1)]
    a = q[0] * np.logspace(0, -14, 30) @ q[1]
    check_svd(a, *jacobi_svd(a), tolerance=1e-13)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_jacobi_svd_squares_neither_overflow_nor_vanish(scale):
    s = jacobi_svd(scale * np.array([[3.0, 0.0], [4.0, 5.0]]))[1]
    assert s / scale == pytest.approx([45**0.5, 5**0.5], rel=1e-14)


@pytest.mark.parametrize("a", [np.zeros((3, 2)), np.ones((2, 5)), np.eye(4)])
def test_jacobi_svd_of_matrices_without_or_with_equal_values(a):
    check_svd(a, *jacobi_svd(a), tolerance=1e-14)


def test_jacobi_svd_keeps_dtype_and_input():
    a = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    before = a.clone()
    u, s, vt = jacobi_svd(a)
    assert u.dtype == s.dtype == vt.dtype == torch.float32
    assert torch.equal(a, before)
    assert torch.allclose(s, torch.linalg.svdvals(a), rtol=1e-6)  # float32


def falling(m, n, decay, dtype=np.float64):
    """A matrix with the singular values decay**i."""
    rng = np.random.default_rng(1)
    k = min(m, n)
    u, v = (np.linalg.qr(rng.normal(size=(size, k)))[0] for size in (m, n))
    return (u * decay ** np.arange(k) @ v.T).astype(dtype)


@pytest.mark.parametrize("shape", [(60, 80), (80, 60)])
def test_randomized_svd_finds_the_leading_triples(xp, shape):
    a = falling(*shape, 0.7)
    u, s, vt = map(to_numpy, randomized_svd(xp.asarray(a), 10, power=4))
    assert s == pytest.approx(0.7 ** np.arange(10), rel=1e-6)  # after 4 iterations 0.7^(8·9) is below 1e-6
    assert np.linalg.norm(a - u * s @ vt, 2) == pytest.approx(0.7**10, rel=1e-4)
    assert abs(u.T @ u - np.eye(10)).max() < 1e-13
    assert abs(vt @ vt.T - np.eye(10)).max() < 1e-13


@pytest.mark.parametrize("decay", [0.99, 0.9, 0.5])
def test_randomized_svd_is_as_good_as_torch(decay):
    a = torch.asarray(falling(200, 150, decay, np.float32))
    u, s, vt = randomized_svd(a, 20)
    torch.manual_seed(0)
    peer_u, peer_s, peer_v = torch.svd_lowrank(a, q=20, niter=2)
    ours, peer = (torch.linalg.norm(a - left) for left in (u * s @ vt, peer_u * peer_s @ peer_v.T))
    assert ours <= 1.001 * peer + 1e-6  # ours carries eight columns more; float32


def test_randomized_svd_of_full_rank_is_exact():
    a = np.random.default_rng(0).normal(size=(12, 9))
    check_svd(a, *randomized_svd(a, 9, power=0), tolerance=1e-13)


def test_randomized_svd_is_deterministic_and_can_start_near():
    a = falling(50, 40, 0.97)
    assert all((x == y).all() for x, y in zip(randomized_svd(a, 5), randomized_svd(a, 5), strict=True))
    vt = np.linalg.svd(a)[2][:5]
    s = randomized_svd(a, 5, start=vt.T, power=0)[1]  # the answer, given as the start, is the answer
    assert s == pytest.approx(0.97 ** np.arange(5), rel=1e-12)


bad = [np.ones(3), np.ones((2, 2, 2)), np.array([[np.nan]]), np.zeros((0, 3)), np.ones((2, 2), int)]


@pytest.mark.parametrize("a", bad, ids=["vector", "3-D", "NaN", "empty", "int"])
@pytest.mark.parametrize("call", [jacobi_svd, lambda a: randomized_svd(a, 1)])
def test_bad_matrices(a, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(a)


@pytest.mark.parametrize(
    "options",
    [{"rank": 0}, {"rank": 4}, {"rank": 1.0}, {"rank": 1, "power": -1}, {"rank": 1, "oversample": -1},
     {"rank": 1, "seed": -1}, {"rank": 2, "start": np.ones((3, 1))}, {"rank": 1, "start": np.ones((4, 1))}],
)  # fmt: skip
def test_bad_arguments_of_randomized_svd(options):
    with pytest.raises(ValueError, match="allowed: "):
        randomized_svd(np.ones((5, 3)), **options)


def test_jacobi_svd_refuses_half_precision():
    with pytest.raises(ValueError, match="float32 or float64"):
        jacobi_svd(torch.ones(2, 2, dtype=torch.bfloat16))
