"""Does a search find what an expert knows? Optuna against chance against a recipe's grid, at equal trials.

    python experiments/20_search.py      (about four minutes on one core; killed, the samplers go on)

The goal: LeNet-300-100 in at most 8,000 bytes, as accurate as can be. Each arm has 16 trials of 8 epochs on
the same 4,000 images; three seeds of the sampler (the expert's: of the images' order), other ones for
chance than for Optuna's TPE, whose first ten trials are draws as well. The two draw from chapter 20's
space, factors first, learning rates in it, and stop hopeless trials early by one rule. The expert is the
recipe deep-compression with its stages shortened to as many epochs, on a grid of its sparsity and learning
rate around those that it has for this network; nothing is stopped. No choice of his lies at an end of it.
So trials are equal, epochs aren't: both are told. All choose on validation images; the test images are
looked at once, for the chosen network of each arm and seed.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from common import by_seed, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.pipeline import compress, load_recipe
from mcomp.search import Goal, Trained, best, search, space_of
from mcomp.search.trial import file_of, opened
from mcomp.train import evaluate

SEEDS, TRIALS, EPOCHS, IMAGES = (0, 1, 2), 16, 8, 4_000
GOAL, TEACHER = Goal(max_bytes=8_000), "self"
SPACE = {
    "orders": (("factorize", "quantize"), ("factorize", "prune", "quantize")),
    "rank": (0.05, 0.3),
    "kept": (0.1, 0.7),
    "values": (2, 16),
}
SPARSITY = (0.955, 0.962, 0.968, 0.975)
RATES = (0.002, 0.004, 0.008, 0.016)
FOLDER = Path(tempfile.gettempdir(), "mcomp-20-search")


def searched(sampler, seed, model, data):
    """One search: its figures, the best at the goal after each trial, its front."""
    storage = search(
        model, GOAL, folder=FOLDER / f"{sampler}-{seed}", images=IMAGES, trials=TRIALS, epochs=EPOCHS,
        sampler=sampler, seed=seed + 100 * (sampler == "random"), workers=1,
        space=space_of(model, teacher=TEACHER, **SPACE), progress=False,
    )  # fmt: skip
    trials = storage.trials()
    rungs = {
        (t.number, name): v for t in trials for name, v in t.user_attrs.items() if name.startswith("rung ")
    }
    written = lambda t: storage.file(t.number).read_bytes()  # noqa: E731
    found, curve = figures(storage.trained(), written, model, data)
    found["cpu_seconds"] = sum(rung["seconds"] for rung in rungs.values())
    found["epochs"] = sum(int(name.split()[1]) for _, name in rungs)
    return found | {"in_full": len(storage.trained())}, curve


def expert(seed, model, data):
    """The recipe on its grid, every setting trained in full, as `searched` tells."""
    trained, files, seconds = [], [], 0.0
    for sparsity in SPARSITY:
        for lr in RATES:
            recipe = load_recipe("deep-compression", "lenet300")
            prune = replace(recipe.prune, sparsity=sparsity, epochs=EPOCHS - 3, lr=lr)
            share = replace(recipe.share, epochs=3)
            begin = time.process_time()
            small = compress(
                model,
                replace(recipe, seed=seed, teacher=TEACHER, prune=prune, share=share),
                data,
                progress=False,
            )
            files.append(file_of(small.model))
            accuracy = evaluate(opened(files[-1], model), data.validation)
            what = {"sparsity": sparsity, "lr": lr}
            trained.append(Trained(len(trained), len(files[-1]), accuracy, what))
            seconds += time.process_time() - begin
    found, curve = figures(trained, lambda t: files[t.number], model, data)
    told = {"cpu_seconds": seconds, "epochs": len(trained) * EPOCHS, "in_full": len(trained)}
    return found | told, curve


def figures(trained, written, model, data):
    """Of the chosen network, tested once; and what the arm knew after each trial."""
    small = best(GOAL, trained)
    after = [best(GOAL, [t for t in trained if t.number <= n]) for n in range(TRIALS)]
    curve = {
        "best": [t and t.accuracy for t in after],
        "trained": [[t.nbytes, t.accuracy] for t in trained],
        "chosen": small.candidate if isinstance(small.candidate, dict) else small.candidate.to_dict(),
    }
    test = evaluate(opened(written(small), model), data.test)
    return {"bytes": small.nbytes, "validation": small.accuracy, "accuracy": test}, curve


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    model, found, curves = zoo.load("lenet300"), [], {"tpe": [], "random": [], "expert": []}
    for seed in tqdm(SEEDS, unit="seed"):
        arms = {sampler: searched(sampler, seed, model, data) for sampler in ("tpe", "random")}
        arms["expert"] = expert(seed, model, data)
        found.append({name: one for name, (one, _) in arms.items()})
        for name, (_, curve) in arms.items():
            curves[name].append(curve)
    write(
        __file__,
        question="Does a search find what an expert knows?",
        network="lenet300",
        methods=by_seed(found),
        seeds=SEEDS,
        trials=TRIALS,
        epochs=EPOCHS,
        images=IMAGES,
        max_bytes=GOAL.max_bytes,
        curves=curves,
    )


if __name__ == "__main__":
    main()
