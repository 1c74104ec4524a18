"""The operations of a network in order, with the shapes of what they make, by torch.fx."""

import torch
from torch import fx

from mcomp.arrays import bad_value

__all__ = ["trace"]


class _Tracer(fx.Tracer):
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


class _Shapes(fx.Interpreter):
    """Runs the traced network once and notes every tensor's shape."""

    def run_node(self, n):
        value = super().run_node(n)
        n.meta["shape"] = tuple(value.shape) if isinstance(value, torch.Tensor) else None
        return value


def trace(model, x, leaves=()):
    """The traced `model`, run once on `x`: each node of its graph knows the shape of its result.

    Modules of the classes `leaves` aren't looked into.
    """
    try:
        graph = _Tracer(leaves).trace(model)
    except Exception as error:
        allowed = f"a network whose forward torch.fx can trace ({type(error).__name__}: {error})"
        raise bad_value("model", type(model).__name__, allowed) from None
    traced = fx.GraphModule(model, graph)
    traced.graph.eliminate_dead_code()
    try:
        with torch.no_grad():
            _Shapes(traced).run(x)
    except Exception as error:
        found = f"of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
        raise bad_value("x", found, f"an input of this network ({error})") from None
    return traced
