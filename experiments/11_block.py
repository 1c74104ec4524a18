"""One of the ResNet's three residual blocks gone: within a point of the control? Three seeds.

    python experiments/11_block.py     (a minute of computing)

The shipped networks. Only `block1` can go, the others change their input's shape. Three arms are trained on,
two epochs of 2,000 images each: the whole network (the control), and the network without `block1`, from the
labels or with the whole network as teacher (T = 1, no labels). Each arm has the rate that the validation
images of seed 0 prefer, of one grid; the test images are looked at once.
"""

import torch
from common import by_seed, file_size, tune, write
from towers import FURTHER, figures, validated
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, structure, zoo
from mcomp.train import fit, predict

IMAGES, EPOCHS, SEEDS, ARMS = 2_000, 2, (0, 1, 2), ("control", "cut", "cut, teacher")


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
    grid = [rate / 8 for rate in FURTHER]
    tuned = tune(ARMS, grid, validated(trials.network, data))
    for seed in tqdm(SEEDS, unit="seed"):
        cut = structure.drop(zoo.load("resnet", seed), ["block1"], x=data.test[0][:2])
        made = {"cut, not trained": cut}
        made |= {arm: trials.network(arm, lr, seed) for arm, lr in tuned["chosen"].items()}
        found.append({arm: figures(model, data, file_size(model)) for arm, model in made.items()})
    write(
        __file__, question="A third of the ResNet's blocks gone: within a point of the control?",
        network="resnet", methods=by_seed(found), seeds=SEEDS, tuned=tuned, images=IMAGES, epochs=EPOCHS,
    )  # fmt: skip


if __name__ == "__main__":
    main()
