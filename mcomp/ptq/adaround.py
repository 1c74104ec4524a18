"""AdaRound: which of the two neighbours on the grid each weight should take, by what the layer puts out.

Rounding to the nearest minimises the error of the weights; the loss sees the error of the outputs, in which
roundings of the same row can cancel. Derived in chapters/07_repair_without_training.ipynb. Nagel et al.
2020, arXiv:2004.10568, eqs. 21 to 25.
"""

import copy
from dataclasses import replace
from functools import partial

import torch
from torch.func import functional_call
from torch.nn import functional as F

from mcomp import calling
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.codecs.attachment import attached
from mcomp.codecs.code import decode
from mcomp.codecs.uniform import Uniform
from mcomp.layers import tell
from mcomp.plain import LAYERS, copied, graph_of, made_by, naming
from mcomp.trace import between, layer
from mcomp.watch import watch

__all__ = ["adaround", "choose_rounding"]

STRETCH = (-0.1, 1.1)  # the sigmoid goes a little beyond 0 and 1, so that it can reach them (eq. 23)
RELU = (F.relu, torch.relu)
BETA = (20.0, 2.0)  # how sharply a weight is drawn to 0 or 1: at first hardly, at last strongly (eq. 24)


def choose_rounding(floor, rest, *, loss, steps=300, lr=0.03, pull=0.02):
    """Which entries to round up: relaxed to real numbers between 0 and 1, trained, drawn to 0 or 1.

    Parameters
    ----------
    floor : float tensor, any shape
        The grid point below each weight, in steps of the grid.
    rest : float tensor of that shape, from 0 to 1
        What is left above it: 0.5 and more would round up.
    loss : callable
        ``loss(q) -> scalar`` for q = floor + h, h from 0 to 1; is called once a step, and may use another
        batch each time. About 1 for rounding to the nearest.
    steps, lr : int, float
        Of Adam.
    pull : float
        Weight of the term that draws each h to 0 or 1, as a mean over the entries times 100.

    Returns
    -------
    up : float tensor of 0 and 1

    Raises
    ------
    ValueError
        If an entry of `rest` is outside [0, 1], or an option out of range.
    """
    if bool(((rest < 0) | (rest > 1)).any()):
        raise bad_value("rest from", (float(rest.min()), float(rest.max())), "0 to 1")
    low, high = STRETCH
    start = (rest.clamp(0.01, 0.99) - low) / (high - low)
    v = torch.logit(start).requires_grad_()
    optimizer = torch.optim.Adam([v], lr=check_real("lr", lr, 0.0))
    for step in range(check_int("steps", steps, 1)):
        h = (torch.sigmoid(v) * (high - low) + low).clamp(0, 1)
        cost = loss(floor + h)
        at = step / steps
        if at > 0.2:  # first find a direction, then decide
            beta = BETA[1] + (BETA[0] - BETA[1]) * (1 - (at - 0.2) / 0.8)
            cost = cost + 100 * pull * (1 - (2 * h - 1).abs() ** beta).mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    return (v.detach() > 0).to(floor.dtype)


def adaround(model, original, *, x, steps=300, lr=0.03, batch_size=32, seed=0):
    """A copy of `model` in which each layer's weights are rounded so that its outputs stay, layer by layer.

    A layer in which the search finds nothing better stays rounded to the nearest.

    Parameters
    ----------
    model : torch.nn.Module
        With symmetric `Uniform` codecs attached to the weights of linear and convolutional layers; each keeps
        its scale, only the integers change. What else has a codec stays as it is, and is printed. Not
        changed.
    original : torch.nn.Module
        The same network in float.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Training images, a few hundred; their labels aren't needed.
    steps, lr, batch_size, seed
        Of the search in each layer.

    Returns
    -------
    rounded : torch.nn.Module
        With the codecs still attached: bake it, or save it. Further training with ``refresh="step"`` would
        round to the nearest again.

    Raises
    ------
    ValueError
        If no layer of `model` has such a codec; by name, if one has another codec, runs more than once or not
        as a layer, or is made by something else in `original`.
    """
    model = copied(model).eval()
    held, graph = attached(model), graph_of(original)
    layers = [n for n, module in original.named_modules() if isinstance(module, LAYERS)]
    names = [name for name in _in_order(original, x, layers) if f"{name}.weight" in held]
    if not names:
        raise bad_value("the codecs of the model", [*held], "Uniform on the weight of at least one layer")
    rectified = {n.target for n in graph.nodes if _feeds_relu(original, n)}
    chance = torch.Generator().manual_seed(check_int("seed", seed, 0))
    for name in names:
        given, wanted = inputs_of(model, name, x=x), inputs_of(original, name, x=x)
        exact, module = original.get_submodule(name), model.get_submodule(name)
        loss = _Loss(exact, module.bias, given, wanted, F.relu if name in rectified else torch.nn.Identity())
        draw = partial(_batches, len(given), check_int("batch_size", batch_size, 1), chance)
        with naming(name):
            _round_layer(
                module, loss.exact.weight.detach(), held[f"{name}.weight"], loss, draw, steps=steps, lr=lr
            )
    for name in {*layers} - {*names}:
        if f"{name}.weight" in held:
            raise bad_value("a layer to round", f"{name}, which never runs as one", "one that runs once")
    done, why = {f"{name}.weight" for name in names}, "it is no weight of a linear or convolutional layer"
    tell("not rounded", {name: why for name in held if name not in done})
    return model


def _in_order(original, x, layers):
    """The layers that run, in order; ValueError if one runs again, or its weight isn't its own."""
    ran = []
    first = calling.take(x, slice(1))
    watch(original, first, lambda name, layer, a: ran.append(name), names=layers, every=False)
    for name in ran:
        if ran.count(name) > 1:
            raise bad_value(
                "a layer to round", f"{name}, which runs {ran.count(name)} times", "one that runs once"
            )
        if maker := made_by(original.get_submodule(name), "weight"):
            raise bad_value("a layer to round", f"{name}, whose weight is made by {maker}", "a plain one")
    return ran


def _batches(n, size, chance):
    return torch.randperm(n, generator=chance)[:size]


class _Loss:
    """The squared error of a layer's outputs after the ReLU that follows (eq. 25), if one does."""

    def __init__(self, exact, bias, given, wanted, shape):
        wide = torch.promote_types(exact.weight.dtype, torch.float32)  # Adam's steps vanish in half precision
        self.exact, self.given, self.shape = copy.deepcopy(exact).to(wide), given.to(wide), shape
        self.bias = None if bias is None else bias.detach().to(wide)
        with torch.no_grad():
            self.target = shape(self.exact(wanted.to(wide)))

    def __call__(self, w, index):
        tensors = {"weight": w} if self.bias is None else {"weight": w, "bias": self.bias}
        y = functional_call(self.exact, tensors, (self.given[index],))
        return (self.shape(y) - self.target[index]).square().mean()


def _round_layer(module, w, parametrization, loss, draw, *, steps, lr):
    """Give the layer's code the integers that `choose_rounding` finds."""
    code = parametrization.code(module.parametrizations.weight.original.detach())
    if "zero_point" in code.symbols or code.kind != Uniform.kind:
        raise bad_value("a codec", parametrization.codec, "a symmetric Uniform")
    q = code.symbols["q"]
    scale = decode(replace(code, symbols={**code.symbols, "q": torch.ones_like(q)})).to(
        w.dtype
    )  # of each weight
    most = 2 ** (parametrization.codec.bits - 1) - 1
    steps_of = (w / scale).clamp(-most, most)
    floor = steps_of.floor().clamp(max=most - 1)
    with torch.no_grad():
        nearest = float(loss(decode(code).to(w.dtype), torch.arange(len(loss.given))))

    def relative(q):
        return loss(scale * q, draw()) / max(nearest, 1e-30)

    up = choose_rounding(floor, steps_of - floor, loss=relative, steps=steps, lr=lr)
    with torch.no_grad():
        found = float(loss(scale * (floor + up), torch.arange(len(loss.given))))
    if found < nearest:  # a search may end above where rounding to the nearest is
        parametrization.set_code(replace(code, symbols={**code.symbols, "q": (floor + up).long().flatten()}))


def _feeds_relu(model, node):
    """Whether the layer that `node` calls is read by a ReLU only."""
    if not isinstance(layer(model, node), LAYERS):
        return False
    user = between(model, node, lambda n, module: isinstance(module, torch.nn.Identity))
    return user is not None and (isinstance(layer(model, user), torch.nn.ReLU) or user.target in RELU)


def inputs_of(model, name, *, x):
    """What the layer `name` of `model` gets when `x` goes in: (n, ...)."""
    seen = []
    watch(model, x, lambda name, layer, a: seen.append(a), names=[name])
    return torch.cat(seen)
