"""Sparse from the first step: a random mask that rests, SET and RigL at 95 %. Six seeds.

    python experiments/05_sparse_from_the_start.py      (about four minutes on one core)

LeNet-300-100 on 12,000 images, eleven epochs from scratch: as many as the networks of 05_pruning_over_time.py
had in all, which were trained densely and then pruned. The masks come from a stream of their own. Each arm
has the learning rate that validation prefers on seeds 0 and 1, one grid for all. Test images are looked at
once.
"""

from functools import partial

import numpy as np
import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.codecs import bake
from mcomp.sparse_training import DropAndGrow, Masking, attach_masks, random_masks
from mcomp.train import evaluate, fit

SEEDS, TUNED_ON = (0, 1, 2, 3, 4, 5), (0, 1)
IMAGES, EPOCHS, SPARSITY, GRID = 12_000, 11, 0.95, (0.001, 0.003, 0.01)
ARMS = {
    "static random, 95 %": Masking,
    "SET, 95 %": partial(DropAndGrow, grow="random", every=50),
    "RigL, 95 %": partial(DropAndGrow, grow="gradient", every=50),
}


def main():
    data, done = mcomp.data.load("fashion-mnist", subset=IMAGES), {}

    def trained(arm, lr, seed):
        """The network, and how many weights came."""
        if (arm, lr, seed) not in done:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = zoo.build("lenet300")
            attach_masks(model, random_masks(model, SPARSITY, seed=seed))
            callback = ARMS[arm](model)
            fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, callbacks=[callback], progress=False)
            done[arm, lr, seed] = bake(model), sum(entry["back"] for entry in callback.log)
            bar.update()
        return done[arm, lr, seed]

    def score(arm, lr):
        return float(np.mean([evaluate(trained(arm, lr, seed)[0], data.validation) for seed in TUNED_ON]))

    with tqdm(unit="training") as bar:
        tuned = tune(ARMS, GRID, score)
        methods = {}
        for arm, lr in tuned["chosen"].items():
            found = [trained(arm, lr, seed) for seed in SEEDS]
            right = [evaluate(model, data.test) for model, _ in found]
            methods[arm] = {"accuracy": right, "came": [n for _, n in found]}
    write(
        __file__,
        question="Can LeNet-300-100 be sparse from its first step?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        images=IMAGES,
        epochs=EPOCHS,
        tuned=tuned,
    )


if __name__ == "__main__":
    main()
