"""Masks on a network: which weights can be pruned, a copy of the network with the masks applied, batches.

Derived in chapters/02_magnitude_pruning.ipynb. Han et al. 2015, arXiv:1506.02626.
"""

import torch
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.layers import matrices
from mcomp.plain import copied, made_by


def prunable_weights(model):
    """The parameters that pruning is about: the weights of `mcomp.matrices`.

    That is the matrix of each linear and the kernel of each convolutional layer, the projections of attention
    and of recurrent layers, and embeddings; biases and the scales of normalisation layers are few and stay.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    weights : dict of str to tensor
        In the order of the modules, detached, in the model's own memory where nothing makes the weight.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> {name: tuple(w.shape) for name, w in prunable_weights(model).items()}
    {'0.weight': (2, 3), '2.weight': (1, 2)}
    """
    return {name: matrix.value for name, matrix in matrices(model).items()}


def apply_masks(model, masks):
    """A copy of `model` in which each parameter that has a mask is multiplied by it, entry by entry.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    masks : dict of str to bool tensor
        By the names of ``model.named_parameters()``, of the parameter's shape; True = keep.

    Returns
    -------
    pruned : torch.nn.Module
        A plain network: nothing in it remembers the masks. To train it with its zeros kept, `attach`
        ``Sparse(sparsity(w))`` to its weights with ``refresh="never"``.

    Raises
    ------
    ValueError
        If a name is unknown, or a mask isn't boolean or of another shape.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> pruned = apply_masks(model, {"weight": torch.tensor([[True, False]])})
    >>> bool(pruned.weight[0, 1] == 0), bool(pruned.weight[0, 0] == model.weight[0, 0])
    (True, True)
    """
    pruned = copied(model)
    parameters = dict(pruned.named_parameters())
    for name, mask in masks.items():
        if name not in parameters:
            raise bad_value("name", name, f"one of {', '.join(parameters)}")
        w = parameters[name].detach()
        if mask.dtype != torch.bool or mask.shape != w.shape:
            allowed = f"torch.bool of shape {tuple(w.shape)}"
            raise bad_value(f"masks[{name!r}]", f"{mask.dtype} of shape {tuple(mask.shape)}", allowed)
        w.mul_(mask)  # the copy's own memory
    return pruned


def check_pair(pair):
    """`pair` as (x, y), if they have as many rows."""
    x, y = pair
    rows, labels = (next((len(t) for t in tree_leaves(part) if getattr(t, "ndim", 0)), 0) for part in (x, y))
    if rows == 0 or labels != rows:
        raise bad_value("pair", f"{rows} rows of x, {labels} of y", "as many of both, at least one")
    return x, y


def weights_of(model):
    """`prunable_weights`, if there is one, and each is a parameter of its own or has a codec."""
    weights, parameters = prunable_weights(model), dict(model.named_parameters())
    for name in weights:
        path, _, leaf = name.rpartition(".")
        maker = None if name in parameters else made_by(model.get_submodule(path), leaf)
        if maker:
            allowed = "a parameter; make it plain first (bake, remove_parametrizations, prune.remove)"
            raise bad_value("a weight", f"{name}, made by {maker}", allowed)
    if not weights:
        raise bad_value("model", type(model).__name__, "a network with at least one weight to prune")
    return weights


def batches(x, y, batch_size):
    """Pairs of `batch_size` rows each."""
    return zip(calling.parts(x, batch_size), calling.parts(y, batch_size), strict=True)


def outputs_with(model, weights, x, output=None):
    """The logits of `model` with other `weights` by name, see `mcomp.calling`."""
    run = lambda *args, **kwargs: functional_call(model, weights, args, kwargs)  # noqa: E731
    return calling.call(run, x, output=output)
