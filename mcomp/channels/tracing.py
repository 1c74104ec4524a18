"""The shapes of what a network's operations make, in the graph that mcomp/trace.py traces."""

import torch
from torch import fx

from mcomp.arrays import bad_value
from mcomp.trace import trace

__all__ = ["trace_shapes"]


class _Shapes(fx.Interpreter):
    """Runs the traced network once and notes every tensor's shape."""

    def run_node(self, n):
        value = super().run_node(n)
        n.meta["shape"] = tuple(value.shape) if isinstance(value, torch.Tensor) else None
        return value


def trace_shapes(model, x, leaves=()):
    """The traced `model`, run once on `x`: each node of its graph knows the shape of its result.

    Modules of the classes `leaves` aren't looked into.
    """
    traced = fx.GraphModule(model, trace(model, leaves))
    traced.graph.eliminate_dead_code()
    try:
        with torch.no_grad():
            _Shapes(traced).run(x)
    except Exception as error:
        found = f"of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
        raise bad_value("x", found, f"an input of this network ({error})") from None
    return traced
