"""An integer network as an ONNX graph of integer operators: QLinearConv, QGemm, QLinearAdd, MaxPool.

Each computes on the stored integers themselves. The linear layer, the addition and the mean are operators of
ONNX Runtime's own domain; other engines don't have them.
"""

import numpy as np

from mcomp.deploy.graph import OURS, Graph, ends, flattened, pooled, stored
from mcomp.deploy.tidy import tidy
from mcomp.integer.steps import Average, Largest, Product, Rectify, Sum

__all__ = ["operation", "product", "qoperator"]


def qoperator(network, shape, *, signed=True, kind="float32", tidied=True):
    """The ONNX model of an integer network; activations are stored as uint8.

    Parameters
    ----------
    network : IntegerNetwork
    shape : sequence
        Of a batch of images; the first entry is not read.
    signed : bool
        Whether weights are int8; else uint8 with zero point 128.
    kind : "float32" or "uint8"
        What goes in and comes out: images and logits, or the stored integers of both.
    tidied : bool
        Whether steps that do nothing are left out, see `mcomp.deploy.tidy`.

    Returns
    -------
    model : onnx.ModelProto
    """
    network = tidy(network, shape) if tidied else network
    graph, floats, source = Graph(), kind == "float32", "input"
    if floats:
        source = _converted(graph, "QuantizeLinear", "input", network.grid, "input.q")
    held, rank = {"input": source}, len(shape)
    for step in network.steps:
        sources = [held[name] for name in step.inputs]
        held[step.name], rank = _step(graph, step, sources, signed), _rank(step.run, rank)
    last = network.steps[-1]
    if floats:
        _converted(graph, "DequantizeLinear", held[last.name], last.grid, "logits")
    else:
        graph.add("Identity", [held[last.name]], "logits")
    return graph.proto(shape, rank, kind=kind)


def _step(graph, step, sources, signed):
    """The nodes of one step; the name of what it gives."""
    if isinstance(step.run, Product):
        result = product(graph, step.name, sources[0], step.run, signed=signed)
    else:
        result = operation(graph, step.name, sources, step.run)
    grid = stored(step.grid, "uint8")
    if (grid.qmin, grid.qmax) == (0, 255):
        return result
    limits = graph.constants(f"{step.name}.limits", low=np.uint8(grid.qmin), high=np.uint8(grid.qmax))
    return graph.add("Clip", [result, *limits], f"{step.name}.clip")


def _converted(graph, op, source, grid, name):
    return graph.add(op, [source, *_ends(graph, f"{name}.grid", grid)], name)


def _ends(graph, name, grid):
    return ends(graph, name, stored(grid, "uint8"), "uint8")


def _rank(run, rank):
    if isinstance(run, Product):
        return 2 if run.options is None else 4
    return 1 + len(run.shape) if hasattr(run, "shape") else rank


def product(graph, name, source, step, *, signed=True, matmul=False):
    """A linear or convolutional layer; `matmul`: a linear one as QLinearMatMul, which has no bias."""
    w = step.weight.numpy().astype(np.int16)
    w = w.astype(np.int8) if signed else (w + 128).astype(np.uint8)
    zeros = np.full(len(w), 0 if signed else 128, w.dtype)
    weights = {"w": w.T if matmul and step.options is None else w, "ws": step.scale.numpy(), "wz": zeros}
    middle, bias = graph.constants(name, **weights), graph.constants(name, bias=step.bias.numpy())
    first, last = _ends(graph, f"{name}.x", step.source), _ends(graph, f"{name}.y", step.grid)
    if step.options is not None:
        stride, padding, groups = (step.options[key] for key in ("stride", "padding", "groups"))
        sizes = {"strides": [stride] * 2, "pads": [padding] * 4, "group": groups}
        return graph.add("QLinearConv", [source, *first, *middle, *last, *bias], name, **sizes)
    if matmul:
        return graph.add("QLinearMatMul", [source, *first, *middle, *last], name)
    return graph.add("QGemm", [source, *first, *middle, *bias, *last], name, domain=OURS, transB=1)


def operation(graph, name, sources, step):
    """Every other step of an integer network."""
    if isinstance(step, Sum):
        a, b, c = (_ends(graph, f"{name}.{i}", grid) for i, grid in enumerate((*step.sources, step.grid)))
        return graph.add("QLinearAdd", [sources[0], *a, sources[1], *b, *c], name, domain=OURS)
    if isinstance(step, Average):
        a, b = (_ends(graph, f"{name}.{i}", grid) for i, grid in enumerate((step.source, step.grid)))
        mean = graph.add("QLinearGlobalAveragePool", [*sources, *a, *b], f"{name}.mean", domain=OURS)
        return flattened(graph, name, mean, step.shape)
    if isinstance(step, Rectify):
        return graph.add("Max", [*sources, *graph.constants(name, z=np.uint8(step.zero_point + 128))], name)
    if isinstance(step, Largest):
        both = {"stride": [step.stride] * 2, "padding": [step.padding] * 2}
        return pooled(graph, name, sources[0], kernel=step.kernel, **both)
    return flattened(graph, name, sources[0], step.shape)
