"""Which known mistake an answer makes, told by what both return on an exercise's cases."""

import numpy as np

from mcomp.course.compare import difference


def diagnosed(exercise, outcomes, bad, known):
    """(mistake, sentence): the known mistake that does the same, or explains most of what is wrong.

    Parameters
    ----------
    exercise : Exercise
    outcomes : list of Outcome
        Of the answer, one for each case.
    bad : list of int
        The failing cases, at least one.
    known : iterable of (Mistake, list of Outcome)

    Returns
    -------
    mistake : Mistake or None
    sentence : str
        It says if the mistake is a part of what is wrong: an answer may make two, or guard against what the
        known one stumbles over. The part is the mistake that does the same on the most failing cases, if
        those are three at least and more than two of three, the one that the card shows, and two whose value
        says something, as a mask of all False doesn't. Failing that, the mistake whose values all of the
        answer's are, three wrong ones at least, where the answer crashes in all others.
    """
    values = [i for i in bad if outcomes[i].kind == "value"]
    telling = {i for i in values if _varied(outcomes[i].value)}
    best, most, sentence = None, max(2, 2 / 3 * len(bad)), ""
    for mistake, theirs in known:
        pairs = list(zip(outcomes, theirs, strict=False))
        first = [pairs[i] for i in {bad[0], *values[:1]} if i < len(pairs)]
        if not any(_agree(exercise, *pair) or _same_crash(*pair) for pair in first):
            continue  # neither the same on all cases nor on the first one
        alike = {i for i, pair in enumerate(pairs) if _agree(exercise, *pair)}
        stopped = {i for i, pair in enumerate(pairs) if _same_kind_of_crash(*pair)}
        covered = len((alike | stopped) & set(bad)) if alike & set(bad) else 0
        if covered and all(i in alike or _same_crash(*pair) for i, pair in enumerate(pairs)):
            return mistake, mistake.diagnosis
        if len(alike & telling) < 2:
            continue
        if bad[0] in alike and covered > most:
            best, most = mistake, covered
            sentence = _part(mistake, _share(covered, len(bad)), alike.issuperset(_passing(outcomes, bad)))
        elif best is None and len(values) > 2 and all(i in alike for i in _with_value(outcomes)):
            best, sentence = mistake, _where_it_returns(mistake, _share(len(values), len(bad)))
    return best, sentence


def _share(some, of):
    return f"all {some}" if some == of else f"{some} of {of}"


def _part(mistake, share, everywhere):
    """A mistake that does otherwise where the answer is right may not be the one that was made."""
    same = "" if everywhere else " yours does what this mistake does"
    return f"in {share} failing cases{same}: {mistake.diagnosis}"


def _where_it_returns(mistake, share):
    return f"in {share} failing cases, all that return a value: {mistake.diagnosis}"


def _passing(outcomes, bad):
    return [i for i in _with_value(outcomes) if i not in set(bad) and not outcomes[i].changed]


def _with_value(outcomes):
    return [i for i, outcome in enumerate(outcomes) if outcome.kind == "value"]


def compared(exercise, yours, expected):
    """None if `yours` will do, else (status, sentence); also for objects that can't be compared."""
    try:
        return difference(yours, expected, rtol=exercise.rtol, atol=exercise.atol)
    except Exception as error:  # an object whose methods fail
        return "wrong type", f"the result can't be compared: {type(error).__name__}"


def _varied(value):
    """Is it more than an array of one and the same value, or a number other than zero?"""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(_varied(item) for item in value)
    value = np.asarray(value)
    if value.dtype.kind not in "biufc":  # what compares in ways of its own
        return True
    return bool(value) if value.ndim == 0 else value.size > 1 and bool((value != value.flat[0]).any())


def _agree(exercise, a, b):
    """Have two outcomes the same value? Two crashes are no agreement."""
    if a.value is None or b.value is None:  # None compares with nothing
        return a.kind == b.kind == "value" and a.value is b.value
    return a.kind == b.kind == "value" and compared(exercise, a.value, b.value) is None


def _same_crash(a, b):
    """Two crashes that say the same don't tell an answer from a mistake that it agrees with elsewhere."""
    return a.kind == b.kind == "error" and a.error == b.error


def _same_kind_of_crash(a, b):
    """Did both stop with an error of one type? The sentence may name other sizes."""
    return a.kind == b.kind == "error" and a.error.partition(":")[0] == b.error.partition(":")[0]
