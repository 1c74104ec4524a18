"""Networks fine-tuned for different tasks, added up.

Derived in chapters/14b_tasks_and_ensembles.ipynb. A task vector is tuned minus base (Ilharco et al. 2023,
arXiv:2212.04089).
"""

import torch

from mcomp import plain
from mcomp.arrays import bad_value, check_real
from mcomp.merge.means import same_shape
from mcomp.merge.vectors import ties

__all__ = ["add_tasks", "merge_tasks", "task_vector"]

SCOPES = ("model", "tensor")


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
