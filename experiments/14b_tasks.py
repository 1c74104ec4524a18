"""One network for several tasks, out of networks fine-tuned for one each: LeNet-300-100, six bases.

    python experiments/14b_tasks.py      (about three minutes on one core)

A base learns 6,000 upright pictures. From it one network a task is fine-tuned on the same images.
"pictures": turned by 90 degrees, inverted, under noise. "classes": tops, footwear, the rest; each sees its
classes alone, all networks keep ten outputs. The networks are merged in several ways, whose scale is tuned on
one grid: mean accuracy over the tasks on validation images, two bases of their own. Six other bases are
tested once. "all at once" is one network fine-tuned on the images of all tasks, as many steps as all of them
together; its learning rate and theirs are tuned on one grid.
"""

import copy
from types import SimpleNamespace

import taught
import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import merge, train

SUBSET, BASE_EPOCHS, EPOCHS, NOISE, KEEP, DROP = 6_000, 10, 5, 1.0, 0.2, 0.9
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


def fine_tuned(base, pair, seed, lr, epochs):
    model = copy.deepcopy(base)
    return taught.learn(model, SimpleNamespace(train=pair), seed, epochs=epochs, lr=lr)


def both(parts):
    """The images of all tasks one after the other."""
    return tuple(torch.cat([part[i] for part in parts.values()]) for i in (0, 1))


def right(model, parts):
    return {task: train.evaluate(model, pair) for task, pair in parts.items()}


def mean(figures):
    return sum(figures.values()) / len(figures)


class Study:
    """Bases, fine-tuned networks and merged ones of one set of tasks; what was made is kept."""

    def __init__(self, tasks, data, bases, bar):
        self.bases, self.bar, self.made = bases, bar, {}
        held = tuple(part[:HELD] for part in data.validation)
        self.seen, self.held, self.last = (tasks(pair, data) for pair in (data.train, held, data.test))

    def network(self, arm, seed, lr):
        if (arm, seed, lr) not in self.made:
            pair = both(self.seen) if arm == "all at once" else self.seen[arm]
            self.made[arm, seed, lr] = fine_tuned(self.bases[seed], pair, seed, lr, EPOCHS)
            self.bar.update()
        return self.made[arm, seed, lr]

    def score(self, arm, lr):
        held = self.held if arm == "all at once" else {arm: self.held[arm]}
        return sum(mean(right(self.network(arm, s, lr), held)) for s in taught.TUNING_SEEDS) / 2

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
                found[name].append(right(model, self.last))
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
            mean(right(merge.add_tasks(self.bases[s], vectors[s], scale=scale), self.held))
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


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    bases = {}
    with tqdm(unit="network", mininterval=20) as bar:
        for seed in (*taught.TUNING_SEEDS, *seeds):
            bases[seed] = taught.network("lenet300", seed)
            taught.learn(bases[seed], data, seed, epochs=BASE_EPOCHS, lr=2e-3)
        found = {
            name: Study(tasks, data, bases, bar).run(seeds)
            for name, tasks in (("pictures", pictures), ("classes", classes))
        }
    methods = {
        f"{name}: {arm}": m for name, study in found.items() for arm, m in study.pop("methods").items()
    }
    write(
        __file__, question="What is left of several fine-tuned networks in one?", network="lenet300",
        methods=methods, seeds=seeds, studies=found, epochs=EPOCHS, keep=KEEP, drop=DROP, noise=NOISE,
        groups={name: [data.classes[c] for c in group] for name, group in GROUPS.items()},
        bases=[train.evaluate(bases[s], data.test) for s in seeds],
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
