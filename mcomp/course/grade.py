"""Grade a folder of submitted notebooks: `mcomp grade FOLDER --csv grades.csv`.

Nothing of a notebook runs here. `harvest` reads the learner's functions as text; a fresh process (`jail`)
behind a fence calls them on the cases' arguments and sends plain values back; this process, which no answer
ever enters, compares them with the oracle. Besides the cases that a learner's kernel shows there are as many
of another seed, drawn anew for each grading, so a table of known results is not an answer.
"""

import os
import re
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mcomp.arrays import check_int
from mcomp.course import fence
from mcomp.course.check import FINAL, judge
from mcomp.course.compare import has_torch
from mcomp.course.flags import flags_of
from mcomp.course.harvest import harvest
from mcomp.course.jail import ENDED
from mcomp.course.model import chapters, load
from mcomp.course.sandbox import Outcome
from mcomp.course.supervise import Limits, collect
from mcomp.course.wire import pack

NOTEBOOK = re.compile(r"[^.].*\.ipynb(\.txt|\.json)?", re.IGNORECASE | re.DOTALL)  # browsers add the second
OTHER_CASES = "right on the cases that a kernel shows, wrong on others"
JUDGE = threading.Lock()  # where prints and warnings are redirected, which is one thing a process


@dataclass
class Row:
    """One submission: `cells` maps exercise ids to right, wrong: ..., to do, crashed, timed out, missing."""

    file: str
    chapter: str = ""
    cells: dict = field(default_factory=dict)
    flags: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    guard: str = ""

    @property
    def right(self):
        return sum(cell == "right" for cell in self.cells.values())


def grade(folder, *, chapter=None, workers=2, seed=None, limits=None, quiet=False):
    """Grade every notebook below `folder`: a list of Row, in the order of their names.

    Parameters
    ----------
    folder : path
        Searched through and through; `.ipynb_checkpoints`, other hidden folders and linked folders are left
        out. A linked notebook gets a row that says so.
    chapter : str or None
        Such as "02"; by default each notebook's own, the one most of its exercises belong to.
    workers : int
        Submissions graded at the same time.
    seed : int or None
        Of the cases that no kernel shows; None draws one.
    limits : Limits or None
        Seconds and bytes for an answer.

    Raises
    ------
    ValueError
        If the folder doesn't exist or holds no notebook, or the chapter doesn't exist.
    """
    paths = find_notebooks(folder)
    seed = secrets.randbelow(2**31) + 1 if seed is None else check_int("seed", seed, 0)
    if chapter is not None:
        load(chapter)
    one = partial(_grade_one, root=Path(folder), chapter=chapter, seed=seed, limits=limits or Limits())
    with ThreadPoolExecutor(check_int("workers", workers, 1)) as pool:
        results = tqdm(pool.map(one, paths), "grading", len(paths), unit="notebook", disable=quiet or None)
        return list(results)


def find_notebooks(folder):
    """What looks like a notebook below `folder`, sorted; with folders that can't be opened."""
    folder, found, closed = Path(folder), [], []
    if not folder.is_dir():
        raise ValueError(f"folder is {str(folder)!r}; allowed: an existing folder")
    for place, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if NOTEBOOK.fullmatch(name)]
    found += [Path(error.filename) for error in closed]
    if not found:
        raise ValueError(f"{str(folder)!r} holds no notebook (*.ipynb)")
    return sorted(found)


def _grade_one(path, *, root, chapter, seed, limits):
    """The Row of one notebook; never raises for what is in it."""
    row = Row(path.relative_to(root).as_posix(), chapter or "")
    try:
        if path.is_symlink():
            raise ValueError("a link, which is not followed: put the notebook itself here")
        with JUDGE:
            found = harvest(path)
            row.flags = flags_of(found)
        row.chapter, row.notes = chapter or _chapter_of(found), list(found.notes)
        if not row.chapter:
            raise ValueError("no exercise of the course in it")
        exercises = load(row.chapter).exercises
        verdicts, row.guard = _verdicts(exercises, found, seed=seed, limits=limits, private=root)
    except (ValueError, RuntimeError) as error:
        row.notes.append(str(error))
        return row
    except Exception as error:  # one notebook must not cost the others their rows
        row.notes.append(f"can't be graded: {type(error).__name__}: {error}")
        return row
    for exercise in exercises:
        row.cells[exercise.id], note = _cell(verdicts.get(exercise.id), found.broken.get(exercise.id))
        row.notes += [f"{exercise.id} {note}"] if note else []
    return row


def _chapter_of(found):
    """The chapter to which most of the answers belong, or ""."""
    numbers = [name.partition(".")[0] for name in [*found.sources, *found.broken]]
    known = sorted(set(numbers) & set(chapters()))
    return max(known, key=numbers.count, default="")


def _verdicts(exercises, found, *, seed, limits, private):
    """({id: Verdict}, fence): on numpy arrays first, then on tensors what wasn't right."""
    verdicts, guard, asked = {}, "", [e for e in exercises if e.id in found.sources]
    for library in ("numpy", "torch") if has_torch() else ("numpy",):
        tasks = [_task(exercise, found, seed) for exercise in asked]
        if tasks:
            results, guard = collect(tasks, library, limits=limits, private=private)
        for exercise in asked:
            verdict = _verdict(exercise, results[exercise.id], seed)
            verdicts[exercise.id] = max(verdicts.get(exercise.id, verdict), verdict, key=_reach)
        asked = [e for e in asked if not _settled(verdicts[e.id])]
    return verdicts, guard


def _settled(verdict):
    """Would tensors change nothing? (They cost seconds: torch is slow to import.)"""
    known = verdict.mistake is not None and verdict.status != "crashed"
    ended = verdict.message == ENDED or fence.REFUSAL in verdict.message
    return verdict.status in FINAL or verdict.message == OTHER_CASES or known or ended


def _reach(verdict):
    return verdict.right, verdict.status != "crashed"


def _task(exercise, found, seed):
    """What the jail is told: the source, and arguments without results."""
    cases = exercise.make_cases() + exercise.make_cases(seed)
    return {
        "id": exercise.id,
        "name": found.names[exercise.id],
        "source": found.sources[exercise.id],
        "cases": [pack([case.args, case.kwargs]) for case in cases],
    }


def _verdict(exercise, outcomes, seed):
    """Judge the shown cases, for the diagnosis; who is right on these must be right on the others too."""
    count = len(exercise.make_cases())
    with JUDGE:
        shown = judge(exercise, _filled(outcomes[:count], count))
        if not shown.ok:
            return shown
        others = judge(exercise, _filled(outcomes[count:], len(exercise.make_cases(seed))), seed=seed)
    if others.ok:
        return shown
    if others.status in ("timed out", "printed too much", "changed its input"):
        return others
    return replace(others, status="wrong", message=OTHER_CASES, mistake=None, diagnosis="", observation="")


def _filled(outcomes, count):
    """The outcomes; where some are missing, the last one is never a value."""
    if len(outcomes) < count and (not outcomes or outcomes[-1].kind == "value"):
        return [*outcomes, Outcome("error", error=ENDED)]
    return outcomes[:count]


def _cell(verdict, broken):
    """(the cell, a note or "") of one exercise."""
    if verdict is None:
        return ("crashed", broken) if broken else ("missing", "")
    if verdict.status in ("right", "to do"):
        return verdict.status, ""
    if verdict.status in ("crashed", "timed out") and not verdict.mistake:
        return verdict.status, verdict.message
    kind = verdict.status.removeprefix("wrong").strip()
    key = verdict.mistake or kind or f"{verdict.right} of {verdict.total}"
    return f"wrong: {key}", verdict.diagnosis or verdict.observation or verdict.message
