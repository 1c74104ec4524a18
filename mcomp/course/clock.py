"""Stop a function that computes too long: by its own processor time, so that a busy machine changes nothing.

What the time goes into matters: an import is not the answer's work and is neither counted nor interrupted
(a module that is left half imported would spoil the kernel); an answer that only waits is stopped as well.
Waiting is measured in looks at the clock: while the machine stands still nobody looks.
"""

import builtins
import ctypes
import math
import queue
import signal
import sys
import threading
import time

TICK = 0.02  # seconds between two looks at the clock
WAITING = 0.02  # an answer that computes for a smaller part of the time than this waits: for a lock, in sleep
BEAT = 0.1  # seconds that count at most between two looks: no process waits while it is stopped
TRIES = 500  # to end a thread; one that stays inside compiled code is given up
PATIENCE = 20  # times its limit, as it passes, that an answer which computes slowly may take


class TimeUp(BaseException):
    """Raised inside the learner's function; not an Exception, so that `except Exception` lets it through."""


class Passing:
    """Seconds that pass while somebody looks: of a gap between two looks no more than `BEAT` counts.

    A longer gap says that this process stood still: stopped, its machine asleep, or too busy to look.
    """

    def __init__(self):
        self.total, self.seen = 0.0, time.monotonic()

    def look(self):
        """Seconds so far; to be called every `TICK`."""
        now = time.monotonic()
        self.total += min(now - self.seen, BEAT)
        self.seen = now
        return self.total


class Clock:
    """What a call has computed: processor seconds of the thread that makes the `Clock`, less its imports."""

    def __init__(self, limit):
        self.limit, self.importing, self.imports = limit, False, 0.0
        self.read = _thread_clock()
        self.begin, self.passing = self.read(), Passing()

    def used(self):
        """Processor seconds so far."""
        return self.read() - self.begin - self.imports

    def up(self):
        """Must the call end? Not before `limit` seconds of work, or of nothing but waiting."""
        wall = self.passing.look()
        if wall > PATIENCE * self.limit:
            return True
        if self.importing:
            return False
        return self.used() >= self.limit or (wall > 2 * self.limit and self.used() < WAITING * wall)

    def without(self, importing):
        """`importing`, such as the built-in ``__import__``, so that the outermost import is taken off."""

        def timed(*args, **kwargs):
            start, before = self.read(), self.importing
            try:
                self.importing = True
                return importing(*args, **kwargs)
            finally:
                self.importing = before
                self.imports += 0.0 if before else self.read() - start

        return timed


def _thread_clock():
    """A function that any thread may call: processor seconds of this thread, else of the whole process."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time  # Windows and macOS
    number = time.pthread_getcpuclockid(threading.get_ident())

    def read():
        try:
            return time.clock_gettime(number)
        except OSError:  # the thread has ended
            return math.inf

    return read


def limited(work, seconds):
    """(what `work()` returned, what it raised or None, processor seconds used); TimeUp ends it."""
    alarms = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    return _by_alarm(work, seconds) if alarms else _in_thread(work, seconds)


def _by_alarm(work, seconds):
    """The alarm rings again and again, for an answer that is slow, or swallows the first exception."""
    rings, value, fault = 0, None, None

    def ring(signum, frame):
        nonlocal rings
        inside = frame
        while inside is not None and inside.f_code is not work.__code__:
            inside = inside.f_back
        if inside is None or not clock.up():  # an alarm that comes late must not hit the checker
            return
        rings += 1
        if rings > 1:
            _raise_after(rings % 8, frame, inside)
        raise TimeUp

    before, trace, start = signal.signal(signal.SIGALRM, ring), sys.gettrace(), time.monotonic()
    clock, usual = Clock(seconds), builtins.__import__
    builtins.__import__ = clock.without(usual)
    left, again = signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    try:
        value = work()
    except BaseException as error:
        fault = error
    finally:
        sys.settrace(trace)  # first: what is traced may still raise TimeUp
        builtins.__import__ = usual
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's timer goes on
            signal.setitimer(signal.ITIMER_REAL, max(left - time.monotonic() + start, TICK), again)
    return value, fault, clock.used()


def _raise_after(lines, frame, last):
    """Raise TimeUp once more, that many lines later: in the end outside of any `try` that would catch it."""

    def step(frame, event, arg):
        nonlocal lines
        lines -= event == "line"
        if lines < 0:
            raise TimeUp
        return step

    while frame is not last:
        frame.f_trace, frame = step, frame.f_back
    sys.settrace(step)


def _in_thread(work, seconds):
    """For Windows and for other threads than the main one: an exception sent into a thread of its own."""
    found, clocks, usual = [], queue.SimpleQueue(), builtins.__import__

    def run():
        value, fault, clock = None, None, Clock(seconds)
        builtins.__import__ = clock.without(usual)
        clocks.put(clock)
        try:
            value = work()
        except BaseException as error:
            fault = error
        found.append((value, fault, clock.used()))

    thread, tries = threading.Thread(target=run, daemon=True), 0
    thread.start()
    clock = clocks.get()
    while thread.is_alive() and not found and tries < TRIES:
        thread.join(TICK)
        if not found and clock.up():
            tries += 1
            raises = ctypes.pythonapi.PyThreadState_SetAsyncExc
            raises(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeUp))
    builtins.__import__ = usual
    return found[0] if found else (None, TimeUp(), seconds)
