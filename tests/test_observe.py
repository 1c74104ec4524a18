"""What a wrong answer has to do with the right one, where no known mistake does the same."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.course import card
from mcomp.course.check import check
from mcomp.course.grade import _cell
from mcomp.course.model import find
from mcomp.course.observe import observed

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
    (lambda e: e * np.arange(1, e.size + 1).reshape(e.shape), ""),
    (lambda e: np.zeros_like(e), ""),
    (lambda e: e[:, :1], ""),
    (lambda e: "text", ""),
]


@pytest.mark.parametrize(("change", "said"), SAID)
def test_what_is_so_in_every_case_is_said(change, said):
    found = observed([(change(e), e, given) for e, given in zip(TABLES, INPUTS, strict=True)])
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_one_case_proves_nothing_and_one_that_differs_refutes():
    assert observed([(2 * TABLES[0], TABLES[0], {})]) == ""
    assert observed([(2 * TABLES[0], TABLES[0], {}), (3 * TABLES[1], TABLES[1], {})]) == ""


def test_rounding():
    whole = [np.array([1.0, 4.0, 2.0]), np.array([7.0, 3.0])]
    cases = [(e + 0.3 * np.cos(np.arange(len(e))), e, {}) for e in whole]
    assert observed(cases) == "rounded, every number would be right"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: ~m, "True and False are exchanged"),
        (lambda m: m | (np.arange(m.size) == m.argmin()), "one place too many is True, the others are right"),
        (lambda m: m & (np.arange(m.size) != m.argmax()), "one place too few is True, the others are right"),
        (lambda m: np.roll(m, 1), "as many places are True as should be, but others"),
        (lambda m: np.ones_like(m), ""),
    ],
)
def test_masks(change, said):
    masks = [np.array([True, False, False, True, False, False]), np.array([False, True, False, False])]
    assert observed([(change(m), m, {}) for m in masks]) == said


def test_of_several_values_the_wrong_one_is_named():
    pairs = [(np.array([1.0, 2.0]), 3.0), (np.array([4.0, 5.0]), 7.0)]
    assert observed([((a, 2 * b), (a, b), {}) for a, b in pairs]) == (
        "value 1 alone is wrong: every number is 2 times the expected one"
    )
    assert observed([((b, a), (a, b), {}) for a, b in pairs]) == "the two values are exchanged"
    assert observed([((2 * a, 2 * b), (a, b), {}) for a, b in pairs]) == ""
    named = [({"w": a, "b": b}, {"w": a, "b": b + 1}, {}) for a, b in pairs]
    assert observed(named) == "value b alone is wrong: every number is 1 too small"
    assert observed([((1.0,), (1.0, 2.0), {}), ((1.0,), (1.0, 2.0), {})]) == ""


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=4), min_size=2, max_size=3), st.data())
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
    said = f"in all {verdict.total - verdict.right} failing cases every number is 2 times the expected one"
    assert verdict.observation == said
    assert said in card.text(verdict)
    assert _cell(verdict, "")[1] == said
    known = check(find("04.1"), lambda w: w.sum((1, 2, 3)))
    assert known.diagnosis
    assert not known.observation
