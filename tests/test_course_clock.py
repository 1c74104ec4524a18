"""The clock of an answer counts what it computes: not what a busy machine does, nor an import."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from mcomp.course import clock, jail, supervise
from mcomp.course.clock import BEAT, PATIENCE, TICK, Clock
from mcomp.course.sandbox import call


@pytest.fixture
def made(monkeypatch):
    """A `Clock` with a limit of one second, of a thread that has computed `used` of `wall` seconds."""

    def make(used, wall, *, importing=False):
        times = {"used": 0.0, "wall": 0.0}
        monkeypatch.setattr(clock, "_thread_clock", lambda: lambda: times["used"])
        monkeypatch.setattr(clock.time, "monotonic", lambda: times["wall"])
        made = Clock(1.0)
        times["used"], made.importing = used, importing
        for look in range(round(wall / TICK)):  # as it is looked at, tick by tick
            made.passing.look()
            times["wall"] = (look + 1) * TICK
        return made

    return make


@pytest.mark.parametrize(
    ("used", "wall", "importing", "up"),
    [
        (0.9, 0.9, False, False),
        (1.0, 1.0, False, True),
        (0.9, 12.0, False, False),  # a machine with twelve other processes
        (0.0, 1.9, False, False),
        (0.0, 2.1, False, True),  # it sleeps
        (5.0, 9.0, True, False),  # a library at its first import
        (0.9, PATIENCE + 1.0, False, True),
        (0.9, PATIENCE + 1.0, True, True),
    ],
)
def test_when_a_call_must_end(made, used, wall, importing, up):
    assert made(used, wall, importing=importing).up() is up


@pytest.mark.parametrize("still", [7.0, 1e6])
def test_a_machine_that_stands_still_lets_no_time_pass(made, monkeypatch, still):
    answer, now = made(0.0, 1.9), 1.9
    assert not answer.up()
    monkeypatch.setattr(clock.time, "monotonic", lambda: now + still)
    assert not answer.up()
    assert answer.passing.total == pytest.approx(1.9 + BEAT)


STOPPED = """
import os, signal
from mcomp.course.sandbox import call
def answer():
    os.kill(os.getpid(), signal.SIGSTOP)
    return 6
print(call(answer, (), {}, seconds=0.5).value)
"""


@pytest.mark.skipif(os.name == "nt", reason="no signal stops a process there")
def test_a_process_that_was_stopped_did_not_wait():
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    try:
        assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
        time.sleep(2.5)  # more than twice its limit: awake, it would be out of time
    finally:
        child.send_signal(signal.SIGCONT)
    assert child.communicate()[0].strip() == "6"


@pytest.fixture
def leaping(monkeypatch):
    """A machine that sleeps for a day between any two looks at the clock."""
    days = iter(range(10**6))
    monkeypatch.setattr(clock.time, "monotonic", lambda: 86_400.0 * next(days))


@pytest.mark.skipif(os.name == "nt", reason="it needs fork")
def test_the_jail_waits_on_after_the_machine_slept(leaping):
    child = os.fork()
    if child == 0:
        time.sleep(0.2)
        os._exit(0)
    assert jail._wait(child, 5.0)


def test_the_supervisor_waits_on_after_the_machine_slept(leaping):
    sent, theirs = os.pipe()

    def speak():
        for line in (b'{"guard": "none"}\n', b"no result\n"):
            time.sleep(0.1)
            os.write(theirs, line)
        os.close(theirs)

    threading.Thread(target=speak, daemon=True).start()
    with open(sent, "rb") as stdout:
        guard, got, end = supervise._listen(SimpleNamespace(stdout=stdout), ["02.1"], 230.0)
    assert (guard, got, end.kind) == ("none", {}, "error")  # it ended, and was not out of time


def test_the_supervisor_gives_up_on_who_sends_nothing(monkeypatch):
    monkeypatch.setattr(supervise, "START", 0.05)
    sent, theirs = os.pipe()
    with (
        open(sent, "rb") as stdout,
        open(theirs, "wb"),
        pytest.raises(RuntimeError, match="can't be started"),
    ):
        supervise._listen(SimpleNamespace(stdout=stdout), ["02.1"], 230.0)


def test_of_nested_imports_the_outer_one_is_taken_off():
    now = [0.0]
    watch = Clock(1.0)
    watch.read, watch.begin = lambda: now[0], 0.0

    def load(depth):
        now[0] += 1.0
        assert watch.importing
        return depth and timed(depth - 1)

    timed = watch.without(load)
    timed(2)
    now[0] += 0.25
    assert (watch.imports, watch.used(), watch.importing) == (3.0, 0.25, False)


SLOW = "import time\nend = time.thread_time() + 0.6\nwhile time.thread_time() < end: pass\n"


@pytest.mark.parametrize("where", ["main", "other"])
def test_a_slow_import_is_not_the_answer_s_work(tmp_path, monkeypatch, where):
    """0.6 s of computing in the module, of 0.3 s that the answer may take."""
    (tmp_path / f"slow_{where}.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    found, before = [], __import__
    work = lambda: found.append(call(lambda: __import__(f"slow_{where}"), (), {}, seconds=0.3))  # noqa: E731
    if where == "main":
        work()
    else:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found[0].kind == "value"
    assert found[0].value is sys.modules.pop(f"slow_{where}")
    assert __import__ is before


def test_an_outcome_says_what_it_computed():
    def burn():
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass

    for outcome in (call(burn, (), {}, seconds=60), call(lambda: [burn(), 1 / 0], (), {}, seconds=60)):
        assert 0.15 < outcome.seconds < 60  # clocks of threads may tick in hundredths
