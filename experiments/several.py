"""What the experiments of chapter 15 share: tasks made from one data set, one network for several, its rules.

Every image is turned by 0 to 3 quarters, drawn once. From it a network tells the class (10), the group (4),
by how much it is turned (4), a map of edges (49 numbers), or its number in a lottery (10): drawn by chance,
so that nothing can be learned but the images themselves.
"""

import torch
from torch import nn
from torch.nn import functional as F

from mcomp import train, zoo
from mcomp.data import Data
from mcomp.multitask import (
    Uncertainty,
    branch,
    gradnorm_loss,
    gradnorm_targets,
    gram,
    pcgrad_weights,
    task_gradients,
)

SEEDS, TUNING_SEEDS = (0, 1, 2, 3, 4, 5), (100, 101)
SIZES = {"class": 10, "turned": 4, "group": 4, "edges": 49, "lottery": 10}
GROUPS = torch.tensor([0, 1, 0, 0, 0, 2, 0, 2, 3, 2])  # tops and dresses, trousers, footwear, bags


def turned(x, quarters):
    """The images x (n, 1, h, h), each turned by that many quarters to the left."""
    out = x.clone()
    for k in (1, 2, 3):
        out[quarters == k] = torch.rot90(x[quarters == k], k, (2, 3))
    return out


def edges(pictures):
    """How much neighbouring pixels (0 to 1) differ, in 7 x 7 squares: (n, 49)."""
    steep = F.pad(pictures.diff(dim=2).abs(), (0, 0, 0, 1)) + F.pad(pictures.diff(dim=3).abs(), (0, 1))
    return F.avg_pool2d(steep, 4).flatten(1)


def tasks(data, seed=0):
    """(data with turned images, targets): targets["train"], ["validation"], ["test"] are dicts by task."""
    generator, parts, targets = torch.Generator().manual_seed(seed), {}, {}
    for split in ("train", "validation", "test"):
        x, y = getattr(data, split)
        quarters, lottery = (torch.randint(n, (len(y),), generator=generator) for n in (4, 10))
        seen = turned(x, quarters)
        parts[split] = (seen, y)
        targets[split] = {"class": y, "turned": quarters, "group": GROUPS[y], "lottery": lottery}
        targets[split]["edges"] = edges(seen * data.std + data.mean)
    return Data(data.name, *parts.values(), data.classes, data.mean, data.std), targets


class Joined(nn.Module):
    """A shared network whose answers stand side by side in one tensor, as `train.fit` wants it."""

    def __init__(self, shared):
        super().__init__()
        self.shared = shared

    def forward(self, x):
        return torch.cat([*self.shared(x).values()], 1)

    def split(self, answers):
        names = [*self.shared.heads]
        return dict(zip(names, answers.split([SIZES[name] for name in names], 1), strict=True))


def losses(answers, targets, unit=1.0):
    """Each task's loss: cross-entropy in nats; for edges the mean square of the error, divided by `unit`."""
    return {
        name: F.mse_loss(y, targets[name]) / unit if name == "edges" else F.cross_entropy(y, targets[name])
        for name, y in answers.items()
    }


def scores(model, x, targets):
    """Accuracy; for edges the part of the variance that is explained."""
    found = {}
    for name, y in model.split(train.predict(model, x)).items():
        wanted = targets[name]
        rest = (
            (y - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()
            if y.shape == wanted.shape
            else None
        )
        found[name] = float((y.argmax(1) == wanted).float().mean()) if rest is None else 1 - float(rest)
    return found


class Fixed(train.Callback):
    """The sum of the losses, each with its weight; 1 where none is given."""

    def __init__(self, **weights):
        self.weights = weights

    def total(self, found):
        return sum(self.weights.get(name, 1.0) * loss for name, loss in found.items())


class Uncertain(Fixed):
    """Weights by uncertainty; `factor` is the rate of s over that of the network."""

    def __init__(self, names, factor):
        self.sum = Uncertainty({n: "regression" if n == "edges" else "classification" for n in names})
        self.factor, self.trace = factor, []

    def before_step(self, run):
        if run.step == 0:
            run.optimizer.add_param_group(
                {"params": [*self.sum.parameters()], "factor": self.factor, "weight_decay": 0.0}
            )

    def total(self, found):
        weights = self.sum.weights()
        self.trace.append({name: (weights[name].item(), found[name].item()) for name in found})
        return self.sum(found)


class GradNorm(Fixed):
    """Weights that pull the gradients' norms in the last shared layer to their targets; they add up to k."""

    def __init__(self, model, alpha, lr=0.025):
        self.alpha, self.first = alpha, None
        self.last = [p for p in model.shared.trunk.parameters() if p.ndim > 1][-1]
        self.weights = nn.Parameter(torch.ones(len(model.shared.heads)))
        self.optimizer = torch.optim.Adam([self.weights], lr=lr)

    def total(self, found):
        values = torch.stack([*found.values()])
        self.first = values.detach() if self.first is None else self.first
        gradients = task_gradients(found, {"last": self.last})
        result = (self.weights.detach().clone() * values).sum()
        norms = self.weights * torch.stack([g["last"].norm() for g in gradients.values()])
        targets = gradnorm_targets(norms.detach(), values.detach(), self.first, alpha=self.alpha)
        self.optimizer.zero_grad()
        gradnorm_loss(norms, targets).backward()
        self.optimizer.step()
        with torch.no_grad():
            self.weights.clamp_(min=1e-3)
            self.weights.mul_(len(self.weights) / self.weights.sum())
        return result


class Projected(Fixed):
    """PCGrad in the trunk; each head keeps the gradient of its own loss."""

    def __init__(self, model, seed):
        self.parameters, self.wanted = dict(model.shared.trunk.named_parameters()), {}
        self.step, self.seed, self.conflicts = 0, seed, []
        self.hooks = [p.register_hook(lambda _, n=n: self.wanted.get(n)) for n, p in self.parameters.items()]

    def total(self, found):
        self.wanted = {}
        gradients = task_gradients(found, self.parameters)
        products = gram(gradients)
        weights = pcgrad_weights(products, seed=1_000_000 * self.seed + self.step)
        self.step += 1
        self.conflicts.append(bool((products < 0).any()))
        by_task = dict(zip(gradients, weights.tolist(), strict=True))
        self.wanted = {n: sum(w * gradients[task][n] for task, w in by_task.items()) for n in self.parameters}
        return sum(found.values())


def network(name, at, names, seed, **sizes):
    """An untrained network of the zoo's kind, branched behind the module `at`, a head for each of `names`."""
    torch.manual_seed(seed)
    return Joined(branch(zoo.build(name, **sizes), at, {task: SIZES[task] for task in names}, seed=seed))


def learn(model, data, targets, seed, *, rule=None, unit=1.0, watch=None, **options):
    """Train `model` by a rule (default: the plain sum); ``watch(losses)`` sees every step."""
    rule = rule or Fixed()

    def loss(answers, batch):
        wanted = {name: targets["train"][name][batch.index] for name in model.shared.heads}
        found = losses(model.split(answers), wanted, unit)
        if watch is not None:
            watch(found)
        return rule.total(found)

    options = {"batch_size": 128, **options}
    train.fit(model, data, loss=loss, callbacks=[rule], seed=1000 + seed, progress=False, **options)
    for hook in getattr(rule, "hooks", []):
        hook.remove()
    return model


def measured(model, data, targets, split="test"):
    return scores(model, getattr(data, split)[0], targets[split])
