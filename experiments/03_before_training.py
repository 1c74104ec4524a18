"""Does a network pruned before training need the weights that SNIP chose, or as many of each layer?

    python experiments/03_before_training.py      (about two minutes on one core)

LeNet-300-100 with 98 % of its weights gone from the start, trained for ten epochs of 12,000 images: SNIP's
masks, and random ones with as many weights in each layer. Six seeds; the learning rate of both is tuned on
validation images alike. The random masks have a stream of their own, not the one that drew the weights.
"""

import functools
import importlib

import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import prune, sparse_training, zoo
from mcomp.codecs import bake
from mcomp.sparse_training import probe
from mcomp.train import evaluate, fit

factors = importlib.import_module("03_factors")  # a module's name doesn't begin with a digit
SEEDS, TUNED_ON = factors.SEEDS, factors.TUNED_ON
SPARSITY, EPOCHS, GRID = 0.98, 10, (0.004, 0.012, 0.036)
ARMS = ("SNIP", "SNIP, shuffled")


def start(arm, data, seed):
    """The untrained network of a seed with the arm's masks on."""
    torch.manual_seed(seed)
    model = zoo.build("lenet300")
    gradient = probe.gradients(model, factors.some(data, 2000, seed))
    score = {n: prune.taylor(w, gradient[n]) for n, w in sparse_training.prunable_weights(model).items()}
    total = prune.kept_count(sum(s.numel() for s in score.values()), SPARSITY)
    masks = prune.global_topk_masks(score, total)
    if arm == "SNIP, shuffled":
        masks = {
            n: prune.topk_mask(prune.random_score(score[n], 9000 + 10 * seed + i), int(m.sum()))
            for i, (n, m) in enumerate(masks.items())
        }
    return sparse_training.attach_masks(model, masks), {n: int(m.sum()) for n, m in masks.items()}


def main():
    torch.set_num_threads(1)
    data, bar = mcomp.data.load("fashion-mnist", subset=12_000), tqdm(unit="run")

    @functools.cache
    def run(arm, lr, seed):
        model, _ = start(arm, data, seed)
        fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
        bar.update()
        return bake(model)

    def score(arm, lr):
        return sum(evaluate(run(arm, lr, seed), data.validation) for seed in TUNED_ON) / len(TUNED_ON)

    tuned = tune(ARMS, GRID, score)
    methods = {
        arm: {"accuracy": [evaluate(run(arm, tuned["chosen"][arm], seed), data.test) for seed in SEEDS]}
        for arm in ARMS
    }
    write(
        __file__,
        question="Does a network pruned before training need the weights that SNIP chose?",
        network="lenet300",
        seeds=SEEDS,
        methods=methods,
        tuned=tuned,
        counts=[start("SNIP", data, seed)[1] for seed in SEEDS],
        sparsity=SPARSITY,
        epochs=EPOCHS,
        images=len(data.train[0]),
        tuned_on=list(TUNED_ON),
    )


if __name__ == "__main__":
    main()
