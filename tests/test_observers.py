import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.stats import entropy
from torch.ao.quantization.observer import MinMaxObserver, MovingAverageMinMaxObserver

from mcomp.quantize.histograms import (
    Histogram,
    clipped_divergence,
    entropy_range,
    least_squares_range,
    percentile_range,
)
from mcomp.quantize.observers import Entropy, LeastSquares, MinMax, MovingAverage, Percentile

quick = settings(derandomize=True, deadline=None, max_examples=20)
floats = npst.arrays(
    np.float32, npst.array_shapes(max_dims=3, max_side=6), elements=st.floats(-1e3, 1e3, width=32)
)
batches = st.lists(floats, min_size=1, max_size=5)


@quick
@given(parts=batches)
def test_extremes_are_those_of_torch(xp, parts):
    for ours, theirs in (
        (MinMax(), MinMaxObserver()),
        (MovingAverage(0.25), MovingAverageMinMaxObserver(averaging_constant=0.25)),
    ):
        for part in parts:
            ours.update(xp.asarray(part.copy()))
            theirs(torch.tensor(part))
        expected = float(theirs.min_val), float(theirs.max_val)
        np.testing.assert_allclose(ours.range(), expected, rtol=1e-5, atol=1e-3)  # theirs runs in float32


@quick
@given(parts=batches, power=st.integers(-40, 40))
def test_histogram_counts_what_numpy_counts(xp, parts, power):
    parts, histogram = [(part * 2.0**power).astype(np.float64) for part in parts], Histogram()
    for part in parts:
        histogram.update(xp.asarray(part.copy()))
    everything = np.concatenate([part.ravel() for part in parts])
    counts, edges = histogram.counts, histogram.edges
    assert counts.sum() == everything.size
    assert (edges[0], edges[-1]) == (everything.min(), everything.max())
    assert (np.diff(edges) >= 0).all()
    # an entry on a border may fall to either side by rounding: cumulative counts bracket numpy's
    below, slack = np.cumsum(counts)[:-1], 1e-12 * abs(edges[1:-1])
    for e, b, s in zip(edges[1:-1], below, slack, strict=True):
        assert (everything < e - s).sum() <= b <= (everything <= e + s).sum()
    filled = counts > 0
    width, size = np.diff(edges)[filled], np.minimum(abs(edges[1:]), abs(edges[:-1]))[filled]
    assert (width <= size / 2048 * (1 + 1e-9) + 2.0**-999).all()


def test_the_order_of_batches_says_nothing():
    chance = np.random.default_rng(0)
    parts = [scale * chance.normal(size=200) for scale in (1e-3, 1.0, 1e5)]
    one, two, three = Histogram(), Histogram(), Histogram()
    for part in parts:
        one.update(part)
    for part in reversed(parts):
        two.update(part)
    three.update(np.concatenate(parts))
    for other in (two, three):
        assert np.array_equal(one.counts, other.counts)
        assert np.array_equal(one.edges, other.edges)


@pytest.mark.parametrize("outlier", [1e6, -3e4, 1e30])
def test_one_outlier_leaves_quantiles_and_the_divergence_alone(outlier):
    """Of 20,000 entries one: it moves no quantile of 99.9 %, nor what most of the entries tell."""
    x = np.random.default_rng(0).normal(size=20_000)
    spoiled = np.append(x[1:], outlier)
    for order in (1, -1):  # it may come first or last
        for make, near in ((lambda: Percentile(0.999), 0.1), (lambda: Entropy(4), 0.5)):
            ranges = []
            for batches in ([x], np.array_split(spoiled, 4)[::order]):
                observer = make()
                for batch in batches:
                    observer.update(batch)
                ranges.append(observer.range())
            np.testing.assert_allclose(*ranges, rtol=0, atol=near)
    tails = np.quantile(spoiled, [0.0005, 0.9995])
    observer = Percentile(0.999)
    observer.update(spoiled)
    np.testing.assert_allclose(observer.range(), tails, rtol=0, atol=0.05)  # gaps of the sample's tail


@pytest.mark.parametrize(("outlier", "n"), [(1e6, 4000), (60.0, 4000), (60.0, 40_000)])
@pytest.mark.parametrize("bits", [4, 8])
def test_least_squares_with_an_outlier_beats_a_finer_search(outlier, n, bits):
    """Squared error may well give up all other entries for one; what counts is that it is least."""
    x = np.append(np.random.default_rng(1).normal(size=n), outlier)
    observer = LeastSquares(bits, symmetric=True)
    observer.update(x)
    ours = rounding_error(x, *observer.range(), bits, True)
    every = [rounding_error(x, -t, t, bits, True) for t in np.geomspace(1, outlier, 25)]
    assert ours <= 1.02 * min(every)  # as above


@quick
@given(seed=st.integers(0, 2**31), fraction=st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentile_is_numpy_quantile(seed, fraction):
    x = np.random.default_rng(seed).gamma(2, size=5000)
    observer = Percentile(fraction)
    for part in np.split(x, 5):
        observer.update(part)
    tail = (1 - fraction) / 2
    # a bin's width, and the gap between two neighbours in the sparse upper tail of a sample
    near = x.max() / 2048 + np.diff(np.sort(x)[-60:]).max()
    np.testing.assert_allclose(observer.range(), np.quantile(x, [tail, 1 - tail]), rtol=0, atol=near)


def rounding_error(x, low, high, bits, symmetric):
    """Squared error of the plain affine grid over [low, high], by torch."""
    if symmetric:
        qmin, qmax = 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1
        scale, zero = max(-low, high) / qmax, 0
    else:
        qmin, qmax = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        scale = (high - low) / (qmax - qmin)
        zero = min(max(round(qmin - low / scale), qmin), qmax)
    y = torch.fake_quantize_per_tensor_affine(torch.tensor(x, dtype=torch.float32), scale, zero, qmin, qmax)
    return float((y.double() - torch.tensor(x)).square().sum())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_least_squares_beats_every_clip_of_a_finer_search(bits, symmetric):
    rng = np.random.default_rng(bits)
    for x in (rng.normal(size=4000), np.maximum(0, rng.laplace(size=4000)), rng.normal(2, 1, size=4000)):
        observer = LeastSquares(bits, symmetric=symmetric)
        observer.update(x)
        ours = rounding_error(x, *observer.range(), bits, symmetric)
        low, high = min(x.min(), 0), max(x.max(), 0)
        every = [rounding_error(x, a * low, a * high, bits, symmetric) for a in np.linspace(0.02, 1, 197)]
        # hundredths and the histogram's bins cost less than two percent against this search on the data
        assert ours <= 1.02 * min(every)


def divergence_loop(counts, kept, levels):
    """KL divergence of the clipped histogram, written out; scipy does the sum."""
    p, pools = [float(c) for c in counts[:kept]], [[] for _ in range(levels)]
    for i in range(kept):
        pools[i * levels // kept].append(i)
    p[-1] += float(sum(counts[kept:]))
    q = [0.0] * kept
    for pool in pools:
        mass, filled = sum(float(counts[i]) for i in pool), [i for i in pool if p[i] > 0]
        for i in filled:
            q[i] = mass / len(filled)
    return entropy(p, q)


@quick
@given(
    counts=st.lists(st.integers(0, 9), min_size=4, max_size=24).filter(lambda c: sum(c[:4]) > 0),
    levels=st.sampled_from([2, 4]),
    data=st.data(),
)
def test_divergence_is_the_loop_with_scipy(counts, levels, data):
    kept = data.draw(st.integers(levels, len(counts)))
    if sum(counts[:kept]) == 0:
        return
    ours = clipped_divergence(np.array(counts), kept, levels=levels)
    np.testing.assert_allclose(ours, divergence_loop(counts, kept, levels), rtol=1e-9, atol=1e-12)


def test_entropy_clips_near_onnx_runtime():
    import os

    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from onnxruntime.quantization.calibrate import HistogramCollector

    x = np.random.default_rng(0).laplace(size=100_000)
    top = abs(x).max()
    counts, edges = np.histogram(x, 2048, (-top, top))
    collector = HistogramCollector("entropy", True, 2048, 128, 0, "symmetric")
    theirs = float(collector.get_entropy_threshold((counts, edges, x.min(), x.max()), 128)[1])
    ours = entropy_range(counts, edges, bits=7)[1]  # 128 levels over both signs, as theirs
    # theirs smooths empty bins and tries every bin, ours a hundred clips of a finer histogram of |x|
    assert abs(ours - theirs) < 0.25 * theirs
    assert max(ours, theirs) < 0.9 * top


def test_entropy_of_a_relu_ignores_the_exact_zeros():
    x = abs(np.random.default_rng(0).laplace(size=50_000))
    found = []
    for zeros in (0, 500_000):
        observer = Entropy(4)
        observer.update(np.append(x, np.zeros(zeros)))
        found.append(observer.range())
    assert found[0] == found[1]
    assert found[0][0] == 0.0


def test_all_zero_activations_have_a_range():
    for observer in (MinMax(), MovingAverage(), Percentile(), LeastSquares(4), Entropy(4)):
        observer.update(np.zeros(100))
        low, high = observer.range()
        assert -1e-6 < low <= high < 1e-6


def test_bad_input():
    for call in (
        lambda: MinMax().range(),
        lambda: MinMax().update(np.zeros(0)),
        lambda: MinMax().update(np.array([np.nan])),
        lambda: MovingAverage(1.5),
        lambda: Percentile(99.9),
        lambda: Percentile().range(),
        lambda: Percentile().edges,
        lambda: Histogram().counts,
        lambda: LeastSquares(1),
        lambda: LeastSquares(4).range(),
        lambda: Entropy(4).range(),
        lambda: Entropy(40),
        lambda: Histogram().update(np.array([np.inf])),
        lambda: least_squares_range(np.zeros(3), np.arange(4.0), bits=4),
        lambda: percentile_range(np.ones(3), np.arange(4.0), fraction=-1),
    ):
        with pytest.raises(ValueError, match="allowed: "):
            call()
