"""The barrier between two networks trained apart: by width, before and after their neurons are matched.

    python experiments/14_barrier.py      (about six minutes on one core)

Two hidden layers of 16, 64, 256 or 1,024 neurons, 12,000 images, six epochs. Four pairs of networks of each
width, every network from a seed of its own. The learning rate of each width is tuned on one grid by a seed of
its own. Along the straight line between the two of a pair, at eleven places, the mean cross-entropy is
measured on all test images and on 4,000 training images: as they are, and after the second is renumbered by
its weights or by its answers to 1,000 training images. Nothing is chosen by these figures.
"""

import torch
from common import tune, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import train, zoo
from mcomp.merge import barrier, line, match_activations, match_weights, permute, symmetries

WIDTHS, PAIRS, SUBSET, EPOCHS, RATES = (16, 64, 256, 1024), 4, 12_000, 6, (0.001, 0.002, 0.004)
AT = torch.linspace(0, 1, 11, dtype=torch.float64)


def network(width, seed, lr, data):
    torch.manual_seed(seed)
    model = zoo.build("lenet300", hidden=(width, width))
    train.fit(model, data, epochs=EPOCHS, lr=lr, seed=1000 + seed, progress=False)
    return model


def measured(a, b, data):
    """Losses (nats) and test accuracies along the line from a to b, and how far the losses rise."""

    def score(model):
        found = []
        for x, y in (data.test, [part[:4000] for part in data.train]):
            logits = train.predict(model, x)
            found += [float(F.cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean())]
        return found

    test, accuracy, training, _ = zip(*line(a, b, score, at=AT), strict=True)
    rise = [barrier(torch.tensor(losses, dtype=torch.float64), AT) for losses in (test, training)]
    return {
        "losses": list(test), "training losses": list(training), "accuracies": list(accuracy),
        "barrier": rise[0], "training barrier": rise[1], "accuracy": accuracy[len(AT) // 2],
        "ends": (accuracy[0] + accuracy[-1]) / 2,
    }  # fmt: skip


def pair(width, number, lr, data):
    """The line of one pair, as it is and after both ways to match."""
    a, b = (network(width, 2 * number + i, lr, data) for i in (0, 1))
    graph, x = symmetries(a, data.train[0][:4]), data.train[0][:1000]
    ways = {
        "as they are": {},
        "by weights": match_weights(a, b, graph),
        "by answers": match_activations(a, b, graph, x),
    }
    return {way: measured(a, permute(b, graph, orders), data) for way, orders in ways.items()}


def main(data):
    torch.set_num_threads(1)
    with tqdm(unit="run", mininterval=20) as bar:

        def score(width, lr):
            return train.evaluate(network(int(width), 100, lr, data), data.validation)

        tuned, found = tune([str(width) for width in WIDTHS], RATES, score, bar=bar), {}
        for width in WIDTHS:
            for number in range(PAIRS):
                for way, one in pair(width, number, tuned["chosen"][str(width)], data).items():
                    for key, value in one.items():
                        found.setdefault(f"{width}, {way}", {}).setdefault(key, []).append(value)
                bar.update()
    write(
        __file__,
        question="At which width does matching take the barrier away?",
        network="lenet300",
        methods=found,
        seeds=list(range(PAIRS)),
        tuned=tuned,
        at=AT.tolist(),
        widths=list(WIDTHS),
        epochs=EPOCHS,
        images=SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
