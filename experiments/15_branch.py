"""Two tasks in one file: where should the network branch, and against which rivals does it stand?

    python experiments/15_branch.py      (about ten minutes on one core)

A small LeNet-5 (10 and 20 channels, 100 hidden neurons) tells class and turn of 6,000 turned images. One
network with two heads, branched behind its first or second pooling or behind its hidden layer, six epochs.
Beside it two networks, one a task: as large, with as many epochs; narrow, so that both files together are no
larger than the one; as large with half the epochs, so that both together see as many images. The learning
rate of every arm is tuned on one grid by two seeds of their own; six other seeds are tested.
"""

import several
import torch
from common import file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp.measure import count_parameters, macs_by_layer

EPOCHS, SUBSET, RATES = 6, 6_000, (0.0025, 0.005, 0.01)
WIDE, NARROW = {"channels": (10, 20), "hidden": 100}, {"channels": (8, 15), "hidden": 64}
POINTS, TASKS = ("pool1", "pool2", "relu1"), ("class", "turned")
# by name: tasks, where it branches, sizes, epochs
ARMS = {
    **{f"shared to {at}": (TASKS, at, WIDE, EPOCHS) for at in POINTS},
    **{f"alone, {task}": ((task,), "relu1", WIDE, EPOCHS) for task in TASKS},
    **{f"narrow, {task}": ((task,), "relu1", NARROW, EPOCHS) for task in TASKS},
    **{f"half the epochs, {task}": ((task,), "relu1", WIDE, EPOCHS // 2) for task in TASKS},
}


def main(data, seeds=several.SEEDS):
    torch.set_num_threads(1)
    data, targets = several.tasks(data)
    made = {}

    def run(arm, lr, seed):
        if (arm, lr, seed) not in made:
            names, at, sizes, epochs = ARMS[arm]
            model = several.network("lenet5", at, names, seed, **sizes)
            made[arm, lr, seed] = several.learn(model, data, targets, seed, lr=lr, epochs=epochs)
        return made[arm, lr, seed]

    def score(arm, lr):
        found = [several.measured(run(arm, lr, s), data, targets, "validation") for s in several.TUNING_SEEDS]
        return sum(sum(one.values()) / len(one) for one in found) / len(found)

    with tqdm(unit="rate", mininterval=20) as bar:
        tuned = tune(list(ARMS), RATES, score, bar=bar)
    methods = {}
    for arm, lr in tqdm(tuned["chosen"].items(), unit="arm"):
        models = [run(arm, lr, seed) for seed in seeds]
        found = [several.measured(model, data, targets) for model in models]
        methods[arm] = {task: [one[task] for one in found] for task in found[0]}
        methods[arm]["bytes"] = [file_size(model.shared) for model in models]
        methods[arm]["parameters"] = [count_parameters(models[0])] * len(seeds)
        methods[arm]["macs"] = [sum(macs_by_layer(models[0], data.test[0][:1]).values())] * len(seeds)
        print(arm, methods[arm], flush=True)
    write(
        __file__,
        question="Where should a network branch, and does one file stand beside two?",
        network="lenet5",
        methods=methods,
        seeds=seeds,
        tuned=tuned,
        epochs=EPOCHS,
        images=SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
