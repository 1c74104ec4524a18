"""What the experiments of chapter 12 share: one small student, and every arm tuned and tested in one way.

An arm is a way to learn, from labels or from a teacher: a loss. Its learning rate is chosen by `common.tune`
on two seeds of their own, and then it learns again on six others. Only these are tested.
"""

import torch
from common import tune
from torch import nn
from torch.nn import functional as F

from mcomp import train, zoo

SEEDS, TUNING_SEEDS, RATES = (0, 1, 2, 3, 4, 5), (100, 101), (0.005, 0.01, 0.02)
STUDENT = {"hidden": (16, 10)}  # of lenet300: 12,840 parameters, so cheap that everything can be tried


def network(name, seed, **sizes):
    """An untrained network of the zoo's kind `name`; `sizes` make it smaller."""
    torch.manual_seed(seed)
    return zoo.build(name, **sizes)


def learn(model, data, seed, **options):
    """`model` after `train.fit`; the order of images has a stream of its own, not that of the weights."""
    train.fit(model, data, seed=1000 + seed, progress=False, **options)
    return model


class Stack(nn.Module):
    """Copies of one student side by side: the logits (copies, batch, classes) of all by a few products.

    No weight is shared, and Adam treats each by itself. So under a sum of losses every copy learns what it
    would learn alone, in a fraction of the time.
    """

    def __init__(self, student, copies):
        super().__init__()
        layers = [part for part in student.modules() if isinstance(part, nn.Linear)]
        pairs = [(layer.weight.detach(), layer.bias.detach()) for layer in layers]
        self.weights = nn.ParameterList(w.repeat(copies, 1, 1) for w, _ in pairs)  # (copies, out, in)
        self.biases = nn.ParameterList(b.repeat(copies, 1, 1) for _, b in pairs)  # (copies, 1, out)

    def forward(self, x):
        first, *rest = self.weights
        y = x.flatten(1) @ first.flatten(0, 1).T  # (batch, copies * out)
        y = y.unflatten(1, first.shape[:2]).transpose(0, 1) + self.biases[0]  # (copies, batch, out)
        for w, b in zip(rest, list(self.biases)[1:], strict=True):
            y = torch.baddbmm(b, y.relu(), w.transpose(1, 2))
        return y

    def networks(self):
        """The copies as networks of their own."""
        found = []
        for i in range(len(self.weights[0])):
            values = [p[i].detach() for pair in zip(self.weights, self.biases, strict=True) for p in pair]
            model = zoo.build("lenet300", **STUDENT)
            for own, value in zip(model.parameters(), values, strict=True):
                own.data.copy_(value.reshape(own.shape))
            found.append(model.eval())
        return found


def labels(logits, batch):
    """The loss of the arm that has no teacher."""
    return F.cross_entropy(logits, batch.y)


def smoothed(logits, batch):
    """Labels of which all classes share a tenth."""
    return F.cross_entropy(logits, batch.y, label_smoothing=0.1)


def together(losses, data, seed, *, epochs, lr):
    """A student for each of several losses, by name: they start alike and see the same batches."""
    torch.manual_seed(seed)
    stack = Stack(zoo.build("lenet300", **STUDENT), len(losses))

    def loss(logits, batch):
        return sum(own(logits[i], batch) for i, own in enumerate(losses.values()))

    learn(stack, data, seed, epochs=epochs, lr=lr, loss=loss)
    return dict(zip(losses, stack.networks(), strict=True))


def compare(arms, trained, data, bar, *, grid=RATES, seeds=SEEDS, tuning_seeds=TUNING_SEEDS, goodness=None):
    """All arms at the learning rate that validation images prefer for each.

    Parameters
    ----------
    arms : sequence of str
    trained : callable
        ``trained(arms, seed, lr)`` gives a network for each of these arms, by name.
    data : with `.validation`
    bar : tqdm bar, one step a network
    grid, seeds, tuning_seeds : sequences
    goodness : callable, optional
        ``goodness(model, arm)``, of which the largest mean is chosen. Default: validation accuracy.

    Returns
    -------
    tuned : dict, of `common.tune`
    models : dict
        By arm, one network a seed.
    """
    right, goodness = {}, goodness or (lambda model, arm: train.evaluate(model, data.validation))

    def made(names, seed, lr):
        models = trained(names, seed, lr)
        bar.update(len(models))
        return models

    def score(arm, lr):
        for seed in tuning_seeds:
            if (arm, seed, lr) not in right:
                found = made(list(arms), seed, lr).items()
                right.update({(name, seed, lr): goodness(m, name) for name, m in found})
        return sum(right[arm, seed, lr] for seed in tuning_seeds) / len(tuning_seeds)

    tuned = tune(arms, grid, score)
    models = {arm: [] for arm in arms}
    for seed in seeds:
        for lr in tuned["grid"]:
            names = [arm for arm in arms if tuned["chosen"][arm] == lr]
            for arm, model in (made(names, seed, lr) if names else {}).items():
                models[arm].append(model)
    return tuned, models


def tested(models, data):
    """Test accuracy by seed, for each arm, and validation accuracy, which may choose among arms."""
    return {
        arm: {
            "accuracy": [train.evaluate(model, data.test) for model in made],
            "validation": [train.evaluate(model, data.validation) for model in made],
        }
        for arm, made in models.items()
    }
