"""A float network run node by node, so that each tensor in it can be seen or replaced."""

from torch.fx import GraphModule, Interpreter

from mcomp.arrays import bad_value
from mcomp.train import evaluating

__all__ = ["tensor_name", "walk"]


def tensor_name(node):
    """How a tensor is called: after the layer it leaves, or after its node."""
    if node.op == "placeholder":
        return "input"
    if node.op == "get_attr":
        return node.target
    alone = sum(n.target == node.target for n in node.graph.nodes) == 1
    return node.target if node.op == "call_module" and alone else node.name


class _Walk(Interpreter):
    """Run the float network node by node; `visit(node, value)` may put another value in its place."""

    def __init__(self, model, graph, visit):
        super().__init__(GraphModule(model, graph))
        self.visit, self.extra_traceback = visit, False

    def run_node(self, node):
        return self.visit(node, super().run_node(node))


def walk(model, graph, x, visit, *, batch_size=100):
    """Run all of `x` through the graph of `model`; ``visit(node, value)`` gives what goes on, see `_Walk`."""
    if len(x) == 0:
        raise bad_value("len(x)", 0, "at least one image")
    with evaluating(model):
        for part in x.split(batch_size):
            visit.images = len(part)
            _Walk(model, graph, visit).run(part)
