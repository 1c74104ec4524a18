"""A whole network with no float inside: 8-bit tensors, int32 sums, fixed-point multipliers, and nothing else.

`integer_network` turns a float network into `Step` after `Step`, by torch.fx; the range of each tensor is
observed on training images. Derived in chapters/07b_integers_only.ipynb. Jacob et al. 2018,
arXiv:1712.05877, section 2.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.integer.steps import make_step, rectifies, reshapes
from mcomp.integer.walk import tensor_name, walk
from mcomp.plain import graph_of, naming
from mcomp.quantize.grids import Grid, quantize, range_grid
from mcomp.quantize.observers import MinMax
from mcomp.trace import layer, sole_user

__all__ = ["IntegerNetwork", "Step", "integer_network"]


@dataclass(frozen=True)
class Step:
    """One operation: integers in, integers out. `run(*inputs, fixed)` reads the tensors named in `inputs`."""

    name: str
    inputs: tuple
    run: Any
    grid: Grid


@dataclass(frozen=True)
class IntegerNetwork:
    """Steps in order; `grid` is that of the input, the first tensor is called "input"."""

    grid: Grid
    steps: tuple

    def run(self, q, *, fixed=True):
        """Every tensor by name, from the integers `q` of a batch; `fixed=False` uses float32 multipliers."""
        tensors = {"input": q}
        for step in self.steps:
            tensors[step.name] = step.run(*(tensors[name] for name in step.inputs), fixed=fixed)
        return tensors

    def __call__(self, q, *, fixed=True):
        """The integers of the last tensor: of a classifier, their largest says the class."""
        return self.run(q, fixed=fixed)[self.steps[-1].name]

    def predict(self, x, *, batch_size=500):
        """The classes of the images `x` (n, ...): quantize once, then integers only."""
        parts = x.split(check_int("batch_size", batch_size, 1))
        return torch.cat([self(quantize(part, self.grid)).argmax(1) for part in parts])

    def accuracy(self, pair, *, batch_size=500):
        """Accuracy in [0, 1] on ``pair = (x, y)``."""
        return float((self.predict(pair[0], batch_size=batch_size) == pair[1]).float().mean())


def integer_network(model, x, *, bits=8, observer=MinMax, symmetric=False):
    """`model` in integers: weights per output channel, each tensor on one grid, biases in int32.

    Parameters
    ----------
    model : torch.nn.Module
        A float network of linear and 2-D convolutional layers, ReLU, max pooling, means over all positions
        (global pooling), reshapings of each image and additions, as modules, functions or methods; batch norm
        folded, see `mcomp.structure.fold_batchnorm`. Not changed.
    x : tensor (n, ...)
        Training images to observe the ranges on, a few hundred.
    bits : int
        Of weights (symmetric) and tensors (asymmetric), 2 to 8.
    observer : callable
        Makes the observer of each tensor, see mcomp/quantize/observers.py.
    symmetric : bool
        Whether every zero point is 0, as some engines want it; then the ReLU costs half of the grid.

    Returns
    -------
    network : IntegerNetwork
        Its steps carry the names of the model's layers, or of the graph's nodes where no layer is called.

    Raises
    ------
    ValueError
        If the model can't be traced or does something else: the message begins with the layer's or the
        node's name.
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        found = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise bad_value(f"the input of {type(model).__name__}", found, "one tensor of floats")
    graph, bits = graph_of(model), check_int("bits", bits, 2, 8)
    seen, shapes = _observe(model, graph, x, observer)
    grids, steps, nodes = {}, [], [node for node in graph.nodes if node in shapes]
    _check_ends(model, graph, nodes)
    for node in nodes:
        sources = [n for n in node.all_input_nodes if n in shapes]
        before = [grids[n] for n in sources]
        if before and _keeps_grid(node, layer(model, node)):
            grids[node] = before[0]
        else:
            low, high = seen[_end_of_chain(model, node)].range()
            grids[node] = _plain(range_grid(low, high, bits, symmetric=symmetric))
        if node.op == "placeholder":
            continue
        with naming(_where(model, node)):
            around = shapes[sources[0]] if sources else (), shapes[node]
            run = make_step(node, layer(model, node), before, grids[node], bits=bits, shapes=around)
        steps.append(Step(tensor_name(node), tuple(map(tensor_name, sources)), run, grids[node]))
    return IntegerNetwork(grids[nodes[0]], tuple(steps))


def _where(model, node):
    """The name of the layer that a node calls, or of the module in whose forward it stands and its own."""
    if node.op == "call_module":
        return tensor_name(node)
    inside = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    path = next((path for path in reversed(inside) if path), type(model).__name__)
    return f"{path!r}, {tensor_name(node)}"


def _check_ends(model, graph, nodes):
    """One tensor in, and the last one out."""
    inputs = [str(node) for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise bad_value(f"the inputs of {type(model).__name__}", inputs, "one tensor")
    (result,) = next(node for node in graph.nodes if node.op == "output").args
    if result is not nodes[-1]:
        raise bad_value(
            f"what {type(model).__name__} gives",
            str(result),
            f"one tensor, the last: {tensor_name(nodes[-1])}",
        )


def _keeps_grid(node, module):
    """Whether a node only picks among the numbers it gets: then rounding before it or after is the same."""
    return type(module) is nn.MaxPool2d or rectifies(node, module) or reshapes(node, module)


def _end_of_chain(model, node):
    """The last of the nodes behind `node` that share its grid: there the range is the narrowest."""
    user = sole_user(node)
    while user is not None and _keeps_grid(user, layer(model, user)):
        node, user = user, sole_user(user)
    return node


def _plain(grid):
    low = -grid.qmax - 1  # of a symmetric grid too: an engine's int8 ends at -128
    return Grid(float(grid.scale), int(grid.zero_point), low, grid.qmax)


def _observe(model, graph, x, observer):
    """An observer of every node that gives a tensor, after all of `x`, and the shape of one image there.

    What isn't a tensor, such as a size, is worked out in float once and belongs to the shapes.
    """
    seen, shapes = {node: observer() for node in graph.nodes}, {}

    def visit(node, value):
        if node.op == "output" or _is_size(value):
            return value
        if not isinstance(value, torch.Tensor) or node.op == "get_attr":
            raise bad_value(_where(model, node), type(value).__name__, "a tensor that comes from the images")
        shape = tuple(value.shape[1:])
        if shapes.setdefault(node, shape) != shape or tuple(value.shape[:1]) != (visit.images,):
            raise bad_value(
                f"the shape of {_where(model, node)}", tuple(value.shape), "an entry for each image"
            )
        seen[node].update(value)
        return value

    walk(model, graph, x, visit)
    return seen, shapes


def _is_size(value):
    if isinstance(value, (tuple, list)):
        return all(map(_is_size, value))
    return isinstance(value, (int, torch.dtype, torch.device, str, type(None)))
