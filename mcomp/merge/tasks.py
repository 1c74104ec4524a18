"""Networks fine-tuned for different tasks, added up: task vectors, TIES, DARE.

A task vector is tuned minus base (Ilharco et al. 2023, arXiv:2212.04089). TIES trims, elects a sign and
merges what agrees (Yadav et al. 2023, arXiv:2306.01708); DARE drops and rescales (Yu et al. 2024,
arXiv:2311.03099). The array functions take the vectors of all tasks, stacked along the first axis.
"""

import torch

from mcomp import plain
from mcomp.arrays import (
    array_namespace,
    bad_value,
    check_finite,
    check_real,
    from_host,
    size,
)
from mcomp.merge.average import same_shape
from mcomp.prune import topk_mask
from mcomp.sparse_training.chance import own_seed

__all__ = ["add_tasks", "dare", "elect", "merge_agreeing", "merge_tasks", "task_vector", "ties", "trim"]

SCOPES = ("model", "tensor")
ZEROS = ("majority", "plus")


def trim(vector, *, keep):
    """`vector` with zeros but at its largest magnitudes: exactly round(keep * n) of n stay.

    Half of a number rounds to even, and of equal magnitudes the lower flat index stays, as everywhere here.

    Parameters
    ----------
    vector : float array, any shape
    keep : float in [0, 1]

    Examples
    --------
    >>> import numpy as np
    >>> trim(np.array([3.0, -4.0, 1.0, 0.5]), keep=0.5)
    array([ 3., -4.,  0.,  0.])
    """
    xp = array_namespace(vector)
    check_finite("vector", vector)
    count = round(check_real("keep", keep, 0, 1) * size(vector))
    return xp.where(topk_mask(xp.abs(vector), count), vector, xp.zeros_like(vector))


def elect(vectors, *, zero="majority"):
    """The sign of each place: that of the sum over tasks, eq. in section 4.2 of arXiv:2306.01708.

    Parameters
    ----------
    vectors : float array (tasks, ...)
    zero : "majority" or "plus"
        What a sum of exactly 0 gets: the sign that most places of the vector have, +1 if these are as many
        (the authors' code), or +1 (other libraries).

    Returns
    -------
    signs : array (...) of -1 and 1, of the vectors' type

    Examples
    --------
    >>> import numpy as np
    >>> elect(np.array([[1.0, -3.0, 2.0, -1.0], [1.0, -1.0, -2.0, 0.0]]))
    array([ 1., -1., -1., -1.])
    """
    xp = _stacked(vectors)
    if zero not in ZEROS:
        raise bad_value("zero", zero, " or ".join(map(repr, ZEROS)))
    signs = xp.sign(xp.sum(vectors, axis=0))
    one = xp.ones_like(signs)
    most = one if zero == "plus" or float(xp.sum(signs)) >= 0 else -one
    return xp.where(signs == 0, most, signs)


def merge_agreeing(vectors, signs):
    """The mean, at each place, over the tasks that are not 0 there and have the elected sign; 0 if none.

    Parameters
    ----------
    vectors : float array (tasks, ...)
    signs : array (...) of -1 and 1

    Examples
    --------
    >>> import numpy as np
    >>> merge_agreeing(np.array([[1.0, -3.0], [3.0, 0.0], [-1.0, -1.0]]), np.array([1.0, -1.0]))
    array([ 2., -2.])
    """
    xp = _stacked(vectors)
    if tuple(signs.shape) != tuple(vectors.shape[1:]):
        raise bad_value("signs.shape", tuple(signs.shape), f"{tuple(vectors.shape[1:])}, one for each place")
    agree = xp.astype(vectors * signs > 0, vectors.dtype)
    count = xp.sum(agree, axis=0)
    return xp.sum(vectors * agree, axis=0) / xp.where(count > 0, count, xp.ones_like(count))


def ties(vectors, *, keep=0.2, zero="majority"):
    """Trim each task's vector, elect the signs, merge what agrees: TIES.

    Parameters
    ----------
    vectors : float array (tasks, ...)
    keep, zero
        As in `trim` and `elect`.

    Returns
    -------
    merged : float array (...)

    Examples
    --------
    >>> import numpy as np
    >>> ties(np.array([[4.0, -1.0, 2.0, 0.1], [2.0, 3.0, -1.0, 0.2]]), keep=0.5)
    array([3., 3., 2., 0.])
    """
    xp = _stacked(vectors)
    trimmed = xp.stack([trim(vectors[i, ...], keep=keep) for i in range(vectors.shape[0])])
    return merge_agreeing(trimmed, elect(trimmed, zero=zero))


def dare(vector, *, drop, seed):
    """`vector` with each entry set to 0 with probability `drop`, the others divided by 1 - drop.

    Its expectation is `vector`. The choice is drawn by numpy, so that every array library drops the same.

    Parameters
    ----------
    vector : float array, any shape
    drop : float in [0, 1)
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> sorted(set(dare(np.ones(100), drop=0.75, seed=0).tolist()))
    [0.0, 4.0]
    """
    import numpy as np

    xp = array_namespace(vector)
    check_finite("vector", vector)
    drop = check_real("drop", drop, 0, 1)
    if drop == 1:
        raise bad_value("drop", drop, "less than 1")
    drawn = np.random.default_rng(own_seed("dare", seed)).random(tuple(vector.shape)) >= drop
    return xp.where(from_host(drawn, vector), vector / (1 - drop), xp.zeros_like(vector))


def task_vector(tuned, base):
    """What fine-tuning changed: dict of parameter name to ``tuned - base``, tied ones once.

    Examples
    --------
    >>> base = torch.nn.Linear(1, 1)
    >>> task_vector(base, base)["weight"]
    tensor([[0.]])
    """
    same_shape([base, tuned])
    before = dict(base.named_parameters())
    return {name: (p - before[name]).detach() for name, p in tuned.named_parameters()}


def add_tasks(base, vector, *, scale=1.0):
    """A copy of `base` with ``scale * vector`` added to its parameters; a negative scale takes it away.

    Parameters
    ----------
    base : torch.nn.Module
        Not changed. Its buffers stay: recalibrate a batch norm.
    vector : dict of parameter name to tensor
        As `task_vector` and `merge_tasks` give it.
    scale : float

    Raises
    ------
    ValueError
        If `vector` has another parameter or shape (the message names it).
    """
    scale, network = check_real("scale", scale), plain.copied(base)
    known = dict(network.named_parameters())
    for name, change in vector.items():
        if name not in known or known[name].shape != change.shape:
            allowed = "the name and shape of a parameter of the base"
            raise bad_value("the task vector", f"{name} of shape {tuple(change.shape)}", allowed)
    with torch.no_grad():
        for name, change in vector.items():
            known[name] += scale * change
    return network


def merge_tasks(vectors, *, keep=0.2, scope="model", zero="majority"):
    """`ties` of task vectors of whole networks: dict of parameter name to tensor.

    Parameters
    ----------
    vectors : sequence of dict
        As `task_vector` gives them.
    keep, zero
        As in `ties`.
    scope : "model" or "tensor"
        Whether a task keeps its largest over the whole network (the paper and its authors' code) or in each
        tensor on its own (other libraries).
    """
    vectors = list(vectors)
    if not vectors or any(v.keys() != vectors[0].keys() for v in vectors):
        raise bad_value("vectors", [sorted(v) for v in vectors], "at least one, all with the same names")
    if scope not in SCOPES:
        raise bad_value("scope", scope, " or ".join(map(repr, SCOPES)))
    if scope == "tensor":
        return {n: ties(torch.stack([v[n] for v in vectors]), keep=keep, zero=zero) for n in vectors[0]}
    flat = torch.stack([torch.cat([x.flatten() for x in v.values()]) for v in vectors])
    merged = ties(flat, keep=keep, zero=zero).split([x.numel() for x in vectors[0].values()])
    return {n: part.view_as(x) for part, (n, x) in zip(merged, vectors[0].items(), strict=True)}


def _stacked(vectors):
    xp = array_namespace(vectors)
    check_finite("vectors", vectors)
    if vectors.ndim < 2:
        raise bad_value("vectors.shape", tuple(vectors.shape), "(tasks, ...)")
    return xp
