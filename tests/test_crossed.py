"""Masks by rows and columns: exact both ways, near the entropy of their model, refused when damaged."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from mcomp.coding.batch import run, run_all
from mcomp.coding.bits import CorruptFileError, Reader
from mcomp.coding.crossed import decode_crossed_steps, encode_crossed_steps


def encode(matrix):
    return run(encode_crossed_steps(matrix))


def decode(data, shape):
    return run(decode_crossed_steps(Reader(data), shape))


def uneven(rng, rows, columns, odds=-2.0):
    """A mask whose rows and columns have log-odds of their own, and the bits that it is worth."""
    logits = odds + rng.normal(size=(rows, 1)) + rng.normal(size=(1, columns))
    p = 1 / (1 + np.exp(-logits))
    mask = rng.random((rows, columns)) < p
    return mask, -float(np.log2(np.where(mask, p, 1 - p)).sum())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_any_mask_comes_back(mask):
    np.testing.assert_array_equal(decode(encode(mask), mask.shape), mask)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (64, 130)])
@pytest.mark.parametrize("kept", [False, True])
def test_empty_and_full_masks(shape, kept):
    mask = np.full(shape, kept)
    data = encode(mask)
    np.testing.assert_array_equal(decode(data, shape), mask)
    assert len(data) < 20 + math.prod(shape) / 200


@pytest.mark.parametrize(("rows", "columns"), [(30, 200), (300, 300)])
def test_rows_and_columns_of_uneven_density(rows, columns):
    mask, bits = uneven(np.random.default_rng(0), rows, columns)
    data = encode(mask)
    np.testing.assert_array_equal(decode(data, mask.shape), mask)
    # a class of six bits at most for each row and column, and 3 % for classes a quarter of a nat wide
    assert 8 * len(data) < 1.03 * bits + 6 * (rows + columns) + 200


def test_a_mask_with_structure_takes_less_than_its_entropy():
    mask, _ = uneven(np.random.default_rng(0), 300, 300)
    share = mask.mean()
    entropy = -mask.size * (share * math.log2(share) + (1 - share) * math.log2(1 - share))
    assert 8 * len(encode(mask)) < 0.95 * entropy


def test_many_masks_side_by_side_have_the_bytes_that_each_has_alone():
    rng = np.random.default_rng(1)
    masks = [uneven(rng, int(rows), 40)[0] for rows in rng.integers(1, 60, 8)]
    data = run_all([encode_crossed_steps(mask) for mask in masks])
    assert data == [encode(mask) for mask in masks]
    found = run_all([decode_crossed_steps(Reader(d), m.shape) for d, m in zip(data, masks, strict=True)])
    assert all((a == b).all() for a, b in zip(found, masks, strict=True))


def test_damaged_bytes_are_refused_or_another_mask():
    mask, _ = uneven(np.random.default_rng(2), 20, 30)
    data, rng, refused = encode(mask), random.Random(0), 0
    for _ in range(300):
        bad = bytearray(data)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        bad = bytes(bad[: rng.randrange(len(bad))]) if rng.random() < 0.3 else bytes(bad)
        try:
            assert decode(bad, mask.shape).shape == mask.shape
        except CorruptFileError:
            refused += 1
    assert refused > 150  # a state that doesn't end where it should gives most away


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 40])
def test_bytes_that_no_mask_has(data):
    with pytest.raises(CorruptFileError):
        decode(data, (4, 4))
