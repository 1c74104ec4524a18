"""Call a learner's function so that nothing it does breaks the kernel: time, output, exceptions, inputs.

This keeps accidents in, not attacks: code that means harm needs a process of its own.
"""

import builtins
import contextlib
import io
import linecache
import re
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from mcomp.course.clock import TimeUp, limited

ROOM = 100_000  # characters that an answer may print over all its cases
STUB = "NotImplementedError"


class TooMuchOutput(BaseException):
    """Raised by `print` inside the learner's function."""


@dataclass(frozen=True)
class Outcome:
    """What one call came to: kind is "value", "to do", "error", "time" or "output"."""

    kind: str
    value: Any = None
    error: str = ""
    line: int = 0  # of the function as written, its decorator being line 1; 0 if unknown
    code: str = ""
    printed: str = ""
    inputs: Any = None  # the arguments after the call
    changed: tuple = ()  # the places of those that the call changed
    seconds: float = 0.0  # of computing


class Capped(io.TextIOBase):
    """A text stream that keeps what is written, up to `room` characters."""

    def __init__(self, room):
        self.parts, self.room = [], room

    def writable(self):
        return True

    def write(self, text):
        self.parts.append(text[: self.room])
        self.room -= len(self.parts[-1])
        if len(self.parts[-1]) < len(text):
            raise TooMuchOutput
        return len(text)

    @property
    def text(self):
        return "".join(self.parts)


@contextlib.contextmanager
def capture(out):
    """Send prints and warnings to `out`, drop what the code displays in a notebook, and refuse `input`."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    with contextlib.ExitStack() as stack:
        if shell is not None:
            stack.enter_context(sys.modules["IPython"].utils.capture.capture_output(False, False, True))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(out))
        stack.callback(setattr, builtins, "input", builtins.input)
        builtins.input = _no_input
        stack.enter_context(warnings.catch_warnings())
        warnings.showwarning = lambda text, kind, *_: print(f"{kind.__name__}: {text}", file=out)
        yield


def _no_input(*_):
    """In place of `input`: a notebook would wait for an answer that nobody gives."""
    raise RuntimeError("input() is not for exercises: the arguments are all there is")


def call(function, args, kwargs, *, seconds, room=ROOM):
    """Call `function` and say what happened.

    Endless Python code ends after `seconds` of computing; a call that stays inside compiled code can't be
    interrupted.
    """
    out = Capped(room)
    with capture(out):
        value, error, used = limited(lambda: function(*args, **kwargs), seconds)
    common = {"printed": out.text, "seconds": used}
    if error is None:
        return Outcome("value", value, inputs=(args, kwargs), **common)
    if isinstance(error, (TimeUp, TooMuchOutput)):
        return Outcome("time" if isinstance(error, TimeUp) else "output", **common)
    common["line"], common["code"] = _where(error, function)
    if type(error) is NotImplementedError and not error.args:
        return Outcome("to do", error=_whose(error, function) or STUB, **common)
    return Outcome("error", error=_one_line(error), **common)  # SystemExit too: the kernel must live


def _one_line(error):
    """The exception as one short line, the same on every run (no memory addresses)."""
    try:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception:  # an exception class of the learner's whose __str__ fails
        text = type(error).__name__
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(text.split()))
    return text if len(text) <= 200 else text[:199] + "…"


def _whose(error, function):
    """Which other function is the stub, if the answer calls one; "" if it is the answer itself."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    own = getattr(function, "__code__", code)
    return "" if code in (own, *own.co_consts) else f"it calls {code.co_name}, which is still to do"


def _where(error, function):
    """The last line of the learner's function that the exception passed, and its text."""
    code, line = getattr(function, "__code__", None), 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            line = trace.tb_lineno
        trace = trace.tb_next
    if not line:
        return 0, ""
    return line - code.co_firstlineno + 1, linecache.getline(code.co_filename, line).strip()
