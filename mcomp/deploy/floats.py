"""A float network as an ONNX graph, with learned or calibrated grids as Q and DQ pairs.

The network is traced by torch.fx; each operation has a rule below, and one without is refused by the name of
its layer. A layer that reads its input from a grid (`mcomp.qat.attach_grids`, or `mcomp.codecs.attach` with a
rule for ``*.input``) gets a pair in front, a weight with a learned grid becomes int8 with its scale.
"""

import operator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mcomp.arrays import bad_value
from mcomp.codecs.activations import ActivationGrid
from mcomp.deploy.graph import Graph, flattened, meant, multiplied, on_grid, pooled
from mcomp.integer.steps import averages, rectifies, reshapes
from mcomp.integer.walk import tensor_name, walk
from mcomp.plain import graph_of, naming, own_forward
from mcomp.quantize.grids import Grid
from mcomp.trace import called, layer

__all__ = ["floats"]

UNARY = {
    nn.Sigmoid: "Sigmoid", nn.Tanh: "Tanh", torch.sigmoid: "Sigmoid", torch.tanh: "Tanh",
    F.relu: "Relu", nn.ReLU: "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh",
}  # fmt: skip
BINARY = {operator.add: "Add", operator.iadd: "Add", operator.sub: "Sub", operator.mul: "Mul",
          torch.add: "Add", torch.mul: "Mul", "add": "Add", "mul": "Mul"}  # fmt: skip
KNOWN = (
    "Linear, Conv2d, BatchNorm, ReLU, ReLU6, LeakyReLU, Sigmoid, Tanh, max and mean pooling, means over all "
    "positions, reshapings of each image, sums and products"
)


def floats(model, example):
    """The ONNX model of a float network: images in, logits out.

    Parameters
    ----------
    model : torch.nn.Module
        Run as in evaluation mode. Not changed.
    example : tensor (n, ...)
        Images that it takes.

    Returns
    -------
    graph : onnx.ModelProto

    Raises
    ------
    ValueError
        By the layer's name, where an operation has no rule here.
    """
    fx, values = graph_of(model), {}

    def visit(node, value):
        values[node] = value
        return value

    walk(model, fx, example, visit, batch_size=len(example))
    graph, names = Graph(), {}
    for node in fx.nodes:
        if node.op == "placeholder":
            names |= {node: "input"} if not names else {}  # another input has its default, None
        elif node.op == "output":
            return _end(graph, model, node, names, values, example)
        elif isinstance(values[node], torch.Tensor):
            with naming(node.target if node.op == "call_module" else f"{type(model).__name__}, {node.name}"):
                names[node] = _write(graph, model, node, names, values)
    raise AssertionError("a graph without an output")


def _end(graph, model, node, names, values, example):
    (result,) = node.args
    if not isinstance(result, torch.fx.Node) or result not in names:
        raise bad_value(f"what {type(model).__name__} gives", str(result), "one tensor")
    graph.add("Identity", [names[result]], "logits")
    return graph.proto(example.shape, values[result].ndim)


def _write(graph, model, node, names, values):
    """The nodes of one operation; the name of what it gives."""
    module, name = layer(model, node), tensor_name(node)
    if node.op == "get_attr":
        return graph.constants("constant", **{name: _numpy(values[node])})[0]
    quantizers = getattr(module, "_modules", {})
    sources = [_source(graph, node, i, names, values) for i in range(len(node.args))]
    if "input_quantizer" in quantizers:
        sources[0] = _pair(graph, f"{name}.input", sources[0], quantizers["input_quantizer"])
    shapes = [tuple(values[n].shape) for n in node.all_input_nodes if isinstance(values[n], torch.Tensor)]
    result = _operation(graph, name, node, module, sources, [*shapes[:1], tuple(values[node].shape)])
    if "output_quantizer" in quantizers:
        result = _pair(graph, f"{name}.output", result, quantizers["output_quantizer"])
    return result


def _source(graph, node, place, names, values):
    """The name of an argument: a tensor, or a number that becomes a constant."""
    argument = node.args[place]
    if isinstance(argument, torch.fx.Node):
        argument = values[argument] if argument not in names else names[argument]
    if isinstance(argument, (int, float)) and not isinstance(argument, bool):
        return graph.constants(f"{node.name}.{place}", number=np.float32(argument))[0]
    return argument  # of a reshaping, perhaps: its shape is seen, not read


def _operation(graph, name, node, module, sources, shapes):
    before, after = shapes
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d)):
        return _layer(graph, name, module, sources[0], before)
    key = type(module) if module is not None else node.target
    if rectifies(node, module):
        return graph.add("Relu", sources[:1], name)
    if key in UNARY and not node.kwargs:
        return graph.add(UNARY[key], sources[:1], name)
    if key in BINARY and len(sources) == 2 and all(isinstance(s, str) for s in sources) and not node.kwargs:
        return graph.add(BINARY[key], sources, name)
    if averages(node, module) and len(before) == 4:
        mean = graph.add("GlobalAveragePool", sources[:1], f"{name}.mean")
        return flattened(graph, name, mean, after[1:])
    if reshapes(node, module) and before[0] == after[0]:
        return flattened(graph, name, sources[0], after[1:]) if before != after else sources[0]
    return _module(graph, name, node, module, sources[0])


def _module(graph, name, node, module, source):
    if type(module) is nn.LeakyReLU:
        return graph.add("LeakyRelu", [source], name, alpha=module.negative_slope)
    if type(module) in (nn.ReLU6, nn.Hardtanh):
        limits = graph.constants(name, low=np.float32(module.min_val), high=np.float32(module.max_val))
        return graph.add("Clip", [source, *limits], name)
    if type(module) in (nn.MaxPool2d, nn.AvgPool2d) and getattr(module, "divisor_override", None) is None:
        most = type(module) is nn.MaxPool2d
        more = {"op": "MaxPool", "dilations": _both(module.dilation)} if most else {"op": "AveragePool"}
        more |= {} if most else {"count_include_pad": int(module.count_include_pad)}
        sizes = {key: _both(getattr(module, key)) for key in ("stride", "padding")}
        more["ceil_mode"] = int(module.ceil_mode)
        return pooled(graph, name, source, kernel=_both(module.kernel_size), **sizes, **more)
    raise bad_value("an operation", called(node, module), KNOWN)


def _layer(graph, name, module, source, shape):
    """A linear, convolutional or batch norm layer."""
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        return _norm(graph, name, module, source)
    _check_layer(module, shape)
    weight, out = _weight(graph, name, module), len(module.weight)
    bias = np.zeros(out, np.float32) if module.bias is None else _numpy(module.bias)
    inputs = [source, weight, *graph.constants(name, bias=bias)]
    if isinstance(module, nn.Linear):
        return multiplied(graph, name, inputs, None)
    options = {"strides": _both(module.stride), "pads": _both(module.padding) * 2}
    more = {"dilations": _both(module.dilation), "group": module.groups}
    return multiplied(graph, name, inputs, options | more)


def _check_layer(module, shape):
    if own_forward(module):
        raise bad_value("a layer", str(module), "one with torch's own forward")
    if len(shape) != (2 if isinstance(module, nn.Linear) else 4):
        raise bad_value("what the layer reads", shape, "rows for a Linear, images for a Conv2d")
    if getattr(module, "padding_mode", "zeros") != "zeros" or isinstance(getattr(module, "padding", 0), str):
        raise bad_value("a convolution", str(module), "one that is padded by a number of zeros")


def _norm(graph, name, module, source):
    if module.running_mean is None:
        raise bad_value("a batch norm", str(module), "one with running statistics")
    ones = torch.ones(module.num_features)
    weight, bias = (ones, 0 * ones) if module.weight is None else (module.weight, module.bias)
    numbers = {"weight": weight, "bias": bias, "mean": module.running_mean, "var": module.running_var}
    held = graph.constants(name, **{key: _numpy(x) for key, x in numbers.items()})
    return graph.add("BatchNormalization", [source, *held], name, epsilon=module.eps)


def _weight(graph, name, module):
    """The weight: int8 behind a DQ where it has a learned grid, else float32."""
    chain = getattr(module, "parametrizations", {})
    grid = chain["weight"][0] if "weight" in chain else None
    if not hasattr(grid, "integers") or grid.bits > 8:
        return graph.constants(name, weight=_numpy(module.weight))[0]
    q = _numpy(grid.integers(chain["weight"].original)).astype(np.int8)
    (held,) = graph.constants(f"{name}.weight", q=q)
    return meant(graph, f"{name}.weight", held, Grid(_numpy(grid.scale), 0, -128, 127), "int8")


def _pair(graph, name, source, quantizer):
    """Q and DQ on the grid of a learned or calibrated quantizer."""
    if isinstance(quantizer, ActivationGrid):
        grid = quantizer.grid()
        grid = Grid(_numpy(grid.scale), int(grid.zero_point), grid.qmin, grid.qmax)
    elif hasattr(quantizer, "qmin"):
        grid = Grid(_numpy(quantizer.scale), 0, quantizer.qmin, quantizer.qmax)
    else:
        raise bad_value(
            "a quantizer", f"{name}: {type(quantizer).__name__}", "a LearnedGrid or ActivationGrid"
        )
    kinds = [kind for kind in ("uint8", "int8") if _fits(grid, kind)]
    if not kinds:
        raise bad_value(f"the grid of {name}", (grid.qmin, grid.qmax), "integers of 8 bits")
    return meant(graph, name, on_grid(graph, name, source, grid, kinds[0]), grid, kinds[0])


def _fits(grid, kind):
    return np.iinfo(kind).min <= grid.qmin and grid.qmax <= np.iinfo(kind).max


def _both(value):
    return list(value) if isinstance(value, (tuple, list)) else [value, value]


def _numpy(x):
    return x.detach().float().cpu().numpy()
