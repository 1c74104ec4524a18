"""Networks and data sets of your own by name, ``package.module:function``, as the command line takes them.

The current folder can be imported from, as with ``python -m``.
"""

import os
import sys

import torch

from mcomp.architectures import imported
from mcomp.arrays import bad_value
from mcomp.calling import count

__all__ = ["data_of", "network_of"]

PARTS = ("train", "validation", "test")


def network_of(name):
    """The network that the function of this name makes, without arguments; ValueError says what is wrong.

    Examples
    --------
    >>> type(network_of("mcomp.architectures:LeNet5")).__name__
    'LeNet5'
    """
    network = _called(name)
    if not isinstance(network, torch.nn.Module):
        raise bad_value(f"what {name} returns", type(network).__name__, "a torch.nn.Module")
    return network


def data_of(name):
    """The data that the function of this name makes: an object with train, validation and test as `Data` has.

    Raises
    ------
    ValueError
        If one isn't a pair (x, y) of as many inputs as labels.
    """
    data = _called(name)
    for part in PARTS:
        if not hasattr(data, part):
            allowed = f"an object with {', '.join(PARTS)}, each a pair (x, y), as mcomp.data.load gives"
            raise bad_value(f"what {name} returns", f"{type(data).__name__} without {part}", allowed)
        _check_pair(f"{part} of {name}", getattr(data, part))
    return data


def _check_pair(name, pair):
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise bad_value(name, type(pair).__name__, "a pair (x, y)")
    x, y = pair
    if not isinstance(y, torch.Tensor) or y.ndim != 1 or y.is_floating_point() or y.is_complex():
        raise bad_value(f"y in {name}", getattr(y, "dtype", type(y).__name__), "an integer tensor (n,)")
    if len(y) == 0:
        raise bad_value(f"len(y) in {name}", 0, "at least one")
    if count(x) != len(y):
        raise bad_value(f"len(x) in {name}", count(x), f"{len(y)}, as many as labels")


def _called(name):
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    function = imported(name)
    try:
        return function()
    except Exception as error:  # whatever the function's own code raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{name}() raised {reason}") from None
