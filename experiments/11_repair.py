"""A third of a tower's blocks gone: what does training repair, and is it better than from scratch? Six seeds.

    python experiments/11_scores.py && python experiments/11_repair.py     (a minute of computing each)

The towers of 11_scores.py were trained for six epochs on 2,000 images. Now three blocks go: those whose loss
without them was least ("cut"), or three at random ("cut, chance"). Three epochs follow, from the labels or
with the whole tower as teacher (T = 1, no labels). The control isn't cut. From scratch means six blocks, new
weights, and all nine epochs in one run. Each arm has the rate that the validation images of seed 0 prefer.
"""

import numpy as np
import torch
import towers
from common import by_seed, file_size, read, tune, write
from towers import DEPTH, EPOCHS, FURTHER, IMAGES, WIDTH, Tower
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, structure
from mcomp.train import predict

GONE, MORE, SEEDS = 3, 3, (0, 1, 2, 3, 4, 5)
ARMS = ("control", "cut", "cut, teacher", "cut, chance", "from scratch")


def gone(arm, seed, looked):
    """The blocks that an arm takes out."""
    chance = np.random.default_rng(4000 + seed).permutation(DEPTH)[:GONE]
    return {"control": (), "cut, chance": chance}.get(arm, looked[seed]["gone"]["loss"])


def network(arm, lr, seed, data, looked):
    if arm == "from scratch":
        model = towers.fresh(2000 + seed, lambda: Tower(DEPTH - GONE, WIDTH))
        return towers.trained(model, data, epochs=EPOCHS + MORE, lr=lr, order=100 + seed)
    whole, few = towers.trained_tower(seed), data.test[0][:2]
    model = structure.drop(whole, [f"blocks.{i}" for i in gone(arm, seed, looked)], x=few)
    loss = distill.teaching(predict(whole, data.train[0]), data) if arm == "cut, teacher" else None
    return towers.trained(model, data, epochs=MORE, lr=lr, order=100 + seed, loss=loss)


def main():
    torch.set_num_threads(1)
    data, made, found = mcomp.data.load("fashion-mnist", subset=IMAGES), {}, []
    looked = read("11_scores_tower")["looked"]

    def once(arm, lr, seed):
        if (arm, lr, seed) not in made:
            made[arm, lr, seed] = network(arm, lr, seed, data, looked)
        return made[arm, lr, seed]

    tuned = tune(ARMS, FURTHER, towers.validated(once, data))
    for seed in tqdm(SEEDS, unit="seed"):
        models = {arm: once(arm, lr, seed) for arm, lr in tuned["chosen"].items()}
        found.append({arm: towers.figures(model, data, file_size(model)) for arm, model in models.items()})
    write(
        __file__, question="A third of the blocks gone: what does training repair?", network="tower",
        methods=by_seed(found), seeds=SEEDS, tuned=tuned, images=IMAGES, epochs=[EPOCHS, MORE],
    )  # fmt: skip


if __name__ == "__main__":
    main()
