"""The best clip against numerical integration, a table of the paper, and random numbers."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from mcomp.quantize.grids import fake_quantize, range_grid
from mcomp.quantize.ranges import clipping_error, expected_error, optimal_clip

DENSITIES = {"gaussian": stats.norm, "laplacian": stats.laplace(scale=1 / math.sqrt(2))}


@pytest.mark.parametrize("distribution", DENSITIES)
@pytest.mark.parametrize("clip", [0.0, 0.5, 1.0, 2.5, 4.0, 8.0])
def test_clipping_error_is_the_integral(distribution, clip):
    density = DENSITIES[distribution].pdf
    tail, _ = integrate.quad(lambda x: (x - clip) ** 2 * density(x), clip, 50, epsabs=1e-16)
    found = clipping_error(clip, distribution=distribution)
    assert math.isclose(found, 2 * tail, rel_tol=1e-6, abs_tol=1e-15)  # what quad reaches


@pytest.mark.parametrize("distribution", DENSITIES)
@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8, 12])
def test_optimal_clip_is_where_a_search_finds_it(distribution, bits):
    found = optimal_clip(bits, distribution=distribution)
    error = lambda c: expected_error(c, bits, distribution=distribution)  # noqa: E731
    searched = optimize.minimize_scalar(error, bounds=(0, 30), method="bounded", options={"xatol": 1e-10})
    assert math.isclose(found, searched.x, rel_tol=1e-5)  # a minimum is flat: half the digits
    assert error(found) <= searched.fun * (1 + 1e-12)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_laplacian_clip_is_lambert_w(bits):
    """clip / b = W(12 m**2); with the 2**(bits - 1) steps of Banner et al. 2019 that is W(3 * 4**bits)."""
    m, b = 2 ** (bits - 1) - 1, 1 / math.sqrt(2)
    exact = b * special.lambertw(12 * m**2).real
    assert math.isclose(optimal_clip(bits, distribution="laplacian"), exact, rel_tol=1e-12)


@pytest.mark.parametrize(("bits", "published"), [(2, 2.83), (3, 3.89), (4, 5.03), (8, 9.89)])
def test_the_published_table(bits, published):
    """The paper's code has clip / b of a Laplacian for its 2**(bits - 1) steps a side, cut to two digits."""
    exact = special.lambertw(3 * 4**bits).real
    assert abs(exact - published) < 0.01
    m, ours = 2 ** (bits - 1) - 1, optimal_clip(bits, distribution="laplacian") * math.sqrt(2)
    assert math.isclose(ours * math.exp(ours), 12 * m**2, rel_tol=1e-12)
    assert ours < exact


@pytest.mark.parametrize("distribution", DENSITIES)
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_million_numbers_agree(distribution, bits):
    x = DENSITIES[distribution].rvs(size=10**6, random_state=0)
    best = optimal_clip(bits, distribution=distribution)

    def measured(clip):
        return float(((fake_quantize(x, range_grid(-clip, clip, bits)) - x) ** 2).mean())

    # a flat density within a step is the approximation; at 4 bits it costs up to 5 %
    assert math.isclose(measured(best), expected_error(best, bits, distribution=distribution), rel_tol=0.06)
    assert measured(best) < 0.98 * min(measured(0.7 * best), measured(1.4 * best))
    others = min(measured(c * best) for c in np.linspace(0.8, 1.25, 19))
    assert measured(best) < 1.02 * others


@pytest.mark.parametrize("call", [
    lambda: clipping_error(-1),
    lambda: clipping_error(float("nan")),
    lambda: clipping_error(1, distribution="cauchy"),
    lambda: expected_error(1.0, 1),
    lambda: optimal_clip(17),
    lambda: optimal_clip(4, distribution=None),
])  # fmt: skip
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()
