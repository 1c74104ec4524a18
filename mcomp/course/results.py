"""What the experiments measured, as the chapters load it: `experiments/results/STEM.json`."""

import hashlib
import json
from pathlib import Path

from mcomp.arrays import bad_value

__all__ = ["course_folder", "read", "script_hash"]


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
