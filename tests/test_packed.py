"""Four bits packed: nibble by nibble, as ONNX packs them, and the product against the dequantized one."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.quantize import choose_grid, dequantize, quantize
from mcomp.quantize.grids import Grid
from mcomp.quantize.packed import pack_int4, packed_product, unpack_int4

quick = settings(derandomize=True, deadline=None, max_examples=20)


@quick
@given(data=st.data(), rows=st.integers(1, 3), n=st.integers(1, 9), signed=st.booleans())
def test_there_and_back(xp, data, rows, n, signed):
    low, high = (-8, 7) if signed else (0, 15)
    numbers = st.lists(st.integers(low, high), min_size=rows * n, max_size=rows * n)
    q = np.array(data.draw(numbers)).reshape(rows, n)
    packed = to_numpy(pack_int4(xp.asarray(q)))
    assert packed.shape == (rows, (n + 1) // 2)
    for i, j in np.ndindex(*packed.shape):
        second = q[i, 2 * j + 1] if 2 * j + 1 < n else 0
        assert packed[i, j] == (q[i, 2 * j] & 15) | (second & 15) << 4
    negative = bool((q < 0).any())
    assert (to_numpy(unpack_int4(xp.asarray(packed), n=n, signed=negative)) == q).all()


def test_the_layout_is_onnx_s():
    q = np.random.default_rng(0).integers(0, 16, 40)
    tensor = onnx.helper.make_tensor("q", onnx.TensorProto.UINT4, [40], q.tolist())
    theirs = onnx.numpy_helper.to_array(tensor).astype(np.int64)
    raw = (
        np.frombuffer(tensor.raw_data, np.uint8) if tensor.raw_data else np.array(tensor.int32_data, np.uint8)
    )
    assert (pack_int4(q) == raw).all()
    assert (unpack_int4(raw) == theirs).all()


@quick
@given(
    seed=st.integers(0, 1000), out=st.integers(1, 4), n=st.integers(1, 20),
    group=st.sampled_from([None, 3, 4, 64]), symmetric=st.booleans(),
)  # fmt: skip
def test_the_product_is_that_of_the_dequantized(xp, seed, out, n, group, symmetric):
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(out, n)), rng.normal(size=n)
    grid = choose_grid(xp.asarray(w), 4, axis=0, group=group, symmetric=symmetric)
    q = quantize(xp.asarray(w), grid)
    y = packed_product(pack_int4(q), xp.asarray(x), grid)
    # the same products summed in another order in float64
    np.testing.assert_allclose(to_numpy(y), to_numpy(dequantize(q, grid)) @ x, rtol=1e-10, atol=1e-12)


ROW = np.ones((1, 2), np.uint8)
GRID = Grid(np.ones(1), np.zeros(1, np.int32), 0, 15, axis=0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pack_int4(np.array([16])), r"q from is \(16, 16\); allowed: 0 to 15, or -8 to 7"),
        (lambda: pack_int4(np.array([-1, 9])), r"q from is \(-1, 9\)"),
        (lambda: pack_int4(np.array([1.0])), "q is 'float64"),
        (lambda: pack_int4(np.zeros((2, 0), int)), "q is 'int64 of shape"),
        (lambda: unpack_int4(np.array([1])), "packed is 'int64"),
        (lambda: unpack_int4(ROW, n=5), "n is 5; allowed: 3 or 4, for 2 bytes"),
        (lambda: packed_product(ROW, np.ones(5), GRID), "x.shape and packed.shape"),
        (lambda: packed_product(ROW, np.ones(4) * np.nan, GRID), "x holds 4"),
        (lambda: packed_product(ROW, np.ones(4), Grid(1.0, 0, 0, 15)), "the grid is"),
        (
            lambda: packed_product(ROW, np.ones(4), Grid(np.ones(1), np.zeros(1, np.int32), 0, 255, axis=0)),
            "the grid",
        ),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
