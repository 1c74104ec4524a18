"""How many weights of LeNet-300-100 can go, before and after fine-tuning? Magnitude pruning on three seeds.

    python experiments/02_magnitude_pruning.py      (about four minutes on one core)

The zoo's networks. Two rankings, by |w| and by chance, with two allocations, as many weights in each layer as
one ranking of all leaves it ("global") or the same part of each ("local"). Every network, the uncompressed
control included, is trained on for three epochs of 12,000 images, at the learning rate that the validation
images prefer for its arm on seeds 0 and 1. Chance draws from a stream of its own, several masks for each
network. The test images are looked at once. Sensitivity by layer is measured on validation images, because
one chooses by it.
"""

from itertools import product

import numpy as np
from common import file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import prune, sparse_training, zoo
from mcomp.codecs import Sparse, attach, bake
from mcomp.measure import float32_bytes
from mcomp.train import evaluate, fit

SEEDS, TUNED_ON, MASKS = (0, 1, 2), (0, 1), range(3)
IMAGES, EPOCHS, GRID = 12_000, 3, (0.0003, 0.001, 0.003, 0.01)
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)  # pruned, not trained
BENCH = (0.5, 0.9, 0.95, 0.98, 0.99)  # and trained on, the global rule
COMPARED = (0.9, 0.98)  # all four rules
RULES = ("global", "local", "random", "random, local")  # "random": as many in each layer as "global"
ARMS = [("control", 0.0), *product(("global",), BENCH), *product(RULES[1:], COMPARED)]
CONTROL = f"float32, {EPOCHS} more epochs (control)"


def choose(model, rule, sparsity, mask_seed=0):
    """The masks of one rule."""
    sizes = {name: w.abs() for name, w in sparse_training.prunable_weights(model).items()}
    if rule in ("local", "random, local"):
        masks = {n: prune.topk_mask(w, prune.kept_count(w.numel(), sparsity)) for n, w in sizes.items()}
    else:
        masks = prune.global_topk_masks(
            sizes, prune.kept_count(sum(w.numel() for w in sizes.values()), sparsity)
        )
    return sparse_training.shuffled(masks, seed=mask_seed) if rule.startswith("random") else masks


class Bench:
    """The networks, and each training once."""

    def __init__(self, data, bar):
        self.data, self.bar, self.done = data, bar, {}
        self.models = [zoo.load("lenet300", seed) for seed in SEEDS]

    def pruned(self, arm, seed, mask=0):
        """The masks of a network are drawn from a number that no other network shares."""
        rule, sparsity = arm
        if rule == "control":
            return sparse_training.apply_masks(self.models[seed], {})
        masks = choose(self.models[seed], rule, sparsity, mask_seed=100 * seed + mask)
        return sparse_training.apply_masks(self.models[seed], masks)

    def tuned(self, arm, lr, seed, mask=0):
        """Pruned and trained on with its zeros kept; the control passes through the same code."""
        key = (arm, lr, seed, mask)
        if key not in self.done:
            model = self.pruned(arm, seed, mask)
            weights = sparse_training.prunable_weights(model).items()
            attach(model, {name: Sparse(prune.sparsity(w)) for name, w in weights}, refresh="never")
            fit(model, self.data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
            self.done[key] = bake(model)
            self.bar.update()
        return self.done[key]

    def score(self, arm, lr):
        return float(np.mean([evaluate(self.tuned(arm, lr, s), self.data.validation) for s in TUNED_ON]))


def named(arm):
    rule, sparsity = arm
    return {"control": CONTROL, "global": f"prune {100 * sparsity:g} %, fine-tune"}.get(
        rule, f"{rule}, prune {100 * sparsity:g} %, fine-tune"
    )


def figures(bench, arm, lr):
    """Test accuracy by seed, of random masks the mean over masks; bytes where a file is worth looking at."""
    random, test = arm[0].startswith("random"), bench.data.test
    masks = MASKS if random else MASKS[:1]
    right = [[evaluate(bench.tuned(arm, lr, s, m), test) for m in masks] for s in SEEDS]
    found = {"accuracy": np.mean(right, axis=1).tolist(), "lr": [lr] * len(SEEDS)}
    if random:
        found["by_mask"] = right
    elif arm[0] == "global":
        found["bytes"] = [file_size(bench.tuned(arm, lr, s)) for s in SEEDS]
    return found


def before(bench, rule):
    """Test accuracy without training: (seeds, sparsities), of random masks (seeds, sparsities, masks)."""
    masks = MASKS if rule.startswith("random") else MASKS[:1]
    right = [
        [[evaluate(bench.pruned((rule, x), s, m), bench.data.test) for m in masks] for x in SPARSITIES]
        for s in SEEDS
    ]
    return right if len(masks) > 1 else [[x[0] for x in row] for row in right]


def main():
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    with tqdm(unit="run") as bar:
        bench = Bench(data, bar)
        tuned = tune(ARMS, GRID, bench.score)
        whole = float32_bytes(bench.models[0])
        methods = {"float32": {"accuracy": [evaluate(model, data.test) for model in bench.models]}}
        methods |= {named(arm): figures(bench, arm, tuned["chosen"][arm]) for arm in ARMS}
    for name in ("float32", CONTROL):
        methods[name]["bytes"] = [whole] * len(SEEDS)
    extra = {name: methods.pop(name) for name in [n for n, m in methods.items() if "bytes" not in m]}
    judge = lambda model: evaluate(model, data.validation)  # noqa: E731
    scan = [sparse_training.sensitivity_scan(model, judge, progress=False) for model in bench.models]
    write(
        __file__,
        question="How many weights of LeNet-300-100 can go, before and after fine-tuning?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        images=IMAGES,
        compared=extra,
        sparsities=list(SPARSITIES),
        before={rule: before(bench, rule) for rule in RULES},
        sensitivity=scan,
        tuned={
            "grid": tuned["grid"],
            "scores": {named(arm): scores for arm, scores in tuned["scores"].items()},
            "chosen": {named(arm): lr for arm, lr in tuned["chosen"].items()},
        },
    )


if __name__ == "__main__":
    main()
