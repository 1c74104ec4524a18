"""Does the order of methods matter? All orders of factorize, prune, quantize and distil, with one budget.

    python experiments/20_orders.py      (about three minutes on one core)

Every order trains for the same 8 epochs of the same 6,000 images, shared out evenly over its stages, at one
learning rate: the one that the mean of six orders prefers on validation images, on seed 0. Beside the orders
of all four: every subset in the order distil, factorize, prune, quantize, for what methods bring together;
the subset of none, trained as long, is the control. Test images are looked at once, at the end.
"""

from itertools import combinations, permutations

import torch
from common import by_seed, file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.search import Candidate
from mcomp.search.stages import carry_out
from mcomp.train import cross_entropy, evaluate, fit

SEEDS, EPOCHS, IMAGES = (0, 1, 2), 8, 6_000
GRID = (0.001, 0.002, 0.004)
BEST = ("distil", "factorize", "prune", "quantize")
KNOBS = {
    "rank": 0.2,
    "sparsity": {"fc1": 0.9, "fc2": 0.8, "fc3": 0.5},
    "values": {"fc1": 6, "fc2": 6, "fc3": 6},
    "teacher": "resnet",
}
ORDERS = [*permutations(BEST)]
SOME = ORDERS[::4]
SUBSETS = [some for n in range(1, 4) for some in combinations(BEST, n)]


def named(order):
    return " > ".join(order)


def made(order, lr, seed, data):
    """The network of one order and seed."""
    candidate = Candidate(order, lr=lr, **KNOBS)
    return carry_out(zoo.load("lenet300", seed), candidate, data, epochs=EPOCHS, seed=seed)


def control(lr, seed, data):
    """The whole network, trained as long."""
    model = zoo.load("lenet300", seed)
    fit(model, data, epochs=EPOCHS, lr=lr, loss=cross_entropy, seed=seed, progress=False)
    return model


def figures(model, data):
    return {
        "bytes": file_size(model),
        "validation": evaluate(model, data.validation),
        "accuracy": evaluate(model, data.test),
    }


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    kept = {}

    def network(order, lr, seed):
        if (order, lr, seed) not in kept:
            kept[order, lr, seed] = made(order, lr, seed, data)
        return kept[order, lr, seed]

    with tqdm(unit="rate") as bar:
        score = lambda _, lr: sum(evaluate(network(o, lr, 0), data.validation) for o in SOME) / len(SOME)  # noqa: E731
        tuned = tune(["six orders"], GRID, score, bar=bar)
    lr, found = tuned["chosen"]["six orders"], []
    for seed in tqdm(SEEDS, unit="seed"):
        models = {named(order): network(order, lr, seed) for order in [*ORDERS, *SUBSETS]}
        models |= {"control": control(lr, seed, data), "float32": zoo.load("lenet300", seed)}
        found.append({name: figures(model, data) for name, model in models.items()})
    write(
        __file__,
        question="Does the order of methods matter?",
        network="lenet300",
        methods=by_seed(found),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=IMAGES,
        knobs=KNOBS,
        tuned=tuned,
    )


if __name__ == "__main__":
    main()
