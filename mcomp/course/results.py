"""What the experiments measured, as the chapters load it, and the claims that it bears.

Figures are lists with one entry a seed, so that two methods are compared seed by seed.
"""

import hashlib
import json
from pathlib import Path

from mcomp.arrays import bad_value
from mcomp.paired import paired

__all__ = ["alike", "checked", "course_folder", "higher", "read", "script_hash", "undecided"]


def course_folder():
    """The nearest folder upwards that holds ``experiments/results``; else the one that holds `mcomp`.

    Raises
    ------
    ValueError
        If neither has it: the package was installed without the course.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "experiments" / "results").is_dir():
            return folder
    raise bad_value("the working folder", here.name, "a folder of the course, such as chapters")


def script_hash(path):
    """SHA-256 of a script; line ends count as newlines, so that every system gets the same."""
    return hashlib.sha256(Path(path).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read(stem, *, folder=None):
    """What an experiment measured: the dict of ``experiments/results/STEM.json``.

    Parameters
    ----------
    stem : str
        For instance "00_a_hundred_times_smaller".
    folder : path-like, optional
        The course's folder. Default: `course_folder`.

    Returns
    -------
    result : dict
        "methods" maps a name to lists with one entry a seed: "bytes", "accuracy" and what else was measured.

    Raises
    ------
    ValueError
        If there is no such result, or its script has changed since.
    """
    root = Path(folder) if folder is not None else course_folder()
    results = root / "experiments" / "results"
    path = results / f"{stem}.json"
    if not path.is_file():
        known = sorted(file.stem for file in results.glob("*.json"))
        raise bad_value("stem", stem, f"one of {', '.join(known) or 'none yet: run an experiment first'}")
    result = json.loads(path.read_text(encoding="utf-8"))
    if script_hash(root / result["script"]) != result["script_sha256"]:
        raise ValueError(f"{result['script']} has changed since {stem}.json was written: run it again")
    return result


def checked(sentence, *claims):
    """Print ``checked: sentence`` if every claim holds: how a "claims" cell backs the prose.

    Raises
    ------
    AssertionError
        If a claim is false, with the sentence and which.
    ValueError
        If there is no claim.

    Examples
    --------
    >>> checked("the cubic schedule ends above one shot", higher([89, 88, 90, 88, 89], [86, 85, 86, 86, 85]))
    checked: the cubic schedule ends above one shot
    """
    if not claims:
        raise bad_value("claims", claims, "at least one condition")
    false = [str(place) for place, claim in enumerate(claims, 1) if not claim]
    if false:
        raise AssertionError(f"not so: {sentence} (claim {', '.join(false)} of {len(claims)})")
    print(f"checked: {sentence}")


def higher(a, b, *, by=0.0):
    """True if `a` is above `b`, seed by seed: the 95 % interval of the mean difference lies above `by`.

    Parameters
    ----------
    a, b : sequences of n real numbers, a figure a seed in the same order; n from 5 to 20
    by : float
        How much higher, in the figures' unit.

    Raises
    ------
    AssertionError
        If the interval includes `by` or lies below it, with the interval.
    ValueError
        As `paired`; or with fewer than five seeds: an interval of three rests on its assumption alone.
    """
    return _claim(_paired(a, b, least=5), lambda found: found.low > by, f"above {by:g}")


def undecided(a, b):
    """True if these seeds don't tell which is higher: the 95 % interval of the mean difference includes 0.

    It doesn't say that they are alike, which wants `alike`. Errors as `higher`.
    """
    return _claim(_paired(a, b), lambda found: found.low <= 0 <= found.high, "around 0")


def alike(a, b, *, within):
    """True if `a` and `b` differ by less than `within`: the 95 % interval lies between -within and within.

    Errors as `higher`.
    """
    found = _paired(a, b)
    return _claim(found, lambda found: -within < found.low <= found.high < within, f"within {within:g} of 0")


def _paired(a, b, *, least=3):
    if len(a) < least:
        raise bad_value("the number of seeds", len(a), f"at least {least}")
    return paired(a, b)


def _claim(found, holds, wanted):
    if not holds(found):
        text = f"the difference is {found.mean:.4g} ({found.low:.4g} to {found.high:.4g}, {found.n} seeds)"
        raise AssertionError(f"{text}; claimed: an interval {wanted}")
    return True
