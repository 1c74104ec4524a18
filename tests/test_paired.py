"""The paired tests against scipy, and on cases that a pencil solves."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mcomp.paired import paired, sign_flip_p, t_p

quick = settings(derandomize=True, deadline=None, max_examples=60)
pairs = st.integers(2, 9).flatmap(lambda n: npst.arrays(np.float64, (2, n), elements=st.floats(-10, 10)))


@quick
@given(t=st.floats(-30, 30), degrees=st.integers(1, 40))
def test_t_p_is_scipys(t, degrees):
    # scipy.stats.t.sf is wrong by up to 5e-9 near 0 (one degree), so by the incomplete beta function;
    # 1 - inside cancels: an absolute error of a few units in the last place of 1
    inside = scipy.special.betainc(0.5, degrees / 2, t * t / (degrees + t * t))
    assert t_p(t, degrees) == pytest.approx(1 - inside, abs=1e-13)


@quick
@given(pairs)
def test_paired_is_scipys_ttest_rel(ab):
    a, b = ab
    d = a - b
    if d.std() < 1e-6:
        return  # scipy warns of cancellation; the constant case is tested below
    found, theirs = paired(a, b), scipy.stats.ttest_rel(a, b)
    assert found.t == pytest.approx(theirs.statistic, rel=1e-9)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-8)  # scipy is wrong by up to 5e-9, see above
    interval = theirs.confidence_interval(0.95)
    # the quantile is bisected on a p-value that is right to 1e-13
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-8)


@quick
@given(pairs)
def test_sign_flips_are_scipys_permutation_test(ab):
    a, b = ab
    a, b = np.round(a, 1), np.round(b, 1)  # ties of equal sums, which rounding must not split
    theirs = scipy.stats.permutation_test(
        (a - b,), lambda d, axis: np.mean(d, axis=axis), permutation_type="samples", n_resamples=10_000,
        vectorized=True,
    )  # fmt: skip
    # scipy doubles the smaller tail; for a distribution that is symmetric about 0 that is our two tails
    expected = 1.0 if abs((a - b).sum()) < 1e-9 else theirs.pvalue
    assert sign_flip_p(a, b) == pytest.approx(expected, abs=1e-12)


@quick
@given(pairs)
def test_swapping_the_methods_turns_the_sign_and_nothing_else(ab):
    a, b = ab
    one, two = paired(a, b), paired(b, a)
    assert (one.mean, one.low, one.p_signs) == (-two.mean, -two.high, two.p_signs)
    assert 2 / 2 ** len(a) <= one.p_signs <= 1


def test_five_seeds_that_agree_reach_two_of_thirty_two():
    assert sign_flip_p([2, 3, 4, 5, 6], [1, 1, 1, 1, 1]) == 2 / 32
    assert sign_flip_p([2, 3, 4, 5, 6], [3, 1, 1, 1, 1]) == 4 / 32  # -1 2 3 4 5: only -1 may turn as well


def test_differences_that_are_all_equal():
    same, shifted = paired([1, 2, 3], [1, 2, 3]), paired([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert (same.mean, same.t, same.p, same.p_signs) == (0, 0, 1, 1)
    assert (shifted.low, shifted.high, shifted.p, shifted.p_signs) == (1, 1, 0, 0.25)


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired([1.0], [2.0]),
        lambda: paired([1.0, 2.0], [1.0, 2.0, 3.0]),
        lambda: paired([1.0, np.nan], [1.0, 2.0]),
        lambda: paired([1.0, 2.0], [1.0, 3.0], confidence=1.5),
        lambda: paired([[1.0, 2.0]], [[1.0, 2.0]]),
        lambda: sign_flip_p([1.0] * 21, [0.0] * 21),
        lambda: sign_flip_p([], []),
        lambda: t_p(1.0, 0),
        lambda: t_p(np.inf, 3),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()
