"""The student's own average as its teacher: 300 labels, 3,000 images.

    python experiments/13_own_average.py      (about three minutes on one core)

LeNet-300-100 with 40 and 20 hidden neurons sees all 3,000 images with noise added, and the labels of 300 of
them. "labels": cross-entropy on those alone. "own average": also the mean square between its softmax and that
of its moving average (decay 0.99), which sees the same images with other noise (Tarvainen & Valpola 2017,
arXiv:1703.01780), times 1 or 10. Both arms make the same steps on the same images. The learning rate of every
arm is tuned on one grid by two seeds of their own, six other seeds follow. The paper raises its weight slowly
from 0; here it is constant.
"""

import taught
import torch
from common import by_seed, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train

LABELLED, SUBSET, EPOCHS, NOISE, DECAY = 300, 3_000, 30, 0.3, 0.99
RATES, WEIGHTS = (0.001, 0.002, 0.004), {"labels": 0.0, "own average": 1.0, "own average, 10 times": 10.0}


def known(y):
    """True for the first images of each class: those whose labels are seen."""
    return sum((y == c) & ((y == c).cumsum(0) <= LABELLED // 10) for c in range(10)).bool()


def noisy(x, chance):
    return x + NOISE * torch.randn(x.shape, generator=chance)


def pupil(weight, seed, lr, data):
    """The student after its training; the average goes along in every arm."""
    x, y = data.train
    seen, chance = known(y), torch.Generator().manual_seed(2000 + seed)
    student = taught.network("lenet300", seed, hidden=(40, 20))
    mean = distill.MeanTeacher(student, decay=DECAY)

    def loss(logits, batch):
        few = seen[batch.index]
        labels = F.cross_entropy(logits[few], batch.y[few], reduction="sum") / max(int(few.sum()), 1)
        if not weight:
            return labels
        with torch.no_grad():
            target = mean.network(noisy(x[batch.index], chance)).softmax(1)
        return labels + weight * (logits.softmax(1) - target).square().sum(1).mean()

    augment = lambda images, generator: noisy(images, generator)  # noqa: E731
    options = {"lr": lr, "epochs": EPOCHS, "batch_size": 128, "callbacks": [mean]}
    taught.learn(student, data, seed, loss=loss, augment=augment, **options)
    return student, mean.network


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    made = {}

    def network(arm, seed, lr):
        if (arm, seed, lr) not in made:
            made[arm, seed, lr] = pupil(WEIGHTS[arm], seed, lr, data)
            bar.update()
        return made[arm, seed, lr]

    def score(arm, lr):
        return sum(train.evaluate(network(arm, s, lr)[0], data.validation) for s in taught.TUNING_SEEDS) / 2

    with tqdm(unit="run", mininterval=20) as bar:
        tuned = taught.tune(list(WEIGHTS), RATES, score)
        found = [
            {
                arm: dict(
                    zip(("accuracy", "average"), (train.evaluate(m, data.test) for m in both), strict=True)
                )
                for arm, both in ((arm, network(arm, seed, lr)) for arm, lr in tuned["chosen"].items())
            }
            for seed in seeds
        ]
    write(
        __file__, question="What does the student's own average teach it?", network="student",
        methods=by_seed(found), seeds=seeds, tuned=tuned, epochs=EPOCHS,
        images={"all": SUBSET, "labelled": int(known(data.train[1]).sum())}, noise=NOISE, decay=DECAY,
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
