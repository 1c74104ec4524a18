"""Layers taken out of a network, and how much each seems to be worth.

A block whose output has the shape of its input can become the identity. Scores: block influence (Men et al.
2024, arXiv:2403.03853, eq. 1), which looks at angles only, the relative change, which sees lengths too, and
the honest one, the loss without the block.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.made import remember
from mcomp.plain import copied, put_in
from mcomp.train import evaluating, predict

__all__ = ["Influence", "drop", "droppable", "influence", "loss_without"]


@dataclass(frozen=True)
class Influence:
    """How a block changes what passes through it, means over positions.

    Attributes
    ----------
    cosine : float
        1 - cos(h, h'), from 0 (only the length changes) to 2.
    relative : float
        |h' - h| / |h|: 0 if nothing changes.
    """

    cosine: float
    relative: float


def drop(model, names, *, x):
    """A copy of `model` in which each block of `names` is an Identity.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    names : sequence of str
        Of submodules, see `droppable`.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        A few inputs, on which the network is run to see what goes in and out of each block.

    Returns
    -------
    smaller : torch.nn.Module

    Raises
    ------
    ValueError
        With the block's name, if it isn't called, is called with more than one tensor, or returns something
        else than one tensor of its input's shape.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    >>> drop(model, ["0"], x=torch.zeros(1, 2))
    Sequential(
      (0): Identity()
      (1): Linear(in_features=2, out_features=1, bias=True)
    )
    """
    blocks = dict(model.named_modules(remove_duplicate=False))
    if isinstance(names, str):
        raise bad_value("names", names, "a list of names")
    for name in names:
        if name not in blocks or not name:
            raise bad_value("the name of a block", name, f"one of {', '.join(filter(None, blocks))}")
    reasons = _reasons(model, names, x)
    for name in names:
        if reasons[name]:
            raise bad_value("the block", f"{name}, {reasons[name]}", "one that keeps its input's shape")
    smaller, places = copied(model), {}
    for place, module in blocks.items():
        if any(module is blocks[name] for name in names):
            places[place] = []
            put_in(smaller, place, nn.Identity())
    return remember(smaller, "put", places)


def droppable(model, x):
    """The blocks with weights that `drop` takes, outermost first; a block in one of them isn't listed.

    Examples
    --------
    >>> droppable(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), torch.zeros(1, 2))
    ['0']
    """
    names = [n for n, m in model.named_modules() if n and any(True for _ in m.parameters())]
    reasons, found = _reasons(model, names, x), []
    for name in names:
        if not reasons[name] and not any(name.startswith(f"{outer}.") for outer in found):
            found.append(name)
    return found


def influence(model, names, x, *, axis=None, batch_size=500):
    """The `Influence` of each block, by name, from one run of `x`.

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode.
    names : sequence of str
        Of blocks that `drop` takes.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
    axis : int, optional
        Along which a position's vector lies. Default: 1 where the block gets four axes (channels of an
        image), else the last (features of a token).

    Raises
    ------
    ValueError
        As `drop`; or if an input is all zeros at a position, which has no angle.
    """
    sums = {name: [0.0, 0.0, 0] for name in names}

    def look(name, before, after):
        along = axis if axis is not None else (1 if before.ndim == 4 else -1)
        h, g = (t.detach().double().movedim(along, -1).flatten(0, -2) for t in (before, after))
        size = h.norm(dim=1)
        if not bool((size > 0).all()):
            raise bad_value("the input of", f"{name} with a position of zeros", "vectors with a direction")
        entry = sums[name]
        entry[0] += float((1 - F.cosine_similarity(h, g, dim=1)).sum())
        entry[1] += float(((g - h).norm(dim=1) / size).sum())
        entry[2] += len(h)

    for part in calling.parts(x, batch_size):
        reasons = _reasons(model, names, part, look)
        for name in names:
            if reasons[name]:
                raise bad_value("the block", f"{name}, {reasons[name]}", "one that `drop` takes")
    return {name: Influence(a / n, b / n) for name, (a, b, n) in sums.items()}


def loss_without(model, names, pair, *, output=None, batch_size=1000):
    """The mean cross-entropy on ``pair = (x, y)`` without each block of `names`, by name; "" is with all.

    Errors as `drop`.
    """
    x, y = pair
    few = calling.take(x, slice(0, 2))
    networks = {"": model} | {name: drop(model, [name], x=few) for name in names}
    return {
        name: float(F.cross_entropy(predict(network, x, output=output, batch_size=batch_size), y))
        for name, network in networks.items()
    }


def _reasons(model, names, x, look=lambda name, before, after: None):
    """Why each block can't be an identity, "" if it can; `look` sees what goes in and out of those."""
    blocks = dict(model.named_modules(remove_duplicate=False))
    found, handles = dict.fromkeys(names, "which the network doesn't call"), []

    def note(name, inputs, named, output):
        given = [a for a in (*inputs, *named.values()) if a is not None]
        if len(given) != 1 or not inputs or not isinstance(given[0], torch.Tensor):
            found[name] = f"which gets {len(given)} arguments, {len(named)} of them by keyword"
        elif not isinstance(output, torch.Tensor):
            found[name] = f"which returns a {type(output).__name__}"
        elif output.shape != given[0].shape:
            found[name] = f"which makes {tuple(output.shape)} of {tuple(given[0].shape)}"
        elif found[name] in ("", "which the network doesn't call"):
            found[name] = ""
            look(name, given[0], output)

    kept = {}
    for name in dict.fromkeys(names):
        block = blocks[name]
        before = lambda m, a, k, n=name: kept.__setitem__(n, (a, k, calling.copied(a)))  # noqa: E731
        after = lambda m, a, k, out, n=name: note(n, kept[n][2], k, out)  # noqa: E731
        handles.append(block.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(block.register_forward_hook(after, with_kwargs=True))
    try:
        with evaluating(model):
            calling.invoke(model, x)
    finally:
        for handle in handles:
            handle.remove()
    return found
