"""One network for several tasks, out of networks fine-tuned for one each: LeNet-300-100, six bases.

    python experiments/14b_tasks.py      (about four minutes on one core)

"pictures": a base learns 6,000 upright pictures; from it one network a task is fine-tuned on the same images
turned by 90 degrees, inverted, or under noise. "classes": a base learns 300 pictures; from it one network a
task is fine-tuned on those of 6,000 that show tops, footwear, or the rest. There the task is known, in
training and in the test: only its own classes can be answered. The networks are merged in several ways,
whose scale is tuned on one grid: mean accuracy over the tasks on validation images, two bases of their own.
Six other bases are tested once. "all at once" is one network fine-tuned on the images of all tasks, as many
steps as all of them together; its learning rate and theirs are tuned on one grid.
"""

import copy
from types import SimpleNamespace

import taught
import torch
from common import tune, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import merge, train

SUBSET, EPOCHS, NOISE, KEEP, DROP = 6_000, 5, 1.0, 0.2, 0.9
BASES = {"pictures": (6_000, 10), "classes": (300, 40)}  # images, epochs
HELD = 2_500  # of the validation images
RATES, SCALES = (0.0005, 0.001, 0.002), (0.2, 0.3, 0.45, 0.675, 1.0, 1.5)
GROUPS = {"tops": (0, 2, 4, 6), "footwear": (5, 7, 9), "the rest": (1, 3, 8)}


def inverted(x, data):
    """The picture 1 - p of a picture p, in the units of the network."""
    return (1 - 2 * data.mean) / data.std - x


def pictures(pair, data):
    x, y = pair
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(len(x)))
    return {
        "turned": (torch.rot90(x, 1, (2, 3)), y),
        "inverted": (inverted(x, data), y),
        "noisy": (x + NOISE * noise, y),
    }


def classes(pair, data):
    x, y = pair
    rows = {name: torch.isin(y, torch.tensor(group)) for name, group in GROUPS.items()}
    return {name: (x[mine], y[mine]) for name, mine in rows.items()}


def allowed(name):
    """Which answers (columns) an image of a class (rows) can get: all, or those of its task."""
    groups = GROUPS.values() if name == "classes" else [range(10)]
    return sum(
        torch.outer(one, one) for one in (torch.isin(torch.arange(10), torch.tensor(g)).int() for g in groups)
    )


def only(logits, y, can):
    return logits.masked_fill(can[y] == 0, -1e4)


def summed(vectors):
    return {name: sum(v[name] for v in vectors) for name in vectors[0]}


def thinned(vectors):
    """DARE, tensor by tensor."""
    return [
        {name: merge.dare(x, drop=DROP, seed=100 * t + i) for i, (name, x) in enumerate(vector.items())}
        for t, vector in enumerate(vectors)
    ]


MERGES = {
    "sum": summed,
    "TIES over the model": lambda v: merge.merge_tasks(v, keep=KEEP),
    "TIES in each tensor": lambda v: merge.merge_tasks(v, keep=KEEP, scope="tensor"),
    "DARE, sum": lambda v: summed(thinned(v)),
    "DARE, TIES": lambda v: merge.merge_tasks(thinned(v), keep=KEEP),
    "TIES without the trim": lambda v: merge.merge_tasks(v, keep=1.0),
}


def fine_tuned(base, pair, seed, lr, can):
    def loss(logits, batch):
        return F.cross_entropy(only(logits, batch.y, can), batch.y)

    model = copy.deepcopy(base)
    return taught.learn(model, SimpleNamespace(train=pair), seed, epochs=EPOCHS, lr=lr, loss=loss)


def both(parts):
    """The images of all tasks one after the other."""
    return tuple(torch.cat([part[i] for part in parts.values()]) for i in (0, 1))


def right(model, parts, can):
    found = {}
    for task, (x, y) in parts.items():
        found[task] = float((only(train.predict(model, x), y, can).argmax(1) == y).float().mean())
    return found


def mean(figures):
    return sum(figures.values()) / len(figures)


class Study:
    """Bases, fine-tuned networks and merged ones of one set of tasks; what was made is kept."""

    def __init__(self, name, tasks, data, bases, bar):
        self.can = allowed(name)
        self.bases, self.bar, self.made = bases, bar, {}
        held = tuple(part[:HELD] for part in data.validation)
        self.seen, self.held, self.last = (tasks(pair, data) for pair in (data.train, held, data.test))

    def network(self, arm, seed, lr):
        if (arm, seed, lr) not in self.made:
            pair = both(self.seen) if arm == "all at once" else self.seen[arm]
            self.made[arm, seed, lr] = fine_tuned(self.bases[seed], pair, seed, lr, self.can)
            self.bar.update()
        return self.made[arm, seed, lr]

    def score(self, arm, lr):
        held = self.held if arm == "all at once" else {arm: self.held[arm]}
        return sum(mean(right(self.network(arm, s, lr), held, self.can)) for s in taught.TUNING_SEEDS) / 2

    def vectors(self, seed):
        return [merge.task_vector(self.network(t, seed, self.rates[t]), self.bases[seed]) for t in self.seen]

    def run(self, seeds):
        arms = [*self.seen, "all at once"]
        tuned = tune(arms, RATES, self.score)
        self.rates = tuned["chosen"]
        of = {seed: self.vectors(seed) for seed in (*taught.TUNING_SEEDS, *seeds)}
        merged = {name: {s: way(v) for s, v in of.items()} for name, way in MERGES.items()}
        scales = tune(list(MERGES), SCALES, lambda name, scale: self.merged_score(merged[name], scale))
        found = {
            name: []
            for name in ("base", *(f"{t} alone" for t in self.seen), "all at once", "average", *MERGES)
        }
        for seed in seeds:
            base = self.bases[seed]
            made = {
                "base": base,
                "average": merge.add_tasks(base, merged["sum"][seed], scale=1 / len(self.seen)),
            }
            made |= {f"{task} alone": self.network(task, seed, self.rates[task]) for task in self.seen}
            made["all at once"] = self.network("all at once", seed, self.rates["all at once"])
            for name in MERGES:
                made[name] = merge.add_tasks(base, merged[name][seed], scale=scales["chosen"][name])
            for name, model in made.items():
                found[name].append(right(model, self.last, self.can))
            self.bar.update()
        methods = {
            name: {"accuracy": [mean(one) for one in each]} | {t: [one[t] for one in each] for t in self.seen}
            for name, each in found.items()
        }  # fmt: skip
        return {
            "methods": methods,
            "rates": tuned,
            "scales": scales,
            "vectors": [described(of[s]) for s in seeds],
        }

    def merged_score(self, vectors, scale):
        found = [
            mean(right(merge.add_tasks(self.bases[s], vectors[s], scale=scale), self.held, self.can))
            for s in taught.TUNING_SEEDS
        ]
        return sum(found) / len(found)


def described(vectors):
    """Cosines of the tasks' vectors, and how often two that survive the trim disagree in sign."""
    flat = torch.stack([torch.cat([x.flatten() for x in v.values()]) for v in vectors])
    unit = flat / flat.norm(dim=1, keepdim=True)
    kept = torch.stack([merge.trim(v, keep=KEEP) for v in flat])
    several = (kept != 0).sum(0) > 1
    split = ((kept > 0).any(0) & (kept < 0).any(0))[several].float().mean()
    return {
        "cosines": (unit @ unit.T).tolist(),
        "lengths": flat.norm(dim=1).tolist(),
        "shared": float(several.float().mean()),
        "split": float(split),
    }


def based(name, data, seed):
    images, epochs = BASES[name]
    some = SimpleNamespace(train=tuple(part[:images] for part in data.train))
    base = taught.network("lenet300", seed)
    return taught.learn(base, some, seed, epochs=epochs, lr=2e-3, batch_size=100)


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    with tqdm(unit="network", mininterval=20) as bar:
        for name, tasks in (("pictures", pictures), ("classes", classes)):
            bases = {seed: based(name, data, seed) for seed in (*taught.TUNING_SEEDS, *seeds)}
            found = Study(name, tasks, data, bases, bar).run(seeds)
            write(
                __file__, question="What is left of several fine-tuned networks in one?", network=name,
                seeds=seeds, epochs=EPOCHS, keep=KEEP, drop=DROP, noise=NOISE, base=BASES[name], **found,
            )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
