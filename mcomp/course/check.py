"""Judge a candidate by what it does on an exercise's cases: function in, Verdict out. Never raises."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mcomp.course.compare import NO_RETURN, has_torch
from mcomp.course.diagnose import compared, diagnosed
from mcomp.course.observe import explained, observed, only_where
from mcomp.course.outcomes import SECONDS, cases_of, outcomes_of, right_value, run
from mcomp.course.sandbox import STUB

STATUSES = (
    "right", "wrong", "to do", "crashed", "timed out", "printed too much", "changed its input",
    "wrong type", "wrong dtype", "wrong shape",
)  # fmt: skip
ENDS = {"to do": "crashed", "error": "crashed", "time": "timed out", "output": "printed too much"}
FINAL = ("right", "to do", "timed out", "printed too much", "changed its input")  # torch can't help these


@dataclass(frozen=True)
class Verdict:
    """What the card says. `status` is one of STATUSES."""

    exercise: str
    name: str
    status: str
    right: int = 0
    total: int = 0
    message: str = ""
    mistake: str | None = None  # the name of a known mistake that does the same, on all cases or on many
    diagnosis: str = ""
    observation: str = ""  # what is so in all failing cases, where no known mistake is
    inputs: dict | None = None  # the smallest failing case
    yours: Any = None
    expected: Any = None
    printed: str = ""
    line: int = 0

    @property
    def ok(self):
        return self.status == "right"


def check(exercise, function, *, seconds=SECONDS):
    """The verdict on `function`: right if it is right on numpy arrays or on torch tensors.

    Parameters
    ----------
    exercise : Exercise
    function : callable
        The answer. Whatever it does short of ending the process, this returns.
    seconds : float
        Of computing (what a busy machine lets others do meanwhile isn't counted), for all cases together on
        numpy arrays; a second pass on tensors gets what is left, at least 1.

    Returns
    -------
    verdict : Verdict

    Examples
    --------
    >>> from mcomp.course.model import find
    >>> verdict = check(find("02.1"), lambda w, theta: w > theta)
    >>> verdict.status, verdict.mistake
    ('wrong', 'no_abs')
    """
    outcomes = run(exercise, function, seconds=seconds)
    first = judge(exercise, outcomes)
    if first.status in FINAL or not has_torch():
        return first
    left = max(seconds - sum(outcome.seconds for outcome in outcomes), 1.0)
    second = judge(exercise, run(exercise, function, library="torch", seconds=left))
    return max(first, second, key=_reach)


def _reach(verdict):
    """How much a verdict tells: that all is right, or what happened, or how far the answer got."""
    told = 2 * bool(verdict.diagnosis) + (bool(verdict.observation) and verdict.status != "crashed")
    return verdict.ok, told, verdict.right, verdict.status != "crashed", verdict.line


def judge(exercise, outcomes, *, seed=0):
    """Compare what `run` brought with the oracle and, if it is wrong, with the known mistakes."""
    cases = cases_of(exercise, seed)
    faults = [_fault(exercise, seed, i, outcome) for i, outcome in enumerate(outcomes[: len(cases)])]
    right, bad = faults.count(None), [i for i, fault in enumerate(faults) if fault]
    head = {"exercise": exercise.id, "name": exercise.name, "right": right, "total": len(cases)}
    if outcomes[0].kind == "to do":
        return Verdict(**head, status="to do", message=outcomes[0].error.removeprefix(STUB))
    if not bad:
        return Verdict(**head, status="right")
    at = bad[-1] if outcomes[-1].kind in ("time", "output") else bad[0]
    status, message = faults[at]
    if outcomes[at].value is None and any(o.value is not None for o in outcomes):
        message = message.replace(NO_RETURN, ", in this case")  # elsewhere there is a return
    untouched = [i for i in bad if not outcomes[i].changed]  # no known mistake changes its input
    mistake, diagnosis = None, ""
    if len(outcomes) == len(cases) and untouched:
        mistake, diagnosis = diagnosed(exercise, outcomes, untouched, _known(exercise))
    return Verdict(
        **head,
        status=status,
        message=message,
        mistake=mistake.name if mistake else None,
        diagnosis=diagnosis,
        observation="" if diagnosis else _observe(exercise, cases, outcomes, bad, seed),
        inputs=deepcopy(exercise.named(cases[at])),
        yours=outcomes[at].value,
        expected=deepcopy(right_value(exercise, at, seed=seed)),
        printed=outcomes[at].printed,
        line=outcomes[at].line,
    )


def _known(exercise):
    """(mistake, what it comes to), one after the other."""
    return ((mistake, outcomes_of(exercise, mistake)) for mistake in exercise.mistakes)


def _fault(exercise, seed, number, outcome):
    """None, or (status, message) of one case."""
    if outcome.kind != "value":
        place = f"line {outcome.line}: {outcome.code}  →  " if outcome.line else ""
        return ENDS[outcome.kind], place + outcome.error if outcome.error else ""
    if outcome.changed:
        names = _names(exercise, cases_of(exercise, seed)[number], outcome.changed)
        return "changed its input", f"{names} must stay unchanged: work on a copy"
    return compared(exercise, outcome.value, right_value(exercise, number, seed=seed))


def _names(exercise, case, places):
    """The names of the arguments at those places, as in "w and mask"."""
    names = [*list(exercise.named(case))[: len(case.args)], *case.kwargs]
    return " and ".join(name for place, name in enumerate(names) if place in places)


def _observe(exercise, cases, outcomes, bad, seed):
    """What is so of the failing cases: of their values, of the exception shown, of which ones they are."""
    given = [exercise.named(case) for case in cases]
    values = [i for i in bad if outcomes[i].kind == "value" and not outcomes[i].changed]
    rows = [(outcomes[i].value, right_value(exercise, i, seed=seed), given[i]) for i in values]
    found = _unless_it_fails(lambda: observed(rows, rtol=max(exercise.rtol, 1e-6)))
    which = "failing cases" if values == bad else "cases with a wrong value"
    found = f"in all {len(values)} {which}: {found}" if found else ""
    said = [explained(outcomes[bad[0]].error) or _crashes([outcomes[i] for i in bad]), found]
    if len(outcomes) == len(cases):
        said.append(_unless_it_fails(lambda: only_where(given, set(bad), exactly=any(said))))
    return "; ".join(filter(None, said))


def _crashes(outcomes):
    """Where the case shown is a wrong value: what stops most of the others, if they are more."""
    told = Counter(explained(outcome.error) for outcome in outcomes if outcome.kind == "error")
    sentence, count = told.most_common(1)[0] if told else ("", 0)
    if outcomes[0].kind != "value" or not sentence or 2 * count <= len(outcomes):
        return ""
    return f"in {count} of {len(outcomes)} failing cases: {sentence}"


def _unless_it_fails(look):
    """What `look()` finds; "" for objects whose methods fail."""
    try:
        return look()
    except Exception:
        return ""
