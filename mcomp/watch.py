"""Look into a network while it runs: what its layers get and what they give. The network stays as it was."""

import contextlib
import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.train import evaluating

__all__ = ["input_grams", "input_rows", "listening", "watch"]

_CONVOLUTIONS = {nn.Conv1d: F.conv1d, nn.Conv2d: F.conv2d, nn.Conv3d: F.conv3d}


def watch(model, x, look, *, names, outputs=False, every=True, batch_size=1000):
    """Run `x` through `model` and call ``look(name, layer, tensor)`` whenever one of `names` is called.

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode without gradients.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
    look : callable
        Gets the layer's first input, positional or by keyword, or its output; what it returns is dropped.
    names : sequence of str
        Names of submodules, as in ``model.named_modules()``.
    outputs : bool
        Whether `look` gets the output. A layer behind it may overwrite that in place: clone what you keep.
    every : bool
        Whether it is an error that one of them is never called.
    batch_size : int
        Rows of `x` at once.

    Raises
    ------
    ValueError
        If a name is unknown, `x` is empty, or a layer is never called: attention, for one, multiplies with
        the weight of its `out_proj` itself; or what would be looked at is no tensor.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> watch(model, torch.zeros(3, 1), lambda name, layer, y: print(name, tuple(y.shape)), names=["1"])
    1 (3, 2)
    """
    modules = _named(model, names)
    calling.count(x)
    handles, called = [], set()
    try:
        for name in names:
            hook = partial(_hook, look, called, name)
            layer = modules[name]
            register = layer.register_forward_hook if outputs else layer.register_forward_pre_hook
            handles.append(register(hook, with_kwargs=True))
        with evaluating(model):
            for rows in calling.parts(x, batch_size):
                calling.invoke(model, rows)
    finally:
        for handle in handles:
            handle.remove()
    for name in names:
        if every and name not in called:
            layer = f"{name} ({type(modules[name]).__name__})"
            raise bad_value("the layer", layer, "one that the network calls; this one it doesn't")


@contextlib.contextmanager
def listening(model, names):
    """While the network runs once, as it is (training mode, gradients): a dict of name to the layer's output.

    Parameters
    ----------
    model : torch.nn.Module
    names : sequence of str
        Names of submodules, as in ``model.named_modules()``.

    Raises
    ------
    ValueError
        If a name is unknown, a layer is called a second time, or its output is no tensor.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> with listening(model, ["0"]) as heard:
    ...     y = model(torch.zeros(3, 1))
    >>> heard["0"].shape, heard["0"].requires_grad
    (torch.Size([3, 2]), True)
    """
    heard, modules = {}, _named(model, names)

    def look(name, layer, y):
        if name in heard:
            raise bad_value("the layer", name, "one that is called once; this one is called again")
        heard[name] = y.clone()  # a layer behind it may overwrite it in place

    hooks = {name: partial(_hook, look, set(), name) for name in names}
    handles = [modules[name].register_forward_hook(hook, with_kwargs=True) for name, hook in hooks.items()]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _named(model, names):
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules:
            raise bad_value("name", name, f"one of {', '.join(filter(None, modules))}")
    return modules


def _hook(look, called, name, layer, inputs, named, output=None):
    called.add(name)
    passing = next(iter((*inputs, *named.values())), None) if output is None else output
    if not isinstance(passing, torch.Tensor):
        what = f"the {'input' if output is None else 'output'} of the layer {name}"
        raise bad_value(what, type(passing).__name__, "a tensor; watch a layer inside or behind it")
    look(name, layer, passing)


def input_rows(layer, x, *, name="the layer"):
    """Everything that a layer multiplies its weight with, a row each: (rows · positions, in · kh · kw).

    Parameters
    ----------
    layer : Linear, or Conv1d, Conv2d or Conv3d without groups, padded with zeros
    x : tensor
        The layer's input.
    name : str
        What an error calls the layer.

    Raises
    ------
    ValueError
        If the layer is of another kind.

    Examples
    --------
    >>> input_rows(nn.Conv2d(1, 1, 2), torch.arange(6.0).reshape(1, 1, 2, 3))
    tensor([[0., 1., 3., 4.],
            [1., 2., 4., 5.]])
    """
    kind = parametrize.type_before_parametrizations(layer)
    if kind is nn.Linear:
        return x.reshape(-1, x.shape[-1])
    plain = kind in _CONVOLUTIONS and layer.groups == 1 and layer.padding_mode == "zeros"
    if not plain or isinstance(layer.padding, str):
        raise bad_value(name, layer, "a Linear, or a convolution without groups, padded with zeros")
    if x.ndim != 4:  # what unfold doesn't do: a convolution whose outputs are the numbers that it reads
        size = x.shape[1] * math.prod(layer.kernel_size)
        ones = torch.eye(size, dtype=x.dtype, device=x.device).view(size, x.shape[1], *layer.kernel_size)
        options = layer.stride, layer.padding, layer.dilation
        return _CONVOLUTIONS[kind](x, ones, None, *options).movedim(1, -1).reshape(-1, size)
    patches = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return patches.transpose(1, 2).flatten(0, 1)


def input_grams(model, x, *, names, dtype=torch.float64, batch_size=1000):
    """The mean of v vᵀ over the rows v of each layer's inputs: dict of name to tensor (in, in) of `dtype`.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3))
    >>> input_grams(model, torch.tensor([[1.0, 2.0], [1.0, 0.0]]), names=["0"])["0"]
    tensor([[1., 1.],
            [1., 2.]], dtype=torch.float64)
    """
    sums, counts = {}, dict.fromkeys(names, 0)

    def look(name, layer, a):
        rows = input_rows(layer, a, name=f"the layer {name}").to(dtype)  # (rows, in)
        sums[name] = sums.get(name, 0) + rows.T @ rows
        counts[name] += len(rows)

    watch(model, x, look, names=names, batch_size=batch_size)
    return {name: total / counts[name] for name, total in sums.items()}
