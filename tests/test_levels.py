"""The codecs of few levels: projections against oracles, files that come back, hostile codes, training."""

import itertools
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import mcomp
from mcomp.arrays import to_numpy
from mcomp.codecs import (
    Binary,
    Code,
    Codebook,
    MiniFloat,
    PowerOfTwo,
    Product,
    Sparse,
    Ternary,
    codec_of,
    decode,
    payload_of,
)
from mcomp.codecs.attachment import attach, attached, bake, codes
from mcomp.codecs.codes import code_from_bytes, code_to_bytes
from mcomp.coding.bits import CorruptFileError
from mcomp.quantize.floats import E4M3, round_to_float
from mcomp.quantize.powers import log_levels
from mcomp.zoo import build

quick = settings(derandomize=True, deadline=None, max_examples=12)  # for each codec and library
tied = st.integers(-3, 3).map(float)
smooth = st.floats(-8, 8, width=32, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-30)
arrays = npst.arrays(np.float32, npst.array_shapes(max_dims=4, max_side=4), elements=tied | smooth)
EXACT = [  # twice is once, to the bit
    PowerOfTwo(2),
    PowerOfTwo(4),
    PowerOfTwo(4, axis=0),
    MiniFloat(2, 1),
    MiniFloat(2, 1, block=4),
    MiniFloat(4, 3, "one nan", axis=0),
    MiniFloat(5, 2, "infinities", block=32),
]
MEANS = [  # twice is once, up to the rounding of a mean
    Binary(),
    Binary(axis=0),
    Ternary(),
    Ternary(axis=0),
    Ternary(rule="twn"),
]
CODECS = [
    *EXACT,
    *MEANS,
    Product(4, 3),
    Sparse(0.5) | Ternary(),
    Sparse(0.5) | Ternary(axis=0),
    Sparse(0.3) | Binary(),
    Sparse(0.5) | PowerOfTwo(3),
    Sparse(0.5) | MiniFloat(2, 1, block=32),
    Ternary(axis=0) | Codebook(2),
]
every_codec = pytest.mark.parametrize("codec", CODECS, ids=str)


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@every_codec
def test_shape_dtype_library_and_input_stay(xp, codec):
    @quick
    @given(w=arrays)
    def holds(w):
        given = xp.asarray(w.copy())
        found = codec.project(given)
        assert type(found) is type(given)
        assert found.dtype == given.dtype
        assert tuple(found.shape) == w.shape
        assert np.isfinite(to_numpy(found)).all()
        assert (to_numpy(given) == w).all()

    holds()


@pytest.mark.parametrize("codec", EXACT + MEANS, ids=str)
def test_projecting_twice_is_projecting_once(xp, codec):
    if codec == Ternary(rule="twn"):
        return  # a rule of thumb is no projection: its own zeros lower the next threshold, see below

    @quick
    @given(w=arrays)
    def holds(w):
        once = codec.project(xp.asarray(w.copy()))
        twice = to_numpy(codec.project(once))
        if codec in EXACT:
            assert (twice == to_numpy(once)).all()
        else:  # the mean of equal float32, computed in float64
            assert twice == pytest.approx(to_numpy(once), rel=1e-6)

    holds()


def test_the_rule_of_twn_is_no_projection():
    w = np.float32([1.0] * 9 + [3.0])
    once = Ternary(rule="twn").project(w)
    assert once.tolist() == pytest.approx([1.2] * 10)
    error = ((w - once) ** 2).sum()
    assert ((w - Ternary().project(w)) ** 2).sum() <= error


@every_codec
def test_bytes_and_back(codec):
    @quick
    @given(w=arrays)
    def holds(w):
        code = codec.encode(w)
        data = code_to_bytes(code)
        back = code_from_bytes(data, w.shape, w.dtype)
        assert (decode(back).view(np.uint32) == decode(code).view(np.uint32)).all()
        assert code.nbits() == 8 * len(data) == back.nbits()

    holds()


@every_codec
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3, 2, 2, 3), (1, 40), (40, 1)], ids=str)
def test_shapes_that_are_no_matrix(codec, shape):
    w = np.asarray(gaussian(*shape) + np.float32(2))
    code = codec.encode(w)
    assert (decode(code_from_bytes(code_to_bytes(code), shape, np.float32)) == decode(code)).all()


@every_codec
def test_numpy_and_torch_decode_to_the_same_bits(codec):
    code = codec.encode(gaussian(7, 33))
    theirs = decode(code.map(torch.from_numpy, symbols=torch.from_numpy))
    assert (theirs.numpy().view(np.uint32) == decode(code).view(np.uint32)).all()


@pytest.mark.parametrize("codec", CODECS[:13], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_dtypes(codec, dtype):
    w = torch.from_numpy(gaussian(6, 10)).to(dtype)
    code = codec.encode(w)
    assert decode(code).dtype == dtype
    data = code_to_bytes(code)
    assert (decode(code_from_bytes(data, (6, 10), w.numpy().dtype)) == decode(code).numpy()).all()


# Against oracles


@pytest.mark.parametrize("codec", [Binary(), Ternary(), PowerOfTwo(3)], ids=str)
def test_per_channel_is_channel_by_channel(xp, codec):
    w = gaussian(4, 6) * np.float32([[1], [0.1], [5], [1e-3]])
    found = to_numpy(replace(codec, axis=0).project(xp.asarray(w)))
    for row, mine in zip(w, found, strict=True):
        assert (mine == codec.project(row)).all()


@pytest.mark.parametrize("block", [4, 5, 32])
@pytest.mark.parametrize(
    ("form", "oracle", "top"),
    [((2, 1), ml_dtypes.float4_e2m1fn, 2), ((2, 3), ml_dtypes.float6_e2m3fn, 2),
     ((3, 2), ml_dtypes.float6_e3m2fn, 4), ((4, 3, "one nan"), ml_dtypes.float8_e4m3fn, 8)],
)  # fmt: skip
def test_microscaling_is_the_specification_s_loop(xp, form, oracle, top, block):
    """OCP MX 1.0, section 6.3, element by element; ml_dtypes rounds the elements. Remainders at row ends."""
    w = (gaussian(3, 43) * np.float32([[1], [1e-4], [300]])).astype(np.float32)
    expected, largest = np.empty_like(w), float(ml_dtypes.finfo(oracle).max)
    for i, start in itertools.product(range(3), range(0, 43, block)):
        v = w[i, start : start + block].astype(np.float64)
        scale = 2.0 ** (np.floor(np.log2(abs(v).max())) - top)
        p = np.clip(v / scale, -largest, largest).astype(oracle)
        expected[i, start : start + block] = p.astype(np.float64) * scale
    codec = MiniFloat(*form, block=block)
    assert (to_numpy(codec.project(xp.asarray(w))) == expected).all()


def test_microscaling_costs_a_quarter_of_a_bit_more():
    w = gaussian(64, 320)
    code = MiniFloat(2, 1, block=32).encode(w)
    assert code.symbols["exponents"].shape == (640,)
    assert code.nbits() / w.size < 4.25  # entropy coding only lowers it


def test_a_tensor_s_exponent_is_the_best_of_five(xp):
    w = gaussian(500)
    found = to_numpy(MiniFloat(2, 1).project(xp.asarray(w)))
    errors = [((w - s * round_to_float(w / s, MiniFloat(2, 1)._form())) ** 2).sum()
              for s in 2.0 ** np.arange(-8, 8)]  # fmt: skip
    assert ((w - found).astype(np.float64) ** 2).sum() == pytest.approx(min(errors), rel=1e-5)


def test_wide_formats_hardly_need_a_scale():
    w = gaussian(1000)
    relative = abs(MiniFloat(4, 3, "one nan").project(w) / w - 1)
    assert np.median(relative) < 2.0**-4
    assert (round_to_float(w, E4M3) != 0).mean() > 0.99


def test_powers_are_powers(xp):
    found = to_numpy(PowerOfTwo(4, axis=0).project(xp.asarray(gaussian(5, 50))))
    mantissa, _ = np.frexp(found[found != 0])
    assert set(abs(mantissa)) == {0.5}
    assert all(len(np.unique(row)) <= len(log_levels(4)) for row in found)


def test_product_with_runs_of_one_is_a_codebook():
    w = gaussian(300)
    codebook, product = Codebook(4), Product(4, 1)
    best, found = (((w - c.project(w)) ** 2).sum() for c in (codebook, product))
    assert best <= found <= 1.25 * best  # the codebook is the global optimum, k-means finds a local one
    assert len(np.unique(product.project(w))) == 4


def test_vectors_beat_scalars_on_what_hangs_together():
    w = np.repeat(gaussian(4000), 2)  # neighbours are equal
    scalar, vector = Codebook(4), Product(16, 2)
    assert ((w - vector.project(w)) ** 2).mean() < 0.2 * ((w - scalar.project(w)) ** 2).mean()


def test_a_chain_of_sparse_and_ternary_by_hand():
    w = np.float32([[4.0, -0.1], [0.2, -2.0]])
    code = (Sparse(0.5) | Ternary()).encode(w)
    assert decode(code).tolist() == [[3.0, 0.0], [0.0, -3.0]]
    assert payload_of(code, "values").tolist() == [3.0, -3.0]


# New numbers for old symbols, and training


@pytest.mark.parametrize("codec", [Binary(), Ternary(), Binary(0), Ternary(0)], ids=str)
def test_refit_finds_the_least_squares_scale(xp, codec):
    w, v = gaussian(3, 8), gaussian(3, 8, seed=1)
    code = codec.encode(xp.asarray(w))
    found = to_numpy(decode(codec.refit(xp.asarray(v), code)))
    q = np.sign(to_numpy(decode(code)))
    for rows in [range(3)] if codec.axis is None else [[0], [1], [2]]:
        flat_q, flat_v = q[list(rows)].reshape(-1, 1), v[list(rows)].reshape(-1)
        a = np.linalg.lstsq(flat_q, flat_v, rcond=None)[0]
        assert found[list(rows)].reshape(-1) == pytest.approx((flat_q @ a).reshape(-1), rel=1e-5)


@every_codec
def test_refit_of_its_own_decoding_is_a_fixed_point(codec):
    code = codec.encode(gaussian(6, 5))
    again = decode(codec.refit(codec.decode(code), code))
    assert again == pytest.approx(decode(code), rel=1e-6)  # the mean of equal float32


def test_start_keeps_the_vectors_of_a_product():
    w = gaussian(40)
    code = Product(4, 2).encode(w)
    moved = replace(code, floats={"centroids": code.floats["centroids"] + np.float32(0.25)})
    again = Product(4, 2).encode(w, start=moved)
    assert (again.floats["centroids"] == moved.floats["centroids"]).all()
    pairs = w.reshape(-1, 2)
    nearest = ((pairs[:, None] - moved.floats["centroids"]) ** 2).sum(2).argmin(1)
    assert (again.symbols["index"] == nearest).all()


TRAINED = [
    Binary(axis=0),
    PowerOfTwo(3),
    MiniFloat(2, 1, block=32),
    Product(4, 3),
    Sparse(0.5) | Ternary(),
    Ternary(axis=0) | Codebook(2),
]


@pytest.mark.parametrize("codec", TRAINED, ids=str)
def test_attach_train_save_load(codec, tmp_path):
    torch.manual_seed(0)
    model = build("lenet300", hidden=(12, 6))
    attach(model, {"*.weight": codec}, refresh="step")
    x, y = torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
    learning = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(10):
        losses.append(torch.nn.functional.cross_entropy(model.train()(x), y))
        learning.zero_grad()
        losses[-1].backward()
        learning.step()
    assert losses[-1] < losses[0]
    expected = {name: decode(code) for name, code in codes(model.eval()).items()}
    size = mcomp.save(model, tmp_path / "m.safetensors")
    back = mcomp.load(tmp_path / "m.safetensors")
    assert torch.equal(back(x), bake(model)(x))
    assert all(torch.equal(back.get_parameter(name), w) for name, w in expected.items())
    assert size == (tmp_path / "m.safetensors").stat().st_size
    assert not attached(model)


def test_gradients_flow_to_the_scale():
    for codec in (Binary(), Ternary(0), PowerOfTwo(3), MiniFloat(2, 1, block=4), Product(3, 2)):
        code = codec.encode(torch.from_numpy(gaussian(4, 6)).double())
        name = codec.payload

        def of(x, code=code, name=name):
            return decode(replace(code, floats={name: x}))

        assert torch.autograd.gradcheck(of, (code.floats[name].clone().requires_grad_(),))


# Hostile codes


@pytest.mark.parametrize("codec", [*EXACT, *MEANS, Product(4, 3)], ids=str)
def test_any_changed_byte_is_refused_or_harmless(codec):
    data = bytearray(code_to_bytes(codec.encode(gaussian(6, 7))))
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        try:
            code = code_from_bytes(bytes(broken), (6, 7), np.float32)
        except CorruptFileError:
            continue
        assert decode(code).shape == (6, 7)
        assert decode(code).dtype == np.float32


HEAD = np.array([2, 1, 2, 1, 0])
SIX = {"index": np.arange(6) % 3}
ONE, ONE_INT = np.float32([1.0]), np.array([1])


@pytest.mark.parametrize(
    ("kind", "symbols", "floats", "complaint"),
    [
        ("binary", {"signs": np.arange(6)}, {"scale": ONE}, r"signs from is \(0, 5\); allowed: 0 to 1"),
        ("binary", {"signs": np.zeros(5, int)}, {"scale": ONE}, r"signs.shape is \(5,\); allowed: \(6,\)"),
        ("binary", {"signs": np.zeros(6, int)}, {"scale": np.ones(3)}, r"scale.shape is \(3,\)"),
        ("binary", {"signs": np.zeros(6, int)}, {"scale": np.ones(1, int)}, "scale.dtype is 'int64'"),
        ("ternary", {"index": -SIX["index"]}, {"scale": ONE}, "index from"),
        ("power_of_two", {**SIX, "bits": np.array([9])}, {"scale": ONE}, "bits is 9"),
        ("power_of_two", {"index": np.arange(6), "bits": np.array([2])}, {"scale": ONE}, "index from"),
        ("power_of_two", {**SIX, "bits": np.array([2, 2])}, {"scale": ONE}, "bits.shape"),
        ("minifloat", {**SIX, "format": HEAD}, {"scale": ONE}, "exponents"),
        ("minifloat", {**SIX, "format": HEAD, "exponents": ONE_INT + 127}, {"scale": ONE}, "exponents from"),
        ("minifloat", {**SIX, "format": HEAD + np.array([0, 0, 0, 2, 0])}, {"scale": ONE}, "channels is 3"),
        ("minifloat", {**SIX, "format": np.array([9, 1, 2, 1, 0])}, {"scale": ONE}, "format is 9"),
        ("minifloat", {"index": np.arange(6) + 11, "format": HEAD}, {"scale": ONE}, "index from"),
        ("minifloat", {**SIX, "format": HEAD, "exponents": ONE_INT}, {"scale": np.ones(2)}, "scale.shape"),
        ("minifloat", {"index": np.full(6, 127), "format": np.array([4, 3, 1, 1, 0]),
                       "exponents": np.array([0])}, {"scale": ONE}, "patterns of finite numbers"),
        ("product", {"index": np.array([0, 3])}, {"centroids": np.ones((3, 3))}, "index from"),
        ("product", {"index": np.array([0])}, {"centroids": np.ones((3, 3))}, "index.shape"),
        ("product", {"index": np.array([0, 1])}, {"centroids": np.ones(3)}, "centroids.shape"),
    ],
)  # fmt: skip
def test_arrays_that_don_t_fit(kind, symbols, floats, complaint):
    with pytest.raises((ValueError, KeyError), match=complaint):
        decode(Code(kind, (2, 3), symbols, floats))


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("w", [np.zeros((0, 3)), np.array([1, np.nan]), np.array([1, 2])], ids=str)
def test_bad_weights(xp, codec, w):
    with pytest.raises(ValueError, match=r"w (is empty|holds 1 NaN)|w.dtype is"):
        codec.encode(xp.asarray(w))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Binary(axis=1), "axis is 1; allowed: None, or 0 for the output channels"),
        (lambda: MiniFloat(2, 1, axis=True), "axis is True"),
        (lambda: Ternary(rule="best"), "rule is 'best'; allowed: one of exact, twn"),
        (lambda: PowerOfTwo(1), "bits is 1; allowed: an integer from 2 to 8"),
        (lambda: MiniFloat(0, 1), "exponent_bits is 0"),
        (lambda: MiniFloat(4, 3, "nan"), "specials is 'nan'"),
        (lambda: MiniFloat(2, 1, block=-1), "block is -1"),
        (lambda: Product(0, 2), "k is 0"),
        (lambda: Product(4, 0), "d is 0"),
    ],
)
def test_bad_arguments(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_kinds():
    for codec in (Binary(), Ternary(), PowerOfTwo(3), MiniFloat(2, 1), Product(2, 2)):
        assert codec_of(codec.kind) is type(codec)
        assert codec.encode(gaussian(4)).kind == codec.kind
