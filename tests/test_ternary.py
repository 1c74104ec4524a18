import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from mcomp.arrays import to_numpy
from mcomp.quantize.ternary import ternarize, ternary_threshold

quick = settings(derandomize=True, deadline=None, max_examples=80)
small = st.lists(st.integers(-8, 8).map(lambda i: i / 4), min_size=1, max_size=6)


def error(w, q, scale):
    return float(((w - scale * q) ** 2).sum())


@quick
@given(x=small)
def test_no_ternary_tensor_is_nearer(xp, x):
    w = np.array(x)
    q, scale = ternarize(xp.asarray(w.copy()))
    best = float((w**2).sum())
    for pattern in itertools.product([-1, 0, 1], repeat=len(w)):
        p = np.array(pattern)
        if p.any():
            best = min(best, error(w, p, w @ p / (p @ p)))
    assert set(to_numpy(q).tolist()) <= {-1, 0, 1}
    assert error(w, to_numpy(q), to_numpy(scale)[0]) == pytest.approx(best, abs=1e-12)


@quick
@given(x=small)
def test_twn_is_its_loop_and_never_better_than_exact(xp, x):
    w = np.array(x)
    q, scale = ternarize(xp.asarray(w.copy()), rule="twn")
    threshold = 0.7 * np.abs(w).sum() / len(w)
    assert to_numpy(ternary_threshold(xp.asarray(w.copy())))[0] == pytest.approx(threshold, rel=1e-12)
    exact, best = ternarize(w)
    assert error(w, to_numpy(q), to_numpy(scale)[0]) >= error(w, exact, best[0]) - 1e-12
    kept = abs(w)[to_numpy(q) != 0]
    assert to_numpy(scale)[0] == pytest.approx(kept.mean() if kept.size else 0.0)


def test_channels_are_rows(xp):
    w = np.random.default_rng(0).standard_t(3, size=(4, 5, 6)).astype(np.float32)
    for axis in (0, 1, -1):
        for rule in ("exact", "twn"):
            q, scale = ternarize(xp.asarray(w), axis=axis, rule=rule)
            assert scale.dtype == xp.float32
            for i in range(w.shape[axis]):
                one, a = ternarize(np.take(w, i, axis), rule=rule)
                assert (np.take(to_numpy(q), i, axis) == one).all()
                assert to_numpy(scale)[i] == a[0]


def test_the_thresholds_of_two_densities():
    """By a general minimiser: 2/3 of the mean for uniform weights, 0.77 for Gaussian ones."""

    def gain(t):  # what a set |x| > t explains: (∫ x p)² / ∫ p
        return norm.pdf(t) ** 2 / norm.sf(t)

    t = minimize_scalar(lambda t: -gain(t), bounds=(0.01, 3), method="bounded").x
    assert t / np.sqrt(2 / np.pi) == pytest.approx(0.767, abs=1e-3)
    uniform = minimize_scalar(lambda t: -((1 - t**2) ** 2) / (1 - t), bounds=(0.01, 0.99), method="bounded").x
    assert uniform == pytest.approx(1 / 3, abs=1e-4)  # the mean of |x| is 1/2
    w = np.random.default_rng(0).normal(size=100_000)
    q, scale = ternarize(w)
    # the optimum is flat: the threshold of 100,000 samples scatters by about a hundredth
    assert abs(w[q == 0]).max() == pytest.approx(t, abs=0.03)
    assert abs(w[q == 0]).max() <= scale[0] / 2 <= abs(w[q != 0]).min()  # the nearest of its three levels


@pytest.mark.parametrize("rule", ["exact", "twn"])
def test_zeros_stay_zeros(xp, rule):
    q, scale = ternarize(xp.asarray(np.array([[0.0, 0.0], [1.0, -1.0]])), axis=0, rule=rule)
    assert to_numpy(q).tolist() == [[0, 0], [1, -1]]
    assert to_numpy(scale).tolist() == [0.0, 1.0]


def test_bad_input(xp):
    with pytest.raises(ValueError, match="rule is 'best'; allowed: one of exact, twn"):
        ternarize(xp.asarray(np.ones(3)), rule="best")
    with pytest.raises(ValueError, match="w holds 1 NaN"):
        ternarize(xp.asarray(np.array([np.nan])))
    with pytest.raises(ValueError, match="w is empty"):
        ternary_threshold(xp.asarray(np.zeros(0)))
