"""A deep thin student of 28,426 parameters: labels, answers, and hints in one stage and in two.

    python experiments/13_deep_thin.py      (about five minutes on one core)

Thirteen convolutions with 16 channels and a ReLU each, no batch norm and no skip, started as He et al. 2015
(arXiv:1502.01852) start such networks; 3,000 images. The ResNet of chapter 12, which knows 12,000 labels, is
the teacher: answers at T = 2 with half of the weight, hints from its middle block to the student's middle
layer, through a 1x1 convolution and a ReLU. All arms see eight epochs; of the two stages the first has two,
without labels. The learning rate of each is tuned on one grid by two seeds of their own; six other seeds
follow.
"""

import taught
import torch
from common import RESULTS, file_size, write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, load, train
from mcomp.measure import count_parameters

EPOCHS, FIRST, SUBSET, BATCH, WIDTH, DEPTH = 8, 2, 3_000, 64, 16, 12
GUIDED, HINT, RATES = "relu6", "block2", (0.001, 0.002, 0.004)


def student(seed):
    """A convolution with stride 4, twelve that keep the 7 by 7 positions, their mean, and a linear layer."""
    torch.manual_seed(seed)
    model = nn.Sequential()
    for place in range(DEPTH + 1):
        layer = nn.Conv2d(WIDTH, WIDTH, 3, padding=1) if place else nn.Conv2d(1, WIDTH, 5, 4, padding=2)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        model.add_module(f"conv{place}", layer)
        model.add_module(f"relu{place}", nn.ReLU())
    model.add_module("mean", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc", nn.Linear(WIDTH, 10))
    return model


def hints(model, told, x):
    """The guided layer's match, with a regressor of its own; its loss is 1 at the start."""
    pair = [distill.features_of(model, x[:256], [GUIDED])[GUIDED], told[HINT][:256]]
    between = distill.regressor(*pair)
    with torch.no_grad():
        start = float(distill.hint_loss(between(pair[0]), pair[1]))
    return [distill.Match(GUIDED, HINT, weight=1 / start, regressor=between)]


def learn(arm, told, data, seed, lr):
    """A student that has seen `EPOCHS` epochs in the way of this arm."""
    model, options = student(seed), {"lr": lr, "batch_size": BATCH}
    loss, epochs = taught.labels, EPOCHS
    if arm != "labels":
        loss = distill.teaching(told["logits"], data, T=2.0, alpha=0.5)
    network = model
    if arm == "hint, one stage":
        network, loss = distill.following(model, told, data, hints(model, told, data.train[0]), loss=loss)
    if arm == "hint, two stages":
        pairs = hints(model, told, data.train[0])
        distill.hint_fit(model, told, data, pairs, epochs=FIRST, seed=2000 + seed, progress=False, **options)
        epochs = EPOCHS - FIRST
    taught.learn(network, data, seed, loss=loss, epochs=epochs, **options)
    return model


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    teacher = load(RESULTS / "12_resnet-12000.safetensors")
    told = distill.features_of(teacher, data.train[0], [HINT])
    told["logits"] = train.predict(teacher, data.train[0])
    arms = ("labels", "answers", "hint, one stage", "hint, two stages")

    def trained(names, seed, lr):
        return {arm: learn(arm, told, data, seed, lr) for arm in names}

    with tqdm(unit="run", mininterval=20) as bar:
        tuned, models = taught.compare(arms, trained, data, bar, grid=RATES, seeds=seeds)
    pupil = models["labels"][0]
    write(
        __file__,
        question="What do hints give a deep thin student?",
        network="student",
        methods=taught.tested(models, data),
        seeds=seeds,
        tuned=tuned,
        epochs={"all": EPOCHS, "first stage": FIRST},
        bytes=file_size(pupil),
        parameters={"student": count_parameters(pupil), "teacher": count_parameters(teacher)},
        teacher={"accuracy": train.evaluate(teacher, data.test)},
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
