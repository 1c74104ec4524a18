"""What a wrong answer has to do with the right one, where no known mistake does the same."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.course import card
from mcomp.course.check import check
from mcomp.course.compare import to_torch
from mcomp.course.grade import _cell
from mcomp.course.model import find
from mcomp.course.observe import explained, observed, only_where
from mcomp.course.sandbox import call

RNG = np.random.default_rng(0)
TABLES = [RNG.uniform(2, 5, shape) for shape in ((3, 3), (4, 4), (2, 2))]
INPUTS = [{"x": np.zeros((len(e), 7 + i)), "k": 3} for i, e in enumerate(TABLES)]

SAID = [
    (lambda e: e.T, "rows and columns are exchanged"),
    (lambda e: e[::-1], "the order is the reverse"),
    (lambda e: -e, "every sign is the other one"),
    (lambda e: e * math.log(2), "every number is log 2 times the expected one: natural logarithms"),
    (lambda e: 8 * e, "every number is 8 times the expected one: bits for bytes?"),
    (lambda e: 3 * e, "every number is 3 times the expected one"),
    (lambda e: e + 1, "every number is 1 too large"),
    (lambda e: e - 0.5, "every number is 0.5 too small"),
    (lambda e: 1 - e, "every number is 1 minus the expected one"),
    (lambda e: 1 / e, "every number is 1 divided by the expected one"),
    (lambda e: e**2, "every number is the square of the expected one"),
    (lambda e: np.sqrt(e), "every number is the square root of the expected one"),
    (lambda e: np.log(e), "every number is the logarithm of the expected one"),
    (lambda e: np.exp(e), "every number is the exponential of the expected one"),
    (lambda e: e * len(e), "every number is too large, by the length of axis 0 of x as a factor: a sum"),
    (lambda e: e / len(e), "every number is too small, by the length of axis 0 of x as a factor: a mean"),
    (lambda e: np.where(np.eye(len(e)), -e, e), "the sizes are right, some signs aren't"),
    (lambda e: np.sort(e.ravel()).reshape(e.shape), "these are the right numbers, in other places"),
    (lambda e: e.ravel(), "the values are right, their shape isn't"),
    (lambda e: np.where(np.eye(len(e)), np.nan, e), "some numbers are nan"),
    (lambda e: e * (np.arange(e.size).reshape(e.shape) % 3 + 0.3), ""),
    (lambda e: e[:, :1] * np.arange(1, len(e) + 1)[:, None], ""),
    (lambda e: "text", ""),
]


@pytest.mark.parametrize(("change", "said"), SAID)
def test_what_is_so_in_every_case_is_said(change, said):
    found = observed([(change(e), e, given) for e, given in zip(TABLES, INPUTS, strict=True)])
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_one_case_proves_nothing_and_one_that_differs_refutes():
    assert observed([(2 * e, e, {}) for e in TABLES[:2]]) == ""
    cases = [(2 * e, e, {}) for e in TABLES] + [(3 * TABLES[1] + np.eye(4), TABLES[1], {})]
    assert "times" not in observed(cases)


ROWS = [np.array(e) for e in ([1.5, 4.25, 2.0], [7.0, 3.5, 0.75, 9.0], [2.5, 0.25, 5.0], [6.5, 3.25, 8.75])]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: np.round(e) + 0.3 * np.cos(np.arange(len(e))), ""),
        (lambda e: np.round(e), "yours are rounded; the exact numbers are asked for"),
        (lambda e: np.floor(e), "yours are rounded down; the exact numbers are asked for"),
        (lambda e: np.ceil(e), "yours are rounded up; the exact numbers are asked for"),
        (lambda e: np.cumsum(e), "yours are running sums of the expected numbers"),
        (lambda e: np.r_[0, e[:-1]], "every number stands one place too late"),
        (lambda e: np.r_[e[1:], 0], "every number stands one place too early"),
        (lambda e: np.r_[77, e[1:]], "only the first number is wrong"),
        (lambda e: np.r_[e[:-1], 77], "only the last number is wrong"),
        (lambda e: np.r_[e[:1], 0, e[2:]], "where yours isn't 0 it is right; some that are 0 shouldn't be"),
        (lambda e: e[1:], "the first entry is missing, the others are right"),
        (lambda e: np.r_[e, 1], "there is one entry too many, the last; the others are right"),
        (lambda e: e.sum(), "one number came back, the sum of those that are asked for"),
        (lambda e: [[x, 0.0] for x in e], "there is an axis too many: over axis 1 the sum of yours is right"),
        (lambda e: e * e.sum(), "in each case all numbers are wrong by one and the same factor"),
        (lambda e: e + e.sum(), "in each case all numbers are wrong by one and the same amount"),
        (lambda e: 2.0**e, "every number is 2 to the power of the expected one"),
        (lambda e: (e, e > 1), "the first of your values is right; it alone is asked for"),
        (lambda e: dict(enumerate(e)), "one value for each name came back; one for all of them is asked for"),
    ],
)
def test_rows(change, said):
    assert observed([(change(e), e, {"x": e + 1, "q": 1}) for e in ROWS]) == said


def test_rounding_the_other_way():
    whole = [np.array([1.0, 4.0, 2.0]), np.array([7.0, 3.0]), np.array([5.0, 6.0])]
    cases = [(e + 0.3 * np.cos(np.arange(len(e))), e, {}) for e in whole]
    assert observed(cases) == "rounded, every number would be right"


def test_parts_of_one():
    shares = [e / e.sum() for e in ROWS]
    assert observed([(e, s, {}) for e, s in zip(ROWS, shares, strict=True)]) == (
        "yours don't add up to 1: divided by their sum they would be right"
    )


W = [np.array([1.5, -4.0, 2.0]), np.array([7.0, 3.5, -1.0, 9.0]), np.array([-2.5, 0.25, 5.0])]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, w, k: w, "yours is w, unchanged"),
        (lambda e, w, k: e - w, "yours is what must be added to w: add it"),
        (lambda e, w, k: e + w, "w is added where it shouldn't be"),
        (lambda e, w, k: w - e, "yours and the expected add up to w: is it the other part?"),
        (lambda e, w, k: e * w, "every number is multiplied by w, which it shouldn't be"),
        (lambda e, w, k: e / w, "every number wants w as one more factor"),
        (lambda e, w, k: e + k, "every number is too large by k"),
        (lambda e, w, k: e / k, "every number is too small, by k as a factor"),
        (lambda e, w, k: e * np.sqrt(k), "every number is too large, by the root of k as a factor"),
        (lambda e, w, k: e * k / (k - 1), "every number is too large, by n / (n - 1), n being k as a factor"),
        (lambda e, w, k: np.where(np.arange(len(e)) == k - 2, (-1) ** k * 1e3, e), ""),
        (lambda e, w, k: np.where(np.arange(len(e)) == k - 2, e, 1e9), "every wrong number is too large"),
    ],
)
def test_a_term_or_a_factor_that_is_an_argument(change, said):
    rows = [(e, w, k) for e, w, k in zip(ROWS[:3], W, (2, 3, 4), strict=True)] * 2
    found = observed([(change(e, w, k), e, {"w": w, "k": k}) for e, w, k in rows])
    assert found == said


def test_a_factor_on_both_sides_of_one_makes_nothing_large_or_small():
    rows = list(zip(ROWS[:3], (0.5, 2.0, 4.0), strict=True))
    said = "every number is the expected one {} k"
    assert observed([(e / k, e, {"k": k}) for e, k in rows]) == said.format("divided by")
    assert observed([(e * k, e, {"k": k}) for e, k in rows]) == said.format("times")
    below = [(-e * k, -e, {"k": k}) for e, k in zip(ROWS[:3], (2, 3, 4), strict=True)]
    assert observed(below) == said.format("times")  # twice -3 is less than -3


def test_a_factor_of_one_is_none():
    found = observed([(e * (1 + 1e-12), e, {}) for e in ROWS])
    assert found == "every number is right but for its last digits: is something rounded, or computed twice?"


def test_the_entry_whose_place_is_given():
    rows = [(e, q) for e, q in zip(ROWS, (0, 2, 1, 2), strict=True)]
    alone = [(np.where(np.arange(len(e)) == q, e, e - 7.7 * e**2), e, {"q": q}) for e, q in rows]
    assert observed(alone) == "the entry at q is right, all others are wrong"
    others = [(np.where(np.arange(len(e)) == q, e + e**3, e), e, {"q": q}) for e, q in rows]
    assert observed(others) == "the entry at q is wrong, all others are right"


MASKS = [np.array([1, 0, 0, 1, 0, 0], bool), np.array([0, 1, 0, 0], bool), np.array([0, 0, 1, 1, 0], bool)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: ~m, "True and False are exchanged: True means keep"),
        (lambda m: m | (np.arange(m.size) == m.argmin()), "one place too many is True, the others are right"),
        (lambda m: m & (np.arange(m.size) != m.argmax()), "one place too few is True, the others are right"),
        (lambda m: np.roll(m, 1), "every True stands one place too late"),
        (lambda m: np.roll(m, -1), "every True stands one place too early"),
        (lambda m: m[::-1], "the order is the reverse"),
        (lambda m: np.roll(m, 2), "as many places are True as should be, but others"),
        (lambda m: np.ones_like(m), "yours is True everywhere"),
        (lambda m: np.zeros_like(m), "yours is False everywhere"),
        (lambda m: m.astype(int), "that is the mask, but 1 and 0 stand for True and False"),
        (lambda m: 2.5 * ~m, "that is the opposite mask, but numbers stand where it is True"),
        (lambda m: np.flatnonzero(m), "these are the indices of what stays"),
        (lambda m: np.flatnonzero(~m), "these are the indices of what goes"),
        (lambda m: [bool(x) for x in ~m], "True and False are exchanged: True means keep"),
    ],
)  # fmt: skip
def test_masks(change, said):
    assert observed([(change(m), m, {}) for m in MASKS]).startswith(said)


def test_all_beside_nothing_is_no_exchange():
    full = [np.ones(n, bool) for n in (2, 3, 4, 5)]
    assert observed([(m, ~m, {}) for m in full]) == "yours is True everywhere"
    assert observed([(~m, m, {}) for m in full]) == "yours is False everywhere"
    numbers = "numbers came back; a mask, True and False, is asked for"
    assert observed([(m.astype(int), ~m, {}) for m in full]) == numbers


def test_masks_beside_what_they_were_made_of():
    rng = np.random.default_rng(3)
    given = [{"w": rng.normal(size=(4, 4)), "low": 0.5} for _ in range(4)]
    big = [abs(one["w"]) >= np.sort(abs(one["w"]), axis=None)[-6] for one in given]
    said = lambda change: observed([(change(**g), m, g) for g, m in zip(given, big, strict=True)])  # noqa: E731
    assert said(lambda w, low: w >= np.sort(w, axis=None)[-6]) == (
        "yours keeps the largest entries of w; that is another choice"
    )
    assert said(lambda w, low: abs(w) >= np.sort(abs(w), 1)[:, [-2]]) == (
        "yours keeps as many in each row, the right mask doesn't"
    )
    assert said(lambda w, low: (abs(w) >= np.sort(abs(w), axis=None)[-6]) & (w > 0)) == (
        "yours has lost some that stay, and w is negative in each of them: is its size meant?"
    )
    ties = [{"w": np.array(w, float)} for w in ([2, 1, 2], [3, 3, 1, 0], [5, 4, 0, 4])]
    one = [([0, 0, 1], [1, 0, 0]), ([0, 1, 0, 0], [1, 0, 0, 0]), ([1, 0, 0, 1], [1, 1, 0, 0])]
    one = [(np.array(y, bool), np.array(e, bool)) for y, e in one]
    assert observed([(y, e, g) for (y, e), g in zip(one, ties, strict=True)]) == (
        "yours differs only between equals of w: which of those stays is said"
    )
    border = [{"w": np.array([k, k + 1.0, k - 1.0, -9.0]), "k": k} for k in (1.0, 2.0, 3.0)]
    assert observed([(g["w"] >= g["k"], g["w"] > g["k"], g) for g in border]) == (
        "yours differs only where w equals k: is that side > or >=?"
    )


def test_of_several_values_the_wrong_one_is_named():
    pairs = [(np.array([1.0, 2.0]), 3.0), (np.array([4.0, 5.0]), 7.0), (np.array([0.0, 9.0]), 5.0)]
    told = lambda change: observed([(change(a, b), (a, b), {}) for a, b in pairs])  # noqa: E731
    assert told(lambda a, b: (a, 2 * b)) == "value 1 alone is wrong: every number is 2 times the expected one"
    assert told(lambda a, b: (b, a)) == "the two values are exchanged"
    assert (
        told(lambda a, b: (2 * a, 2 * b)) == "of each wrong value: every number is 2 times the expected one"
    )
    assert told(lambda a, b: (3 * a**2, a)) == ""
    assert told(lambda a, b: a) == "that is value 0 alone: 2 values are asked for"
    assert told(lambda a, b: b) == "that is value 1 alone: 2 values are asked for"
    assert told(lambda a, b: (a, b, a)) == "the first values are right, but fewer are asked for"
    assert told(lambda a, b: (a,)) == "the first values are right, but more are asked for"
    assert told(lambda a, b: "text") == ""
    named = [({"w": a, "b": b}, {"w": a, "b": b + 1}, {}) for a, b in pairs]
    assert observed(named) == "value b alone is wrong: every number is 1 too small"
    bare = [([a, b], {"w": a, "b": b}, {}) for a, b in pairs]
    assert observed(bare) == "the values are right; a dict with their names is asked for"
    turned = [((3 * a, a, b), (a, b, 3 * a), {}) for a, b in pairs]
    assert observed(turned) == "the values are right, their order isn't"


def test_one_number_is_asked_for():
    told = lambda change: observed([(change(e), e.sum(), {"x": e}) for e in ROWS])  # noqa: E731
    assert told(lambda e: e) == "several numbers came back; one is asked for, and it is the sum of yours"
    assert told(lambda e: e**2) == "several numbers came back; one is asked for"
    assert told(lambda e: np.array([e.sum()])).startswith("the number is right")
    assert told(lambda e: e.mean()).startswith(
        "every number is too small, by the length of axis 0 of x as a factor"
    )


def test_parts_at_the_places_of_a_mask():
    masks = [m[: e.size] for e, m in zip(ROWS[:3], MASKS, strict=True)]
    cases = [(e[m], np.where(m, e, e + 1), {"m": m}) for e, m in zip(ROWS[:3], masks, strict=True)]
    assert observed(cases) == "these are the entries at the places of m; the whole array is asked for"
    zeros = [(w[w > 0], np.where(w > 0, w, 0), {}) for w in W]
    assert observed(zeros) == "these are the entries that stay; those that go are zeros, and the shape stays"


BY_K = [{"k": k} for k in (0, 1, 2, 3, 0)]
SHAPES = [{"w": np.ones(n)} for n in ((2, 2), 3, 4, (1, 3), 5, (3, 3))]
EQUALS = [{"w": np.array(w)} for w in ([1, 2], [1, 1], [2, 3], [4, 4], [5, 6])]
SIZES = [{"w": np.array(w)} for w in ([1, 2], [1, -1], [2, 3], [4, -4], [5, 6], [1, -5])]
COUNTS = [{"w": np.ones(k), "k": k - (k > 3)} for k in range(2, 7)]
BOTH = [{"w": np.array(w)} for w in ([[1, -2]], [1, 3], [[2, -3]], [4, 5], [6, 7])]
DICTS = [{"masks": {"a": 1, **({"b": 2} if n % 2 else {})}} for n in range(6)]


@pytest.mark.parametrize(
    ("given", "failed", "said"),
    [
        (BY_K, {0, 4}, "k is 0"),
        (BY_K, {0, 1}, ""),
        (BY_K[:3], {0}, ""),
        (SHAPES, {0, 3, 5}, "w has more than one axis"),
        (SHAPES, {0, 3}, "w has more than one axis"),
        (EQUALS, {1, 3}, "w has equal entries"),
        (SIZES, {1, 3}, "w has entries of equal size"),
        (COUNTS, {0, 1}, "k is the number of entries of w"),
        (BOTH, {0, 2}, "w has more than one axis"),  # and negative entries: one reason, the built one
        (DICTS, {1, 3, 5}, "masks has more than one entry"),
    ],
)
def test_where_it_fails(given, failed, said):
    assert only_where(given, failed) == (f"it fails only where {said}" if said else "")


def test_what_some_right_cases_have_too_is_not_exact():
    assert only_where(SHAPES, {0, 3}, exactly=True) == ""


CRASHES = [
    (lambda a, m: a > 0 and a < 1, "ask for one truth value"),
    (lambda a, m: a > 0.5 & a, "bind tighter"),
    (lambda a, m: [name.mean() for name in {"w": a}], "the loop gives names"),
    (lambda a, m: {"w": a}.mean(), "a dict has its arrays under names"),
    (lambda a, m: [a].mean(), "that is a list"),
    (lambda a, m: None[0], "one number, or None"),
    (lambda a, m: a(0), "round brackets"),
    (lambda a, m: a @ m, "the last axis of a"),
    (lambda a, m: a + m, "don't fit entry by entry"),
    (lambda a, m: a[m > 0], "what stands in the square brackets"),
    (lambda a, m: a[99], "an index past the end"),
    (lambda a, m: a.sum(5), "there is no such axis"),
    (lambda a, m: a.reshape(7), "another number of entries"),
    (lambda a, m: range(len(a) / 2), "a whole number is wanted"),
    (lambda a, m: 1 / 0, "a division by 0"),
    (lambda a, m: {}["w"], "no such name"),
    (lambda a, m: undefined, "a name is used before it has a value"),  # noqa: F821
    (lambda a, m: math.log(-1), "a logarithm or a root"),
    (lambda a, m: -(a > 0), "bools can't be subtracted"),
    (lambda a, m: max(a, 2 * a), "for max and min np.maximum"),
    (lambda a, m: [~name for name in {"w": a}], "the loop gives names, not arrays"),
    (lambda a, m: [abs(name) for name in {"w": a}], "the loop gives names, not arrays"),
    (lambda a, m: [name > 0 for name in {"w": a}], "the loop gives names, not arrays"),
    (lambda a, m: sum(name for name in {"w": a}), "the loop gives names, not arrays"),
    (lambda a, m: math.sqrt(a), "one number is wanted there, not an array"),
    (lambda a, m: round(a[None]) if isinstance(a, np.ndarray) else math.sqrt(a), "number"),
    (lambda a, m: [0 for n, c in [(*m.shape, 1)]], "values than names before the `=`"),
    (lambda a, m: a[:0][0], "an entry is asked of an array that has none"),
    (lambda a, m: int(float("nan")), "no whole number can be made of nan"),
]


@pytest.mark.parametrize(("answer", "said"), CRASHES, ids=[said for _, said in CRASHES])
def test_what_an_exception_means(answer, said):
    for library in (None, to_torch):
        arrays = np.ones(3), np.ones((4, 5))
        outcome = call(answer, library(arrays) if library else arrays, {}, seconds=5)
        assert outcome.kind == "error"
        assert said in explained(outcome.error), (library, outcome.error)
    assert explained("StrangeError: nobody knows") == ""


def test_a_crash_that_is_explained_is_on_the_card_and_doesnt_hide_the_values():
    verdict = check(find("02.5"), lambda masks: 1 - np.mean([m.mean() for m in masks]))
    assert verdict.status == "crashed"
    assert "the loop gives names" in card.text(verdict)
    some = check(replace(find("02.3"), mistakes=()), lambda score, k: np.argsort(-score.ravel())[:k] >= 0)
    assert some.status != "crashed"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=4), min_size=3, max_size=4), st.data())
def test_a_factor_that_is_named_is_the_factor(rows, data):
    cases = []
    for row in rows:
        yours = data.draw(st.lists(st.integers(-9, 9), min_size=len(row), max_size=len(row)))
        cases.append((np.array(yours, float), np.array(row, float), {}))
    found = observed(cases)
    if " times the expected one" in found and found.startswith("every number is ") and "log" not in found:
        factor = float(found.split()[3])
        assert all(np.allclose(y, factor * e, rtol=1e-5, atol=1e-5) for y, e, _ in cases)


def test_the_card_and_the_grades_say_it_where_no_mistake_is_known():
    exercise = replace(find("04.1"), mistakes=())
    verdict = check(exercise, lambda w: 2 * abs(w).sum((1, 2, 3)))
    assert verdict.mistake is None
    assert verdict.status == "wrong"
    said = f"in all {verdict.total - verdict.right} failing cases: every number is 2 times the expected one"
    assert verdict.observation == said
    assert said in card.text(verdict)
    assert _cell(verdict, "")[1] == said
    known = check(find("04.1"), lambda w: w.sum((1, 2, 3)))
    assert known.diagnosis
    assert not known.observation
