"""Streams counted side by side: as if each were counted alone, in few calls however many there are."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mcomp import zoo
from mcomp.codecs import Codebook, LowRank, Sparse, Uniform, attach
from mcomp.coding import counted, range_lanes
from mcomp.coding.counted import MAX_ADAPTIVE, Count
from mcomp.coding.entropy import entropy, histogram
from mcomp.coding.streams import least_packed, pack_symbols
from mcomp.coding.tables import least_table
from mcomp.file import load, save


def learned_bits(s, width):
    """What symbols cost a decision at a time, each under how often it was one at its node: the oracle."""
    seen, bits = {}, 0.0
    for symbol in s.tolist():
        for depth in range(width):
            ones, n = seen.get(node := (depth, symbol >> (width - depth)), (0, 0))
            bit = symbol >> (width - 1 - depth) & 1
            chance = (ones + 0.5) / (n + 1)
            bits -= math.log2(chance if bit else 1 - chance)
            seen[node] = ones + bit, n + 1
    return bits


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([2, 3, 17, 256, 700]), st.integers(1, 400)), min_size=1, max_size=9)
)
def test_as_each_alone(streams):
    rng = np.random.default_rng(len(streams))
    drawn = [(rng.binomial(k - 1, rng.uniform(0, 1), n).astype(np.uint16), k) for k, n in streams]
    for (s, k), x in zip(drawn, Count.serve([Count(s, k) for s, k in drawn]), strict=True):
        np.testing.assert_array_equal(x.counts, histogram(s, k))
        assert x.present == len(set(s.tolist()))
        assert x.table == least_table(x.counts)
        assert 8 * x.floor == pytest.approx(s.size * entropy(x.counts), abs=1e-6)
        assert 8 * x.adaptive == pytest.approx(learned_bits(s, (k - 1).bit_length()), abs=1e-6)


def test_long_streams_are_counted_by_pieces(monkeypatch):
    s = np.random.default_rng(0).integers(0, 200, 70_000).astype(np.uint8)
    whole = Count.serve([Count(s, 256)])[0]
    monkeypatch.setattr(counted, "PIECE", 999)
    again = Count.serve([Count(s, 256)])[0]
    np.testing.assert_array_equal(whole.counts, again.counts)
    assert s.size * 8 > MAX_ADAPTIVE
    assert whole.adaptive == math.inf


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.sampled_from([2, 5, 16, 256]), st.integers(1, 600), st.floats(0.02, 20), st.integers(0, 2**32 - 1))
def test_no_stream_is_shorter_than_its_least(alphabet, n, spread, seed):
    rng = np.random.default_rng(seed)
    s = np.minimum(rng.exponential(spread, n), alphabet - 1).astype(np.uint8)
    assert least_packed(Count.serve([Count(s, alphabet)])[0], n) <= len(pack_symbols(s, alphabet))


def stack(layers, codec=None):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(16, 16) for _ in range(layers)))
    if codec is not None:
        attach(model, {"*.weight": codec})
    return model


CODECS = [None, Uniform(8, axis=0), Sparse(0.8), Sparse(0.8) | Codebook(4), LowRank(2) | Uniform(8)]


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_more_layers_take_no_more_calls(tmp_path, monkeypatch, codec):
    """The work of a network of many small layers: calls that serve many streams are counted, not seconds."""
    calls, coded = [], []
    monkeypatch.setattr(counted, "_counted", lambda s, k, f=counted._counted: calls.append(len(s)) or f(s, k))
    monkeypatch.setattr(range_lanes, "_encode", lambda r, f=range_lanes._encode: coded.append(len(r)) or f(r))
    seen = []
    for layers in (8, 64):
        calls.clear(), coded.clear()
        save(stack(layers, codec), tmp_path / "x", progress=False)
        seen.append((len(calls), len(coded), sum(calls), sum(coded)))
    (few, some, streams, bits), (more, others, many, more_bits) = seen
    assert many > 6 * streams  # eight times the layers have about eight times the streams
    assert more <= few + 40  # alphabets differ from layer to layer: at most one call for each in a round
    assert others <= some + 3
    assert more_bits >= 6 * bits


@pytest.mark.parametrize("name", ["lenet300", "lenet5", "resnet", "tinygpt"])
def test_a_shipped_file_is_not_longer_when_saved_again(tmp_path, name):
    """They were written by earlier versions of this package, whose files open as ever."""
    path = zoo.weights(name)
    again = save(load(path, progress=False), tmp_path / "x", progress=False)
    assert again <= path.stat().st_size
