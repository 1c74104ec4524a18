import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.stats import norm

from mcomp.arrays import to_numpy
from mcomp.quantize.powers import log_levels, nearest_power, normal_float, quantize_powers

quick = settings(derandomize=True, deadline=None, max_examples=60)
floats = st.floats(-1e6, 1e6, width=32)

# Dettmers et al. 2023, arXiv:2305.14314, appendix E
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1.0]  # fmt: skip


@quick
@given(x=npst.arrays(np.float32, npst.array_shapes(max_dims=2, max_side=5), elements=floats))
def test_nearest_power_is_the_nearest_of_all(xp, x):
    found = to_numpy(nearest_power(xp.asarray(x.copy())))
    powers = np.append(0.0, 2.0 ** np.arange(-126, 128))
    for value, near in zip(x.reshape(-1).astype(np.float64), found.reshape(-1), strict=True):
        best = powers[np.argmin(abs(powers - abs(value)))]  # the first of equals is the smaller
        assert near == math.copysign(best, value) or near == value == 0


def test_the_border_is_in_the_middle_not_at_the_root_of_two(xp):
    x = np.array([1.41, 1.42, 1.5, np.nextafter(1.5, 2), -3.0, -3.1])
    assert to_numpy(nearest_power(xp.asarray(x))).tolist() == [1, 1, 1, 2, -2, -4]
    by_logarithm = np.exp2(np.round(np.log2(np.abs(x[:2]))))
    assert by_logarithm.tolist() == [1, 2]


def test_the_ends_of_the_dtype():
    top = np.finfo(np.float16).max
    assert nearest_power(np.array([top, -top], np.float16)).tolist() == [2.0**15, -(2.0**15)]
    assert nearest_power(torch.tensor([3e38, 1e-45])).tolist() == [2.0**127, 0.0]


def test_normal_float_is_the_published_table():
    assert normal_float(4) == pytest.approx(NF4, abs=5e-7)  # theirs were computed in single precision
    assert len(normal_float(4)) == 16
    assert normal_float(4)[7] == 0


@pytest.mark.parametrize("bits", range(2, 9))
def test_normal_float_by_scipy(bits):
    k = 2**bits
    end = 1 - (1 / (2 * k) + 1 / (2 * (k - 1))) / 2
    above = norm.ppf(np.linspace(end, 0.5, k // 2 + 1)[:-1])
    below = -norm.ppf(np.linspace(end, 0.5, k // 2)[:-1])
    expected = np.sort(np.concatenate([below, [0.0], above])) / norm.ppf(end)
    assert normal_float(bits) == pytest.approx(expected, abs=1e-12)


def test_log_levels():
    assert log_levels(2).tolist() == [-1, 0, 1]
    powers = [2.0**-j for j in range(7)]
    assert log_levels(4).tolist() == [*(-p for p in powers), 0.0, *reversed(powers)]
    fine = log_levels(5, base=2**0.5)
    assert fine[-1] / fine[-3] == pytest.approx(2)
    assert len(fine) == 31


@pytest.mark.parametrize("base", [2.0, 1.5, 1.1])
def test_a_logarithmic_grid_bounds_the_relative_error(base):
    levels = log_levels(8, base=base)
    least = levels[levels > 0][0]
    x = np.random.default_rng(0).uniform(least, 1.0, 2000)
    near = levels[abs(x[:, None] - levels).argmin(1)]
    assert (abs(near - x) / x).max() <= (base - 1) / (base + 1) + 1e-12


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
def test_the_best_of_all_top_powers(xp, bits, draw):
    w = getattr(np.random.default_rng(bits), draw)(size=400)
    index, top = quantize_powers(xp.asarray(w), bits)
    ours = ((w - to_numpy(top) * log_levels(bits)[to_numpy(index)]) ** 2).sum()
    errors = []
    for e in range(-20, 8):
        levels = 2.0**e * log_levels(bits)
        errors.append((abs(w[:, None] - levels).min(1) ** 2).sum())
    assert ours == pytest.approx(min(errors), rel=1e-12)
    assert to_numpy(top)[0] == 2.0 ** (np.argmin(errors) - 20)


def test_powers_by_channel(xp):
    w = (np.random.default_rng(0).normal(size=(3, 40)) * [[1.0], [0.01], [0.0]]).astype(np.float32)
    index, top = quantize_powers(xp.asarray(w), 4, axis=0)
    for i in range(3):
        one, a = quantize_powers(w[i], 4)
        assert (to_numpy(index)[i] == one).all()
        assert to_numpy(top)[i] == a[0]
    assert (to_numpy(index)[2] == 7).all()  # the level 0


def test_round_of_w_over_2_to_the_p_is_a_linear_grid():
    """The "non-linear" rounding of tutorials: all its steps are equal, those of powers of two aren't."""
    x = np.linspace(-4, 4, 100_001)
    assert len(np.unique(np.diff(np.unique(np.round(x / 2**-2) * 2**-2)))) == 1
    assert len(np.unique(np.diff(np.unique(nearest_power(x)[abs(x) > 0.1])))) > 3


def test_bad_input(xp):
    w = xp.asarray(np.ones(3))
    for call, complaint in [
        (lambda: quantize_powers(w, 1), "bits is 1; allowed: an integer from 2 to 8"),
        (lambda: quantize_powers(xp.asarray(np.array([np.inf])), 4), "w holds 1 NaN or infinite"),
        (lambda: nearest_power(xp.asarray(np.array([1]))), "w.dtype is"),
        (lambda: log_levels(4, base=1.0), "base is 1.0"),
        (lambda: log_levels(9), "bits is 9"),
        (lambda: normal_float(1), "bits is 1"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            call()
