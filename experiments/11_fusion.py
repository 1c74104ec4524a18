"""What does fusing save: nodes, bytes, milliseconds? ONNX Runtime by its levels, a RepVGG before and after.

    python experiments/11_fusion.py     (half a minute of computing)

One process, one thread, processor time. Within a group the networks take turns, and each round begins with
the next one. Stored are quartiles over the rounds, of milliseconds and of the first network's time over the
others'. The graph of the shipped ResNet is exported with its batch norms, then optimized by ONNX Runtime at
each of its levels; every node's inputs and outputs are counted, each moved once (chapter 01). What a
RepVGG-like network, a separable ResNet or a shorter tower computes doesn't matter here: their weights are
random or cut, not trained.
"""

import collections
import copy
import logging
import os
import tempfile
import warnings
from pathlib import Path
from time import process_time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
import onnxruntime
import torch
from common import write
from torch import nn
from torch.nn import functional as F
from towers import Tower, macs

import mcomp.data
from mcomp import structure, zoo
from mcomp.measure import largest_difference
from mcomp.structure import fold_batchnorm

ROUNDS, CALLS = 32, {1: 10, 64: 1}  # a time is that of so many calls, by the images in a batch
LEVELS = ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL")
VIEWS = ("Identity", "Flatten")  # nodes that move nothing


class RepBlock(nn.Module):
    """A 3 x 3, a 1 x 1 and, where shapes allow it, the input, each with a batch norm; then ReLU."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.dense = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.point = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.same = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None

    def forward(self, x):
        y = self.bn1(self.dense(x)) + self.bn2(self.point(x))
        return F.relu(y if self.same is None else y + self.same(x))


def rep_net():
    """Six such blocks with statistics as after training: not 0 and 1."""
    torch.manual_seed(0)
    sizes = [(1, 16, 2), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
    net = nn.Sequential(
        *[RepBlock(*size) for size in sizes], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    )
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.uniform_(-0.5, 0.5)
    return net.eval()


def merged(net):
    for name, reason in structure.unmerged_branches(net).items():
        if not reason:
            net = structure.merge_branches(net, name)
    return net


def exported(model, path):
    """The graph as it is, batch norms and all; any batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.zeros(2, 1, 28, 28),), path, dynamo=False, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE, input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip


def session(path, level, saved=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # else it warns that the optimized file suits this machine alone
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
    if saved:
        options.optimized_model_filepath = str(saved)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def counted(path, x):
    """Of an optimized graph: its nodes by operator, and the bytes that they move for the batch `x`."""
    model = onnx.load(path)
    nodes, nbytes = list(model.graph.node), {}
    for tensor in model.graph.initializer:
        nbytes[tensor.name] = onnx.numpy_helper.to_array(tensor).nbytes
    known, extra = {v.name for v in model.graph.output}, path.with_suffix(".all.onnx")
    names = [name for node in nodes for name in node.output if name and name not in known]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    onnx.save(model, extra)
    run = session(extra, "DISABLE_ALL")
    found = zip([v.name for v in run.get_outputs()], run.run(None, {"x": x.numpy()}), strict=True)
    nbytes |= {name: value.nbytes for name, value in found} | {"x": x.numpy().nbytes}
    moving = [node for node in nodes if node.op_type not in VIEWS]
    kinds = collections.Counter(node.op_type for node in nodes)
    moved = sum(nbytes.get(name, 0) for node in moving for name in (*node.input, *node.output))
    return {"nodes": len(nodes), "kinds": dict(kinds), "bytes": moved}


def levels(model, images, folder):
    """By level: a function of the batch, and what its graph has."""
    path, functions, graphs = folder / "resnet.onnx", {}, {}
    exported(model, path)
    for level in LEVELS:
        saved = folder / f"{level}.onnx"
        run = session(path, level, saved)
        functions[level] = lambda x, run=run: run.run(None, {"x": x.numpy()})[0]
        graphs[level] = {str(n): counted(saved, images[:n]) for n in CALLS}
    return functions, graphs


def in_engines(models, folder):
    """torch and ONNX Runtime (all optimizations) on each of several networks."""
    runtime = {}
    for name, model in models.items():
        exported(model, folder / "model.onnx")
        run = session(folder / "model.onnx", "ENABLE_ALL")
        runtime[name] = lambda x, run=run: run.run(None, {"x": x.numpy()})[0]
    return {"torch": models, "onnxruntime": runtime}


def timed(functions, images):
    """By batch and name: quartiles of milliseconds, and of the first's time over this one's."""
    names, found = list(functions), {}
    for batch, calls in CALLS.items():
        taken, x = {name: [] for name in names}, images[:batch].contiguous()
        for start in range(-2, ROUNDS):
            for name in names[start % len(names) :] + names[: start % len(names)]:
                functions[name](x)  # once to bring its weights into the cache
                begin = process_time()
                for _ in range(calls):
                    functions[name](x)
                taken[name].append(1000 * (process_time() - begin) / calls)
        times = {name: np.array(values[2:]) for name, values in taken.items()}  # two rounds to warm up
        found[str(batch)] = {
            name: {"ms": quartiles(t), "times as fast": quartiles(times[names[0]] / t)}
            for name, t in times.items()
        }
    return found


def quartiles(values):
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]


def main():
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    images = mcomp.data.load("fashion-mnist").test[0][:64]
    resnet, rep, tower = zoo.load("resnet", 0), rep_net(), Tower(9, 16).eval()
    layers = [f"block{i}.conv{j}" for i in (1, 2, 3) for j in (1, 2)]
    groups = {
        "repvgg": {"branches": rep, "folded": fold_batchnorm(rep), "merged": merged(rep)},
        "resnet": {
            "whole": resnet, "folded": fold_batchnorm(resnet),
            "one block less": structure.drop(resnet, ["block1"], x=images[:2]),
            "separable": structure.separable(resnet, layers),
        },
        "tower": {
            "nine blocks": tower,
            "six blocks": structure.drop(tower, [f"blocks.{i}" for i in (6, 7, 8)], x=images[:2]),
        },
    }  # fmt: skip
    exact, speed = copy.deepcopy(rep).double(), {}
    difference = largest_difference(exact, merged(exact), images[:8])
    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        functions, graphs = levels(resnet, images, Path(name))
        reference = resnet(images).numpy()
        for function in functions.values():
            assert np.abs(function(images) - reference).max() < 1e-3
        speed["levels"] = {"onnxruntime": timed(functions, images)}
        for group, models in groups.items():
            made = in_engines(models, Path(name))
            speed[group] = {engine: timed(functions, images) for engine, functions in made.items()}
    ratio = speed["repvgg"]["torch"]["1"]["merged"]["times as fast"]
    print(f"RepVGG merged: {difference:.1e} relative, {ratio[1]:.2f} times as fast at batch 1 ({ratio})")
    write(
        __file__, question="What does fusing save: nodes, bytes, milliseconds?", network="resnet",
        methods={}, seeds=(0,), graphs=graphs, speed=speed, difference=difference, rounds=ROUNDS,
        macs={group: {n: macs(m, images) for n, m in models.items()} for group, models in groups.items()},
        onnxruntime=onnxruntime.__version__, capability=torch.backends.cpu.get_cpu_capability(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
