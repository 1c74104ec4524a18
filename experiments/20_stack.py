"""What does each method add when they are stacked? Bytes, accuracy, latency, and Amdahl's limit.

    python experiments/20_stack.py lenet300      (about a minute on one core)
    python experiments/20_stack.py lenet5        (about three)

Distil, narrow, factorize, prune, quantize, in this order, each followed by the same training; three seeds.
The latency is that of torch in one thread, for one image and for 256. What no method can make faster is
measured with the same network at a width of one unit: its layers are called, hardly anything is computed.
"""

import sys

import torch
from common import by_seed, file_size, write

import mcomp.data
from mcomp import channels, zoo
from mcomp.measure import count_parameters, float32_bytes, latency, macs_by_layer
from mcomp.search import Candidate
from mcomp.search.stages import carry_out
from mcomp.train import evaluate

SEEDS, EPOCHS, IMAGES, LR = (0, 1, 2), 15, 6_000, 0.002
STACK = ("distil", "narrow", "factorize", "prune", "quantize")
PRUNED = {
    "lenet300": {"fc1": 0.8, "fc2": 0.6, "fc3": 0.3},
    "lenet5": {"conv1": 0.2, "conv2": 0.6, "fc1": 0.9, "fc2": 0.5},
}


def candidate(name):
    layers = PRUNED[name]
    values = dict.fromkeys(layers, 6)
    return Candidate(STACK, width=0.5, rank=0.3, sparsity=layers, values=values, teacher="resnet", lr=LR)


def empty(model, x):
    """The same layers, one unit wide: what a call costs without its arithmetic."""
    graph = channels.channel_graph(model, x)
    widths = dict.fromkeys(graph.groups, 1)
    plan = channels.plan_widths(graph, channels.l2_scores(model, graph), widths)
    return channels.remove_channels(model, plan)


def figures(model, nbytes, x):
    return {
        "bytes": nbytes,
        "parameters": count_parameters(model, nonzero=True),
        "macs": sum(macs_by_layer(model, x[:1]).values()),
        "milliseconds": latency(model, x[:1], runs=300, progress=False).median_ms,
        "milliseconds_256": latency(model, x[:256], runs=40, progress=False).median_ms,
    }


def one_seed(name, seed, data):
    """The rows of one seed: the network as it was, after each method, and with nothing to compute."""
    model, x, rows = zoo.load(name, seed), data.test[0], {}

    def add(label, network, nbytes):
        rows[label] = figures(network, nbytes, x) | {"accuracy": evaluate(network, data.test)}

    add("float32", model, float32_bytes(model))
    watch = lambda method, network: add(method, network, file_size(network))  # noqa: E731
    carry_out(model, candidate(name), data, epochs=EPOCHS, seed=seed, watch=watch)
    bare = empty(model, x[:1])
    add("one unit", bare, file_size(bare))
    return rows


def main(name):
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    found = [one_seed(name, seed, data) for seed in SEEDS]
    write(
        __file__,
        question="What does each method add when they are stacked?",
        network=name,
        methods=by_seed(found),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=IMAGES,
        candidate=candidate(name).to_dict(),
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lenet300")
