"""Masks on a network: which weights can be pruned, a copy of the network with the masks applied, batches.

Derived in chapters/02_magnitude_pruning.ipynb. Han et al. 2015, arXiv:1506.02626.
"""

import copy

import torch

from mcomp.arrays import bad_value, check_int
from mcomp.layers import matrices


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
    pruned = copy.deepcopy(model)
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
    if len(x) == 0 or len(y) != len(x):
        raise bad_value("pair", f"{len(x)} rows of x, {len(y)} of y", "as many of both, at least one")
    return x, y


def weights_of(model):
    """`prunable_weights`, if there is one."""
    weights = prunable_weights(model)
    if not weights:
        raise bad_value("model", type(model).__name__, "a network with at least one weight to prune")
    return weights


def batches(x, y, batch_size):
    """Pairs of `batch_size` rows each."""
    batch_size = check_int("batch_size", batch_size, 1)
    return zip(x.split(batch_size), y.split(batch_size), strict=True)
