"""A network where it has to run: files for other engines, and running them (chapters 17 and 18).

A module an engine, one shape: ``export(model, path, *, example, calibration=None)`` writes a file, and
``run(path, x)`` gives its logits. `export` and `run` here take the engine's name; importing this needs none
of the engines. A format that has no word for zeros or shared values holds them like any other numbers.
"""

import importlib
from pathlib import Path

from mcomp.arrays import bad_value

__all__ = ["ENGINES", "INTEGERS", "engine", "export", "nbytes", "run"]

ENGINES = {  # name: the module, and the packages that it needs
    "onnxruntime": ("mcomp.deploy.onnxruntime", ("onnx", "onnxruntime")),
    "openvino": ("mcomp.deploy.openvino", ("onnx", "openvino")),
    "ncnn": ("mcomp.deploy.ncnn", ("onnx", "ncnn", "pnnx")),
    "mnn": ("mcomp.deploy.mnn", ("onnx", "MNN")),
    "tensorrt": ("mcomp.deploy.tensorrt", ("onnx",)),
    "litert": ("mcomp.deploy.litert", ("ai_edge_litert", "litert_torch")),
    "executorch": ("mcomp.deploy.executorch", ("executorch",)),
    "c": ("mcomp.deploy.c", ()),
    "html": ("mcomp.deploy.html", ()),
    "gguf": ("mcomp.deploy.gguf", ()),
}

LARGE = ("litert", "executorch")  # two gigabytes: an extra of their own
INTEGERS = ("tensorrt", "c", "html")  # these always need the ranges of a network of integers


def engine(name):
    """The module of an engine.

    Raises
    ------
    ValueError
        If there is none of that name, or a package that it needs isn't installed: says which extra has it.

    Examples
    --------
    >>> engine("tflite")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: engine is 'tflite'; allowed: onnxruntime, openvino, ncnn, ...
    """
    if name not in ENGINES:
        raise bad_value("engine", name, ", ".join(ENGINES))
    module, packages = ENGINES[name]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        extra = "deploy-large" if name in LARGE else "deploy"
        allowed = f"an engine whose packages are installed; pip install 'mcomp[{extra}]'"
        raise bad_value("engine", f"{name}, which needs {error.name}", allowed) from None


def export(name, model, path, *, example, calibration=None, **options):
    """Write `model` for the engine `name`; returns the path. See the engine's own `export`."""
    return engine(name).export(model, path, example=example, calibration=calibration, **options)


def run(name, path, x):
    """The logits (n, classes) that the engine `name` computes from the file at `path`, as a tensor."""
    return engine(name).run(path, x)


def nbytes(path):
    """The bytes of what `export` wrote: of an .xml or .param file, the weights beside it included."""
    path = Path(path)
    parts = [path, path.with_suffix(".bin")] if path.suffix in (".xml", ".param") else [path]
    return sum(part.stat().st_size for part in parts)
