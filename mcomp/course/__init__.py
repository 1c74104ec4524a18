"""What a chapter's notebook imports: exercises, predictions, quizzes, explorers, progress, tables."""

from mcomp.course.exercises import WrongAnswer, exercise, hint, spec
from mcomp.course.progress import progress_bar
from mcomp.course.quizzes import quiz
from mcomp.course.tables import table
from mcomp.course.widgets import explore, guess, predict, reveal
from mcomp.threads import calm

__all__ = [
    "WrongAnswer", "exercise", "explore", "guess", "hint", "predict", "progress_bar", "quiz", "reveal",
    "spec", "table",
]  # fmt: skip

calm()  # a notebook imports this before torch
