"""When should the weights go? One shot, rounds, gradual, dynamic masks, sparse from the start: three seeds.

    python experiments/05_pruning_over_time.py      (about fifteen minutes on one core)

From the trained network, five more epochs each, the best of the learning rates on validation: all at once,
five rounds, Zhu and Gupta's cubic, dynamic network surgery. From scratch, with as many epochs as the
others had in all (the zoo's twenty and five): a random mask that rests, SET, RigL, at a learning rate chosen
beforehand on 12,000 images. A controller that steers the threshold. Test images are looked at once.
"""

import copy
import tempfile
from functools import partial
from pathlib import Path

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import save, zoo
from mcomp.codecs import Sparse, bake
from mcomp.measure import float32_bytes
from mcomp.prune import iterative_sparsity, kept_count
from mcomp.sparse_training import (
    Controller,
    DropAndGrow,
    DynamicSurgery,
    Masking,
    Scheduled,
    attach_masks,
    prunable_weights,
    random_masks,
)
from mcomp.sparse_training.tickets import Steady
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)
SPARSITIES, SCRATCH = (0.9, 0.95, 0.98), (0.95,)
EPOCHS, RATES, CONTROL_RATES = 5, (1e-3, 4e-3), (5e-4, 1e-3, 4e-3)
SCRATCH_EPOCHS, SCRATCH_RATE = 25, 4e-3
JUDGED, JUDGED_RATE, TOLERANCE = 15, 1e-3, 0.01
RULES = {
    "one shot": partial(Scheduled, schedule=iterative_sparsity, rounds=1),
    "five rounds": partial(Scheduled, schedule=iterative_sparsity, rounds=5, ramp=0.5),
    "gradual": partial(Scheduled, ramp=0.5),
    "surgery": partial(DynamicSurgery, ramp=0.5),
}
MOVES = {
    "static random": Masking,
    "SET": partial(DropAndGrow, grow="random"),
    "RigL": partial(DropAndGrow, grow="gradient"),
}


def figures(model, data, **more):
    """What is kept of a network: bytes of the file, accuracy on test, and `more`."""
    with tempfile.TemporaryDirectory() as folder:
        nbytes = save(model, Path(folder, "model.safetensors"))
    return {"bytes": nbytes, "accuracy": evaluate(model, data.test), **more}


def trained_on(model, data, seed, make, rates, bar):
    """The best on validation of one training for each rate: the network, its rate, the callback."""
    tried = []
    for lr in rates:
        network = attach_masks(copy.deepcopy(model))
        callback = make(network)
        fit(network, data, epochs=EPOCHS, lr=lr, seed=seed, callbacks=[callback], progress=False)
        tried.append((evaluate(bake(network), data.validation), network, lr, callback))
        bar.update(EPOCHS)
    return max(tried, key=lambda found: found[0])[1:]


def from_scratch(make, sparsity, data, seed, bar):
    """A network that is sparse from its first step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(100 + seed)
        model = zoo.build("lenet300")
    attach_masks(model, random_masks(model, sparsity, seed=seed))
    callback = make(model)
    fit(model, data, epochs=SCRATCH_EPOCHS, lr=SCRATCH_RATE, seed=seed, callbacks=[callback], progress=False)
    bar.update(SCRATCH_EPOCHS)
    return bake(model), callback


def steered(model, data, seed, bar):
    """The controller's last good network, and what it tried."""
    network = attach_masks(copy.deepcopy(model))
    w = torch.cat([w.abs().flatten() for w in prunable_weights(model).values()])
    start = float(w.kthvalue(len(w) - kept_count(len(w), 0.5)).values)
    floor = evaluate(model, data.validation) - TOLERANCE
    judge = Controller(network, lambda m: evaluate(m, data.validation), floor=floor, start=start)
    options = {"epochs": JUDGED, "lr": JUDGED_RATE, "seed": seed, "progress": False}
    fit(network, data, callbacks=[Steady(), judge], **options)
    bar.update(JUDGED)
    return bake(network), judge


def moved(model, original):
    """Bits a weight of fc1 and its distance from the original, in units of the original's variance."""
    w, before = model.fc1.weight.detach(), original.fc1.weight.detach()
    nbits = Sparse(1 - int(w.count_nonzero()) / w.numel()).encode(w).nbits()
    return nbits / w.numel(), float(((w - before) ** 2).mean() / before.var(unbiased=False))


def one_seed(seed, data, bar):
    """All figures of one seed: by method; the controller's log; the plane's points."""
    model = zoo.load("lenet300", seed)
    whole, plane = float32_bytes(model), {}
    control, lr, _ = trained_on(model, data, seed, Masking, CONTROL_RATES, bar)
    found = {
        "float32": {"bytes": whole, "accuracy": evaluate(model, data.test)},
        f"float32, {EPOCHS} more epochs (control)": {
            "bytes": whole, "accuracy": evaluate(control, data.test), "lr": lr,
        },
    }  # fmt: skip
    for name, rule in RULES.items():
        for sparsity in SPARSITIES:
            make = partial(rule, final=sparsity)
            small, lr, callback = trained_on(model, data, seed, make, RATES, bar)
            back = sum(entry["back"] for entry in callback.log)
            found[f"{name}, {100 * sparsity:g} %"] = figures(small, data, lr=lr, back=back)
            plane.setdefault(f"{name}, trained", []).append(moved(small, model))
    plane["one shot, not trained"] = []
    for sparsity in SPARSITIES:
        network = attach_masks(copy.deepcopy(model))
        Scheduled(network, sparsity).finish()
        plane["one shot, not trained"].append(moved(bake(network), model))
    for name, make in MOVES.items():
        for sparsity in SCRATCH:
            small, callback = from_scratch(make, sparsity, data, seed, bar)
            back = sum(entry["back"] for entry in callback.log)
            found[f"{name}, {100 * sparsity:g} %"] = figures(small, data, back=back)
    small, judge = steered(model, data, seed, bar)
    found["controller"] = figures(small, data, sparsity=judge.sparsity())
    return found, judge.log, plane


def main():
    data = mcomp.data.load("fashion-mnist")
    epochs = EPOCHS * (len(CONTROL_RATES) + len(RULES) * len(SPARSITIES) * len(RATES))
    epochs += SCRATCH_EPOCHS * len(MOVES) * len(SCRATCH) + JUDGED
    with tqdm(total=len(SEEDS) * epochs, unit="epoch") as bar:
        found = [one_seed(seed, data, bar) for seed in SEEDS]
    methods = {
        name: {key: [seed[0][name][key] for seed in found] for key in figures}
        for name, figures in found[0][0].items()
    }
    plane = {
        name: dict(zip(("bits", "mse"), map(list, zip(*points, strict=True)), strict=True))
        for name, points in found[0][2].items()  # of seed 0
    }
    write(
        __file__,
        question="When should the weights of LeNet-300-100 go?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        sparsities=list(SPARSITIES),
        scratch_sparsities=list(SCRATCH),
        controller=[seed[1] for seed in found],
        tolerance=TOLERANCE,
        rate_distortion=plane,
    )


if __name__ == "__main__":
    main()
