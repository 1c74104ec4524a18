"""When should the weights go? One shot, rounds, the cubic, dynamic surgery, a controller: six seeds.

    python experiments/05_pruning_over_time.py      (about five minutes on one core)

LeNet-300-100 on 12,000 images. Six epochs train it densely; then five more epochs with each way to prune, all
at once, five rounds, Zhu and Gupta's cubic, dynamic network surgery, or with none (the control). Each arm has
the learning rate that validation prefers on seeds 0 and 1, one grid for all. A controller that steers the
threshold. Test images are looked at once.
"""

import copy
from functools import partial
from itertools import product

import numpy as np
import torch
from common import file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.codecs import Sparse, bake
from mcomp.measure import float32_bytes
from mcomp.prune import iterative_sparsity, kept_count
from mcomp.sparse_training import (
    Controller,
    DynamicSurgery,
    Masking,
    Scheduled,
    attach_masks,
    prunable_weights,
)
from mcomp.train import constant, evaluate, fit

SEEDS, TUNED_ON = (0, 1, 2, 3, 4, 5), (0, 1)
IMAGES, DENSE, EPOCHS, DENSE_RATE = 12_000, 6, 5, 2e-3
GRID = (0.001, 0.003, 0.01)
SPARSITIES = (0.95, 0.98)
JUDGED, JUDGED_RATE, TOLERANCE = 8, 1e-3, 0.01
RULES = {
    "one shot": partial(Scheduled, schedule=iterative_sparsity, rounds=1),
    "five rounds": partial(Scheduled, schedule=iterative_sparsity, rounds=5, ramp=0.5),
    "gradual": partial(Scheduled, ramp=0.5),
    "surgery": partial(DynamicSurgery, ramp=0.5),
}
CONTROL = f"float32, {EPOCHS} more epochs (control)"
SAVED = ("one shot, 95 %", "one shot, 98 %")  # whose files are written; the size depends on the sparsity
ARMS = {
    CONTROL: Masking,
    **{f"{rule}, {100 * s:g} %": partial(RULES[rule], final=s) for rule, s in product(RULES, SPARSITIES)},
}


def fresh(seed):
    """An untrained network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return zoo.build("lenet300")


class Bench:
    """The dense networks, and each training once."""

    def __init__(self, data, bar):
        self.data, self.bar, self.done = data, bar, {}
        self.dense = [fresh(seed) for seed in SEEDS]
        for seed, model in zip(SEEDS, self.dense, strict=True):
            fit(model, data, epochs=DENSE, lr=DENSE_RATE, seed=seed, progress=False)

    def trained(self, arm, lr, seed):
        """The network and its callback."""
        if (arm, lr, seed) not in self.done:
            model = attach_masks(copy.deepcopy(self.dense[seed]))
            callback = ARMS[arm](model)
            fit(model, self.data, epochs=EPOCHS, lr=lr, seed=seed, callbacks=[callback], progress=False)
            self.done[arm, lr, seed] = bake(model), sum(entry["back"] for entry in callback.log)
            self.bar.update(EPOCHS)
        return self.done[arm, lr, seed]

    def score(self, arm, lr):
        return float(np.mean([evaluate(self.trained(arm, lr, s)[0], self.data.validation) for s in TUNED_ON]))

    def figures(self, arm, lr, seed):
        """What is kept of a network."""
        model, back = self.trained(arm, lr, seed)
        found = {"accuracy": evaluate(model, self.data.test), "back": back, "lr": lr}
        if arm == CONTROL:
            found["bytes"] = float32_bytes(model)
        return found | {"bytes": file_size(model)} if arm in SAVED else found

    def steered(self, seed):
        """The controller's last good network, and what it tried."""
        dense = self.dense[seed]
        network = attach_masks(copy.deepcopy(dense))
        w = torch.cat([w.abs().flatten() for w in prunable_weights(dense).values()])
        start = float(w.kthvalue(len(w) - kept_count(len(w), 0.5)).values)
        floor = evaluate(dense, self.data.validation) - TOLERANCE
        judge = Controller(network, lambda m: evaluate(m, self.data.validation), floor=floor, start=start)
        options = {"epochs": JUDGED, "lr": JUDGED_RATE, "schedule": constant, "seed": seed, "progress": False}
        fit(network, self.data, callbacks=[judge], **options)
        return bake(network), judge


def moved(model, original):
    """Bits a weight of fc1 and its distance from the original, in units of the original's variance."""
    w, before = model.fc1.weight.detach(), original.fc1.weight.detach()
    nbits = Sparse(1 - int(w.count_nonzero()) / w.numel()).encode(w).nbits()
    return nbits / w.numel(), float(((w - before) ** 2).mean() / before.var(unbiased=False))


def plane(bench, chosen):
    """Rate and distortion of the networks of seed 0, by rule; and of what is pruned and not trained."""
    points = {f"{rule}, trained": [] for rule in RULES} | {"one shot, not trained": []}
    for rule, sparsity in product(RULES, SPARSITIES):
        arm = f"{rule}, {100 * sparsity:g} %"
        points[f"{rule}, trained"].append(moved(bench.trained(arm, chosen[arm], 0)[0], bench.dense[0]))
    for sparsity in SPARSITIES:
        network = attach_masks(copy.deepcopy(bench.dense[0]))
        Scheduled(network, sparsity).finish()
        points["one shot, not trained"].append(moved(bake(network), bench.dense[0]))
    return {
        name: dict(zip(("bits", "mse"), map(list, zip(*found, strict=True)), strict=True))
        for name, found in points.items()
    }


def main():
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    with tqdm(unit="epoch") as bar:
        bench = Bench(data, bar)
        tuned = tune(ARMS, GRID, bench.score)
        chosen = tuned["chosen"]
        found = {arm: [bench.figures(arm, chosen[arm], seed) for seed in SEEDS] for arm in ARMS}
        judged = [bench.steered(seed) for seed in SEEDS]
    found["float32"] = [{"bytes": float32_bytes(m), "accuracy": evaluate(m, data.test)} for m in bench.dense]
    found["controller"] = [
        {"accuracy": evaluate(m, data.test), "sparsity": judge.sparsity()} for m, judge in judged
    ]
    write(
        __file__,
        question="When should the weights of LeNet-300-100 go?",
        network="lenet300",
        methods={arm: {key: [one[key] for one in seeds] for key in seeds[0]} for arm, seeds in found.items()},
        seeds=SEEDS,
        images=IMAGES,
        epochs=[DENSE, EPOCHS],
        sparsities=list(SPARSITIES),
        controller=[judge.log for _, judge in judged],
        tolerance=TOLERANCE,
        rate_distortion=plane(bench, chosen),
        tuned=tuned,
    )


if __name__ == "__main__":
    main()
