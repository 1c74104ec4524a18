"""Which tasks do each other good? Every two of five in one small network, and what their gradients say.

    python experiments/15_pairs.py      (about six minutes on one core)

LeNet-300 with 24 and 12 hidden neurons, shared but for the last layers, 4,000 turned images, eight epochs.
The edges' loss is divided by their variance, so that all losses begin near 1 to 2, and all count equally.
Beside the pairs each task alone: as large, and narrow, so that two files together are no larger than the
pair's. The learning rate of every arm is tuned on one grid by two seeds of their own (the lottery never
counts: nobody can tell its numbers). Six other seeds are tested, and at every tenth step the cosine of the
two gradients is noted, by layer.
"""

from itertools import combinations

import several
import torch
from common import file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp.multitask import cosines, gram, task_gradients

EPOCHS, SUBSET, RATES, EVERY = 8, 4_000, (0.0025, 0.005, 0.01), 10
WIDE, NARROW = {"hidden": (24, 12)}, {"hidden": (12, 8)}
TASKS = ("class", "turned", "group", "edges", "lottery")
ARMS = {
    **{" + ".join(pair): (pair, WIDE) for pair in combinations(TASKS, 2)},
    **{f"alone, {task}": ((task,), WIDE) for task in TASKS[:-1]},
    **{f"narrow, {task}": ((task,), NARROW) for task in TASKS[:-1]},
}


class Angles:
    """Notes the cosine of two tasks' gradients at every tenth step, by layer."""

    def __init__(self, model):
        self.parameters, self.step = dict(model.shared.trunk.named_parameters()), 0
        self.rows = {"fc1": [], "fc2": []}

    def __call__(self, found):
        if len(found) == 2 and self.step % EVERY == 0:
            gradients = task_gradients(found, self.parameters)
            for layer, row in self.rows.items():
                part = {t: {n: g for n, g in one.items() if layer in n} for t, one in gradients.items()}
                row.append(round(float(cosines(gram(part))[0, 1]), 4))
        self.step += 1


def main(data, seeds=several.SEEDS):
    torch.set_num_threads(1)
    data, targets = several.tasks(data)
    unit = float(targets["train"]["edges"].var(0).mean())
    made = {}

    def run(arm, lr, seed):
        if (arm, lr, seed) not in made:
            names, sizes = ARMS[arm]
            model = several.network("lenet300", "relu2", names, seed, **sizes)
            angles = Angles(model) if seed in seeds else None
            several.learn(model, data, targets, seed, unit=unit, watch=angles, lr=lr, epochs=EPOCHS)
            made[arm, lr, seed] = (model, angles)
        return made[arm, lr, seed]

    def score(arm, lr):
        found = [run(arm, lr, seed)[0] for seed in several.TUNING_SEEDS]
        found = [several.measured(model, data, targets, "validation") for model in found]
        found = [[v for name, v in one.items() if name != "lottery"] for one in found]
        return sum(sum(one) / len(one) for one in found) / len(found)

    with tqdm(unit="rate", mininterval=20) as bar:
        tuned = tune(list(ARMS), RATES, score, bar=bar)
    methods, angles, sizes = {}, {}, {}
    for arm, lr in tqdm(tuned["chosen"].items(), unit="arm"):
        runs = [run(arm, lr, seed) for seed in seeds]
        found = [several.measured(model, data, targets, "test") for model, _ in runs]
        methods[arm] = {task: [one[task] for one in found] for task in found[0]}
        sizes[arm] = file_size(runs[0][0].shared)
        if " + " in arm:
            angles[arm] = {layer: [a.rows[layer] for _, a in runs] for layer in ("fc1", "fc2")}
        print(arm, lr, methods[arm], flush=True)
    write(
        __file__,
        question="Which tasks do each other good, and do their gradients tell?",
        network="lenet300",
        methods=methods,
        seeds=seeds,
        tuned=tuned,
        epochs=EPOCHS,
        images=SUBSET,
        every=EVERY,
        angles=angles,
        bytes_of_the_first_seed=sizes,
        unit=unit,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
