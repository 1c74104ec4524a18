"""Does the order of methods matter? All orders of factorize, prune, quantize and distil, with one budget.

    python experiments/20_orders.py      (about eight minutes on one core)

Every arm trains for the same 8 epochs of the same 4,000 images, shared out evenly over its stages. Beside
the 24 orders of all four methods: each method alone and both orders of each pair, for what two bring
together. The reference of that sum is the whole network, trained as long. One arm more forgets, between
sharing values and pruning, the float weights that learned below the shared ones.

All on one grid of learning rates, by validation images, on seed 0. Orders of as many methods have stages of
one length and one rate, that of the best mean (of every third order of four): nothing but the order differs
between them. The arm that forgets has a rate of its own, the control has that of the pairs: their
training in every respect. The network as it came is told beside it. Test images are looked at once, at the
end.
"""

from itertools import permutations

import torch
from common import by_seed, file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.search import Candidate
from mcomp.search.stages import carry_out
from mcomp.train import cross_entropy, evaluate, fit

SEEDS, EPOCHS, IMAGES = (0, 1, 2), 8, 4_000
GRID = (0.0005, 0.001, 0.002, 0.004)
METHODS = ("distil", "factorize", "prune", "quantize")
KNOBS = {
    "rank": 0.2,
    "sparsity": {"fc1": 0.9, "fc2": 0.8, "fc3": 0.5},
    "values": {"fc1": 6, "fc2": 6, "fc3": 6},
    "teacher": "resnet",
}
ORDERS = {" > ".join(order): order for n in (1, 2, 4) for order in permutations(METHODS, n)}
CONTROL, FORGETS = "control", "quantize > prune, forgetting"
GROUPS = {len(order): [arm for arm in ORDERS if len(ORDERS[arm]) == len(order)] for order in ORDERS.values()}
SOME = {f"orders of {n}": arms[:: 3 if n == 4 else 1] for n, arms in GROUPS.items()} | {FORGETS: [FORGETS]}


def made(arm, lr, seed, data):
    """The network of one arm: its stages one after the other, or the whole network trained as long."""
    model = zoo.load("lenet300", seed)
    if arm == CONTROL:
        fit(model, data, epochs=EPOCHS, lr=lr, loss=cross_entropy, seed=seed, progress=False)
        return model
    order = ORDERS.get(arm, ("quantize", "prune"))
    candidate = Candidate(order, lr=lr, **KNOBS)
    return carry_out(model, candidate, data, epochs=EPOCHS, seed=seed, hidden=arm != FORGETS)


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

    def network(arm, lr, seed):
        if (arm, lr, seed) not in kept:
            kept[arm, lr, seed] = made(arm, lr, seed, data)
        return kept[arm, lr, seed]

    def score(group, lr):
        return sum(evaluate(network(arm, lr, 0), data.validation) for arm in SOME[group]) / len(SOME[group])

    with tqdm(unit="rate") as bar:
        tuned = tune([*SOME], GRID, score, bar=bar)
    rates = {arm: tuned["chosen"][f"orders of {n}"] for n, arms in GROUPS.items() for arm in arms}
    rates |= {FORGETS: tuned["chosen"][FORGETS], CONTROL: tuned["chosen"]["orders of 2"]}
    found = []
    for seed in tqdm(SEEDS, unit="seed"):
        models = {arm: network(arm, lr, seed) for arm, lr in rates.items()}
        found.append({name: figures(model, data) for name, model in models.items()})
        found[-1]["float32"] = figures(zoo.load("lenet300", seed), data)
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
        rates=rates,
    )


if __name__ == "__main__":
    main()
