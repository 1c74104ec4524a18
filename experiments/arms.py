"""The networks in every engine that is installed: what becomes a file, and how a file becomes a function.

An arm is an engine with what it gets: floats, integers on mcomp's own scales, or floats whose weights alone
are integers. An engine whose batch is fixed gets a file for each batch.
"""

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

import mcomp
from mcomp import deploy, zoo
from mcomp.integer import integer_network
from mcomp.structure import fold_batchnorm

RESULTS = Path(__file__).resolve().parent / "results"
SEEDS = (0, 1, 2)
NETWORKS = {
    "lenet300": SEEDS, "lenet5": SEEDS, "slim": SEEDS, "resnet": SEEDS, "half": (0,), "empty": (0,),
}  # fmt: skip
BATCHES = (1, 256)
YARDSTICK = "torch, LeNet-5"  # in the rounds of every network: what its times are compared with
OWN = ("torch", "torch.compile", YARDSTICK)  # what needs no file but mcomp's


@dataclass(frozen=True)
class Arm:
    """An engine and what it gets: "float", "int8", "weights" in int8 alone, or "dynamic" (see `export`).

    `grids` are those of the integer network that it gets, if any; `fixed`: a file takes one batch only.
    """

    engine: str
    kind: str
    suffix: str
    options: dict = field(default_factory=dict)
    fixed: bool = False
    grids: str | None = None

    def batches(self, seed):
        """Of which batches there are files: only of seed 0 is the time taken, one by one."""
        return BATCHES[1 if seed else 0 :] if self.fixed else BATCHES[:1]

    def file(self, folder, name, batch):
        """The path of its file of a network, in a folder."""
        words = [name, *([str(batch)] if self.fixed else []), self.engine, self.kind, *self.options.values()]
        return Path(folder, "-".join(words) + self.suffix)


ARMS = {
    "onnxruntime float": Arm("onnxruntime", "float", ".onnx"),
    "onnxruntime int8": Arm("onnxruntime", "int8", ".onnx", grids="plain"),
    "onnxruntime int8, QOperator": Arm("onnxruntime", "int8", ".onnx", {"form": "qoperator"}, grids="plain"),
    "onnxruntime dynamic": Arm("onnxruntime", "dynamic", ".onnx"),
    "openvino float": Arm("openvino", "float", ".xml"),
    "openvino int8": Arm("openvino", "int8", ".xml", grids="plain"),
    "openvino float, one batch": Arm("openvino", "float", ".xml", fixed=True),
    "openvino int8, one batch": Arm("openvino", "int8", ".xml", fixed=True, grids="plain"),
    "ncnn float": Arm("ncnn", "float", ".param"),
    "ncnn int8": Arm("ncnn", "int8", ".param", grids="symmetric"),
    "mnn float": Arm("mnn", "float", ".mnn"),
    "mnn int8 weights": Arm("mnn", "weights", ".mnn"),
    "litert float": Arm("litert", "float", ".tflite", fixed=True),
    "litert int8": Arm("litert", "int8", ".tflite", fixed=True, grids="plain"),
    "executorch float": Arm("executorch", "float", ".pte", fixed=True),
    "executorch int8": Arm("executorch", "int8", ".pte", fixed=True, grids="plain"),
    "c int8": Arm("c", "int8", ".c", grids="plain"),
}


def network(name, seed):
    """A network of the zoo; "half": chapter 04's smaller ResNet; "slim": a LeNet-5 of 17_slim.py.

    "empty" is hardly anything, to time a call.
    """
    if name == "empty":
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    smaller = {"half": "04_resnet-half.safetensors", "slim": f"17_slim-{seed}.safetensors"}
    return mcomp.load(RESULTS / smaller[name]) if name in smaller else zoo.load(name, seed)


def integers(model, data):
    """The networks of integers, by the kind of their grids: all engines get the same."""
    folded, x = fold_batchnorm(model), data.train[0][:500]
    return {
        kind: integer_network(folded, x, symmetric=kind == "symmetric") for kind in ("plain", "symmetric")
    }


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
    """Write a network, `model` in floats and `whole` in integers, for an arm; a ValueError if it refuses.

    "dynamic" is ONNX Runtime's own: weights in int8, and scales of activations found in every run.
    """
    options = arm.options | ({"batch": batch} if arm.fixed else {})
    if arm.kind == "weights":
        options["calibration"] = data.train[0][:500]
    source = whole[arm.grids] if arm.grids else model
    deploy.export(arm.engine, source, path, example=data.train[0][:8], **options)
    if arm.kind == "dynamic":
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(str(path), str(path), op_types_to_quantize=["Conv", "MatMul", "Gemm"])


def loaded(name, path, model):
    """An arm as a function: images (n, ...) -> logits (n, classes), tensors, one thread."""
    if name == "torch":
        return model
    if name == YARDSTICK:
        return zoo.load("lenet5", 0)
    if name == "torch.compile":
        warnings.filterwarnings("ignore")
        return torch.compile(model, dynamic=False, options={"freezing": True})
    return deploy.engine(ARMS[name].engine).loaded(path)


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
