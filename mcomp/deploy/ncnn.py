"""ncnn: a .param file and a .bin file beside it, float or int8.

A float network goes through pnnx, in a process of its own. The tools that make int8 files aren't in ncnn's
Python package, so `mcomp.deploy.ncnn_integers` writes these itself. ncnn takes one image at a time, and by
itself it keeps numbers in 16 bits; `loaded` switches that off.
"""

import importlib.util
import os
import tempfile
from pathlib import Path

import ncnn
import numpy as np
import torch

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, written
from mcomp.deploy.apart import apart
from mcomp.deploy.checks import check_example, check_float_operations, check_path, integers_of
from mcomp.deploy.ncnn_integers import input_line, integers
from mcomp.integer.network import IntegerNetwork

if importlib.util.find_spec("pnnx") is None:
    raise ModuleNotFoundError("No module named 'pnnx'", name="pnnx")

__all__ = ["export", "loaded", "run"]

HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage")


def export(model, path, *, example, calibration=None):
    """Write a network as a .param and a .bin file that ncnn was seen to run like mcomp.

    Parameters
    ----------
    model : torch.nn.Module or mcomp.integer.network.IntegerNetwork
        A float network, or one of integers made with ``symmetric=True``. Not changed.
    path : path
        Ends in .param; its folder exists.
    example : tensor (n, ...)
        Images that the network takes: the file has to give on them what the network gives.
    calibration : tensor (n, ...), optional
        Training images, 32 at least: with them a float network is written in int8, weights and activations
        on the grids of ``integer_network(model, calibration, symmetric=True)``.

    Returns
    -------
    path : Path
        Of the .param file; the weights are in the .bin file of the same name.

    Raises
    ------
    ValueError
        If an operation can't be written (by the layer's name), the path or the images are no good, the
        converter dies, or ncnn computes something else. Nothing is written then.
    """
    path, shape = check_path(path, (".param",)), tuple(check_example(example).shape[1:])
    if len(shape) > 3:
        raise bad_value("the shape of an image", shape, "three axes at most")
    if calibration is not None or isinstance(model, IntegerNetwork):
        model = integers_of(model, calibration, symmetric=True)
    proto, goal = written(model, example)
    if goal[0].ndim != 2:
        raise bad_value("the shape of the logits", tuple(goal[0].shape), "(n, classes)")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        made = Path(folder, "net.param")
        if isinstance(model, IntegerNetwork):
            param, weights = integers(model, shape)
            made.write_text(param)
            made.with_suffix(".bin").write_bytes(weights)
        else:
            _convert(proto, shape, made, path.with_suffix(".log"))
        check_agrees("ncnn", run(made, example), goal)
        os.replace(made.with_suffix(".bin"), path.with_suffix(".bin"))  # the .param last, for a whole pair
        os.replace(made, path)
    return path


def run(path, x):
    """The logits (n, classes) that ncnn computes from the two files, on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The two files, loaded: a function from images (n, ...) to logits (n, classes), both tensors.

    Parameters
    ----------
    path : path
        Of the .param file.
    threads : int
    """
    net = ncnn.Net()
    net.opt.num_threads = check_int("threads", threads, 1)
    for half in HALVES:
        setattr(net.opt, half, False)
    path, shape = Path(path), _shape(path)
    if shape is None or net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        raise bad_value("a file for ncnn", str(path), "one that it can open, of mcomp.deploy.ncnn")

    def logits(x):
        if tuple(x.shape[1:]) != shape:
            raise bad_value(f"the shape of images for {path}", tuple(x.shape), f"n of {shape}")
        x = np.ascontiguousarray(x.detach().numpy(), np.float32)
        return torch.from_numpy(np.stack([_logits(net, image) for image in x]))

    return logits


def _logits(net, image):
    with net.create_extractor() as extractor:
        # a clone: of numbers that lie in numpy's memory, ncnn reads a count of owners that isn't there
        extractor.input("in0", ncnn.Mat(image).clone())
        status, out = extractor.extract("out0")
        if status != 0:
            raise bad_value("what ncnn says of an image", status, "0")
        return np.array(out).ravel()


def _convert(proto, shape, made, log):
    """pnnx, and the shape of an image written into what it made: ncnn reads beyond a smaller one."""
    check_float_operations("ncnn", proto)
    source = made.with_name("net.onnx")
    source.write_bytes(proto.SerializeToString())
    apart(
        "ncnn", "mcomp.deploy.ncnn_convert", source, made, f"[{','.join(map(str, (1, *shape)))}]f32", log=log
    )
    lines = made.read_text().splitlines(keepends=True)
    lines = [input_line(shape) if line.split()[:1] == ["Input"] else line for line in lines]
    made.write_text("".join(lines))


def _shape(path):
    """The shape of an image as the file has it; None if it doesn't say."""
    try:
        lines = [line.split() for line in Path(path).read_text(errors="replace").splitlines()]
    except OSError:
        return None
    for words in lines:
        if words[:2] == ["Input", "in0"]:
            sizes = tuple(int(word.partition("=")[2]) for word in words[5:])
            return sizes[::-1] or None
    return None
