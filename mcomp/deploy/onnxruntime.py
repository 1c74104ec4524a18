"""ONNX Runtime: one .onnx file, float or int8.

Two things ONNX Runtime does by itself would make it another network, so `session` turns them off; a session
of your own needs the same options. An x86 processor without VNNI adds pairs of products of uint8 and int8 in
16 bits, where they may saturate (`saturates`): ``session.x64quantprecision`` asks for kernels that don't, and
that are slower everywhere. And where a layer reads its input from a grid, the optimizer
WeightBiasQuantization rounds weights and biases that the file holds as floats, on scales of its own.
"""

import functools
import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported

import numpy as np
import onnxruntime
import torch

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, written
from mcomp.deploy.checks import check_path
from mcomp.deploy.graph import Graph
from mcomp.files import write_atomic

__all__ = ["export", "loaded", "run", "saturates", "session"]


def export(model, path, *, example, calibration=None, form="qdq"):
    """Write a network as an .onnx file that ONNX Runtime was seen to run like mcomp.

    Parameters
    ----------
    model : torch.nn.Module or mcomp.integer.network.IntegerNetwork
        A float network, one with learned or calibrated grids, or one of integers. Not changed.
    path : path
        Ends in .onnx; its folder exists.
    example : tensor (n, ...)
        Images that the network takes: the file has to give on them what the network gives.
    calibration : tensor (n, ...), optional
        Training images, 32 at least: with them a float network is written in int8, on the grids of
        `mcomp.integer.integer_network`.
    form : "qdq" or "qoperator"
        How an int8 network is written: floats between Q and DQ, or the integer operators themselves.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If an operation can't be written (by the layer's name), the path or the images are no good, or the
        engine computes something else. Nothing is written then.
    """
    path = check_path(path, (".onnx",))
    proto, goal = written(model, example, calibration, form=form)
    raw = proto.SerializeToString()
    check_agrees("onnxruntime", _function(session(raw))(example), goal)
    return write_atomic(path, raw)


def run(path, x):
    """The logits (n, classes) that ONNX Runtime computes from the file, on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file as a function, loaded once: images (n, ...) -> logits (n, classes), tensors."""
    return _function(session(str(path), threads=threads))


def session(source, *, threads=1, exact=True):
    """An inference session of a path or of the bytes of a model.

    Parameters
    ----------
    source : str or bytes
    threads : int
    exact : bool
        Whether it computes what the file says, see above.
    """
    return _session(source, threads, exact=exact, wide=exact and saturates())


@functools.cache
def saturates():
    """Whether sums of uint8 by int8 saturate on this processor: tried on one, 64 products of 255 and 127."""
    return int(_session(_probe(), 1, exact=True, wide=False).run(None, {"input": _FULL})[0].max()) != 200


_FULL = np.full((1, 64), 255, np.uint8)


def _probe():
    """The bytes of a model whose result is 200 where nothing saturates."""
    graph, zero = Graph(), np.uint8(0)
    x, w = graph.constants("x", s=np.float32(1), z=zero), np.full((64, 16), 127, np.int8)
    w = graph.constants("w", w=w, s=np.ones(16, np.float32), z=np.zeros(16, np.int8))
    y = graph.constants("y", s=np.float32(64 * 255 * 127 / 200), z=zero)
    graph.add("QLinearMatMul", ["input", *x, *w, *y], "logits")
    return graph.proto(_FULL.shape, 2, kind="uint8").SerializeToString()


def _session(source, threads, *, exact, wide):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = check_int("threads", threads, 1)
    options.log_severity_level = 3  # else it warns of constants that a node doesn't read
    options.add_session_config_entry("session.x64quantprecision", "1" if wide else "0")
    try:
        return onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"],
            disabled_optimizers=["WeightBiasQuantization"] if exact else [],
        )  # fmt: skip
    except Exception as error:  # onnxruntime has classes of its own, all derived from Exception
        what = source if isinstance(source, str) else "the model"
        raise bad_value("a file for ONNX Runtime", f"{what}: {error}", "one that it can open") from None


def _function(session):
    (first,), (last,) = session.get_inputs(), session.get_outputs()  # asked once: each call would pay for it
    return functools.partial(_logits, session, first.name, first.type, [last.name])


def _logits(session, first, kind, last, x):
    try:
        (out,) = session.run(last, {first: np.ascontiguousarray(x.detach().numpy())})
    except Exception as error:
        allowed = f"what the file takes, {kind}"
        raise bad_value(f"images of shape {tuple(x.shape)}", str(error), allowed) from None
    return torch.from_numpy(out)
