"""The clock of an answer counts what it computes: not what a busy machine does, nor an import."""

import sys
import threading
import time

import pytest

from mcomp.course import clock
from mcomp.course.clock import PATIENCE, Clock
from mcomp.course.sandbox import call


@pytest.fixture
def made(monkeypatch):
    """A `Clock` with a limit of one second, of a thread that has computed `used` of `wall` seconds."""

    def make(used, wall, *, importing=False):
        times = {"used": 0.0, "wall": 0.0}
        monkeypatch.setattr(clock, "_thread_clock", lambda: lambda: times["used"])
        monkeypatch.setattr(clock.time, "monotonic", lambda: times["wall"])
        made = Clock(1.0)
        times |= {"used": used, "wall": wall}
        made.importing = importing
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
