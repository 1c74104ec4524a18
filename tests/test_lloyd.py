import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import laplace, norm
from sklearn.cluster import KMeans

from mcomp.arrays import to_numpy
from mcomp.quantize.codebooks import kmeans_1d
from mcomp.quantize.lloyd import bound_gap, lloyd, lloyd_max, panter_dite

quick = settings(derandomize=True, deadline=None, max_examples=60)
values = st.lists(st.integers(-40, 40).map(lambda i: i / 4), min_size=1, max_size=12)


def gaussian_error(levels):
    """The error of levels on a Gaussian by its distribution function: no grid is involved."""
    c = np.sort(levels)
    border = np.concatenate([[-np.inf], (c[1:] + c[:-1]) / 2, [np.inf]])
    mass, moment = np.diff(norm.cdf(border)), -np.diff(norm.pdf(border))
    return 1 - float((2 * c * moment - c**2 * mass).sum())


@pytest.mark.parametrize("k", [1, 2, 3, 4, 8, 16])
def test_the_gaussian_s_levels_are_those_of_a_general_minimiser(k):
    levels, mse = lloyd_max(norm.pdf, k, low=-10, high=10)
    best = minimize(gaussian_error, norm.ppf((np.arange(k) + 0.5) / k), tol=1e-12)
    # the density counts as constant over 3e-4: errors of about its square
    assert mse == pytest.approx(best.fun, rel=1e-6)
    assert levels == pytest.approx(np.sort(best.x), abs=2e-5)


@pytest.mark.parametrize(
    ("k", "level", "mse"), [(2, 0.7980, 0.3634), (4, 0.4528, 0.1175), (8, 0.2451, 0.03454)]
)
def test_the_table_of_max(k, level, mse):
    """Max 1960, table I: the least positive level and the error, printed to four digits (rounded by hand)."""
    levels, error = lloyd_max(norm.pdf, k, low=-10, high=10)
    assert levels[k // 2] == pytest.approx(level, abs=2e-4)
    assert error == pytest.approx(mse, rel=1e-3)


def test_two_levels_of_a_laplacian_are_known_exactly():
    levels, mse = lloyd_max(laplace.pdf, 2, low=-40, high=40)
    assert levels == pytest.approx([-1, 1], abs=1e-6)  # the mean of |x|, by hand
    assert mse == pytest.approx(1.0, abs=1e-6)  # the variance 2, less 1


def test_no_local_minimum_where_two_humps_invite_one():
    def humps(x):
        return norm.pdf(x, -3, 0.1) + 0.2 * norm.pdf(x, 3, 1.0)

    levels, mse = lloyd_max(humps, 3, low=-10, high=10)
    x = np.linspace(-10, 10, 20_001)
    theirs = KMeans(3, n_init=20, random_state=0).fit(x[:, None], sample_weight=humps(x))
    assert mse <= theirs.inertia_ / humps(x).sum() * (1 + 1e-3)  # theirs on a coarser grid
    assert np.sum(levels > 0) == 2


def test_a_uniform_density_is_cut_evenly_and_panter_dite_is_exact_there():
    levels, mse = lloyd_max(np.ones_like, 5, low=-1, high=1)
    assert levels == pytest.approx([-0.8, -0.4, 0.0, 0.4, 0.8], abs=1e-6)
    assert mse == pytest.approx(0.4**2 / 12, rel=1e-6)
    assert panter_dite(np.ones_like, 5, low=-1, high=1) == pytest.approx(0.4**2 / 12, rel=1e-9)


def test_many_levels_reach_panter_and_dite():
    limit = panter_dite(norm.pdf, 128, low=-10, high=10)
    assert limit * 128**2 == pytest.approx(math.sqrt(3) * math.pi / 2, rel=1e-5)  # by hand for a Gaussian
    assert lloyd_max(norm.pdf, 128, low=-10, high=10)[1] == pytest.approx(limit, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((norm.pdf, 0, -1, 1), "k is 0; allowed: an integer from 1 to 256"),
        ((norm.pdf, 4, 1, 1), "high is 1; allowed: a finite number"),
        ((norm.pdf, 4, -np.inf, 1), "low is -inf"),
        ((np.zeros_like, 4, 0, 1), "allowed: .*above 0"),
        ((lambda x: -x, 4, 1, 2), "allowed: .*0 or more"),
        ((lambda x: x * np.nan, 4, 1, 2), "the density"),
        ((lambda x: 1.0, 4, 1, 2), "the density's shape"),
    ],
)
def test_bad_densities(arguments, complaint):
    density, k, low, high = arguments
    with pytest.raises(ValueError, match=complaint):
        lloyd_max(density, k, low=low, high=high)


@quick
@given(x=values, start=st.lists(st.integers(-40, 40), min_size=1, max_size=4, unique=True))
def test_a_step_is_the_plain_loop_and_never_raises_the_error(xp, x, start):
    x, start = np.array(x), np.sort(np.array(start, float)) / 4
    found, errors = lloyd(xp.asarray(x.copy()), xp.asarray(start.copy()), steps=1)
    near = [int(np.argmin(abs(start - value))) for value in x]  # a midpoint goes to the lower level
    means = [np.mean([v for v, j in zip(x, near, strict=True) if j == i]) if i in near else start[i]
             for i in range(len(start))]  # fmt: skip
    assert to_numpy(found) == pytest.approx(np.sort(means), abs=1e-12)
    assert errors[0] == pytest.approx(np.mean([(v - start[j]) ** 2 for v, j in zip(x, near, strict=True)]))
    assert errors[1] <= errors[0] + 1e-12


def test_lloyd_on_samples_can_be_stuck_where_dynamic_programming_is_not(xp):
    x = xp.asarray(np.array([0.0, 1.0, 10.0, 11.0, 20.0, 21.0]))
    stuck, errors = lloyd(x, xp.asarray(np.array([0.0, 1.0, 15.0])), steps=50)
    assert to_numpy(stuck).tolist() == [0.0, 1.0, 15.5]
    assert errors[-1] > 16
    assert to_numpy(kmeans_1d(x, 3)[0]).tolist() == [0.5, 10.5, 20.5]
    assert all(b <= a for a, b in itertools.pairwise(errors))


def test_lloyd_refuses_bad_input(xp):
    x = xp.asarray(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="steps is 0"):
        lloyd(x, x, steps=0)
    with pytest.raises(ValueError, match=r"centroids is .*ascending"):
        lloyd(x, xp.asarray(np.array([1.0, 0.0])), steps=1)


def test_the_gap_is_zero_on_the_bound_and_counts_both_ways():
    decibel, excess = bound_gap(np.array([1.0, 2.0]), 4 * np.array([0.25, 0.25]), sigma2=4.0)
    assert excess == pytest.approx([0.0, 1.0])
    assert decibel == pytest.approx([0.0, 6.0206], abs=1e-4)  # 20 log10(2) a bit
    entropy = 0.5 * math.log2(2 * math.pi * math.e) - math.log2(0.01)  # of a Gaussian in steps of 0.01
    assert bound_gap(entropy, 0.01**2 / 12).bits == pytest.approx(0.2546, abs=1e-4)  # ½ log2(πe/6)
    with pytest.raises(ValueError, match=r"mse is 0.0; allowed: above 0"):
        bound_gap(1.0, 0.0)
