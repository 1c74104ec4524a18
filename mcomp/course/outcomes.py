"""What an answer, a known mistake and the oracle come to on the cases of an exercise."""

from dataclasses import replace
from functools import lru_cache

from mcomp.course.compare import plain, same, to_torch
from mcomp.course.sandbox import ROOM, Outcome, call

SECONDS = 3.0  # of computing, for all cases together


def run(exercise, function, *, library="numpy", seconds=SECONDS, seed=0):
    """Call `function` on every case: a list of Outcome. It stops early where going on is pointless."""
    convert, outcomes = (to_torch if library == "torch" else None), []
    left, room = seconds, ROOM
    for case in cases_of(exercise, seed):
        args, kwargs = case.fresh(convert)
        outcome = call(function, args, kwargs, seconds=max(left, 0.01), room=room)
        outcomes.append(_settled(outcome, case.fresh(convert)))
        left, room = left - outcome.seconds, room - len(outcome.printed)
        if outcome.kind in ("to do", "time", "output"):
            break
    return outcomes


def _settled(outcome, before):
    """The outcome with its value as numpy, and which arguments are no longer as `before`."""
    if outcome.kind != "value":
        return outcome
    try:
        value, changed = plain(outcome.value), _changed(outcome.inputs, before)
    except Exception as error:  # a sparse tensor, say
        return Outcome("error", error=f"the result can't be read: {type(error).__name__}")
    return replace(outcome, value=value, changed=changed, inputs=None)


def _changed(after, before):
    """The places of the arguments that differ."""
    pairs = [(b, a) for one, other in zip(before, after, strict=True) for b, a in _in_order(one, other)]
    return tuple(place for place, (b, a) in enumerate(pairs) if not same(b, a))


def _in_order(before, after):
    """Pairs of two tuples, or of the values of two dicts."""
    keys = before if isinstance(before, dict) else range(len(before))
    return [(before[key], after[key]) for key in keys]


# What is the same for every answer is worked out once: the cases, the slow loops, the known mistakes. None of
# it is changed: answers get copies of the arguments, and so does the card.
@lru_cache(maxsize=128)
def cases_of(exercise, seed):
    """The cases of an exercise, smallest first."""
    return exercise.make_cases(seed)


@lru_cache(maxsize=4096)
def right_value(exercise, number, *, seed=0):
    """What the oracle returns for case `number` of that seed."""
    args, kwargs = cases_of(exercise, seed)[number].fresh()
    return exercise.oracle(*args, **kwargs)


@lru_cache(maxsize=1024)
def outcomes_of(exercise, mistake):
    """What a known mistake comes to on the cases that a learner's kernel shows: a list of Outcome."""
    return run(exercise, mistake.answer)
