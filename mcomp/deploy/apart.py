"""A converter in a process of its own: if it dies, one sentence says so, and what it printed is kept."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["apart"]


def apart(engine, module, *arguments, log, seconds=600):
    """Run ``python -m module arguments``, and see it end well.

    Parameters
    ----------
    engine : str
        How the message calls it.
    module : str
    arguments : paths or strs
    log : path
        Where what it printed is kept, if it ends badly.
    seconds : float
        After which it is ended.

    Raises
    ------
    ValueError
        If it ends with another status than 0, or not at all: with its last line, and where the others are.
    """
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, "PYTHONPATH": path}, timeout=seconds, check=False,
        )  # fmt: skip
        status, printed = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        status, printed = f"none after {seconds:g} s", (error.stdout or b"").decode(errors="replace")
    if status != 0:
        Path(log).write_text(printed, encoding="utf-8")
        last = next((line for line in reversed(printed.splitlines()) if line.strip()), "nothing")
        told = f"its last words: {last.strip()}; all that it printed is in {log}"
        raise ValueError(f"the converter of {engine} ended with {status}; allowed: 0; {told}")
