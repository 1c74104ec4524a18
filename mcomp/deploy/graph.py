"""An ONNX graph under construction, and the pieces that every writer here puts into it.

Opset 17: every engine of mcomp.deploy reads it.
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from mcomp.quantize.grids import Grid

__all__ = ["Graph", "ends", "flattened", "meant", "multiplied", "on_grid", "pooled", "stored"]

OPSET, IR, OURS = 17, 9, "com.microsoft"
KINDS = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


class Graph:
    """`held` constants and `nodes`; tensors go by their names.

    Examples
    --------
    >>> graph = Graph()
    >>> graph.add("Relu", ["input"], "logits")
    'logits'
    >>> [node.op_type for node in graph.proto((None, 3), 2).graph.node]
    ['Relu']
    """

    def __init__(self):
        self.held, self.nodes = [], []

    def constants(self, prefix, **values):
        """Names of new constants."""
        names = [f"{prefix}.{name}" for name in values]
        for name, value in zip(names, values.values(), strict=True):
            self.held.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return names

    def add(self, op, inputs, output, *, domain="", **attributes):
        """A new node; returns the name of its result."""
        self.nodes.append(helper.make_node(op, inputs, [output], output, domain=domain, **attributes))
        return output

    def proto(self, shape, rank, *, output="logits", kind="float32"):
        """The whole as an ONNX model, from "input" to `output`; the first axis of both is the batch.

        Parameters
        ----------
        shape : sequence
            Of the input; its first entry is not read.
        rank : int
            How many axes the output has.
        kind : "float32", "uint8" or "int8"
            What both ends hold.
        """
        ends = [
            helper.make_tensor_value_info("input", KINDS[kind], ["n", *shape[1:]]),
            helper.make_tensor_value_info(output, KINDS[kind], ["n", *[None] * (rank - 1)]),
        ]
        graph = helper.make_graph(self.nodes, "mcomp", ends[:1], ends[1:], self.held)
        domains = [helper.make_opsetid("", OPSET)]
        if any(node.domain for node in self.nodes):
            domains.append(helper.make_opsetid(OURS, 1))
        model = helper.make_model(graph, opset_imports=domains, ir_version=IR, producer_name="mcomp")
        checker.check_model(model)
        return model


def stored(grid, kind):
    """The grid with its integers as `kind` stores them: int8 as they are, uint8 each 128 more.

    Examples
    --------
    >>> stored(Grid(0.5, -3, -128, 127), "uint8").zero_point
    125
    """
    shift = {"int8": 0, "uint8": 128}[kind]
    points = (int(point) + shift for point in (grid.zero_point, grid.qmin, grid.qmax))
    return Grid(np.float32(grid.scale), *points)


def ends(graph, name, grid, kind):
    """The names of the scale and the zero point of a grid."""
    return graph.constants(name, s=np.float32(grid.scale), z=np.array(grid.zero_point).astype(kind))


def on_grid(graph, name, source, grid, kind):
    """The float tensor `source` as the integers of a stored grid; a grid of fewer points is clipped first."""
    most, scale = np.iinfo(kind), np.float32(grid.scale)
    if (grid.qmin, grid.qmax) != (most.min, most.max):
        limits = [np.float32((end - grid.zero_point) * scale) for end in (grid.qmin, grid.qmax)]
        limits = graph.constants(f"{name}.limits", low=limits[0], high=limits[1])
        source = graph.add("Clip", [source, *limits], f"{name}.clip")
    return graph.add("QuantizeLinear", [source, *ends(graph, f"{name}.grid", grid, kind)], f"{name}.q")


def meant(graph, name, source, grid, kind):
    """The numbers that the integers `source` mean."""
    return graph.add("DequantizeLinear", [source, *ends(graph, name, grid, kind)], f"{name}.x")


def multiplied(graph, name, inputs, sizes):
    """A convolution with these attributes, or a linear layer where `sizes` is None."""
    if sizes is None:
        return graph.add("Gemm", inputs, name, transB=1)
    return graph.add("Conv", inputs, name, **sizes)


def pooled(graph, name, source, *, kernel, stride, padding, op="MaxPool", **attributes):
    """A pooling; `kernel`, `stride` and `padding` in both directions."""
    sizes = {"kernel_shape": list(kernel), "strides": list(stride), "pads": list(padding) * 2}
    return graph.add(op, [source], name, **sizes, **attributes)


def flattened(graph, name, source, shape):
    """Each image in this shape."""
    if len(shape) == 1:
        return graph.add("Flatten", [source], name)
    (to,) = graph.constants(name, shape=np.array([-1, *shape], np.int64))
    return graph.add("Reshape", [source, to], name)
