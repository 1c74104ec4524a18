"""What a chapter's spec module is made of: exercises, cases, known mistakes, quiz questions."""

import copy
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of the learner's function."""

    args: tuple
    kwargs: dict

    def fresh(self, convert=None):
        """Copies of the arguments, so that no call can spoil the next one."""
        args, kwargs = copy.deepcopy((self.args, self.kwargs))
        return (args, kwargs) if convert is None else (convert(args), convert(kwargs))


def case(*args, **kwargs):
    """The arguments of one call: numpy arrays, numbers, or lists, tuples and dicts of them."""
    return Case(args, kwargs)


@dataclass(frozen=True, eq=False)
class Mistake:
    """A known wrong answer and the sentence that tells the learner what happened."""

    name: str
    answer: Callable
    diagnosis: str


def joined(*tables):
    """Known mistakes by exercise, of several such dicts: those of the first table come first.

    >>> joined({"02.1": (1, 2)}, {"02.2": (3,), "02.1": (4,)})
    {'02.1': (1, 2, 4), '02.2': (3,)}
    """
    ids = dict.fromkeys(number for table in tables for number in table)
    return {number: sum((table.get(number, ()) for table in tables), ()) for number in ids}


def quiet(answer):
    """The answer without numpy's warnings, which a notebook would show and a test would not."""

    def silent(*args):
        with np.errstate(all="ignore"):
            return answer(*args)

    return silent


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise. `oracle` is the slow, obvious loop; its name is the name the learner must use.

    `cases(rng)` yields cases, smallest first. `rtol` and `atol` 0 compare exactly.
    """

    id: str
    oracle: Callable
    cases: Callable[[np.random.Generator], Iterator[Case]]
    title: str
    hints: tuple
    mistakes: tuple = ()
    rtol: float = 0.0
    atol: float = 0.0

    @property
    def name(self):
        return self.oracle.__name__

    def make_cases(self, seed=0):
        """The list of cases; the same seed gives the same cases on every machine."""
        return list(self.cases(np.random.default_rng(seed)))

    def named(self, case):
        """The arguments of a case as ``{parameter: value}``, for the card."""
        return dict(inspect.signature(self.oracle).bind(*case.args, **case.kwargs).arguments)

    def source(self):
        """The oracle as text."""
        return textwrap.dedent(inspect.getsource(self.oracle)).rstrip()


@dataclass(frozen=True)
class Option:
    """One option of a question; `why` says why it is right or wrong."""

    text: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A multiple-choice question with exactly one right option."""

    text: str
    options: tuple


@dataclass(frozen=True)
class Chapter:
    """A spec module, loaded."""

    number: str
    title: str
    exercises: tuple
    quiz: tuple


def chapters():
    """The numbers of the chapters that have a spec module, sorted; a chapter's second half is its "07b".

    >>> "02" in chapters()
    True
    """
    from mcomp.course import specs

    names = (module.name for module in pkgutil.iter_modules(specs.__path__))
    return sorted(name[2:] for name in names if re.fullmatch(r"ch\d\d[a-z]?", name))


def load(number):
    """The chapter of that number.

    Raises
    ------
    ValueError
        If there is no spec module for it.
    """
    if number not in chapters():
        raise ValueError(f"chapter is {number!r}; allowed: {', '.join(chapters())}")
    module = importlib.import_module(f"mcomp.course.specs.ch{number}")
    return Chapter(number, module.TITLE, tuple(module.EXERCISES), tuple(module.QUIZ))


def find(exercise_id):
    """The exercise of that id, such as "02.1".

    Raises
    ------
    ValueError
        If there is none; the message lists those that exist.
    """
    number, _, place = str(exercise_id).partition(".")
    known = load(number).exercises if number in chapters() else ()
    for exercise in known:
        if exercise.id == exercise_id:
            return exercise
    if f"0{number}" in chapters() and not known:  # find(2.1), find("2.1"), find("7b.1")
        raise ValueError(f'exercise is {exercise_id!r}; did you mean "0{number}.{place}"?')
    allowed = [exercise.id for exercise in known] or [f"{number}.1 and on" for number in chapters()]
    raise ValueError(f"exercise is {exercise_id!r}; allowed: {', '.join(allowed)}")
