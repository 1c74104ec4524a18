"""What a learner calls in a chapter: @exercise checks at once, hint and spec help."""

from mcomp.course import card, progress, store
from mcomp.course.check import check
from mcomp.course.model import find
from mcomp.course.show import code, escape, panel, show, static

_asked = {}  # exercise id -> how many hints this kernel has shown


class WrongAnswer(Exception):
    """Raised after the card of a wrong answer where nobody watches (MCOMP_STATIC=1), as one short line."""

    def _render_traceback_(self):
        return [str(self)]


def exercise(exercise_id):
    """Decorate the learner's function: check it, show the card, record it, give it back unchanged.

    A wrong answer gets a red card and the notebook runs on, so that *Run All* reaches its end. Where nobody
    watches (MCOMP_STATIC=1: nbval, `make notebooks`) it raises WrongAnswer after its card. The function is
    bound to its name before it is checked, so that it may call itself.

    Examples
    --------
    >>> @exercise("02.1")
    ... def magnitude_mask(w, theta):
    ...     raise NotImplementedError
    02.1 magnitude_mask: to do
    """
    task = find(exercise_id)

    def judged(function):
        if getattr(function, "__qualname__", "<") == getattr(function, "__name__", ""):
            function.__globals__[function.__name__] = function
        verdict = check(task, function)
        show(card.text(verdict), card.html(verdict))
        note = ""
        if verdict.status != "to do":
            note = store.mark("exercises", task.id, "right" if verdict.ok else "tried")
            progress.refresh(task.id.partition(".")[0])
        if note:
            show(note)
        if verdict.ok or verdict.status == "to do" or not static():
            return function
        raise WrongAnswer(f"{task.id} {verdict.status}: see the card above") from None

    return judged


def hint(exercise_id):
    """Show the exercise's hints, one more each time."""
    task = find(exercise_id)
    count = min(_asked.get(task.id, 0) + 1, len(task.hints))
    _asked[task.id] = count
    lines = [f"{number}. {line}" for number, line in enumerate(task.hints[:count], 1)]
    more = "" if count < len(task.hints) else f'that was the last one; spec("{task.id}") shows the slow loop'
    title = f"{task.id} {task.name}: hint {count} of {len(task.hints)}"
    lines += [more] if more else []
    body = "".join(f"<div>{escape(line)}</div>" for line in lines)
    show("\n  ".join([title, *lines]), panel("note", title, body))


def spec(exercise_id):
    """Show the slow, obvious loop that defines the exercise."""
    task = find(exercise_id)
    title = f"{task.id} {task.name}: {task.title}, the slow loop"
    show(f"{title}\n\n{task.source()}", panel("note", title, code(task.source())))
