"""Four experts or two branches behind a gate, one network of the same cost an image, one of the same bytes.

    python experiments/14b_mixture.py      (about two minutes on one core)

Every expert is 784 - 32 - 10, the gate one linear layer, and an image goes to one expert. "same cost": a
dense network with as many multiplications an image, the gate's included; "same bytes": one with as many
parameters. "two branches": 784 - 17 - 10 each; both answer every image, a gate says how much each counts,
and all that takes as many multiplications. 6,000 images, eight epochs; the learning rate of every arm is
tuned on one grid by two seeds of their own; six others are tested once. The balance loss (Switch,
arXiv:2101.03961, eq. 4) counts 0, 0.01 (theirs) or 0.1.
"""

import tempfile
from pathlib import Path

import taught
import torch
from common import write
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import merge, save, train
from mcomp.measure import count_parameters

SUBSET, EPOCHS, EXPERTS, HIDDEN, RATES = 6_000, 8, 4, 32, (0.0025, 0.005, 0.01)
SAME_COST, SAME_BYTES = 36, 132  # hidden units of the dense networks
BRANCHES, NARROW = 2, 17  # and of each branch
BALANCES = {"mixture": 0.0, "mixture, balance 0.01": 0.01, "mixture, balance 0.1": 0.1}
DENSE = {"dense, same cost": SAME_COST, "dense, same bytes": SAME_BYTES}
GATED = "two branches"


def dense(hidden):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def mixture(count=EXPERTS, hidden=HIDDEN, k=1):
    gate = nn.Sequential(nn.Flatten(), nn.Linear(784, count))
    return merge.Mixture([dense(hidden) for _ in range(count)], gate, k=k)


def built(arm):
    if arm in DENSE:
        return dense(DENSE[arm])
    return mixture(BRANCHES, NARROW, BRANCHES) if arm == GATED else mixture()


def products(arm):
    """Multiplications for one image."""
    if arm == GATED:
        return BRANCHES * (NARROW * (784 + 10) + 784)
    hidden = DENSE.get(arm, HIDDEN)
    return hidden * (784 + 10) + (0 if arm in DENSE else 784 * EXPERTS)


def trained(arms, seed, lr, data):
    made = {}
    for arm in arms:
        torch.manual_seed(seed)
        model = made[arm] = built(arm)
        balance = BALANCES.get(arm, 0.0)

        def loss(logits, batch, model=model, balance=balance):
            value = F.cross_entropy(logits, batch.y)
            return (
                value + balance * merge.balance_loss(model.probabilities, model.chosen) if balance else value
            )

        taught.learn(model, data, seed, epochs=EPOCHS, lr=lr, batch_size=128, loss=loss)
    return made


def usage(model, pair):
    """How many images of each class (rows) go to each expert (columns)."""
    x, y = pair
    expert = train.predict(model.gate, x).argmax(1)
    return torch.bincount(EXPERTS * y + expert, minlength=10 * EXPERTS).reshape(10, EXPERTS).tolist()


def gates(model, pair):
    """Of the first branch's gate: its mean over the images, and its standard deviation."""
    first = train.predict(model.gate, pair[0]).softmax(1)[:, 0]
    return [float(first.mean()), float(first.std())]


def size(model):
    with tempfile.TemporaryDirectory() as folder:
        return save(model, Path(folder, "model.safetensors"))


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    arms = [*BALANCES, *DENSE, GATED]
    with tqdm(unit="network", mininterval=20) as bar:
        tuned, models = taught.compare(
            arms, lambda names, seed, lr: trained(names, seed, lr, data), data, bar, grid=RATES, seeds=seeds
        )
    methods = taught.tested(models, data)
    for arm, made in models.items():
        methods[arm] |= {"bytes": [size(model) for model in made], "products": products(arm)}
        methods[arm] |= {"parameters": count_parameters(made[0])}
        if arm == GATED:
            methods[arm]["gates"] = [gates(model, data.validation) for model in made]
        if arm in BALANCES:
            methods[arm]["usage"] = [usage(model, data.validation) for model in made]
    write(
        __file__, question="What do four experts, or two branches, buy at the cost of one?",
        network="mixture", methods=methods, seeds=seeds, tuned=tuned, epochs=EPOCHS,
        hidden=HIDDEN, experts=EXPERTS,
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
