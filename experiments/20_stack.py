"""What does each method add when they are stacked? Bytes, accuracy, latency, and Amdahl's limit.

    python experiments/20_stack.py lenet300      (about a minute on one core)
    python experiments/20_stack.py lenet5        (about four)

Distil, narrow, factorize, prune, quantize, in this order, each followed by the same training; three seeds.
The stack has the learning rate that validation images prefer on seed 0. The control is the whole network,
trained as long as all stages, at the same rate. The first step down is the file
format alone: the float network, nothing lost. The latency is that of torch in one thread, for one image and
for 256: all networks in turn, five rounds, the least of the medians. What no method can make faster is
measured with the same network at a width of one unit: its layers are called, hardly anything is computed.
"""

import copy
import sys

import torch
from common import by_seed, file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, zoo
from mcomp.measure import count_parameters, float32_bytes, latency, macs_by_layer
from mcomp.search import Candidate
from mcomp.search.stages import carry_out
from mcomp.train import evaluate, fit

SEEDS, EPOCHS, IMAGES, ROUNDS = (0, 1, 2), 10, 4_000, 5
GRID = (0.0005, 0.001, 0.002, 0.004)
STACK = ("distil", "narrow", "factorize", "prune", "quantize")
PRUNED = {
    "lenet300": {"fc1": 0.8, "fc2": 0.6, "fc3": 0.3},
    "lenet5": {"conv1": 0.2, "conv2": 0.6, "fc1": 0.9, "fc2": 0.5},
}


def candidate(name, lr):
    layers = PRUNED[name]
    values = dict.fromkeys(layers, 6)
    return Candidate(STACK, width=0.5, rank=0.3, sparsity=layers, values=values, teacher="resnet", lr=lr)


def stacked(name, lr, seed, data):
    """The network after each method, by name."""
    found = {}
    watch = lambda method, network: found.setdefault(method, copy.deepcopy(network))  # noqa: E731
    carry_out(zoo.load(name, seed), candidate(name, lr), data, epochs=EPOCHS, seed=seed, watch=watch)
    return found


def control(name, lr, seed, data):
    """The whole network, trained as long."""
    model = zoo.load(name, seed)
    fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
    return {"control": model}


def empty(model, x):
    """The same layers, one unit wide: what a call costs without its arithmetic."""
    graph = channels.channel_graph(model, x)
    widths = dict.fromkeys(graph.groups, 1)
    plan = channels.plan_widths(graph, channels.l2_scores(model, graph), widths)
    return channels.remove_channels(model, plan)


def times(models, x, runs):
    """Milliseconds of each network, by name."""
    rounds = [
        {n: latency(m, x, runs=runs, progress=False).median_ms for n, m in models.items()}
        for _ in range(ROUNDS)
    ]
    return {name: min(one[name] for one in rounds) for name in models}


def one_seed(models, data):
    """The figures of each network."""
    x = data.test[0]
    one, many = times(models, x[:1], 200), times(models, x[:256], 20)
    return {
        name: {
            "bytes": float32_bytes(model) if name == "float32" else file_size(model),
            "parameters": count_parameters(model, nonzero=True),
            "macs": sum(macs_by_layer(model, x[:1]).values()),
            "accuracy": evaluate(model, data.test),
            "milliseconds": one[name],
            "milliseconds_256": many[name],
        }
        for name, model in models.items()
    }


def main(name):
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    arms, kept = {"stack": stacked, "control": control}, {}

    def networks(arm, lr, seed):
        if (arm, lr, seed) not in kept:
            kept[arm, lr, seed] = arms[arm](name, lr, seed, data)
        return kept[arm, lr, seed]

    def score(arm, lr):
        return evaluate([*networks(arm, lr, 0).values()][-1], data.validation)

    with tqdm(unit="network") as bar:
        tuned = tune(["stack"], GRID, score, bar=bar)
    rates = dict.fromkeys(arms, tuned["chosen"]["stack"])
    found = []
    for seed in tqdm(SEEDS, unit="seed"):
        model = zoo.load(name, seed)
        models = {"float32": model, "coded": model}
        for arm, lr in rates.items():
            models |= networks(arm, lr, seed)
        found.append(one_seed(models | {"one unit": empty(model, data.test[0][:1])}, data))
    write(
        __file__,
        question="What does each method add when they are stacked?",
        network=name,
        methods=by_seed(found),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=IMAGES,
        candidate=candidate(name, rates["stack"]).to_dict(),
        tuned=tuned,
        rates=rates,
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lenet300")
