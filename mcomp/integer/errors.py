"""How far an integer network is from the float network that it was made of, tensor by tensor.

Derived in chapters/07b_integers_only.ipynb.
"""

import torch

from mcomp.integer.steps import Product
from mcomp.integer.walk import tensor_name, walk
from mcomp.plain import copied, graph_of
from mcomp.quantize.grids import dequantize, quantize

__all__ = ["node_errors"]


def node_errors(network, model, x):
    """How far each tensor of the integer network is from the float network `model` it was made of.

    Parameters
    ----------
    network : IntegerNetwork
    model : torch.nn.Module
        As `integer_network` got it.
    x : tensor (n, ...)

    Returns
    -------
    rows : list of (name, own, mean, largest)
        In steps of the tensor's grid. `own` is the largest error that the step itself makes: against the
        float operation on the same inputs and weights as the integers mean; above 1/2 only by the rounding
        of the bias. `mean` and `largest` are errors against the float network, all steps before included.
        What lies outside the grid counts as its end.
    """
    graph, tensors = graph_of(model), network.run(quantize(x, network.grid))
    own = _differences(network, _rounded_weights(network, model), graph, x, tensors, replace=True)
    far = _differences(network, model, graph, x, tensors, replace=False)
    return [
        (step.name, own[step.name].max(), far[step.name].mean(), far[step.name].max())
        for step in network.steps
    ]


def _rounded_weights(network, model):
    """A copy of `model` with the weights and biases that the integers mean."""
    model, steps = copied(model), {step.name: step.run for step in network.steps}
    for name, module in model.named_modules():
        if isinstance(steps.get(name), Product):
            product, along = steps[name], (-1,) + (1,) * (module.weight.ndim - 1)
            module.weight.data = product.weight * product.scale.view(along)
            module.bias = torch.nn.Parameter(product.bias * product.scale * product.source.scale)
    return model


def _differences(network, model, graph, x, tensors, *, replace):
    """|float - integer| of each tensor in steps; with `replace`, each node gets what the integers mean."""
    grids, found = {"input": network.grid, **{s.name: s.grid for s in network.steps}}, {}

    def visit(node, value):
        if tensor_name(node) not in tensors:
            return value
        grid, q = grids[tensor_name(node)], tensors[tensor_name(node)]
        steps = (value / grid.scale + grid.zero_point).clamp(grid.qmin, grid.qmax)
        found[tensor_name(node)] = (steps - q).abs()
        return dequantize(q, grid) if replace else value

    walk(model, graph, x, visit, batch_size=len(x))
    return {name: difference.numpy() for name, difference in found.items()}
