"""What a search found, told: the front, the chosen network, and why there is none."""

from rich.table import Table

from mcomp.files import write_atomic
from mcomp.search.goal import best, on_front
from mcomp.search.trial import opened
from mcomp.train import evaluate

__all__ = ["chosen", "counts", "front_table", "why_none"]


def front_table(storage):
    """The networks that no other beats, on the validation images, as a table for a terminal."""
    trained, goal = storage.trained(), storage.goal
    found = best(goal, trained)
    table = Table("trial", "bytes", "validation", "", "recipe", title=f"{goal}; {counts(storage)}")
    for t in on_front(trained):
        said = "chosen" if t == found else "meets the goal" if goal.meets(t.nbytes, t.accuracy) else ""
        table.add_row(f"{t.number}", f"{t.nbytes:,}", f"{t.accuracy:.2%}", said, f"{t.candidate}")
    return table


def counts(storage):
    """How many trials were trained in full, stopped early, refused by the network."""
    trials = storage.trials()
    stopped = sum(bool(t.user_attrs.get("stopped")) for t in trials)
    refused = sum("refused" in t.user_attrs for t in trials)
    said = f"{len(trials)} trials, {len(storage.trained())} trained in full, {stopped} stopped early"
    return f"{said}, {refused} refused" if refused else said


def chosen(storage, model, data, out):
    """Write the chosen network to `out`; (`Trained`, accuracy on the test images), or None if there is none.

    The test images are looked at here, once, for this network alone.
    """
    found = best(storage.goal, storage.trained())
    if found is None:
        return None
    written = storage.file(found.number).read_bytes()
    write_atomic(out, written)
    return found, evaluate(opened(written, model), data.test)


def why_none(storage):
    """A sentence: what came nearest, where no trial met the goal."""
    trained, goal = storage.trained(), storage.goal
    if not trained:
        return f"no trial meets {goal}: none was trained in full"
    said = []
    accurate, small = max(trained, key=lambda t: t.accuracy), min(trained, key=lambda t: t.nbytes)
    if goal.max_bytes is not None:
        fit = [t for t in trained if t.nbytes <= goal.max_bytes]
        top = max(fit, key=lambda t: t.accuracy, default=None)
        best = f"within {goal.max_bytes:,} bytes the best has {top.accuracy:.2%}" if top else None
        said.append(_trial(best or f"the smallest has {small.nbytes:,} bytes", top or small))
    if goal.min_accuracy is not None:
        fit = [t for t in trained if t.accuracy >= goal.min_accuracy]
        top = min(fit, key=lambda t: t.nbytes, default=None)
        best = f"at {goal.min_accuracy:.2%} the smallest has {top.nbytes:,} bytes" if top else None
        said.append(_trial(best or f"the most accurate has {accurate.accuracy:.2%}", top or accurate))
    return f"no trial meets {goal}: {'; '.join(said)}"


def _trial(said, trial):
    return f"{said} (trial {trial.number})"
