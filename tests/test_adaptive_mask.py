"""Masks predicted abreast are, byte for byte, those of the model that takes one mask bit by bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_model import MaskModel

from mcomp.coding import adaptive, adaptive_mask
from mcomp.coding.adaptive_mask import decode_adaptive_steps, encode_adaptive_steps, options_of
from mcomp.coding.arith import BitEncoder
from mcomp.coding.batch import run, run_all
from mcomp.coding.bits import CorruptFileError, Reader
from mcomp.coding.range_lanes import RangeEncode, encode_bits
from mcomp.coding.streams import _encode_adaptive_steps, unpack_symbols


def alone(matrix, hint, option, shape):
    """The bytes by the slow model; as written before masks were coded abreast."""
    rows, columns, width = adaptive_mask._layout(shape, option)
    turned = option == adaptive_mask.TURNED
    bits = (matrix.T if turned else matrix).reshape(-1)
    bits = np.concatenate([bits, np.zeros(rows * columns - bits.size, bool)])
    kept = int(bits.sum())
    density = round((256 * math.log((kept + 0.5) / (bits.size - kept + 0.5)) + 3072) / 24)
    density = min(max(density, 0), 255)
    coder, model = BitEncoder(iter(bits.tolist())), MaskModel(columns, width, 24 * density - 3072)
    for i in range(rows):
        model.code_row(coder.step, hint[i] if turned else hint if hint.size == columns else 0)
    return bytes([4 | option, density]) + coder.finish()


SHAPES = [
    (1,),
    (300,),
    (1, 50),
    (50, 1),
    (20, 64),
    (10, 784),
    (6, 3, 5),
    (8, 3, 5, 5),
    (16, 1, 3, 3),
    (9, 192),
]


def cases():
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        for density in (0.03, 0.4, 0.95):
            mask = rng.random(shape) < density * rng.gamma(2, 0.5, shape[-1])
            matrix = mask.reshape(adaptive_mask.matrix_shape(shape))
            hint = rng.integers(-600, 600, matrix.shape[1]) * (density == 0.4)
            for option in options_of(shape):
                yield matrix, hint, option, shape


def test_abreast_as_alone_in_both_directions():
    all_cases = [*cases()]
    data = run_all([encode_adaptive_steps(m, h, [o], shape) for m, h, o, shape in all_cases])
    assert data == [alone(*case) for case in all_cases]
    assert {d[0] & ~7 for d in data} == {0, 8, 16, 32}  # every way to see a mask was among them
    back = run_all(
        [
            decode_adaptive_steps(Reader(d[1:]), h, o, shape)
            for d, (_, h, o, shape) in zip(data, all_cases, strict=True)
        ]
    )
    for found, (matrix, *_) in zip(back, all_cases, strict=True):
        np.testing.assert_array_equal(found, matrix.reshape(-1))


def test_the_shortest_option_is_written():
    for shape in SHAPES:
        mask = np.random.default_rng(1).random(shape) < 0.2
        matrix, hint = mask.reshape(adaptive_mask.matrix_shape(shape)), np.zeros(mask.size, np.int64)
        hint = hint[: matrix.shape[1]]
        each = [alone(matrix, hint, option, shape) for option in options_of(shape)]
        data = run(encode_adaptive_steps(matrix, hint, options_of(shape), shape))
        assert len(data) == min(map(len, each)), shape


def test_steps_of_numpy_do_not_grow_with_the_number_of_masks(monkeypatch):
    steps, counted = [], adaptive.MaskModels.learn
    monkeypatch.setattr(
        adaptive.MaskModels, "learn", lambda self, bits: steps.append(1) or counted(self, bits)
    )
    masks = [np.random.default_rng(i).random((30, 20)) < 0.2 for i in range(12)]
    run_all([encode_adaptive_steps(m, np.zeros(20, np.int64), [0], m.shape) for m in masks])
    assert len(steps) == 30


def test_one_newton_step_in_large_numbers():
    """Slopes beyond what 64 bits hold are divided as whole numbers, not as what is left of them."""
    weights, curvature = np.array([[5, -7]]), np.array([[1 << 50, 1 << 50]])
    adaptive._newton(weights, curvature, np.array([[1 << 55, -(1 << 55)]]), np.array([[0, 3]]), 16)
    move = [(s * 16 << 12) // c for s, c in ((1 << 55, 1 << 50), (-(1 << 55), (1 << 50) + 3))]
    limit = adaptive.MAX_WEIGHT
    assert weights.tolist() == [[min(limit, 5 + move[0]), max(-limit, -7 + move[1])]]


@pytest.mark.parametrize("cut", [1, 3])
def test_bytes_that_nobody_wrote(cut):
    mask = np.random.default_rng(0).random((12, 64)) < 0.15
    data = run(encode_adaptive_steps(mask, np.zeros(64, np.int64), [0], mask.shape))
    for bad in (data + b"\0", data + bytes(range(1, 9)), data[: -len(data) // cut] + b"\0"):
        with pytest.raises(CorruptFileError):
            run(decode_adaptive_steps(Reader(bad[1:]), np.zeros(64, np.int64), 0, mask.shape))


def slowly(bits, p1):
    coder = BitEncoder(iter(bits))
    for p in p1:
        coder.step(p)
    return coder.finish()


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([1, 2, 300, 32768, 65000, 65535])), max_size=300)
)
def test_one_stream_is_that_of_the_bit_encoder(pairs):
    bits, p1 = [b for b, _ in pairs], [p for _, p in pairs]
    assert encode_bits(bits, p1) == slowly(bits, p1)


def test_many_streams_are_those_of_the_bit_encoder():
    """More streams than are coded by Python's numbers; carries that pass many bytes of 255 among them."""
    rng = np.random.default_rng(0)
    sizes = [0, 1, 2, *rng.integers(1, 400, 120).tolist(), 3000]
    p1 = [rng.choice([1, 16, 900, 40_000, 65_535], n) for n in sizes] + [np.full(1020, 65_535)] * 4
    bits = [(rng.random(len(p)) < p / 65536).astype(np.int64) for p in p1[:-4]]
    bits += [np.array(([0] * 50 + [1]) * 20)] * 4
    found = RangeEncode.serve([RangeEncode(b, p) for b, p in zip(bits, p1, strict=True)])
    assert found == [slowly(b.tolist(), p.tolist()) for b, p in zip(bits, p1, strict=True)]


@pytest.mark.parametrize("width", [1, 5, 8, 16])
def test_adaptive_symbols_come_back(width):
    s = np.random.default_rng(width).binomial((1 << width) - 1, 0.3, 500)
    data = b"\4" + run(_encode_adaptive_steps(s.astype(np.uint16), width))
    np.testing.assert_array_equal(unpack_symbols(data, 500, 1 << width), s)
    with pytest.raises(CorruptFileError):
        unpack_symbols(data + b"\1\2\3\4\5", 500, 1 << width)
