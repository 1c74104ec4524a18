"""Which images can a teacher teach with? Few labels, no labels, a class left out, mosaics, noise.

    python experiments/12_images.py      (about ten minutes on one core)

The student has 2,834 parameters; every run sees 180,000 images, again and again if there are fewer. First,
1,000 labels are all that there is: a ResNet learns from them, and teaches with those images or with 12,000
without labels. Then the teacher is the ResNet of the zoo, which knows all 55,000 labels, and the student sees
no label. Each way has two trials on a seed of its own (weight decays for labels, temperatures for a teacher);
validation images choose. The test images are looked at once.
"""

from types import SimpleNamespace

import torch
from common import write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train, zoo

SEEDS, TUNING_SEED, SEEN = (0, 1, 2), 100, 180_000
FEW, LEFT_OUT = 1000, 9  # labels; the class that one teacher never shows
LR, TEACHER = 0.01, {"epochs": 60, "lr": 5e-3, "weight_decay": 0.01}


def student(seed):
    torch.manual_seed(seed)
    return zoo.build("lenet5", channels=(4, 10), hidden=10)


def learn(seed, pair, bar, *, logits=None, T=1.0, weight_decay=0.0):
    """A student of `seed` that sees `SEEN` images of ``pair = (x, y)``: from y, or from `logits`."""
    model, data = student(seed), SimpleNamespace(train=pair)
    epochs = max(1, round(SEEN / len(pair[0])))
    options = {"epochs": epochs, "lr": LR, "weight_decay": weight_decay, "seed": seed, "progress": False}
    if logits is None:
        train.fit(model, data, **options)
    else:
        distill.fit(model, logits, data, T=T, **options)
    bar.update()
    return model


def labelled(data):
    """The images that have a label, as many of each class."""
    x, y = data.train
    rows = mcomp.data.evenly_by_class(y.numpy(), FEW)
    return x[rows], y[rows]


def mosaics(x, generator):
    """Each quarter from another image."""
    out = x.clone()
    for rows, columns in ((0, 0), (0, 14), (14, 0), (14, 14)):
        part = (..., slice(rows, rows + 14), slice(columns, columns + 14))
        out[part] = x[torch.randperm(len(x), generator=generator)][part]
    return out


def shuffled(x, generator):
    """The pixels of each image in an order of its own."""
    order = torch.rand(len(x), 784, generator=generator).argsort(1)
    return x.flatten(1).gather(1, order).reshape(x.shape)


def noise(x, generator, *, grid):
    """Independent values on a grid of so many points a side, between them smooth; the range of `x`."""
    points = torch.rand(len(x), 1, grid, grid, generator=generator)
    smooth = F.interpolate(points, size=28, mode="bilinear", align_corners=True) if grid < 28 else points
    return x.min() + (x.max() - x.min()) * smooth


def transfer_sets(data):
    """Images by name; none comes with a label."""
    x, y = data.train
    few, generator = labelled(data)[0], torch.Generator().manual_seed(12)
    return {
        "12,000 images": x,
        "1,000 images": few,
        "without ankle boots": x[y != LEFT_OUT],
        "mosaics": mosaics(x, generator),
        "shuffled pixels": shuffled(x, generator),
        "smooth noise": noise(x, generator, grid=7),
        "white noise": noise(x, generator, grid=28),
    }


def described(logits):
    """What the teacher says about images: the part of each class, and its mean entropy in bits."""
    p = logits.softmax(1)
    share = torch.bincount(logits.argmax(1), minlength=10) / len(logits)
    entropy = -(p * p.clamp_min(1e-30).log2()).sum(1).mean()
    return {"classes": share.tolist(), "entropy": float(entropy)}


def both(pair, logits, trials, data, bar):
    """Accuracy by seed of the trial that validation prefers: on all test images, on the class left out."""
    tried = []
    for trial in trials:
        model = learn(TUNING_SEED, pair, bar, logits=logits, **trial)
        tried.append((train.evaluate(model, data.validation), trial))
    trial, (x, y) = max(tried, key=lambda found: found[0])[1], data.test
    models = [learn(seed, pair, bar, logits=logits, **trial) for seed in SEEDS]
    left_out = (x[y == LEFT_OUT], y[y == LEFT_OUT])
    return {
        "accuracy": [train.evaluate(model, data.test) for model in models],
        "left_out": [train.evaluate(model, left_out) for model in models],
        "trial": {**trial, "validation": [value for value, _ in tried]},
    }


def few_labels(data, bar):
    """The 1,000 labels: used as they are, or through a ResNet that learnt from nothing else."""
    pair = labelled(data)
    torch.manual_seed(0)
    teacher = zoo.build("resnet")
    train.fit(teacher, SimpleNamespace(train=pair), progress=False, **TEACHER)
    on_few, on_all = (train.predict(teacher, x) for x in (pair[0], data.train[0]))
    by_decay = [{"weight_decay": decay} for decay in (0.0, 0.1)]
    by_heat = [{"T": T} for T in (1.0, 4.0)]
    return train.evaluate(teacher, data.test), {
        "1,000 labels": both(pair, None, by_decay, data, bar),
        "a ResNet, on their images": both(pair, on_few, by_heat, data, bar),
        "a ResNet, on 12,000 images": both(data.train, on_all, by_heat, data, bar),
        "12,000 labels": both(data.train, None, by_decay, data, bar),
    }


def main():
    torch.set_num_threads(1)
    data, resnet = mcomp.data.load("fashion-mnist", subset=12_000), zoo.load("resnet", 0)
    found, answers = {}, {}
    with tqdm(total=11 * (2 + len(SEEDS)), unit="run") as bar:
        small_teacher, few = few_labels(data, bar)
        for name, x in transfer_sets(data).items():
            logits = train.predict(resnet, x)
            answers[name] = described(logits)
            nothing = torch.zeros(len(x), dtype=torch.int64)
            trials = [{"T": T} for T in (1.0, 4.0)]
            found[name] = both((x, nothing), logits, trials, data, bar)
    write(
        __file__,
        question="Which images can a teacher teach with?",
        network="student",
        methods={**few, **found},
        seeds=SEEDS,
        few=list(few),
        transfer=list(found),
        answers=answers,
        teachers={"1,000 labels": small_teacher, "zoo": train.evaluate(resnet, data.test)},
        left_out=LEFT_OUT,
    )


if __name__ == "__main__":
    main()
