"""Lines and curves between networks: closed forms, the ends, and a bend that training lowers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mcomp import train
from mcomp.merge import Curve, average, barrier, fit_curve, line


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=2, max_size=9))
def test_a_barrier_is_the_highest_rise_above_the_chord(losses):
    at = np.linspace(0, 1, len(losses))
    by_hand = max(v - ((1 - t) * losses[0] + t * losses[-1]) for t, v in zip(at, losses, strict=True))
    assert barrier(np.array(losses), at) == pytest.approx(max(by_hand, 0), abs=1e-12)


def test_every_array_library_measures_a_barrier(xp):
    assert barrier(xp.asarray([1.0, 2.5, 2.0]), xp.asarray([0.0, 0.5, 1.0])) == 1.0


@pytest.mark.parametrize(
    ("losses", "at", "named"),
    [
        ([1.0, 2.0], [0.0, 0.9], "at is"),
        ([1.0, 2.0, 3.0], [0.0, 0.0, 1.0], "at is"),
        ([1.0], [0.0, 1.0], r"losses\.shape"),
        ([1.0, np.nan], [0.0, 1.0], "losses holds 1 NaN"),
    ],
)
def test_bad_paths_are_refused(losses, at, named):
    with pytest.raises(ValueError, match=named):
        barrier(np.array(losses), np.array(at))


def nets(n=2):
    for seed in range(n):
        torch.manual_seed(seed)
        yield nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def test_a_line_visits_the_averages_in_order():
    a, b = nets()
    weights = line(a, b, lambda model: model[0].weight.detach().clone(), at=[0, 0.25, 1])
    for t, weight in zip((0, 0.25, 1), weights, strict=True):
        assert torch.allclose(weight, (1 - t) * a[0].weight + t * b[0].weight)


def test_a_curve_meets_its_ends_and_starts_as_the_line():
    a, b = nets()
    curve = Curve(a, b)
    for t, end in ((0, a), (1, b)):
        assert all(torch.equal(p, q) for p, q in zip(curve.at(t).parameters(), end.parameters(), strict=True))
    for t in (0.25, 0.5):  # with its middle halfway, the curve runs along the line
        straight = average([a, b], [1 - t, t]).parameters()
        assert all(
            torch.allclose(p, q, atol=1e-7) for p, q in zip(curve.at(t).parameters(), straight, strict=True)
        )
    x = torch.randn(5, 4)
    assert torch.allclose(curve.eval()(x), curve.at(0.5)(x), atol=1e-6)
    with pytest.raises(ValueError, match=r"t is 1\.5"):
        curve.at(1.5)


def test_a_trained_curve_is_lower_than_the_line_and_only_its_middle_moves():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(192, 4, generator=rng)
    data = SimpleNamespace(train=(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()))
    a, b = nets()
    for model in (a, b):
        train.fit(model, data, epochs=8, batch_size=32, lr=0.01, progress=False)
    before = [p.detach().clone() for model in (a, b) for p in model.parameters()]

    def loss(model):
        return float(F.cross_entropy(train.predict(model, x), data.train[1]))

    at = [0.0, 0.25, 0.5, 0.75, 1.0]
    straight = line(a, b, loss, at=at)
    curve = fit_curve(a, b, data, epochs=8, batch_size=32, lr=0.01, progress=False)
    assert np.mean([loss(curve.at(t)) for t in at]) < np.mean(straight)
    after = [p for model in (a, b) for p in model.parameters()]
    assert all(torch.equal(p, q) for p, q in zip(before, after, strict=True))
    again = fit_curve(a, b, data, epochs=8, batch_size=32, lr=0.01, progress=False)
    assert all(torch.equal(p, q) for p, q in zip(curve.parameters(), again.parameters(), strict=True))
