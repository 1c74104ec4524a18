"""OpenVINO: an .xml file and a .bin file beside it, float or int8.

OpenVINO computes in bfloat16 by itself where the processor can; `run` asks for float32, on one thread. Its
converter runs in a process of its own, so that one that dies takes nothing with it.

On an x86 processor without VNNI its integer kernels add pairs of products in 16 bits, where they may saturate
(`saturates`), and it has no other kernels. There `compiled` gives it the weights as floats, so that there are
no integers to join: it computes in floats between the pairs, which is exact but for roundings, and slower.

Reshapings that do nothing stay in the file (`mcomp.deploy.tidy`): without them OpenVINO joins a convolution
with the addition behind it, one rounding is gone, and half of the outputs are others.
"""

import functools
import os
import tempfile
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import openvino
import torch
from openvino.passes import ConstantFolding, Manager
from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, written
from mcomp.deploy.apart import apart
from mcomp.deploy.checks import check_path
from mcomp.deploy.exported import by_batch
from mcomp.deploy.qdq import qdq
from mcomp.integer.network import integer_network

__all__ = ["compiled", "export", "loaded", "run", "saturates"]


def export(model, path, *, example, calibration=None, batch=None):
    """Write a network as an .xml and a .bin file that OpenVINO was seen to run like mcomp.

    Parameters and errors as of `mcomp.deploy.onnxruntime.export`, but `path` ends in .xml.

    Parameters
    ----------
    batch : int, optional
        How many images the file takes at once; `run` cuts what it gets into such batches. Unless given, any
        number. OpenVINO plans for what it knows: one image of a small network is faster with 1.

    Returns
    -------
    path : Path
        Of the .xml file; the weights are in the .bin file of the same name.
    """
    path, size = check_path(path, (".xml",)), [] if batch is None else [check_int("batch", batch, 1)]
    proto, goal = written(model, example, calibration, tidied=False)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        source, made = Path(folder, "net.onnx"), Path(folder, "net.xml")
        source.write_bytes(proto.SerializeToString())
        apart("openvino", "mcomp.deploy.openvino_convert", source, made, *size, log=path.with_suffix(".log"))
        check_agrees("openvino", run(made, example), goal)
        os.replace(made.with_suffix(".bin"), path.with_suffix(".bin"))  # the .xml last: it means a whole pair
        os.replace(made, path)
    return path


def run(path, x):
    """The logits (n, classes) that OpenVINO computes from the file, in float32 on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file as a function, loaded once: images (n, ...) -> logits (n, classes), tensors.

    It has one request, which keeps its buffers from call to call; calls from several threads wait for each
    other, and the logits are the caller's own.
    """
    network = compiled(path, threads=threads)
    request, shape = network.create_infer_request(), network.inputs[0].partial_shape
    if shape.is_dynamic:
        return functools.partial(_logits, request, Lock())
    run = functools.partial(_copied, request, request.get_input_tensor(), Lock())
    return functools.partial(by_batch, run, tuple(shape.to_shape()))


def compiled(path, *, threads=1, precision="f32"):
    """The file compiled for this processor; no sum of its integers saturates.

    Parameters
    ----------
    path : path
    threads : int
    precision : "f32" or "bf16"
        Of what isn't in integers.
    """
    threads = check_int("threads", threads, 1)
    try:
        return _compiled(str(path), threads, precision, joined=not saturates())
    except RuntimeError as error:
        raise bad_value("a file for OpenVINO", f"{path}: {error}", "one that it can open") from None


@functools.cache
def saturates():
    """Whether sums of uint8 by int8 saturate on this processor: tried on one, 64 products of 255 and 127."""
    layer, x = nn.utils.skip_init(nn.Linear, 64, 16), torch.stack([torch.zeros(64), torch.ones(64)])
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    model = qdq(integer_network(nn.Sequential(layer), x), x.shape)
    network = _compiled(BytesIO(model.SerializeToString()), 1, "f32", joined=True)
    return bool(abs(network(x.numpy())[0][1] - 64).max() > 1)  # a step is 64/255


def _compiled(source, threads, precision, *, joined):
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    core = openvino.Core()
    network = core.read_model(source)
    if not joined:  # not by its LP_TRANSFORMS_MODE: integer weights ask for kernels that old processors lack
        passes = Manager()
        passes.register_pass(ConstantFolding())
        passes.run_passes(network)
    return core.compile_model(network, "CPU", options)


def _logits(request, lock, x):
    images = np.ascontiguousarray(x.detach().numpy(), np.float32)
    try:
        with lock:  # read where they lie; the result is copied before the next call may write there
            request.set_input_tensor(openvino.Tensor(images, shared_memory=True))
            request.infer(share_outputs=True)
            out = request.get_output_tensor().data.copy()
    except RuntimeError as error:
        raise bad_value(f"images of shape {tuple(x.shape)}", str(error), "what the file takes") from None
    return torch.from_numpy(out)


def _copied(request, images, lock, x):
    """The logits of a batch that fits: copied into the request's own tensor, which it needn't check anew."""
    with lock:
        np.copyto(images.data, x.numpy())
        request.infer(share_outputs=True)
        return torch.from_numpy(request.get_output_tensor().data.copy())
