"""Latency on a clock that the test sets, memory against sums written out by hand."""

import gc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mcomp.measure import timing
from mcomp.measure.timing import Latency, latency, peak_memory, torch_threads


class Clock:
    """Stands still but for `cost` seconds in each forward pass of `Timed`."""

    def __init__(self, monkeypatch):
        self.now, self.calls = 0.0, 0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)


class Timed(nn.Module):
    """Its call number i takes `seconds[i]` (the last one for ever), and notes how it was called."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds, self.seen = clock, seconds, []

    def forward(self, x):
        self.seen.append((self.training, torch.is_grad_enabled(), torch.get_num_threads(), gc.isenabled()))
        self.clock.now += self.seconds[min(self.clock.calls, len(self.seconds) - 1)]
        self.clock.calls += 1
        return x


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30), st.integers(0, 3))
def test_median_and_quartiles_of_the_timed_runs(seconds, warmup):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        model = Timed(clock, [5.0] * warmup + seconds)
        found = latency(model, torch.zeros(2, 3), runs=len(seconds), warmup=warmup, seconds=1e9)
    assert found.runs == len(seconds)
    assert found.batch == 2
    # The clock adds up as floats do: 2^-52 of at most 45 s, in milliseconds.
    expected = 1000 * np.percentile(seconds, [50, 25, 75])
    np.testing.assert_allclose([found.median_ms, found.lower_ms, found.upper_ms], expected, atol=1e-10)
    # Subtraction on that clock: the same rounding relative to a median of at least a microsecond.
    assert found.per_second == pytest.approx(2 / np.median(seconds), rel=1e-6)


def test_it_stops_after_its_time_but_not_before_ten_runs(monkeypatch):
    clock = Clock(monkeypatch)
    assert latency(Timed(clock, [0.25]), torch.zeros(1, 1), seconds=4.0, warmup=0).runs == 16
    assert latency(Timed(clock, [2.5]), torch.zeros(1, 1), seconds=4.0, warmup=0).runs == 10
    assert latency(Timed(clock, [2.5]), torch.zeros(1, 1), seconds=4.0, warmup=0, runs=3).runs == 3


def test_one_thread_no_gradient_no_collector_and_all_restored(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model = Timed(Clock(monkeypatch), [0.001]).train()
        latency(model, torch.zeros(1, 1), runs=5)
        assert set(model.seen) == {(False, False, 1, False)}
        assert latency(model, torch.zeros(1, 1), runs=5, threads=2).threads == 2
        assert model.seen[-1] == (False, False, 2, False)
        assert model.training
        assert gc.isenabled()
        assert torch.get_num_threads() == 2
        with pytest.raises(RuntimeError):
            latency(nn.Linear(3, 3), torch.zeros(1, 4))
        assert gc.isenabled()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_input_is_not_changed():
    x = -torch.ones(2, 3)
    latency(nn.ReLU(inplace=True), x, runs=1)
    assert (x == -1).all()


@pytest.mark.parametrize(
    "wrong", [{"runs": 0}, {"warmup": -1}, {"seconds": -1.0}, {"seconds": float("nan")}, {"threads": 0}]
)
def test_bad_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; allowed: "):
        latency(nn.Linear(3, 3), torch.zeros(1, 3), **wrong)


def test_an_empty_input_is_refused():
    with pytest.raises(ValueError, match=r"x is \(0, 3\)"):
        latency(nn.Linear(3, 3), torch.zeros(0, 3))


def test_threads_come_back_after_an_error():
    before = torch.get_num_threads()

    def fail():
        with torch_threads(before + 1):
            raise KeyError(torch.get_num_threads())

    with pytest.raises(KeyError, match=str(before + 1)):
        fail()
    assert torch.get_num_threads() == before


def test_latency_reads_well():
    assert str(Latency(0.31234, 0.3, 0.35, batch=1, runs=9, threads=1)) == "0.312 ms (0.3 to 0.35)"


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.integers(1, 5))
def test_a_chain_of_layers_holds_input_and_output_of_one_at_a_time(widths, batch):
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    model, x = nn.Sequential(*layers), torch.zeros(batch, widths[0])
    made = [0, *widths[1:]]  # the input was there before
    with torch.no_grad():
        found = peak_memory(lambda: model(x))
    assert found == max(4 * batch * (a + b) for a, b in pairwise(made))


def keep_all(x):
    a = x + 1
    b = x + 2
    return a, b, x + 3


def let_go(x):
    for _ in range(5):
        x = x + 1
    return x


@pytest.mark.parametrize(
    ("fn", "floats"),
    [
        (keep_all, 3000),
        (let_go, 2000),
        (lambda x: x.view(10, 100).t()[3:], 0),
        (lambda x: x.clone().mul_(2).relu_(), 1000),
        (lambda x: torch.empty(5000) is None, 5000),
        (lambda x: (x + 1).sum(), 1001),
        (lambda x: None, 0),
    ],
)
def test_what_is_held_at_once_by_pencil(fn, floats):
    x = torch.zeros(1000)
    assert peak_memory(lambda: fn(x)) == 4 * floats


def test_training_holds_the_activations_that_the_gradient_needs():
    x = torch.zeros(8, 100)
    model = nn.Sequential(*(nn.Linear(100, 100) for _ in range(6)))
    with torch.no_grad():
        without = peak_memory(lambda: model(x))
    assert without == 4 * 8 * 100 * 2
    assert peak_memory(lambda: model(x)) == 4 * 8 * 100 * 6


def test_an_error_passes_through():
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 // 0)
    assert peak_memory(lambda: torch.zeros(10)) == 40
