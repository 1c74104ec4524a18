"""A stranger: a small network written as people write them, with inputs for it and a way to its logits.

The networks register themselves with `@stranger`; `STRANGERS` holds them by name. None of them knows mcomp.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["CLASSES", "ROWS", "STRANGERS", "Stranger", "named", "stranger"]

STRANGERS = {}
CLASSES, ROWS = 5, 6  # what each network tells apart, and how many inputs come with it


@dataclass(frozen=True)
class Stranger:
    """One network: float64, in evaluation mode, no parameter at a value that would hide a fault.

    Attributes
    ----------
    name, what : str
        `what` says in a few words whose style it is.
    network : torch.nn.Module
        Take `model()`, a copy.
    x : tensor, tuple of tensors (positional inputs) or dict of tensors (keyword inputs)
        `ROWS` inputs.
    pick : callable, optional
        Takes the logits (rows, classes, ...) out of what the network returns. None: it returns them.
    out, y : tensors
        The logits of the network on `x`; a label for each row, or for each place of it.
    """

    name: str
    what: str
    network: Any
    x: Any
    pick: Callable | None = None
    out: torch.Tensor = field(init=False)
    y: torch.Tensor = field(init=False)

    def __post_init__(self):
        with torch.no_grad():
            out = self.logits(self.network)
        chance = torch.Generator().manual_seed(2)
        object.__setattr__(self, "out", out)
        object.__setattr__(self, "y", torch.randint(CLASSES, out.select(1, 0).shape, generator=chance))

    def model(self):
        """A copy of the network. (The original isn't run with gradients: old hooks then forbid copies.)"""
        return copy.deepcopy(self.network)

    @property
    def call(self):
        """What the library must be told to find the logits, as keyword arguments."""
        return {} if self.pick is None else {"output": self.pick}

    def rows(self, start, stop=None):
        """Some of the inputs, in the form of `x`."""
        cut = slice(start, stop)
        if isinstance(self.x, dict):
            return {name: tensor[cut] for name, tensor in self.x.items()}
        return tuple(t[cut] for t in self.x) if isinstance(self.x, tuple) else self.x[cut]

    def logits(self, model, x=None):
        """What `model`, this network or what was made of it, says of `x`: called as its author would."""
        x = self.x if x is None else x
        args, kwargs = ((), x) if isinstance(x, dict) else (x if isinstance(x, tuple) else (x,), {})
        out = model(*args, **kwargs)
        return out if self.pick is None else self.pick(out)

    def loss(self, model):
        """Cross-entropy on all inputs, a mean."""
        return F.cross_entropy(self.logits(model), self.y)


def stranger(name, what, *, pick=None):
    """Register a function () -> (network, inputs) as a stranger; it is called when first needed."""

    def register(build):
        STRANGERS[name] = lambda: _made(name, what, build, pick)
        return build

    return register


def named(**layers):
    """A Sequential of layers with names."""
    return nn.Sequential(OrderedDict(layers))


def _made(name, what, build, pick):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network, x = build()
        network.double().eval()
        _stir(network)
    return Stranger(name, what, network, _double(x), pick)


def _double(x):
    if isinstance(x, dict):
        return {name: _double(tensor) for name, tensor in x.items()}
    if isinstance(x, tuple):
        return tuple(map(_double, x))
    return x.double() if x.is_floating_point() else x


@torch.no_grad()
def _stir(network):
    """Biases, norms and their statistics away from 0 and 1, as after training."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0.0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    for p in network.parameters():
        if p.ndim <= 1:
            p.add_(0.2 * torch.randn_like(p))
