"""Codecs are exact projections, and what they count is what a file holds."""

import itertools
import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.cluster import KMeans

from mcomp.arrays import to_numpy
from mcomp.codecs import (
    Chain,
    Code,
    Codebook,
    Codec,
    LowRank,
    Plain,
    Sparse,
    Uniform,
    codec_of,
    decode,
    masked,
)
from mcomp.codecs.codes import code_from_bytes, code_to_bytes, numbers, readable, streams
from mcomp.coding.bits import CorruptFileError

quick = settings(derandomize=True, deadline=None, max_examples=15)  # for each codec and library
few = settings(derandomize=True, deadline=None, max_examples=6)
tied = st.integers(-3, 3).map(float)  # few values: ties everywhere
smooth = st.floats(-8, 8, width=32, allow_subnormal=False)
arrays = npst.arrays(np.float32, npst.array_shapes(max_dims=4, max_side=4), elements=tied | smooth)
CODECS = [
    Plain(),
    Sparse(0.0),
    Sparse(0.6),
    Sparse(1.0),
    Codebook(1),
    Codebook(3),
    Sparse(0.5) | Codebook(2),
    Sparse(1.0) | Codebook(4),
    Sparse(0.3) | Sparse(0.5) | Codebook(2),
    Codebook(5) | Codebook(2),
    Sparse(0.2) | Plain(),
]
names = [str(codec) for codec in CODECS]


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def flat_floats(code):
    """All float arrays of a code, the nested ones too."""
    for x in code.floats.values():
        yield from flat_floats(x) if isinstance(x, Code) else [x]


# The projections against oracles


@pytest.mark.parametrize("k", range(10))
def test_sparse_is_the_best_of_all_masks(xp, k):
    w = gaussian(3, 3, seed=k)
    found = to_numpy(Sparse(1 - k / 9).project(xp.asarray(w)))
    assert np.count_nonzero(found) == k
    assert ((found == w) | (found == 0)).all()
    masks = [np.isin(np.arange(9), kept).reshape(3, 3) for kept in itertools.combinations(range(9), k)]
    errors = [((w - w * mask) ** 2).sum() for mask in masks]
    assert math.isclose(((w - found) ** 2).sum(), min(errors), rel_tol=1e-6)  # float32 sums of nine squares


@pytest.mark.parametrize("k", [1, 2, 3])
def test_codebook_is_the_best_of_all_assignments(xp, k):
    w = gaussian(7, seed=k).astype(np.float64)
    found = to_numpy(Codebook(k).project(xp.asarray(w)))

    def error(assignment):
        groups = [w[np.array(assignment) == j] for j in range(k)]
        return sum(((g - g.mean()) ** 2).sum() for g in groups if g.size)

    best = min(error(a) for a in itertools.product(range(k), repeat=7))
    assert math.isclose(((w - found) ** 2).sum(), best, rel_tol=1e-12)
    assert len(np.unique(found)) == k


@pytest.mark.parametrize("k", [2, 4, 16])
def test_codebook_is_no_worse_than_scikit_learn(k):
    w = gaussian(600).astype(np.float64)
    theirs = KMeans(k, n_init=10, random_state=0).fit(w[:, None])
    ours = ((w - Codebook(k).project(w)) ** 2).sum()
    assert ours <= theirs.inertia_ * (1 + 1e-9)  # both sums are rounded


def test_a_chain_projects_what_the_first_keeps(xp):
    w = gaussian(20, 30)
    found = to_numpy((Sparse(0.9) | Codebook(4)).project(xp.asarray(w)))
    kept = abs(w) >= np.sort(abs(w).reshape(-1))[-60]
    expected = np.zeros_like(w)
    expected[kept] = Codebook(4).project(w[kept])
    assert (found == expected).all()
    assert np.count_nonzero(found) == 60
    assert len(np.unique(found)) == 5


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_projecting_twice_is_projecting_once(xp, codec):
    @quick
    @given(w=arrays)
    def holds(w):
        given = xp.asarray(w.copy())
        once = codec.project(given)
        assert type(once) is type(given)
        assert once.dtype == given.dtype
        assert tuple(once.shape) == w.shape
        assert (to_numpy(codec.project(once)) == to_numpy(once)).all()
        assert (to_numpy(given) == w).all()

    holds()


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_the_code_of_a_projection_is_a_fixed_point(xp, codec):
    w = xp.asarray(gaussian(6, 5))
    code = codec.encode(w)
    assert (to_numpy(codec.decode(codec.refit(codec.decode(code), code))) == to_numpy(decode(code))).all()


@quick
@given(w=arrays, s=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), k=st.integers(1, 5))
def test_a_chain_has_few_values_and_enough_zeros(w, s, k):
    found = (Sparse(s) | Codebook(k)).project(w)
    zeros = round(s * w.size)
    assert np.count_nonzero(found == 0) >= zeros
    assert len(np.unique(found[found != 0])) <= k


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("codec", [Plain(), Sparse(0.5), Codebook(4), Sparse(0.5) | Codebook(4)], ids=str)
def test_any_float_dtype_of_torch(dtype, codec):
    code = codec.encode(torch.from_numpy(gaussian(40)).to(dtype))
    bits = numbers(decode(code))  # numpy has no bfloat16: a file holds its bits
    assert decode(code).dtype == dtype
    assert (decode(code_from_bytes(code_to_bytes(code), (40,), bits.dtype)) == bits).all()


# Composition


def test_composition_is_associative(xp):
    a, b, c = Sparse(0.25), Sparse(0.5), Codebook(3)
    assert (a | b) | c == a | (b | c) == Chain(a, Chain(b, c))
    w = xp.asarray(gaussian(8, 8))
    found = ((a | b) | c).project(w)
    kept = Sparse(1 - 24 / 64).project(w)  # half of three quarters: the 24 largest of 64
    assert (to_numpy(found) != 0).sum() == 24
    assert ((to_numpy(found) != 0) == (to_numpy(kept) != 0)).all()


def test_sparse_in_sparse_costs_no_more_than_sparse():
    w = gaussian(8, 8)
    assert (Sparse(0.5) | Sparse(0.5)).encode(w).nbits() == Sparse(0.75).encode(w).nbits()


def test_a_codebook_of_a_codebook():
    w = gaussian(100)
    found = (Codebook(16) | Codebook(3)).project(w)
    assert len(np.unique(found)) == 3
    fine = Codebook(16).encode(w)
    values = Codebook(3).project(fine.floats["centroids"])
    assert (found == values[fine.symbols["index"]]).all()


def test_codecs_are_values():
    assert Sparse(0.9) | Codebook(4) == Sparse(0.9) | Codebook(4)
    assert hash(Sparse(0.9)) == hash(Sparse(0.9))
    assert repr(Sparse(0.9) | Codebook(4)) == "Chain(first=Sparse(sparsity=0.9), then=Codebook(k=4))"
    with pytest.raises(FrozenInstanceError):
        Sparse(0.9).sparsity = 0.5


def test_a_code_belongs_to_a_kind():
    w = gaussian(5)
    for codec in (Plain(), Sparse(0.5), Codebook(2)):
        assert codec_of(codec.encode(w).kind) is type(codec)
        assert codec.encode(w).kind == (codec | Plain()).kind
    with pytest.raises(ValueError, match="kind is 'round'; allowed: one of plain, sparse, codebook"):
        decode(Code("round", (3,)))


def test_map_reaches_every_array():
    code = (Sparse(0.5) | Codebook(2)).encode(gaussian(10))
    seen = []
    twice = code.map(lambda x: 2 * x, symbols=lambda x: seen.append(x) or x)
    assert [x.dtype.kind for x in seen] == ["i", "i"]
    assert (decode(twice) == 2 * decode(code)).all()


# An earlier code as a start, and new numbers for old symbols


def test_start_keeps_what_a_codebook_learned(xp):
    w = gaussian(30)
    code = Codebook(3).encode(xp.asarray(w))
    moved = replace(code, floats={"centroids": xp.asarray(np.float32([2.0, -1.0, 0.25]))})
    again = Codebook(3).encode(xp.asarray(w), start=moved)
    values = np.float32([-1.0, 0.25, 2.0])
    assert to_numpy(again.floats["centroids"]).tolist() == values.tolist()
    nearest = abs(w[:, None] - values).argmin(1)
    assert to_numpy(again.symbols["index"]).tolist() == nearest.tolist()


@pytest.mark.parametrize("codec", [Sparse(0.5) | Codebook(3), Codebook(8) | Codebook(3)], ids=str)
def test_start_in_a_chain(codec):
    code = codec.encode(gaussian(40))
    learned = code.map(lambda x: x + 1)
    again = codec.encode(gaussian(40, seed=1), start=learned)
    learned_values = np.concatenate(list(flat_floats(learned)))
    assert set(np.concatenate(list(flat_floats(again)))) <= set(learned_values)


def test_start_means_nothing_to_sparse():
    w, v = gaussian(10), gaussian(10, seed=1)
    assert (decode(Sparse(0.5).encode(w, start=Sparse(0.5).encode(v))) == Sparse(0.5).project(w)).all()


def test_refit_keeps_symbols_and_reads_numbers(xp):
    w, v = xp.asarray(gaussian(4, 4)), xp.asarray(gaussian(4, 4, seed=1))
    code = Sparse(0.5).encode(w)
    found = to_numpy(decode(Sparse(0.5).refit(v, code)))
    assert (found == np.where(to_numpy(decode(code)) != 0, to_numpy(v), 0)).all()
    assert Codebook(2).refit(v, "code") == "code"
    assert (to_numpy(decode(Plain().refit(v, None))) == to_numpy(v)).all()


def test_masked(xp):
    w, mask = gaussian(3, 4), np.random.default_rng(1).random((3, 4)) < 0.5
    code = masked(xp.asarray(w), xp.asarray(mask))
    assert (to_numpy(decode(code)) == np.where(mask, w, 0)).all()
    assert to_numpy(code.symbols["positions"]).tolist() == np.flatnonzero(mask).tolist()


# Gradients: under torch only, numpy and array-api-strict have none


def test_decode_is_differentiable_in_its_floats():
    w = torch.from_numpy(gaussian(4, 5)).double()
    for codec in (Plain(), Sparse(0.5), Codebook(3), Sparse(0.4) | Codebook(2), Sparse(0.2) | Sparse(0.5)):
        code = codec.encode(w)
        (values,) = flat_floats(code)

        def of(x, code=code):
            return decode(code.map(lambda _: x))

        assert torch.autograd.gradcheck(of, (values.clone().requires_grad_(),))


def test_the_gradient_of_a_shared_value_is_the_sum_over_its_weights():
    code = (Sparse(0.5) | Codebook(3)).encode(torch.from_numpy(gaussian(6, 6)))
    inner = code.floats["values"]
    centroids = inner.floats["centroids"].clone().requires_grad_()
    weight = torch.from_numpy(gaussian(6, 6, seed=1))
    (decode(code.map(lambda _: centroids)) * weight).sum().backward()
    of_kept = weight.reshape(-1)[code.symbols["positions"]]
    expected = torch.stack([of_kept[inner.symbols["index"] == j].sum() for j in range(3)])
    assert torch.allclose(centroids.grad, expected, rtol=1e-5)  # another order of float32 sums


# Bits


def size_floor(code):
    """Bits that independent symbols take: log2 of the number of such masks, n H of the rest."""
    floor = 0.0
    if "positions" in code.symbols:
        n, k = math.prod(code.shape), len(code.symbols["positions"])
        floor += (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
    if "index" in code.symbols:
        counts = np.bincount(code.symbols["index"])
        p = counts[counts > 0] / counts.sum()
        floor -= counts.sum() * float(p @ np.log2(p))
    floats = [x for x in code.floats.values() if not isinstance(x, Code)]
    distinct = sum(len(np.unique(x)) for x in floats)
    return floor + 16 * distinct + sum(size_floor(x) for x in code.floats.values() if isinstance(x, Code))


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_nbits_is_the_length_of_the_bytes_and_no_less_than_the_entropy(xp, codec):
    code = codec.encode(xp.asarray(gaussian(20, 30)))
    data = code_to_bytes(code)
    assert code.nbits() == 8 * len(data) == 8 * sum(len(stream.data) for stream in streams(code))
    # random float32 have 23 random bits of mantissa each: 16 for each distinct number is below any code
    assert code.nbits() >= size_floor(code_from_bytes(data, code.shape, np.float32))


@pytest.mark.parametrize("codec", CODECS, ids=names)
def test_bytes_and_back(codec):
    @few
    @given(w=arrays)
    def holds(w):
        code = codec.encode(w)
        back = code_from_bytes(code_to_bytes(code), w.shape, w.dtype)
        assert (decode(back) == decode(code)).all()
        assert decode(back).dtype == w.dtype
        assert back.nbits() == code.nbits()

    holds()


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 2, 2, 3), (1, 1, 1, 1, 1, 1)], ids=str)
def test_shapes_that_are_no_matrix(shape):
    w = gaussian(*shape) + np.float32(5)
    for codec in CODECS:
        code = codec.encode(np.asarray(w))
        assert (decode(code_from_bytes(code_to_bytes(code), shape, np.float32)) == decode(code)).all()


def test_streams_say_what_they_are():
    rows = streams((Sparse(0.9) | Codebook(4)).encode(gaussian(100, 10)))
    assert [(s.name, s.count) for s in rows] == [("positions", 100), ("centroids", 4), ("index", 100)]
    assert math.isclose(rows[0].entropy_bits, 1000 * 0.46899559, rel_tol=1e-6)  # n H(0.1)
    assert 0 < rows[2].entropy_bits <= 200


def test_gaussian_weights_stay_above_shannons_floor():
    w = gaussian(2048)
    variance = float((w.astype(np.float64) ** 2).mean())
    chains = [Sparse(s) | Codebook(k) for s in (0.5, 0.9) for k in (1, 4)]
    # Plain isn't among them: float32 numbers are a discrete source, which finitely many bits hold exactly.
    for codec in [*map(Codebook, (1, 2, 4, 16, 64)), *map(Sparse, (0.3, 0.9, 0.99, 1.0)), *chains]:
        code = codec.encode(w)
        rate = code.nbits() / w.size
        distortion = float(((w - decode(code)).astype(np.float64) ** 2).mean())
        assert distortion >= variance * 2 ** (-2 * rate), codec


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\3",  # no such code
        b"\1\1\x09\1\1\x09\0",  # sparse in sparse
        b"\2\0\0",  # a codebook without values
        b"\2\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # of 2**63 - 1 values
        b"\1\xff\xff\xff\xff\xff\x7f",  # positions beyond the end
        b"\0\0\1\2\3",
    ],
)
def test_bytes_that_are_no_code(data):
    with pytest.raises(CorruptFileError):
        code_from_bytes(data, (3, 3), np.float32)


# Bad input


@pytest.mark.parametrize("codec", [Plain(), Sparse(0.5), Codebook(2), Sparse(0.5) | Codebook(2)], ids=str)
@pytest.mark.parametrize(
    ("w", "complaint"),
    [
        (np.zeros((0, 3), np.float32), r"w is empty, shape \(0, 3\)"),
        (np.float32([1, np.nan]), "w holds 1 NaN or infinite entries of 2"),
        (np.float32([1, -np.inf]), "w holds 1 NaN or infinite entries of 2"),
        (np.array([1, 2]), r"w.dtype is .*int64.*; allowed: a real floating dtype"),
        (np.array([True, False]), r"w.dtype is .*bool.*; allowed: a real floating dtype"),
        (np.complex64([1, 2]), r"w.dtype is .*complex64.*; allowed: a real floating dtype"),
    ],
)
def test_bad_weights(xp, codec, w, complaint):
    with pytest.raises(ValueError, match=complaint):
        codec.encode(xp.asarray(w))


def test_weights_that_are_no_array():
    with pytest.raises(ValueError, match=r"w is \[1.0, 2.0\]; allowed: an array"):
        Sparse(0.5).encode([1.0, 2.0])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Sparse(1.2), r"sparsity is 1.2; allowed: a finite number from 0.0 to 1.0"),
        (lambda: Sparse(-0.1), "sparsity is -0.1"),
        (lambda: Sparse(float("nan")), "sparsity is nan"),
        (lambda: Sparse("0.9"), "sparsity is '0.9'"),
        (lambda: Sparse(True), "sparsity is True"),
        (lambda: Codebook(0), "k is 0; allowed: an integer from 1 to 4096"),
        (lambda: Codebook(2.0), "k is 2.0"),
        (lambda: Codebook(5000), "k is 5000"),
        (lambda: Sparse(0.9) | 4, r"a side of \| is 4; allowed: a codec"),
        (lambda: Chain(None, Sparse(0.9)), r"a side of \| is None"),
        (lambda: codec_of("zip"), "kind is 'zip'; allowed: one of plain, sparse, codebook"),
        (lambda: decode(np.ones(3)), "code is .*; allowed: a Code"),
        (
            lambda: masked(np.ones(3), np.ones(3)),
            r"mask is 'float64 of shape \(3,\)'; allowed: bool of shape",
        ),
        (lambda: masked(np.ones(3), np.ones(2, bool)), r"mask is 'bool of shape \(2,\)'"),
    ],
)
def test_bad_arguments(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_a_codec_of_ones_own_must_say_how():
    with pytest.raises(TypeError):
        Codec().encode(np.ones(3))
    with pytest.raises(TypeError):
        Codec().refit(np.ones(3), None)


def comes_back(code, dtype):
    try:
        return decode(code_from_bytes(code_to_bytes(code), code.shape, dtype)).dtype == dtype
    except CorruptFileError:
        return False


DEEP = [LowRank(1) | Uniform(8)]
for _ in range(4):
    DEEP.append(LowRank(1) | DEEP[-1])


@pytest.mark.parametrize("codec", [*DEEP, Sparse(0.5) | Codebook(2), Uniform(4), Codebook(3)], ids=str)
def test_a_reader_takes_what_is_said_to_be_readable(codec):
    code = codec.encode(np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    for dtype in (np.float32, np.float64):
        assert readable(code, np.dtype(dtype)) == comes_back(code, dtype)


def test_too_many_numbers_are_not_readable():
    for n in (65_536 + 8, 65_536 + 9):  # twice the tensor's four, and 65,536
        symbols = {"q": np.zeros(4, np.int64), "more": np.arange(n - 4 - 1) % 3}
        code = Code("uniform", (4,), symbols, {"scale": np.array(1, np.float32)})
        assert readable(code, np.dtype(np.float32)) == comes_back(code, np.float32) == (n == 65_544)
