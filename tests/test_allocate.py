import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from mcomp.quantize.allocate import (
    allocate_exact,
    allocate_greedy,
    allocate_lagrangian,
    cheapest_at_price,
    totals,
)

quick = settings(derandomize=True, deadline=None, max_examples=150)
WAYS = (allocate_exact, allocate_greedy, allocate_lagrangian)


@st.composite
def problems(draw):
    layers = draw(st.integers(1, 4))
    sizes, damages = [], []
    for _ in range(layers):
        n = draw(st.integers(1, 4))
        sizes.append(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
        damages.append([float(d) for d in draw(st.lists(st.integers(-2, 20), min_size=n, max_size=n))])
    least, most = sum(map(min, sizes)), sum(map(max, sizes))
    return sizes, damages, draw(st.integers(least, most + 2))


def exhaustive(sizes, damages, budget):
    """The least damage of all choices that fit."""
    choices = itertools.product(*(range(len(row)) for row in sizes))
    fits = [totals(sizes, damages, c) for c in choices]
    return min(damage for size, damage in fits if size <= budget)


@quick
@given(problem=problems())
def test_exact_is_the_best_of_all_choices(problem):
    sizes, damages, budget = problem
    size, damage = totals(sizes, damages, allocate_exact(sizes, damages, budget=budget))
    assert size <= budget
    assert damage == exhaustive(sizes, damages, budget)  # sums of small integers


@quick
@given(problem=problems())
def test_the_others_fit_and_are_no_better(problem):
    sizes, damages, budget = problem
    best = exhaustive(sizes, damages, budget)
    for way in (allocate_greedy, allocate_lagrangian):
        size, damage = totals(sizes, damages, way(sizes, damages, budget=budget))
        assert size <= budget
        assert damage >= best


@quick
@given(problem=problems(), price=st.integers(0, 20))
def test_at_a_price_nothing_of_that_size_is_better(problem, price):
    """Everett 1963: what minimises damage + price · size is the best for the size that it has."""
    sizes, damages, _ = problem
    choice = cheapest_at_price(sizes, damages, price=float(price))
    size, damage = totals(sizes, damages, choice)
    assert damage == exhaustive(sizes, damages, size)


@quick
@given(problem=problems())
def test_the_lagrangian_is_exact_where_its_own_size_is_the_budget(problem):
    sizes, damages, budget = problem
    size, damage = totals(sizes, damages, allocate_lagrangian(sizes, damages, budget=budget))
    fitting = [c for c in itertools.product(*(range(len(r)) for r in sizes))
               if totals(sizes, damages, c)[0] <= size]  # fmt: skip
    smallest = [row.index(min(row)) for row in sizes]
    assume([*allocate_lagrangian(sizes, damages, budget=budget)] != smallest)  # the way out, if no price fits
    assert damage == min(totals(sizes, damages, c)[1] for c in fitting)


@quick
@given(problem=problems())
def test_the_lagrangian_takes_the_best_of_all_that_any_price_offers(problem):
    """The oracle tries every choice at every price where two choices of a layer cost the same."""
    sizes, damages, budget = problem
    prices = {Fraction(0)} | {
        Fraction(int(x - y), b - a)
        for row in zip(sizes, damages, strict=True)
        for (a, x), (b, y) in itertools.permutations(zip(*row, strict=True), 2)
        if a < b and x > y
    }
    every = [totals(sizes, damages, c) for c in itertools.product(*(range(len(row)) for row in sizes))]
    offered = []
    for price in sorted(prices):
        least = min(int(d) + price * s for s, d in every)
        offered += [(d, s) for s, d in every if int(d) + price * s == least and s <= budget]
    size, damage = totals(sizes, damages, allocate_lagrangian(sizes, damages, budget=budget))
    assert (damage, size) == min(offered)


def test_layers_that_change_over_at_one_price_are_told_apart():
    sizes, damages = [[1, 3, 4], [1, 5, 6]], [[11.0, 2.0, 0.0], [13.0, 10.0, 3.0]]
    assert allocate_lagrangian(sizes, damages, budget=9) == [1, 2]
    assert allocate_lagrangian(sizes, damages, budget=8) == [2, 0]
    assert allocate_lagrangian(sizes, damages, budget=3) == [0, 0]


def test_exact_is_scipy_s_integer_program_on_a_real_size():
    rng = np.random.default_rng(0)
    n = rng.integers(200, 40_000, 12)
    sizes = [[int(b * m // 8) for b in range(1, 9)] for m in n]
    harm = n * rng.exponential(size=12)
    damages = [[float(h * 4.0**-b) for b in range(1, 9)] for h in harm]
    budget = int(n.sum() * 3.3 / 8)
    c, a = np.concatenate(damages), np.concatenate(sizes)
    one_each = np.kron(np.eye(12), np.ones(8))
    result = milp(
        c, integrality=np.ones(96), bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0},
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(a, -np.inf, budget)],
    )  # fmt: skip
    exact = totals(sizes, damages, allocate_exact(sizes, damages, budget=budget))
    assert exact[0] <= budget
    assert exact[1] == pytest.approx(result.fun, rel=1e-6)  # the solver's own tolerance on integers
    for way in (allocate_greedy, allocate_lagrangian):
        assert exact[1] <= totals(sizes, damages, way(sizes, damages, budget=budget))[1] <= 1.2 * exact[1]


def test_greedy_can_be_wrong():
    """The best exchange for each byte fills the budget so that the better pair no longer fits."""
    sizes, damages = [[0, 1], [0, 10]], [[2.0, 0.0], [10.0, 0.0]]
    assert allocate_greedy(sizes, damages, budget=10) == [1, 0]
    assert allocate_exact(sizes, damages, budget=10) == [0, 1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("sizes", "damages", "budget", "complaint"),
    [
        ([[2], [3]], [[1.0], [1.0]], 4, "budget is 4; allowed: at least 5"),
        ([], [], 4, "choices of sizes and damages"),
        ([[]], [[]], 4, "choices of sizes and damages"),
        ([[1, 2]], [[1.0]], 4, "choices of sizes and damages"),
        ([[-1]], [[1.0]], 4, "a size is -1"),
        ([[1.5]], [[1.0]], 4, "a size is 1.5"),
        ([[1]], [[float("nan")]], 4, "a damage is nan"),
    ],
)
def test_bad_input(way, sizes, damages, budget, complaint):
    with pytest.raises(ValueError, match=complaint):
        way(sizes, damages, budget=budget)


def test_a_negative_price_is_refused():
    with pytest.raises(ValueError, match=r"price is -1.0"):
        cheapest_at_price([[1]], [[1.0]], price=-1.0)
