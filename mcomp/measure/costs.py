"""What a network costs to run, by counting: multiply-accumulates and bytes moved, layer by layer.

Derived in chapters/01_what_does_a_network_cost.ipynb. A multiply-accumulate (MAC) is one product added to a
sum: two floating-point operations (FLOP).
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_leaves

from mcomp import calling
from mcomp.measure.counting import address, count_macs
from mcomp.measure.sizes import count_entries, own_weights, plain_modules
from mcomp.train import evaluating

__all__ = ["LayerCost", "arithmetic_intensity", "layer_costs", "macs_by_layer", "unread"]


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs in a forward pass.

    Attributes
    ----------
    name, kind : str
        Its place in the model and its class.
    parameters, nonzero : int
        Entries of its weight and bias, and how many of them aren't zero.
    macs : int
        Multiply-accumulates of the products that run in it and in no module within it: matrices,
        convolutions, attention, recurrent steps (`mcomp.measure.counting`). Zeros in the weight count: a
        dense kernel multiplies by them. The bias doesn't, nor do elementwise work and look-ups.
    nbytes : int
        Input, parameters and output, each moved once: the least that must cross between memory and processor
        if nothing is in the cache.
    """

    name: str
    kind: str
    parameters: int
    nonzero: int
    macs: int
    nbytes: int

    @property
    def intensity(self):
        """FLOP per byte moved, the arithmetic intensity."""
        return 2 * self.macs / self.nbytes


def layer_costs(model, x):
    """What each layer with parameters costs in a forward pass of `x`, in the order of the pass.

    A module without parameters has a row if it multiplies: a product of two activations, say. A layer called
    twice has both calls in its numbers. What no operation reads isn't in them: see `unread`.

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode; its modes are restored.
    x : tensor (batch, ...), or several inputs as in `mcomp.calling`
        One image for the cost of one image. Not changed.

    Returns
    -------
    costs : list of LayerCost

    Raises
    ------
    ValueError
        If `x` holds no tensor with at least one entry.

    Examples
    --------
    >>> layer_costs(torch.nn.Linear(784, 300), torch.zeros(1, 784))[0].macs
    235200
    """
    return _run(model, x)[0]


def unread(model, x):
    """The names of the parameters that no operation reads when `x` passes: their costs are nowhere.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    >>> model[0].spare = torch.nn.Parameter(torch.zeros(1))
    >>> unread(model, torch.zeros(1, 2))
    ['0.spare']
    """
    return _run(model, x)[1]


def _run(model, x):
    """The costs by layer, and the names of the parameters that nothing read."""
    calling.count(x)
    moved, handles, modules = {}, [], dict(plain_modules(model))
    with evaluating(model), parametrize.cached():
        try:
            for name, module in modules.items():
                handles.append(module.register_forward_hook(partial(_record, moved, name), with_kwargs=True))
            macs, read = count_macs(model, partial(calling.invoke, model, calling.copied(x)))
        finally:
            for handle in handles:
                handle.remove()
        costs = [_cost(name, modules[name], calls, macs.get(name, 0)) for name, calls in moved.items()]
    unused = [name for name, p in model.named_parameters() if p.numel() and address(p) not in read]
    return [cost for cost in costs if cost.parameters or cost.macs], unused


def _record(moved, name, layer, inputs, named, output):
    """The forward hook: notes the bytes of what goes in and out in one call of `layer`."""
    moved.setdefault(name, []).append(_nbytes((inputs, named, output)))


def _cost(name, layer, calls, macs):
    """The row of `layer`; its weights are moved in each call."""
    weights = [w for _, _, w in own_weights(layer)]
    return LayerCost(
        name=name or "(the model)",
        kind=parametrize.type_before_parametrizations(layer).__name__,
        parameters=count_entries(weights, nonzero=False),
        nonzero=count_entries(weights, nonzero=True),
        macs=macs,
        nbytes=sum(calls) + len(calls) * _nbytes(weights),
    )


def _nbytes(tree):
    return sum(t.numel() * t.element_size() for t in tree_leaves(tree) if isinstance(t, torch.Tensor))


def macs_by_layer(model, x):
    """Multiply-accumulates of a forward pass of `x` by layer, the layers with none left out.

    Parameters and errors as `layer_costs`.

    Returns
    -------
    macs : dict of str to int

    Examples
    --------
    >>> macs_by_layer(torch.nn.Sequential(torch.nn.Conv2d(1, 20, 5)), torch.zeros(1, 1, 28, 28))
    {'0': 288000}
    """
    return {cost.name: cost.macs for cost in layer_costs(model, x) if cost.macs}


def arithmetic_intensity(model, x):
    """FLOP per byte moved in a forward pass of `x` by layer: two a MAC, over `LayerCost.nbytes`.

    Williams, Waterman and Patterson 2009 (doi:10.1145/1498765.1498785) call it operational intensity when the
    bytes are those that reach the main memory. Parameters and errors as `layer_costs`.

    Returns
    -------
    intensity : dict of str to float

    Examples
    --------
    >>> model = torch.nn.Linear(784, 300, bias=False)
    >>> [round(arithmetic_intensity(model, torch.zeros(n, 784))["(the model)"], 2) for n in (1, 256)]
    [0.5, 58.72]
    """
    return {cost.name: cost.intensity for cost in layer_costs(model, x) if cost.macs}
