"""Whatever a learner's function does, the verdict says so, in time, and the process goes on."""

import builtins
import dataclasses
import pickle
import re
import signal
import sys
import threading
import time
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.course import card
from mcomp.course.check import STATUSES, Verdict, check, judge
from mcomp.course.compare import difference, plain, same, to_torch
from mcomp.course.model import Exercise, Mistake, case, find
from mcomp.course.outcomes import SECONDS, run
from mcomp.course.sandbox import ROOM, call
from mcomp.course.show import escape

TOPK = find("02.3")
ALARMS = hasattr(signal, "setitimer")
needs_alarms = pytest.mark.skipif(not ALARMS, reason="Windows has no alarms: there a thread is given up")


def loops(score, k):
    while True:
        pass


def loops_and_swallows(score, k):
    while True:
        try:
            sum(range(100))
        except BaseException:
            score = score + 1


def loops_and_clings(score, k):
    while True:
        try:
            while True:
                np.zeros(3) + 1
        except:  # noqa: E722
            continue
        finally:
            continue  # noqa: B012


def sleeps(score, k):
    time.sleep(60)


def prints_megabytes(score, k):
    while True:
        print("hello " * 100)


def prints_megabytes_at_once(score, k):
    sys.stderr.write("x" * 5_000_000)


def spoils_its_input(score, k):
    score[...] = 0
    return score > 0


def sorts_its_input(score, k):
    mask = TOPK.oracle(score, k)
    score.sort()  # a torch tensor's sort() leaves it as it is
    return mask


def exits(score, k):
    sys.exit(3)


def interrupts(score, k):
    raise KeyboardInterrupt


def raises_what_has_no_text(score, k):
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    raise Mute


def recurses(score, k):
    return recurses(score, k)


def asks(score, k):
    return input("which?")


def misspells(score, k):
    mask = scroe > k  # noqa: F821
    return mask


def misspells_torch(score, k):
    best = torch.argsort(score.flatten())
    return bset[best]  # noqa: F821


def is_half_done(score, k):
    if k > 1:
        raise NotImplementedError
    return TOPK.oracle(score, k)


def forgets_return(score, k):
    TOPK.oracle(score, k)


class Strange:
    def __eq__(self, other):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


BAD = [
    (loops, "timed out", "slower than 3 s of computing"),
    *(
        pytest.param(answer, "timed out", "slower than 3 s of computing", marks=needs_alarms)
        for answer in (loops_and_swallows, loops_and_clings, sleeps)
    ),
    (prints_megabytes, "printed too much", "hello hello"),
    (prints_megabytes_at_once, "printed too much", "prints too much"),
    (spoils_its_input, "changed its input", "work on a copy"),
    (sorts_its_input, "changed its input", "work on a copy"),
    (exits, "crashed", "line 2: sys.exit(3)  →  SystemExit: 3"),
    (interrupts, "crashed", "KeyboardInterrupt"),
    (raises_what_has_no_text, "crashed", "line 6: raise Mute  →  Mute"),
    (recurses, "crashed", "RecursionError"),
    (asks, "crashed", "input() is not for exercises"),
    (misspells, "crashed", "line 2: mask = scroe > k  # noqa: F821  →  NameError"),
    (misspells_torch, "crashed", "line 3: return bset[best]  # noqa: F821  →  NameError"),
    (is_half_done, "crashed", "line 3: raise NotImplementedError"),
    (forgets_return, "wrong type", "returned None, expected an array: is there a return?"),
    (lambda score: score, "crashed", "takes 1 positional argument but 2 were given"),
    (lambda score, k: [True], "wrong shape", "returned an array of shape (1,), expected shape (3,)"),
    (lambda score, k: [[True], [True, False]], "wrong type", "returned a list of 2, expected an array"),
    (lambda score, k: (yield), "wrong type", "returned a generator, expected an array"),
    (lambda score, k: "mask", "wrong type", "returned a str, expected an array"),
    (lambda score, k: True, "wrong type", "returned one bool, expected an array"),
    (lambda score, k: Strange(), "wrong type", "returned a Strange, expected an array"),
    (lambda score, k: np.array([Strange()] * score.size), "wrong dtype", "returned object, expected bool"),
    (lambda score, k: torch.zeros(3).to_sparse(), "crashed", "the result can't be read: TypeError"),
    (lambda score, k: TOPK.oracle(score, k) * 1.0, "wrong dtype", "returned float64, expected bool"),
    (lambda score, k: TOPK.oracle(score, k) * 1, "wrong dtype", "returned int64, expected bool"),
    (lambda score, k: TOPK.oracle(score, k).ravel(), "wrong shape", "shape (4,), expected shape (2, 2)"),
]


def state():
    """What a check must leave as it was."""
    alarm = (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) if ALARMS else None
    return sys.stdout, sys.stderr, sys.gettrace(), builtins.input, warnings.showwarning, alarm


@pytest.mark.parametrize(("answer", "status", "words"), BAD)
def test_a_bad_answer_gets_its_card(answer, status, words):
    before = state()
    verdict = check(TOPK, answer, seconds=1.0)
    assert verdict.status == status
    assert words in card.text(verdict)
    assert escape(words) in card.html(verdict)
    assert state() == before
    assert check(TOPK, TOPK.oracle).ok  # the checker still works


@needs_alarms
def test_the_limit_leaves_room_for_a_card_within_five_seconds():
    """The slowest: an answer that takes its whole time on numpy, then a second on torch, then mistakes."""
    assert SECONDS + 1 <= 4
    assert check(TOPK, loops_and_clings).status == "timed out"


@pytest.mark.parametrize("answer", [loops, prints_megabytes, exits, misspells, TOPK.oracle])
def test_the_same_verdict_outside_of_the_main_thread(answer):
    """As on Windows: without alarms, an exception is sent into a thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(check(TOPK, answer, seconds=0.5)))
    thread.start()
    thread.join()
    assert [verdict.status for verdict in found] == [check(TOPK, answer, seconds=0.5).status]
    for _ in range(200):  # stopped, not left behind; on a busy machine it takes its time to end
        if not (left := [t.name for t in threading.enumerate() if "(run)" in t.name]):
            break
        time.sleep(0.05)
    assert left == []


@needs_alarms
def test_someone_else_s_alarm_still_rings():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        check(TOPK, TOPK.oracle)
        end = time.monotonic() + 60
        while not rung and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung == [1]


def test_what_an_answer_prints_is_on_the_card_of_a_wrong_one_only(capsys):
    def talks(score, k):
        print("k is", k)
        warnings.warn("beware", RuntimeWarning, stacklevel=1)
        return TOPK.oracle(score, min(k, 1))

    verdict = check(TOPK, talks)
    assert verdict.status == "wrong"
    assert "it printed\n    k is 2\n    RuntimeWarning: beware\n" in card.text(verdict)
    assert capsys.readouterr() == ("", "")

    def talks_and_is_right(score, k):
        print("k is", k)
        return TOPK.oracle(score, k)

    assert card.text(check(TOPK, talks_and_is_right)) == "02.3 topk_mask: right (20 of 20)"
    assert capsys.readouterr() == ("", "")


def test_an_answer_that_calls_a_stub_says_whose():
    def topk(score, k):
        raise NotImplementedError

    def answer(score, k):
        return topk(score, k)

    verdict = check(TOPK, answer)
    assert verdict.status == "to do"
    assert "it calls topk, which is still to do" in card.text(verdict)
    assert card.text(check(TOPK, topk)) == "02.3 topk_mask: to do"


def test_two_crashes_are_no_agreement():
    """A mistake that crashes everywhere is nobody's diagnosis; one that crashes on some cases is found."""

    def crashes(score, k):
        raise ValueError("no")

    def half(score, k):
        return crashes(score, k) if score.size > 9 else TOPK.oracle(score, k) ^ True

    task = Exercise("02.3", TOPK.oracle, TOPK.cases, "t", ("",) * 3, (Mistake("never", crashes, "never"),))
    assert check(task, crashes).mistake is None
    task = Exercise("02.3", TOPK.oracle, TOPK.cases, "t", ("",) * 3, (Mistake("half", half, "half"),))
    assert check(task, half).mistake == "half"
    assert check(task, crashes).mistake is None


def test_two_mistakes_at_once_get_the_one_that_explains_most():
    signed = find("02.1")  # keeps |w| > theta

    def no_abs_and_more(w, theta):
        return (w > theta) ^ (w.size > 30)

    verdict = check(signed, no_abs_and_more)
    assert verdict.mistake == "no_abs"
    assert "failing cases: you compared w, not |w|" in card.text(verdict)


def test_an_answer_that_says_nothing_gets_no_part_of_a_diagnosis():
    """A mask of all False is what many mistakes give somewhere: `both` of 02.1 gives it everywhere."""
    verdict = check(find("02.1"), lambda w, theta: abs(w) > 40 * theta + (abs(w).max() if theta == 0 else 0))
    assert (verdict.status, verdict.mistake) == ("wrong", "both")  # on all cases it does the same
    verdict = check(find("02.1"), lambda w, theta: abs(w) / np.linalg.norm(w) > theta)
    assert (verdict.status, verdict.mistake) == ("wrong", None)


def test_crashes_of_one_type_count_as_a_part_beside_values():
    """`transposed` of 03.7 fits square layers alone; where it doesn't, the sentences name other sizes."""
    verdict = check(find("03.7"), lambda w, b, mean, gone: (w * ~gone, b + w.T @ (mean * gone)))
    assert verdict.mistake == "transposed"


def test_an_answer_that_else_only_crashes_gets_the_mistake_whose_values_are_its_own():
    """numpy's vh taken for V: where w isn't square the shapes don't fit, which `v_for_vt` of 10.3 guards."""

    def takes_vh_for_v(w, rank):
        u, s, v = np.linalg.svd(w, full_matrices=False)
        near = u[:, :rank] * s[:rank] @ v[:, :rank].T
        return near, ((w - near) ** 2).sum()

    verdict = check(find("10.3"), takes_vh_for_v)
    assert (verdict.status, verdict.mistake) == ("crashed", "v_for_vt")
    assert "failing cases, all that return a value: svd gives v already transposed" in card.text(verdict)


def test_values_that_are_not_all_a_mistake_s_own_are_not_named_after_it():
    task = find("10.3")
    (known,) = (m for m in task.mistakes if m.name == "v_for_vt")

    def crashes_where_wide(wrong):
        def answer(w, rank):
            if w.shape[0] < w.shape[1]:
                raise ValueError("no")
            return wrong(w, rank)

        return answer

    def also_wrong_elsewhere(w, rank):
        near, error = known.answer(w, rank)
        return near, error + (w.shape[0] == 5)

    def two_of_them(w, rank):
        return (known.answer if w.shape[0] > 4 and rank < 4 else task.oracle)(w, rank)

    assert check(task, crashes_where_wide(known.answer)).mistake == "v_for_vt"
    assert check(task, crashes_where_wide(also_wrong_elsewhere)).mistake is None
    assert check(task, crashes_where_wide(two_of_them)).mistake is None


def test_a_mistake_that_does_otherwise_elsewhere_is_only_compared_with():
    """Where T is 1 or more it is used: the values are those of `cold` of 12.1 only where T is below 1."""

    def heated_only(z, T):
        e = np.exp((z - z.max(-1, keepdims=True)) / max(T, 1))
        return e / e.sum(-1, keepdims=True)

    task = find("12.1")
    task = dataclasses.replace(task, mistakes=[m for m in task.mistakes if m.name == "cold"])
    verdict = check(task, heated_only)
    assert verdict.mistake == "cold"
    assert "in all 4 failing cases yours does what this mistake does: T isn't used" in card.text(verdict)


def test_none_in_some_cases_is_no_forgotten_return():
    verdict = check(TOPK, lambda score, k: None if k == 0 else TOPK.oracle(score, k))
    assert verdict.message == "returned None, expected an array, in this case"


def test_of_two_libraries_the_one_with_a_diagnosis_is_shown():
    """std divides by n in numpy and by n - 1 in torch, where the answer is right more often."""
    assert check(find("02.1"), lambda w, theta: abs(w) > theta * w.std()).mistake == "std"


def test_a_right_value_beside_a_changed_input_is_no_known_mistake():
    """Some mistakes of 00.2 are right for one axis: they explain nothing there."""

    def in_place(w, k):
        w[abs(w) < np.sort(abs(w), axis=None)[-k]] = 0
        return w

    verdict = check(find("00.2"), in_place)
    assert (verdict.status, verdict.mistake, verdict.diagnosis) == ("changed its input", None, "")


def test_the_arguments_that_an_answer_changed_are_named():
    def in_place(w, mask, grad, k):
        mask[...] = False
        grad *= 2
        return mask

    assert check(find("05.4"), in_place).message == "mask and grad must stay unchanged: work on a copy"

    def one_of_a_dict(scores, k):
        scores["a"][0] = 9.0
        return {name: score > 0 for name, score in scores.items()}

    assert check(find("02.6"), one_of_a_dict).message.startswith("scores must stay unchanged")


@pytest.mark.parametrize("number", ["02.3", "02.4", "02.5", "02.6"])
def test_whoever_returns_nothing_is_asked_for_a_return(number):
    verdict = check(find(number), lambda *arguments: None)
    assert verdict.message.endswith(": is there a return?")


def test_a_case_that_is_wrong_where_most_others_crash_says_why_they_do():
    def joins_tables(scores, k):
        flat = np.concatenate(list(scores.values()))
        return {name: score >= np.sort(flat)[-k] for name, score in scores.items()}

    verdict = check(dataclasses.replace(find("02.6"), mistakes=()), joins_tables)
    assert verdict.status == "wrong"
    assert re.match(r"in (all \d+|\d+ of \d+) failing cases: arrays that are joined", verdict.observation)


def test_an_answer_may_call_itself(capsys):
    scope = {}
    exec(
        "from mcomp.course import exercise\n\n"
        "@exercise('02.1')\ndef magnitude_mask(w, theta, again=True):\n"
        "    return magnitude_mask(w, theta, False) if again else abs(w) > theta\n",
        scope,
    )
    assert "02.1 magnitude_mask: right (20 of 20)" in capsys.readouterr().out


def test_prints_are_capped_over_all_cases():
    assert check(TOPK, lambda score, k: print("x" * (ROOM // 10))).status == "printed too much"
    outcome = call(print, ("x" * 50,), {}, seconds=1, room=20)
    assert (outcome.kind, outcome.printed) == ("output", "x" * 20)


def test_a_case_that_fails_late_shows_the_smallest_one():
    def fails_from_nine_entries_on(score, k):
        return TOPK.oracle(score, k) ^ (score.size >= 9)

    verdict = check(TOPK, fails_from_nine_entries_on)
    sizes = [case.args[0].size for case in TOPK.make_cases()]
    assert verdict.inputs["score"].size == next(size for size in sizes if size >= 9)
    assert verdict.right == sum(size < 9 for size in sizes)
    assert (verdict.expected == TOPK.oracle(**verdict.inputs)).all()
    assert (verdict.yours == ~verdict.expected).all()


def test_an_answer_cannot_spoil_the_cases_for_the_next():
    assert check(TOPK, spoils_its_input).status == "changed its input"
    assert check(TOPK, TOPK.oracle).ok


def test_the_global_random_state_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    check(TOPK, lambda score, k: score > 0)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize(
    "answer", [row[0] for row in BAD if isinstance(row, tuple) and row[1] != "timed out"]
)
def test_cards_are_the_same_every_time_and_name_no_address(answer):
    first, second = (check(TOPK, answer, seconds=1.0) for _ in range(2))
    assert card.text(first) == card.text(second)
    assert card.html(first) == card.html(second)
    assert " at 0x" not in card.text(first)


def test_an_exception_with_an_address_loses_it():
    def answer(score, k):
        raise ValueError(f"what is {object()}?\nand a second line")

    assert "ValueError: what is <object object>? and a second line" in card.text(check(TOPK, answer))


SCALAR = Exercise(
    "99.1", lambda x: float(x.sum()), lambda rng: iter([case(rng.random(3))]), "t", ("", "", "")
)
PAIR = Exercise(
    "99.2", lambda x: (x, [x.sum()]), lambda rng: iter([case(rng.random(3))]), "t", ("", "", ""), rtol=1e-9
)  # fmt: skip


def test_a_number_may_be_an_array_without_axes_but_not_with_one():
    assert check(SCALAR, lambda x: x.sum()).ok
    assert check(SCALAR, lambda x: np.array(x.sum())).ok
    assert check(SCALAR, lambda x: torch.sum(x)).ok
    verdict = check(SCALAR, lambda x: x.sum(keepdims=True))
    assert (verdict.status, verdict.message) == (
        "wrong shape",
        "returned an array of shape (1,), expected a number",
    )
    assert check(SCALAR, lambda x: x.sum() > 0).message == "returned bool, expected float"
    assert "off by 1.0e-12" in card.text(check(SCALAR, lambda x: x.sum() + 1e-12))


def test_a_tuple_is_compared_one_by_one():
    assert check(PAIR, lambda x: [x, (x.sum(),)]).ok
    assert check(PAIR, lambda x: (x, [torch.sum(x)])).ok
    assert check(PAIR, lambda x: (x, [None])).message == (
        "value 1: value 0: returned None, expected one number: is there a return?"
    )
    assert check(PAIR, lambda x: (x,)).message == "returned 1 values, expected 2"
    assert check(PAIR, lambda x: x).message == "returned 3 values, expected 2"
    assert check(PAIR, lambda x: 1.0).message == "returned one number, expected a tuple of 2"
    assert "yours[0]" in card.text(check(PAIR, lambda x: (x + 1, [x.sum()])))


DIFFERENCES = [
    (1, 1.0, None),
    (np.float32(1), 1.0, None),
    (True, 1.0, "wrong dtype"),
    (36.0, 36, None),
    (36.5, 36, "wrong"),
    (np.float32(16777216), 16777217, "wrong"),
    (float(2**60), 2**60 + 1, "wrong"),
    (1 + 0j, 1.0, "wrong dtype"),
    (np.nan, np.nan, None),
    (np.ones(2, np.float32), np.ones(2), None),
    (np.ones(2, np.int8), np.ones(2, int), None),
    (np.ones(2, int), np.ones(2), None),
    ([1, 2], np.array([1, 2]), None),
    ((True, False), np.array([True, False]), None),
    ([1, 0], np.array([True, False]), "wrong dtype"),
    ([1, "a"], np.array([1, 2]), "wrong type"),
    (np.array([1.0, 2.0]), [1.0, 2.0], None),
    (np.float32(1 / 3), 1 / 3, None),
    (np.array([1 / 3, 1e-9], np.float32), np.array([1 / 3, 0.0]), None),
    (np.array([0.3334, 0.0], np.float32), np.array([1 / 3, 0.0]), "wrong"),
    (np.array([1 / 3 + 1e-7, 0.0]), np.array([1 / 3, 0.0]), "wrong"),  # float64 could hold it
    (np.array([2**60 + 1]), np.array([2**60]), "wrong"),
    (np.ones(0), np.ones(0), None),
    (np.ones((1, 2)), np.ones(2), "wrong shape"),
    ({"a": 1}, {"a": 1}, None),
    ({"b": 1}, {"a": 1}, "wrong"),
    ([1], {"a": 1}, "wrong type"),
    ({"a": 1}, [1], "wrong type"),
]


@pytest.mark.parametrize(("yours", "expected", "status"), DIFFERENCES)
def test_difference(yours, expected, status):
    found = difference(yours, expected)
    assert (found and found[0]) == status


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), max_size=8), st.booleans())
def test_arrays_survive_the_way_to_torch_and_back(entries, nested):
    x = np.array(entries)
    x = {"a": [x, 3], "b": (x > 0,)} if nested else x
    assert same(plain(to_torch(x)), x)
    assert difference(plain(to_torch(x)), x) is None
    assert not same(to_torch(x), x)


def test_half_precision_is_read():
    assert plain(torch.tensor([1.5], dtype=torch.bfloat16)).tolist() == [1.5]
    assert plain(torch.tensor([1.5], requires_grad=True)).tolist() == [1.5]


def test_a_fraction_is_a_number():
    assert plain([Fraction(1, 2), 3]) == [0.5, 3]
    half = Exercise("99.1", lambda n: n / 2, lambda rng: iter([case(1)]), "t", ("", "", ""), rtol=1e-9)
    assert check(half, lambda n: Fraction(n, 2)).ok
    assert check(half, lambda n: Fraction(n, 3)).status == "wrong"


def test_outcomes_can_be_judged_elsewhere():
    """What grading does: one process runs, another judges."""
    outcomes = pickle.loads(pickle.dumps(run(TOPK, TOPK.mistakes[0].answer)))
    assert judge(TOPK, outcomes).mistake == TOPK.mistakes[0].name


def test_a_large_array_is_shown_by_its_corners():
    big = Exercise("99.3", lambda x: x, lambda rng: iter([case(np.arange(400.0).reshape(20, 20))]), "t", ())
    text = card.text(check(big, lambda x: np.where(x == 21, -1, x)))
    assert "first difference at [1, 1]: yours -1, expected 21" in text
    assert "shape (20, 20)" in text
    assert len(text) < 2000


def test_every_status_has_a_card():
    for status in STATUSES:
        verdict = Verdict("99.1", "f", status, inputs={"x": np.ones(2)}, yours=Strange(), expected=1.0)
        assert status in card.text(verdict)
        assert status in card.html(verdict)


def test_html_is_escaped():
    verdict = Verdict("99.1", "f", "crashed", message="<script>$x$</script>")
    assert "&lt;script&gt;&#36;x&#36;" in card.html(verdict)


def test_a_mistake_must_agree_on_every_case():
    """An answer that shares some outputs with a mistake is not told that it is that mistake."""
    loner = Mistake("zero", lambda x: 0.0, "you returned 0")
    cases = lambda rng: iter([case(np.ones(1)), case(np.ones(2))])  # noqa: E731
    task = Exercise("99.4", lambda x: float(x.sum()), cases, "t", ("", "", ""), (loner,))
    assert check(task, lambda x: 0.0).mistake == "zero"
    assert check(task, lambda x: 0.0 if x.size == 1 else 5.0).mistake is None
