"""The process that runs one submission's functions: a job comes in on stdin, lines of outcomes go out.

Each function runs in a copy of the process (where the system can fork), so none can disturb the next.

It is given arguments only, never an expected result. What it writes is judged elsewhere (mcomp.course.grade),
so an answer that takes this process over can say which values it returned and nothing more.
"""

import contextlib
import json
import linecache
import os
import signal
import sys
import time
from dataclasses import dataclass

from mcomp.course import fence
from mcomp.course.clock import PATIENCE, Passing
from mcomp.course.model import Case
from mcomp.course.outcomes import run
from mcomp.course.sandbox import Outcome, call
from mcomp.course.wire import unpack, write_outcomes

SPARE = 1.0  # seconds of processor time beyond an answer's
ENDED = "the process ended before the answer came back"


@dataclass(frozen=True, eq=False)
class Given:
    """An exercise of which only these cases are known here."""

    cases: list

    def make_cases(self, seed):
        return self.cases


def main():
    """Read the job, put up the fence, say so, then answer each task with a line."""
    job = json.loads(sys.stdin.buffer.read())
    out = _own_output()
    guard = fence.enter(job["hidden"], job["scratch"]) if job["namespaces"] else fence.HOOK
    if job["library"] == "torch" or any("torch" in task["source"] for task in job["tasks"]):
        with contextlib.suppress(ImportError):  # without torch an answer that imports it says so itself
            import torch

            torch.set_num_threads(1)
    _write(out, json.dumps({"guard": guard}).encode() + b"\n")
    if hasattr(os, "fork"):
        for task in job["tasks"]:
            _write(out, _in_child(task, job, out))
    else:
        _fence_in(job, len(job["tasks"]))
        for task in job["tasks"]:
            _write(out, _answer(task, job["library"], job["seconds"]))
    os._exit(0)  # threads that an answer left behind end here


def _in_child(task, job, out):
    """Let a copy of this process answer; the line returned counts only if the copy sent none."""
    child = os.fork()
    if child == 0:
        try:
            _fence_in(job, 1)
            _write(out, _answer(task, job["library"], job["seconds"]))
        finally:
            os._exit(0)
    end = Outcome("error", error=ENDED) if _wait(child, job["seconds"]) else Outcome("time")
    return b"\n" + write_outcomes(task["id"], [end])  # the copy may have ended within a line


def _wait(child, seconds):
    """Did the child end by itself before it had computed twice that long? If not, it is ended."""
    passing = Passing()
    while True:
        ended, _, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return usage.ru_utime + usage.ru_stime < 2 * seconds
        if passing.look() > PATIENCE * seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.01)


def _fence_in(job, tasks):
    fence.limit(memory=job["memory"], seconds=tasks * (2 * job["seconds"] + SPARE))
    fence.refuse(hidden=job["hidden"], scratch=job["scratch"])


def _own_output():
    """A descriptor of the result pipe; what else is printed goes nowhere."""
    out, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    return out


def _write(out, line):
    while line:
        line = line[os.write(out, line) :]


def _answer(task, library, seconds):
    """The line for one task; a result that can't be packed is a crash."""
    outcomes = _outcomes(task, library, seconds)
    with contextlib.suppress(BaseException):
        return write_outcomes(task["id"], outcomes)
    return write_outcomes(task["id"], [Outcome("error", error="the result can't be read")])


def _outcomes(task, library, seconds):
    cases = [Case(*unpack(packed)) for packed in task["cases"]]
    loaded = call(_define, (task["source"], task["name"]), {}, seconds=seconds)
    if loaded.kind != "value":  # an import or an assignment of the notebook failed
        return [loaded if loaded.kind != "to do" else Outcome("error", error="NotImplementedError")]
    return run(Given(cases), loaded.value, library=library, seconds=seconds)


def _define(source, name):
    """The function `name` of `source`, executed in a namespace of its own."""
    linecache.cache["<answer>"] = (len(source), None, source.splitlines(keepends=True), "<answer>")
    scope = {"__name__": "answer", "display": lambda *things, **options: None}  # a notebook has it built in
    exec(compile(source, "<answer>", "exec"), scope)
    return scope[name]
