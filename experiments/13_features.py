"""What can a student take from a teacher's features? Four losses, alone and with the teacher's answers.

    python experiments/13_features.py      (about six minutes on one core)

The student: two convolutions and two linear layers, 15,342 parameters, 3,000 images, five epochs. Two
teachers, which know 12,000 labels: one of the student's family, wider, and the ResNet of chapter 12. For
every arm, the labels too, first the learning rate is tuned on one grid by a seed of its own, then this one
chooses among five settings (labels: smoothed by 0, 0.05, 0.1, 0.2, 0.4; answers: T = 1, 2, 4, 8, 16;
features: weights of 1, 0.1, 10, 0.01, 100). Six other seeds learn with what validation preferred, and the
test images are looked at once. A feature loss is divided by what it is at the start. The students of a seed
learn side by side.
"""

from collections import OrderedDict

import taught
import torch
from common import RESULTS, file_size, tune, write
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, load, train
from mcomp.measure import count_parameters

EPOCHS, SUBSET, BATCH, WEIGHTS = 5, 3_000, 128, (1.0, 0.1, 10.0, 0.01, 100.0)
RATES, TUNING_SEED, WIDTHS, HIDDEN = (0.005, 0.01, 0.02), 100, (8, 12), 24
# (the loss, the student's layer, that of a teacher of its family, that of the ResNet)
LOSSES = {
    "hint": (distill.hint_loss, "relu2", "relu2", "block2"),
    "attention": (distill.attention_loss, "relu2", "relu2", "block2"),
    "distances": (distill.distance_loss, "relu3", "relu3", "flatten"),
    "similarities": (distill.similarity_loss, "relu2", "relu2", "block2"),
}


def network(widths, hidden, seed):
    """Two convolutions that halve the image, two linear layers, a ReLU after each but the last."""
    (a, b), _ = widths, torch.manual_seed(seed)
    layers = {
        "conv1": nn.Conv2d(1, a, 3, 2, padding=1),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(a, b, 3, 2, padding=1),
        "relu2": nn.ReLU(),
        "flatten": nn.Flatten(),
        "fc1": nn.Linear(49 * b, hidden),
        "relu3": nn.ReLU(),
        "fc2": nn.Linear(hidden, 10),
    }
    return nn.Sequential(OrderedDict(layers))


class Side(nn.Module):
    """Copies of one student side by side: logits (copies, batch, classes); `features` holds the layers'."""

    def __init__(self, seed, copies):
        super().__init__()
        self.copies, one = copies, dict(network(WIDTHS, HIDDEN, seed).named_parameters())
        several = {name: p.detach().repeat(copies, *[1] * (p.ndim - 1)) for name, p in one.items()}
        self.weights = nn.ParameterDict({name.replace(".", "_"): p for name, p in several.items()})
        self.regressors, self.features = nn.ModuleDict(), {}

    def forward(self, x):
        w, n, (_, b) = self.weights, self.copies, WIDTHS
        y = F.conv2d(x, w["conv1_weight"], w["conv1_bias"], 2, 1).relu()
        y = F.conv2d(y, w["conv2_weight"], w["conv2_bias"], 2, 1, groups=n).relu()
        y = y.unflatten(1, (n, b)).transpose(0, 1)  # (copies, batch, channels, 7, 7)
        z = self.dense(y.flatten(2), "fc1").relu()
        self.features = {"relu2": y, "relu3": z}
        return self.dense(z, "fc2")

    def dense(self, x, name):
        w, bias = (
            self.weights[f"{name}_{kind}"].unflatten(0, (self.copies, -1)) for kind in ("weight", "bias")
        )
        return torch.baddbmm(bias[:, None], x, w.transpose(1, 2))


def settings(teachers):
    """By arm five settings: (teacher, feature loss or None, whether the answers count, a number)."""
    arms = {"labels": [(None, None, False, smooth) for smooth in (0.0, 0.05, 0.1, 0.2, 0.4)]}
    for teacher in teachers:
        arms[f"answers of {teacher}"] = [(teacher, None, True, T) for T in (1.0, 2.0, 4.0, 8.0, 16.0)]
        for name in LOSSES:
            for also in (False, True):
                arm = f"{name}{' and answers' * also} of {teacher}"
                arms[arm] = [(teacher, name, also, weight) for weight in WEIGHTS]
    return arms


def step(stack, place, setting, told, x):
    """The loss of one copy, a function of its logits and the batch; features as a multiple of the start's."""
    teacher, name, answers, number = setting
    if teacher is None:
        return lambda own, batch: F.cross_entropy(own, batch.y, label_smoothing=number)
    loss, T = taught.labels, 1.0 if name else number
    if answers:
        data = type("Images", (), {"train": (told[teacher]["logits"], None)})
        loss = distill.teaching(told[teacher]["logits"], data, T=T, alpha=0.5)
    if name is None:
        return loss
    measure, mine, relative, foreign = LOSSES[name]
    target, between = told[teacher][relative if relative in told[teacher] else foreign], nn.Identity()
    with torch.no_grad():
        stack(x[:256])
    if name == "hint":
        between = distill.regressor(stack.features[mine][place], target)
        stack.regressors[str(place)] = between
    with torch.no_grad():
        start = float(measure(between(stack.features[mine][place]), target[:256]))

    def both(own, batch):
        value = measure(between(stack.features[mine][place]), target[batch.index])
        return loss(own, batch) + number / start * value

    return both


def together(arms, told, data, seed, lr):
    """A stack of trained students, one for each of these arms (name to setting)."""
    stack = Side(seed, len(arms))
    losses = [step(stack, place, one, told, data.train[0]) for place, one in enumerate(arms.values())]

    def loss(logits, batch):
        return sum(own(logits[place], batch) for place, own in enumerate(losses))

    return taught.learn(stack, data, seed, loss=loss, lr=lr, epochs=EPOCHS, batch_size=BATCH)


def rights(stack, pair):
    """Accuracy of each copy."""
    with torch.no_grad():
        said = [
            stack(x).argmax(-1) == y for x, y in zip(pair[0].split(1000), pair[1].split(1000), strict=True)
        ]
    return torch.cat(said, 1).float().mean(1).tolist()


def at_their_rates(rates, settings_of, told, data, seed, pairs):
    """Arms trained at the learning rates of `rates`; accuracies on each of `pairs`, by arm."""
    found = {}
    for lr in sorted(set(rates.values())):
        names = [arm for arm in rates if rates[arm] == lr]
        stack = together({arm: settings_of[arm] for arm in names}, told, data, seed, lr)
        found |= dict(zip(names, zip(*(rights(stack, pair) for pair in pairs), strict=True), strict=True))
    return found


def chosen(arms, told, data, bar):
    """The learning rate, tuned at the first setting of each arm, and then the setting."""
    seen, validation = {}, [data.validation]

    def at(lr, place, names):
        if (lr, place, names) not in seen:
            some = {arm: arms[arm][place] for arm in names}
            made = at_their_rates(dict.fromkeys(names, lr), some, told, data, TUNING_SEED, validation)
            seen[lr, place, names] = {arm: one[0] for arm, one in made.items()}
            bar.update()
        return seen[lr, place, names]

    tuned = tune(list(arms), RATES, lambda arm, lr: at(lr, 0, tuple(arms))[arm])
    others = [
        at_their_rates(
            tuned["chosen"], {a: arms[a][place] for a in arms}, told, data, TUNING_SEED, validation
        )
        for place in (1, 2, 3, 4)
    ]
    bar.update(4)
    found = {}
    for arm, five in arms.items():
        scores = [max(tuned["scores"][arm]), *(one[arm][0] for one in others)]
        place = max(range(5), key=scores.__getitem__)
        found[arm] = {"scores": scores, "place": place, "number": five[place][3], "lr": tuned["chosen"][arm]}
    return tuned, found


def made_teachers(seen):
    relative = network((32, 64), 128, 200)
    taught.learn(relative, seen, 200, epochs=4, lr=0.002)
    return {"a relative": relative, "a ResNet": load(RESULTS / "12_resnet-12000.safetensors")}


def heard(model, x):
    """What students need of a teacher, computed once: the features of its layers, and its logits."""
    layers = ("relu2", "relu3") if hasattr(model, "relu2") else ("block2", "flatten")
    return {**distill.features_of(model, x, layers), "logits": train.predict(model, x)}


def main(data, seen, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    teachers = made_teachers(seen)
    told = {name: heard(model, data.train[0]) for name, model in teachers.items()}
    arms = settings(teachers)
    methods = {arm: {"accuracy": []} for arm in arms}
    with tqdm(unit="run", mininterval=10) as bar:
        tuned, found = chosen(arms, told, data, bar)
        best = {arm: arms[arm][one["place"]] for arm, one in found.items()}
        for seed in seeds:
            made = at_their_rates(tuned["chosen"], best, told, data, seed, [data.test])
            for arm, one in made.items():
                methods[arm]["accuracy"] += one
            bar.update()
    pupil = network(WIDTHS, HIDDEN, 0)
    write(
        __file__,
        question="What can a student take from a teacher's features?",
        network="student",
        methods=methods,
        chosen=found,
        seeds=seeds,
        tuned=tuned,
        epochs=EPOCHS,
        bytes=file_size(pupil),
        parameters={name: count_parameters(m) for name, m in {"student": pupil, **teachers}.items()},
        teachers={name: {"accuracy": train.evaluate(m, data.test)} for name, m in teachers.items()},
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET), mcomp.data.load("fashion-mnist", subset=12_000))
