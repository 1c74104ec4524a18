"""What can a student take from a teacher's features? Four losses, alone and with the teacher's answers.

    python experiments/13_features.py      (about six minutes on one core)

The student: two convolutions and two linear layers, 15,344 parameters, 3,000 images, five epochs. Two
teachers, which know 12,000 labels: one of the student's family, wider, and the ResNet of chapter 12. For
every arm, the labels too, first the learning rate is tuned on one grid by a seed of its own, then this one
chooses among three settings (labels: plain, smoothed, weight decay; answers: T = 1, 2, 4; features: weights).
Six other seeds learn with what validation preferred, and the test images are looked at once. A feature loss
is divided by what it is at the start.
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

EPOCHS, SUBSET, BATCH, WEIGHTS = 5, 3_000, 128, (1.0, 0.1, 10.0)
RATES, TUNING_SEED = (0.005, 0.01, 0.02), 100
# (the student's layer, that of a teacher of its family, that of the ResNet); T = 1 stands beside features
LOSSES = {
    "hint": (distill.hint_loss, ("relu2", "relu2", "block2")),
    "attention": (distill.attention_loss, ("relu2", "relu2", "block2")),
    "distances": (distill.distance_loss, ("relu3", "relu3", "flatten")),
    "similarities": (distill.similarity_loss, ("relu2", "relu2", "block2")),
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


def student(seed):
    return network((8, 12), 24, seed)


def matches(name, told, model, data, *, weight):
    """The layers that `model` follows, the weight as a multiple of 1 / the loss at the start."""
    loss, (mine, relative, foreign) = LOSSES[name]
    theirs = relative if relative in told else foreign
    pair = [distill.features_of(model, data.train[0][:256], [mine])[mine], told[theirs][:256]]
    between = distill.regressor(*pair) if loss is distill.hint_loss else None
    with torch.no_grad():
        start = float(loss(between(pair[0]) if between else pair[0], pair[1]))
    return [distill.Match(mine, theirs, loss, weight / start, between)]


def settings(teachers):
    """By arm three settings: (teacher, feature loss or None, whether the answers count, a number)."""
    arms = {"labels": [(None, None, False, n) for n in range(3)]}
    for teacher in teachers:
        arms[f"answers of {teacher}"] = [(teacher, None, True, T) for T in (1.0, 2.0, 4.0)]
        for name in LOSSES:
            for also in (False, True):
                arm = f"{name}{' and answers' * also} of {teacher}"
                arms[arm] = [(teacher, name, also, weight) for weight in WEIGHTS]
    return arms


def trained(setting, told, data, seed, lr):
    """A student with this setting: from labels, half of the teacher's answers, features."""
    teacher, name, answers, number = setting
    model = student(seed)
    options = {"lr": lr, "epochs": EPOCHS, "batch_size": BATCH}
    if teacher is None:
        smooth, decay = ((0.0, 0.0), (0.1, 0.0), (0.0, 0.01))[number]
        loss = lambda logits, batch: F.cross_entropy(logits, batch.y, label_smoothing=smooth)  # noqa: E731
        return taught.learn(model, data, seed, loss=loss, weight_decay=decay, **options)
    loss = taught.labels
    if answers:
        loss = distill.teaching(told[teacher]["logits"], data, T=1.0 if name else number, alpha=0.5)
    if name is None:
        return taught.learn(model, data, seed, loss=loss, **options)
    pairs = matches(name, told[teacher], model, data, weight=number)
    wrapped, loss = distill.following(model, told[teacher], data, pairs, loss=loss)
    taught.learn(wrapped, data, seed, loss=loss, **options)
    return model


def made_teachers(seen):
    relative = network((32, 64), 128, 200)
    taught.learn(relative, seen, 200, epochs=4, lr=0.002)
    return {"a relative": relative, "a ResNet": load(RESULTS / "12_resnet-12000.safetensors")}


def heard(model, x):
    """What students need of a teacher, computed once: the features of its layers, and its logits."""
    layers = ("relu2", "relu3") if hasattr(model, "relu2") else ("block2", "flatten")
    return {**distill.features_of(model, x, layers), "logits": train.predict(model, x)}


def chosen(arms, goodness, bar):
    """The learning rate, tuned at the first setting of each arm, and then the setting (arm, lr, place)."""
    tuned = tune(list(arms), RATES, lambda arm, lr: goodness(arms[arm][0], lr), bar=bar)
    found = {}
    for arm, three in arms.items():
        lr = tuned["chosen"][arm]
        scores = [max(tuned["scores"][arm]), *(goodness(setting, lr) for setting in three[1:])]
        place = max(range(3), key=scores.__getitem__)
        found[arm] = {"lr": lr, "scores": scores, "place": place, "setting": three[place][3]}
        bar.update(2)
    return tuned, found


def main(data, seen, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    teachers = made_teachers(seen)
    told = {name: heard(model, data.train[0]) for name, model in teachers.items()}
    arms = settings(teachers)

    def goodness(setting, lr):
        return train.evaluate(trained(setting, told, data, TUNING_SEED, lr), data.validation)

    with tqdm(unit="trial", mininterval=20) as bar:
        tuned, found = chosen(arms, goodness, bar)
        models = {}
        for arm, one in found.items():
            setting = arms[arm][one["place"]]
            models[arm] = [trained(setting, told, data, seed, one["lr"]) for seed in seeds]
            bar.update()
    pupil = models["labels"][0]
    write(
        __file__,
        question="What can a student take from a teacher's features?",
        network="student",
        methods=taught.tested(models, data),
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
