"""Gradients of several tasks that pull in different directions: seen, and projected (PCGrad).

Derived in chapters/15_one_trunk_several_tasks.ipynb. Yu et al. 2020 (arXiv:2001.06782, algorithm 1). All that
it needs is the Gram matrix of the gradients, K x K numbers, whatever the size of the network.
"""

import numpy as np
import torch

from mcomp.arrays import bad_value, check_finite

__all__ = ["VARIANTS", "cosines", "gram", "pcgrad_weights", "task_gradients"]

VARIANTS = ("original", "in place", "mean")


def pcgrad_weights(products, *, orders=None, variant="original", seed=0):
    """How much of each task's gradient PCGrad's answer holds: it is the sum of ``weights[j] * g_j``.

    For each task i, its gradient meets the others j in random order; where the inner product of what is left
    of g_i with the *original* g_j is negative, the projection on g_j is taken away. The results are summed.

    Parameters
    ----------
    products : float array (k, k)
        The Gram matrix: inner products of the tasks' gradients (`gram`).
    orders : sequence of k sequences, optional
        In which order task i visits the others. Default: drawn.
    variant : "original", "in place" or "mean"
        "in place" projects on what earlier tasks have already become, as some code does; "mean" divides by
        the number of tasks, another learning rate.
    seed : int
        Of the orders that are drawn.

    Returns
    -------
    weights : float64 array (k,)

    Examples
    --------
    Two tasks at 120 degrees: each loses the half that works against the other.

    >>> pcgrad_weights(np.array([[1.0, -0.5], [-0.5, 1.0]]))
    array([1.5, 1.5])
    """
    products = check_finite("products", np.asarray(products, dtype=np.float64))
    k = len(products)
    if products.shape != (k, k) or not np.allclose(products, products.T):
        raise bad_value("products.shape", products.shape, "(k, k), symmetric: inner products of k gradients")
    if variant not in VARIANTS:
        raise bad_value("variant", variant, ", ".join(map(repr, VARIANTS)))
    parts = np.eye(k)  # row i: what the projected gradient of task i holds of each original one
    for i, others in enumerate(_orders(orders, k, seed)):
        for j in others:
            onto = parts[j] if variant == "in place" else np.eye(k)[j]
            inner, length = parts[i] @ products @ onto, onto @ products @ onto
            if inner < 0 and length > 0:
                parts[i] = parts[i] - inner / length * onto
    weights = parts.sum(axis=0)
    return weights / k if variant == "mean" else weights


def _orders(orders, k, seed):
    if orders is None:
        rng = np.random.default_rng(seed)
        return [[int(j) for j in rng.permutation(k) if j != i] for i in range(k)]
    for i, others in enumerate(orders):
        if sorted(others) != [j for j in range(k) if j != i]:
            raise bad_value(f"the order of task {i}", list(others), "each other task once")
    if len(orders) != k:
        raise bad_value("the number of orders", len(orders), f"{k}, one a task")
    return orders


def gram(gradients):
    """Inner products of the tasks' gradients: float64 array (k, k).

    Parameters
    ----------
    gradients : dict of task to dict of parameter name to tensor
        As `task_gradients` gives them.
    """
    flat = [torch.cat([g.double().flatten() for g in one.values()]) for one in gradients.values()]
    if not flat:
        raise bad_value("gradients", gradients, "those of at least one task")
    stacked = torch.stack(flat)
    return (stacked @ stacked.T).numpy()


def cosines(products):
    """The cosine between each pair of gradients, from their Gram matrix; 0 where a gradient is zero.

    Examples
    --------
    >>> cosines(np.array([[4.0, -1.0], [-1.0, 1.0]]))
    array([[ 1. , -0.5],
           [-0.5,  1. ]])
    """
    products = check_finite("products", np.asarray(products, dtype=np.float64))
    lengths = np.sqrt(np.diag(products))
    both = np.outer(lengths, lengths)
    return np.divide(products, both, out=np.zeros_like(products), where=both > 0)


def task_gradients(losses, parameters):
    """The gradient of each task's loss in the shared parameters, one pass back for each.

    Parameters
    ----------
    losses : dict of task to scalar tensor
        Of one run; its graph is kept.
    parameters : dict of name to torch.nn.Parameter
        The shared ones: ``dict(model.trunk.named_parameters())``.

    Returns
    -------
    gradients : dict of task to dict of name to tensor
        Zeros where a loss doesn't depend on a parameter.
    """
    wanted = {name: p for name, p in parameters.items() if p.requires_grad}
    if not wanted:
        raise bad_value("parameters", sorted(parameters), "at least one that is trained")
    found = {}
    for task, loss in losses.items():
        each = torch.autograd.grad(loss, [*wanted.values()], retain_graph=True, allow_unused=True)
        found[task] = {
            n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(wanted.items(), each, strict=True)
        }
    return found
