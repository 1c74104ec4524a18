"""Which layer gets how many levels, if all must fit a budget of bytes? Three seeds, no training.

    python experiments/09_mixed_precision.py lenet300   (less than a minute on one core)
    python experiments/09_mixed_precision.py lenet5     (about three minutes)

Each weight tensor takes a k-means codebook of k levels. The size of a choice is that of its code in a file,
entropy coded, codebook included. Its damage is the loss on 2,000 training images with this tensor alone
compressed, less the loss of the float32 network; or, to compare, its squared error. Budgets are swept, in
bits a weight, so that no way is favoured by budgets that are the price of one k for all. Nothing is chosen on
validation or test images; test images are looked at once.
"""

import sys

import torch
from common import by_seed, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.codecs import Codebook, decode
from mcomp.measure import float32_bytes
from mcomp.quantize.allocate import allocate_exact, allocate_greedy, allocate_lagrangian, totals
from mcomp.train import evaluate, predict

SEEDS, IMAGES = (0, 1, 2), 2000
LEVELS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64)
UNIFORM = (2, 3, 4, 6, 8, 16)  # so many levels in every tensor
BITS = {  # a weight: the budgets
    "lenet300": (1.1, 1.2, 1.35, 1.5, 1.65, 1.8, 2.1, 2.5, 3.2),
    "lenet5": (1.35, 1.5, 1.8),
}
WAYS = {
    "exact, by loss": (allocate_exact, "loss"),
    "price, by loss": (allocate_lagrangian, "loss"),
    "greedy, by loss": (allocate_greedy, "loss"),
    "exact, by squared error": (allocate_exact, "error"),
}


def mean_loss(model, images):
    return float(F.cross_entropy(predict(model, images[0]), images[1]))


def tensors(model):
    """The weight tensors with more than one axis: name -> parameter."""
    return {name: w for name, w in model.named_parameters() if w.ndim > 1}


def sensitivities(model, images, bar):
    """Sizes, damages by loss, damages by squared error and coded tensors: a row a tensor, a column a k."""
    found = {"size": [], "loss": [], "error": [], "tensor": [], "dense": mean_loss(model, images)}
    for w in tensors(model).values():
        before, rows = w.data.clone(), {key: [] for key in found if key != "dense"}
        for k in LEVELS:
            code = Codebook(k).encode(before)
            w.data = decode(code)
            rows["size"].append(code.nbits() // 8)
            rows["loss"].append(mean_loss(model, images) - found["dense"])
            rows["error"].append(float((w.data - before).square().sum()))
            rows["tensor"].append(w.data)
            bar.update()
        w.data = before
        for key, row in rows.items():
            found[key].append(row)
    return found


def judged(choice, model, found, images, data):
    """What the layers' damages promise, what it is, the bytes of the codes and the accuracy."""
    size, promised = totals(found["size"], found["loss"], choice)
    before = [w.data for w in tensors(model).values()]
    for w, row, c in zip(tensors(model).values(), found["tensor"], choice, strict=True):
        w.data = row[c]
    loss, accuracy = mean_loss(model, images) - found["dense"], evaluate(model, data.test)
    for w, old in zip(tensors(model).values(), before, strict=True):
        w.data = old
    return {"promised": promised, "loss": loss, "bytes": size, "accuracy": accuracy,
            "levels": [LEVELS[c] for c in choice]}  # fmt: skip


def choices_of(found, weights, budgets):
    """By name: one number of levels for all tensors, and what each way makes of each budget."""
    choices = {f"{k} levels everywhere": (LEVELS.index(k),) * len(found["size"]) for k in UNIFORM}
    for bits in budgets:
        budget = int(bits * weights / 8)
        for name, (allocate, damage) in WAYS.items():
            choice = allocate(found["size"], found[damage], budget=budget)
            choices[f"{name}, {bits} bits"] = tuple(choice)
    return choices


def one_seed(network, seed, data, images, bar):
    """The measured table, and figures by method."""
    model, seen = zoo.load(network, seed), {}
    found = sensitivities(model, images, bar)
    methods = {"float32": {"bytes": float32_bytes(model), "accuracy": evaluate(model, data.test)}}
    choices = choices_of(found, sum(w.numel() for w in tensors(model).values()), BITS[network])
    for name, choice in tqdm(choices.items(), unit="choice", leave=False):
        if choice not in seen:
            seen[choice] = judged(choice, model, found, images, data)
        methods[name] = seen[choice]
    return {key: found[key] for key in ("size", "loss", "error")}, methods


def main(network):
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    images = mcomp.data.load("fashion-mnist", subset=IMAGES).train
    dense = tensors(zoo.load(network, 0))
    with tqdm(total=len(SEEDS) * len(dense) * len(LEVELS), unit="tensor") as bar:
        found = [one_seed(network, seed, data, images, bar) for seed in SEEDS]
    write(
        __file__,
        question="Which layer gets how many levels, if all must fit a budget of bytes?",
        network=network,
        methods=by_seed([methods for _, methods in found]),
        seeds=SEEDS,
        images=IMAGES,
        levels=LEVELS,
        uniform=UNIFORM,
        bits=BITS[network],
        layers=list(dense),
        weights=sum(w.numel() for w in dense.values()),
        tables=[table for table, _ in found],  # by seed: a row a tensor, a column a number of levels
    )


if __name__ == "__main__":
    main(sys.argv[1])
