"""The diagonal of the loss's curvature, weight by weight: exact for ReLU networks, and the Fisher stand-in.

Derived in chapters/03_which_weights_matter.ipynb. What `mcomp.prune.scores.obd` takes.
"""

import torch
from torch.func import grad, vmap
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten, tree_unflatten

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.sparse_training.network import batches, check_pair, outputs_with, weights_of
from mcomp.train import evaluating, predict

__all__ = ["fisher_diagonal", "hessian_diagonal"]


def fisher_diagonal(model, pair, *, output=None, batch_size=32):
    """The mean over examples of the squared gradient of each example's own cross-entropy.

    The diagonal of the empirical Fisher matrix (Kunstner et al. 2019, arXiv:1905.12558, eq. 3), a common
    stand-in for the curvature in `obd`: one backward pass an example, in place of one a class.

    Parameters
    ----------
    model, pair, output : as for `gradients`; y holds labels
    batch_size : int
        Examples at once; each takes memory for a gradient of its own.

    Returns
    -------
    fisher : dict of str to tensor, each of its weight's shape, nowhere negative
    """
    return _mean_square(model, check_pair(pair), F.cross_entropy, output, batch_size)


def hessian_diagonal(model, x, *, output=None, batch_size=32):
    """The diagonal of the Hessian of the mean cross-entropy, for networks of ReLU, max and linear layers.

    Such an output is piecewise linear in any *single* weight, so the second derivative of the loss is that
    of the cross-entropy alone: ``Jᵀ(diag(p) - ppᵀ)J``, with the softmax p and the Jacobian J of the outputs,
    averaged over the examples. For other networks this is the diagonal of the Gauss-Newton matrix (Martens
    2020, arXiv:1412.1193, section 8). It needs no labels, and is nowhere negative.

    Parameters
    ----------
    model, output, batch_size : as for `fisher_diagonal`
    x : tensor (n, ...), or several inputs as in `mcomp.calling`; there is a backward pass for each row and
        each class

    Returns
    -------
    curvature : dict of str to tensor, each of its weight's shape

    Raises
    ------
    ValueError
        If the outputs aren't (n, classes).
    """
    check_pair((x, x))
    z = predict(model, calling.take(x, slice(1)), output=output)
    if z.ndim != 2:
        raise bad_value(f"the outputs of {type(model).__name__}", tuple(z.shape), "of shape (n, classes)")
    targets, total = torch.zeros(calling.count(x), device=z.device), {}
    for c in range(z.shape[1]):
        part = _mean_square(model, (x, targets + c), _column, output, batch_size)
        total = {name: part[name] + total.get(name, 0) for name in part}
    return total


def _column(z, c):
    """diag(p) - ppᵀ is the sum over c of p_c·(e_c - p)(e_c - p)ᵀ: the outputs z along column c of that."""
    p = z.detach().softmax(1)
    own = torch.arange(z.shape[1], device=z.device) == c
    return (z * (p * own).sum(1, keepdim=True).sqrt() * (own.to(p) - p)).sum()


def _mean_square(model, pair, loss, output, batch_size):
    """The mean over the examples of the squared gradient of ``loss(outputs, targets)``, weight by weight."""
    x, y = pair
    weights = weights_of(model)
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    with evaluating(model):
        for rows, targets in batches(x, y, batch_size):
            leaves, form = tree_flatten(rows)
            own = [isinstance(t, torch.Tensor) and t.ndim > 0 and len(t) == len(targets) for t in leaves]

            def one(w, target, leaves, form=form, own=own):
                row = [t[None] if mine else t for t, mine in zip(leaves, own, strict=True)]
                return loss(outputs_with(model, w, tree_unflatten(row, form), output), target[None])

            for name, g in _each(grad(one), weights, targets, leaves, own).items():
                sums[name] += g.square().sum(0)
    return {name: total / len(y) for name, total in sums.items()}


def _each(slope, weights, targets, leaves, own):
    """The gradients of each example, at once; one by one where a forward can't be run for all at once."""
    try:
        return vmap(slope, (None, 0, [0 if mine else None for mine in own]))(weights, targets, leaves)
    except (RuntimeError, NotImplementedError):  # it branches on data, or torch has no rule for an operation
        rows = [
            [t[i] if mine else t for t, mine in zip(leaves, own, strict=True)] for i in range(len(targets))
        ]
        found = [slope(weights, target, row) for target, row in zip(targets, rows, strict=True)]
        return {name: torch.stack([g[name] for g in found]) for name in weights}
