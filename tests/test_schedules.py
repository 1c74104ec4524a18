import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.prune import cosine_fraction, cubic_sparsity, iterative_sparsity, steer

quick = settings(derandomize=True, deadline=None, max_examples=100)
fraction = st.floats(0, 1)


@quick
@given(t0=st.integers(0, 50), n=st.integers(1, 20), dt=st.integers(1, 10), a=fraction, b=fraction)
def test_it_is_equation_1_of_zhu_and_gupta(t0, n, dt, a, b):
    initial, final = sorted((a, b))
    for t in range(t0, t0 + n * dt + 1, dt):
        left = 1 - Fraction(t - t0, n * dt)
        expected = Fraction(final) + (Fraction(initial) - Fraction(final)) * left**3
        ours = cubic_sparsity(t, start=t0, end=t0 + n * dt, initial=initial, final=final)
        assert abs(ours - expected) < 1e-15  # numbers up to 1, a handful of roundings of 1.1e-16


@quick
@given(steps=st.lists(st.floats(-10, 110), min_size=2), a=fraction, b=fraction)
def test_it_rises_and_stays_between_its_ends(steps, a, b):
    initial, final = sorted((a, b))
    values = [cubic_sparsity(t, start=0, end=100, initial=initial, final=final) for t in sorted(steps)]
    # rounding may step back or over the end by one unit in the last place
    assert all(x <= y + 3e-16 for x, y in itertools.pairwise(values))
    assert all(initial - 3e-16 <= x <= final + 3e-16 for x in values)


def test_the_ends_are_exact():
    ends = {"start": 3, "end": 7, "initial": 0.5, "final": 0.975}
    assert [cubic_sparsity(t, **ends) for t in (-1, 3, 7, 1000)] == [0.5, 0.5, 0.975, 0.975]


@pytest.mark.parametrize(
    "change",
    [
        {"step": float("nan")},
        {"start": 10},
        {"start": 11},
        {"end": "10"},
        {"final": 90},
        {"final": -0.1},
        {"initial": 0.95},
        {"initial": -0.1},
    ],
)
def test_bad_arguments(change):
    arguments = {"step": 5, "start": 0, "end": 10, "initial": 0.0, "final": 0.9} | change
    with pytest.raises(ValueError, match="allowed: "):
        cubic_sparsity(arguments.pop("step"), **arguments)


@quick
@given(start=st.integers(-5, 50), rounds=st.integers(1, 20), gap=st.integers(1, 9), a=fraction, b=fraction)
def test_iterative_is_a_loop_that_removes_the_same_part_in_each_round(start, rounds, gap, a, b):
    initial, final = sorted((0.99 * a, 0.99 * b))
    part = ((1 - final) / (1 - initial)) ** (1 / rounds)
    ends = {"start": start, "end": start + rounds * gap, "rounds": rounds, "initial": initial, "final": final}
    stays = 1 - initial
    for step in range(start - 2, start + rounds * gap + 3):
        if start <= step < start + rounds * gap and (step - start) % gap == 0:
            stays *= part
        # some twenty products, each with a relative rounding of 1.1e-16
        assert abs(1 - stays - iterative_sparsity(step, **ends)) < 1e-14


def test_one_round_is_one_shot():
    shot = [iterative_sparsity(step, start=2, end=9, rounds=1, final=0.9) for step in range(12)]
    assert shot == [0.0] * 2 + [0.9] * 10
    assert iterative_sparsity(5, start=0, end=9, rounds=1, final=1.0) == 1.0


@quick
@given(steps=st.lists(st.floats(-10, 110), min_size=2), rounds=st.integers(1, 9), a=fraction, b=fraction)
def test_iterative_rises_and_stays_between_its_ends(steps, rounds, a, b):
    initial, final = sorted((0.999 * a, 0.999 * b))
    ends = {"start": 0, "end": 100, "rounds": rounds, "initial": initial, "final": final}
    values = [iterative_sparsity(t, **ends) for t in sorted(steps)]
    assert all(x <= y + 3e-16 for x, y in itertools.pairwise(values))  # one unit in the last place
    assert all(initial - 3e-16 <= x <= final + 3e-16 for x in values)
    assert iterative_sparsity(1e6, **ends) == final


@quick
@given(initial=st.floats(0, 0.5), final=st.floats(0.5, 1), end=st.integers(2, 500))
def test_the_cubic_solves_the_equation_that_the_chapter_derives_it_from(initial, final, end):
    """ds/dt = c (end - t)^2 with the right sum: so does Euler's sum of it, but for its own error."""
    n = 2000
    speed = [(1 - (i + 0.5) / n) ** 2 for i in range(n)]
    for part in (0.25, 0.5, 0.75):
        summed = initial + (final - initial) * sum(speed[: int(part * n)]) / sum(speed)
        ours = cubic_sparsity(part * end, start=0, end=end, initial=initial, final=final)
        assert abs(summed - ours) < 1e-6  # the midpoint rule's error is of the order 1 / n^2


@quick
@given(end=st.floats(1, 1e4), alpha=fraction, part=st.floats(0, 2))
def test_cosine_fraction_is_that_of_rigl(end, alpha, part):
    step = part * end
    expected = alpha / 2 * (1 + math.cos(step * math.pi / end)) if step < end else 0.0
    assert abs(cosine_fraction(step, end=end, alpha=alpha) - expected) < 1e-12  # pi has sixteen digits
    assert 0 <= cosine_fraction(step, end=end, alpha=alpha) <= alpha


@quick
@given(limit=st.floats(0.02, 50), start=st.floats(1e-3, 1e-2), factor=st.floats(1.1, 8))
def test_steer_finds_the_threshold_where_accuracy_breaks(limit, start, factor):
    """If accuracy holds up to `limit` and no further, the good threshold closes in on it from below."""
    good, tried = 0.0, start
    for _ in range(120):
        holds = tried <= limit
        good, tried, factor = steer(good, tried, factor, holds=holds)
        assert good <= limit
        assert tried > good
        if factor < 1.0001:
            break
    assert limit / 1.01 < good


@pytest.mark.parametrize(
    ("function", "change", "message"),
    [
        (iterative_sparsity, {"rounds": 0}, "rounds is 0"),
        (iterative_sparsity, {"rounds": 2.5}, "rounds is 2.5"),
        (iterative_sparsity, {"final": 1.0}, "final is 1.0; allowed: less than 1"),
        (iterative_sparsity, {"final": 1.1}, "final is 1.1"),
        (iterative_sparsity, {"initial": 0.95}, "initial is 0.95"),
        (iterative_sparsity, {"end": 0}, "end is 0"),
        (iterative_sparsity, {"step": math.nan}, "step is nan"),
        (cosine_fraction, {"end": 0}, "end is 0"),
        (cosine_fraction, {"end": 10, "alpha": 1.5}, "alpha is 1.5"),
        (cosine_fraction, {"end": 10, "step": -1}, "step is -1"),
        (steer, {"factor": 1.0}, "factor is 1.0; allowed: more than 1"),
        (steer, {"good": -1.0}, "good is -1.0"),
        (steer, {"tried": math.inf}, "tried is inf"),
    ],
)
def test_more_bad_arguments(function, change, message):
    good = {
        iterative_sparsity: {"step": 5, "start": 0, "end": 10, "rounds": 3, "final": 0.9},
        cosine_fraction: {"step": 0, "end": 10},
        steer: {"good": 1.0, "tried": 2.0, "factor": 2.0, "holds": True},
    }
    with pytest.raises(ValueError, match=message):
        function(**(good[function] | change))
