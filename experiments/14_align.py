"""A planted order of channels, found again or not; and ResNets averaged, with which batch norm statistics?

    python experiments/14_align.py      (about eight minutes on one core)

A network's channels are renumbered by chance, and `match_weights` is asked for the order: 100 tries for each
kind and width, of untrained networks each with weights of its own, of the zoo's each of three in turn. With
noise 1 each weight of the copy has moved by its tensor's standard deviation, with noise 2 by twice that. Then
the three pairs of the zoo's ResNets are averaged, as they are and matched; and pairs fine-tuned from one
ResNet for an epoch of 6,000 images, each at the learning rate of 0.001 and with images in its own order.
Statistics of batch norm: averaged, or anew from 2,000 training images. Accuracy halfway, and the barrier in
loss over five places of the straight line, on the first 5,000 test images, asked once.
"""

import copy

import numpy as np
import torch
from common import by_seed, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import train, zoo
from mcomp.channels import recalibrate
from mcomp.merge import (
    average,
    barrier,
    line,
    match_activations,
    match_weights,
    permute,
    random_orders,
    symmetries,
)

TRIES, SUBSET, LR, TESTED = 100, 6_000, 0.001, 5_000
NOISES, PLAIN, RESIDUAL = (0, 1, 2), (4, 8, 16, 32, 64), (4, 16)
PLACES = np.linspace(0, 1, 5)


def untrained(name, sizes, seed):
    torch.manual_seed(seed)
    return zoo.build(name, **sizes).eval()


def disturbed(model, noise, seed):
    """`model`, each weight moved by `noise` times its tensor's standard deviation; changed in place."""
    chance = torch.Generator().manual_seed(3000 + seed)
    with torch.no_grad():
        for p in model.parameters():
            p += noise * p.std() * torch.randn(p.shape, generator=chance)
    return model


def found_again(model, graph, noise, seed):
    """The part of the channels whose planted place `match_weights` finds."""
    planted = random_orders(graph, seed=seed)
    turned = permute(model, graph, planted)
    orders = match_weights(model, disturbed(turned, noise, seed) if noise else turned, graph, seed=seed)
    right = [planted[name][order] == np.arange(len(order)) for name, order in orders.items()]
    return float(np.concatenate(right).mean())


def planted(data, bar):
    """Parts found again, one a try: by kind, width and noise, and for the zoo's networks."""
    found, image = {}, data.train[0][:2]

    def tries(model_of, noise=0):
        graph, parts = symmetries(model_of(0), image), []
        for seed in range(TRIES):
            parts.append(found_again(model_of(seed), graph, noise, seed))
            bar.update()
        return parts

    for noise in NOISES:
        for width in PLAIN:
            sizes = {"hidden": (width, width)}
            parts = tries(lambda seed, sizes=sizes: untrained("lenet300", sizes, seed), noise)
            found[f"two hidden layers of {width}, noise {noise}"] = parts
    for width in RESIDUAL:
        sizes = {"widths": (width, 2 * width, 4 * width)}
        found[f"ResNet from {width} channels"] = tries(lambda seed, of=sizes: untrained("resnet", of, seed))
    for name in ("lenet300", "resnet"):
        found[f"trained {name}"] = tries(lambda seed, name=name: zoo.load(name, seed % 3))
    return found


def accuracy(model, data):
    """On the first `TESTED` test images; with the channels last it is faster."""
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)
    return train.evaluate(model, [part[:TESTED] for part in data.test], batch_size=250)


def loss(model, data):
    """Cross-entropy in nats, on the same images."""
    x, y = (part[:TESTED] for part in data.test)
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)
    return float(F.cross_entropy(train.predict(model, x, batch_size=250), y))


def merged(a, b, data, ends):
    """Test accuracy halfway between two networks, and the barrier, by how batch norm gets its statistics."""
    mean, anew = average([a, b]), lambda model: recalibrate(model, data.train[0][:2000])
    ways = {"": anew, ", averaged": lambda model: model}
    rises = {
        f"barrier{way}": float(
            barrier(np.array(line(a, b, lambda m, f=f: loss(f(m), data), at=PLACES)), PLACES)
        )
        for way, f in ways.items()
    }
    return {"accuracy": accuracy(anew(mean), data), "averaged": accuracy(mean, data), "ends": ends, **rises}


def merges(pair, data):
    a, b = (zoo.load("resnet", seed) for seed in pair)
    x = data.train[0]
    graph = symmetries(a, x[:4])
    ways = {
        "apart": {},
        "matched by weights": match_weights(a, b, graph),
        "matched by answers": match_activations(a, b, graph, x[:500]),
    }
    ends = sum(accuracy(m, data) for m in (a, b)) / 2  # in whatever order
    found = {way: merged(a, permute(b, graph, orders), data, ends) for way, orders in ways.items()}
    tuned = [copy.deepcopy(a) for _ in range(2)]
    for order, model in enumerate(tuned):
        train.fit(model, data, epochs=1, lr=LR, seed=1000 + order, progress=False)
    ends = sum(accuracy(m, data) for m in tuned) / 2
    return {**found, "from one start": merged(*tuned, data, ends)}


def main(data):
    torch.set_num_threads(1)
    pairs = ((0, 1), (1, 2), (2, 0))
    with tqdm(unit="try", mininterval=20) as bar:
        methods = by_seed([merges(pair, data) for pair in pairs])
        tries = planted(data, bar)
    write(
        __file__,
        question="Is a planted order found again, and which statistics does a mean of ResNets want?",
        network="resnet",
        methods=methods,
        seeds=[0, 1, 2],
        pairs=pairs,
        planted=tries,
        noises=list(NOISES),
        widths=list(PLAIN),
        tries=TRIES,
        tested=TESTED,
        images=SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
