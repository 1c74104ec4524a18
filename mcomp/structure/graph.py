"""Who feeds whom in a network: its graph by `torch.fx`, and what surgery asks of it."""

import torch
from torch import nn

from mcomp.arrays import bad_value

__all__ = ["LINEAR", "between", "layer", "sole_user", "trace"]

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def trace(model):
    """The `torch.fx.Graph` of `model`, made without running it on data.

    Raises
    ------
    ValueError
        If the path of the data depends on the data, which no fixed graph can hold.
    """
    try:
        return torch.fx.Tracer().trace(model)
    except Exception as error:
        name = type(model).__name__
        raise bad_value("model", f"{name}: {error}", "one that torch.fx can trace") from None


def layer(model, node):
    """The module that `node` calls, or None if it is no call of a module."""
    return model.get_submodule(node.target) if node.op == "call_module" else None


def sole_user(node):
    """The one node that takes the output of `node`, or None if there are several."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def between(model, node, passes):
    """Follow the output of `node` through nodes that `passes(node, module)` lets by; the first that isn't.

    None where the way forks.
    """
    node = sole_user(node)
    while node is not None and passes(node, layer(model, node)):
        node = sole_user(node)
    return node


def calls(graph, name):
    """How many nodes of `graph` call the module `name`."""
    return sum(node.op == "call_module" and node.target == name for node in graph.nodes)
