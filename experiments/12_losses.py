"""Temperature, part and loss: what does a student gain by each, from the same teacher?

    python experiments/12_losses.py      (about a minute on one core)

A student so small that everything can be tried on six seeds: LeNet-300-100 with 16 and 10 hidden neurons, ten
epochs on 12,000 images, from the ResNet of the zoo. One setting changes at a time, T = 1 and alpha = 1 where
nothing else is said. Every arm, the labels too, has its learning rate tuned on the same grid. The test images
are looked at once.
"""

import taught
import torch
from common import write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train, zoo

EPOCHS, SUBSET = 10, 12_000
TEMPERATURES, BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), (0.05, 0.5, 2.0, 8.0)


def swapped(student, teacher):
    """KL(student || teacher): the divergence the wrong way round, the gradient still the student's."""
    p, q = F.log_softmax(teacher, 1), F.log_softmax(student, 1)
    return F.kl_div(p, q, log_target=True, reduction="batchmean")


def arms():
    """By name: options of `distill.teaching`; alpha = 0 are the labels."""

    def decoupled(beta):
        return {"loss": lambda s, t, y: distill.decoupled_kd_loss(s, t, labels=y, T=1.0, beta=beta)}

    return {
        "labels": {"alpha": 0.0},
        **{f"T = {T:g}": {"T": T} for T in TEMPERATURES},
        "alpha = 0.5": {"alpha": 0.5},
        **{f"decoupled, beta = {beta:g}": decoupled(beta) for beta in BETAS},
        "logit matching": {"loss": lambda s, t, y: distill.logit_matching_loss(s, t)},
        "KL(student ‖ teacher)": {"loss": lambda s, t, y: swapped(s, t)},
        "label smoothing, 0.1": {"loss": lambda s, t, y: F.cross_entropy(s, y, label_smoothing=0.1)},
    }


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    logits = train.predict(zoo.load("resnet", 0), data.train[0])
    losses = {arm: distill.teaching(logits, data, **options) for arm, options in arms().items()}

    def trained(arms, seed, lr):
        return taught.together({arm: losses[arm] for arm in arms}, data, seed, lr=lr, epochs=EPOCHS)

    with tqdm(unit="run") as bar:
        tuned, models = taught.compare(list(losses), trained, data, bar, seeds=seeds)
    write(
        __file__,
        question="What does a student gain by temperature, part and loss?",
        network="student",
        methods=taught.tested(models, data),
        seeds=seeds,
        tuned=tuned,
        temperatures=TEMPERATURES,
        betas=BETAS,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
