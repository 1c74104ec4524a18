"""The file that keeps what a reader has done: one JSON file, atomic, locked, never lost in silence."""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

from mcomp.course.clock import TICK, Passing
from mcomp.course.show import static

EMPTY = {"version": 1, "exercises": {}, "quiz": {}, "predictions": {}}
PATIENCE = 30.0  # seconds to wait for another kernel's lock


def location():
    """The path of the progress file, or None where none is kept.

    ``$MCOMP_PROGRESS`` if it is set; else ``progress.json`` in the nearest folder upwards that holds
    ``chapters``. A run that nobody watches (MCOMP_STATIC=1) and the solutions keep none.
    """
    if os.environ.get("MCOMP_PROGRESS"):
        return Path(os.environ["MCOMP_PROGRESS"])
    try:
        here = Path.cwd()
    except OSError:  # the folder was deleted under the kernel
        return None
    if static() or here.name == "solutions":
        return None
    for folder in (here, *here.parents):
        if (folder / "chapters").is_dir():
            return folder / "progress.json"
    return None


def read():
    """(the marks, a note or ""): a file that can't be understood is set aside and the note says where."""
    path = location()
    if path is None or not path.exists():
        return json.loads(json.dumps(EMPTY)), ""
    try:
        with _locked(path):
            return _load(path)
    except OSError as error:
        return json.loads(json.dumps(EMPTY)), _trouble("read", error, path)


def aside():
    """The names of the files that were set aside, oldest first."""
    path = location()
    if path is None:
        return []
    found = path.parent.glob(f"{path.name}.corrupt-*")
    return sorted((file.name for file in found), key=lambda name: (len(name), name))


def mark(kind, key, value):
    """Write one mark, for instance ``mark("exercises", "02.1", "right")``; returns a note or "".

    What other kernels wrote meanwhile stays. Trouble with the disk is a note, never an exception.
    """
    path = location()
    if path is None:
        return ""
    try:
        with _locked(path):
            marks, note = _load(path)
            if marks[kind].get(key) == "right":  # what was right once stays done
                return note
            if marks[kind].get(key) != value:
                marks[kind][key] = value
                _replace(path, json.dumps(marks, indent=1, sort_keys=True) + "\n")
            return note
    except OSError as error:
        return _trouble("saved", error, path)


def _trouble(what, error, path):
    return f"progress was not {what}: {error.strerror or error} ({path.name})"


def _load(path):
    """The marks in the file; whatever isn't marks is renamed, not overwritten."""
    marks = json.loads(json.dumps(EMPTY))
    if not path.exists():
        return marks, ""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if any(type(found[kind]) is not type(marks[kind]) for kind in marks) or found["version"] != 1:
            raise ValueError("not a progress file of version 1")
        return found, ""
    except (ValueError, KeyError, TypeError, RecursionError):
        number = 1
        while (spoilt := path.with_name(f"{path.name}.corrupt-{number}")).exists():
            number += 1
        os.replace(path, spoilt)
        return marks, f"{path.name} could not be read; it was set aside as {spoilt.name}, and a new one begun"


def _replace(path, text):
    """Write beside the file, flush to the disk, then rename: a reader sees the old or the new, never half."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def _locked(path):
    """One kernel at a time: the system's lock on a file beside, which ends with the process that holds it."""
    with open(path.with_name(f"{path.name}.lock"), "a+b") as file:
        passing = Passing()
        while not _try_lock(file):
            if passing.look() > PATIENCE:
                raise OSError(f"another program has kept the lock for {PATIENCE:.0f} seconds")
            time.sleep(TICK)
        yield  # closing the file ends the lock


def _try_lock(file):
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
