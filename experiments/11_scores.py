"""Which of a tower's nine blocks are worth least? Four scores, all triples, and exits. Six seeds.

    python experiments/11_scores.py     (a minute of computing)

A tower of nine residual blocks (experiments/towers.py) is trained on 2,000 images, six epochs, at the rate
that the validation images of seed 0 prefer. On 500 validation images each block gets four scores: block
influence (the angle alone), relative change (length too), by how much a linear probe behind it knows more
than one before it, and the loss without it. Then all 84 triples are taken out, to see which cost least. Last,
the probes as exits, on 2,000 test images. The towers are kept for 11_repair.py.
"""

from itertools import combinations

import numpy as np
import torch
import towers
from common import RESULTS, tune, write
from torch.nn import functional as F
from towers import DEPTH, EPOCHS, FRESH, IMAGES, WIDTH, Tower
from tqdm.auto import tqdm

import mcomp.data
from mcomp import save, structure
from mcomp.train import predict
from mcomp.watch import watch

GONE, LOOK, EXITS, SEEDS = 3, 500, 2_000, (0, 1, 2, 3, 4, 5)
NAMES = [f"blocks.{i}" for i in range(DEPTH)]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 2.0)


def probes(model, data):
    """A linear probe behind each block, and before the first: dict of name to layer."""
    x, y = data.train
    found = structure.block_features(model, ["pool", *NAMES], x)
    return {name: structure.linear_probe(z, y) for name, z in found.items()}


def probe_logits(model, probe, x):
    found = structure.block_features(model, list(probe), x)
    with torch.no_grad():
        return torch.stack([layer(found[name]) for name, layer in probe.items()])  # (blocks + 1, n, classes)


def scores(model, probe, pair):
    """By score: a number for each block, the larger the more it seems to be worth; and the loss."""
    x, y = pair
    seen, without = structure.influence(model, NAMES, x), structure.loss_without(model, NAMES, pair)
    known = [float(F.cross_entropy(z, y)) for z in probe_logits(model, probe, x)]
    return {
        "angle": [seen[n].cosine for n in NAMES],
        "relative": [seen[n].relative for n in NAMES],
        "probe": [known[i] - known[i + 1] for i in range(DEPTH)],
        "loss": [without[n] - without[""] for n in NAMES],
    }, without[""]


def triples(model, pair):
    """The loss without each set of three blocks, by their numbers."""
    x, y = pair
    found = {}
    for gone in combinations(range(DEPTH), GONE):
        small = structure.drop(model, [NAMES[i] for i in gone], x=x[:2])
        found[gone] = float(F.cross_entropy(predict(small, x), y))
    return found


def lengths(model, x):
    """The mean norm of a position's channels, before the first block and behind each."""
    found = {name: [] for name in ("pool", *NAMES)}

    def look(name, block, out):
        found[name].append(float(out.norm(dim=1).mean()))

    watch(model, x, look, names=list(found), outputs=True)
    return [float(np.mean(values)) for values in found.values()]


def least(values):
    return tuple(sorted(int(i) for i in np.argsort(values, kind="stable")[:GONE]))


def exits(model, probe, pair):
    """Accuracy and the mean MACs by threshold; a probe that is asked costs its own."""
    x, y = pair
    logits = torch.cat([probe_logits(model, probe, x)[:-1], predict(model, x)[None]])
    cost = [towers.macs(Tower(i, WIDTH), x) + i * WIDTH * 10 for i in range(DEPTH + 1)]
    found = {"macs": [], "accuracy": [], "cost": cost}
    for threshold in THRESHOLDS:
        taken = structure.first_confident(logits, threshold)
        answer = logits[taken, torch.arange(len(y))].argmax(1)
        found["accuracy"].append(float((answer == y).float().mean()))
        found["macs"].append(float(torch.tensor(cost)[taken].double().mean()))
    return found | {"alone": [float((z.argmax(1) == y).float().mean()) for z in logits]}


def looked(model, data):
    """All that is known of a tower."""
    pair, probe = [part[:LOOK] for part in data.validation], probes(model, data)
    found, before = scores(model, probe, pair)
    by_triple = triples(model, pair)
    best = min(by_triple, key=by_triple.get)
    return {
        "scores": found,
        "loss": before,
        "agree": {name: towers.rank_correlation(values, found["loss"]) for name, values in found.items()},
        "without": {name: by_triple[least(values)] for name, values in found.items()},
        "gone": {name: least(values) for name, values in found.items()} | {"best": best},
        "best": by_triple[best],
        "median": float(np.median(list(by_triple.values()))),
        "lengths": lengths(model, pair[0]),
        "exits": exits(model, probe, [part[:EXITS] for part in data.test]),
    }


def main():
    torch.set_num_threads(1)
    data, made = mcomp.data.load("fashion-mnist", subset=IMAGES), {}

    def network(arm, lr, seed):
        if (lr, seed) not in made:
            model = towers.fresh(seed, lambda: Tower(DEPTH, WIDTH))
            made[lr, seed] = towers.trained(model, data, epochs=EPOCHS, lr=lr, order=seed)
        return made[lr, seed]

    tuned, seen, found = tune(["tower"], FRESH, towers.validated(network, data)), [], []
    for seed in tqdm(SEEDS, unit="seed"):
        model = network("tower", tuned["chosen"]["tower"], seed)
        size = save(model, towers.towers_path(seed))
        seen.append(looked(model, data))
        found.append(towers.figures(model, data, size))
    save(made[tuned["chosen"]["tower"], 0], RESULTS / "11_tower-0.safetensors")
    methods = {"tower": {key: [one[key] for one in found] for key in found[0]}}
    write(
        __file__, question="Which of a tower's blocks are worth least?", network="tower", methods=methods,
        seeds=SEEDS, looked=seen, tuned=tuned, images=IMAGES, epochs=EPOCHS, thresholds=THRESHOLDS,
    )  # fmt: skip


if __name__ == "__main__":
    main()
