"""A smaller network from plain data: which entries of which axes stay, as a file can hold it.

`mcomp.channels.Plan.to_dict` writes this form, `apply_kept` carries it out on any network with the same
tensors: one fresh from its class as well, so that a pruned network opens again without the pruned object.
"""

import copy

import torch
from torch import nn

from mcomp.arrays import bad_value

__all__ = ["apply_kept"]


def apply_kept(model, kept):
    """A copy of `model` with only the entries that `kept` names: smaller tensors, the same code.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    kept : dict
        ``{"axes": [{"of": 4, "kept": [0, 2], "tensors": [["0.weight", 0], ["0.bias", 0]]}, ...]}``: of these
        axes, each with so many entries now, the named entries stay, in this order. Names as in
        ``model.named_parameters()`` and ``named_buffers()``; what isn't named stays whole.

    Returns
    -------
    smaller : torch.nn.Module
        Of the same classes, in the same mode, with the same hooks; frozen parameters stay frozen, shared ones
        shared.

    Raises
    ------
    ValueError
        If `kept` has another form, or doesn't fit the network: the message names the tensor.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> axes = [["0.weight", 0], ["0.bias", 0], ["2.weight", 1]]
    >>> apply_kept(model, {"axes": [{"of": 4, "kept": [1], "tensors": axes}]})
    Sequential(
      (0): Linear(in_features=2, out_features=1, bias=True)
      (1): ReLU()
      (2): Linear(in_features=1, out_features=3, bias=True)
    )
    """
    smaller = copy.deepcopy(model)
    tensors = dict([*smaller.named_parameters(), *smaller.named_buffers()])
    cuts = {}
    for name, axis, indices in _checked(kept, {name: tuple(t.shape) for name, t in tensors.items()}):
        cut = cuts.get(name, tensors[name].detach())
        cuts[name] = cut.index_select(axis, torch.tensor(indices, dtype=torch.int64, device=cut.device))
    touched = {module for name, cut in cuts.items() for module in _replace(smaller, tensors[name], cut)}
    for module in touched:
        _recount(module)
    return smaller


def _checked(kept, shapes):
    """Every (tensor, axis, indices that stay), each axis once."""
    form = "a dict as Plan.to_dict() makes it"
    if not isinstance(kept, dict) or not isinstance(kept.get("axes"), list):
        raise bad_value("kept", type(kept).__name__, form)
    seen = set()
    for row in kept["axes"]:
        if not isinstance(row, dict) or not {"of", "kept", "tensors"} <= {*row}:
            raise bad_value("a row of kept", row, form)
        size, indices = row["of"], row["kept"]
        for name, axis in _pairs(row["tensors"], form):
            found = shapes[name][axis] if name in shapes and 0 <= axis < len(shapes[name]) else "missing"
            if found != size or (name, axis) in seen:
                raise bad_value(f"axis {axis} of {name}", found, f"{size} long, as in the plan, and once")
            seen.add((name, axis))
            yield name, axis, _indices(name, indices, size)


def _pairs(tensors, form):
    for pair in tensors if isinstance(tensors, list) else [tensors]:
        fits = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not fits or type(pair[0]) is not str or type(pair[1]) is not int:
            raise bad_value("a tensor of kept", pair, form)
        yield pair


def _indices(name, indices, size):
    whole = isinstance(indices, list) and all(type(i) is int for i in indices)
    if not whole or not indices or not 0 <= min(indices) <= max(indices) < size:
        raise bad_value(f"what stays of {name}", indices, f"one or more integers from 0 to {size - 1}")
    if len({*indices}) < len(indices):
        raise bad_value(f"what stays of {name}", indices, "different integers")
    return indices


def _replace(model, old, new):
    """Put `new` wherever `old` is, so that a shared parameter stays shared; the modules that hold it."""
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    touched = []
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for leaf in [leaf for leaf, tensor in held.items() if tensor is old]:
                held[leaf] = new
                touched.append(module)
    return touched


def _recount(module):
    """Bring the numbers that a layer keeps about itself up to date with its tensors."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.modules.conv._ConvNd):
        _recount_conv(module)
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        module.num_features = len(module.weight if module.affine else module.running_mean)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)


def _recount_conv(module):
    first, second = module.weight.shape[:2]
    if 1 < module.groups == module.in_channels:  # depthwise: each channel makes as many as before
        filters = module.out_channels // module.groups
        module.groups = module.in_channels = first if module.transposed else first // filters
        module.out_channels = module.groups * filters
    elif module.transposed:
        module.in_channels, module.out_channels = first, second * module.groups
    else:
        module.out_channels, module.in_channels = first, second * module.groups
