"""LiteRT (TensorFlow Lite): one .tflite file, float or int8; it takes batches of one size only.

An int8 file is written here operator by operator (`mcomp.deploy.tflite`), on mcomp's own scales. A float
network goes through the converter litert-torch, in a process of its own. Kernels are those of XNNPACK where
it has them.
"""

import importlib.util
import os
import tempfile
from functools import partial
from pathlib import Path

import torch
from ai_edge_litert.interpreter import Interpreter

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, intended
from mcomp.deploy.apart import apart
from mcomp.deploy.checks import check_path
from mcomp.deploy.exported import by_batch, exported
from mcomp.deploy.tflite import tflite
from mcomp.files import write_atomic

if importlib.util.find_spec("litert_torch") is None:
    raise ModuleNotFoundError("No module named 'litert_torch'", name="litert_torch")

__all__ = ["export", "loaded", "run"]


def export(model, path, *, example, calibration=None, batch=1):
    """Write a network as a .tflite file that LiteRT was seen to run like mcomp.

    Parameters and errors as of `mcomp.deploy.onnxruntime.export`, but `path` ends in .tflite.

    Parameters
    ----------
    batch : int
        How many images the file takes at once; `run` cuts what it gets into such batches.

    Returns
    -------
    path : Path
    """
    path, batch = check_path(path, (".tflite",)), check_int("batch", batch, 1)
    network, goal = intended(model, example, calibration)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        made = Path(folder, "net.tflite")
        if network is not None:
            write_atomic(made, tflite(network, (batch, *example.shape[1:])))
        else:
            source = exported(model, example, batch, Path(folder, "net.pt2"))
            apart("litert", "mcomp.deploy.litert_convert", source, made, log=path.with_suffix(".log"))
        check_agrees("litert", run(made, example), goal)
        os.replace(made, path)
    return path


def run(path, x):
    """The logits (n, classes) that LiteRT computes from the file, on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file as a function, loaded once: images (n, ...) -> logits (n, classes), tensors."""
    try:
        network = Interpreter(model_path=str(path), num_threads=check_int("threads", threads, 1))
        network.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise bad_value("a file for LiteRT", f"{path}: {error}", "one that it can open") from None
    (first,), (last,) = network.get_input_details(), network.get_output_details()
    return partial(by_batch, partial(_logits, network, first["index"], last["index"]), tuple(first["shape"]))


def _logits(network, first, last, x):
    network.set_tensor(first, x.numpy())
    network.invoke()
    return torch.from_numpy(network.get_tensor(last))
