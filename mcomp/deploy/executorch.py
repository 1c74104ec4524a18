"""ExecuTorch: one .pte file whose operators XNNPACK runs, float or int8; it takes batches of one size only.

An int8 network is exported as float operations between pairs with mcomp's own scales (`mcomp.deploy.pairs`),
which is what its quantizer would leave. The converter runs in a process of its own.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime, Verification

from mcomp.arrays import bad_value, check_int
from mcomp.deploy.agree import check_agrees, intended
from mcomp.deploy.apart import apart
from mcomp.deploy.checks import check_path
from mcomp.deploy.exported import by_batch, exported
from mcomp.deploy.pairs import Pairs

__all__ = ["export", "loaded", "run"]


def export(model, path, *, example, calibration=None, batch=1):
    """Write a network as a .pte file that ExecuTorch was seen to run like mcomp.

    Parameters and errors as of `mcomp.deploy.onnxruntime.export`, but `path` ends in .pte.

    Parameters
    ----------
    batch : int
        How many images the file takes at once; `run` cuts what it gets into such batches.

    Returns
    -------
    path : Path
    """
    path, batch = check_path(path, (".pte",)), check_int("batch", batch, 1)
    network, goal = intended(model, example, calibration)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
        made = Path(folder, "net.pte")
        source = model if network is None else Pairs(network)
        source = exported(source, example, batch, Path(folder, "net.pt2"))
        apart("executorch", "mcomp.deploy.executorch_convert", source, made, log=path.with_suffix(".log"))
        check_agrees("executorch", run(made, example), goal)
        os.replace(made, path)
    return path


def run(path, x):
    """The logits (n, classes) that ExecuTorch computes from the file, on one thread, as a tensor."""
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file as a function, loaded once: images (n, ...) -> logits (n, classes), tensors.

    ExecuTorch has one pool of threads for all files: the last word counts.
    """
    portable_lib._unsafe_reset_threadpool(check_int("threads", threads, 1))
    try:
        method = Runtime.get().load_program(Path(path), verification=Verification.InternalConsistency)
        method = method.load_method("forward")
    except RuntimeError as error:
        raise bad_value("a file for ExecuTorch", f"{path}: {error}", "one that it can open") from None
    shape = tuple(method.metadata.input_tensor_meta(0).sizes())
    return partial(by_batch, lambda x: method.execute([x])[0], shape)
