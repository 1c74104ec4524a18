"""The networks in every engine that is installed: what becomes a file, and how a file becomes a function.

An arm is an engine with what it gets: floats, integers on mcomp's own scales, or floats whose weights alone
are integers. An engine whose batch is fixed gets a file for each batch.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch

import mcomp
from mcomp import deploy, zoo
from mcomp.integer import integer_network
from mcomp.structure import fold_batchnorm

RESULTS = Path(__file__).resolve().parent / "results"
NETWORKS = {"lenet300": (0, 1, 2), "lenet5": (0, 1, 2), "resnet": (0, 1, 2), "half": (0,)}  # and their seeds
BATCHES = (1, 256)
OWN = ("torch", "torch.compile")  # what needs no file but mcomp's


@dataclass(frozen=True)
class Arm:
    """An engine and what it gets: "float", "int8", or "weights" in int8 alone."""

    engine: str
    kind: str
    suffix: str
    options: dict = field(default_factory=dict)
    fixed: bool = False

    def file(self, folder, name, batch):
        """The path of its file of a network, in a folder."""
        words = [name, *([str(batch)] if self.fixed else []), self.engine, self.kind, *self.options.values()]
        return Path(folder, "-".join(words) + self.suffix)


ARMS = {
    "onnxruntime float": Arm("onnxruntime", "float", ".onnx"),
    "onnxruntime int8": Arm("onnxruntime", "int8", ".onnx"),
    "onnxruntime int8, QOperator": Arm("onnxruntime", "int8", ".onnx", {"form": "qoperator"}),
    "openvino float": Arm("openvino", "float", ".xml"),
    "openvino int8": Arm("openvino", "int8", ".xml"),
    "ncnn float": Arm("ncnn", "float", ".param"),
    "ncnn int8 weights": Arm("ncnn", "weights", ".param"),
    "mnn float": Arm("mnn", "float", ".mnn"),
    "mnn int8 weights": Arm("mnn", "weights", ".mnn"),
    "litert float": Arm("litert", "float", ".tflite", fixed=True),
    "litert int8": Arm("litert", "int8", ".tflite", fixed=True),
    "executorch float": Arm("executorch", "float", ".pte", fixed=True),
    "executorch int8": Arm("executorch", "int8", ".pte", fixed=True),
    "c int8": Arm("c", "int8", ".c"),
}


def network(name, seed):
    """A network of the zoo, or "half": chapter 04's ResNet that lost channels and was trained on."""
    return zoo.load(name, seed) if name != "half" else mcomp.load(RESULTS / "04_resnet-half.safetensors")


def integers(model, data):
    """The network of integers that all engines get."""
    return integer_network(fold_batchnorm(model), data.train[0][:500])


def found():
    """The arms whose engine is installed here, and the engines that aren't, with what `deploy` says."""
    absent = {}
    for name in dict.fromkeys(arm.engine for arm in ARMS.values()):
        try:
            deploy.engine(name)
        except ValueError as error:
            absent[name] = str(error)
    return {name: arm for name, arm in ARMS.items() if arm.engine not in absent}, absent


def export(arm, model, whole, path, *, data, batch):
    """Write a network, `model` in floats and `whole` in integers, for an arm; a ValueError if it refuses."""
    options = arm.options | ({"batch": batch} if arm.fixed else {})
    if arm.kind == "weights":
        options["calibration"] = data.train[0][:500]
    source = whole if arm.kind == "int8" else model
    return deploy.export(arm.engine, source, path, example=data.train[0][:8], **options)


def opened(name, path, model):
    """An arm as a function: images (n, ...) -> logits (n, classes), tensors, one thread."""
    if name == "torch":
        return model
    if name == "torch.compile":
        warnings.filterwarnings("ignore")
        return torch.compile(model, dynamic=False, options={"freezing": True})
    return deploy.engine(ARMS[name].engine).opened(path)


def in_batches(function, x, batch=256):
    """The logits of all images."""
    return torch.cat([function(part) for part in x.split(batch)])


def memory():
    """The memory that this process has now, and the most since `forget_peak`, of Linux; bytes."""
    text = Path("/proc/self/status").read_text()
    return [1024 * int(text.split(f"{key}:")[1].split()[0]) for key in ("VmRSS", "VmHWM")]


def forget_peak():
    """The most memory counts anew from here."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def versions():
    """Of the engines, as their packages tell."""
    from importlib import metadata

    names = ("onnxruntime", "openvino", "ncnn", "MNN", "ai-edge-litert", "litert-torch", "executorch")
    known = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    return {name: known[name.lower()] for name in names if name.lower() in known}


def machine():
    """The processor's name, which instructions for integers it has, and how many there are."""
    from platform import machine, processor

    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    flags = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_bf16", "amx_bf16")
    return {
        "processor": names[0] if names else processor() or machine(),
        "processors": os.cpu_count(),
        "flags": [flag for flag in wanted if flag in flags],
        "vnni": bool(flags & {"avx512_vnni", "avx_vnni"}),
    }
