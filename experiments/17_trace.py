"""Why is an int8 file not faster? Broken fusions and dynamic quantization in ONNX Runtime, each with a trace.

    python experiments/17_trace.py     (a minute)

One process, one thread. In every round all files run in turn, and each round begins with the next one.
"float again" is a copy of float: how far its ratio is from 1 tells what the others' are worth. Times are
processor time of that thread, not of the clock on the wall: on a busy machine what others do counts less.
Stored are quartiles of milliseconds, and of float's over them within a round. The trace is ONNX Runtime's
own profile: by operator how many nodes, and the milliseconds of a run, each node's median. All int8 files
of a network hold the same integers:

- "int8": as `mcomp.deploy` writes it;
- "idle reshapes": with the reshapings that a folded batch norm leaves, which change no shape;
- "no pair on a skip": without Q and DQ on the residual branch of the second block;
- "half", "half int8": the smaller ResNet of 04_removing_structure.py, half of the MACs;
- "dynamic" (LeNet-5): ONNX Runtime's own weights, and ranges taken anew from every batch.
"""

import json
import os
import tempfile
from pathlib import Path
from time import process_time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import arms
import numpy as np
import onnx
import onnxruntime
import torch
from common import RESULTS, write
from onnxruntime.quantization import quantize_dynamic
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.deploy.floats import floats
from mcomp.deploy.onnxruntime import session
from mcomp.deploy.qdq import qdq
from mcomp.integer import integer_network
from mcomp.structure import fold_batchnorm

ROUNDS = 20
CALLS = {1: 10, 256: 1}  # a time is that of so many calls, by the images in a batch
PROFILED = {1: 40, 256: 9}
SKIP = "block2.skip.0"


def without_pair(proto, tensor):
    """The model without Q and DQ behind a tensor: who reads it gets the floats."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    makers = {node.output[0]: node for node in proto.graph.node}
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            maker = makers.get(name)
            if maker and maker.op_type == "DequantizeLinear" and maker.input[0] == f"{tensor}.q":
                node.input[place] = tensor
    return proto


def dynamic(proto, folder):
    source, target = Path(folder, "float.onnx"), Path(folder, "dynamic.onnx")
    onnx.save(proto, source)
    quantize_dynamic(source, target)
    return onnx.load(target)


def files(name, images, folder):
    """ONNX models by arm."""
    model = fold_batchnorm(zoo.load(name, 0))
    network, proto = integer_network(model, images), floats(model, images[:2])
    made = {"float": proto, "float again": proto, "int8": qdq(network, images.shape)}
    if name == "resnet":
        made["idle reshapes"] = qdq(network, images.shape, tidied=False)
        made["no pair on a skip"] = without_pair(made["int8"], SKIP)
        half = fold_batchnorm(mcomp.load(RESULTS / "04_resnet-half.safetensors"))
        made["half"] = floats(half, images[:2])
        made["half int8"] = qdq(integer_network(half, images), images.shape)
    else:
        made["dynamic"] = dynamic(proto, folder)
    return made


def timed(protos, images):
    """Quartiles by batch and arm: of milliseconds, and of float's over them."""
    sessions, told = {arm: session(p.SerializeToString()) for arm, p in protos.items()}, ({}, {})
    for batch, calls in CALLS.items():
        x, names, taken = images[:batch].numpy(), list(sessions), {arm: [] for arm in sessions}
        for start in range(-2, ROUNDS):  # two rounds to warm up
            at = start % len(names)
            for arm in names[at:] + names[:at]:
                sessions[arm].run(None, {"input": x})  # once to bring its weights into the cache
                begin = process_time()
                for _ in range(calls):
                    sessions[arm].run(None, {"input": x})
                taken[arm].append(1000 * (process_time() - begin) / calls)
        kept = {arm: np.array(t[2:]) for arm, t in taken.items()}
        told[0][str(batch)] = {arm: quartiles(t) for arm, t in kept.items()}
        told[1][str(batch)] = {arm: quartiles(kept["float"] / t) for arm, t in kept.items()}
    return told


def quartiles(values):
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]


def trace(proto, x, runs, folder):
    """By operator: [how many nodes, milliseconds of a run]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "trace"))
    run = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"],
        disabled_optimizers=["WeightBiasQuantization"],
    )  # fmt: skip
    for _ in range(runs):
        run.run(None, {"input": x})
    events = json.loads(Path(run.end_profiling()).read_text("utf-8"))
    nodes, told = {}, {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes.setdefault((event["args"]["op_name"], event["name"]), []).append(event["dur"] / 1000)
    for (operator, _), taken in nodes.items():
        count, total = told.get(operator, (0, 0.0))
        told[operator] = [count + 1, total + float(np.median(taken[2:]))]
    return told


def main():
    torch.set_num_threads(1)
    data, milliseconds, ratios, traces, agree = mcomp.data.load("fashion-mnist"), {}, {}, {}, {}
    images = data.test[0][:256].contiguous()
    with tempfile.TemporaryDirectory() as folder:
        for name in tqdm(("lenet5", "resnet"), unit="network"):
            protos = files(name, data.train[0][:500], folder)
            milliseconds[name], ratios[name] = timed(protos, images)
            traces[name] = {
                str(batch): {arm: trace(p, images[:batch].numpy(), runs, folder) for arm, p in protos.items()}
                for batch, runs in PROFILED.items()
            }
            found = {arm: session(p.SerializeToString()).run(None, {"input": images.numpy()})[0]
                     for arm, p in protos.items()}  # fmt: skip
            agree[name] = {arm: int((found[arm] != found["int8"]).sum()) for arm in found}
    write(
        __file__, question="Why is an int8 file not faster?", network=["lenet5", "resnet"], methods={},
        seeds=(0,), milliseconds=milliseconds, ratios=ratios, traces=traces, differ=agree,
        outputs=2560, onnxruntime=onnxruntime.__version__, machine=arms.machine(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
