"""What an outcome is: right, refused with a name, or wrong. There is no fourth.

An operation of the matrix is a function ``op(stranger) -> note or None``. It runs the library and raises
`Wrong` where the result isn't what it should be. A `ValueError` of the library is a refusal if it names a
layer or a parameter of the network, or the network itself; anything else that is raised is wrong.
"""

import contextlib
import io
import re
import time
from dataclasses import dataclass

import torch

__all__ = [
    "OPERATIONS",
    "Cell",
    "Refused",
    "Wrong",
    "check",
    "judge",
    "names",
    "operation",
    "same",
    "same_state",
]

OPERATIONS = {}
CLOSE = 1e-9  # of the largest entry: float64 has 1e-16, a network of ten layers loses a few digits of it


class Wrong(Exception):
    """A result that isn't right, in words."""


class Refused(Exception):
    """What the library says where it does nothing, but raises no error: an empty plan, say, with reasons."""


@dataclass(frozen=True)
class Cell:
    """One outcome: "right", "refused" or "wrong", why, and the CPU seconds it took."""

    network: str
    operation: str
    outcome: str
    why: str
    seconds: float


def operation(name, right):
    """Register ``op(stranger)`` under a name; `right` says in a few words what it checks."""

    def register(function):
        function.right = right
        OPERATIONS[name] = function
        return function

    return register


def judge(stranger, name, run):
    """Do one operation with one network, whatever it raises."""
    began, text = time.process_time(), ""
    try:
        # what the library prints beside, such as the batch norms that it left, is no part of the matrix
        with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
            torch.manual_seed(3)
            outcome, text = "right", run(stranger) or ""
    except Wrong as error:
        outcome, text = "wrong", str(error)
    except (ValueError, Refused) as error:
        text = " ".join(str(error).split())
        named = says_where(text, stranger.network)
        outcome, text = ("refused", text) if named else ("wrong", f"names no layer: {text}")
    except Exception as error:  # a crash of any kind is what the matrix looks for
        outcome, text = "wrong", f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Cell(stranger.name, name, outcome, text, time.process_time() - began)


def names(model):
    """All names in a network: of its modules and its parameters."""
    modules = [name for name, _ in model.named_modules(remove_duplicate=False)]
    return {*modules, *(name for name, _ in model.named_parameters(remove_duplicate=False))} - {""}


def says_where(text, model):
    """Whether a message names a layer or a parameter of `model`, or the class of `model` itself.

    A name of letters alone, such as "norm", may be an ordinary word: it counts in quotes, before a
    parenthesis or "stays", or with the name of a parameter behind it.

    Examples
    --------
    >>> model = torch.nn.ModuleDict({"norm": torch.nn.Linear(1, 1), "fc1": torch.nn.Linear(1, 1)})
    >>> [says_where(text, model) for text in ("a batch norm", "'norm' stays", "norm.bias", "fc1: no", "fc11")]
    [False, True, True, True, False]
    """
    sure = [re.escape(name) for name in names(model) if not name.isalpha()]
    words = [re.escape(name) for name in names(model) if name.isalpha()]
    patterns = [rf"(?<![\w.]){name}(?![\w])" for name in [*sure, type(model).__name__]]
    patterns += [rf"['\"]{word}['\"]|(?<![\w.]){word} (?:\(|stays)" for word in words]
    return any(re.search(pattern, text) for pattern in patterns)


def check(condition, what):
    """`Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(what)


def same(found, wanted, what, *, close=CLOSE):
    """`Wrong` unless two tensors agree to `close` of the largest entry."""
    check(found.shape == wanted.shape, f"{what}: {tuple(found.shape)} for {tuple(wanted.shape)}")
    if not wanted.numel():
        return
    found, wanted = found.detach().double(), wanted.detach().double()
    far = float((found - wanted).abs().max())
    most = max(float(wanted.abs().max()), 1e-300)
    check(far <= close * most, f"{what}: differs by {far / most:.1e}")  # a NaN is wrong as well


def same_state(found, wanted, what):
    """`Wrong` unless two networks hold the same tensors bit for bit, in order, all training alike."""
    a, b = found.state_dict(), wanted.state_dict()
    check(list(a) == list(b), f"{what}: other tensors: {sorted({*a} ^ {*b})[:4] or 'the order'}")
    for name in a:
        check(torch.equal(a[name], b[name]), f"{what}: {name} differs")
    flags = [[(name, p.requires_grad) for name, p in model.named_parameters()] for model in (found, wanted)]
    check(flags[0] == flags[1], f"{what}: requires_grad changed")
