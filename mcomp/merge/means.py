"""Several networks of one shape as one: the weighted mean of every number that they hold.

Derived in chapters/14_one_network_from_several.ipynb.
"""

import math

import torch

from mcomp import plain
from mcomp.arrays import bad_value, check_real
from mcomp.trace import check_own_tensors

__all__ = ["average", "same_shape"]


def average(models, weights=None):
    """A network whose every number is the weighted mean of that number in all `models`.

    Means of batch norm statistics are not the statistics of the mean: where the networks lie far apart,
    take them anew with `mcomp.channels.recalibrate`.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape. Not changed.
    weights : sequence of float, optional
        One a network, with the sum 1; negative ones lead beyond. Default: all alike.

    Returns
    -------
    mean : torch.nn.Module
        A copy of the first. Sums are made in float64. Integer buffers, such as the count of batches that a
        batch norm has seen, are those of the first network.

    Raises
    ------
    ValueError
        If the networks differ in a tensor's name, shape, type or sharing (the message names it), if a weight
        is made by a codec or another parametrization, or if the weights don't fit.

    Examples
    --------
    >>> a, b = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = a.weight.fill_(1.0), b.weight.fill_(2.0)
    >>> average([a, b], [0.25, 0.75]).weight.item()
    1.75
    """
    states = same_shape(models)
    weights = _checked(weights, len(states))
    mean = plain.copied(models[0])
    with torch.no_grad():
        for name, tensor in mean.state_dict().items():
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                total = sum(w * state[name].double() for w, state in zip(weights, states, strict=True))
                tensor.copy_(total)
    return mean


def same_shape(models):
    """The tensors of each of `models` by name, or ValueError with the name of what they don't share."""
    models = list(models)
    if not models:
        raise bad_value("the number of networks", 0, "at least one")
    for model in models:
        check_own_tensors(model)
    first, *others = states = [model.state_dict() for model in models]
    ties = _ties(models[0])
    for i, (model, state) in enumerate(zip(models[1:], others, strict=True), start=1):
        if state.keys() != first.keys():
            odd = sorted(state.keys() ^ first.keys())[0]
            raise bad_value(
                f"network {i}", f"one in which {odd} stands alone", "one with the names of network 0"
            )
        for name, tensor in first.items():
            here, there = (_kind(x) for x in (state[name], tensor))
            if here != there:
                raise bad_value(f"{name} of network {i}", here, f"{there}, as in network 0")
        if _ties(model) != ties:
            raise bad_value(f"network {i}", f"shares {_ties(model)}", f"what network 0 shares: {ties}")
    return states


def _kind(x):
    return (tuple(x.shape), str(x.dtype)) if isinstance(x, torch.Tensor) else x


def _ties(model):
    """Names of one and the same parameter, in groups."""
    names = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    return sorted(tied for tied in names.values() if len(tied) > 1)


def _checked(weights, n):
    weights = [1 / n] * n if weights is None else [check_real("a weight", float(w)) for w in weights]
    if len(weights) != n or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise bad_value("weights", weights, f"{n} numbers with the sum 1, one a network")
    return weights
