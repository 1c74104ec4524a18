"""Activations on a grid: a small module in front of a layer or behind it, put there by `mcomp.codecs.attach`.

``attach(model, {"*.input": Uniform(8, symmetric=False)})``, then `calibrate` on a few hundred images. A range
can't be read off an activation as off a weight: it has to be observed. Derived in
chapters/07_repair_without_training.ipynb. Jacob et al. 2018, arXiv:1712.05877.
"""

from fnmatch import fnmatchcase

import torch
from torch import nn

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.codecs.uniform import Uniform
from mcomp.quantize.grids import Grid, fake_quantize, integer_range, range_grid
from mcomp.quantize.observers import MinMax
from mcomp.trace import LINEAR
from mcomp.train import evaluating

__all__ = ["ActivationGrid", "activation_rules", "activations", "calibrate", "put_activations"]

CHILD = "{}_quantizer"  # the name of the module's child that holds the quantizer
PLACES = ("input", "output")
HALF = (torch.float16, torch.bfloat16)
LISTS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class ClippedStraightThrough(torch.autograd.Function):
    """Forward the grid point; backward the gradient where `x` was inside the range, zero where it was cut."""

    @staticmethod
    def forward(ctx, x, grid):
        low = (grid.qmin - grid.zero_point) * grid.scale
        high = (grid.qmax - grid.zero_point) * grid.scale
        ctx.save_for_backward((x >= low) & (x <= high))
        if x.dtype != torch.float16:
            return fake_quantize(x, grid)
        most = torch.finfo(x.dtype).max  # the last point of the grid may lie half a step beyond it
        return fake_quantize(x.float(), grid).clamp_(-most, most).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None


class ActivationGrid(nn.Module):
    """Rounds what passes to one grid for the whole tensor; the range is what its observer saw.

    Parameters
    ----------
    codec : Uniform
        Says how many bits, and whether the grid is symmetric; without axis and group.
    observer : object with ``update(x)`` and ``range()``
        See mcomp/quantize/observers.py; `MinMax` by default.
    """

    def __init__(self, codec, observer=None):
        super().__init__()
        if not isinstance(codec, Uniform) or codec.axis is not None or codec.group is not None:
            raise bad_value("the codec of an activation", codec, "Uniform(bits), without axis and group")
        self.codec, self.observer = codec, observer or MinMax()
        self.observing, self.seen = False, 0  # how many batches the observer saw
        self.register_buffer("scale", torch.tensor(float("nan")))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))

    def _apply(self, fn, recurse=True):
        """The scale stays float32 in a network made half: rounded to fewer digits it would pass the range."""
        scale = self.scale
        super()._apply(fn, recurse)
        self.scale = scale.to(self.scale.device)
        return self

    def grid(self):
        """The grid; ValueError before it was calibrated."""
        if bool(self.scale.isnan()):
            raise bad_value("the range of an activation", "unknown", "known; run calibrate(model, x) first")
        ends = integer_range(self.codec.bits, symmetric=self.codec.symmetric)
        return Grid(self.scale, self.zero_point, *ends)

    def settle(self):
        """Take the grid from what the observer saw."""
        low, high = self.observer.range()
        grid = range_grid(low, high, self.codec.bits, symmetric=self.codec.symmetric)
        self.scale.fill_(float(grid.scale))
        self.zero_point.fill_(int(grid.zero_point))

    def forward(self, x):
        """Observe and let `x` pass, or round it."""
        if self.observing:
            self.observer.update(x.detach().float() if x.dtype in HALF else x.detach())
            self.seen += 1
            return x
        return ClippedStraightThrough.apply(x, self.grid())


def calibrate(model, x, *, batch_size=100):
    """Run `x` through `model` so that every observer sees its activations, unrounded; then fix the grids.

    Parameters
    ----------
    model : torch.nn.Module
        With activation modules, see `mcomp.codecs.attach`. Changed in place.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Training images: a few hundred are enough.

    Raises
    ------
    ValueError
        If `model` has no activation modules, `x` is empty, or `x` never passes one: its layer doesn't run as
        a module (attention multiplies with its ``out_proj`` itself), or gives no tensor of real numbers.
    """
    calling.count(x)
    found = {name: module for name, module in activations(model).items() if hasattr(module, "observing")}
    if not found:
        raise bad_value(
            "the activations of the model", "none", "attach(model, {'*.input': Uniform(8)}) first"
        )
    for module in found.values():
        module.observing, module.seen = True, 0
    try:
        with evaluating(model):
            for part in calling.parts(x, batch_size):
                calling.invoke(model, part)
    finally:
        for module in found.values():
            module.observing = False
    asleep = [name for name, module in found.items() if not module.seen]
    if asleep:
        allowed = "activations that pass as tensors of floats; leave these out of the rules"
        raise bad_value("what never passed its quantizer", ", ".join(asleep), allowed)
    for module in found.values():
        module.settle()
    return model


def activation_rules(rules):
    """`rules` in two: those of parameters, and those whose pattern ends in ``.input`` or ``.output``."""
    outer = {p: codec for p, codec in rules.items() if p.rpartition(".")[2] in PLACES}
    return {p: codec for p, codec in rules.items() if p not in outer}, outer


def put_activations(model, rules, make):
    """Put ``make(codec)`` where the first rule says; returns the new modules by name, ``fc1.input``.

    An input can be quantized at the layers that multiply (linear and convolutional), an output at any module.
    The output of a Sequential is that of its last module.
    """
    names = [name for name in _places(model) if name not in activations(model)]
    for pattern in rules:
        if not any(fnmatchcase(name, pattern) for name in names):
            allowed = f"one that matches a free place of {type(model).__name__}: {', '.join(names)}"
            raise bad_value("a pattern of rules", pattern, allowed)
    chosen = {n: next((c for p, c in rules.items() if fnmatchcase(n, p)), None) for n in names}
    made = {name: make(codec) for name, codec in chosen.items() if codec is not None}
    for name, quantizer in made.items():
        path, _, place = name.rpartition(".")
        module = model.get_submodule(path)
        module.add_module(CHILD.format(place), quantizer)
        quantizer.hook = _hook(module, place)
    return made


def remove_activations(model):
    """Take every activation module off `model` again, in place."""
    for name, quantizer in activations(model).items():
        path, _, place = name.rpartition(".")
        quantizer.hook.remove()
        delattr(model.get_submodule(path), CHILD.format(place))


def activations(model):
    """The modules that quantize activations of `model`: dict of name, such as ``fc1.input``, to module."""
    found = {}
    for path, module in model.named_modules():
        for place in PLACES:
            if CHILD.format(place) in module._modules:
                found[f"{path}.{place}".lstrip(".")] = module._modules[CHILD.format(place)]
    return found


def _places(model):
    for path, module in model.named_modules():
        inner = {*map(CHILD.format, PLACES), "parametrizations"}.intersection(path.split("."))
        if inner or isinstance(module, (nn.Sequential, *LISTS)):
            continue  # a child put into one of these would be one of its elements
        for place in PLACES if isinstance(module, LINEAR) else PLACES[1:]:
            yield f"{path}.{place}".lstrip(".")


def _hook(module, place):
    """Hooks find the quantizer by name, so that a copy of the model uses the copy's own."""
    if place == "input":
        return module.register_forward_pre_hook(_quantize_input, with_kwargs=True)
    return module.register_forward_hook(_quantize_output)


def _quantize_input(module, args, kwargs):
    """The first argument, positional or by keyword, on the grid."""
    if args:
        return (_rounded(module.input_quantizer, args[0]), *args[1:]), kwargs
    name = next(iter(kwargs))
    return args, {**kwargs, name: _rounded(module.input_quantizer, kwargs[name])}


def _quantize_output(module, args, output):
    return _rounded(module.output_quantizer, output)


def _rounded(quantizer, x):
    """`x` through its quantizer; whatever is no tensor of real numbers passes as it is, see `calibrate`."""
    return quantizer(x) if isinstance(x, torch.Tensor) and x.is_floating_point() else x
