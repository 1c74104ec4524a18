"""The shared network of 15_branch.py with the training of both its rivals: is one file as good as two?

    python experiments/15_longer.py      (about seven minutes on one core)

Two networks, a task each, see every image six times each: twelve in all. So the one that is shared to relu1
gets twelve epochs here, the rest is as in 15_branch.py: images, rates by two seeds of their own, six others.
Its file has half the bytes of the two; "wider" is the same with a trunk that takes three fifths of them.
"""

import importlib

import several
import torch
from common import file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data

branch = importlib.import_module("15_branch")
EPOCHS, RATES = 2 * branch.EPOCHS, (0.005, 0.01, 0.02)
ARMS = {
    "shared to relu1, twice the epochs": branch.WIDE,
    "wider, twice the epochs": {"channels": (11, 22), "hidden": 105},
}


def main(data, seeds=several.SEEDS):
    torch.set_num_threads(1)
    data, targets = several.tasks(data)

    def run(arm, lr, seed):
        model = several.network("lenet5", "relu1", branch.TASKS, seed, **ARMS[arm])
        return several.learn(model, data, targets, seed, lr=lr, epochs=EPOCHS)

    def score(arm, lr):
        models = [run(arm, lr, s) for s in several.TUNING_SEEDS]
        found = [several.measured(model, data, targets, "validation") for model in models]
        return sum(sum(one.values()) / len(one) for one in found) / len(found)

    with tqdm(unit="rate", mininterval=20) as bar:
        tuned = tune(list(ARMS), RATES, score, bar=bar)
    methods = {}
    for arm, lr in tuned["chosen"].items():
        models = [run(arm, lr, seed) for seed in tqdm(seeds, unit="seed", desc=arm)]
        found = [several.measured(model, data, targets, "test") for model in models]
        methods[arm] = {task: [one[task] for one in found] for task in branch.TASKS}
        methods[arm]["bytes"] = [file_size(model.shared) for model in models]
    write(
        __file__,
        question="With the training of both rivals, is one file as good as two?",
        network="lenet5",
        methods=methods,
        seeds=seeds,
        tuned=tuned,
        epochs=EPOCHS,
        images=branch.SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=branch.SUBSET))
