"""Tracing and cutting the ResNet: mcomp against torch-pruning, the same ratio of channels.

Run: python benchmarks/structured.py
"""

import copy
import statistics
import time

import torch
import torch_pruning

from mcomp import channels, zoo
from mcomp.measure import macs_by_layer

RATIO, RUNS = 0.5, 7  # half: both libraries then keep the same widths
X = torch.zeros(1, 1, 28, 28)


def ours(model):
    graph = channels.channel_graph(model, X)
    return channels.remove_channels(
        model, channels.plan_channels(graph, channels.l2_scores(model, graph), ratio=RATIO)
    )


def theirs(model):
    model = copy.deepcopy(model)  # torch-pruning cuts in place
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    options = {"pruning_ratio": RATIO, "ignored_layers": [model.fc]}
    torch_pruning.pruner.MagnitudePruner(model, X, importance=importance, **options).step()
    return model


def main():
    model, times = zoo.load("resnet"), {}
    for _ in range(RUNS):  # in turn, so that both see the same machine
        for name, cut in (("mcomp", ours), ("torch-pruning", theirs)):
            start = time.perf_counter()
            small = cut(model)
            times.setdefault(name, []).append(time.perf_counter() - start)
            assert [p.shape for p in small.parameters()] == [p.shape for p in ours(model).parameters()]
    for name, seconds in times.items():
        print(f"{name:15s}{1e3 * statistics.median(seconds):8.0f} ms")
    before, after = (sum(macs_by_layer(m, X).values()) for m in (model, small))
    print(f"MACs: {before:,} before, {after:,} after")


if __name__ == "__main__":
    main()
