"""NormalFloat: the table of bitsandbytes, the nearest value by brute force, files, hostile codes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from mcomp.arrays import to_numpy
from mcomp.codecs import NormalFloat, Uniform, attach, bake, decode
from mcomp.codecs.codes import code_from_bytes, code_to_bytes
from mcomp.coding.bits import CorruptFileError
from mcomp.file import load, save
from mcomp.quantize.nf4 import OFFSET, normal_values

quick = settings(derandomize=True, deadline=None, max_examples=12)
# bitsandbytes 0.50.2, csrc/kernels.cu and functional.py
TABLE = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
]  # fmt: skip
DOUBLE = NormalFloat() | Uniform(8, group=256, symmetric=False)


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_values_are_those_of_bitsandbytes():
    np.testing.assert_allclose(normal_values(), TABLE, atol=5e-7)  # theirs were computed in float32
    assert normal_values()[7] == 0


def test_they_are_quantiles():
    values = normal_values() * norm.ppf(OFFSET)
    np.testing.assert_allclose(np.diff(norm.cdf(values[7:])), (OFFSET - 0.5) / 8)
    np.testing.assert_allclose(np.diff(norm.cdf(values[:8])), (OFFSET - 0.5) / 7)


@quick
@given(seed=st.integers(0, 1000), n=st.integers(1, 40), group=st.sampled_from([1, 3, 8, 64]))
def test_each_weight_takes_the_nearest_of_its_group(xp, seed, n, group):
    w = gaussian(n, seed=seed)
    found = to_numpy(NormalFloat(group).project(xp.asarray(w)))
    for start in range(0, n, group):
        part = w[start : start + group]
        points = abs(part).max().astype(float) * normal_values()
        nearest = abs(part[:, None] - points).min(1)
        np.testing.assert_allclose(abs(found[start : start + group] - part), nearest, atol=1e-6)
    assert abs(found).max() == abs(w).max()


def test_a_group_of_zeros_stays():
    w = np.zeros((2, 64), np.float32)
    w[1, 0] = 3.0
    assert (NormalFloat().project(w) == w).all()


def test_it_is_a_projection_that_a_file_holds(xp):
    w = gaussian(12, 50)
    for codec in (NormalFloat(), NormalFloat(7), DOUBLE):
        code = codec.encode(xp.asarray(w))
        again = code_from_bytes(code_to_bytes(code), w.shape, w.dtype)
        assert (decode(again) == to_numpy(decode(code))).all()
        if codec is not DOUBLE:  # whose scales move when they are rounded
            assert (to_numpy(codec.project(decode(code))) == to_numpy(decode(code))).all()


def test_bits_with_and_without_double_quantization():
    w = gaussian(512, 512)
    bits = {str(codec): codec.encode(w).nbits() / w.size for codec in (NormalFloat(), DOUBLE)}
    plain, double = bits.values()
    # equally likely values would take 4 bits each; the largest of 64 isn't as far out as the quantiles say
    assert 3.6 < double < plain < 4.5
    assert 0.15 < plain - double < 0.4
    errors = [((codec.project(w) - w) ** 2).mean() for codec in (NormalFloat(), DOUBLE)]
    assert errors[1] < 1.03 * errors[0]


def test_the_scales_take_an_eighth_of_a_bit_as_in_the_paper():
    """Section 3: 0.5 bits a weight become 8/64 + 32/(64·256) = 0.127. Our zero points add 0.0005."""
    w = gaussian(512, 1024)
    scales = DOUBLE.encode(w).floats["scale"]
    assert scales.symbols["q"].max() - scales.symbols["q"].min() < 2**8
    bits = (
        8 * (scales.symbols["q"].size + scales.symbols["zero_point"].size) + 32 * scales.floats["scale"].size
    )
    assert bits / w.size == pytest.approx(8 / 64 + 32 / (64 * 256), abs=6e-4)
    assert scales.nbits() < bits < 0.26 * 32 * NormalFloat().encode(w).floats["scale"].size
    found, exact = decode(scales), NormalFloat().encode(w).floats["scale"]
    step = np.repeat(scales.floats["scale"], 256)
    assert (abs(found - exact) <= 0.501 * step).all()


def test_on_gaussian_weights_it_beats_a_grid_of_as_many_values():
    w = gaussian(256, 256, seed=1)
    grid = Uniform(4, group=64)
    assert ((NormalFloat().project(w) - w) ** 2).mean() < 0.95 * ((grid.project(w) - w) ** 2).mean()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_of_torch(dtype):
    w = torch.from_numpy(gaussian(5, 30)).to(dtype)
    found = NormalFloat().project(w)
    assert found.dtype == dtype
    assert float((found.double() - w.double()).abs().max()) < 0.6


def test_attached_trained_and_saved(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 8))
    attach(model, {"0.weight": DOUBLE})
    x = torch.randn(6, 20)
    model.train()(x).square().sum().backward()
    assert model[0].parametrizations.weight.original.grad.abs().sum() > 0
    save(model.eval(), tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors", model=torch.nn.Sequential(torch.nn.Linear(20, 8)))
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
        assert torch.equal(bake(model)(x), again(x))


def hostile():
    code = NormalFloat(4).encode(gaussian(3, 5))
    index, scale = code.symbols["index"], code.floats["scale"]
    return {
        "an index too large": replace(code, symbols={**code.symbols, "index": index + 16}),
        "one too few": replace(code, symbols={**code.symbols, "index": index[1:]}),
        "no group": replace(code, symbols={**code.symbols, "group": np.array([0])}),
        "two groups": replace(code, symbols={**code.symbols, "group": np.array([4, 4])}),
        "a scale too few": replace(code, floats={"scale": scale[1:]}),
        "integer scales": replace(code, floats={"scale": scale.astype(np.int64)}),
        "a huge shape": replace(code, shape=(2**40, 2**20)),
    }


@pytest.mark.parametrize("code", hostile().values(), ids=hostile())
def test_hostile_codes(code):
    with pytest.raises(ValueError, match="allowed: "):
        decode(code)


def test_mutated_bytes_decode_or_are_refused():
    data = code_to_bytes(NormalFloat(4).encode(gaussian(3, 5)))
    rng, refused = np.random.default_rng(0), 0
    for _ in range(600):
        bad = bytearray(data)
        bad[rng.integers(len(bad))] = rng.integers(256)
        try:
            assert decode(code_from_bytes(bytes(bad), (3, 5), np.float32)).shape == (3, 5)
        except (CorruptFileError, ValueError):
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("group", [0, 1.5, True, 10**6])
def test_bad_groups(group):
    with pytest.raises(ValueError, match="group is"):
        NormalFloat(group)


@pytest.mark.parametrize("w", [np.zeros(0), np.array([np.nan]), np.array([1, 2])])
def test_bad_weights(w):
    with pytest.raises(ValueError, match="allowed: "):
        NormalFloat().encode(w)
