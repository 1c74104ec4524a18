"""A third of a tower's blocks gone: which, by which score, and what training repairs. Six seeds.

    python experiments/11_layers.py 6     (the number of seeds; five minutes of computing)

A tower of nine residual blocks (experiments/towers.py) is trained on 2,000 images. On 500 validation images
each block gets four scores: block influence (the angle alone), relative change (length too), what a linear
probe behind it knows more than one before it, and the loss without it. Then all 84 triples are taken out, to
see which cost least. Two triples are cut and trained on: the three blocks whose loss without them is least,
also with the whole tower as teacher, and three drawn at random. The control isn't cut, and six blocks
from scratch get all epochs in one run. Rates are tuned as in chapter 04. Last, probes as exits.
"""

import sys
from itertools import combinations

import numpy as np
import torch
from common import RESULTS, by_seed, file_size, tune, write
from torch.nn import functional as F
from towers import GRID, Tower, figures, fresh, macs, rank_correlation, trained, validated

import mcomp.data
from mcomp import distill, save, structure
from mcomp.train import predict
from mcomp.watch import watch

IMAGES, FIRST, MORE = 2_000, 6, 3
DEPTH, WIDTH, GONE, LOOK = 9, 16, 3, 500
CONTROL, ARMS = "control", ("control", "cut", "cut, teacher", "cut, chance", "from scratch")
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 2.0)


def names():
    return [f"blocks.{i}" for i in range(DEPTH)]


def probes(model, data):
    """A linear probe behind each block, before the first one too: dict of name to layer."""
    x, y = data.train
    found = structure.block_features(model, ["pool", *names()], x)
    return {name: structure.linear_probe(z, y) for name, z in found.items()}


def probe_logits(model, probe, x):
    found = structure.block_features(model, list(probe), x)
    with torch.no_grad():
        return torch.stack([layer(found[name]) for name, layer in probe.items()])  # (blocks + 1, n, classes)


def scores(model, data):
    """By score: a number for each block, the larger the more it seems to be worth."""
    x, y = (part[:LOOK] for part in data.validation)
    seen = structure.influence(model, names(), x)
    without = structure.loss_without(model, names(), (x, y))
    known = [float(F.cross_entropy(z, y)) for z in probe_logits(model, probes(model, data), x)]
    return {
        "angle": [seen[n].cosine for n in names()],
        "relative": [seen[n].relative for n in names()],
        "probe": [known[i] - known[i + 1] for i in range(DEPTH)],
        "loss": [without[n] - without[""] for n in names()],
    }, without[""]


def triples(model, data):
    """The loss without each set of three blocks, by their numbers."""
    x, y = (part[:LOOK] for part in data.validation)
    found = {}
    for gone in combinations(range(DEPTH), GONE):
        small = structure.drop(model, [f"blocks.{i}" for i in gone], x=x[:2])
        found[gone] = float(F.cross_entropy(predict(small, x), y))
    return found


def lengths(model, x):
    """The mean norm of a position's channels, before the first block and behind each."""
    found = {name: [] for name in ("pool", *names())}

    def look(name, block, out):
        found[name].append(float(out.norm(dim=1).mean()))

    watch(model, x, look, names=list(found), outputs=True)
    return [float(np.mean(values)) for values in found.values()]


def least(values):
    return tuple(sorted(int(i) for i in np.argsort(values, kind="stable")[:GONE]))


class Trials:
    """The trained networks of all arms, rates and seeds, each trained once."""

    def __init__(self, data):
        self.data, self.made, self.known, self.first_lr = data, {}, {}, None

    def dense(self, lr, seed):
        if ("dense", lr, seed) not in self.made:
            model = fresh(seed, lambda: Tower(DEPTH, WIDTH))
            self.made["dense", lr, seed] = trained(model, self.data, epochs=FIRST, lr=lr, order=seed)
        return self.made["dense", lr, seed]

    def what(self, seed):
        """Scores, their loss, triples and the teacher's logits of a seed's tower."""
        if seed not in self.known:
            model = self.dense(self.first_lr, seed)
            found, before = scores(model, self.data)
            self.known[seed] = found, before, triples(model, self.data), predict(model, self.data.train[0])
        return self.known[seed]

    def gone(self, arm, seed):
        """The blocks that an arm takes out."""
        chance = np.random.default_rng(4000 + seed).permutation(DEPTH)
        known = {CONTROL: (), "cut, chance": least(chance)}
        return known.get(arm, least(self.what(seed)[0]["loss"]))

    def network(self, arm, lr, seed):
        if (arm, lr, seed) not in self.made:
            self.made[arm, lr, seed] = self._network(arm, lr, seed)
        return self.made[arm, lr, seed]

    def _network(self, arm, lr, seed):
        if arm == "from scratch":
            model = fresh(2000 + seed, lambda: Tower(DEPTH - GONE, WIDTH))
            return trained(model, self.data, epochs=FIRST + MORE, lr=lr, order=100 + seed)
        dense, gone = self.dense(self.first_lr, seed), self.gone(arm, seed)
        model = structure.drop(dense, [f"blocks.{i}" for i in gone], x=self.data.test[0][:2])
        loss = distill.teaching(self.what(seed)[3], self.data) if arm == "cut, teacher" else None
        return trained(model, self.data, epochs=MORE, lr=lr, order=100 + seed, loss=loss)


def exits(model, data):
    """Accuracy on test images and the mean MACs by threshold; a probe that is asked costs its own."""
    probe, (x, y) = probes(model, data), data.test
    logits = torch.cat([probe_logits(model, probe, x)[:-1], predict(model, x)[None]])
    cost = [macs(Tower(i, WIDTH), x) + i * WIDTH * 10 for i in range(DEPTH + 1)]
    rows = {"macs": [], "accuracy": [], "alone": []}
    for threshold in THRESHOLDS:
        taken = structure.first_confident(logits, threshold)
        answer = logits[taken, torch.arange(len(y))].argmax(1)
        rows["accuracy"].append(float((answer == y).float().mean()))
        rows["macs"].append(float(torch.tensor(cost)[taken].double().mean()))
    rows["alone"] = [float((z.argmax(1) == y).float().mean()) for z in logits]
    return rows | {"cost": cost}


def looked(trials, seed):
    """What is known of a seed's tower before it is trained on."""
    found, before, by_triple, _ = trials.what(seed)
    model = trials.dense(trials.first_lr, seed)
    best = min(by_triple, key=by_triple.get)
    return {
        "scores": found,
        "loss": before,
        "agree": {name: rank_correlation(values, found["loss"]) for name, values in found.items()},
        "without": {name: by_triple[least(values)] for name, values in found.items()},
        "gone": {name: least(values) for name, values in found.items()} | {"best": best},
        "best": by_triple[best],
        "median": float(np.median(list(by_triple.values()))),
        "lengths": lengths(model, trials.data.validation[0][:LOOK]),
        "exits": exits(model, trials.data),
    }


def main():
    torch.set_num_threads(1)
    data, seeds = mcomp.data.load("fashion-mnist", subset=IMAGES), range(int(sys.argv[1]))
    trials, found, seen = Trials(data), [], []
    dense = tune(["first"], GRID, validated(lambda arm, lr, seed: trials.dense(lr, seed), data))
    trials.first_lr = dense["chosen"]["first"]
    save(trials.dense(trials.first_lr, 0), RESULTS / "11_tower-0.safetensors")
    arms = tune(ARMS, GRID, validated(trials.network, data))
    for seed in seeds:
        made = {"before": trials.dense(trials.first_lr, seed)}
        made |= {arm: trials.network(arm, lr, seed) for arm, lr in arms["chosen"].items()}
        found.append({arm: figures(model, data, file_size(model)) for arm, model in made.items()})
        seen.append(looked(trials, seed))
        print(seed, {arm: row["accuracy"] for arm, row in found[-1].items()}, seen[-1]["agree"], flush=True)
        if seed >= 2:
            write(
                __file__, question="A third of the blocks gone: which, and what does training repair?",
                network="tower", methods=by_seed(found), seeds=range(len(found)), looked=seen, tuned=arms,
                tuned_first=dense, images=IMAGES, epochs=[FIRST, MORE], thresholds=THRESHOLDS,
            )  # fmt: skip


if __name__ == "__main__":
    main()
