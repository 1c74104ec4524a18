"""Half of a tower's multiplications: fewer blocks, thinner blocks, separable convolutions. Six seeds.

    python experiments/11_shapes.py     (a minute of computing)

All are towers (experiments/towers.py) trained from scratch, alike: 2,000 images, six epochs, each at the rate
that the validation images of seed 0 prefer. "whole" has six blocks of 16 channels. "shallow" has three of
them, "thin" six blocks of 11 channels: about the same multiplications. "separable" has depthwise and
pointwise convolutions in place of full ones. "shared" computes what "whole" does, with three sets of weights,
each used twice in a row.
"""

import torch
from common import by_seed, file_size, tune, write
from towers import EPOCHS, FRESH, IMAGES, WIDTH, Tower, depthwise, figures, fresh, trained, validated
from tqdm.auto import tqdm

import mcomp.data

SEEDS = (0, 1, 2, 3, 4, 5)
ARMS = {
    "whole": lambda: Tower(6, WIDTH),
    "shallow": lambda: Tower(3, WIDTH),
    "thin": lambda: Tower(6, 11),
    "separable": lambda: Tower(6, WIDTH, convolution=depthwise),
    "shared": lambda: Tower(3, WIDTH, times=2),
}


def main():
    torch.set_num_threads(1)
    data, made, found = mcomp.data.load("fashion-mnist", subset=IMAGES), {}, []

    def network(arm, lr, seed):
        if (arm, lr, seed) not in made:
            model = fresh(5000 + seed, ARMS[arm])
            made[arm, lr, seed] = trained(model, data, epochs=EPOCHS, lr=lr, order=200 + seed)
        return made[arm, lr, seed]

    tuned = tune(ARMS, FRESH, validated(network, data))
    for seed in tqdm(SEEDS, unit="seed"):
        models = {arm: network(arm, lr, seed) for arm, lr in tuned["chosen"].items()}
        found.append({arm: figures(model, data, file_size(model)) for arm, model in models.items()})
    write(
        __file__, question="Half of the multiplications: shallow, thin or separable?", network="tower",
        methods=by_seed(found), seeds=SEEDS, tuned=tuned, images=IMAGES, epochs=EPOCHS,
    )  # fmt: skip


if __name__ == "__main__":
    main()
