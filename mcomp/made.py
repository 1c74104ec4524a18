"""What surgery did to a network, as plain data that the network carries along: `replay` does it to another.

A file holds the steps, so that a network which mcomp cut, factorized or folded opens again from its original
class. Each step is a list [place, kind, data]: the submodule that was operated on ("" for the whole), and

| kind | data |
|---|---|
| keep | which entries of which axes stay, as `mcomp.kept.apply_kept` takes it |
| put | dict of layer to what stands there now: [[leaf, class, arguments], ...], a Sequential of layers with
        these names; one with the name "" for a single layer, [] for an Identity |
| bias | names of layers that got a bias |
"""

import itertools

import torch
from torch import nn

from mcomp.arrays import bad_value
from mcomp.kept import apply_kept
from mcomp.plain import put_in

__all__ = ["made", "remember", "replay", "spec"]

MAX_STEPS = 64
LAYERS = {
    "Linear": (nn.Linear, ("in_features", "out_features")),
    **{
        f"Conv{n}d": (
            getattr(nn, f"Conv{n}d"),
            ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups",
             "padding_mode"),
        )
        for n in (1, 2, 3)
    },
}  # fmt: skip
ACTIVATIONS = {  # layers without numbers
    "GELU": (nn.GELU, ("approximate",)),
    "LeakyReLU": (nn.LeakyReLU, ("negative_slope",)),
    **{name: (getattr(nn, name), ()) for name in ("Hardswish", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Tanh")},
}
_clock = itertools.count()  # which of two steps came first, also where they are kept by different submodules


def remember(model, kind, data, *, before=None):
    """Note on `model` that this was done to make it of `before` (by default of itself); returns `model`.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=True))
    >>> made(nn.Sequential(remember(model, "bias", ["0"])))
    [['0', 'bias', ['0']]]
    """
    earlier = vars(model if before is None else before).get("_mcomp_made", ())
    model._mcomp_made = [*earlier, (next(_clock), kind, data)]
    return model


def made(model):
    """The steps that led to `model` from what its class makes, in order."""
    found = [
        (name, step) for name, module in model.named_modules() for step in vars(module).get("_mcomp_made", ())
    ]
    return [[name, kind, data] for name, (_, kind, data) in sorted(found, key=lambda item: item[1][0])]


def replay(model, steps):
    """`model` with the steps of `made` done to it; the parts that stay are those of `model`.

    The values of layers put in are arbitrary: it is the shapes that count, to be filled.

    Parameters
    ----------
    model : torch.nn.Module
        Consumed: what comes back may be another object or the same, changed.
    steps : list of [place, kind, data]

    Raises
    ------
    ValueError
        If a step has another form or doesn't fit the network.
    """
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise bad_value("the steps", str(steps)[:80], f"a list of at most {MAX_STEPS}")
    for step in steps:
        if not isinstance(step, list) or len(step) != 3 or step[1] not in _KINDS:
            raise bad_value("a step", str(step)[:80], f"[place, kind, data]; kinds: {', '.join(_KINDS)}")
        place, kind, data = step
        before = _module(model, place)
        done = remember(_KINDS[kind](before, data), kind, data, before=before)
        model = done if not place else put_in(model, place, done)
    return model


def spec(layer):
    """The class and arguments of a plain layer, as a step holds them.

    Examples
    --------
    >>> spec(nn.Linear(3, 2, bias=False))
    ['Linear', {'in_features': 3, 'out_features': 2, 'bias': False}]
    """
    kind = type(layer).__name__
    if kind in ACTIVATIONS:
        return [kind, {name: getattr(layer, name) for name in ACTIVATIONS[kind][1]}]
    options = {name: getattr(layer, name) for name in LAYERS[kind][1]}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    return [kind, {**plain, "bias": layer.bias is not None}]


def _module(model, name):
    modules = dict(model.named_modules(remove_duplicate=False))
    if not isinstance(name, str) or name not in modules:
        raise bad_value("the place of a step", str(name)[:80], "the name of a submodule")
    return modules[name]


def _put(model, layers):
    if not isinstance(layers, dict):
        raise bad_value("what is put in", str(layers)[:80], "a dict of name to layers")
    for name, parts in layers.items():
        before = _module(model, name)
        like = next((p for p in before.parameters() if p.is_floating_point()), torch.empty(0))
        new, made = nn.Sequential() if parts else nn.Identity(), {}
        for leaf, kind, options in _parts(parts):
            if kind in LAYERS:
                options |= {"device": like.device, "dtype": like.dtype}
            made[leaf] = (LAYERS | ACTIVATIONS)[kind][0](**options)
        if [*made] == [""]:
            new = made.pop("")
        for leaf, layer in made.items():
            new.add_module(leaf, layer)
        new.train(before.training)
        model = new if not name else put_in(model, name, new)
    return model


def _parts(parts):
    for part in parts if isinstance(parts, list) else [parts]:
        known = LAYERS | ACTIVATIONS
        fits = isinstance(part, list) and len(part) == 3 and part[1] in known and isinstance(part[2], dict)
        options = {*known[part[1]][1]} | ({"bias"} if part[1] in LAYERS else set()) if fits else ()
        if not fits or not {*part[2]} <= options:
            raise bad_value(
                "a layer put in", str(part)[:80], f"[leaf, class of {', '.join(known)}, arguments]"
            )
        leaf, kind, options = part
        yield leaf, kind, {n: tuple(v) if isinstance(v, list) else v for n, v in options.items()}


def _bias(model, names):
    for name in names if isinstance(names, list) else [names]:
        layer = _module(model, name)
        if not isinstance(getattr(layer, "weight", None), nn.Parameter):
            raise bad_value("a layer that got a bias", name, "one with a weight")
        if layer.bias is None:
            count = getattr(layer, "out_channels", len(layer.weight))
            layer.bias = nn.Parameter(layer.weight.new_zeros(count))
    return model


_KINDS = {"keep": apply_kept, "put": _put, "bias": _bias}
