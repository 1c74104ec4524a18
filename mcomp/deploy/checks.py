"""What every engine asks of a path, of calibration images and of a network, before anything is written."""

from pathlib import Path

import torch

from mcomp.arrays import bad_value
from mcomp.calling import count
from mcomp.integer.network import IntegerNetwork, integer_network
from mcomp.structure import fold_batchnorm

__all__ = [
    "LEAST", "check_calibration", "check_example", "check_float_operations", "check_path", "integers_of",
]  # fmt: skip

LEAST = 32  # images: the range of an activation on a single one says little about the next


def check_path(path, suffixes):
    """`path` as a `Path`, if a file with one of these suffixes can be written there.

    Raises
    ------
    ValueError
        If it is a folder, its folder doesn't exist, or it ends otherwise.

    Examples
    --------
    >>> check_path("net.onnx", (".onnx",)).name
    'net.onnx'
    """
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise bad_value("the path to write", str(path), "a file in a folder that exists")
    if path.suffix not in suffixes:
        raise bad_value("the path to write", str(path), f"one that ends in {' or '.join(suffixes)}")
    return path


def check_calibration(x):
    """The images `x` (n, ...), if they are enough to observe ranges on: 32 at least, a few hundred are good.

    Raises
    ------
    ValueError
        If `x` is no tensor of finite floats, or holds too few images.
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        found = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise bad_value("the calibration images", found, "one tensor of floats")
    if count(x) < LEAST:
        raise bad_value("the number of calibration images", len(x), f"{LEAST} or more, a few hundred")
    if not bool(torch.isfinite(x).all()):
        raise bad_value("the calibration images", "a NaN or an infinity", "finite numbers")
    return x


def check_example(x):
    """The images `x` (n, ...), if there are two or more: a file that holds for one batch only then shows."""
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.ndim < 2 or len(x) < 2:
        found = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise bad_value("the example", found, "one tensor of two or more images, floats")
    return x


def check_float_operations(engine, proto):
    """ValueError, by the node's name, if an ONNX model of a float network reads a tensor from a grid."""
    for node in proto.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            allowed = "layers that read and hold floats; mcomp.codecs.bake makes weights plain"
            raise bad_value(f"an operation for {engine}", f"{node.name}, {node.op_type}", allowed)


def integers_of(model, calibration=None, *, symmetric=False):
    """The integer network that an int8 file holds: `model` itself, or what `integer_network` makes of it.

    Parameters
    ----------
    model : torch.nn.Module or IntegerNetwork
        Batch norm is folded. Not changed.
    calibration : tensor (n, ...), optional
        Training images for the ranges; not needed for an IntegerNetwork.
    symmetric : bool
        Whether every zero point has to be 0, as TensorRT wants it.

    Raises
    ------
    ValueError
        By the layer's name, if the network does what the integer network can't.
    """
    if isinstance(model, IntegerNetwork):
        points = {grid.zero_point for grid in (model.grid, *(step.grid for step in model.steps))}
        if symmetric and points != {0}:
            allowed = "0; make the network with integer_network(model, x, symmetric=True)"
            raise bad_value("a zero point of the integer network", max(points, key=abs), allowed)
        return model
    if calibration is None:
        raise bad_value("calibration", None, "training images, for the ranges of the activations")
    return integer_network(fold_batchnorm(model), check_calibration(calibration), symmetric=symmetric)
