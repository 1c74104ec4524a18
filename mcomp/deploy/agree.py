"""What a file must give: the network's own logits. Written by every engine, checked before it is kept."""

import torch

from mcomp.arrays import bad_value
from mcomp.deploy.checks import integers_of
from mcomp.deploy.floats import floats
from mcomp.deploy.qdq import qdq
from mcomp.deploy.qoperator import qoperator
from mcomp.integer.network import IntegerNetwork
from mcomp.quantize.grids import dequantize, quantize
from mcomp.train import predict

__all__ = ["check_agrees", "written"]

FLOAT = 1e-4  # of the largest logit: float32 sums in another order
STEPS = 4  # of the last tensor, in the mean over the logits


def written(model, example, calibration=None, *, form="qdq", **options):
    """The ONNX model of a network, the logits it has to give on `example`, and the step of its last grid.

    Returns
    -------
    proto : onnx.ModelProto
    expected : tensor (n, classes)
    step : float
        0 where the network is one of floats.
    """
    if form not in ("qdq", "qoperator"):
        raise bad_value("form", form, "qdq or qoperator")
    if calibration is None and not isinstance(model, IntegerNetwork):
        return floats(model, example), predict(model, example), 0.0
    network = integers_of(model, calibration)
    grid = network.steps[-1].grid
    expected = dequantize(network(quantize(example, network.grid)), grid)
    write = qdq if form == "qdq" else qoperator
    return write(network, example.shape, **options), expected, grid.scale
