"""The roof by pencil; the measurement on a clock that the test sets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.measure import machine as module
from mcomp.measure.costs import macs_by_layer
from mcomp.measure.machine import Roofline, roofline


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.floats(1e6, 1e15), st.floats(1e6, 1e13), st.floats(0, 1e6))
def test_under_both_ceilings_and_touching_one(flops, bandwidth, intensity):
    roof = Roofline(flops, bandwidth)
    found = roof.attainable(intensity)
    assert found == min(flops, bandwidth * intensity)
    assert roof.limit(intensity) == ("memory" if bandwidth * intensity < flops else "compute")
    # One division and one product, each rounded once.
    assert roof.attainable(roof.ridge) == pytest.approx(flops, rel=4e-16)


def test_arrays_come_back_as_arrays():
    found = Roofline(8.0, 2.0).attainable(np.array([[0, 1], [4, 9]]))
    np.testing.assert_array_equal(found, [[0, 2], [8, 8]])


@pytest.mark.parametrize("intensity", [-1, float("nan"), [1, -2]])
def test_a_negative_intensity_is_refused(intensity):
    with pytest.raises(ValueError, match=r"intensity is .*; allowed: "):
        Roofline(8.0, 2.0).attainable(intensity)


def test_the_fastest_run_counts(monkeypatch):
    times = iter([0.0, 0, 0.5, 1, 1.25, 2, 3, 0.4, 4, 5, 9])  # 0.5 s from 0; starts and stops; is it over
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    assert module._fastest(lambda: None, 0.5) == 0.25


def test_the_measurement_counts_operations_and_bytes(monkeypatch):
    before = torch.get_num_threads()
    threads = []

    def fastest(call, seconds):
        call()
        threads.append((torch.get_num_threads(), seconds))
        return 0.5

    monkeypatch.setattr(module, "_fastest", fastest)
    found = roofline(seconds=3.0, threads=1, nbytes=4_000)
    # the convolution has 2 * 128 * 128 * 3 * 3 * 26 * 26 FLOP, more than the product's 2 * 256**3
    assert found == Roofline(flops=2 * (128 * 3 * 26) ** 2 / 0.5, bandwidth=2 * 4_000 / 0.5, threads=1)
    assert threads == [(1, 0.75), (1, 0.75), (1, 1.5)]
    assert torch.get_num_threads() == before


def test_the_operations_are_those_that_the_layers_count():
    (product, _), (convolution, _) = module._kernels()
    side, channels, image = module._SIDE, module._CHANNELS, module._IMAGE
    conv = torch.nn.Conv2d(channels, channels, module._KERNEL, bias=False)
    linear = torch.nn.Linear(side, side, bias=False)
    assert product == 2 * sum(macs_by_layer(linear, torch.zeros(side, side)).values())
    x = torch.zeros(1, channels, image, image)
    assert convolution == 2 * sum(macs_by_layer(conv, x).values())


def test_this_machine_has_a_roof():
    found = roofline(seconds=0.0, nbytes=2**22)
    assert 0 < found.bandwidth < float("inf")
    assert 0 < found.ridge < float("inf")
    assert "GFLOP/s" in str(found)


@pytest.mark.parametrize("wrong", [{"seconds": -1}, {"threads": 0}, {"nbytes": 3}])
def test_bad_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; allowed: "):
        roofline(**wrong)
