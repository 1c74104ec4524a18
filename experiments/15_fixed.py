"""Fixed weights, all of them tuned together with the learning rate: are the special rules needed?

    python experiments/15_fixed.py      (about four minutes on one core)

The network, the three tasks, the images and the epochs of 15_weights.py, whose arm "tuned weight" tuned a
rate first and one weight after it. Here the learning rate, the weight of the edges and that of the turn (the
class has 1: Adam doesn't mind a common factor) are tuned together: every combination of a grid, by two seeds
of their own, and while the best lies at an end of an axis, the grid grows there. These are more trials than
any rule has there; the result says how many. Six other seeds are tested.
"""

import importlib
from itertools import product

import several
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data

weights = importlib.import_module("15_weights")
AXES = {"lr": (0.005, 0.01, 0.02), "edges": (12.0, 24.0, 48.0), "turned": (0.5, 1.0, 2.0)}
LONGEST = 6  # values on an axis


def together(axes, score):
    """The setting of highest score on the grid of all axes, which grows while it lies at an end."""
    axes, scores = {name: [*values] for name, values in axes.items()}, {}
    while True:
        for setting in product(*axes.values()):
            if setting not in scores:
                scores[setting] = score(**dict(zip(axes, setting, strict=True)))
        best = max(scores, key=scores.get)
        print(best, scores[best], flush=True)
        grown = False
        for value, values in zip(best, axes.values(), strict=True):
            if value in (values[0], values[-1]) and len(values) < LONGEST:
                grown = True
                new = values[0] ** 2 / values[1] if value == values[0] else values[-1] ** 2 / values[-2]
                values.insert(0 if value == values[0] else len(values), new)
        if not grown:
            return dict(zip(axes, best, strict=True)), axes, scores


def main(data, seeds=several.SEEDS):
    torch.set_num_threads(1)
    data, targets = several.tasks(data)
    bar = tqdm(unit="network", mininterval=20)

    def run(seed, lr, **counts):
        model = several.network("lenet300", "relu2", weights.TASKS, seed, **weights.SIZES)
        several.learn(model, data, targets, seed, rule=several.Fixed(**counts), lr=lr, epochs=weights.EPOCHS)
        bar.update()
        return model

    def score(**setting):
        models = [run(seed, **setting) for seed in several.TUNING_SEEDS]
        found = [several.measured(model, data, targets, "validation") for model in models]
        return sum(sum(one.values()) / len(one) for one in found) / len(found)

    chosen, axes, scores = together(AXES, score)
    found = [several.measured(run(seed, **chosen), data, targets, "test") for seed in seeds]
    method = {task: [one[task] for one in found] for task in weights.TASKS} | {"setting": chosen}
    write(
        __file__, question="Are fixed weights enough, where all are tuned together with the rate?",
        network="lenet300", methods={"all weights tuned": method}, seeds=seeds, epochs=weights.EPOCHS,
        images=weights.SUBSET, trials=len(scores),
        tuned={"axes": axes, "chosen": chosen, "scores": [[*setting, v] for setting, v in scores.items()]},
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=weights.SUBSET))
