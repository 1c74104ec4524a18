"""What was tried before the recipe smallest was what it is: bytes, and right on validation images, by choice.

    python experiments/16_choices.py lenet300

Beside each choice stand the seeds that it was tried on. A choice is changes of the recipe, the later over the
earlier. No test image is asked. More than three copies weren't tried; batch, ramp, density, temperature and
number of values not again with copies, but for density and values on lenet5, where the least rate and most
epochs that were tried are the best of them. The sparsity was set last, for a file of the wanted bytes.
"""

import dataclasses
import importlib
import sys

import torch

import mcomp.data

smallest = importlib.import_module("16_smallest")

BEFORE = {
    "moved": 0,
    "prune": {"sparsity": 0.981, "epochs": 15, "lr": 0.008},
    "share": {"epochs": 3},
}  # images as they are
STEEP = {"prune": {"sparsity": 0.9803, "lr": 0.014}}
FORMER = {"prune": {"sparsity": 0.9803, "lr": 0.004}, "share": {"lr": 0.001}}
FIVE = {"prune": {"lr": 0.004}, "share": {"values": 5}}
COPY = FIVE | {"moved": 1}
FORMER_FIVE = {"moved": 0, "prune": {"sparsity": 0.9855, "epochs": 15}, "share": {"epochs": 2}}
HALF = {"prune": {"sparsity": 0.985, "lr": 0.004, "epochs": 4}}
CHOICES = {
    "lenet300": [
        ((0, 1, 2), {"prune": {"sparsity": 0.9815}}),
        ((0, 1, 2), {"prune": {"sparsity": 0.9815, "lr": 0.002}}),
        ((0, 1, 2), {"prune": {"sparsity": 0.982, "lr": 0.002, "epochs": 16}}),
        ((0, 1, 2), {"prune": {"sparsity": 0.981}, "share": {"epochs": 4}}),
        ((0, 1, 2), {"share": {"epochs": 1}}),
        ((0, 1, 2), {"prune": {"sparsity": 0.981, "lr": 0.008}}),
        ((0, 1, 2), {"prune": {"sparsity": 0.981, "lr": 0.008, "epochs": 4}, "share": {"epochs": 1}}),
        ((0, 1, 2), {"moved": 1, "prune": {"sparsity": 0.981, "lr": 0.008}}),
        ((0, 1, 2), BEFORE, {"moved": 1}),
        ((0, 1, 2), BEFORE),
        ((0, 1), BEFORE, {"share": {"lr": 0.00025}}),
        ((0, 1), BEFORE, {"share": {"epochs": 6}}),
        ((0, 1), BEFORE, {"batch_size": 128}),
        ((0, 1), BEFORE, {"batch_size": 512}),
        ((0, 1), BEFORE, {"prune": {"ramp": 0.75}}),
        ((0, 1), BEFORE, {"prune": {"ramp": 0.45}}),
        ((0, 1, 2), BEFORE, STEEP),
        ((0, 1, 2), BEFORE, STEEP, {"prune": {"epochs": 30}}),
        ((0, 1, 2), BEFORE, STEEP, {"prune": {"epochs": 8}}),
        ((0, 1, 2), BEFORE, STEEP, {"prune": {"lr": 0.02}}),
        ((0, 1, 2), BEFORE, FORMER),
        ((0, 1), BEFORE, FORMER, {"prune": {"lr": 0.002}}),
        ((0, 1), BEFORE, FORMER, {"prune": {"lr": 0.008}}),
        ((0, 1), BEFORE, FORMER, {"share": {"lr": 0.0005}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.982}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.9805, "epochs": 30, "lr": 0.002}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.9815, "epochs": 60}, "share": {"epochs": 8}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.98, "spread": 0.25}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.981}, "share": {"values": 3}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.982}, "temperature": 2.5}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"sparsity": 0.979, "epochs": 8}}),
        ((0, 1, 2), BEFORE, FORMER, {"prune": {"spread": 0.06}}),
        ((0, 1, 2), BEFORE, FORMER, {"share": {"values": 7}}),
        ((0, 1, 2), BEFORE, FORMER, {"temperature": 1.0}),
    ],
    "lenet5": [
        ((0,), {"prune": {"sparsity": 0.9858}}),
        ((0, 1, 2), {"prune": {"sparsity": 0.985}, "share": {"values": 5}}),
        ((0,), {"prune": {"sparsity": 0.984, "spread": 0.25}, "share": {"values": 5}}),
        ((0,), HALF, {"share": {"values": 5}}),
        ((0,), HALF, {"share": {"values": 5, "epochs": 2}}),
        ((0,), HALF, {"share": {"values": 5, "lr": 0.001}}),
        ((0,), HALF, {"share": {"values": 5, "lr": 0.002}}),
        ((0,), HALF, {"share": {"values": 5, "price": 0.005}}),
        ((0,), HALF, {"share": {"values": 8}}),
        ((0,), HALF, {"share": {"values": 8, "price": 0.007}}),
        ((0,), HALF),
        ((0,), HALF, {"share": {"price": 0.01}}),
        ((0,), HALF, {"share": {"values": 16}}),
        ((0,), HALF, {"share": {"values": 24}}),
        ((0,), HALF, {"share": {"values": 16, "price": 0.03}}),
        ((0,), HALF, {"share": {"values": 16, "price": 0.05}}),
        ((0,), FIVE, {"prune": {"sparsity": 0.9855}}),
        ((0,), FIVE, {"prune": {"sparsity": 0.985, "epochs": 6}}),
        ((0, 1, 2), COPY, {"prune": {"sparsity": 0.9855}}),
        ((0,), COPY, {"prune": {"sparsity": 0.985, "lr": 0.002}}),
        ((0,), COPY, {"prune": {"sparsity": 0.985, "lr": 0.006}}),
        ((0, 1, 2), FIVE, FORMER_FIVE),
        ((0,), FIVE, FORMER_FIVE, {"prune": {"sparsity": 0.985, "epochs": 24}}),
        ((0,), FIVE, FORMER_FIVE, {"prune": {"steepness": 0.6}}),
    ],
}  # fmt: skip


def main(network):
    """Print what validation says of each choice."""
    torch.set_num_threads(1)
    data = mcomp.data.load()
    data = dataclasses.replace(data, test=data.validation)
    for seeds, *changes in CHOICES[network]:
        for seed in seeds:
            found = smallest.small(network, seed, data, *changes)
            print(network, changes, seed, found["bytes"], found["validation"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lenet300")
