"""Streams that are coded side by side are, byte for byte, those that are coded alone."""

import numpy as np
import pytest

from mcomp.coding import abreast, batch, lanes
from mcomp.coding.batch import Bits, Decode, Encode, Table, run, run_all
from mcomp.coding.bits import CorruptFileError
from mcomp.coding.entropy import histogram, quantize_counts
from mcomp.coding.rans import rans_decode_steps, rans_encode, rans_encode_steps


def table_stream(rng, n, count, precision, alphabet):
    """What `Encode` takes of random symbols, the symbols, and what decodes them."""
    s = rng.binomial(alphabet - 1, rng.uniform(0.1, 0.9), n)
    freqs = quantize_counts(histogram(s, alphabet), precision)
    starts = np.cumsum(freqs) - freqs
    request = Encode(n, count, precision, lambda a, b: (freqs[s[a:b]], starts[s[a:b]]))
    return request, s, Table(freqs, np.dtype(np.uint8))


def bit_stream(rng, n, count, precision, alphabet):
    m, p1 = 1 << precision, rng.integers(1, 1 << precision, n)
    bits = rng.random(n) < p1 / m
    f, c = np.where(bits, p1, m - p1), np.where(bits, m - p1, 0)
    return Encode(n, count, precision, lambda a, b: (f[a:b], c[a:b])), bits, Bits(p1, precision)


SHAPES = [(1, 1), (7, 3), (500, 1), (501, 4), (3000, 90), (90, 90), (2000, 13), (64, 31), (4000, 600)]


@pytest.mark.parametrize("make", [table_stream, bit_stream])
@pytest.mark.parametrize("precisions", [(12,), (16,), (6, 9, 14)])
def test_side_by_side_as_alone(make, precisions):
    rng = np.random.default_rng(0)
    cases = [make(rng, n, k, precisions[i % len(precisions)], 12) for i, (n, k) in enumerate(SHAPES)]
    alone = [lanes.encode(r.n, r.lanes, r.precision, r.intervals) for r, _, _ in cases]
    together = batch._serve([r for r, _, _ in cases])
    for (states, words), (x, w) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(states, x)
        np.testing.assert_array_equal(words, w)
    asked = [
        Decode(r.n, x.copy(), w.astype(np.int64), r.precision, model)
        for (r, _, model), (x, w) in zip(cases, alone, strict=True)
    ]
    for (_, symbols, model), found in zip(cases, batch._serve(asked), strict=True):
        assert found.dtype == model.dtype
        np.testing.assert_array_equal(found, symbols)


@pytest.mark.parametrize("make", [table_stream, bit_stream])
@pytest.mark.parametrize("n", [3000, 100_000])  # few lanes, and many
def test_a_stream_that_is_cut_or_too_long(make, n):
    rng = np.random.default_rng(1)
    request, _, model = make(rng, n, max(1, n // 500), 12, 12)
    states, words = lanes.encode(request.n, request.lanes, 12, request.intervals)
    for bad in (words[:-1], np.append(words, 1), words[:0]):
        with pytest.raises(CorruptFileError):
            batch._serve([Decode(n, states.copy(), bad.astype(np.int64), 12, model)])


def test_generators_side_by_side():
    rng = np.random.default_rng(2)
    streams = [rng.binomial(20, 0.3, n) for n in (0, 1, 40, 5000, 70_000)]
    data = run_all([rans_encode_steps(s, 21) for s in streams])
    assert data == [rans_encode(s, 21) for s in streams]
    pairs = zip(streams, data, strict=True)
    back = run_all([rans_decode_steps(d, len(s), 21) for s, d in pairs])
    for s, found in zip(streams, back, strict=True):
        np.testing.assert_array_equal(found, s)


def test_many_short_streams_take_few_steps_of_numpy(monkeypatch):
    """The work of a network of many small layers: steps are counted, not seconds."""
    rng, steps = np.random.default_rng(3), []
    counted = abreast._decode_span

    def count(layout, span, *rest):
        steps.extend(span)
        return counted(layout, span, *rest)

    monkeypatch.setattr(abreast, "_decode_span", count)
    streams = [np.clip(rng.normal(128, 30, 8000).astype(int), 0, 255) for _ in range(40)]
    data = [rans_encode(s, 256) for s in streams]
    run_all([rans_decode_steps(d, 8000, 256) for d in data])
    assert 0 < len(steps) < 8000 < sum(map(len, streams)) / 20


def test_run_returns_what_the_generator_returns():
    def steps():
        return 3
        yield

    assert run(steps()) == 3
