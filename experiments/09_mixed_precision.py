"""Which layer gets how many levels, if all must fit a budget of bytes? Three seeds, no training.

    python experiments/09_mixed_precision.py lenet300   (less than a minute on one core)
    python experiments/09_mixed_precision.py lenet5     (about five minutes)

Each weight tensor takes a k-means codebook of k levels. The size of a choice is that of its code in a file,
entropy coded, codebook included. Its damage is the loss on 5,000 training images with this tensor alone
compressed, less the loss of the float32 network; or, to compare, its squared error. Budgets are what one k
for all tensors costs. Nothing is chosen on validation or test images; test images are looked at once.
"""

import sys
import tempfile
from pathlib import Path

import torch
from common import write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.codecs import Codebook, attach, decode
from mcomp.measure import float32_bytes
from mcomp.quantize.allocate import allocate_exact, allocate_greedy, allocate_lagrangian, totals
from mcomp.train import evaluate, predict

SEEDS, IMAGES = (0, 1, 2), 5000
LEVELS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64)
UNIFORM = (3, 4, 6, 8, 16)  # the budgets: so many levels in every tensor
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


def judged(choice, seed, network, found, images, data):
    """What the layers' damages promise, what it is, the file's bytes and the accuracy of what it holds."""
    model, promised = zoo.load(network, seed), totals(found["size"], found["loss"], choice)
    for w, row, c in zip(tensors(model).values(), found["tensor"], choice, strict=True):
        w.data = row[c]
    loss, model = mean_loss(model, images) - found["dense"], zoo.load(network, seed)
    rules = {name: Codebook(LEVELS[c]) for name, c in zip(tensors(model), choice, strict=True)}
    attach(model, rules)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes = save(model, path)
        accuracy = evaluate(load(path, model=zoo.build(network)), data.test)
    return {"promised": promised[1], "loss": loss, "layer_bytes": promised[0], "bytes": nbytes,
            "accuracy": accuracy, "levels": [LEVELS[c] for c in choice]}  # fmt: skip


def one_seed(network, seed, data, images, bar):
    """The measured table, and figures by method."""
    found = sensitivities(zoo.load(network, seed), images, bar)
    methods, seen = {}, {}
    for k in UNIFORM:
        same = [LEVELS.index(k)] * len(found["size"])
        budget = totals(found["size"], found["loss"], same)[0]
        choices = {f"{k} levels everywhere": same}
        for name, (allocate, damage) in WAYS.items():
            choices[f"{name}, bytes of {k} levels"] = allocate(found["size"], found[damage], budget=budget)
        for name, choice in choices.items():
            key = tuple(choice)
            seen[key] = seen.get(key) or judged(choice, seed, network, found, images, data)
            methods[name] = seen[key]
            bar.update()
    return {key: found[key] for key in ("size", "loss", "error")}, methods


def main(network):
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    images = mcomp.data.load("fashion-mnist", subset=IMAGES).train
    layers = list(tensors(zoo.load(network, 0)))
    total = len(SEEDS) * (len(layers) * len(LEVELS) + len(UNIFORM) * (1 + len(WAYS)))
    with tqdm(total=total, unit="network") as bar:
        found = [one_seed(network, seed, data, images, bar) for seed in SEEDS]
    dense = [zoo.load(network, seed) for seed in SEEDS]
    methods = {"float32": {"bytes": [float32_bytes(m) for m in dense],
                           "accuracy": [evaluate(m, data.test) for m in dense]}}  # fmt: skip
    for name, figures in found[0][1].items():
        methods[name] = {key: [seed[1][name][key] for seed in found] for key in figures}
    write(
        __file__,
        question="Which layer gets how many levels, if all must fit a budget of bytes?",
        network=network,
        methods=methods,
        seeds=SEEDS,
        levels=LEVELS,
        uniform=UNIFORM,
        layers=layers,
        tables=[seed[0] for seed in found],  # by seed: a row a tensor, a column a number of levels
    )


if __name__ == "__main__":
    main(sys.argv[1])
