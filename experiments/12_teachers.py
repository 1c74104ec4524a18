"""Is a better teacher a better teacher? Eleven teachers for one student, on six seeds.

    python experiments/12_teachers.py      (about three minutes on one core)

The student has 12,840 parameters, 12,000 images and ten epochs; it reads no label. Some teachers learned from
all 55,000 labels: they are of the zoo. Others know the labels of the student's own 12,000 images alone, or
are taught by one of these. Every student, that of the labels too, has its learning rate tuned on the same
grid; a teacher speaks at T = 1 where its name doesn't say another. The test images are looked at once.
"""

import copy

import taught
import torch
from common import RESULTS, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, load, save, train, zoo
from mcomp.codecs import Uniform, attach
from mcomp.measure import count_parameters

ELDER, EPOCHS, SUBSET = 200, 10, 12_000
ASSISTANT = {"hidden": (60, 20)}
RESNET = {"lr": 5e-3, "weight_decay": 0.01}  # the zoo's recipe


def from_labels(name, data, epochs, *, lr, weight_decay=0.0, **sizes):
    model = taught.network(name, ELDER, **sizes)
    return taught.learn(model, data, ELDER, epochs=epochs, lr=lr, weight_decay=weight_decay)


def filed(model, path):
    """The network that a file with 8-bit weights holds: so it can lie beside the result, and teach again."""
    small = copy.deepcopy(model)
    attach(small, {"*.weight": Uniform(8, axis=0)})
    save(small, path)
    return load(path)


def teachers(data):
    """By name: a list of networks, whose logits are averaged, and the temperature."""
    resnet = filed(from_labels("resnet", data, 6, **RESNET), RESULTS / "12_resnet-12000.safetensors")
    loss = distill.teaching(resnet, data)
    assistant = taught.network("lenet300", ELDER, **ASSISTANT)
    taught.learn(assistant, data, ELDER, loss=loss, epochs=EPOCHS, lr=0.005)
    plain = from_labels("lenet300", data, EPOCHS, lr=0.005, **ASSISTANT)
    itself = from_labels("lenet300", data, EPOCHS, lr=0.01, **taught.STUDENT)
    five, twenty = (from_labels("lenet300", data, epochs, lr=2e-3) for epochs in (5, 20))
    return {
        "LeNet-300-100, 12,000, 5 epochs": ([five], 1.0),
        "LeNet-300-100, 12,000, 5 epochs, T = 0.5": ([five], 0.5),
        "LeNet-300-100, 12,000, 20 epochs": ([twenty], 1.0),
        "ResNet, 12,000, 2 epochs": ([from_labels("resnet", data, 2, **RESNET)], 1.0),
        "ResNet, 12,000, 6 epochs": ([resnet], 1.0),
        "assistant, taught by that ResNet": ([assistant], 1.0),
        "assistant, from 12,000 labels": ([plain], 1.0),
        "itself, born again": ([itself], 1.0),
        "LeNet-300-100, 55,000": ([zoo.load("lenet300", 0)], 1.0),
        "three LeNet-300-100, 55,000": ([zoo.load("lenet300", seed) for seed in zoo.SEEDS], 1.0),
        "ResNet, 55,000": ([zoo.load("resnet", 0)], 1.0),
    }


def answers(networks, x):
    return sum(train.predict(model, x) for model in networks) / len(networks)


def described(networks, logits, data):
    """Size, accuracy, mean doubt about the training images (bits at T = 1), cross-entropy on validation."""
    (x, y), (seen, labels), p = data.test, data.validation, logits.softmax(1)
    return {
        "test": float((answers(networks, x).argmax(1) == y).float().mean()),
        "training": float((logits.argmax(1) == data.train[1]).float().mean()),
        "entropy": float(-(p * p.clamp_min(1e-30).log2()).sum(1).mean()),
        "nats": float(F.cross_entropy(answers(networks, seen), labels)),
        "parameters": sum(count_parameters(model) for model in networks),
    }


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    made = teachers(data)
    told = {name: answers(networks, data.train[0]) for name, (networks, _) in made.items()}
    losses = {name: distill.teaching(z, data, T=made[name][1]) for name, z in told.items()}
    losses = {"labels": taught.labels, **losses}

    def trained(arms, seed, lr):
        return taught.together({arm: losses[arm] for arm in arms}, data, seed, lr=lr, epochs=EPOCHS)

    with tqdm(unit="run") as bar:
        tuned, models = taught.compare(list(losses), trained, data, bar, seeds=seeds)
    write(
        __file__,
        question="Is a better teacher a better teacher?",
        network="student",
        methods=taught.tested(models, data),
        seeds=seeds,
        tuned=tuned,
        teachers={name: described(networks, told[name], data) for name, (networks, _) in made.items()},
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
