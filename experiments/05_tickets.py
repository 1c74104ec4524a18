"""Lottery tickets on LeNet-300-100 and Fashion-MNIST: do they win, and against what? Six seeds.

    python experiments/05_tickets.py      (about four minutes on one core)

12,000 training images, five epochs a training. The places come from one search: train, remove the smallest
weights of all layers together, put the others back to their first values (the ticket), and again. On the same
places then the first values, values drawn anew, and, as many in each layer, the first values at random places
(streams of their own, not the one that drew the first values). With the one-cycle rate of this course; the
ticket and the whole network also with a constant one, as in Frankle and Carbin 2019. Each arm has the rate
that validation prefers at 95 % on seeds 0 and 1, one grid for all. The validation images also give the curves
by epoch, the test images the final figure.
"""

import copy
from itertools import pairwise

import numpy as np
import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.measure import float32_bytes
from mcomp.prune import global_topk_masks, kept_count
from mcomp.sparse_training import apply_masks, prunable_weights, reinitialised, shuffled, train_ticket
from mcomp.train import Callback, constant, evaluate, one_cycle

SEEDS, TUNED_ON = (0, 1, 2, 3, 4, 5), (0, 1)
IMAGES, EPOCHS, GRID = 12_000, 5, (0.001, 0.003, 0.01)
SPARSITIES, TUNED_AT = (0.8, 0.95), 0.95
BEFORE = {after: before for before, after in pairwise((None, *SPARSITIES))}  # the round before, None: none
SCHEDULES = {"one cycle": one_cycle, "constant": constant}
ARMS = {
    "one cycle": ("whole", "ticket", "drawn anew", "random places"),
    "constant": ("whole", "ticket"),
}


class Watch(Callback):
    """Validation accuracy after each epoch."""

    def __init__(self, data):
        self.data, self.curve = data, []

    def after_epoch(self, run):
        self.curve.append(evaluate(run.model, self.data.validation))


def largest(model, sparsity):
    """The masks of the largest weights of all layers together; at 0 they keep all."""
    sizes = {name: w.abs() for name, w in prunable_weights(model).items()}
    return global_topk_masks(sizes, kept_count(sum(w.numel() for w in sizes.values()), sparsity))


class Bench:
    """Untrained networks, their places, and each training once; `search_rate` is that of the search."""

    def __init__(self, data, bar):
        self.data, self.bar, self.done, self.search_rate = data, bar, {}, None
        self.first = {}
        for seed in SEEDS:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.first[seed] = zoo.build("lenet300")

    def places(self, seed, sparsity):
        """Where the search left weights: it trained what the round before had left."""
        kind = "whole" if BEFORE[sparsity] is None else "ticket"
        return largest(self.trained("one cycle", kind, BEFORE[sparsity], self.search_rate, seed)[0], sparsity)

    def start(self, kind, sparsity, lr, seed):
        """The network before its training, and the masks held meanwhile."""
        first = self.first[seed]
        if kind == "whole":
            return first, largest(first, 0.0)
        model, masks = first, self.places(seed, sparsity)
        if kind == "drawn anew":
            model = reinitialised(first, masks, seed=seed)
        if kind == "random places":
            masks = shuffled(masks, seed=seed)
        return apply_masks(model, masks), masks

    def trained(self, setting, kind, sparsity, lr, seed):
        """The network, and its validation accuracy by epoch."""
        key = (setting, kind, None if kind == "whole" else sparsity, lr, seed)
        if key not in self.done:
            start, masks = self.start(kind, sparsity, lr, seed)
            watch = Watch(self.data)
            options = {"epochs": EPOCHS, "lr": lr, "seed": seed, "progress": False}
            options |= {"callbacks": [watch], "schedule": SCHEDULES[setting]}
            self.done[key] = train_ticket(copy.deepcopy(start), masks, self.data, **options), watch.curve
            self.bar.update()
        return self.done[key]

    def score(self, arm, lr):
        setting, kind = arm
        return float(np.mean([self.trained(setting, kind, TUNED_AT, lr, s)[1][-1] for s in TUNED_ON]))


def main():
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    arms = [(setting, kind) for setting, kinds in ARMS.items() for kind in kinds]
    curves = {}
    with tqdm(unit="training") as bar:
        bench = Bench(data, bar)
        bench.search_rate = tune(arms[:1], GRID, bench.score)["chosen"][arms[0]]
        tuned = tune(arms, GRID, bench.score)
        for arm in arms:
            lr, at = tuned["chosen"][arm], SPARSITIES if arm[1] != "whole" else (None,)
            nets = [[bench.trained(*arm, s, lr, seed) for s in at] for seed in SEEDS]
            curves.setdefault(arm[0], {})[arm[1]] = {
                "accuracy": [[evaluate(net, data.test) for net, _ in row] for row in nets],
                "curves": [[curve for _, curve in row] for row in nets],
            }
    whole = {"bytes": [float32_bytes(model) for model in bench.first.values()]}
    whole["accuracy"] = [found[0] for found in curves["one cycle"]["whole"]["accuracy"]]
    write(
        __file__,
        question="Do lottery tickets win on LeNet-300-100 and Fashion-MNIST?",
        network="lenet300",
        methods={"float32": whole},
        seeds=SEEDS,
        sparsities=list(SPARSITIES),
        images=IMAGES,
        epochs=EPOCHS,
        search_rate=bench.search_rate,
        curves=curves,
        tuned={
            "grid": tuned["grid"],
            "scores": {", ".join(arm): found for arm, found in tuned["scores"].items()},
            "chosen": {", ".join(arm): lr for arm, lr in tuned["chosen"].items()},
        },
    )


if __name__ == "__main__":
    main()
