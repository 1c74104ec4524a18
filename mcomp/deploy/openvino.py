"""OpenVINO: an .xml file and a .bin file beside it, float or int8.

OpenVINO computes in bfloat16 by itself where the processor can; `run` asks for float32, on one thread. Its
converter runs in a process of its own, so that one that dies takes nothing with it.

Reshapings that do nothing stay in the file (`mcomp.deploy.tidy`): without them OpenVINO joins a convolution
with the addition behind it, one rounding is gone, and half of the outputs are others.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import openvino
import torch

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, written
from mcomp.deploy.apart import apart
from mcomp.deploy.checks import check_path

__all__ = ["compiled", "export", "loaded", "run"]


def export(model, path, *, example, calibration=None):
    """Write a network as an .xml and a .bin file that OpenVINO was seen to run like mcomp.

    Parameters and errors as of `mcomp.deploy.onnxruntime.export`, but `path` ends in .xml.

    Returns
    -------
    path : Path
        Of the .xml file; the weights are in the .bin file of the same name.
    """
    path = check_path(path, (".xml",))
    proto, goal = written(model, example, calibration, tidied=False)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        source, made = Path(folder, "net.onnx"), Path(folder, "net.xml")
        source.write_bytes(proto.SerializeToString())
        apart("openvino", "mcomp.deploy.openvino_convert", source, made, log=path.with_suffix(".log"))
        check_agrees("openvino", run(made, example), goal)
        os.replace(made.with_suffix(".bin"), path.with_suffix(".bin"))  # the .xml last: it means a whole pair
        os.replace(made, path)
    return path


def run(path, x):
    """The logits (n, classes) that OpenVINO computes from the file, in float32 on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file as a function, loaded once: images (n, ...) -> logits (n, classes), tensors."""
    return partial(_logits, compiled(path, threads=threads))


def compiled(path, *, threads=1, precision="f32"):
    """The file compiled for this processor.

    Parameters
    ----------
    path : path
    threads : int
    precision : "f32" or "bf16"
        Of what isn't in integers.
    """
    options = {
        "INFERENCE_NUM_THREADS": check_int("threads", threads, 1),
        "INFERENCE_PRECISION_HINT": precision,
    }
    try:
        return openvino.Core().compile_model(str(path), "CPU", options)
    except RuntimeError as error:
        raise bad_value("a file for OpenVINO", f"{path}: {error}", "one that it can open") from None


def _logits(network, x):
    try:
        out = network(np.ascontiguousarray(x.detach().numpy()))[0]
    except RuntimeError as error:
        raise bad_value(f"images of shape {tuple(x.shape)}", str(error), "what the file takes") from None
    return torch.from_numpy(np.array(out))
