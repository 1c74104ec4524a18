"""Soups from a network that has learned a little: their mean, the best, and four soups of twenty.

    python experiments/14_soup_begun.py      (about fifteen minutes on one core)

A start is a LeNet-5 that saw 2,000 images four times. From each of six, twenty networks are fine-tuned on
8,000 images for one epoch: five learning rates, plain images or images moved by up to one pixel each way, two
orders. "best", "uniform" and "greedy" as in 14_soup.py, of whose functions this is made; "learned" and
"learned by layer" are weighted means, their weights learned on the validation images (appendix I of
arXiv:2203.05482, with the rate and the epochs that its authors' program recommends). The validation images
choose and judge everything; the test images come last, once: all 10,000 as they are, and the first 1,500
rotated, blurred, or with noise, as there. Written after the third start and each one that follows.
"""

import importlib

import torch
from common import by_seed, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import train, zoo
from mcomp.merge import average, greedy_soup, learned_soup

soup = importlib.import_module("14_soup")
soup.RATES = (0.0005, 0.001, 0.002, 0.004, 0.008)
FIRST, FIRST_EPOCHS, SUBSET = 2_000, 4, 8_000


def moved(x, generator):
    """Each image moved by up to one pixel each way; what enters is background."""
    padded = F.pad(x, (1, 1, 1, 1), value=float(x.min()))
    dx, dy = torch.randint(0, 3, (2, len(x), 1, 1), generator=generator)
    rows, columns = dy + torch.arange(28).view(1, 28, 1), dx + torch.arange(28).view(1, 1, 28)
    return padded[torch.arange(len(x)).view(-1, 1, 1), 0, rows, columns].unsqueeze(1)


soup.moved = moved


def begun(seed, few):
    """A LeNet-5 that has learned a little."""
    torch.manual_seed(seed)
    model = zoo.build("lenet5")
    train.fit(model, few, epochs=FIRST_EPOCHS, lr=0.002, batch_size=64, seed=seed, progress=False)
    return model


def trial(seed, few, data, tests, bar):
    """Twenty from one start: accuracies of all ways, and what went into the soups."""
    start = begun(seed, few)
    models, recipes = zip(*soup.fine_tuned(start, data, seed, bar), strict=True)
    alone = [soup.accuracy(model, data.validation) for model in models]
    known = {id(model): value for model, value in zip(models, alone, strict=True)}

    def score(model):
        return known[id(model)] if id(model) in known else soup.accuracy(model, data.validation)

    greedy = greedy_soup(models, score)
    learned = {per: learned_soup(models, data.validation, per=per) for per in ("network", "layer")}
    ways = {"before": start, "best": models[greedy.members[0]], "uniform": average(models)}
    ways |= {"greedy": greedy.model, "learned": learned["network"].model}
    ways["learned by layer"] = learned["layer"].model
    found = {way: measured(model, score(model), tests) for way, model in ways.items()}
    each = [measured(model, value, tests) for model, value in zip(models, alone, strict=True)]
    found["mean of twenty"] = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
    weights = {per: {n: w.tolist() for n, w in one.weights.items()} for per, one in learned.items()}
    told = {"members": list(greedy.members), "scores": list(greedy.scores), "weights": weights}
    return found, {"each": each, "recipes": recipes, **told}


def measured(model, validation, tests):
    found = {name: soup.accuracy(model, pair) for name, pair in tests.items()}
    return {"validation": validation, **found, "accuracy": found["plain"]}


def main(few, data, seeds=range(6)):
    torch.set_num_threads(1)
    tests, found, soups = soup.sets(data), [], []
    with tqdm(unit="network", mininterval=20) as bar:
        for seed in seeds:
            ways, told = trial(seed, few, data, tests, bar)
            found.append(ways)
            soups.append(told)
            if len(found) >= 3:
                write(
                    __file__, question="Is an average of twenty fine-tuned networks better than the best?",
                    network="lenet5", methods=by_seed(found), seeds=list(seeds)[: len(found)], soups=soups,
                    rates=list(soup.RATES), images={"first": FIRST, "fine-tuning": SUBSET},
                    first_epochs=FIRST_EPOCHS, shifted=soup.SHIFTED,
                )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=FIRST), mcomp.data.load("fashion-mnist", subset=SUBSET))
