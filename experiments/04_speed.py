"""Which kind of pruning saves time? The ResNet dense, masked, 2:4 and really smaller, in two engines.

    python experiments/04_speed.py     (a minute)

One process, one thread. In every round each engine runs all networks in turn, and each round begins with the
next one, so that none always follows the same. "dense again" is a copy of dense: how far its ratio is from 1
tells what the others' are worth. Times are processor time of that thread, not of the clock on the wall: on a
busy machine what others do counts less. Stored are medians with quartiles, of times and of the ratios to
dense within a round. The weights are those of the network as shipped, cut but not trained; no time depends on
them.
"""

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
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, zoo
from mcomp.codecs import NMSparse, attach, bake
from mcomp.measure import macs_by_layer

ROUNDS = 28  # four times as many as there are networks
CALLS = {1: 20, 256: 1}  # a time is that of so many calls, by the images in a batch
RATIO = 0.3
WIDTHS = {
    "conv": 8, "block1.conv1": 16, "block2.conv1": 16, "block2.conv2": 16,
    "block3.conv1": 32, "block3.conv2": 48,
}  # fmt: skip


def networks(images):
    """By name."""
    dense = zoo.load("resnet", 0)
    graph = channels.channel_graph(dense, images[:1])
    scores = channels.l2_scores(dense, graph)
    half = channels.plan_channels(graph, scores, ratio=RATIO)
    pattern = copy.deepcopy(dense)
    attach(pattern, {f"{part}*.weight": NMSparse(2, 4) for part in ("block?.conv", "block?.skip.0", "fc")})
    plans = {
        "half": half,
        "multiples of 8": channels.plan_for_macs(graph, scores, fraction=0.5, multiple=8),
        "engine": channels.plan_widths(graph, scores, WIDTHS),
    }
    zeros = {"masked": channels.zero_channels(dense, half), "2:4": bake(pattern)}
    small = {name: channels.remove_channels(dense, plan) for name, plan in plans.items()}
    return {"dense": dense, "dense again": copy.deepcopy(dense), **zeros, **small}


def session(model, images, path):
    """`model` as an ONNX Runtime session of one thread that takes any batch."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (images[:2],), path, dynamo=True, dynamic_shapes=({0: batch},), external_data=False,
            verbose=False,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # else it warns that the optimised file suits this machine alone
    options.optimized_model_filepath = path.replace(".onnx", ".optimized.onnx")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def blocked(path):
    """How many convolutions ONNX Runtime computes in blocks of channels (NCHWc), and how many there are."""
    nodes = [node for node in onnx.load(path).graph.node if node.op_type in ("Conv", "FusedConv")]
    return [sum(node.domain == "com.microsoft.nchwc" for node in nodes), len(nodes)]


def calls(models, images, folder):
    """What is timed: engine -> name -> a function of the batch; both engines give the same answers.

    Second, by name, what `blocked` says.
    """
    made, blocks = {"torch": models, "onnxruntime": {}}, {}
    for name, model in models.items():
        run = session(model, images, str(Path(folder, "model.onnx")))
        blocks[name] = blocked(Path(folder, "model.optimized.onnx"))
        key = run.get_inputs()[0].name
        made["onnxruntime"][name] = lambda x, run=run, key=key: run.run(None, {key: x.numpy()})[0]
        difference = np.abs(
            made["onnxruntime"][name](images[:64]) - model(images[:64]).detach().numpy()
        ).max()
        assert difference < 1e-3, (name, difference)
    return made, blocks


def timed(made, images):
    """Quartiles, engine -> batch -> name: of milliseconds, and of dense's over them."""
    milliseconds, ratios = ({engine: {} for engine in made} for _ in range(2))
    with torch.no_grad():
        for batch, calls in CALLS.items():
            for engine, functions in made.items():
                taken = rounds(functions, images[:batch], calls)
                milliseconds[engine][str(batch)] = {name: quartiles(t) for name, t in taken.items()}
                ratios[engine][str(batch)] = {
                    name: quartiles(taken["dense"] / t) for name, t in taken.items()
                }
    return milliseconds, ratios


def rounds(functions, x, calls):
    """Milliseconds of one call, an array with one entry a round, by name."""
    names, taken = list(functions), {name: [] for name in functions}
    for start in tqdm(range(-2, ROUNDS), desc=f"{len(x)} images", unit="round"):
        for name in names[start % len(names) :] + names[: start % len(names)]:
            functions[name](x)  # once to bring its weights into the cache
            begin = process_time()
            for _ in range(calls):
                functions[name](x)
            taken[name].append(1000 * (process_time() - begin) / calls)
    return {name: np.array(times[2:]) for name, times in taken.items()}  # two rounds to warm up


def quartiles(values):
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]


def widths(model):
    """Of the six groups, as text."""
    convolutions = (
        model.conv,
        model.block1.conv1,
        model.block2.conv1,
        model.block2.conv2,
        model.block3.conv1,
    )
    return " ".join(str(layer.out_channels) for layer in (*convolutions, model.block3.conv2))


def main():
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # the exporter says which packages it doesn't need
    data = mcomp.data.load("fashion-mnist")
    images = data.test[0][:256].contiguous()
    models = networks(images)
    with tempfile.TemporaryDirectory() as folder:
        made, blocks = calls(models, images, folder)
        milliseconds, ratios = timed(made, images)
    macs = {name: sum(macs_by_layer(model, images[:1]).values()) for name, model in models.items()}
    details = {
        name: {"widths": widths(model), "macs": macs[name], "blocked": blocks[name]}
        for name, model in models.items()
    }
    write(
        __file__,
        question="Which kind of pruning saves time, in torch and in ONNX Runtime?",
        network="resnet",
        methods={},
        seeds=(0,),
        networks=details,
        milliseconds=milliseconds,
        ratios=ratios,
        rounds=ROUNDS,
        calls={str(batch): calls for batch, calls in CALLS.items()},
        ratio=RATIO,
        engine_widths=WIDTHS,
        onnxruntime=onnxruntime.__version__,
        capability=torch.backends.cpu.get_cpu_capability(),
    )


if __name__ == "__main__":
    main()
