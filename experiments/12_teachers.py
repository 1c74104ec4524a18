"""Is a better teacher a better teacher? Eight teachers for one student, on five seeds.

    python experiments/12_teachers.py      (less than a minute on one core)

The student of 12_losses.py (12,840 parameters, 12,000 images, ten epochs) at its learning rate. The teachers:
networks of the zoo, three LeNet-300-100 whose logits are averaged, one trained for a single epoch on those
images, an assistant in between (48,530 parameters, taught by the ResNet or from labels), and a student like
itself. Each has two trials of its temperature on a seed of their own, of which validation images choose one.
The test images are looked at once.
"""

import torch
from common import read, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train, zoo
from mcomp.measure import count_parameters

SEEDS, TUNING_SEED, ELDER, EPOCHS, SUBSET = (0, 1, 2, 3, 4), 100, 200, 10, 12_000
STUDENT, ASSISTANT = {"hidden": (16, 10)}, {"hidden": (60, 20)}
TEMPERATURES = (1.0, 4.0)


def network(seed, **sizes):
    torch.manual_seed(seed)
    return zoo.build("lenet300", **sizes)


def teachers(data, learn):
    """Lists of networks, whose logits are averaged, by name."""
    resnet, short = zoo.load("resnet", 0), network(ELDER)
    logits = train.predict(resnet, data.train[0])
    train.fit(short, data, epochs=1, seed=ELDER, progress=False)
    taught, plain = (learn(ELDER, logits=z, sizes=ASSISTANT) for z in (logits, None))
    return {
        "LeNet-300-100, one epoch": [short],
        "LeNet-300-100": [zoo.load("lenet300", 0)],
        "three LeNet-300-100": [zoo.load("lenet300", seed) for seed in zoo.SEEDS],
        "LeNet-5": [zoo.load("lenet5", 0)],
        "ResNet": [resnet],
        "assistant, taught by the ResNet": [taught],
        "assistant, from labels": [plain],
        "itself, born again": [learn(ELDER)],
    }


def answers(networks, x):
    return sum(train.predict(model, x) for model in networks) / len(networks)


def described(networks, logits, data):
    """Size, test accuracy, and mean doubt about the training images (entropy in bits at T = 1)."""
    x, y = data.test
    p = logits.softmax(1)
    return {
        "test": float((answers(networks, x).argmax(1) == y).float().mean()),
        "entropy": float(-(p * p.clamp_min(1e-30).log2()).sum(1).mean()),
        "parameters": sum(count_parameters(model) for model in networks),
    }


def main():
    torch.set_num_threads(1)
    data, lr = mcomp.data.load("fashion-mnist", subset=SUBSET), read("12_losses_student")["chosen"]["lr"]

    def learn(seed, *, logits=None, T=1.0, sizes=STUDENT):
        model, options = network(seed, **sizes), {"epochs": EPOCHS, "lr": lr, "seed": seed, "progress": False}
        if logits is None:
            train.fit(model, data, **options)
        else:
            distill.fit(model, logits, data, T=T, **options)
        bar.update()
        return model

    with tqdm(unit="run") as bar:
        models, about = {"labels": [learn(seed) for seed in SEEDS]}, {}
        for name, networks in teachers(data, learn).items():
            z = answers(networks, data.train[0])
            right = [train.evaluate(learn(TUNING_SEED, logits=z, T=T), data.validation) for T in TEMPERATURES]
            T = TEMPERATURES[right.index(max(right))]
            about[name] = {**described(networks, z, data), "T": T}
            models[name] = [learn(seed, logits=z, T=T) for seed in SEEDS]
    write(
        __file__,
        question="Is a better teacher a better teacher?",
        network="student",
        methods={
            name: {"accuracy": [train.evaluate(m, data.test) for m in made]} for name, made in models.items()
        },
        seeds=SEEDS,
        teachers=about,
    )


if __name__ == "__main__":
    main()
