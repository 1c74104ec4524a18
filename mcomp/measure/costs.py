"""What a network costs to run, by counting: multiply-accumulates and bytes moved, layer by layer.

Derived in chapters/01_what_does_a_network_cost.ipynb. A multiply-accumulate (MAC) is one product added to a
sum: two floating-point operations (FLOP).
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_leaves

from mcomp.arrays import bad_value
from mcomp.measure.sizes import count_entries, own_weights, plain_modules
from mcomp.train import evaluating

__all__ = ["LayerCost", "arithmetic_intensity", "check_input", "layer_costs", "macs_by_layer"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


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
        Multiply-accumulates of `Linear`, `Conv*d`, `ConvTranspose*d`; 0 for any other layer. Zeros in the
        weight count: a dense kernel multiplies by them. The bias doesn't.
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

    Seen by forward hooks, so only what runs inside such a layer counts; a product of two activations
    (attention scores, say) is in no layer. A layer called twice has both calls in its numbers.

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode; its modes are restored.
    x : tensor (batch, ...)
        One image for the cost of one image. Not changed.

    Returns
    -------
    costs : list of LayerCost

    Raises
    ------
    ValueError
        If `x` isn't a tensor with at least one entry.

    Examples
    --------
    >>> layer_costs(nn.Sequential(nn.Linear(784, 300), nn.ReLU()), torch.zeros(1, 784))[0].macs
    235200
    """
    check_input(x)
    costs, handles = {}, []
    with evaluating(model), parametrize.cached():
        try:
            for name, module in plain_modules(model):
                if own_weights(module):
                    handles.append(module.register_forward_hook(partial(_record, costs, name)))
            model(x.clone())
        finally:
            for handle in handles:
                handle.remove()
    return list(costs.values())


def _record(costs, name, layer, inputs, output):
    """The forward hook: adds one call of `layer` to `costs[name]`."""
    weights = [w for _, _, w in own_weights(layer)]
    before = costs.get(name)
    costs[name] = LayerCost(
        name=name or "(the model)",
        kind=parametrize.type_before_parametrizations(layer).__name__,
        parameters=count_entries(weights, nonzero=False),
        nonzero=count_entries(weights, nonzero=True),
        macs=_macs(layer, inputs, output) + (before.macs if before else 0),
        nbytes=_nbytes((inputs, weights, output)) + (before.nbytes if before else 0),
    )


def _macs(layer, inputs, output):
    """Each output entry of a `Linear` sums in_features products, of a convolution one patch of its group.

    A transposed convolution is counted from its input: each entry goes into one patch of the output.
    """
    if isinstance(layer, nn.Linear):
        return output.numel() * layer.in_features
    if isinstance(layer, _CONVOLUTIONS):
        return output.numel() * (layer.in_channels // layer.groups) * math.prod(layer.kernel_size)
    if isinstance(layer, _TRANSPOSED):
        return inputs[0].numel() * (layer.out_channels // layer.groups) * math.prod(layer.kernel_size)
    return 0


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
    >>> macs_by_layer(nn.Sequential(nn.Conv2d(1, 20, 5), nn.ReLU()), torch.zeros(1, 1, 28, 28))
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
    >>> model = nn.Linear(784, 300, bias=False)
    >>> [round(arithmetic_intensity(model, torch.zeros(n, 784))["(the model)"], 2) for n in (1, 256)]
    [0.5, 58.72]
    """
    return {cost.name: cost.intensity for cost in layer_costs(model, x) if cost.macs}


def check_input(x):
    """`x` if it is a tensor with at least one entry, else ValueError."""
    if not isinstance(x, torch.Tensor):
        raise bad_value("x", type(x).__name__, "a torch tensor (batch, ...)")
    if x.ndim == 0 or x.numel() == 0:
        raise bad_value("x.shape", tuple(x.shape), "at least one axis and no axis of length 0")
    return x
