import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is imported

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mcomp.arrays import to_numpy
from mcomp.integer.products import im2col, integer_conv2d, integer_matmul
from mcomp.integer.requantize import fixed_multiplier, requantize, requantize_float, rounded_shift

quick = settings(derandomize=True, deadline=None, max_examples=60)
ints = st.integers(0, 2**31)
KINDS = {np.dtype("uint8"): TensorProto.UINT8, np.dtype("int8"): TensorProto.INT8}


def onnx_runtime(op, x, constants, **attributes):
    """One quantized operator in ONNX Runtime on `x`; `constants` in the order of the operator's inputs."""
    node = helper.make_node(op, ["x", *constants], ["y"], **attributes)
    held = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    ends = [
        helper.make_tensor_value_info("x", KINDS[x.dtype], x.shape),
        helper.make_tensor_value_info("y", KINDS[np.asarray(constants["y_zero"]).dtype], None),
    ]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0].astype(np.int32)


def dtypes():
    """(dtype of x, of w, the weights' range, their zero point) that no processor saturates on.

    Without VNNI, x86 adds two products of a uint8 and an int8 in sixteen bits, which holds 2 * 255 * 64; so
    int8 weights keep to seven bits, as ONNX Runtime's documentation advises. As uint8 with zero point 128
    they may use all eight. int8 activations are turned into uint8 inside.
    """
    return [
        (np.uint8, np.int8, (-64, 64), 0),
        (np.uint8, np.uint8, (0, 256), 128),
        (np.int8, np.int8, (-64, 64), 0),
    ]


def layer(seed, dtype, wdtype, span, shape_x, shape_w):
    """Random integers and scales of one layer; about 2 % of the outputs clip."""
    rng, limits = np.random.default_rng(seed), np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max + 1, shape_x).astype(dtype)
    w = rng.integers(*span, shape_w).astype(wdtype)
    x_zero, y_zero = rng.integers(limits.min, limits.max + 1, 2)
    sx, sw = np.float32(rng.uniform(0.001, 0.1)), rng.uniform(0.0005, 0.02, len(w)).astype(np.float32)
    bias = rng.integers(-20_000, 20_000, len(w)).astype(np.int32)
    sy = np.float32(sx * sw.mean() * np.sqrt(w[0].size) * 60)
    return x, w, dtype(x_zero), dtype(y_zero), sx, sw, sy, bias


@pytest.mark.parametrize(("dtype", "wdtype", "span", "w_zero"), dtypes())
def test_convolutions_are_onnx_runtime_bit_for_bit(dtype, wdtype, span, w_zero):
    limits, outputs, away, steps = np.iinfo(dtype), 0, 0, 0
    for seed, (stride, padding, groups) in enumerate([(1, 0, 1), (2, 1, 1), (1, 2, 1), (1, 1, 4), (2, 1, 8)]):
        x, w, x_zero, y_zero, sx, sw, sy, bias = layer(
            seed, dtype, wdtype, span, (4, 8, 15, 15), (24, 8 // groups, 3, 3)
        )
        constants = {"sx": sx, "x_zero": x_zero, "w": w, "sw": sw, "w_zero": np.full(len(w), w_zero, wdtype)}
        constants |= {"sy": sy, "y_zero": y_zero, "bias": bias}
        theirs = onnx_runtime(
            "QLinearConv", x, constants, strides=[stride] * 2, pads=[padding] * 4, group=groups
        )
        acc = integer_conv2d(
            x, w, stride=stride, padding=padding, groups=groups, x_zero=int(x_zero), w_zero=w_zero
        )
        acc = acc + bias[:, None, None]
        grid = {"zero_point": int(y_zero), "qmin": int(limits.min), "qmax": int(limits.max)}
        multiplier = sx * sw / sy
        assert np.array_equal(requantize_float(acc, multiplier, **grid), theirs)
        fixed = abs(requantize(acc, fixed_multiplier(multiplier), **grid) - theirs)
        outputs, away, steps = outputs + fixed.size, away + (fixed > 0).sum(), max(steps, fixed.max())
    assert steps <= 1
    assert away <= 0.001 * outputs


@pytest.mark.parametrize(("dtype", "wdtype", "span", "w_zero"), dtypes())
@pytest.mark.parametrize("per_channel", [True, False])
def test_matrix_products_are_onnx_runtime_bit_for_bit(dtype, wdtype, span, w_zero, per_channel):
    limits = np.iinfo(dtype)
    x, w, x_zero, y_zero, sx, sw, sy, _ = layer(7, dtype, wdtype, span, (200, 300), (100, 300))
    sw, zero = (sw, np.full(len(w), w_zero, wdtype)) if per_channel else (sw[0], wdtype(w_zero))
    constants = {"sx": sx, "x_zero": x_zero, "w": np.ascontiguousarray(w.T), "sw": sw, "w_zero": zero}
    theirs = onnx_runtime("QLinearMatMul", x, {**constants, "sy": sy, "y_zero": y_zero})
    acc = integer_matmul(x, w, x_zero=int(x_zero), w_zero=w_zero)
    grid = {"zero_point": int(y_zero), "qmin": int(limits.min), "qmax": int(limits.max)}
    multiplier = np.asarray(sx * sw / sy)
    assert np.array_equal(requantize_float(acc, multiplier, **grid), theirs)
    fixed = abs(requantize(acc, fixed_multiplier(multiplier), **grid) - theirs)
    assert fixed.max() <= 1
    assert (fixed > 0).mean() <= 0.001


@pytest.mark.parametrize("matmul", [False, True])
def test_exact_halves_are_onnx_runtime_bit_for_bit(matmul):
    """Scales that are powers of two: many sums end between two integers; padded where zero isn't 0."""
    rng, x_zero, y_zero = np.random.default_rng(11), 37, 101
    x, w = rng.integers(0, 256, (40, 6, 12, 12)), 128 + rng.integers(-3, 4, (16, 6, 3, 3))
    if matmul:
        x, w = x.reshape(-1, 72), 128 + rng.integers(-3, 4, (50, 72))
    x, w = x.astype(np.uint8), w.astype(np.uint8)
    bias = rng.integers(-300, 300, len(w)).astype(np.int32)
    sx, sw, sy = np.float32(2.0**-7), np.float32(2.0) ** rng.integers(-8, -5, len(w)), np.float32(2.0**-8)
    sw = sw.astype(np.float32)
    constants = {"sx": sx, "x_zero": np.uint8(x_zero), "w": np.ascontiguousarray(w.T) if matmul else w}
    constants |= {"sw": sw, "w_zero": np.full(len(w), 128, np.uint8), "sy": sy, "y_zero": np.uint8(y_zero)}
    if matmul:
        theirs = onnx_runtime("QLinearMatMul", x, constants)
        acc = integer_matmul(x, w, x_zero=x_zero, w_zero=128)
    else:
        theirs = onnx_runtime("QLinearConv", x, {**constants, "bias": bias}, pads=[1] * 4, strides=[2] * 2)
        acc = integer_conv2d(x, w, stride=2, padding=1, x_zero=x_zero, w_zero=128) + bias[:, None, None]
    m, grid = sx * sw / sy, {"zero_point": y_zero, "qmin": 0, "qmax": 255}
    real = acc * m.astype(float).reshape(-1, *[1] * (acc.ndim - 2))
    inside = (theirs > 0) & (theirs < 255)
    assert ((real - np.floor(real) == 0.5) & inside).sum() > 200
    assert np.array_equal(requantize_float(acc, m, **grid), theirs)
    assert np.array_equal(requantize(acc, fixed_multiplier(m), **grid), theirs)


@quick
@given(seed=ints, stride=st.integers(1, 3), padding=st.integers(0, 2), groups=st.sampled_from([1, 2, 4]))
def test_integer_conv_is_torch_in_float64(xp, seed, stride, padding, groups):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-128, 128, (2, 4, 6, 5)), rng.integers(-127, 128, (8, 4 // groups, 3, 2))
    x_zero, w_zero = int(rng.integers(-128, 128)), int(rng.integers(-5, 6))
    theirs = torch.nn.functional.conv2d(  # exact: all sums are integers below 2**53
        torch.tensor(x - x_zero).double(),
        torch.tensor(w - w_zero).double(),
        stride=stride,
        padding=padding,
        groups=groups,
    )
    options = {"stride": stride, "padding": padding, "groups": groups, "x_zero": x_zero, "w_zero": w_zero}
    ours = integer_conv2d(
        xp.asarray(x.astype(np.int16)), xp.asarray(w.astype(np.int8).astype(np.int16)), **options
    )
    assert ours.dtype == xp.int32
    assert np.array_equal(to_numpy(ours), theirs.numpy())


@quick
@given(seed=ints, k=st.integers(1, 40))
def test_expanded_zero_points_are_the_plain_sum(xp, seed, k):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(0, 256, (3, k)).astype(np.uint8), rng.integers(-128, 128, (5, k)).astype(np.int8)
    x_zero, w_zero = int(rng.integers(0, 256)), int(rng.integers(-128, 128))
    ours = integer_matmul(xp.asarray(x), xp.asarray(w), x_zero=x_zero, w_zero=w_zero)
    assert np.array_equal(to_numpy(ours), (x.astype(int) - x_zero) @ (w.astype(int) - w_zero).T)


def test_im2col_is_torch_unfold():
    x = torch.arange(2.0 * 3 * 7 * 6).reshape(2, 3, 7, 6)
    ours, (oh, ow) = im2col(x, (3, 2), stride=2, padding=1)
    theirs = torch.nn.functional.unfold(x, (3, 2), stride=2, padding=1)  # (n, c * kh * kw, oh * ow)
    assert (oh, ow) == (4, 4)
    assert torch.equal(ours, theirs.transpose(1, 2).reshape(2 * oh * ow, -1))


@quick
@given(m=st.floats(2.0**-31, 2.0**29))
def test_fixed_multiplier_is_right_to_31_bits(xp, m):
    made = fixed_multiplier(xp.asarray(np.array([m])))
    m0, shift = (int(to_numpy(part)[0]) for part in made)
    assert 1 <= shift <= 62
    assert 2**30 <= m0 < 2**31
    assert abs(m0 / 2**shift - m) <= m * 2.0**-31
    small = float(np.float32(m))
    m0, shift = (int(part) for part in fixed_multiplier(np.array(small)))
    assert m0 / 2**shift == small


def test_fixed_multiplier_at_the_ends():
    m0, shift = fixed_multiplier(np.array([1 - 2.0**-40, 2.0**-31, 1e-15, 2.0**29]))
    assert m0.tolist()[:2] == [2**30, 2**30]  # the first is rounded up to one
    assert shift.tolist() == [30, 61, 62, 1]
    assert abs(m0[2] / 2.0**62 - 1e-15) < 2.0**-63


@quick
@given(p=st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=9), shift=st.integers(1, 62))
def test_rounded_shift_is_python_rounding(xp, p, shift):
    from fractions import Fraction

    p = [*p, 2 ** (shift - 1), -(2 ** (shift - 1)), min(3 * 2 ** (shift - 1), 2**61)]
    ours = rounded_shift(xp.asarray(np.array(p)), xp.asarray(np.array(shift)))
    assert to_numpy(ours).tolist() == [round(Fraction(v, 2**shift)) for v in p]


@quick
@given(seed=ints)
def test_requantize_is_exact_arithmetic(xp, seed):
    rng = np.random.default_rng(seed)
    acc, m = rng.integers(-(2**31), 2**31, (4, 3, 2)).astype(np.int32), 2.0 ** rng.uniform(-30, -1, 3)
    grid = {"zero_point": int(rng.integers(0, 256)), "qmin": 0, "qmax": 255}
    fixed = fixed_multiplier(m)
    ours = requantize(xp.asarray(acc), fixed_multiplier(xp.asarray(m)), **grid)
    real = acc * (fixed.m0.astype(np.longdouble) / 2.0**fixed.shift)[:, None]  # 64 bits of mantissa: exact
    expected = np.clip(np.rint(real) + grid["zero_point"], 0, 255)
    assert ours.dtype == xp.int32
    assert np.array_equal(to_numpy(ours), expected)
    near = to_numpy(requantize_float(xp.asarray(acc), xp.asarray(m.astype(np.float32)), **grid))
    assert abs(near - expected).max() <= 1


def test_powers_of_two_round_their_ties_to_even():
    acc = np.arange(-100, 100).astype(np.int32)[None]
    grid = {"zero_point": 0, "qmin": -128, "qmax": 127}
    fixed = requantize(acc, fixed_multiplier(np.array(0.25)), **grid)
    assert np.array_equal(fixed, requantize_float(acc, np.array(0.25, np.float32), **grid))
    assert np.array_equal(fixed, np.round(acc / 4))


def test_bad_input():
    ok = np.ones((2, 3), np.int8)
    for call in (
        lambda: fixed_multiplier(np.array([0.5, 0.0])),
        lambda: fixed_multiplier(np.array([-0.5])),
        lambda: fixed_multiplier(np.array([np.nan])),
        lambda: fixed_multiplier(np.array([2.0**30])),
        lambda: integer_matmul(ok.astype(float), ok),
        lambda: integer_matmul(ok, np.ones((2, 4), np.int8)),
        lambda: integer_matmul(np.ones((1, 33_026), np.int8), np.ones((1, 33_026), np.int8)),
        lambda: integer_conv2d(np.ones((1, 2, 5, 5), int), np.ones((3, 1, 3, 3), int)),
        lambda: integer_conv2d(np.ones((1, 2, 5, 5), int), np.ones((3, 1, 3, 3), int), groups=2),
        lambda: im2col(np.ones((1, 1, 2, 2)), (3, 3)),
        lambda: requantize(ok, fixed_multiplier(np.array(0.5)), zero_point=300, qmin=0, qmax=255),
    ):
        with pytest.raises(ValueError, match="allowed: "):
            call()


def test_inputs_stay_as_they_were():
    x, w = np.full((1, 1, 3, 3), 7, np.uint8), np.full((1, 1, 3, 3), 2, np.int8)
    before = x.copy(), w.copy()
    integer_conv2d(x, w, padding=1, x_zero=3)
    assert np.array_equal(x, before[0])
    assert np.array_equal(w, before[1])


def test_no_overflow_at_the_most_terms():
    k = 33_025
    acc = integer_matmul(np.full((1, k), 255, np.uint8), np.full((1, k), 255, np.uint8))
    assert acc.tolist() == [[k * 255 * 255]]
