"""Where should a student start? From chance, or from a part of its teacher: learning curves.

    python experiments/13_parameters.py      (about two minutes on one core)

Width: LeNet-300-100 of the zoo is the teacher, the student has 40 and 20 hidden neurons, 3,000 images, six
epochs. It starts from chance, or from its teacher's weights, projected: on random directions, on those of the
largest features, on the neurons of the largest mean square, and on these with the next layer fitted again by
least squares. Each from labels and from the teacher's answers; from chance also pulled to the slices by a
loss on its parameters, or to directions that start as the slices and are learned along. Depth: eight linear
layers with 64 neurons teach five: chance, or layers 0 2 4 6 and the last, or the first four and the last. The
learning rate of every arm is tuned on one grid by two seeds of their own, six other seeds follow. Copies
learn side by side, as in taught.py.
"""

from itertools import pairwise

import taught
import torch
from common import write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train, zoo
from mcomp.watch import input_grams

EPOCHS, SUBSET, BATCH = 6, 3_000, 128
RATES, PULLS, WIDTHS = (0.0025, 0.005, 0.01), (0.01, 0.1), (40, 20)
STARTS = ("chance", "random directions", "largest directions", "largest neurons", "largest neurons, refitted")
TEACHER, SECOND, FIRST = 8, (0, 2, 4, 6, 7), (0, 1, 2, 3, 7)


def dense(widths, seed):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def pairs(model):
    """Weight and bias of each Linear, in float64."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().double(), layer.bias.detach().double()) for layer in layers]


def bases(kind, grams, seed):
    """For each hidden layer the directions (n, k) that the student keeps: orthonormal columns."""
    found = []
    for gram, k in zip(grams, WIDTHS, strict=True):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(gram), k, generator=generator, dtype=torch.float64)
        largest = gram.diagonal().argsort(descending=True)[:k].tolist()
        if kind == "random directions":
            found.append(torch.linalg.qr(noise)[0])
        elif kind == "largest directions":
            found.append(distill.principal(gram, k))
        else:
            found.append(distill.selection(largest, len(gram), like=gram))
    return found


def started(kind, teacher, grams, seed):
    """The student's weights and biases at the start."""
    if kind == "chance":
        return pairs(dense((784, *WIDTHS, 10), seed))
    kept, found = [None, *bases(kind, grams, seed), None], []
    for place, (w, b) in enumerate(pairs(teacher)):
        before, after = kept[place : place + 2]
        if before is not None:
            refitted = kind.endswith("refitted")
            w = distill.refit(w, grams[place - 1], q=before) if refitted else distill.project(w, q=before)
        if after is not None:
            w, b = distill.project(w, p=after.T), after.T @ b
        found.append((w, b))
    return found


class Copies(taught.Stack):
    """Students of one shape side by side, each with a start of its own, and what pulls them, if it learns."""

    def __init__(self, starts, pulls=()):
        model = nn.Sequential(*(nn.Linear(w.shape[1], w.shape[0]) for w, _ in starts[0]))
        super().__init__(model, len(starts))
        self.pulls = nn.ModuleList(pull for pull in pulls if isinstance(pull, nn.Module))
        with torch.no_grad():
            for i, start in enumerate(starts):
                for layer, (w, b) in enumerate(start):
                    self.weights[layer][i], self.biases[layer][i, 0] = w.float(), b.float()


class Curve(train.Callback):
    """Validation accuracy of every copy, after each epoch."""

    def __init__(self, stack, pair):
        self.stack, self.pair, self.rows = stack, pair, []
        self.after_epoch(None)

    def after_epoch(self, run):
        self.rows.append(rights(self.stack, self.pair))


def rights(stack, pair):
    with torch.no_grad():
        return (stack(pair[0]).argmax(-1) == pair[1]).float().mean(1).tolist()


def together(arms, seed, lr, data):
    """Train the arms, (start, loss on logits, loss on weights or None) each: curve and test accuracy."""
    stack = Copies([start for start, _, _ in arms.values()], [pull for _, _, pull in arms.values()])
    curve = Curve(stack, data.validation)

    def loss(logits, batch):
        total = sum(own(logits[i], batch) for i, (_, own, _) in enumerate(arms.values()))
        for i, (_, _, pull) in enumerate(arms.values()):
            if pull is not None:
                total = total + pull([w[i] for w in stack.weights])
        return total

    options = {"lr": lr, "epochs": EPOCHS, "batch_size": BATCH, "callbacks": [curve]}
    taught.learn(stack, data, seed, loss=loss, **options)
    tests = rights(stack, data.test)
    return {
        arm: {"curve": [row[i] for row in curve.rows], "accuracy": tests[i]} for i, arm in enumerate(arms)
    }


def pulled(target, strength):
    """strength times the half squared distance from the target's weights."""
    wanted = [w.float() for w, _ in target]

    def pull(weights):
        return strength * sum(distill.parameter_loss(w, t) for w, t in zip(weights, wanted, strict=True))

    return pull


class Pull(nn.Module):
    """The same with directions that learn: they start as `kept`, (n, k) each, and stay orthonormal."""

    def __init__(self, teacher, kept, strength):
        super().__init__()
        self.strength, self.wanted = strength, [w.float() for w, _ in pairs(teacher)]
        self.bases = nn.ModuleList()
        for q in kept:
            base = nn.utils.parametrizations.orthogonal(nn.Linear(*q.shape, bias=False))
            base.weight = q.T.float()
            self.bases.append(base)

    def forward(self, weights):
        sides = [None, *(base.weight for base in self.bases), None]
        each = zip(weights, self.wanted, pairwise(sides), strict=True)
        losses = [
            distill.parameter_loss(w, t, p=after, q=None if before is None else before.T)
            for w, t, (before, after) in each
        ]
        return self.strength * sum(losses)


def width_arms(teacher, grams, answers):
    """A function of the seed: the arms by name."""

    def arms(seed):
        found = {}
        for kind in STARTS:
            start = started(kind, teacher, grams, seed)
            found[f"labels, {kind}"] = (start, taught.labels, None)
            found[f"answers, {kind}"] = (start, answers, None)
        target, chance = started("largest neurons", teacher, grams, seed), found["labels, chance"][0]
        for strength in PULLS:
            found[f"labels, pulled, {strength:g}"] = (chance, taught.labels, pulled(target, strength))
            learned = Pull(teacher, bases("largest neurons", grams, seed), strength)
            found[f"labels, pulled, {strength:g}, learned"] = (chance, taught.labels, learned)
        return found

    return arms


def depth_arms(teacher, answers):
    def arms(seed):
        chance, theirs = pairs(dense((784, *[64] * 4, 10), seed)), pairs(teacher)
        starts = {"chance": chance, "every second": [theirs[i] for i in SECOND]}
        starts["the first"] = [theirs[i] for i in FIRST]
        losses = {"labels": taught.labels, "answers": answers}
        return {f"{n}, {s}": (starts[s], losses[n], None) for n in losses for s in starts}

    return arms


def compare(arms, data, seeds, bar):
    """Each arm at its tuned rate: (tuned, methods)."""
    seen = {}

    def at(names, seed, lr):
        if any((name, seed, lr) not in seen for name in names):
            made = arms(seed)
            found = together({name: made[name] for name in names}, seed, lr, data)
            seen.update({(name, seed, lr): one for name, one in found.items()})
            bar.update()
        return {name: seen[name, seed, lr] for name in names}

    every = list(arms(0))

    def score(arm, lr):
        return sum(at(every, seed, lr)[arm]["curve"][-1] for seed in taught.TUNING_SEEDS)

    tuned = taught.tune(every, RATES, score)
    methods = {arm: {"curve": [], "accuracy": []} for arm in every}
    for seed in seeds:
        for lr in tuned["grid"]:
            names = [arm for arm in every if tuned["chosen"][arm] == lr]
            for arm, one in (at(names, seed, lr) if names else {}).items():
                for key, value in one.items():
                    methods[arm][key].append(value)
    return tuned, methods


def answers_of(model, data):
    logits = train.predict(model, data.train[0])
    return lambda own, batch: distill.kd_loss(own, logits[batch.index], T=2.0)


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    wide, deep = zoo.load("lenet300", 0), dense((784, *[64] * (TEACHER - 1), 10), 200)
    taught.learn(deep, mcomp.data.load("fashion-mnist", subset=12_000), 200, epochs=6, lr=0.002)
    grams = list(input_grams(wide, data.train[0], names=["fc2", "fc3"]).values())
    tuned, methods = {}, {}
    with tqdm(unit="run", mininterval=20) as bar:
        for kind, arms in (
            ("width", width_arms(wide, grams, answers_of(wide, data))),
            ("depth", depth_arms(deep, answers_of(deep, data))),
        ):
            tuned[kind], found = compare(arms, data, seeds, bar)
            methods.update({f"{kind}: {arm}": one for arm, one in found.items()})
    write(
        __file__,
        question="Where should a student start?",
        network="student",
        methods=methods,
        seeds=seeds,
        tuned=tuned,
        epochs=EPOCHS,
        teachers={name: train.evaluate(m, data.test) for name, m in (("wide", wide), ("deep", deep))},
        parameters={"width": sum(w.numel() + b.numel() for w, b in pairs(dense((784, *WIDTHS, 10), 0)))},
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
