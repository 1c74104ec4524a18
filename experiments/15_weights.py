"""Three losses of different size in one network: how much should each count?

    python experiments/15_weights.py      (about eight minutes on one core)

LeNet-300 with 64 and 32 hidden neurons, shared but for the last layers, tells class, turn and edges of 4,000
turned images: two cross-entropies and a mean square a hundred times smaller. The rules: equal weights; a
weight for the edges; weights by uncertainty; GradNorm; PCGrad; PCGrad of the weighted losses. What is tuned
for each, on validation, by two seeds of their own: a learning rate, then a number of its own (the edges'
weight, the rate of s, alpha; a finer learning rate for rules without a number), with as many trials for all.
What is maximised is the mean of two accuracies and of the edges' explained variance. Six other seeds are
tested. Beside them each task alone in such a network, as many epochs.
"""

import several
import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data

EPOCHS, SUBSET, SIZES = 8, 4_000, {"hidden": (64, 32)}
RATES, FACTORS = (0.0025, 0.005, 0.01), (0.25, 1.0, 4.0)
TASKS = ("class", "turned", "edges")
START = {"tuned weight": 48.0, "uncertainty": 10.0, "GradNorm": 1.5, "PCGrad, tuned weight": 48.0}
ARMS = ("equal weights", *START, "PCGrad")


class Weighted(several.Projected):
    """PCGrad of weighted losses; the heads' own rates don't care, as Adam divides the weight out."""

    def __init__(self, model, seed, **weights):
        super().__init__(model, seed)
        self.weights = weights

    def total(self, found):
        return super().total({name: self.weights.get(name, 1.0) * loss for name, loss in found.items()})


def rule_of(arm, model, number, seed):
    if arm == "equal weights":
        return several.Fixed()
    if arm == "tuned weight":
        return several.Fixed(edges=number)
    if arm == "uncertainty":
        return several.Uncertain(TASKS, number)
    if arm == "GradNorm":
        return several.GradNorm(model, number)
    return several.Projected(model, seed) if arm == "PCGrad" else Weighted(model, seed, edges=number)


def setting(arm, lr, factor):
    """(learning rate, number): what `factor` means for a rule."""
    return (lr, START[arm] * factor) if arm in START else (lr * factor**0.25, None)


def summary(rule):
    """What a rule did: uncertainty's weight times 2 L over the last epoch, GradNorm's weights, conflicts."""
    if isinstance(rule, several.Uncertain):
        last = rule.trace[-len(rule.trace) // EPOCHS :]
        loss = {name: sum(row[name][1] for row in last) / len(last) for name in TASKS}
        return {f"weight x 2 L, {name}": last[-1][name][0] * 2 * loss[name] for name in TASKS} | {
            f"weight, {name}": last[-1][name][0] for name in TASKS
        }
    if isinstance(rule, several.GradNorm):
        return {f"weight, {name}": w for name, w in zip(TASKS, rule.weights.tolist(), strict=True)}
    if isinstance(rule, several.Projected):
        return {"steps with a conflict": sum(rule.conflicts) / len(rule.conflicts)}
    return {}


def main(data, seeds=several.SEEDS):
    torch.set_num_threads(1)
    data, targets = several.tasks(data)
    made = {}

    def run(arm, lr, number, seed):
        if (arm, lr, number, seed) not in made:
            names = (arm.removeprefix("alone, "),) if arm.startswith("alone") else TASKS
            model = several.network("lenet300", "relu2", names, seed, **SIZES)
            rule = several.Fixed() if arm.startswith("alone") else rule_of(arm, model, number, seed)
            several.learn(model, data, targets, seed, rule=rule, lr=lr, epochs=EPOCHS)
            made[arm, lr, number, seed] = (model, summary(rule))
        return made[arm, lr, number, seed]

    def goodness(arm, lr, number):
        found = [run(arm, lr, number, seed)[0] for seed in several.TUNING_SEEDS]
        found = [several.measured(model, data, targets, "validation") for model in found]
        return sum(sum(one.values()) / len(one) for one in found) / len(found)

    every = [*ARMS, *(f"alone, {name}" for name in TASKS)]
    with tqdm(unit="setting", mininterval=20) as bar:
        rates = tune(every, RATES, lambda arm, lr: goodness(arm, lr, START.get(arm)), bar=bar)
        print(rates, flush=True)
        lr = rates["chosen"]
        numbers = tune(every, FACTORS, lambda arm, f: goodness(arm, *setting(arm, lr[arm], f)), bar=bar)
        print(numbers, flush=True)
    methods = {}
    for arm in tqdm(every, unit="arm"):
        chosen = setting(arm, lr[arm], numbers["chosen"][arm])
        runs = [run(arm, *chosen, seed) for seed in seeds]
        found = [several.measured(model, data, targets, "test") | more for model, more in runs]
        methods[arm] = {key: [one[key] for one in found] for key in found[0]}
        methods[arm]["setting"] = dict(zip(("lr", "number"), chosen, strict=True))
        print(arm, methods[arm], flush=True)
    write(
        __file__,
        question="Three losses of different size in one network: how much should each count?",
        network="lenet300",
        methods=methods,
        seeds=seeds,
        tuned={"rates": rates, "numbers": numbers},
        epochs=EPOCHS,
        images=SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
