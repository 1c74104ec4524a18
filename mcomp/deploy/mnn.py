"""MNN: one .mnn file, in floats, or with int8 weights on the grid of mcomp.

MNN's symmetric grid, 127 steps to the largest weight of each output channel, is that of chapter 07: the
integers in the file are compared with mcomp's, and its scales, which may differ in the last bit, are written
over with mcomp's. MNN multiplies floats with them. It has no word for activations on a grid of mcomp's, so a
network of integers is refused.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, written
from mcomp.deploy.apart import apart
from mcomp.deploy.checks import check_calibration, check_float_operations, check_path
from mcomp.deploy.hushed import hushed
from mcomp.files import write_atomic
from mcomp.integer.network import IntegerNetwork
from mcomp.plain import naming
from mcomp.quantize.grids import dequantize, quantize, range_grid
from mcomp.structure import fold_batchnorm

with hushed():
    import MNN

__all__ = ["export", "loaded", "run"]

ALLOWED = "a float network; with calibration images its weights become int8, and activations stay floats"
CODES = np.arange(-128, 128).astype(np.int8).tobytes()  # the table in front of each tensor of integers


def export(model, path, *, example, calibration=None):
    """Write a network as an .mnn file that MNN was seen to run like mcomp.

    Parameters
    ----------
    model : torch.nn.Module
        A float network. Not changed.
    path : path
        Ends in .mnn; its folder exists.
    example : tensor (n, ...)
        Images that the network takes: the file has to give on them what the network gives.
    calibration : tensor (n, ...), optional
        Training images, 32 at least: with them the weights of linear and convolutional layers are int8,
        symmetric, a scale for each output channel. No range is taken from them: activations stay floats.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If an operation can't be written (by the layer's name), the path or the images are no good, the
        converter dies, or MNN computes something else. Nothing is written then.
    """
    path = check_path(path, (".mnn",))
    if isinstance(model, IntegerNetwork):
        raise bad_value("a network for mnn", "an IntegerNetwork", ALLOWED)
    grids = {}
    if calibration is not None:
        check_calibration(calibration)
        model, grids = _on_grids(model)
    proto, goal = written(model, example)
    check_float_operations("mnn", proto)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        source, made = Path(folder, "net.onnx"), Path(folder, "net.mnn")
        source.write_bytes(proto.SerializeToString())
        options = ["--weightQuantBits", "8", "--weightQuantAsymmetric", "0"] if grids else []
        apart("mnn", "mcomp.deploy.mnn_convert", source, made, *options, log=path.with_suffix(".log"))
        raw = bytearray(made.read_bytes())
        for name, (q, scale) in grids.items():
            with naming(name):
                _write_scale(raw, q, scale)
        made.write_bytes(raw)
        check_agrees("mnn", run(made, example), goal)
    return write_atomic(path, bytes(raw))


def run(path, x):
    """The logits (n, classes) that MNN computes from the file, in float32 on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file, loaded: a function from images (n, ...) to logits (n, classes), both tensors.

    Parameters
    ----------
    path : path
    threads : int
    """
    options = {"backend": "CPU", "precision": "high", "numThread": check_int("threads", threads, 1)}
    with hushed():
        manager = MNN.nn.create_runtime_manager((options,))
        try:
            net = MNN.nn.load_module_from_file(str(path), ["input"], ["logits"], runtime_manager=manager)
        except SystemError:
            raise bad_value("a file for MNN", str(path), "one that it can open") from None
    shape = net.get_info()["inputs"][0].shape[1:]

    def logits(x):
        if list(x.shape[1:]) != list(shape):
            raise bad_value(f"the shape of images for {path}", tuple(x.shape), f"n of {tuple(shape)}")
        x = np.ascontiguousarray(x.detach().numpy(), np.float32)
        (out,) = net.forward([MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)])
        return torch.from_numpy(np.array(MNN.expr.convert(out, MNN.expr.NCHW).read()))

    return logits


def _on_grids(model):
    """A copy, batch norm folded, weights on int8 grids; by layer, the integers and the scales."""
    model, grids = copy.deepcopy(fold_batchnorm(model)), {}
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            weight = layer.weight.detach()
            most = weight.abs().flatten(1).amax(1)
            grid = range_grid(-most, most, 8, axis=0)
            grids[name] = quantize(weight, grid), grid.scale
            layer.weight = nn.Parameter(dequantize(grids[name][0], grid))
    return model, grids


def _write_scale(raw, q, scale):
    """Write mcomp's scales over MNN's; ValueError unless the file has these integers and nearly these scales.

    A tensor of integers is: 2 axes, their lengths in 2 bytes each, 0 for 256 codes, the codes, an index for
    each number. How many bytes these are stands in 4 bytes in front, and in front of those are its scales.
    """
    q, scale = q.flatten(1).numpy().astype(int), scale.numpy().astype("<f4")
    codes = (q + 128).astype(np.uint8).tobytes()
    block = bytes([2]) + np.array(q.shape, "<u2").tobytes() + bytes([0]) + CODES + codes
    at = raw.find(block) - 4 - scale.nbytes
    while at >= 0:
        found = np.frombuffer(bytes(raw[at : at + scale.nbytes]), "<f4")
        if np.allclose(found, scale, rtol=1e-6, atol=0):
            raw[at : at + scale.nbytes] = scale.tobytes()
            return
        at = raw.find(block, at + 5 + scale.nbytes) - 4 - scale.nbytes
    raise bad_value(
        "the int8 weights that MNN wrote", "another grid", "mcomp's, 127 steps to the largest weight"
    )
