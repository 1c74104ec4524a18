"""The diagonal of the loss's curvature, weight by weight: exact for ReLU networks, and the Fisher stand-in.

Derived in chapters/03_which_weights_matter.ipynb. What `mcomp.prune.scores.obd` takes.
"""

import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from mcomp.sparse_training.network import batches, check_pair, weights_of
from mcomp.train import evaluating

__all__ = ["fisher_diagonal", "hessian_diagonal"]


def fisher_diagonal(model, pair, *, batch_size=32):
    """The mean over examples of the squared gradient of each example's own cross-entropy.

    The diagonal of the empirical Fisher matrix (Kunstner et al. 2019, arXiv:1905.12558, eq. 3), a common
    stand-in for the curvature in `obd`: one backward pass an example, in place of one a class.

    Parameters
    ----------
    model, pair : as for `gradients`; y holds labels
    batch_size : int
        Examples at once; each takes memory for a gradient of its own.

    Returns
    -------
    fisher : dict of str to tensor, each of its weight's shape, nowhere negative
    """
    return _mean_square(model, check_pair(pair), F.cross_entropy, batch_size)


def hessian_diagonal(model, x, *, batch_size=32):
    """The diagonal of the Hessian of the mean cross-entropy, for networks of ReLU, max and linear layers.

    Such an output is piecewise linear in any *single* weight, so the second derivative of the loss is that
    of the cross-entropy alone: ``Jᵀ(diag(p) - ppᵀ)J``, with the softmax p and the Jacobian J of the outputs,
    averaged over the examples. For other networks this is the diagonal of the Gauss-Newton matrix (Martens
    2020, arXiv:1412.1193, section 8). It needs no labels, and is nowhere negative.

    Parameters
    ----------
    model, batch_size : as for `fisher_diagonal`
    x : tensor (n, ...); there is a backward pass for each row and each class

    Returns
    -------
    curvature : dict of str to tensor, each of its weight's shape
    """
    check_pair((x, x))
    with evaluating(model):
        p = torch.cat([model(rows).softmax(1) for rows in x.split(batch_size)])  # (n, classes)
    eye, total = torch.eye(p.shape[1], dtype=p.dtype, device=p.device), {}
    for c in range(p.shape[1]):
        # diag(p) - ppᵀ is the sum over c of p_c·(e_c - p)(e_c - p)ᵀ
        factor = p[:, c : c + 1].sqrt() * (eye[c] - p)
        part = _mean_square(model, (x, factor), lambda z, f: (z * f).sum(), batch_size)
        total = {name: part[name] + total.get(name, 0) for name in part}
    return total


def _mean_square(model, pair, loss, batch_size):
    """The mean over the examples of the squared gradient of ``loss(output, target)``, weight by weight."""
    x, y = pair
    weights = weights_of(model)

    def one(w, row, target):
        return loss(functional_call(model, w, (row[None],))[0], target)

    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    with evaluating(model):
        for rows, targets in batches(x, y, batch_size):
            for name, g in vmap(grad(one), (None, 0, 0))(weights, rows, targets).items():
                sums[name] += g.square().sum(0)
    return {name: total / len(x) for name, total in sums.items()}
