"""What a file must give: the network's own logits, checked in the engine before a file is kept."""

from mcomp.arrays import bad_value
from mcomp.codecs.activations import activations
from mcomp.deploy.checks import check_example, integers_of
from mcomp.deploy.floats import floats
from mcomp.deploy.qdq import qdq
from mcomp.deploy.qoperator import qoperator
from mcomp.integer.network import IntegerNetwork
from mcomp.quantize.grids import dequantize, quantize
from mcomp.train import predict

__all__ = ["check_agrees", "written"]

FLOAT = 1e-4  # of the largest logit: float32 sums in another order
GRIDS = 0.02  # of the largest logit, in the mean: a sum in another order may fall on the next grid point


def written(model, example, calibration=None, *, form="qdq", tidied=True):
    """The ONNX model of a network, what it has to give, and how near.

    Parameters
    ----------
    model : torch.nn.Module or IntegerNetwork
    example, calibration : tensors (n, ...)
    form : "qdq" or "qoperator"
        Of a network of integers.
    tidied : bool
        Whether steps of it that do nothing are left out.

    Returns
    -------
    proto : onnx.ModelProto
    goal : tensor (n, classes), tuple
        The logits on `example`; how far the largest difference and the mean one may be.
    """
    check_example(example)
    if form not in ("qdq", "qoperator"):
        raise bad_value("form", form, "qdq or qoperator")
    if calibration is None and not isinstance(model, IntegerNetwork):
        proto, expected = floats(model, example), predict(model, example)
        most = float(expected.abs().max())
        limits = (most, GRIDS * most) if activations(model) else (FLOAT * most, FLOAT * most)
        return proto, (expected, limits)
    network = integers_of(model, calibration)
    grid = network.steps[-1].grid
    expected = dequantize(network(quantize(example, network.grid)), grid)
    write = qdq if form == "qdq" else qoperator
    limits = 16 * grid.scale, grid.scale  # a step of the last grid, in the mean over the logits
    return write(network, example.shape, tidied=tidied), (expected, limits)


def check_agrees(engine, logits, goal):
    """ValueError unless `logits` are what `written` said, as near as it said."""
    expected, limits = goal
    if logits.shape != expected.shape:
        raise bad_value(f"the shape that {engine} gives", tuple(logits.shape), tuple(expected.shape))
    away = (logits - expected).abs()
    found = float(away.max()), float(away.mean())
    if not (found[0] <= limits[0] and found[1] <= limits[1]):
        told = "largest and mean difference of {} from mcomp's logits"
        raise bad_value(told.format(engine), found, f"at most {limits}; nothing was written")
