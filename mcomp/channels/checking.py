"""The last word on a graph: carry out a plan on random weights, and compare with the channels set to zero.

Rules follow what operations do. What the network's own code does with the number of its channels, such as a
division by its root, only a run can tell.
"""

import copy

import numpy as np
import torch

from mcomp.calling import arguments
from mcomp.channels.plan import Plan
from mcomp.channels.surgery import remove_channels, zero_channels

__all__ = ["UNUSED", "disagreements"]

UNUSED = "isn't used on this input"

TOLERANCE = 1e-5  # in float64 sums in another order differ by 1e-12; parts that run in float32, by 1e-6
ROUNDINGS = 100  # so many of the least steps between numbers, in a type of low precision


def disagreements(model, x, graph):
    """The groups that can't go after all: dict of name to the reason, empty if all is well."""
    if not graph.groups:
        return {}
    noisy, given = _candidate(model, x)
    if _complaint(noisy, given, graph, graph.groups) is None:
        return {}
    found = {name: _complaint(noisy, given, graph, [name]) for name in graph.groups}
    wrong = {name: why for name, why in found.items() if why is not None}
    return wrong or dict.fromkeys(graph.groups, "together with others' it makes another function")


def _candidate(model, x):
    """A copy of `model` in float64 with other weights, for zeros would hide a difference, and an input.

    Where it doesn't run so, or gives no finite numbers: with its own weights; in float32; as it is.
    """
    for dtype in (torch.float64, torch.float32):
        for noisy in (True, False):
            try:
                made = _copied(model, x, dtype, noisy)
                if all(bool(y.isfinite().all()) for y in _outputs(*made)):
                    return made
            except Exception:  # a constant of another type, a device without float64, a domain left
                continue
    return copy.deepcopy(model).eval(), x


def _copied(model, x, dtype, noisy):
    rng = torch.Generator().manual_seed(0)
    copied = copy.deepcopy(model).eval().to(dtype)
    if not noisy:
        return copied, _mapped(x, lambda t: t.to(dtype))
    with torch.no_grad():
        for p in copied.parameters():
            if p.is_floating_point():
                fan = max(1, p.numel() // max(1, len(p))) if p.ndim else 1
                p.copy_(_noise(p, rng) / fan**0.5)
    return copied, _mapped(x, lambda t: _noise(t.to(dtype), rng))


def _noise(tensor, rng):
    return torch.randn(tensor.shape, generator=rng, dtype=tensor.dtype).to(tensor.device)


def _mapped(x, change):
    """`x` with every floating tensor in it changed."""
    if isinstance(x, torch.Tensor):
        return change(x) if x.is_floating_point() else x
    if isinstance(x, dict):
        return {name: _mapped(value, change) for name, value in x.items()}
    return type(x)([_mapped(value, change) for value in x]) if type(x) in (tuple, list) else x


def _outputs(model, x):
    args, kwargs = copy.deepcopy(arguments(x))  # some networks write into what they get
    with torch.no_grad():
        return list(_tensors(model(*args, **kwargs)))


def _tensors(y):
    """Every tensor in a nest of outputs."""
    if isinstance(y, torch.Tensor):
        yield y
    elif isinstance(y, (dict, list, tuple)) or hasattr(y, "__dict__"):
        parts = y if isinstance(y, (list, tuple)) else (y if isinstance(y, dict) else vars(y)).values()
        for part in parts:
            yield from _tensors(part)


def _complaint(model, x, graph, names):
    """What goes wrong when half of the channels of these groups go, or all but one; None if nothing."""
    rng = np.random.default_rng(0)
    sizes = {name: len(graph.groups[name].units) for name in names}
    for leave in (lambda n: n // 2, lambda n: 1):
        gone = {name: rng.permutation(n)[max(1, leave(n)) :] for name, n in sizes.items()}
        plan = Plan(graph, gone)
        if plan.removed and (why := _failure(model, x, plan)):
            return why
    return None


def _failure(model, x, plan):
    masked, small = _outputs(zero_channels(model, plan), x), remove_channels(model, plan)
    try:
        if not all(_agree(*pair) for pair in zip(_outputs(small, x), masked, strict=True)):
            return "without some of them the network computes another function than with zeros there"
    except Exception as error:
        return f"without some of them the network's own code fails ({_first_line(error)})"
    unused = UNUSED in plan.graph.refused.values()
    return _failure_in_training(copy.deepcopy(model).train(), small.train(), x) if unused else None


def _failure_in_training(model, small, x):
    """An auxiliary head may run in training alone, and read what it no longer finds."""
    try:
        _outputs(model, x)
    except Exception:  # as batch norm on one row
        return None
    try:
        _outputs(small, x)
    except Exception as error:
        return f"without some of them the network's own code fails in training ({_first_line(error)})"
    return None


def _first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _agree(small, masked):
    if small.shape != masked.shape:
        return False
    if not masked.is_floating_point():
        return torch.equal(small, masked)
    tolerance = max(TOLERANCE, ROUNDINGS * torch.finfo(masked.dtype).eps)
    bound = tolerance * float(masked.abs().nan_to_num().max()) if masked.numel() else 0
    return torch.allclose(small, masked, rtol=0, atol=bound, equal_nan=True)
