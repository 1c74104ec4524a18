"""Which kind of pruning saves time? The ResNet dense, masked, 2:4 and really smaller, in two engines.

    python experiments/04_speed.py     (a minute; after 04_removing_structure.py and 04_longer.py, whose
                                        networks it times)

One process, one thread, all networks in turn in every round. Times are processor time of that thread, not of
the clock on the wall: the same on a quiet machine, and on a busy one what others do doesn't count.
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
from common import RESULTS, read, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, load, save, zoo
from mcomp.codecs import NMSparse, attach, bake
from mcomp.measure import float32_bytes, macs_by_layer
from mcomp.train import evaluate

BATCHES = {1: 100, 256: 30}  # and so many rounds


def networks(images):
    """By name; their weights don't matter for the time, but those of the files are the real ones."""
    dense = zoo.load("resnet", 0)
    graph = channels.channel_graph(dense, images[:1])
    scores = channels.l2_scores(dense, graph)
    half = channels.plan_channels(graph, scores, ratio=read("04_removing_structure_resnet")["ratio"])
    engine = channels.plan_widths(graph, scores, read("04_longer_resnet")["widths"])
    eights = channels.plan_for_macs(graph, scores, fraction=0.5, multiple=8)
    pattern = copy.deepcopy(dense)
    attach(pattern, {f"{part}*.weight": NMSparse(2, 4) for part in ("block?.conv", "block?.skip.0", "fc")})
    small = {}
    for name, plan, file in (("half", half, "half"), ("engine", engine, "longer")):
        shape = channels.remove_channels(dense, plan)
        small[name] = load(RESULTS / f"04_resnet-{file}.safetensors", model=shape)
    masked, eights = channels.zero_channels(dense, half), channels.remove_channels(dense, eights)
    zeros = {"dense": dense, "masked": masked, "2:4": bake(pattern)}
    return {**zeros, "half": small["half"], "multiples of 8": eights, "engine": small["engine"]}


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
    """Median milliseconds: engine -> batch -> name."""
    found = {engine: {} for engine in made}
    with torch.no_grad():
        for batch, rounds in BATCHES.items():
            taken, x = {}, images[:batch]
            for _ in tqdm(range(rounds), desc=f"batch {batch}", unit="round"):
                for engine, functions in made.items():
                    for name, function in functions.items():
                        function(x)  # once to bring its weights into the cache
                        start = process_time()
                        function(x)
                        taken.setdefault((engine, name), []).append(1000 * (process_time() - start))
            for (engine, name), times in taken.items():
                found[engine].setdefault(str(batch), {})[name] = float(np.median(times[3:]))
    return found


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
        milliseconds = timed(made, images)
        sizes = {name: save(model, Path(folder, "model.safetensors")) for name, model in models.items()}
    sizes["dense"] = float32_bytes(models["dense"])
    methods = {
        name: {
            "bytes": [sizes[name]], "accuracy": [evaluate(models[name], data.test)],
            "milliseconds": [milliseconds["torch"]["256"][name]],
        }
        for name in ("dense", "half", "engine")
    }  # fmt: skip
    macs = {name: sum(macs_by_layer(model, images[:1]).values()) for name, model in models.items()}
    details = {
        name: {"widths": widths(model), "macs": macs[name], "blocked": blocks[name]}
        for name, model in models.items()
    }
    write(
        __file__,
        question="Which kind of pruning saves time, in torch and in ONNX Runtime?",
        network="resnet",
        methods=methods,
        seeds=(0,),
        networks=details,
        milliseconds=milliseconds,
        rounds={str(batch): rounds for batch, rounds in BATCHES.items()},
        onnxruntime=onnxruntime.__version__,
        capability=torch.backends.cpu.get_cpu_capability(),
    )


if __name__ == "__main__":
    main()
