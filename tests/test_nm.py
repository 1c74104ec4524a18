"""N:M masks and the codec that keeps N of every M weights."""

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import mcomp
from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Codebook, NMSparse, Sparse, attach, bake, codec_of, decode
from mcomp.codecs.codes import code_from_bytes, code_to_bytes
from mcomp.prune import nm_mask, nm_patterns

quick = settings(derandomize=True, deadline=None, max_examples=60)
few = st.integers(-2, 2).map(float)  # five values: ties everywhere


def best_by_brute_force(row, n, m):
    """Of all patterns the one that keeps the most; among equals the first in lexicographic order."""
    kept = []
    for start in range(0, len(row), m):
        group = row[start : start + m]
        best = max(combinations(range(m), n), key=lambda kept: sum(group[i] for i in kept))
        kept += [i in best for i in range(m)]
    return kept


@quick
@given(data=st.data(), m=st.integers(1, 6), groups=st.integers(1, 3), rows=st.integers(1, 3))
def test_the_mask_is_the_best_of_all_patterns(xp, data, m, groups, rows):
    n = data.draw(st.integers(0, m))
    a = data.draw(npst.arrays(np.float32, (rows, groups * m), elements=few))
    mask = nm_mask(xp.asarray(a.copy()), n, m=m)
    assert mask.dtype == xp.bool
    assert to_numpy(mask).tolist() == [best_by_brute_force(row, n, m) for row in a.tolist()]


@quick
@given(a=npst.arrays(np.float64, (4, 8), elements=st.floats(-9, 9)))
def test_the_codec_is_the_projection(a):
    near = NMSparse(2, 4).project(a)
    ours = ((a - near) ** 2).sum(axis=1)
    for row, error in zip(a, ours, strict=True):
        every = [
            ((row * ~np.concatenate([p, q])) ** 2).sum() for p in nm_patterns(2, 4) for q in nm_patterns(2, 4)
        ]
        assert error <= min(every) * (1 + 1e-12)  # two sums in another order
    assert np.array_equal(NMSparse(2, 4).project(near), near)
    assert (np.count_nonzero(near.reshape(4, 2, 4), axis=-1) <= 2).all()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -4])
def test_neighbours_along_any_axis(xp, axis):
    a = np.random.default_rng(0).normal(size=(4, 8, 12, 4))
    last = np.moveaxis(a, axis, -1)
    flat = last.reshape(-1, last.shape[-1])
    expected = np.array([best_by_brute_force(row, 1, 4) for row in flat.tolist()]).reshape(last.shape)
    assert np.array_equal(
        to_numpy(nm_mask(xp.asarray(a), 1, m=4, axis=axis)), np.moveaxis(expected, -1, axis)
    )


def test_agrees_with_torch_ao():
    from torch.ao.pruning import WeightNormSparsifier

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 8))
    w = model[0].weight.detach().clone()
    peer = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    peer.prepare(model, [{"tensor_fqn": "0.weight"}])
    peer.step()
    peer.squash_mask()
    assert torch.equal(model[0].weight != 0, nm_mask(abs(w), 2, m=4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8])
def test_any_real_dtype(dtype):
    score = torch.tensor([[1, 3, 3, 2]]).to(dtype)
    assert nm_mask(score, 2, m=4).tolist() == [[False, True, True, False]]


def test_patterns():
    for n, m in ((0, 3), (1, 2), (2, 4), (4, 4)):
        found = nm_patterns(n, m)
        assert len({tuple(p) for p in found.tolist()}) == len(found) == len(list(combinations(range(m), n)))
        assert (found.sum(1) == n).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: nm_mask(np.ones((2, 6)), 2, m=4),
        lambda: nm_mask(np.ones((2, 8)), 5, m=4),
        lambda: nm_mask(np.ones((2, 8)), -1, m=4),
        lambda: nm_mask(np.ones((2, 8)), 2, m=0),
        lambda: nm_mask(np.ones((2, 8)), 2, m=4, axis=2),
        lambda: nm_mask(np.array([[1.0, np.nan]]), 1, m=2),
        lambda: nm_mask(np.ones((0, 4)), 2, m=4),
        lambda: nm_mask(np.ones((2, 4), bool), 2, m=4),
        lambda: nm_patterns(3, 2),
        lambda: nm_patterns(1, 17),
        lambda: NMSparse(3, 2),
        lambda: NMSparse(2, 0),
        lambda: NMSparse(2.0, 4),
        lambda: NMSparse(2, 4).encode(np.array(1.0)),
        lambda: NMSparse(2, 4).encode(np.ones((4, 1, 3, 3))),
        lambda: NMSparse(2, 4).encode(np.array([1, 2, 3, 4])),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()


def test_the_codec_on_every_library_and_on_a_vector(xp):
    w = np.random.default_rng(1).normal(size=(3, 8, 2, 2)).astype(np.float32)
    near = to_numpy(NMSparse(1, 4).project(xp.asarray(w)))
    assert np.array_equal(near, w * nm_mask(abs(w), 1, m=4))
    assert np.array_equal(NMSparse(1, 2).project(np.array([1.0, -2.0])), [0.0, -2.0])


def test_its_codes_are_sparse_codes():
    w = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    code = NMSparse(2, 4).encode(w)
    assert code.kind == "sparse"
    assert codec_of("sparse") is Sparse
    read = code_from_bytes(code_to_bytes(code), w.shape, w.dtype)
    assert np.array_equal(decode(read), decode(code))
    assert code.nbits() == 8 * len(code_to_bytes(code))
    assert np.array_equal(decode(NMSparse(2, 4).refit(2 * w, code)), 2 * decode(code))


def test_chained_with_a_codebook():
    w = np.random.default_rng(2).normal(size=(6, 8)).astype(np.float32)
    near = (NMSparse(2, 4) | Codebook(4)).project(w)
    assert np.array_equal(near != 0, nm_mask(abs(w), 2, m=4))
    assert len(np.unique(near)) == 5


@pytest.mark.parametrize(("refresh", "gradient"), [("never", "masked"), ("step", "dense")])
def test_trained_saved_and_loaded(tmp_path, refresh, gradient):
    torch.manual_seed(0)
    model = zoo.build("lenet300", hidden=(12, 8))
    attach(model, {"*.weight": NMSparse(2, 4)}, refresh=refresh, gradient=gradient)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = copy.deepcopy(model.fc2.weight.detach())
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(16, 1, 28, 28)).square().mean().backward()
        optimizer.step()
    assert not torch.equal(before, model.fc2.weight)
    mcomp.save(model, tmp_path / "nm.safetensors")
    again, x = mcomp.load(tmp_path / "nm.safetensors"), torch.randn(3, 1, 28, 28)
    assert torch.equal(again(x), bake(model.eval())(x))
    for name in ("fc1", "fc2", "fc3"):
        w = again.get_submodule(name).weight
        assert ((w.reshape(w.shape[0], -1, 4) != 0).sum(-1) == 2).all()
