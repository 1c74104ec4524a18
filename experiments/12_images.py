"""Which images can a teacher teach with? Few labels, no labels, a class left out, mosaics, noise.

    python experiments/12_images.py      (about four minutes on one core)

The student has 12,840 parameters; every run sees 120,000 images, again and again if there are fewer. First,
1,000 labels are all that there is: ResNets learn from them, and teach with those images or with 12,000
without labels. Then the teacher is the ResNet of the zoo, which knows all 55,000 labels, and the student sees
no label. Every arm has its learning rate tuned; where there is no label, the one is chosen that matches the
teacher best. How well it does is measured on images that the student wasn't shown, made in the same way from
validation images. The test images are looked at once.
"""

from types import SimpleNamespace

import taught
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train, zoo

SEEN, FEW, LEFT_OUT, ELDERS = 120_000, 1000, 9, (200, 201)  # LEFT_OUT: a class
COARSE = (0.002, 0.006, 0.018)  # learning rates
TEACHER = {"epochs": 30, "lr": 5e-3, "weight_decay": 0.01}


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


def noise(x, generator):
    """Independent values, evenly spread over the range of `x`."""
    return x.min() + (x.max() - x.min()) * torch.rand(x.shape, generator=generator)


def transfer_sets(pair, seed):
    """Images by name, made from ``pair = (x, y)``; none comes with a label."""
    (x, y), generator = pair, torch.Generator().manual_seed(seed)
    return {
        "12,000 images": x,
        "without ankle boots": x[y != LEFT_OUT],
        "mosaics": mosaics(x, generator),
        "shuffled pixels": shuffled(x, generator),
        "white noise": noise(x, generator),
    }


def divergence(p, q):
    """Mean KL(p || q) over the rows, in nats."""
    return float((p * (p.clamp_min(1e-30).log() - q.clamp_min(1e-30).log())).sum(1).mean())


def described(answers):
    """What the teacher says: the part of each class, its doubt in bits, and the KL of the best constant."""
    p = answers.softmax(1)
    share = torch.bincount(answers.argmax(1), minlength=10) / len(answers)
    entropy = -(p * p.clamp_min(1e-30).log2()).sum(1).mean()
    constant = divergence(p, p.mean(0, keepdim=True).expand_as(p))
    return {"classes": share.tolist(), "entropy": float(entropy), "constant": constant}


def match(models, x, answers):
    """By seed: how often a student says the teacher's class, and KL(teacher || student) in nats."""
    found = {"agreement": [], "divergence": []}
    for model in models:
        said = train.predict(model, x)
        found["agreement"].append(float((said.argmax(1) == answers.argmax(1)).float().mean()))
        found["divergence"].append(divergence(answers.softmax(1), said.softmax(1)))
    return found


def few_labels(data):
    """The ResNets that 1,000 labels make; then by arm: images with labels, and the loss of a seed."""
    few, elders = labelled(data), []
    for elder in ELDERS:
        part = SimpleNamespace(train=few)
        elders.append(taught.learn(taught.network("resnet", elder), part, elder, **TEACHER))

    def through(pair, T=1.0):
        told = [distill.teaching(elder, SimpleNamespace(train=pair), T=T) for elder in elders]
        return lambda seed: told[seed % len(told)]

    return elders, {
        "1,000 labels": (few, lambda seed: taught.labels),
        "1,000 labels, smoothed": (few, lambda seed: taught.smoothed),
        "a ResNet, on their images": (few, through(few)),
        "a ResNet, on their images, T = 4": (few, through(few, T=4.0)),
        "a ResNet, on 12,000 images": (data.train, through(data.train)),
        "12,000 labels": (data.train, lambda seed: taught.labels),
    }


def learned(arms, seed, lr):
    """A student for each arm, those of the same images together; every one sees `SEEN` images."""
    found = {}
    for pair in {id(pair): pair for pair, _ in arms.values()}.values():
        losses = {name: loss(seed) for name, (images, loss) in arms.items() if images is pair}
        epochs = max(1, round(SEEN / len(pair[0])))
        found |= taught.together(losses, SimpleNamespace(train=pair), seed, epochs=epochs, lr=lr)
    return found


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    resnet = zoo.load("resnet", 0)
    elders, few = few_labels(data)
    shown, fresh = transfer_sets(data.train, 12), transfer_sets(data.validation, 13)
    pairs = {name: (x, torch.zeros(len(x), dtype=torch.int64)) for name, x in shown.items()}
    told = {name: distill.teaching(resnet, SimpleNamespace(train=pair)) for name, pair in pairs.items()}
    other = {name: (pairs[name], lambda seed, loss=loss: loss) for name, loss in told.items()}
    answers = {name: train.predict(resnet, x) for name, x in fresh.items()}
    on_images = answers["12,000 images"]

    def trained(names, seed, lr):
        return learned({name: (few | other)[name] for name in names}, seed, lr)

    def matched(model, name):
        return -match([model], fresh[name], answers[name])["divergence"][0]

    with tqdm(unit="run") as bar:
        tuned, models = taught.compare(list(few), trained, data, bar, seeds=seeds)
        tuned_other, more = taught.compare(
            list(other), trained, data, bar, grid=COARSE, seeds=seeds, goodness=matched
        )
    methods, (x, y) = taught.tested(models | more, data), data.test
    left_out = (x[y == LEFT_OUT], y[y == LEFT_OUT])
    for name, images in fresh.items():
        methods[name]["left_out"] = [train.evaluate(model, left_out) for model in more[name]]
        methods[name]["alike"] = match(more[name], images, answers[name])
        methods[name]["on_images"] = match(more[name], data.validation[0], on_images)
    write(
        __file__,
        question="Which images can a teacher teach with?",
        network="student",
        methods=methods,
        seeds=seeds,
        tuned=tuned,
        tuned_other=tuned_other,
        few=list(few),
        transfer=list(other),
        answers={name: described(z) for name, z in answers.items()},
        teachers={
            "1,000 labels": [train.evaluate(elder, data.test) for elder in elders],
            "zoo": train.evaluate(resnet, data.test),
        },
        left_out=LEFT_OUT,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=12_000))
