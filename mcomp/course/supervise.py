"""Start the process that runs a submission, watch it, read what it sends, and end it."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from mcomp.course import specs
from mcomp.course.clock import PATIENCE, TICK, Passing
from mcomp.course.jail import ENDED
from mcomp.course.sandbox import Outcome
from mcomp.course.wire import read_outcomes

START = 600.0  # seconds until a fresh process must be ready: torch is slow to import on a busy machine
GRACE = 30.0  # seconds beyond all that its own clock gives an answer until its process is ended
MOST = 64_000_000  # bytes that a submission may send
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL")
KEPT_APART = ("solutions", "tests")  # beside the package in a checkout


@dataclass(frozen=True)
class Limits:
    """For one answer: seconds of computing, all cases; bytes of memory beyond Python, numpy and torch."""

    seconds: float = 5.0
    memory: int = 1 << 30
    namespaces: bool = True  # use them where they are allowed


def collect(tasks, library, *, limits, private=None):
    """Run the tasks: ``({id: outcomes}, the fence in force)``.

    One process takes one after the other. If it ends or outlasts its time, a new process goes on with the
    next; a task that a fresh process doesn't survive gets an outcome that says so.

    Raises
    ------
    RuntimeError
        If the process can't be started; no fault of a submission.
    """
    results, guard = {}, ""
    while left := [task for task in tasks if task["id"] not in results]:
        ids = [task["id"] for task in left]
        guard, got, end = _one_process(left, library, limits, private)
        results |= got
        if not got:
            results[ids[0]] = [end]
    return results, guard


def _one_process(tasks, library, limits, private):
    """(fence, {id: outcomes}, the outcome of the first task without a line)."""
    with tempfile.TemporaryDirectory(prefix="mcomp-", ignore_cleanup_errors=True) as scratch:
        hidden = [str(folder) for folder in hidden_folders(private)]
        job = {"tasks": tasks, "library": library, "hidden": hidden, "scratch": os.path.realpath(scratch)}
        job |= {"seconds": limits.seconds, "memory": limits.memory, "namespaces": limits.namespaces}
        child = _start(scratch)
        try:
            threading.Thread(target=_feed, args=(child, json.dumps(job).encode()), daemon=True).start()
            return _listen(child, [task["id"] for task in tasks], 2 * PATIENCE * limits.seconds + GRACE)
        finally:
            _end(child)


def hidden_folders(private=None):
    """The folders that an answer must not read: results, and other submissions unless Python lives there."""
    package = Path(specs.__file__).resolve().parent
    root = package.parents[2]
    found = [package, *(root / name for name in KEPT_APART if (root / "pyproject.toml").is_file())]
    if private is not None:
        private = Path(private).resolve()
        needed = [Path(sys.prefix), Path(sys.base_prefix), root, Path(tempfile.gettempdir())]
        if not any(path.resolve().is_relative_to(private) for path in needed):
            found.append(private)
    return [folder for folder in found if folder.is_dir()]


def _start(scratch):
    """A new Python with no more of the environment than it needs, in a process group of its own."""
    places = [os.path.abspath(place) for place in sys.path if place]
    code = f"import sys; sys.path[:] = {places!r}; from mcomp.course.jail import main; main()"
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}
    own = {
        "HOME": scratch,
        "TMPDIR": scratch,
        "MCOMP_STATIC": "1",
        "MPLBACKEND": "agg",
        "PYTHONHASHSEED": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=scratch,
        env=kept | one | own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _feed(child, data):
    try:
        child.stdin.write(data)
        child.stdin.close()
    except OSError:  # it ended before it had read everything; the listener says so
        return


def _listen(child, ids, patience):
    """Read lines until all ids are there, the process ends, or one takes too long."""
    lines, got, guard = queue.SimpleQueue(), {}, ""
    threading.Thread(target=_read, args=(child.stdout, lines), daemon=True).start()
    end = Outcome("error", error=ENDED)
    passing, most = Passing(), START
    while len(got) < len(ids):
        if passing.look() > most:
            end = Outcome("time")
            break
        try:
            line = lines.get(timeout=TICK)
        except queue.Empty:
            continue
        if line is None:
            break
        guard, news = (guard, _take(line, ids, got)) if guard else (_guard(line), True)
        if news:
            passing, most = Passing(), patience
    if not guard:
        raise RuntimeError("a process for grading can't be started on this machine")
    return guard, got, end


def _guard(line):
    try:
        return str(json.loads(line)["guard"])
    except (ValueError, KeyError, TypeError):
        return ""


def _take(line, ids, got):
    """Put a result into `got`; False for a line that is no result, or none that is awaited."""
    try:
        name, outcomes = read_outcomes(line)
    except ValueError:
        return False
    if name not in ids or name in got:
        return False
    got[name] = outcomes
    return True


def _read(stream, lines):
    """Lines into the queue, up to MOST bytes in all; then None."""
    room = MOST
    while room > 0 and (line := stream.readline(room)):
        room -= len(line)
        lines.put(line)
    lines.put(None)


def _end(child):
    """End the process with all that it started."""
    if os.name == "posix":
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            child.kill()
    else:
        child.kill()
    child.wait()
