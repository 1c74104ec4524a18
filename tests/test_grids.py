"""The affine grid, bit for bit what torch's own kernels compute; any axis, groups with a remainder."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # torch.ao says that it will move
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  registers torch.ops.quantized_decomposed
    from torch.ao.quantization.observer import MinMaxObserver, PerChannelMinMaxObserver

from mcomp.arrays import to_numpy
from mcomp.quantize import in_cache
from mcomp.quantize.cells import cells, parameter_shape, uncells
from mcomp.quantize.grids import (
    Grid,
    choose_grid,
    dequantize,
    fake_quantize,
    integer_range,
    quantize,
    range_grid,
)

quick = settings(derandomize=True, deadline=None, max_examples=60)
F32 = np.finfo(np.float32)
MAX, TINY = float(F32.max), float(F32.smallest_subnormal)
any_float = st.floats(-MAX, MAX, width=32, allow_nan=False)
near = st.floats(-20, 20, width=32)
ties = st.integers(-40, 40).map(lambda i: i / 2)  # half of them between two grid points of scale 1
edges = st.sampled_from([0.0, -0.0, TINY, -TINY, float(F32.smallest_normal), MAX, -MAX, 1e-40])
elements = ties | near | edges | any_float
arrays = npst.arrays(np.float32, npst.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=elements)
scales = st.sampled_from([1.0, 0.5, 2.0**-20, 3.0]) | st.floats(2**-30, 2**30, width=32)
RANGES = {(-127, 127): torch.int8, (-128, 127): torch.int8, (0, 255): torch.uint8, (-7, 7): torch.int8}
ranges = st.sampled_from(list(RANGES))


def same_bits(a, b):
    """Equal to the last bit, the sign of zero too."""
    a, b = np.ascontiguousarray(to_numpy(a)), np.ascontiguousarray(to_numpy(b))
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    return a.tobytes() == b.tobytes()


def hostile(shape, seed=0):
    """Random numbers with ties, zeros, denormals and the extremes among them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape).astype(np.float32).ravel()
    odd = [0.0, -0.0, TINY, -TINY, 1e-40, MAX, -MAX, 0.5, -0.5, 1.5, 2.5, -2.5, 0.25, 0.75, 127.5, -128.5]
    x[rng.permutation(x.size)[: len(odd)]] = odd
    return x.reshape(shape)


def per_tensor(x, scale, zero, qmin, qmax):
    dtype = RANGES[qmin, qmax]
    ops = torch.ops.quantized_decomposed
    q = ops.quantize_per_tensor(x, scale, zero, qmin, qmax, dtype)
    return q, ops.dequantize_per_tensor(q, scale, zero, qmin, qmax, dtype)


def per_channel(x, scale, zero, axis, qmin, qmax):
    dtype = RANGES[qmin, qmax]
    ops = torch.ops.quantized_decomposed
    q = ops.quantize_per_channel(x, scale, zero, axis, qmin, qmax, dtype)
    return q, ops.dequantize_per_channel(q, scale, zero, axis, qmin, qmax, dtype)


# To the last bit what torch computes


@quick
@given(data=st.data(), a=arrays, scale=scales, ends=ranges)
def test_per_tensor_is_torch(xp, data, a, scale, ends):
    zero = data.draw(st.integers(*ends))
    grid = Grid(scale, zero, *ends)
    x, before = xp.asarray(a), a.copy()
    q, y = per_tensor(torch.from_numpy(a), scale, zero, *ends)
    assert same_bits(quantize(x, grid), q)
    assert same_bits(dequantize(quantize(x, grid), grid), y)
    assert same_bits(fake_quantize(x, grid), y)
    fused = torch.fake_quantize_per_tensor_affine(torch.from_numpy(a), scale, zero, *ends)
    assert same_bits(fake_quantize(x, grid), fused)
    assert same_bits(a, before)


@quick
@given(data=st.data(), a=arrays, ends=ranges)
def test_per_channel_is_torch(xp, data, a, ends):
    axis = data.draw(st.integers(0, a.ndim - 1))
    n = a.shape[axis]
    scale = np.array(data.draw(st.lists(scales, min_size=n, max_size=n)), np.float32)
    zero = np.array(data.draw(st.lists(st.integers(*ends), min_size=n, max_size=n)), np.int32)
    grid = Grid(xp.asarray(scale), xp.asarray(zero), *ends, axis=axis)
    t, ts, tz = (torch.from_numpy(p) for p in (a, scale, zero))
    q, y = per_channel(t, ts, tz, axis, *ends)
    assert same_bits(quantize(xp.asarray(a), grid), q)
    assert same_bits(dequantize(xp.asarray(to_numpy(q)), grid), y)
    assert same_bits(fake_quantize(xp.asarray(a), grid), y)
    tame = np.clip(a, -(2.0**30), 2.0**30)  # beyond 2**63 steps torch's fused kernel wraps round to qmin
    fused = torch.fake_quantize_per_channel_affine(torch.from_numpy(tame), ts, tz, axis, *ends)
    assert same_bits(fake_quantize(xp.asarray(tame), grid), fused)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_million_weights_are_torch(bits, symmetric):
    x = torch.from_numpy(hostile((500, 2000))).clip(-1e30, 1e30)
    x[:250] = x[:250].clip(-4, 4)  # half of the rows without extremes
    for axis in (0, 1):
        grid = choose_grid(x, bits, axis=axis, symmetric=symmetric)
        theirs = torch.fake_quantize_per_channel_affine(
            x, grid.scale, grid.zero_point, axis, grid.qmin, grid.qmax
        )
        assert same_bits(fake_quantize(x, grid), theirs)
        arrays = Grid(grid.scale.numpy(), grid.zero_point.numpy(), grid.qmin, grid.qmax, axis=axis)
        assert same_bits(fake_quantize(x.numpy(), arrays), theirs)
        assert same_bits(dequantize(quantize(x, grid), grid), theirs)


def test_beyond_64_bits_of_steps():
    """Where torch's fused per-channel kernel overflows (what it then gives depends on the processor)."""
    x, scale, zero = torch.full((1, 1), 1e20), torch.ones(1), torch.zeros(1, dtype=torch.int32)
    assert torch.fake_quantize_per_tensor_affine(x, 1.0, 0, -127, 127).item() == 127
    assert fake_quantize(x, Grid(scale, zero, -127, 127, axis=0)).item() == 127
    assert fake_quantize(-x, Grid(scale, zero, -127, 127, axis=0)).item() == -127


@pytest.mark.parametrize("group", [2, 5, 25])
@pytest.mark.parametrize("bits", [4, 8])
def test_groups_are_torch(xp, bits, group):
    a = np.clip(hostile((6, 50)), -1e30, 1e30)
    grid = choose_grid(xp.asarray(a), bits, axis=0, group=group)
    t, scale, zero = (torch.from_numpy(to_numpy(p).copy()) for p in (a, grid.scale, grid.zero_point))
    options = (scale, zero, grid.qmin, grid.qmax, torch.int8, group)
    q = torch.ops.quantized_decomposed.quantize_per_channel_group(t, *options)
    assert same_bits(quantize(xp.asarray(a), grid), q)
    theirs = torch.ops.quantized_decomposed.dequantize_per_channel_group(q, *options, torch.float32)
    assert same_bits(dequantize(quantize(xp.asarray(a), grid), grid), theirs)
    assert same_bits(fake_quantize(xp.asarray(a), grid), theirs)


@pytest.mark.parametrize("shape", [(7, 5), (2, 3, 4, 5), (11,), ()])
@pytest.mark.parametrize("group", [1, 3, 4, 7, 100])
def test_a_group_with_a_remainder_is_the_loop(xp, shape, group):
    a = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    for axis in (None, *range(-len(shape), len(shape))):
        for symmetric in (True, False):
            grid = choose_grid(xp.asarray(a), 4, axis=axis, group=group, symmetric=symmetric)
            rows = [a.ravel()] if axis is None else [r.ravel() for r in np.moveaxis(a, axis, 0)]
            expected = [
                fake_quantize(part, choose_grid(part, 4, symmetric=symmetric))
                for row in rows
                for part in np.split(row, range(group, row.size, group))
            ]
            y = to_numpy(fake_quantize(xp.asarray(a), grid))
            flat = y if axis is None else np.moveaxis(y, axis, 0)
            assert y.shape == shape
            assert same_bits(flat.ravel(), np.concatenate(expected))


@quick
@given(data=st.data(), a=arrays, group=st.none() | st.integers(1, 9))
def test_uncells_undoes_cells(xp, data, a, group):
    layout = {"axis": data.draw(st.none() | st.integers(0, a.ndim - 1)), "group": group}
    rows = cells(xp.asarray(a), **layout)
    assert same_bits(uncells(rows, a.shape, **layout), a)
    assert tuple(rows.shape[:-1]) == parameter_shape(a.shape, **layout)
    assert to_numpy(rows).size <= 2 * a.size


# The range


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_range_is_that_of_torch_observers(xp, bits, symmetric):
    qmin, qmax = integer_range(bits, symmetric=symmetric)
    options = {"dtype": torch.qint8, "quant_min": qmin, "quant_max": qmax, "eps": 0.0}
    scheme = ("symmetric", "affine")[not symmetric]
    for seed in range(20):
        a = (np.random.default_rng(seed).normal(size=(4, 9)) + seed % 3).astype(np.float32)
        whole = MinMaxObserver(qscheme=getattr(torch, f"per_tensor_{scheme}"), **options)
        rows = PerChannelMinMaxObserver(ch_axis=1, qscheme=getattr(torch, f"per_channel_{scheme}"), **options)
        for observer, axis in ((whole, None), (rows, 1)):
            observer(torch.from_numpy(a))
            scale, zero = observer.calculate_qparams()
            grid = choose_grid(xp.asarray(a), bits, axis=axis, symmetric=symmetric)
            assert same_bits(to_numpy(grid.scale).reshape(-1), scale.reshape(-1))
            assert to_numpy(grid.zero_point).reshape(-1).tolist() == zero.tolist()


def test_integer_ranges():
    assert integer_range(8) == (-127, 127)
    assert integer_range(8, symmetric=False) == (-128, 127)
    assert integer_range(8, symmetric=False, signed=False) == (0, 255)
    assert integer_range(1, symmetric=False) == (-1, 0)
    assert integer_range(2) == (-1, 1)


@quick
@given(a=arrays, bits=st.integers(2, 16), symmetric=st.booleans())
def test_the_error_is_half_a_step_and_zero_is_exact(xp, a, bits, symmetric):
    grid = choose_grid(xp.asarray(a), bits, symmetric=symmetric)
    scale = float(grid.scale)
    y = to_numpy(fake_quantize(xp.asarray(a), grid))
    assert np.isfinite(y).all()
    assert (y[a == 0] == 0).all()
    # half a step for rounding, half a step that an asymmetric range loses to its rounded zero point;
    # and the float32 roundings: of the scale, its reciprocal, both products
    allowed = (0.5 if symmetric else 1.0) * scale + 4 * 2.0**-24 * 2**bits * scale
    assert abs(y.astype(float) - a.astype(float)).max() <= allowed


@quick
@given(a=arrays, bits=st.integers(2, 8), symmetric=st.booleans())
def test_quantizing_what_is_on_the_grid_changes_nothing(xp, a, bits, symmetric):
    grid = choose_grid(xp.asarray(a), bits, symmetric=symmetric)
    q = quantize(xp.asarray(a), grid)
    assert same_bits(quantize(dequantize(q, grid), grid), q)


def test_nearest_grid_point_by_exhaustive_search(xp):
    a = np.random.default_rng(0).normal(size=500)
    for symmetric in (True, False):
        grid = choose_grid(xp.asarray(a), 4, symmetric=symmetric)
        points = float(grid.scale) * (np.arange(grid.qmin, grid.qmax + 1) - int(grid.zero_point))
        nearest = points[abs(a[:, None] - points).argmin(1)]
        # the products are rounded in another order here
        assert np.allclose(to_numpy(fake_quantize(xp.asarray(a), grid)), nearest, rtol=1e-15, atol=0)


@pytest.mark.parametrize("value", [0.0, -0.0, TINY, -1e-40])
def test_next_to_nothing(xp, value):
    a = np.full(3, value, np.float32)
    grid = choose_grid(xp.asarray(a), 8)
    assert float(grid.scale) in (1.0, float(F32.smallest_normal))
    assert to_numpy(fake_quantize(xp.asarray(a), grid)).tolist() == [0.0] * 3


@pytest.mark.parametrize("bits", range(2, 17))
def test_the_largest_float_stays_finite(xp, bits):
    for a in ([MAX, -MAX], [MAX, 1.0], [0.0, MAX], [-MAX, 0.0]):
        for symmetric in (True, False):
            x = xp.asarray(np.array(a, np.float32))
            y = to_numpy(fake_quantize(x, choose_grid(x, bits, symmetric=symmetric)))
            assert np.isfinite(y).all()


def test_a_range_of_floats_and_of_arrays(xp):
    one = range_grid(-1.0, 3.0, 4, symmetric=False, signed=False)
    a = np.linspace(-2, 4, 50, dtype=np.float32)
    assert same_bits(fake_quantize(xp.asarray(a), one), fake_quantize(a, one))
    two = range_grid(xp.asarray(np.array([-1.0, 0.5])), xp.asarray(np.array([3.0, 1.5])), 4, axis=0)
    assert (float(one.scale), int(one.zero_point)) == (float(np.float32(4 / 15)), 4)
    assert to_numpy(two.scale).tolist() == [3 / 7, 1.5 / 7]


# Other dtypes, gradients, layouts in memory


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats(dtype):
    x = torch.randn(6, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    grid = choose_grid(x, 4, axis=0)
    assert grid.scale.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    y = fake_quantize(x, grid)
    assert y.dtype == dtype
    wide = x if dtype == torch.float64 else x.float()
    assert torch.equal(y, fake_quantize(wide, grid).to(dtype))
    assert torch.equal(quantize(x, grid), quantize(wide, grid))


def test_a_double_scale_computes_in_double(xp):
    a = hostile((7, 9)).clip(-50, 50)
    grid = Grid(xp.asarray(np.full(7, 1 / 3)), xp.asarray(np.zeros(7, np.int32)), -127, 127, axis=0)
    expected = fake_quantize(a.astype(float), Grid(np.full(7, 1 / 3), np.zeros(7), -127, 127, axis=0))
    assert same_bits(fake_quantize(xp.asarray(a), grid), expected.astype(np.float32))


def test_sixteen_bits_and_integer_dtypes(xp):
    a = np.linspace(-1, 1, 1001, dtype=np.float32)
    for bits, symmetric, signed, name in [
        (8, True, True, "int8"),
        (8, False, False, "uint8"),
        (16, True, True, "int16"),
        (16, False, False, "int32"),
    ]:
        q = quantize(xp.asarray(a), choose_grid(xp.asarray(a), bits, symmetric=symmetric, signed=signed))
        assert str(q.dtype).rpartition(".")[2] == name


def test_gradients_reach_the_scale_only():
    x = torch.tensor([0.2, 1.4, -9.0], requires_grad=True)
    scale = torch.tensor(0.5, requires_grad=True)
    y = fake_quantize(x, Grid(scale, torch.tensor(0), -3, 3))
    assert y.tolist() == fake_quantize(x.detach(), Grid(0.5, 0, -3, 3)).tolist() == [0.0, 1.5, -1.5]
    y.sum().backward()
    assert scale.grad.item() == 0 + 3 - 3
    assert x.grad.abs().sum() == 0
    assert not choose_grid(x, 4).scale.requires_grad


@pytest.mark.parametrize("shape", [(3, 70_000), (70_000, 3), (2, 5, 40_000), (1, 1)])
def test_pieces_make_no_difference(shape):
    x = np.clip(hostile(shape), -9, 9) if np.prod(shape) > 1 else np.ones(shape, np.float32)
    assert in_cache.PIECE < 40_000
    for layout in ({}, {"axis": 0}, {"axis": 1}, {"group": 1000}, {"axis": 0, "group": 64}):
        grid = choose_grid(x, 8, **layout)
        plain = dequantize(quantize(x, grid), grid)
        assert same_bits(fake_quantize(x, grid), plain)
        t = torch.from_numpy(x)
        assert same_bits(fake_quantize(t, choose_grid(t, 8, **layout)), plain)


def test_views_and_strides():
    x = hostile((40, 30))[::2, ::-3]
    grid = choose_grid(x, 8, axis=1)
    assert same_bits(fake_quantize(x, grid), fake_quantize(x.copy(), grid))
    assert same_bits(fake_quantize(x.T, choose_grid(x.T, 8, axis=0)), fake_quantize(x, grid).T)


# Rounding at random


def test_stochastic_rounding_is_right_on_average(xp):
    """Binomial: q is floor(v) + 1 with probability p = v - floor(v), so its variance is p (1 - p)."""
    v = np.linspace(-3.0, 3.0, 25)
    n = 40_000
    x = np.repeat(v[:, None], n, axis=1)
    noise = np.random.default_rng(0).random(x.shape)
    q = to_numpy(quantize(xp.asarray(x * 0.5), Grid(0.5, 2, -127, 127), noise=xp.asarray(noise))) - 2.0
    p = v - np.floor(v)
    # five standard errors of the mean; the variance of a bounded number varies less than its mean
    assert (abs(q.mean(1) - v) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-12).all()
    assert (abs(q.var(1) - p * (1 - p)) <= 5 / np.sqrt(n)).all()
    assert set(np.unique(q - np.floor(x))) == {0.0, 1.0}


@pytest.mark.parametrize("noise", [np.ones(3), -np.ones(3) / 2, np.zeros(4), np.array([0, np.nan, 0])])
def test_bad_noise(noise):
    with pytest.raises(ValueError, match="allowed: "):
        quantize(np.ones(3), Grid(1.0, 0, -7, 7), noise=noise)


# Bad input

bad = [np.array([1.0, np.nan]), np.array([np.inf, 1.0]), np.zeros(0), np.array([1, 2])]


@pytest.mark.parametrize("a", bad, ids=["NaN", "inf", "empty", "integers"])
@pytest.mark.parametrize("f", [lambda x: choose_grid(x, 4), lambda x: quantize(x, Grid(1.0, 0, -7, 7)),
                               lambda x: fake_quantize(x, Grid(1.0, 0, -7, 7))])  # fmt: skip
def test_bad_arrays(xp, a, f):
    with pytest.raises(ValueError, match="allowed: "):
        f(xp.asarray(a))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: choose_grid(x, 1),
        lambda x: choose_grid(x, 17),
        lambda x: choose_grid(x, 4.0),
        lambda x: choose_grid(x, 4, signed=False),
        lambda x: choose_grid(x, 4, axis=2),
        lambda x: choose_grid(x, 4, group=0),
        lambda x: choose_grid(x, 4, axis=0, group=2.5),
        lambda x: range_grid(1.0, 0.5, 4),
        lambda x: range_grid(float("nan"), 0.5, 4),
        lambda x: quantize(x, Grid(np.ones(3), np.zeros(3), -7, 7, axis=0)),
        lambda x: quantize(x, Grid(np.ones(2), np.zeros(2), -7, 7)),
        lambda x: dequantize(x, Grid(1.0, 0, -7, 7)),
        lambda x: dequantize(np.ones((3, 3), np.int8), Grid(np.ones(2), np.zeros(2), -7, 7, axis=0)),
        lambda x: Grid(0.0, 0, -7, 7),
        lambda x: Grid(-1.0, 0, -7, 7),
        lambda x: Grid(float("nan"), 0, -7, 7),
        lambda x: Grid(float("inf"), 0, -7, 7),
        lambda x: Grid(np.array([1.0, 0.0]), np.zeros(2), -7, 7, axis=0),
        lambda x: Grid(np.ones(2), 0, -7, 7, axis=0),
        lambda x: Grid(1.0, 0, 7, -7),
        lambda x: Grid(1.0, 0, -7, 7.5),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call(np.ones((2, 3)))
