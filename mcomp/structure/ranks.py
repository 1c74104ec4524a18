"""A network seen as matrices: their spectra, their inputs, and ranks for all under one budget."""

import torch
from torch import nn

from mcomp import watch
from mcomp.arrays import bad_value, check_int
from mcomp.lowrank.project import whitener
from mcomp.lowrank.ranks import budget_ranks

CONV = ("channel", "spatial")


def layer_matrix(layer, *, conv="spatial"):
    """The matrix whose rank `factorize` lowers: of a Linear its weight, of a Conv2d one of two unfoldings.

    Returns
    -------
    matrix : tensor; (out, in · kh · kw) for "channel", (out · kw, in · kh) for "spatial"

    Examples
    --------
    >>> [tuple(layer_matrix(nn.Conv2d(20, 50, 5), conv=c).shape) for c in ("channel", "spatial")]
    [(50, 500), (250, 100)]
    """
    if conv not in CONV:
        raise bad_value("conv", conv, f"one of {', '.join(CONV)}")
    w = layer.weight.detach()
    if w.ndim == 2:
        return w
    out, inputs, kh, kw = w.shape
    if conv == "channel":
        return w.reshape(out, -1)
    return w.permute(0, 3, 1, 2).reshape(out * kw, inputs * kh)


def input_grams(model, x, *, conv="spatial", batch_size=500):
    """The mean of v vᵀ over the inputs v of each layer when `x` passes: what activation-aware factors need.

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode; left as it was.
    x : tensor (n, ...)
    conv : "spatial" or "channel"
        For "channel" convolutions count too, a patch (in · kh · kw) being one input.
    batch_size : int

    Returns
    -------
    grams : dict of name to float64 tensor (in, in)

    Examples
    --------
    >>> input_grams(nn.Sequential(nn.Linear(2, 3)), torch.tensor([[1.0, 2.0], [1.0, 0.0]]))["0"]
    tensor([[1., 1.],
            [1., 2.]], dtype=torch.float64)
    """
    kinds = (nn.Linear, nn.Conv2d) if conv == "channel" else (nn.Linear,)
    layers = [name for name, layer in model.named_modules() if type(layer) in kinds]
    return watch.input_grams(model, x, names=layers, batch_size=batch_size)


def choose_ranks(model, parameters, *, conv="spatial", grams=None):
    """Ranks for `factorize` with at most this many weights in all: one pool of all singular values.

    Each layer counts by its relative error, so a spectrum is divided by its length; with `grams` it is that
    of the whitened matrix, for errors of outputs. A layer that would reach its break-even stays whole. Every
    layer gets at least rank 1.

    Parameters
    ----------
    model : torch.nn.Module
    parameters : int
        Budget for the weights of all Linear and Conv2d layers, biases not counted.
    conv : "spatial" or "channel"
    grams : dict of name to tensor, optional
        As `input_grams` gives them.

    Returns
    -------
    ranks : dict of name to int

    Raises
    ------
    ValueError
        If the budget isn't enough for rank 1 everywhere.

    Examples
    --------
    >>> from mcomp import zoo
    >>> choose_ranks(zoo.load("lenet300"), 30_000)
    {'fc1': 15, 'fc2': 31}
    """
    layers = {name: m for name, m in model.named_modules() if type(m) in (nn.Linear, nn.Conv2d)}
    matrices = {name: layer_matrix(layer, conv=conv) for name, layer in layers.items()}
    spectra = {name: _spectrum(m, (grams or {}).get(name)) for name, m in matrices.items()}
    whole = {name for name, m in matrices.items() if sum(m.shape) >= m.numel()}
    while True:  # a layer that stays whole frees what it would spend beyond its size: share that out again
        ranks = _share(matrices, spectra, whole, parameters)
        full = {n for n, rank in ranks.items() if rank * sum(matrices[n].shape) >= matrices[n].numel()}
        if not full:
            return ranks
        whole |= full


def _share(matrices, spectra, whole, parameters):
    """Ranks of the layers that aren't `whole`: 1 each, and what is left by `budget_ranks`."""
    costs = {name: sum(m.shape) for name, m in matrices.items() if name not in whole}
    least = sum(costs.values()) + sum(matrices[name].numel() for name in whole)
    if check_int("parameters", parameters, 0) < least:
        raise bad_value("parameters", parameters, f"at least {least:,}, for rank 1 in each layer")
    more = {name: spectra[name][1:] for name in costs if spectra[name][1:].any()}
    bought = {}
    if more:
        bought = budget_ranks(more, {name: costs[name] for name in more}, budget=parameters - least)
    return {name: 1 + bought.get(name, 0) for name in costs}


def _spectrum(matrix, gram):
    """The singular values, whitened if there is a gram, divided by the root of their sum of squares."""
    matrix = matrix.double()
    s = torch.linalg.svdvals(matrix if gram is None else matrix @ whitener(gram, matrix.shape[1]))
    return s / torch.linalg.vector_norm(s)
