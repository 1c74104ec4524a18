"""What a file must give: the network's own logits, checked in the engine before a file is kept."""

from mcomp.arrays import bad_value
from mcomp.codecs.activations import activations
from mcomp.deploy.checks import check_example, integers_of
from mcomp.integer.network import IntegerNetwork
from mcomp.quantize.grids import dequantize, quantize
from mcomp.train import predict

__all__ = ["check_agrees", "intended", "written"]

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
    if form not in ("qdq", "qoperator"):
        raise bad_value("form", form, "qdq or qoperator")
    from mcomp.deploy.floats import floats  # these need onnx, and not every engine does
    from mcomp.deploy.qdq import qdq
    from mcomp.deploy.qoperator import qoperator

    network, goal = intended(model, example, calibration)
    if network is None:
        return floats(model, example), goal
    write = qdq if form == "qdq" else qoperator
    return write(network, example.shape, tidied=tidied), goal


def intended(model, example, calibration=None):
    """The integer network that a file holds, None for one of floats; and the goal, as of `written`."""
    check_example(example)
    if calibration is None and not isinstance(model, IntegerNetwork):
        expected = predict(model, example)
        most = float(expected.abs().max())
        return None, (expected, (most, GRIDS * most) if activations(model) else (FLOAT * most, FLOAT * most))
    network = integers_of(model, calibration)
    grid = network.steps[-1].grid
    expected = dequantize(network(quantize(example, network.grid)), grid)
    return network, (expected, (16 * grid.scale, grid.scale))  # a step, in the mean over the logits


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
