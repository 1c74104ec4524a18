"""Grids by group: the search against plain loops, the bits that a file holds, the codec."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.codecs import GroupUniform, Uniform, decode
from mcomp.quantize import choose_grid, fake_quantize
from mcomp.quantize.groups import SHRINK, group_bits, group_grid
from mcomp.quantize.ranges import best_clip

quick = settings(derandomize=True, deadline=None, max_examples=12)
seeds = st.integers(0, 10_000)


def gaussian(seed, *shape):
    w = np.random.default_rng(seed).standard_t(3, size=shape)  # with outliers
    return w.astype(np.float32).astype(np.float64)


@quick
@given(
    seed=seeds, bits=st.integers(2, 5), group=st.sampled_from([None, 3, 4, 100]), symmetric=st.booleans(),
    weighted=st.booleans(),
)  # fmt: skip
def test_the_search_is_the_loop_over_groups_and_fractions(xp, seed, bits, group, symmetric, weighted):
    w = gaussian(seed, 3, 10)
    weights = np.random.default_rng(seed).uniform(0.1, 3, size=10) if weighted else np.ones(10)
    found = group_grid(
        xp.asarray(w), bits, group=group, symmetric=symmetric,
        weights=xp.asarray(weights) if weighted else None,
    )  # fmt: skip
    found = to_numpy(fake_quantize(xp.asarray(w), found))
    width = group or 10
    for i in range(3):
        for start in range(0, 10, width):
            part, of = w[i, start : start + width], weights[start : start + width]
            errors = []
            for fraction in SHRINK:
                ends = np.array([part.min(), part.max()]) * fraction
                grid = choose_grid(ends, bits, symmetric=symmetric)
                errors.append((of * (fake_quantize(part, grid) - part) ** 2).sum())
            error = (of * (found[i, start : start + width] - part) ** 2).sum()
            assert error == pytest.approx(min(errors), rel=1e-6)  # a tie of two fractions is cut by rounding


@quick
@given(seed=seeds, bits=st.integers(2, 8), group=st.sampled_from([None, 4]))
def test_one_fraction_is_choose_grid(xp, seed, bits, group):
    w = xp.asarray(gaussian(seed, 4, 9))
    for symmetric in (True, False):
        found = group_grid(w, bits, group=group, symmetric=symmetric, shrink=[1])
        expected = choose_grid(w, bits, axis=0, group=group, symmetric=symmetric)
        np.testing.assert_allclose(to_numpy(found.scale), to_numpy(expected.scale), rtol=1e-15)
        assert (to_numpy(found.zero_point) == to_numpy(expected.zero_point)).all()


def test_it_comes_as_near_as_the_clip_of_a_tensor():
    w = gaussian(0, 1, 400)
    theirs = choose_grid(best_clip(w, 4), 4)  # another search, over a hundred fractions
    found = group_grid(w, 4, symmetric=True, shrink=[i / 100 for i in range(1, 101)])
    errors = [((fake_quantize(w, grid) - w) ** 2).mean() for grid in (found, theirs)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)  # the fractions aren't the same
    assert errors[0] < 0.9 * ((fake_quantize(w, choose_grid(w, 4)) - w) ** 2).mean()


def test_bits_with_everything_counted():
    assert group_bits(4, group=64, zero_bits=4) == 4.3125
    assert group_bits(2, group=32, scale_bits=16, zero_bits=16) == 3.0  # "2 bits" of KIVI's caches
    w = np.random.default_rng(0).uniform(-1, 1, (256, 512)).astype(np.float32)
    counted = GroupUniform(4).encode(w).nbits() / w.size
    # uniform numbers fill the grid evenly, its ends are half as likely; zero points and exponents are alike
    assert 4.0 < counted < group_bits(4, group=64, zero_bits=4)


def test_the_codec_s_scales_have_eleven_significant_bits(xp):
    w = xp.asarray(gaussian(1, 8, 70))
    for codec in (GroupUniform(4), GroupUniform(4, group=16, search=True), GroupUniform(8, symmetric=True)):
        code = codec.encode(w)
        mantissa = np.frexp(to_numpy(code.floats["scale"]))[0] * 2**11
        assert (mantissa == np.round(mantissa)).all()
        assert code.kind == Uniform.kind
        assert (to_numpy(decode(code)) == to_numpy(fake_quantize(w, codec.grid(w)))).all()


def test_a_search_pays_and_weights_move_it():
    w = gaussian(2, 16, 128)
    plain, searched = (GroupUniform(3, search=search).project(w) for search in (False, True))
    assert ((searched - w) ** 2).sum() < 0.9 * ((plain - w) ** 2).sum()
    of = np.where(np.arange(128) % 64 == 5, 1e4, 1.0)
    codec = GroupUniform(3)
    heavy = [fake_quantize(w, g) - w for g in (codec.grid(w), codec.grid(w, weights=of))]
    assert (of * heavy[1] ** 2).sum() < 0.5 * (of * heavy[0] ** 2).sum()


W = gaussian(0, 2, 6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: group_grid(W, 4, shrink=[]), "shrink is"),
        (lambda: group_grid(W, 4, shrink=[1.5]), "a fraction of shrink is 1.5"),
        (lambda: group_grid(W, 4, weights=-np.ones(6)), "the least of weights is -1.0"),
        (lambda: group_grid(W, 4, weights=np.ones(5)), r"weights.shape is \(5,\)"),
        (lambda: group_grid(W, 17), "bits is 17"),
        (lambda: group_grid(W * np.nan, 4), "x holds 12 NaN"),
        (lambda: group_grid(W, 4, group=0), "group is 0"),
        (lambda: group_bits(4, group=0), "group is 0"),
        (lambda: group_bits(4, group=8, scale_bits=-1), "scale_bits is -1"),
        (lambda: GroupUniform(4, group=0), "group is 0"),
        (lambda: GroupUniform(0), "bits is 0"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
