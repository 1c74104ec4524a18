"""One of the ResNet's three residual blocks gone: within a point of the control? Three seeds.

    python experiments/11_block.py     (two minutes of computing)

The shipped networks. Only `block1` can go, the others change their input's shape. Three arms are trained on,
three epochs of 2,000 images each: the whole network (the control), and the network without `block1`, from the
labels or with the whole network as teacher (T = 1, no labels). Rates are tuned on the validation images of
two seeds, one grid for all; the test images are looked at once.
"""

import torch
from common import by_seed, file_size, tune, write
from towers import GRID, figures, validated

import mcomp.data
from mcomp import distill, structure, zoo
from mcomp.train import evaluate, fit, predict

IMAGES, EPOCHS, SEEDS, ARMS = 2_000, 3, (0, 1, 2), ("control", "cut", "cut, teacher")


class Trials:
    """The trained networks of all arms, rates and seeds, each trained once."""

    def __init__(self, data):
        self.data, self.made, self.teachers = data, {}, {}

    def teacher(self, seed):
        if seed not in self.teachers:
            self.teachers[seed] = predict(zoo.load("resnet", seed), self.data.train[0])
        return self.teachers[seed]

    def network(self, arm, lr, seed):
        if (arm, lr, seed) not in self.made:
            model, x = zoo.load("resnet", seed), self.data.test[0][:2]
            model = model if arm == "control" else structure.drop(model, ["block1"], x=x)
            loss = {"loss": distill.teaching(self.teacher(seed), self.data)} if "teacher" in arm else {}
            options = {"batch_size": 64, "weight_decay": 0.01, "progress": False, "seed": 3000 + seed}
            fit(model, self.data, epochs=EPOCHS, lr=lr, **options, **loss)
            self.made[arm, lr, seed] = model
        return self.made[arm, lr, seed]


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    trials, found = Trials(data), []
    grid = [rate / 8 for rate in GRID]
    tuned = tune(ARMS, grid, validated(trials.network, data))
    for seed in SEEDS:
        whole = zoo.load("resnet", seed)
        cut = structure.drop(whole, ["block1"], x=data.test[0][:2])
        made = {"before": whole, "cut, not trained": cut}
        made |= {arm: trials.network(arm, lr, seed) for arm, lr in tuned["chosen"].items()}
        found.append({arm: figures(model, data, file_size(model)) for arm, model in made.items()})
        print(seed, {arm: row["accuracy"] for arm, row in found[-1].items()}, flush=True)
    write(
        __file__, question="A third of the ResNet's blocks gone: within a point of the control?",
        network="resnet", methods=by_seed(found), seeds=SEEDS, tuned=tuned, images=IMAGES, epochs=EPOCHS,
        validation={arm: [evaluate(trials.network(arm, lr, s), data.validation) for s in SEEDS]
                    for arm, lr in tuned["chosen"].items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
