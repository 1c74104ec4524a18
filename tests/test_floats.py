import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.quantize.floats import (
    E2M1,
    E2M3,
    E3M2,
    E4M3,
    E5M2,
    FloatFormat,
    block_exponents,
    float_bits,
    float_values,
    round_to_float,
)

ORACLES = {
    "E5M2": (E5M2, ml_dtypes.float8_e5m2),
    "E4M3": (E4M3, ml_dtypes.float8_e4m3fn),
    "IEEE E4M3": (FloatFormat(4, 3, "infinities"), ml_dtypes.float8_e4m3),
    "E3M4": (FloatFormat(3, 4, "infinities"), ml_dtypes.float8_e3m4),
    "E3M2": (E3M2, ml_dtypes.float6_e3m2fn),
    "E2M3": (E2M3, ml_dtypes.float6_e2m3fn),
    "E2M1": (E2M1, ml_dtypes.float4_e2m1fn),
    "float16": (FloatFormat(5, 10, "infinities"), np.float16),
    "bfloat16": (FloatFormat(8, 7, "infinities"), ml_dtypes.bfloat16),
}
formats = pytest.mark.parametrize("name", ORACLES)
quick = settings(derandomize=True, deadline=None, max_examples=80)


def adversarial(form, dtype=np.float32):
    """Every number of the format, every midpoint, their neighbours in `dtype`, both signs, and far beyond."""
    m = form.magnitudes()
    exact = np.concatenate([m, (m[1:] + m[:-1]) / 2, [m[-1] * 1.01, m[-1] * 1.9, m[1] / 2, m[1] / 4]])
    exact = exact[exact <= np.finfo(dtype).max].astype(dtype)
    around = np.concatenate([exact, np.nextafter(exact, dtype(np.inf)), np.nextafter(exact, dtype(0))])
    around = around[np.isfinite(around)]
    return np.concatenate([around, -around])


def their_bits(x, form, dtype):
    """What the oracle makes of `x`, clipped first: it has no saturation for most formats."""
    top = form.magnitudes()[-1]
    cast = np.clip(x, -top, top).astype(dtype)
    return cast.view(np.uint16 if form.bits > 8 else np.uint8).astype(np.int64) & (2**form.bits - 1)


@formats
def test_bit_for_bit_on_ties_denormals_and_ends(xp, name):
    form, dtype = ORACLES[name]
    x = adversarial(form)
    found = to_numpy(float_bits(xp.asarray(x), form))
    assert (found == their_bits(x, form, dtype)).all()


@formats
def test_bit_for_bit_on_random_floats(xp, name):
    form, dtype = ORACLES[name]
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    x = np.concatenate([x[np.isfinite(x)], np.random.default_rng(1).normal(size=5000).astype(np.float32)])
    assert (to_numpy(float_bits(xp.asarray(x), form)) == their_bits(x, form, dtype)).all()


@formats
def test_every_pattern_is_its_number(xp, name):
    form, dtype = ORACLES[name]
    patterns = np.arange(2**form.bits)
    with np.errstate(invalid="ignore"):  # numpy warns of the NaN patterns of bfloat16
        theirs = patterns.astype(np.uint16 if form.bits > 8 else np.uint8).view(dtype).astype(np.float64)
    finite = np.isfinite(theirs)
    found = to_numpy(float_values(xp.asarray(patterns[finite]), form, dtype=xp.float64))
    assert (found == theirs[finite]).all()
    assert (np.signbit(found) == np.signbit(theirs[finite])).all()
    back = to_numpy(float_bits(xp.asarray(theirs[finite]), form))
    assert (back == patterns[finite]).all()
    for pattern in patterns[~finite][:3]:
        with pytest.raises(ValueError, match=r"bits is .*; allowed: patterns of finite numbers"):
            float_values(xp.asarray(np.array([pattern])), form)


def test_saturation_is_that_of_the_4_bit_cast():
    """float4_e2m1fn has neither infinity nor NaN, so its cast saturates by itself."""
    x = np.float32([5.0, 5.01, 7.0, 1e30, -1e30])
    theirs = x.astype(ml_dtypes.float4_e2m1fn).astype(np.float32)
    assert round_to_float(x, E2M1).tolist() == theirs.tolist() == [4.0, 6.0, 6.0, 6.0, -6.0]


def test_the_sign_of_zero_stays(xp):
    bits = float_bits(xp.asarray(np.float32([0.0, -0.0, -1e-30])), E4M3)
    assert to_numpy(bits).tolist() == [0, 128, 128]


@quick
@given(x=st.floats(-1e4, 1e4, width=32), e=st.integers(1, 5), m=st.integers(0, 5))
def test_any_format_takes_the_nearest(x, e, m):
    if (e, m) == (1, 0):
        return
    form = FloatFormat(e, m)
    found, all_of_them = float(round_to_float(np.float64([x]), form)[0]), form.magnitudes()
    assert abs(found - x) == pytest.approx(abs(all_of_them - abs(x)).min(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rounding_keeps_the_dtype_of_torch(dtype):
    x = torch.randn(100, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = round_to_float(x, E4M3)
    assert found.dtype == dtype
    assert torch.equal(found, x.double().to(torch.float8_e4m3fn).to(dtype))


@pytest.mark.parametrize("form", [E5M2, E4M3, E3M2, E2M3, E2M1], ids=str)
def test_shared_exponents_are_those_of_the_loop(xp, form):
    rng = np.random.default_rng(0)
    blocks = (rng.normal(size=(200, 32)) * 2.0 ** rng.integers(-60, 60, (200, 1))).astype(np.float32)
    blocks[0] = 0
    blocks[1:4] = [[8.0], [np.nextafter(np.float32(8), np.float32(0))], [2.0**-126]]
    found = to_numpy(block_exponents(xp.asarray(blocks), form)).tolist()
    top = {5: 15, 4: 8, 3: 4, 2: 2}[form.exponent_bits]  # OCP MX 1.0, table of element formats
    for row, exponent in zip(blocks, found, strict=True):
        largest = float(abs(row).max())
        e = -200
        while largest and 2.0 ** (e + 1) <= largest:
            e += 1
        assert exponent == (min(max(e - top, -127), 127) if largest else -127)


def test_the_scale_of_a_block_is_a_number_of_e8m0():
    exponents = block_exponents(np.float32([[1e-30, 0.0], [1e30, 1.0]]), E2M1)
    powers = 2.0 ** exponents.astype(np.float64)
    assert (powers.astype(ml_dtypes.float8_e8m0fnu).astype(np.float64) == powers).all()


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: FloatFormat(0, 3), "exponent_bits is 0"),
        (lambda: FloatFormat(4, 11), "mantissa_bits is 11"),
        (lambda: FloatFormat(4, 3, "nan"), "specials is 'nan'; allowed: one of infinities, one nan, none"),
        (lambda: FloatFormat(1, 0, "infinities"), "the format is"),
        (lambda: float_bits(np.array([np.nan]), E4M3), "x holds 1 NaN"),
        (lambda: float_bits(np.array([1]), E4M3), "x.dtype is 'int64'"),
        (lambda: float_values(np.array([-1]), E4M3), "bits is"),
        (lambda: float_values(np.array([256]), E4M3), "bits is"),
        (lambda: block_exponents(np.ones(3), E4M3), r"blocks.shape is \(3,\)"),
    ],
)
def test_bad_input(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()
