"""Who feeds whom in a network: its graph by `torch.fx`, and what surgery asks of it."""

import torch
from torch import nn

from mcomp.arrays import bad_value

__all__ = ["LINEAR", "between", "calls", "layer", "sole_user", "trace"]

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _Tracer(torch.fx.Tracer):
    """fx's tracer, for which a module that it can't trace is a leaf."""

    def __init__(self, leaves):
        super().__init__()
        self.leaves = leaves

    def is_leaf_module(self, module, name):
        return isinstance(module, self.leaves) or super().is_leaf_module(module, name)

    def call_module(self, m, forward, args, kwargs):
        stack = dict(self.module_stack)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:  # whatever a module's own code raises when it meets a proxy
            self.module_stack.clear()
            self.module_stack.update(stack)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


def trace(model, leaves=()):
    """The `torch.fx.Graph` of `model`, made without running it on data.

    Modules of the classes `leaves`, and those that can't be traced, aren't looked into.

    Raises
    ------
    ValueError
        If the path of the data depends on the data, which no fixed graph can hold.
    """
    try:
        return _Tracer(leaves).trace(model)
    except Exception as error:
        allowed = f"a network whose forward torch.fx can trace ({type(error).__name__}: {error})"
        raise bad_value("model", type(model).__name__, allowed) from None


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
