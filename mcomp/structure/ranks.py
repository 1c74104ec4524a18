"""A network seen as matrices: their spectra, their inputs, and ranks for all under one budget."""

import torch
from torch import nn

from mcomp import watch
from mcomp.arrays import bad_value, check_finite, check_int
from mcomp.layers import tell
from mcomp.lowrank.project import whitener
from mcomp.lowrank.ranks import budget_ranks
from mcomp.plain import LAYERS, graph_of, naming, not_plain

CONV, KINDS = ("channel", "spatial"), (nn.Linear, nn.Conv2d)
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def unfactorized(model):
    """The layers that `factorize` refuses and `choose_ranks` leaves whole, and why: dict of name to reason.

    Examples
    --------
    >>> unfactorized(nn.Sequential(nn.Linear(9, 9), nn.Conv2d(4, 4, 3, groups=4), nn.Conv1d(2, 2, 3)))
    {'1': 'it has 4 groups', '2': 'it is a Conv1d'}
    """
    reasons, read = {}, _read_elsewhere(model)
    for name, layer in model.named_modules(remove_duplicate=False):
        if not isinstance(layer, LAYERS):
            continue
        parent = model.get_submodule(name.rpartition(".")[0])
        reason = not_plain(model, name, KINDS)
        if not reason and getattr(layer, "groups", 1) != 1:
            reason = f"it has {layer.groups} groups"
        if (
            not reason
            and name
            and type(parent).__module__.startswith("torch.nn.")
            and type(parent) not in CONTAINERS
        ):
            reason = f"it is part of a {type(parent).__name__}, which reads its weight itself"
        if reason or name in read:
            reasons[name] = reason or "its weight is read elsewhere in the network"
    return reasons


def _read_elsewhere(model):
    """Modules of which a forward other than their own reads parameters, as far as torch.fx can see."""
    try:
        nodes = graph_of(model).nodes
    except ValueError:
        return set()
    return {node.target.rpartition(".")[0] for node in nodes if node.op == "get_attr"} - {""}


def layer_matrix(layer, *, conv="spatial"):
    """The matrix whose rank `factorize` lowers: of a Linear its weight, of a Conv2d one of two unfoldings.

    Returns
    -------
    matrix : tensor; (out, in · kh · kw) for "channel", (out · kw, in · kh) for "spatial"

    Raises
    ------
    ValueError
        If it is another layer, or has groups.

    Examples
    --------
    >>> [tuple(layer_matrix(nn.Conv2d(20, 50, 5), conv=c).shape) for c in ("channel", "spatial")]
    [(50, 500), (250, 100)]
    """
    if conv not in CONV:
        raise bad_value("conv", conv, f"one of {', '.join(CONV)}")
    if not isinstance(layer, KINDS) or getattr(layer, "groups", 1) != 1:
        raise bad_value("layer", str(layer), "a Linear, or a Conv2d without groups")
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
    kinds, refused = KINDS if conv == "channel" else (nn.Linear,), unfactorized(model)
    layers = [n for n, layer in model.named_modules() if isinstance(layer, kinds) and n not in refused]
    return watch.input_grams(model, x, names=layers, batch_size=batch_size)


def choose_ranks(model, parameters, *, conv="spatial", grams=None):
    """Ranks for `factorize` with at most this many weights in all: one pool of all singular values.

    Each layer counts by its relative error, so a spectrum is divided by its length; with `grams` it is that
    of the whitened matrix, for errors of outputs. A layer that would reach its break-even stays whole, and so
    does one of `unfactorized`, which are printed. Every other gets at least rank 1.

    Parameters
    ----------
    model : torch.nn.Module
    parameters : int
        Budget for the weights of all Linear and Conv2d layers, also of those that stay whole; biases not
        counted.
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
    layers = {name: m for name, m in model.named_modules() if isinstance(m, KINDS)}
    refused = unfactorized(model)
    fixed = sum({id(m.weight): m.weight.numel() for name, m in layers.items() if name in refused}.values())
    matrices = {n: layer_matrix(layer, conv=conv) for n, layer in layers.items() if n not in refused}
    if not matrices:
        why = "".join(f"; {name}: {reason}" for name, reason in refused.items())
        raise bad_value("model", type(model).__name__, f"one with a layer that can be factorized{why}")
    spectra = {name: _spectrum(name, m, (grams or {}).get(name)) for name, m in matrices.items()}
    whole = {name for name, m in matrices.items() if sum(m.shape) >= m.numel()}
    while True:  # a layer that stays whole frees what it would spend beyond its size: share that out again
        ranks = _share(matrices, spectra, whole, parameters, fixed)
        full = {n for n, rank in ranks.items() if rank * sum(matrices[n].shape) >= matrices[n].numel()}
        if not full:
            tell("left whole", refused)
            return ranks
        whole |= full


def _share(matrices, spectra, whole, parameters, fixed):
    """Ranks of the layers that aren't `whole`: 1 each, and what is left by `budget_ranks`."""
    costs = {name: sum(m.shape) for name, m in matrices.items() if name not in whole}
    least = fixed + sum(costs.values()) + sum(matrices[name].numel() for name in whole)
    if check_int("parameters", parameters, 0) < least:
        raise bad_value("parameters", parameters, f"at least {least:,}, for rank 1 in each layer")
    more = {name: spectra[name][1:] for name in costs if spectra[name][1:].any()}
    bought = {}
    if more:
        bought = budget_ranks(more, {name: costs[name] for name in more}, budget=parameters - least)
    return {name: 1 + bought.get(name, 0) for name in costs}


def _spectrum(name, matrix, gram):
    """The singular values, whitened if there is a gram, divided by the root of their sum of squares."""
    matrix = matrix.double()
    with naming(name):
        s = torch.linalg.svdvals(check_finite("its weight", matrix))
        s = s if gram is None else torch.linalg.svdvals(matrix @ whitener(gram, matrix.shape[1]))
    return s / torch.linalg.vector_norm(s).clamp_min(1e-300)  # a layer of zeros needs no more than rank 1
