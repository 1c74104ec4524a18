"""Lottery tickets on LeNet-300-100 and Fashion-MNIST: do they win, and against what? Three seeds.

    python experiments/05_tickets.py      (about eight minutes on one core)

15,000 training images, ten epochs a training. After each training the smallest weights of all layers
together go, to the next sparsity; the others are put back to their first values (the ticket), to those after
one epoch, or left as they are while the learning rate begins anew, as it does for a control that stays whole
and trains as often. Beside each ticket two networks of the
same sparsity: the same places with values drawn anew, and the same values at random places of each layer.
All of it with the one-cycle rate of this course, the first and its rivals also with the constant rate of
Frankle and Carbin 2019 (Adam, 1.2e-3). Nothing is chosen: the validation images give the curves by epoch, the
test images the final figure.
"""

import tempfile
from pathlib import Path

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import save, zoo
from mcomp.measure import float32_bytes
from mcomp.sparse_training import apply_masks
from mcomp.sparse_training.tickets import Steady, find_tickets, reinitialised, shuffled, train_ticket
from mcomp.train import Callback, evaluate

SEEDS = (0, 1, 2)
IMAGES, EPOCHS = 15_000, 10
SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)
PUT_BACK = {
    "ticket": {"rewind": 0},
    "rewound to epoch 1": {"rewind": 1},
    "rate rewound": {"rewind": 0, "keep": "end"},
    "whole, rate rewound": {"rewind": 0, "keep": "end", "sparsities": (0.0,) * len(SPARSITIES)},
}
FILES = ("ticket", "rate rewound")  # whose files are written
SETTINGS = {
    "one cycle": ({"lr": 2e-3}, (), tuple(PUT_BACK)),
    "constant": ({"lr": 1.2e-3}, (Steady(),), ("ticket",)),
}


class Watch(Callback):
    """Validation accuracy after each epoch, a list for each training."""

    def __init__(self, data, bar):
        self.data, self.bar, self.curves = data, bar, []

    def after_epoch(self, run):
        if run.epoch == 0:
            self.curves.append([])
        self.curves[-1].append(evaluate(run.model, self.data.validation))
        self.bar.update()


def file_size(model):
    with tempfile.TemporaryDirectory() as folder:
        return save(model, Path(folder, "model.safetensors"))


def fresh(seed):
    """An untrained network of that seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return zoo.build("lenet300")


def one_setting(seed, data, bar, options, callbacks, names):
    """By kind of network: lists over the sparsities of test accuracy, bytes, and the curves by epoch."""
    model, found = fresh(seed), {}
    options = {"epochs": EPOCHS, "seed": seed, "progress": False, **options}

    def note(kind, trained, curve):
        entry = found.setdefault(kind, {"accuracy": [], "bytes": [], "curves": []})
        entry["accuracy"].append(evaluate(trained, data.test))
        entry["curves"].append(curve)
        if kind in FILES and not callbacks:
            entry["bytes"].append(file_size(trained))

    def rival(kind, start, masks):
        watch = Watch(data, bar)
        note(kind, train_ticket(start, masks, data, callbacks=[*callbacks, watch], **options), *watch.curves)

    rival("whole", model, {name: torch.ones_like(p).bool() for name, p in matrices(model).items()})
    for name in names:
        watch = Watch(data, bar)
        search = {"sparsities": SPARSITIES, "callbacks": [*callbacks, watch], **PUT_BACK[name], **options}
        for ticket in find_tickets(model, data, **search):
            note(name, ticket.trained, watch.curves[-1])
            if name == "ticket":
                rival("drawn anew", reinitialised(model, ticket.masks, seed=1000 + seed), ticket.masks)
                elsewhere = shuffled(ticket.masks, seed=seed)
                rival("random places", apply_masks(model, elsewhere), elsewhere)
    return found


def matrices(model):
    return {name: p for name, p in model.named_parameters() if p.ndim > 1}


def by_seed(found):
    """{setting: {kind: {key: lists, one a seed}}}"""
    return {
        setting: {
            kind: {key: [seed[setting][kind][key] for seed in found] for key in figures}
            for kind, figures in kinds.items()
        }
        for setting, kinds in found[0].items()
    }


def main():
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    rounds = len(SPARSITIES) + 1  # the whole network is trained first, in each search
    searches = sum(rounds * len(names) for _, _, names in SETTINGS.values())
    trainings = searches + len(SETTINGS) * (1 + 2 * len(SPARSITIES))
    found = []
    with tqdm(total=len(SEEDS) * trainings * EPOCHS, unit="epoch") as bar:
        for seed in SEEDS:
            found.append({name: one_setting(seed, data, bar, *how) for name, how in SETTINGS.items()})
    curves = by_seed(found)
    methods = {"float32": {"bytes": [float32_bytes(fresh(0)) for _ in SEEDS], "accuracy": []}}
    methods["float32"]["accuracy"] = [x[0] for x in curves["one cycle"]["whole"]["accuracy"]]
    for kind in FILES:
        for i, sparsity in enumerate(SPARSITIES):
            figures = curves["one cycle"][kind]
            entry = {key: [x[i] for x in figures[key]] for key in ("bytes", "accuracy")}
            methods[f"{kind}, {100 * sparsity:g} %"] = entry
    write(
        __file__,
        question="Do lottery tickets win on LeNet-300-100 and Fashion-MNIST?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        sparsities=list(SPARSITIES),
        images=IMAGES,
        epochs=EPOCHS,
        curves=curves,
    )


if __name__ == "__main__":
    main()
