"""A codebook with a price on bits: without a price k-means, with one shorter; the same file; in training."""

import numpy as np
import pytest
import torch

import mcomp
from mcomp.arrays import to_numpy
from mcomp.codecs import Codebook, Sparse, attach, bake, decode
from mcomp.codecs.attachment import codes
from mcomp.codecs.codes import code_from_bytes, code_to_bytes
from mcomp.codecs.priced import PricedCodebook
from mcomp.coding.entropy import entropy
from mcomp.quantize.rate_levels import entropy_constrained

W = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)


def bits(code):
    return entropy(np.bincount(to_numpy(code.symbols["index"])))


def test_without_a_price_it_is_a_codebook(xp):
    w = xp.asarray(W)
    plain, priced = Codebook(6).encode(w), PricedCodebook(6).encode(w)
    assert (to_numpy(plain.symbols["index"]) == to_numpy(priced.symbols["index"])).all()
    # the means of the same entries, summed in another order
    assert to_numpy(priced.floats["centroids"]) == pytest.approx(
        to_numpy(plain.floats["centroids"]), abs=1e-6
    )


def test_with_a_price_it_is_the_turns_of_chou_and_shorter(xp):
    w, lam = xp.asarray(W), 0.15
    code = PricedCodebook(8, lam).encode(w)
    levels, _ = mcomp.quantize.kmeans_1d(W.reshape(-1), 8)
    found = entropy_constrained(W.reshape(-1), levels, lam=lam * float(W.var()))
    assert to_numpy(code.floats["centroids"]) == pytest.approx(found.levels, abs=1e-6)
    assert bits(code) < bits(Codebook(8).encode(w)) - 0.2
    again = PricedCodebook(8, lam).encode(w, start=code)
    assert bits(again) <= bits(code) + 0.05


def test_the_file_is_that_of_a_codebook():
    code = PricedCodebook(8, 0.15).encode(W)
    data = code_to_bytes(code)
    assert code.kind == "codebook"
    assert (decode(code_from_bytes(data, W.shape, np.float32)) == decode(code)).all()
    assert len(data) < len(code_to_bytes(Codebook(8).encode(W)))


def test_levels_that_crossed_in_training_are_sorted():
    code = Codebook(3).encode(np.array([0.0, 1.0, 2.0, 2.0]))
    code.floats["centroids"][:] = [2.0, 1.0, 0.0]
    found = PricedCodebook(3, 0.01).encode(np.array([0.1, 0.9, 1.9, 2.1]), start=code)
    assert found.floats["centroids"].tolist() == [0.0, 1.0, 2.0]
    assert found.symbols["index"].tolist() == [0, 1, 2, 2]


def test_it_trains_and_the_file_loads(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(10, 12), torch.nn.ReLU(), torch.nn.Linear(12, 4))
    attach(model, {"*.weight": Sparse(0.5) | PricedCodebook(8, 0.05)}, refresh="step")
    optimizer, x = torch.optim.Adam(model.parameters(), lr=0.01), torch.randn(20, 10)
    for _ in range(10):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    assert all(code.floats["values"].kind == "codebook" for code in codes(model).values())
    expected = model.eval()(x)
    mcomp.save(model, tmp_path / "small")
    assert torch.equal(mcomp.load(tmp_path / "small", model=bake(model))(x), expected)


def test_bad_input():
    with pytest.raises(ValueError, match="lam is -1"):
        PricedCodebook(3, -1.0)
    with pytest.raises(ValueError, match="k is 0"):
        PricedCodebook(0)
