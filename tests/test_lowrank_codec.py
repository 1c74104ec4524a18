import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Code, Codebook, LowRank, Uniform, attach, bake, decode
from mcomp.codecs.codes import code_from_bytes, code_to_bytes
from mcomp.coding.bits import CorruptFileError
from mcomp.file import load, save
from mcomp.lowrank import break_even

quick = settings(derandomize=True, deadline=None, max_examples=60)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (4, 3, 2, 2), (1, 6), (6, 1)])
@pytest.mark.parametrize("rank", [1, 3, 99])
def test_project_is_the_truncated_svd(xp, shape, rank):
    w = normal(*shape)
    u, s, vt = np.linalg.svd(w.reshape(shape[0], -1), full_matrices=False)
    nearest = (u[:, :rank] * s[:rank] @ vt[:rank]).reshape(shape)
    found = LowRank(rank).project(xp.asarray(w))
    assert type(found) is type(xp.asarray(w))
    assert np.allclose(to_numpy(found), nearest, rtol=0, atol=1e-12)


@quick
@given(m=st.integers(1, 12), n=st.integers(1, 12), rank=st.integers(1, 12), seed=st.integers(0, 99))
def test_numpy_and_torch_decode_to_the_same_bits_also_from_a_file(m, n, rank, seed):
    w = normal(m, n, seed=seed).astype(np.float32)
    code = LowRank(rank).encode(w)
    plain = decode(code)
    other = decode(code.map(torch.asarray, symbols=torch.asarray))
    read = decode(code_from_bytes(code_to_bytes(code), w.shape, w.dtype))
    assert plain.dtype == np.float32
    assert plain.tobytes() == other.numpy().tobytes() == read.tobytes()


def test_factors_are_balanced_and_counted():
    code = LowRank(8).encode(normal(50, 30))
    factors = code.floats["factors"]
    assert factors.shape == (8, 80)
    assert np.linalg.norm(factors[:, :50], axis=1) == pytest.approx(np.linalg.norm(factors[:, 50:], axis=1))
    assert code.nbits() == 8 * len(code_to_bytes(code))


def test_above_break_even_the_code_is_larger():
    w = normal(60, 40).astype(np.float32)
    sizes = [LowRank(rank).encode(w).nbits() for rank in (20, 40)]
    assert sizes[0] < 32 * w.size < sizes[1]
    assert 20 < break_even(60, 40) < 40


@pytest.mark.parametrize("then", [Uniform(8), Uniform(8, axis=0), Codebook(64)], ids=str)
def test_chains_describe_the_factors(xp, then):
    w = normal(40, 30).astype(np.float32)
    alone, chain = LowRank(4), LowRank(4) | then
    code = chain.encode(xp.asarray(w))
    assert isinstance(code.floats["factors"], Code)
    assert code.floats["factors"].shape == (4, 70)
    near, far = (to_numpy(codec.project(xp.asarray(w))) for codec in (alone, chain))
    assert np.linalg.matrix_rank(far, tol=1e-4) == 4
    assert 0 < np.linalg.norm(near - far) < 0.1 * np.linalg.norm(near)  # 8 and 6 bits: steps of 1 and 4 %
    if xp is np:
        data = code_to_bytes(code)
        assert code.nbits() == 8 * len(data) < 0.5 * alone.encode(w).nbits()
        assert decode(code_from_bytes(data, w.shape, w.dtype)).tobytes() == decode(code).tobytes()


def test_gradients_flow_to_the_factors():
    code = LowRank(2).encode(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    factors = code.floats["factors"].requires_grad_()
    decode(code).square().sum().backward()
    up, down = factors.detach()[:, :5].T, factors.detach()[:, 5:]
    expected = torch.cat([2 * (up @ down @ down.T).T, 2 * up.T @ up @ down], dim=1)
    assert torch.allclose(factors.grad, expected, atol=1e-4)  # float32


@quick
@given(seed=st.integers(0, 999), rank=st.integers(1, 4))
def test_refit_is_between_the_old_factors_and_the_best(seed, rank):
    w = normal(6, 5, seed=seed)
    code, moved = LowRank(rank).encode(w), w + 0.1 * normal(6, 5, seed=seed + 1)
    again = LowRank(rank).refit(moved, code)

    def error(code):
        return np.linalg.norm(moved - decode(code))

    assert error(LowRank(rank).encode(moved)) <= error(again) + 1e-12
    assert error(again) <= error(code) + 1e-12
    assert np.allclose(decode(LowRank(rank).refit(w, code)), decode(code), rtol=0, atol=1e-9)
    started = LowRank(rank).encode(moved, start=code)
    assert (started.floats["factors"] == again.floats["factors"]).all()


@pytest.mark.parametrize("refresh", ["step", "never"])
def test_attached_it_learns_bakes_and_is_saved(tmp_path, refresh):
    torch.manual_seed(0)
    model = zoo.build("lenet300", hidden=(20, 10))
    attach(model, {"fc1.weight": LowRank(3) | Uniform(8), "fc2.weight": LowRank(2)}, refresh=refresh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(64, 1, 28, 28), torch.arange(64) % 10
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.eval()
    answers, path = model(x), tmp_path / "low.safetensors"
    save(model, path)
    assert torch.equal(load(path)(x), answers)
    plain = bake(model)
    assert torch.linalg.matrix_rank(plain.fc2.weight, rtol=1e-4) == 2
    assert torch.equal(plain(x), answers)


@pytest.mark.parametrize(
    ("shape", "factors"),
    [
        ((4, 3), np.ones((2, 6))), ((4, 3), np.ones((2, 8))), ((4, 3), np.ones((4, 7))),
        ((4, 3), np.ones((0, 7))),
        ((4, 3), np.ones(14)), ((4, 3), np.ones((2, 7), int)), ((4, 3), np.ones((2, 7), np.float16)),
        ((4, 3), np.ones((1, 2, 7))), ((12,), np.ones((1, 13))),
        ((), np.ones((1, 2))), ((0, 3), np.ones((1, 3))),
    ],
)  # fmt: skip
def test_hostile_codes(shape, factors):
    code = Code("lowrank", shape, floats={"factors": factors})
    with pytest.raises(ValueError, match="allowed: "):
        decode(code)
    if factors.dtype != int:
        with pytest.raises(CorruptFileError):
            code_from_bytes(code_to_bytes(code), shape, np.float64)


def test_truncated_and_changed_bytes_are_refused_or_decode():
    data = code_to_bytes(LowRank(2).encode(normal(5, 4).astype(np.float32)))
    rng, refused = np.random.default_rng(0), 0
    for i in range(300):
        changed = bytearray(data[: rng.integers(1, len(data))] if i % 2 else data)
        changed[rng.integers(len(changed))] = rng.integers(256)
        try:
            code = code_from_bytes(bytes(changed), (5, 4), np.float32)
        except CorruptFileError:
            refused += 1
        else:
            with np.errstate(all="ignore"):  # a changed exponent may overflow
                assert math.prod(decode(code).shape) == 20
    assert refused > 100


@pytest.mark.parametrize("rank", [0, -1, 2.0, True, "8"])
def test_bad_ranks(rank):
    with pytest.raises(ValueError, match="rank is"):
        LowRank(rank)


@pytest.mark.parametrize(
    "w", [np.ones(5), np.array(1.0), np.ones((0, 3)), np.array([[np.nan]]), np.ones((2, 2), int)]
)
def test_bad_tensors(w):
    with pytest.raises(ValueError, match="allowed: "):
        LowRank(1).encode(w)


def test_bfloat16_is_refused():
    with pytest.raises(ValueError, match="float32 or float64"):
        LowRank(1).encode(torch.ones(2, 2, dtype=torch.bfloat16))
