"""Batch norm folded into the layer before it: at inference it is a scale and a shift for each channel.

Derived in chapters/07_calibration_and_integers.ipynb. Jacob et al. 2017, arXiv:1712.05877, eq. 14.
"""

import copy

import torch
from torch import nn

from mcomp.arrays import array_namespace, bad_value
from mcomp.made import remember
from mcomp.trace import LINEAR, calls, layer, sole_user, trace

__all__ = ["fold_batchnorm", "folded"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


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


def fold_batchnorm(model):
    """A copy of `model` in which each batch norm that follows a layer directly is part of that layer.

    The batch norm becomes an Identity of the same name and the layer gets a bias; on any input the copy in
    evaluation mode gives what `model` gives, up to float rounding (the folding runs in float64). A batch
    norm stays where the layer's output is also used elsewhere, or the layer is used twice.

    Parameters
    ----------
    model : torch.nn.Module
        Traced by torch.fx; not changed.

    Returns
    -------
    folded : torch.nn.Module
        In evaluation mode.

    Raises
    ------
    ValueError
        If the model can't be traced, a codec is attached to the layer, or a batch norm has no statistics.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
    >>> fold_batchnorm(model)[1]
    Identity()
    """
    model = copy.deepcopy(model).eval()
    pairs = list(_pairs(model))
    for before, after in pairs:
        first, norm = model.get_submodule(before), model.get_submodule(after)
        _fold_into(before, first, after, norm)
        parent, _, leaf = after.rpartition(".")
        setattr(model.get_submodule(parent), leaf, nn.Identity())
    if not pairs:
        return model
    remember(model, "bias", [before for before, _ in pairs])
    return remember(model, "put", {after: [] for _, after in pairs})


def _pairs(model):
    """(layer, batch norm) by name, wherever the one feeds only the other."""
    graph = trace(model)
    for node in graph.nodes:
        user = sole_user(node)
        if user is None or not isinstance(layer(model, node), LINEAR):
            continue
        if (
            isinstance(layer(model, user), NORMS)
            and calls(graph, node.target) == calls(graph, user.target) == 1
        ):
            yield node.target, user.target


@torch.no_grad()
def _fold_into(before, first, after, norm):
    if nn.utils.parametrize.is_parametrized(first):
        raise bad_value("a layer to fold into", before, "one without attached codecs; bake the model first")
    if norm.running_mean is None:
        raise bad_value("a batch norm", f"{after} without running statistics", "track_running_stats=True")
    one = torch.ones(norm.num_features, dtype=torch.float64, device=first.weight.device)
    values = {"mean": norm.running_mean, "var": norm.running_var, "gamma": norm.weight, "beta": norm.bias}
    absent = {"gamma": one, "beta": 0 * one}
    values = {name: absent[name] if x is None else x.double() for name, x in values.items()}
    bias = 0 * one if first.bias is None else first.bias.double()
    w, b = folded(first.weight.double(), bias, eps=norm.eps, **values)
    first.weight.copy_(w)
    first.bias = nn.Parameter(b.to(first.weight.dtype))
