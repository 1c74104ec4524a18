import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from mcomp.coding.bits import CorruptFileError
from mcomp.coding.positions import decode_mask, encode_mask, mask_codes


def trained_like(seed=0, rows=300, density=0.02):
    """Rows and pixels of uneven density under a bump on a 28 x 28 image with empty borders."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28] - 13.5
    bump = np.exp(-(y**2 + x**2) / 120).ravel()
    p = np.outer(rng.gamma(3, 1 / 3, rows), rng.gamma(4, 0.25, 784) * np.where(bump > 0.12, bump, 0))
    return rng.random((rows, 784)) < p * density / p.mean()


def entropy_bytes(mask):
    p = mask.mean()
    return -mask.size * (p * math.log2(p) + (1 - p) * math.log2(1 - p)) / 8


SHAPES = [
    (1,),
    (7,),
    (300,),
    (1, 1),
    (1, 50),
    (50, 1),
    (20, 64),
    (30, 784),
    (6, 3, 5),
    (8, 3, 5, 5),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.99, 1.0])
def test_every_code_round_trips(shape, density):
    mask = np.random.default_rng(0).random(shape) < density
    codes = mask_codes(mask)
    assert len(encode_mask(mask)) == min(map(len, codes.values()))
    for data in codes.values():
        back = decode_mask(data, shape)
        assert back.dtype == bool
        np.testing.assert_array_equal(back, mask)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=1, max_dims=4, max_side=9)))
def test_any_mask_round_trips(mask):
    np.testing.assert_array_equal(decode_mask(encode_mask(mask), mask.shape), mask)


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (3, 0, 2, 2)])
def test_empty_masks(shape):
    assert encode_mask(np.zeros(shape, bool)) == b""
    assert decode_mask(b"", shape).shape == shape
    with pytest.raises(CorruptFileError):
        decode_mask(b"\0", shape)


def test_shorter_than_independent_entries_where_there_is_structure():
    mask = trained_like()
    codes = {name: len(data) for name, data in mask_codes(mask).items()}
    # no code of independent entries gets below the entropy; this model should gain several per cent
    assert codes["adaptive"] < 0.95 * entropy_bytes(mask)
    assert codes["densities"] < entropy_bytes(mask)


def test_near_the_entropy_where_there_is_none():
    mask = np.random.default_rng(0).random((200, 500)) < 0.05
    codes = {name: len(data) for name, data in mask_codes(mask).items()}
    # Golomb's code of geometric gaps: at most 3 % above; learning weights that are of no use: 1 % + 16 bytes
    assert codes["runs"] <= 1.03 * entropy_bytes(mask) + 4
    assert codes["adaptive"] <= 1.01 * entropy_bytes(mask) + 16


def test_a_hint_helps():
    rng = np.random.default_rng(0)
    hint = rng.poisson(10 * rng.gamma(1, 1, 300))
    mask = rng.random((100, 300)) < 0.06 * hint / hint.mean()
    data = encode_mask(mask, hint)
    np.testing.assert_array_equal(decode_mask(data, mask.shape, hint), mask)
    assert len(data) < 0.97 * len(encode_mask(mask))


def test_large_masks_leave_the_adaptive_code_out():
    mask = np.random.default_rng(0).random((1025, 1024)) < 0.01
    assert "adaptive" not in mask_codes(mask)
    np.testing.assert_array_equal(decode_mask(encode_mask(mask), mask.shape), mask)


def test_extreme_rows_do_not_overflow_the_model():
    mask = np.zeros((64, 256), bool)
    mask[20:40] = True
    mask[::7, ::3] ^= True
    data = mask_codes(mask)["adaptive"]
    np.testing.assert_array_equal(decode_mask(data, mask.shape), mask)


def test_mutations_never_crash():
    rng = np.random.default_rng(0)
    mask = rng.random((12, 64)) < 0.15
    for data in mask_codes(mask).values():
        for _ in range(60):
            bad = bytearray(data)
            bad[rng.integers(len(bad))] = rng.integers(256)
            bad = bytes(bad[: rng.integers(len(bad) + 1)]) if rng.random() < 0.3 else bytes(bad)
            try:
                shape = decode_mask(bad, mask.shape).shape
            except CorruptFileError:
                shape = mask.shape
            assert shape == mask.shape


def test_absurd_claims_are_refused():
    for data in (b"", b"\1\0", b"\2\xff\xff\xff\xff\x0f\0", b"\5", b"\x88", b"\4", b"\3\x80"):
        with pytest.raises(CorruptFileError):
            decode_mask(data, (10, 20))


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_mask(np.zeros(3)),
        lambda: encode_mask(np.array(True)),
        lambda: encode_mask(np.zeros((1,) * 5, bool)),
        lambda: encode_mask(np.ones((2, 3), bool), hint=np.ones(2, int)),
        lambda: encode_mask(np.ones((2, 3), bool), hint=np.ones(3)),
        lambda: encode_mask(np.ones((2, 3), bool), hint=-np.ones(3, int)),
        lambda: decode_mask(b"", (-1,)),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match="allowed"):
        call()
