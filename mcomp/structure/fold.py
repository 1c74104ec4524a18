"""Batch norm folded into the layer before it: at inference it is a scale and a shift for each channel.

Derived in chapters/07_repair_without_training.ipynb. Jacob et al. 2018, arXiv:1712.05877, eq. 14.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mcomp.arrays import array_namespace, bad_value
from mcomp.layers import tell
from mcomp.made import remember
from mcomp.plain import LAYERS, as_weight, by_output, channels, copied, graph_of, naming, not_plain, put_in
from mcomp.structure.norms import layer_before, numbers_of, only_call
from mcomp.watch import watch

__all__ = ["fold_batchnorm", "folded", "unfolded"]


def folded(w, bias, *, mean, var, gamma, beta, eps):
    """Weight and bias of the layer that equals ``batch_norm(layer(x))`` at inference.

    With g = gamma / sqrt(var + eps), for each output channel: w' = g w, b' = beta + g (bias - mean).

    Parameters
    ----------
    w : floating array (out, ...)
    bias, mean, var, gamma, beta : floating arrays (out,)
        Of the layer, then the running statistics, scale and shift of the batch norm; variances at least 0.
    eps : float
        What the batch norm adds to the variance.

    Returns
    -------
    w, bias : arrays of the shapes of `w` and `bias`

    Raises
    ------
    ValueError
        If an argument has not one entry for each output channel, or a variance plus eps isn't above 0.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> folded(np.array([[3.0]]), 5 * one, mean=4 * one, var=3 * one, gamma=2 * one, beta=one, eps=1.0)
    (array([[3.]]), array([2.]))
    """
    xp = array_namespace(w)
    given = {"bias": bias, "mean": mean, "var": var, "gamma": gamma, "beta": beta}
    for name, x in given.items():
        if tuple(x.shape) != (w.shape[0],):
            raise bad_value(f"{name}.shape", tuple(x.shape), (w.shape[0],))
    if not bool(xp.all(var + eps > 0)):
        raise bad_value("the least var + eps", float(xp.min(var)) + eps, "above 0")
    gain = gamma / xp.sqrt(var + eps)  # (out,)
    return w * xp.reshape(gain, (-1,) + (1,) * (w.ndim - 1)), beta + gain * (bias - mean)


def fold_batchnorm(model, *, x=None):
    """A copy of `model` in which each batch norm that follows a layer directly is part of that layer.

    The batch norm becomes an Identity of the same name and the layer gets a bias; on any input the copy in
    evaluation mode gives what `model` gives, up to float rounding (the folding runs in float64). What can't
    be folded stays as it is, and is printed with the reason; `unfolded` tells the same.

    Parameters
    ----------
    model : torch.nn.Module
        Traced by torch.fx; its first axis is the batch. Not changed.
    x : tensor (n, ...), optional
        A few inputs. Behind a Linear a BatchNorm1d is the same channel by channel only where the tensor has
        two axes; where the graph doesn't tell, `x` does.

    Returns
    -------
    folded : torch.nn.Module
        In evaluation mode.

    Raises
    ------
    ValueError
        If the model can't be traced, or a batch norm has negative variances.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
    >>> fold_batchnorm(model)[1]
    Identity()
    """
    model, left = _folded(model, x)
    tell("not folded", left)
    return model


def unfolded(model, *, x=None):
    """The batch norms that `fold_batchnorm` leaves as they are, and why: dict of name to reason.

    Examples
    --------
    >>> unfolded(nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3)))
    {'0': 'its input comes from input_1'}
    """
    return _folded(model, x)[1]


def _folded(model, x):
    model = copied(model).eval()
    owners, left, biased, gone = _with_biases(model), {}, [], []
    graph, axes = graph_of(model), _axes(model, x)
    for after, norm in [(n, m) for n, m in model.named_modules() if isinstance(m, _BatchNorm)]:
        node, reason = only_call(model, graph, norm)
        before, reason = (None, reason) if reason else layer_before(model, graph, node, norm, axes.get(after))
        if not reason:
            with naming(after):
                reason = _fold_into(model.get_submodule(before), norm)
        if reason:
            left[after] = reason
            continue
        owners.discard(before)
        biased.append(before)
        for name, module in list(model.named_modules(remove_duplicate=False)):
            if module is norm:
                put_in(model, name, nn.Identity())
                gone.append(name)
    for name in owners:
        model.get_submodule(name).bias = None
    if biased:
        remember(model, "bias", biased)
        remember(model, "put", {name: [] for name in gone})
    return model, left


def _with_biases(model):
    """Give layers with a forward of their own and no bias one of zeros, to see whether they add it."""
    found = set()
    for name, layer in model.named_modules():
        bare = isinstance(layer, LAYERS) and layer.bias is None
        if bare and "forward of its own" in str(not_plain(model, name)):
            w = layer.weight
            layer.bias = nn.Parameter(w.new_zeros(channels(layer)), requires_grad=w.requires_grad)
            found.add(name)
    return found


def _axes(model, x):
    """How many axes the input of each batch norm has when the network sees `x`."""
    found, names = {}, [n for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
    if x is not None:
        watch(model, x, lambda name, norm, a: found.setdefault(name, a.ndim), names=names)
    return found


@torch.no_grad()
def _fold_into(first, norm):
    """Fold in place; or why the result can't be held."""
    w = by_output(first, first.weight.double())
    bias = w.new_zeros(len(w)) if first.bias is None else first.bias.double()
    w, b = folded(w, bias, **numbers_of(norm))
    w, b = as_weight(first, w).to(first.weight.dtype), b.to(first.weight.dtype)
    if not bool(w.isfinite().all() and b.isfinite().all()):
        return f"the product of both doesn't fit into {w.dtype}"
    first.weight.copy_(w)
    if first.bias is None:
        first.bias = nn.Parameter(b, requires_grad=first.weight.requires_grad)
    else:
        first.bias.copy_(b)
    return None
