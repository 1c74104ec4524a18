"""Twenty networks fine-tuned from one: their mean, the best, and two soups, on plain and shifted test images.

    python experiments/14_soup.py      (about five minutes on one core)

From each of the zoo's three LeNet-5, which saw all 55,000 images, twenty are fine-tuned on 6,000 of them
for one epoch: five learning rates, plain or moved images (up to two pixels each way), two orders. "best" is
the best of the twenty on the 5,000 validation images; "uniform" averages all twenty; "greedy" is recipe 1 of
arXiv:2203.05482, asked on the same validation images. The test images come last, once: all 10,000 as they
are, and the first 1,500 rotated by up to 30 degrees, blurred, or with noise.
"""

import copy

import torch
from common import by_seed, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import train, zoo
from mcomp.merge import average, greedy_soup

RATES, ORDERS, SUBSET, EPOCHS, SHIFTED = (0.0001, 0.0003, 0.001, 0.002, 0.004), 2, 6_000, 1, 1_500
BLUR, NOISE, ANGLE = 1.0, 0.7, 30.0


def moved(x, generator):
    """Each image moved by up to two pixels each way; what enters is background."""
    padded = F.pad(x, (2, 2, 2, 2), value=float(x.min()))
    dx, dy = torch.randint(0, 5, (2, len(x), 1, 1), generator=generator)
    rows, columns = dy + torch.arange(28).view(1, 28, 1), dx + torch.arange(28).view(1, 1, 28)
    return padded[torch.arange(len(x)).view(-1, 1, 1), 0, rows, columns].unsqueeze(1)


def rotated(x, chance):
    """Each image turned about its middle by up to `ANGLE` degrees; what enters is background."""
    angle = torch.deg2rad((2 * torch.rand(len(x), generator=chance) - 1) * ANGLE)
    zero = torch.zeros_like(angle)
    turn = [
        torch.stack([angle.cos(), -angle.sin(), zero], 1),
        torch.stack([angle.sin(), angle.cos(), zero], 1),
    ]
    grid = F.affine_grid(torch.stack(turn, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x - x.min(), grid, align_corners=False) + x.min()


def blurred(x, chance):
    """Gaussian blur of standard deviation `BLUR` pixels."""
    row = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * BLUR**2))
    row = row / row.sum()
    kernel = (row[:, None] * row).view(1, 1, 7, 7)
    return F.conv2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), kernel)


def noisy(x, chance):
    return x + NOISE * torch.randn(x.shape, generator=chance)


def accuracy(model, pair):
    """As `train.evaluate`, with the channels last: three times as fast here."""
    return train.evaluate(copy.deepcopy(model).to(memory_format=torch.channels_last), pair, batch_size=250)


def sets(data):
    """The test images as they are, and shifted in three ways."""
    (x, y), chance = data.test, torch.Generator().manual_seed(0)
    shifted = {f.__name__: (f(x[:SHIFTED], chance), y[:SHIFTED]) for f in (rotated, blurred, noisy)}
    return {"plain": data.test, **shifted}


def fine_tuned(start, data, seed, bar):
    """The twenty, each with its recipe."""
    found = []
    for lr in RATES:
        for augment in (None, moved):
            for order in range(ORDERS):
                model, options = copy.deepcopy(start), {"epochs": EPOCHS, "lr": lr, "augment": augment}
                train.fit(model, data, seed=100 * seed + order, batch_size=128, progress=False, **options)
                found.append((model, f"{lr:g}, {'moved' if augment else 'plain'}, order {order}"))
                bar.update()
    return found


def trial(seed, data, tests, bar):
    """Twenty from the zoo's network of this seed: accuracies of all ways, and what went into the soup."""
    start = zoo.load("lenet5", seed)
    models, recipes = zip(*fine_tuned(start, data, seed, bar), strict=True)
    asked = {}

    def score(model):
        value = accuracy(model, data.validation)
        asked[len(asked)] = value
        return value

    soup = greedy_soup(models, score)
    alone = [asked[i] for i in range(len(models))]
    best = max(range(len(models)), key=lambda i: (alone[i], -i))
    ways = {"before": start, "best": models[best], "uniform": average(models), "greedy": soup.model}
    found = {
        way: {"validation": accuracy(m, data.validation), **{n: accuracy(m, t) for n, t in tests.items()}}
        for way, m in ways.items()
    }
    each = [{name: accuracy(model, pair) for name, pair in tests.items()} for model in models]
    each = [{"validation": a, **one} for a, one in zip(alone, each, strict=True)]
    found["mean of twenty"] = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
    return found, {
        "each": each,
        "recipes": recipes,
        "members": list(soup.members),
        "scores": list(soup.scores),
    }


def main(data, seeds=(0, 1, 2)):
    torch.set_num_threads(1)
    tests = sets(data)
    with tqdm(unit="network", mininterval=20) as bar:
        found, soups = zip(*(trial(seed, data, tests, bar) for seed in seeds), strict=True)
    for one in found:
        for way in one.values():
            way["accuracy"] = way["plain"]
    write(
        __file__, question="Is an average of twenty fine-tuned networks better than the best of them?",
        network="lenet5", methods=by_seed(found), seeds=list(seeds), soups=list(soups), rates=list(RATES),
        epochs=EPOCHS, images=SUBSET, shifted=SHIFTED,
        shifts={"degrees": ANGLE, "blur": BLUR, "noise": NOISE},
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
