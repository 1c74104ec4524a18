"""Model Compression from Scratch: the reference implementation of every method of the course.

`import mcomp` is cheap: a submodule (and torch) is imported when it is first used.
"""

import importlib

__version__ = "0.1.0"

_SUBMODULES = {
    "architectures", "arrays", "asked", "averages", "calling", "chance", "channels", "cli", "codecs",
    "coding", "course", "data", "deploy", "distill", "estimates", "factories", "figures", "file", "files",
    "gpt", "integer", "kept", "language", "layers", "leaderboard", "lowrank", "made", "measure", "merge",
    "multitask", "paired", "pipeline", "plain", "plots", "prune", "ptq", "qat", "quantize", "recipes",
    "search", "sparse_training", "stages", "strangers", "structure", "threads", "trace", "train",
    "transformers", "watch", "zoo",
}  # fmt: skip
_LAZY = {
    "save": "mcomp.file",
    "load": "mcomp.file",
    "CorruptFileError": "mcomp.file",
    "NeedsModelError": "mcomp.file",
    "register": "mcomp.architectures",
    "compress": "mcomp.pipeline",
    "matrices": "mcomp.layers",
}

__all__ = sorted(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"mcomp.{name}")
    raise AttributeError(f"module 'mcomp' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY, *_SUBMODULES})
