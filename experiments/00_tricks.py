"""The three tricks of chapter 00, each left out in turn: schedule, ranking, teacher.

    python experiments/00_tricks.py            (about thirteen minutes on one core)
    python experiments/00_tricks.py --add      (keeps the stored search, and trains the seeds that it lacks)

LeNet-300-100 with 96 of 100 weights set to zero, trained for four epochs on all images in every arm. "all"
removes the weights by the cubic schedule, ranks all layers together and learns from the original's outputs.
Each other arm changes one of these, or all: every weight goes at the first step; every layer loses the same
part; the labels teach. Learning rates are tuned on validation, seeds 0 and 1; then come six seeds, and the
test images.
"""

import copy
import json
import sys

import torch
from common import RESULTS, by_seed, network, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp.codecs import Sparse, attach, bake
from mcomp.layers import matrices
from mcomp.pipeline import load_recipe, teaching
from mcomp.prune.masks import kept_count, topk_mask
from mcomp.prune.schedules import iterative_sparsity
from mcomp.sparse_training.dynamic import Scheduled
from mcomp.train import cross_entropy, evaluate, fit

SEEDS, TUNING = (0, 1, 2, 3, 4, 5), (0, 1)
SPARSITY, EPOCHS, RATES = 0.96, 4, (0.002, 0.004, 0.008)
TRICKS = ("schedule", "ranking", "teacher")
ARMS = {
    "all three": set(TRICKS),
    "at one blow": {"ranking", "teacher"},
    "layer by layer": {"schedule", "teacher"},
    "from labels": {"schedule", "ranking"},
    "none": set(),
}


class LayerByLayer(Scheduled):
    """As `Scheduled`, but every layer loses the same part of its weights."""

    def chosen(self, scores, fraction):
        """The masks at this sparsity, each layer for itself."""
        return {name: topk_mask(s, kept_count(s.numel(), fraction)) for name, s in scores.items()}


def pruned(seed, arm, lr, data):
    """The network of this seed, pruned and trained as the arm says."""
    tricks, recipe, model = ARMS[arm], load_recipe({}), network("lenet300", seed, data)
    small = copy.deepcopy(model)
    attach(small, {name: Sparse(0.0) for name in matrices(small)}, refresh="never")
    blow = {} if "schedule" in tricks else {"schedule": iterative_sparsity, "rounds": 1}
    masking = Scheduled if "ranking" in tricks else LayerByLayer
    callback = masking(small, SPARSITY, ramp=recipe.prune.ramp, least=recipe.prune.least, **blow)
    loss = teaching(model, recipe, data) if "teacher" in tricks else cross_entropy
    fit(small, data, epochs=EPOCHS, lr=lr, loss=loss, callbacks=[callback], progress=False)
    return bake(small)


def judged(model, data):
    """Accuracy on validation and test, and the fraction of its weights that each layer keeps."""
    found = {"accuracy": evaluate(model, data.test), "validation": evaluate(model, data.validation)}
    return found | {
        f"{name} kept": float((m.value != 0).float().mean()) for name, m in matrices(model).items()
    }


def stored():
    """The search that the result file holds, and by seed its figures, ``{seed: {arm: {key: value}}}``."""
    result = json.loads((RESULTS / "00_tricks.json").read_text(encoding="utf-8"))
    figures = {
        seed: {arm: {key: row[i] for key, row in rows.items()} for arm, rows in result["methods"].items()}
        for i, seed in enumerate(result["seeds"])
    }
    return result["tuned"], figures


def search(data, bar):
    """The learning rates that validation prefers, and the networks trained on the way."""
    trained = {}

    def score(arm, lr):
        for seed in TUNING:
            trained[arm, lr, seed] = pruned(seed, arm, lr, data)
        found = [evaluate(trained[arm, lr, seed], data.validation) for seed in TUNING]
        print(arm, lr, found, flush=True)
        return sum(found) / len(found)

    return tune(ARMS, RATES, score, bar=bar), trained


def main(add):
    """Tune, train what tuning hasn't, and write the figures."""
    torch.set_num_threads(1)
    data, trained, figures = mcomp.data.load(), {}, {}
    with tqdm(unit="trial") as bar:
        if add:
            tuned, figures = stored()
        else:
            tuned, trained = search(data, bar)
        for seed in SEEDS:
            for arm, lr in tuned["chosen"].items() if seed not in figures else ():
                model = trained.get((arm, lr, seed)) or pruned(seed, arm, lr, data)
                figures.setdefault(seed, {})[arm] = judged(model, data)
                bar.update()
    write(
        __file__, question="Which of the three tricks does what?", network="lenet300",
        methods=by_seed([figures[seed] for seed in SEEDS]), seeds=SEEDS, tuned=tuned,
        arms={arm: sorted(tricks) for arm, tricks in ARMS.items()}, epochs=EPOCHS, sparsity=SPARSITY,
    )  # fmt: skip


if __name__ == "__main__":
    main(add="--add" in sys.argv[1:])
