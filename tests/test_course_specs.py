"""Every chapter's spec module: its exercises can be solved, and nothing but a right answer passes.

A new chapter is covered by adding specs/chNN.py and tests/answers/chNN.py (a numpy_ and a torch_ answer for
each exercise). The mutants are of the solution notebook's functions, and of the numpy_ answers until it
exists.
"""

import ast
import dataclasses
import importlib
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import mutants
from notebooks import ROOT

from mcomp import prune
from mcomp.course import card
from mcomp.course.check import check, judge
from mcomp.course.compare import difference, plain, to_torch
from mcomp.course.harvest import answers
from mcomp.course.model import Exercise, Mistake, case, chapters, find, load
from mcomp.course.outcomes import outcomes_of, right_value, run
from mcomp.course.sandbox import call

EXERCISES = [exercise for number in chapters() for exercise in load(number).exercises]
SEEDS = range(1, 41)  # of the cases that tell whether a mutant behaves like the solution

every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id, scope="module")


def chapter_of(exercise):
    return exercise.id.partition(".")[0]


def answer_module(exercise):
    return importlib.import_module(f"answers.ch{chapter_of(exercise)}")


def solution_source(exercise):
    """The whole source that defines the solution: of the notebook, else of tests/answers, renamed."""
    for path in (ROOT / "solutions").glob(f"{chapter_of(exercise)}_*.ipynb"):
        if exercise.id in answers(path):
            return answers(path)[exercise.id]
    source = inspect.getsource(answer_module(exercise))
    return source + f"\n\n{rename(source, f'numpy_{exercise.name}', exercise.name)}\n"


def rename(source, old, new):
    (node,) = (n for n in ast.parse(source).body if getattr(n, "name", "") == old)
    node.name = new
    return ast.unparse(node)


def define(source, name):
    scope = {"__name__": "answer"}
    exec(compile(source, "<answer>", "exec"), scope)
    return scope[name]


def stub(*args, **kwargs):
    raise NotImplementedError


@every_exercise
def test_the_stub_is_to_do(exercise):
    verdict = check(exercise, stub)
    assert (verdict.status, verdict.right) == ("to do", 0)
    assert card.text(verdict) == f"{exercise.id} {exercise.name}: to do"


@every_exercise
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_solution_in_each_library_is_right(exercise, library):
    function = getattr(answer_module(exercise), f"{library}_{exercise.name}")
    assert judge(exercise, run(exercise, function, library=library)).status == "right"
    verdict = check(exercise, function)
    assert (verdict.status, verdict.right) == ("right", verdict.total)


@every_exercise
def test_the_oracle_and_the_solution_are_right(exercise):
    for function in (exercise.oracle, define(solution_source(exercise), exercise.name)):
        assert card.title(check(exercise, function)).startswith(f"{exercise.id} {exercise.name}: right (")


@every_exercise
def test_each_mistake_is_rejected_with_its_own_diagnosis(exercise):
    bad = {m.name: told for m in exercise.mistakes if (told := wrong_with(exercise, m))}
    assert not bad, "\n".join(f"{name}: {told}" for name, told in bad.items())


def wrong_with(exercise, mistake):
    """What a known mistake isn't but should be, in words; nothing if it is as it should be."""
    verdict, near = check(exercise, mistake.answer), {"rtol": exercise.rtol, "atol": exercise.atol}
    if verdict.ok:
        return "right"
    if (verdict.mistake, verdict.diagnosis) != (mistake.name, mistake.diagnosis):
        return f"told as {verdict.mistake}: {verdict.diagnosis}"
    if mistake.diagnosis not in card.text(verdict):
        return f"not on the card: {card.text(verdict)}"
    values = ((i, o.value) for i, o in enumerate(outcomes_of(exercise, mistake)) if o.kind == "value")
    if not any(difference(value, right_value(exercise, i), **near) for i, value in values):
        return "only crashes: it would be every crash's diagnosis"
    return ""


@every_exercise
def test_a_mistake_is_recognised_in_torch_too(exercise):
    wrong = exercise.mistakes[0]

    def in_torch(*arguments):
        if "tensor(" not in repr(arguments):
            raise TypeError("an answer for tensors only")
        return to_torch(wrong.answer(*plain(arguments)))

    assert check(exercise, in_torch).mistake == wrong.name


@every_exercise
def test_an_exercise_is_complete(exercise):
    number, place = exercise.id.split(".")
    assert load(number).exercises[int(place) - 1] is exercise is find(exercise.id)
    assert len(exercise.hints) == 3
    assert all(isinstance(hint, str) and len(hint) > 20 for hint in exercise.hints)
    assert len(exercise.mistakes) >= 3
    for texts in ([m.name for m in exercise.mistakes], [m.diagnosis for m in exercise.mistakes]):
        assert len(set(texts)) == len(texts)
    assert exercise.oracle.__doc__ in exercise.source()
    assert 15 <= len(exercise.make_cases()) <= 30


@every_exercise
def test_the_first_case_is_small_and_cases_repeat(exercise):
    first, again = exercise.make_cases(), exercise.make_cases()
    assert repr(first) == repr(again)
    assert repr(first) != repr(exercise.make_cases(1))
    arrays = [x for x in plain(list(first[0].args)) if isinstance(x, np.ndarray)]
    assert sum(x.size for x in arrays) <= 12


def test_quizzes_have_three_questions_and_one_right_option_each():
    for number in chapters():
        quiz = load(number).quiz
        assert len(quiz) == 3
        for question in quiz:
            assert [option.right for option in question.options].count(True) == 1
            assert all(option.why and option.text for option in question.options)


@every_exercise
def test_mutants_of_the_solution_are_rejected(exercise):
    source = solution_source(exercise)
    right = Results(exercise, define(source, exercise.name))
    caught = escaped = 0
    for mutant in mutants(source, exercise.name):
        function = define(mutant, exercise.name)
        if not judge(exercise, run(exercise, function, seconds=0.5)).ok:
            caught += 1
        elif any(right.differ(function, seed) for seed in SEEDS):
            escaped += 1
    assert caught + escaped >= 2
    assert caught >= 0.95 * (caught + escaped)


class Results:
    """What a function returns on the cases of each seed, called once for each."""

    def __init__(self, exercise, function):
        self.exercise, self.function, self.known = exercise, function, {}

    def outcomes(self, seed):
        if seed not in self.known:
            cases = self.exercise.make_cases(seed)
            self.known[seed] = [(case, call(self.function, *case.fresh(), seconds=0.5)) for case in cases]
        return self.known[seed]

    def differ(self, function, seed):
        """Does `function` give other results?"""
        near = {"rtol": self.exercise.rtol, "atol": self.exercise.atol}
        for example, mine in self.outcomes(seed):
            theirs = call(function, *example.fresh(), seconds=0.5)
            if mine.kind != theirs.kind or difference(plain(theirs.value), plain(mine.value), **near):
                return True
        return False


@pytest.mark.parametrize("name", ["relative_threshold_mask", "topk_mask", "global_topk_masks"])
def test_chapter_02_means_what_the_library_means(name):
    (exercise,) = (e for e in EXERCISES if e.name == name)
    assert check(exercise, getattr(prune, name)).ok


def test_chapter_02_agrees_with_torch_prune():
    from torch.nn.utils import prune as peer

    exercise = find("02.4")
    for example in exercise.make_cases():
        (w, k), _ = example.fresh(to_torch)
        near, error = exercise.oracle(*example.args)
        mask = peer.L1Unstructured(w.numel() - k).compute_mask(w, w.new_ones(w.shape))
        if len(w.abs().unique()) == w.numel():  # of equals torch may keep either
            assert (near == plain(w * mask)).all()
        # a sum of at most a dozen squares in another order
        assert float(((w - w * mask) ** 2).sum()) == pytest.approx(error, rel=1e-12)


def test_chapter_04_wants_all_orders_and_not_some():
    """Twenty orders at random were once enough, where the largest columns of each case came first."""
    exercise = find("04.5")

    def some(w):
        orders = (np.random.default_rng(seed).permutation(8) for seed in range(20))
        return max(np.sort(abs(w)[:, o].reshape(-1, 4), 1)[:, 2:].sum() for o in orders)

    assert check(exercise, some).status == "wrong"


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.data())
def test_no_mask_with_k_entries_is_nearer_than_the_oracle_s(entries, data):
    w, k = np.array(entries, float), data.draw(st.integers(0, len(entries)))
    near, error = find("02.4").oracle(w, k)
    assert np.count_nonzero(near) <= k
    assert error == (np.sort(w**2)[: w.size - k]).sum()  # small integers: exact


def test_bad_ids_are_refused_with_what_exists():
    with pytest.raises(ValueError, match=r"'02\.99'; allowed: 02\.1, 02\.2"):
        find("02.99")
    with pytest.raises(ValueError, match=r"'77'; allowed: .*02"):
        load("77")
    with pytest.raises(ValueError, match="exercise is 'x'"):
        find("x")


def test_the_mutation_test_sees_a_weak_exercise():
    """An exercise whose cases have no negative weights lets the mutant without abs escape."""
    strong = find("02.1")

    def positive(rng):
        yield from (case(rng.random(5), 0.5) for _ in range(20))

    weak = Exercise("02.1", strong.oracle, positive, "weak", ("", "", ""), (Mistake("a", stub, "b"),))
    assert check(weak, strong.mistakes[0].answer).ok


def test_a_mistake_that_is_none_is_seen():
    exercise = find("02.1")
    first, other = exercise.mistakes[:2]

    def crashes(*arguments):
        raise ValueError("always")

    assert wrong_with(exercise, first) == ""
    assert wrong_with(exercise, Mistake("right", exercise.oracle, "?")) == "right"
    assert wrong_with(exercise, Mistake("first", other.answer, "?")).startswith(f"told as {other.name}")
    alone = dataclasses.replace(exercise, mistakes=(Mistake("crashes", crashes, "it always crashes"),))
    assert wrong_with(alone, alone.mistakes[0])
