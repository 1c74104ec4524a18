"""Assignments by error and bits: against all assignments there are, and the dynamic programme."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.coding.entropy import entropy
from mcomp.coding.streams import pack_symbols
from mcomp.quantize import assign, kmeans_1d
from mcomp.quantize.rate import assign_at_rate, code_bits, symbol_bits
from mcomp.quantize.rate_levels import assign_exactly, entropy_constrained

quick = settings(derandomize=True, deadline=None, max_examples=25)
VALUES = st.lists(st.integers(-12, 12).map(lambda i: i / 8), min_size=1, max_size=5)
LEVELS = np.array([-1.0, 0.0, 0.75])


def one_by_one(symbols, k):
    """The bits of the adaptive code, symbol after symbol."""
    counts, bits = [0] * k, 0.0
    for n, s in enumerate(symbols):
        bits -= math.log2((counts[s] + 0.5) / (n + k / 2))
        counts[s] += 1
    return bits


def cheapest(x, levels, lam, bits_of, weights=1.0):
    """The least error + lam * bits over every assignment."""
    tried = (np.array(t) for t in itertools.product(range(len(levels)), repeat=len(x)))
    return min(float((weights * (x - levels[i]) ** 2).sum()) + lam * bits_of(i) for i in tried)


def bits_of(code):
    return lambda i: code_bits(np.bincount(i, minlength=len(LEVELS)), code=code)


@quick
@given(symbols=st.lists(st.integers(0, 3), max_size=30))
def test_the_bits_of_both_codes(symbols):
    counts = np.bincount(np.array(symbols, int), minlength=4)
    assert code_bits(counts) == pytest.approx(len(symbols) * entropy(counts), abs=1e-9)
    assert code_bits(counts, code="adaptive") == pytest.approx(one_by_one(symbols, 4), abs=1e-9)
    assert code_bits(counts) <= code_bits(counts, code="adaptive") + 1e-9


def test_the_adaptive_code_s_bits_are_those_of_the_file():
    symbols = np.random.default_rng(0).choice(4, 2000, p=[0.7, 0.2, 0.07, 0.03])
    told = code_bits(np.bincount(symbols), code="adaptive") / 8
    assert len(pack_symbols(symbols, 4)) == pytest.approx(told, rel=0.01)  # which codes bit by bit


@quick
@given(x=VALUES, lam=st.sampled_from([0.0, 0.03, 0.2, 1.0]), heavy=st.booleans())
def test_at_given_prices_nothing_is_cheaper(x, lam, heavy):
    x, bits = np.array(x), np.array([2.0, 0.5, 3.0])
    weights = np.arange(1.0, len(x) + 1) if heavy else None
    index = assign_at_rate(x, LEVELS, bits=bits, lam=lam, weights=weights)
    scale = 1.0 if weights is None else weights
    cost = float((scale * (x - LEVELS[index]) ** 2).sum() + lam * bits[index].sum())
    assert cost == pytest.approx(cheapest(x, LEVELS, lam, lambda i: bits[i].sum(), scale), abs=1e-12)


@quick
@given(x=VALUES, lam=st.sampled_from([0.0, 0.03, 0.2, 1.0]), code=st.sampled_from(["static", "adaptive"]))
def test_the_dynamic_programme_finds_the_least_of_all(x, lam, code):
    x = np.array(x)
    found = assign_exactly(x, LEVELS, lam=lam, code=code)
    cost = found.error + lam * found.bits
    assert cost == pytest.approx(cheapest(x, LEVELS, lam, bits_of(code)), abs=1e-9)
    turns = entropy_constrained(x, LEVELS, lam=lam, code=code, move=False)
    assert cost <= turns.error + lam * turns.bits + 1e-9


@quick
@given(x=VALUES, lam=st.sampled_from([0.01, 0.1, 0.5]), code=st.sampled_from(["static", "adaptive"]))
def test_no_turn_raises_the_cost(x, lam, code):
    x = np.array(x)
    found = entropy_constrained(x, LEVELS, lam=lam, code=code)
    costs = [*found.costs, found.error + lam * found.bits]
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(costs))
    assert (np.diff(found.levels) >= 0).all()
    assert found.error == pytest.approx(float(((x - found.levels[found.assignments]) ** 2).sum()))


def test_without_a_price_it_is_k_means():
    x = np.random.default_rng(1).normal(size=300)
    levels, index = kmeans_1d(x, 5)
    found = entropy_constrained(x, levels, lam=0.0)
    assert found.levels == pytest.approx(levels)
    assert (found.assignments == index).all()
    free = assign_at_rate(x, levels, bits=np.zeros(5), lam=3.0)
    assert (free == assign(x, levels)).all()


def test_at_a_high_rate_it_is_1_53_db_from_the_bound():
    """Gish & Pierce 1968: uniform levels and entropy coding lose 2 pi e / 12, a quarter of a bit."""
    x = np.random.default_rng(2).normal(size=8_000)
    found = entropy_constrained(x, np.arange(-4, 4.1, 0.5), lam=0.06, move=True)
    rate, error = found.bits / x.size, found.error / x.size
    gap = rate - 0.5 * math.log2(1 / error)
    assert 0.1 < gap < 0.26  # tends to 0.2546 from below
    levels, index = kmeans_1d(x, 8)
    plain = code_bits(np.bincount(index)) / x.size - 0.5 * math.log2(
        x.size / ((x - levels[index]) ** 2).sum()
    )
    assert gap < plain


def test_weights_that_differ_may_reorder_the_means():
    x, weights = np.array([0.0, 0.9, 1.1, 2.0]), np.array([1e-6, 50.0, 50.0, 1e-6])
    found = entropy_constrained(x, np.array([0.0, 0.9, 1.0, 2.0]), lam=0.2, weights=weights)
    assert (np.diff(found.levels) >= 0).all()
    assert found.error + 0.2 * found.bits <= found.costs[0] + 1e-12


def test_all_libraries_agree(xp):
    rng = np.random.default_rng(3)
    x, weights = rng.normal(size=(20, 5)).astype(np.float32), rng.random((20, 5)).astype(np.float32)
    levels = np.array([-1, 0, 1], np.float32)
    for options in ({}, {"weights": weights}, {"code": "adaptive", "move": False}):
        theirs = {name: xp.asarray(v) if name == "weights" else v for name, v in options.items()}
        a = entropy_constrained(x, levels, lam=0.1, **options)
        b = entropy_constrained(xp.asarray(x), xp.asarray(levels), lam=0.1, **theirs)
        assert type(b.levels) is type(xp.asarray(levels))
        assert b.levels.dtype == xp.float32
        assert to_numpy(b.levels) == pytest.approx(a.levels, abs=1e-6)  # sums in another order
        assert (to_numpy(b.assignments) == a.assignments).all()
    a = assign_exactly(x, levels, lam=0.1).assignments
    assert (to_numpy(assign_exactly(xp.asarray(x), xp.asarray(levels), lam=0.1).assignments) == a).all()


ONE, TWO = np.ones(1), np.array([0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: assign_at_rate(ONE, TWO, bits=ONE, lam=1.0), "a price of at least 0 for each of 2 levels"),
        (lambda: assign_at_rate(ONE, TWO, bits=-TWO, lam=1.0), "a price of at least 0"),
        (lambda: assign_at_rate(ONE, TWO, bits=TWO + math.inf, lam=1.0), "at least one level that may be"),
        (lambda: assign_at_rate(ONE, TWO, bits=TWO, lam=-1.0), "lam is -1.0"),
        (lambda: assign_at_rate(ONE, TWO[::-1], bits=TWO, lam=1.0), "one ascending row"),
        (lambda: assign_at_rate(ONE * math.nan, TWO, bits=TWO, lam=1.0), "NaN"),
        (lambda: assign_at_rate(ONE, TWO, bits=TWO, lam=1.0, weights=TWO), "weights.shape"),
        (lambda: entropy_constrained(ONE, TWO, lam=1.0, turns=0), "turns is 0"),
        (lambda: entropy_constrained(ONE, TWO, lam=1.0, code="rans"), "one of static, adaptive"),
        (lambda: assign_exactly(np.zeros(2049), TWO, lam=1.0), "allowed: an integer from 1 to 2048"),
        (lambda: code_bits([-1, 2]), "counts"),
        (lambda: symbol_bits([0.5]), "counts"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
