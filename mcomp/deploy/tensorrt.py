"""TensorRT: an .onnx file with explicit Q and DQ pairs, whose structure is checked. Nothing here runs it.

What is checked: zero points of 0 everywhere (NVIDIA, "Explicit Quantization": symmetric grids only), weights
with a scale for each output channel, a pair in front of every input of a layer, the residual branch of an
addition included (TensorRT#1992), and biases as floats: its parser refused a DQ of int32 (onnxruntime#14229).
"""

import numpy as np
from onnx import numpy_helper

from mcomp.arrays import bad_value
from mcomp.deploy.checks import check_example, check_path, integers_of
from mcomp.deploy.qdq import qdq
from mcomp.files import write_atomic

__all__ = ["check_structure", "export", "run"]

READ_FROM_GRIDS = {"Conv": 2, "Gemm": 2, "Add": 2}  # operator: how many of its inputs have to come from a DQ


def export(model, path, *, example, calibration=None):
    """Write an int8 network as an .onnx file for TensorRT.

    Parameters
    ----------
    model : torch.nn.Module or mcomp.integer.network.IntegerNetwork
        The latter made with ``symmetric=True``. Not changed.
    path : path
        Ends in .onnx; its folder exists.
    example : tensor (n, ...)
        Images that the network takes.
    calibration : tensor (n, ...), optional
        Training images, 32 at least; needed for all but an IntegerNetwork.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        As `mcomp.deploy.onnxruntime.export`, and by the node's name where the structure isn't as above.
    """
    path = check_path(path, (".onnx",))
    network = integers_of(model, calibration, symmetric=True)
    proto = qdq(network, check_example(example).shape, kind="int8", integer_bias=False)
    check_structure(proto)
    return write_atomic(path, proto.SerializeToString())


def run(path, x):
    """Refused: TensorRT needs a GPU of NVIDIA; the file also runs in ONNX Runtime, with the same grids."""
    raise bad_value("the engine that runs a file", "tensorrt", "onnxruntime for the same file, without a GPU")


def check_structure(proto):
    """ValueError, by the node's name, unless an ONNX model is as TensorRT asks it of int8 networks."""
    graph = proto.graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            _check_pair(node, held)
        for name in node.input[: READ_FROM_GRIDS.get(node.op_type, 0)]:
            maker = makers.get(name)
            if maker is None or maker.op_type != "DequantizeLinear":
                raise bad_value(f"what {node.name} reads", name, "the result of a DequantizeLinear")
        if node.op_type in ("Conv", "Gemm"):
            _check_weight(node, makers[node.input[1]], held)


def _check_pair(node, held):
    zero = held[node.input[2]]
    if zero.dtype != np.int8 or np.any(zero != 0):
        raise bad_value(f"the zero point of {node.name}", f"{zero.dtype} {np.max(np.abs(zero))}", "int8 0")


def _check_weight(node, source, held):
    q, scale = held[source.input[0]], held[source.input[1]]
    axis = [a.i for a in source.attribute if a.name == "axis"]
    if scale.shape != (len(q),) or axis != [0]:
        raise bad_value(f"the scales of the weight of {node.name}", scale.shape, f"({len(q)},) along axis 0")
    if q.min() < -127:
        raise bad_value(f"the least weight of {node.name}", int(q.min()), "-127 or more")
