"""What a network costs to keep: its parameters, and the bytes of a file.

Derived in chapters/01_what_does_a_network_cost.ipynb.
"""

import os

import torch
from safetensors.torch import save
from torch.nn.utils import parametrize

from mcomp.arrays import bad_value
from mcomp.train import evaluating

__all__ = ["count_parameters", "file_bytes", "float32_bytes", "named_weights"]


def named_weights(model):
    """Every parameter of a model once, as pairs of name and tensor.

    A parametrised weight appears once, as the weight that it stands for, under the name that it has without
    the parametrisation; what the parametrisation itself holds isn't listed. A shared parameter appears once.

    Examples
    --------
    >>> [(name, tuple(w.shape)) for name, w in named_weights(torch.nn.Sequential(torch.nn.Linear(3, 2)))]
    [('0.weight', (2, 3)), ('0.bias', (2,))]
    """
    seen, found = set(), []
    with evaluating(model), parametrize.cached():
        for prefix, module in plain_modules(model):
            for name, identity, value in own_weights(module):
                if id(identity) not in seen:
                    seen.add(id(identity))
                    found.append((f"{prefix}.{name}".lstrip("."), value))
    return found


def plain_modules(model):
    """`model.named_modules()` without those inside parametrisations."""
    parametrised = [module for module in model.modules() if parametrize.is_parametrized(module)]
    hidden = {id(inner) for module in parametrised for inner in module.parametrizations.modules()}
    return [(name, module) for name, module in model.named_modules() if id(module) not in hidden]


def own_weights(module):
    """(name, the object that makes it the same weight elsewhere, tensor) of a module without its children."""
    found = [(name, p, p) for name, p in module.named_parameters(recurse=False)]
    if parametrize.is_parametrized(module):
        for name, chain in module.parametrizations.items():
            found.append((name, getattr(chain, "original", chain), getattr(module, name)))
    return sorted(found, key=lambda item: item[0], reverse=True)  # weight before bias, parametrised or not


def count_parameters(model, *, nonzero=False):
    """The number of entries of all parameters of a model; each shared or parametrised weight counts once.

    Parameters
    ----------
    model : torch.nn.Module
    nonzero : bool
        Count only the entries that aren't zero.

    Returns
    -------
    count : int

    Examples
    --------
    >>> count_parameters(torch.nn.Linear(784, 300))
    235500
    """
    return count_entries((w for _, w in named_weights(model)), nonzero)


def count_entries(tensors, nonzero):
    return sum(int(torch.count_nonzero(w)) if nonzero else w.numel() for w in tensors)


def file_bytes(path):
    """The size of a file in bytes, as the operating system has it; ValueError if `path` is no file.

    Examples
    --------
    >>> file_bytes(__file__) == len(open(__file__, "rb").read())
    True
    """
    if not os.path.isfile(path):
        raise bad_value("path", os.fspath(path), "an existing file")
    return os.path.getsize(path)


def float32_bytes(model):
    """The size of the file that compression starts from: the state dict of `model` as plain safetensors.

    A tensor under two names (tied weights) is in it once, as safetensors' own `save_model` writes it.

    Examples
    --------
    >>> float32_bytes(torch.nn.Linear(784, 300, bias=False)) - 4 * 784 * 300  # the header
    80
    """
    once = {}
    for name, x in model.state_dict().items():
        once.setdefault((x.data_ptr(), x.shape, x.stride(), x.dtype) if x.numel() else name, (name, x))
    return len(save({name: x.contiguous().clone() for name, x in once.values()}))
