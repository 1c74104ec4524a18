"""The codec Uniform: grids of torch's kernels, files that load again, hostile codes."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Codebook, GroupUniform, Sparse, Uniform, attach, bake, decode
from mcomp.codecs.code import Code
from mcomp.codecs.codes import code_from_bytes, code_to_bytes, numbers
from mcomp.coding.bits import CorruptFileError
from mcomp.file import load, save
from mcomp.quantize import choose_grid

quick = settings(derandomize=True, deadline=None, max_examples=8)
smooth = st.floats(-8, 8, width=32)
arrays = npst.arrays(np.float32, npst.array_shapes(min_dims=0, max_dims=4, max_side=5), elements=smooth)
CODECS = [
    Uniform(8),
    Uniform(2),
    Uniform(4, axis=0),
    Uniform(4, axis=-1),
    Uniform(3, group=7),
    Uniform(4, axis=0, group=5),
    Uniform(1, symmetric=False),
    Uniform(4, axis=0, group=4, symmetric=False),
    Uniform(10, symmetric=False),
    Uniform(4, axis=0, group=3) | Uniform(8, symmetric=False),
    GroupUniform(4, group=5),
    GroupUniform(3, group=7, search=True),
    Sparse(0.6) | Uniform(4),
    Sparse(0.6) | Uniform(3, axis=0, group=4, symmetric=False),
    Sparse(1.0) | Uniform(4),
]


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def images(n=8):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_projection_is_torch_fake_quantize(xp, bits, symmetric):
    w = gaussian(30, 40)
    for axis in (0, 1):
        codec = Uniform(bits, axis=axis, symmetric=symmetric)
        code = codec.encode(xp.asarray(w))
        scale = torch.from_numpy(to_numpy(code.floats["scale"]).copy())
        plain = choose_grid(w, bits, axis=axis, symmetric=symmetric)
        assert np.allclose(to_numpy(scale), plain.scale, rtol=2.0 ** (bits - 24), atol=0)  # as it rounds them
        zero = (
            torch.zeros(scale.shape)
            if symmetric
            else torch.from_numpy(to_numpy(code.symbols["zero_point"]).copy())
        )
        theirs = torch.fake_quantize_per_channel_affine(
            torch.from_numpy(w), scale, zero.int(), axis, plain.qmin, plain.qmax
        )
        assert torch.equal(torch.from_numpy(to_numpy(decode(code)).copy()), theirs)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_any_array_comes_back(xp, codec):
    @quick
    @given(w=arrays)
    def holds(w):
        given, before = xp.asarray(w), w.copy()
        found = codec.project(given)
        assert type(found) is type(given)
        assert found.dtype == given.dtype
        assert tuple(found.shape) == w.shape
        assert (w == before).all()
        assert to_numpy(found).tobytes() == codec.project(w).tobytes()  # in numpy as in torch

    holds()


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_bytes_and_back(codec):
    @quick
    @given(w=arrays)
    def holds(w):
        code = codec.encode(w)
        data = code_to_bytes(code)
        assert decode(code_from_bytes(data, w.shape, w.dtype)).tobytes() == decode(code).tobytes()
        assert code.nbits() == 8 * len(data)

    holds()


@quick
@given(
    w=arrays,
    bits=st.integers(2, 11),
    axis=st.sampled_from([None, 0]),
    group=st.sampled_from([None, 3]),
)
def test_projecting_twice_is_projecting_once(xp, w, bits, axis, group):
    codec = Uniform(bits, axis=axis if w.ndim else None, group=group)
    once = codec.project(xp.asarray(w))
    assert to_numpy(codec.project(once)).tobytes() == to_numpy(once).tobytes()
    code = codec.encode(xp.asarray(w))
    refitted = codec.refit(xp.asarray(w), code)
    assert to_numpy(refitted.floats["scale"]).tobytes() == to_numpy(code.floats["scale"]).tobytes()


@quick
@given(w=arrays, bits=st.integers(1, 11), symmetric=st.booleans())
def test_every_grid_point_is_exact(w, bits, symmetric):
    code = Uniform(max(bits, 2), symmetric=symmetric).encode(w)
    zero = code.symbols.get("zero_point", [0])[0]
    exact = float(code.floats["scale"]) * (code.symbols["q"] - zero).astype(float)
    assert (decode(code).ravel().astype(float) == exact).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "codec", [Uniform(4), Uniform(8, axis=0), Uniform(4, group=6, symmetric=False)], ids=str
)
def test_any_float_dtype_of_torch(dtype, codec):
    w = torch.from_numpy(gaussian(12, 5)).to(dtype)
    code = codec.encode(w)
    found = decode(code)
    assert found.dtype == code.floats["scale"].dtype == dtype
    bits = numbers(found)
    again = decode(code_from_bytes(code_to_bytes(code), w.shape, bits.dtype))
    assert (numbers(again) == bits).all() or dtype == torch.bfloat16
    assert (found.double() - w.double()).abs().max() < 8 * 0.6 / 2 ** (codec.bits - 1)


def test_tiny_half_precision_numbers_keep_a_scale():
    w = torch.full((4,), 6e-8, dtype=torch.float16)
    assert float(Uniform(8).encode(w).floats["scale"]) > 0


def test_bits_of_a_file():
    """Uniform weights on 15 points, the two at the ends half as likely; and a scale for 64 of them."""
    w = np.random.default_rng(0).uniform(-1, 1, (256, 256)).astype(np.float32)
    entropy = math.log2(14) + 1 / 14
    assert math.isclose(Uniform(4).encode(w).nbits() / w.size, entropy, rel_tol=0.005)  # tables, rounding
    grouped = Uniform(4, axis=0, group=64)
    extra = grouped.encode(w).nbits() / w.size - entropy
    assert 14 / 64 < extra < 24 / 64  # 20 significant bits, less what is alike in all
    assert (grouped | Uniform(8, symmetric=False)).encode(w).nbits() / w.size - entropy < 9 / 64


FILES = [("lenet5", codec) for codec in (*CODECS[:8:2], CODECS[7], CODECS[9], Sparse(0.9) | Uniform(4))]


@pytest.mark.parametrize(("name", "codec"), [*FILES, ("lenet300", Uniform(4, axis=0))], ids=str)
def test_an_attached_network_predicts_the_same_from_its_file(tmp_path, name, codec):
    torch.manual_seed(0)
    config = {"lenet300": {"hidden": (3, 4)}, "lenet5": {"channels": (2, 3), "hidden": 4}}[name]
    model = zoo.build(name, **config)
    attach(model, {"*.weight": codec})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        model.train()(images()).square().mean().backward()
        optimizer.step()
    size = save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert size == (tmp_path / "model.safetensors").stat().st_size
    with torch.no_grad():
        assert torch.equal(again.eval()(images()), model.eval()(images()))
    baked = bake(copy.deepcopy(model)).state_dict()
    assert all(torch.equal(value, baked[key]) for key, value in again.state_dict().items())


def test_training_moves_weights_under_the_grid():
    torch.manual_seed(0)
    model = zoo.build("lenet300", hidden=(9, 7))
    attach(model, {"fc2.weight": Uniform(4, axis=0)})
    before = model.fc2.weight.detach().clone()
    original = model.fc2.parametrizations.weight.original
    model.train()(images()).square().mean().backward()
    assert original.grad.abs().sum() > 0
    with torch.no_grad():
        original -= 50 * original.grad
    assert not torch.equal(model(images()), model.eval()(images()) * 0)
    model.train()
    assert not torch.equal(model.fc2.weight.detach(), before)
    for row in model.fc2.weight.detach():
        assert len(row.unique()) <= 15


def test_gradients_reach_the_scale():
    code = Uniform(4).encode(torch.tensor([1.0, -0.5, 0.1]))
    scale = code.floats["scale"].clone().requires_grad_()
    decode(replace(code, floats={"scale": scale})).sum().backward()
    assert scale.grad.item() == code.symbols["q"].sum().item()


def test_a_chain_may_describe_the_scales():
    w = gaussian(40, 64)
    codec = Uniform(4, axis=0, group=16) | Codebook(8)
    code = codec.encode(w)
    assert len(np.unique(decode(code.floats["scale"]))) == 8
    assert ((codec.project(w) - w) ** 2).mean() < 0.05


def hostile():
    code = Uniform(4, axis=0, group=3, symmetric=False).encode(gaussian(4, 5))
    q, zero, scale = code.symbols["q"], code.symbols["zero_point"], code.floats["scale"]
    big = np.array([2**40])
    yield "q too short", replace(code, symbols={**code.symbols, "q": q[:-1]})
    yield "q too large", replace(code, symbols={**code.symbols, "q": q + 2**33})
    yield "zero point missing one", replace(code, symbols={**code.symbols, "zero_point": zero[1:]})
    yield "zero point too large", replace(code, symbols={**code.symbols, "zero_point": zero - 2**40})
    yield "axis out of range", replace(code, symbols={**code.symbols, "axis": np.array([2])})
    yield "two axes", replace(code, symbols={**code.symbols, "axis": np.array([0, 1])})
    yield "huge axis", replace(code, symbols={**code.symbols, "axis": big})
    yield "group 0", replace(code, symbols={**code.symbols, "group": np.array([0])})
    yield "huge group", replace(code, symbols={**code.symbols, "group": big})
    yield "no group", replace(code, symbols={n: s for n, s in code.symbols.items() if n != "group"})
    yield "flat scale", replace(code, floats={"scale": scale.ravel()})
    yield "another shape", replace(code, shape=(5, 4))
    yield "a huge shape", replace(code, shape=(2**40, 2**20))


@pytest.mark.parametrize(("name", "code"), hostile(), ids=[name for name, _ in hostile()])
def test_hostile_codes(name, code):
    with pytest.raises(ValueError, match="allowed: "):
        decode(code)


def test_mutated_bytes_decode_or_are_refused():
    data = bytearray(code_to_bytes(Uniform(4, axis=0, group=3, symmetric=False).encode(gaussian(4, 5))))
    rng, refused = np.random.default_rng(0), 0
    for _ in range(1500):
        bad = bytearray(data)
        bad[rng.integers(len(bad))] = rng.integers(256)
        try:
            found = decode(code_from_bytes(bytes(bad), (4, 5), np.float32))
            assert found.shape == (4, 5)
        except (CorruptFileError, ValueError):
            refused += 1
    assert refused > 200


@pytest.mark.parametrize(
    "call",
    [
        lambda: Uniform(1),
        lambda: Uniform(17),
        lambda: Uniform(4.0),
        lambda: Uniform(4, axis=0.5),
        lambda: Uniform(4, group=0),
        lambda: Uniform(4, axis=2).encode(gaussian(3, 3)),
        lambda: Uniform(4).encode(np.array([np.nan])),
        lambda: Uniform(4).encode(np.zeros(0)),
        lambda: Uniform(4).encode(np.array([1, 2])),
        lambda: decode(
            Code("uniform", (1,), {"q": np.zeros(1, np.int64)}, {"scale": np.ones(2, np.float32)})
        ),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()
