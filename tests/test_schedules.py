import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.prune import cubic_sparsity

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
