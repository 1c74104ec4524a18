"""How much training must two runs share before they part, so that no barrier is between their ends?

    python experiments/14_split.py      (about three minutes on one core)

LeNet-300-100, 12,000 images, eight epochs on one one-cycle schedule. Two runs are one run for the first 0, 1,
2, 4 or 6 epochs; then each goes on with images in its own order. Adam's running means start anew there, and
at each of these marks that the shared part passes. "apart" have not even the initial weights in common. The
learning rate is tuned on whole runs by two seeds of their own; four pairs follow. Losses along the line are
measured on the test images; nothing is chosen by them.
"""

import copy

import torch
from common import by_seed, tune, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import train, zoo
from mcomp.merge import barrier, line

SHARED, PAIRS, SUBSET, EPOCHS, RATES = (0, 1, 2, 4, 6), 4, 12_000, 8, (0.001, 0.002, 0.004)
AT = torch.linspace(0, 1, 11, dtype=torch.float64)


def start(seed):
    torch.manual_seed(seed)
    return zoo.build("lenet300")


def go_on(model, data, *, since, until, seed, lr):
    """A copy of `model` trained from epoch `since` to `until` of the whole schedule."""
    model = copy.deepcopy(model)

    def schedule(step, steps):
        of_epoch = steps // (until - since)
        return train.one_cycle(step + since * of_epoch, EPOCHS * of_epoch)

    if until > since:
        options = {"epochs": until - since, "lr": lr, "schedule": schedule}
        train.fit(model, data, seed=seed, progress=False, **options)
    return model


def measured(a, b, data):
    """Test losses along the line from a to b, how far they rise, and accuracies."""
    x, y = data.test

    def score(model):
        logits = train.predict(model, x)
        return float(F.cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean())

    losses, accuracies = zip(*line(a, b, score, at=AT), strict=True)
    return {
        "losses": list(losses), "barrier": barrier(torch.tensor(losses, dtype=torch.float64), AT),
        "accuracy": accuracies[len(AT) // 2], "ends": (accuracies[0] + accuracies[-1]) / 2,
    }  # fmt: skip


def ends(begun, since, number, lr, data):
    return [
        go_on(model, data, since=since, until=EPOCHS, seed=1000 + 2 * number + i, lr=lr)
        for i, model in enumerate(begun)
    ]


def pairs(number, lr, data, bar):
    """A pair for each number of shared epochs, and one apart: what `measured` says."""
    model, since, found = start(number), 0, {}
    found["apart"] = measured(*ends([model, start(500 + number)], 0, number, lr, data), data)
    for shared in SHARED:
        model = go_on(model, data, since=since, until=shared, seed=2000 + number, lr=lr)
        since = shared
        found[f"{shared} epochs"] = measured(*ends([model, model], shared, number, lr, data), data)
        bar.update()
    return found


def main(data):
    torch.set_num_threads(1)
    with tqdm(unit="run", mininterval=20) as bar:

        def score(arm, lr):
            runs = [go_on(start(s), data, since=0, until=EPOCHS, seed=s, lr=lr) for s in (100, 101)]
            return sum(train.evaluate(model, data.validation) for model in runs) / 2

        tuned = tune(["a whole run"], RATES, score, bar=bar)
        found = [pairs(number, tuned["chosen"]["a whole run"], data, bar) for number in range(PAIRS)]
    write(
        __file__,
        question="How much training must two runs share to end in one valley?",
        network="lenet300",
        methods=by_seed(found),
        seeds=list(range(PAIRS)),
        tuned=tuned,
        at=AT.tolist(),
        shared=list(SHARED),
        epochs=EPOCHS,
        images=SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
