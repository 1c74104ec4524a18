"""The fields of a float against the bits that numpy and ml_dtypes store."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.quantize.formats import FORMATS, FloatFields, decode_fields, float_fields

TYPES = {
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3": ml_dtypes.float8_e4m3fn,
}
quick = settings(derandomize=True, deadline=None, max_examples=400)


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))


@pytest.mark.parametrize("form", TYPES)
def test_every_pattern_means_what_the_type_says(form):
    e, m = FORMATS[form]
    bits = 1 + e + m
    patterns = np.arange(2**bits) if bits <= 16 else np.random.default_rng(0).integers(0, 2**32, 20_000)
    stored = patterns.astype(f"u{bits // 8}").view(TYPES[form])
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = stored.astype(float).tolist()
    for pattern, value in zip(patterns.tolist(), values, strict=True):
        fields = FloatFields(form, pattern >> bits - 1, pattern >> m & 2**e - 1, pattern & 2**m - 1)
        assert same(decode_fields(fields), value)
        assert math.isnan(value) or float_fields(value, form) == fields


@pytest.mark.parametrize("form", TYPES)
def test_rounding_is_that_of_the_type(form):
    @quick
    @given(
        x=st.floats(width=32) | st.floats(-1000, 1000, width=32) | st.integers(-40, 40).map(lambda i: i / 16)
    )
    def holds(x):  # float32 numbers: on the way from float64, ml_dtypes rounds twice
        with np.errstate(over="ignore"):
            theirs = float(np.float32(x).astype(TYPES[form]))
        fields = float_fields(x, form)
        assert same(fields.value, theirs)
        assert (
            str(fields).replace(" ", "")
            == f"{int(str(fields).replace(' ', ''), 2):0{sum(FORMATS[form]) + 1}b}"
        )

    holds()


def test_fields_of_one_and_of_the_largest():
    assert str(float_fields(1.0, "float16")) == "0 01111 0000000000"
    assert str(float_fields(-2.5, "float8_e4m3")) == "1 1000 010"
    assert float_fields(65519.0, "float16").value == 65504
    assert float_fields(65520.0, "float16").value == math.inf
    assert math.isnan(float_fields(480.0, "float8_e4m3").value)


def test_an_unknown_format():
    with pytest.raises(ValueError, match="form is 'float7'; allowed: one of float32"):
        float_fields(1.0, "float7")
