"""The ResNet without `block1`, a third of its residual blocks: within a point of the control? Three seeds.

    python experiments/11_bar.py     (three minutes of computing)

11_block.py trains the whole network on and stays far below the control. Here the neighbour learns first: on
12,000 images `block2` alone is trained for five epochs to give, from what went into `block1`, what came out
of `block2`, in least squares. Then the whole network gets two epochs with the uncut one as teacher (T = 1, no
labels). The control, which isn't cut, gets two epochs with labels, at the rate that 11_block.py found for it;
the rates of the cut network were not searched.
"""

import copy
from types import SimpleNamespace

import torch
from common import by_seed, file_size, read, write
from torch import nn
from torch.nn import functional as F
from towers import figures
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, structure, zoo
from mcomp.train import fit, predict

IMAGES, BLOCK_EPOCHS, EPOCHS, SEEDS = 12_000, 5, 2, (0, 1, 2)
BLOCK_RATE, RATE = 0.01, 0.002
OPTIONS = {"batch_size": 64, "progress": False}


def imitate(cut, whole, x, seed):
    """Train `block2` of `cut` in place to do what `block1` and `block2` of `whole` do together."""
    before = predict(nn.Sequential(whole.conv, whole.bn, whole.relu, whole.pool), x)
    after = predict(nn.Sequential(whole.block1, whole.block2), before)

    def loss(out, batch):
        return F.mse_loss(out, after[batch.index]) / after.var()

    pair = SimpleNamespace(train=(before, torch.zeros(len(x), dtype=torch.int64)))  # no labels
    fit(cut.block2, pair, epochs=BLOCK_EPOCHS, lr=BLOCK_RATE, loss=loss, seed=3000 + seed, **OPTIONS)


def main():
    torch.set_num_threads(1)
    data, found = mcomp.data.load("fashion-mnist", subset=IMAGES), []
    rate = read("11_block_resnet")["tuned"]["chosen"]["control"]
    for seed in tqdm(SEEDS, unit="seed"):
        whole = zoo.load("resnet", seed)
        control, block = copy.deepcopy(whole), structure.drop(whole, ["block1"], x=data.test[0][:2])
        imitate(block, whole, data.train[0], seed)
        both, options = copy.deepcopy(block), OPTIONS | {"epochs": EPOCHS, "seed": 4000 + seed}
        fit(both, data, lr=RATE, loss=distill.teaching(whole, data), **options)
        fit(control, data, lr=rate, **options)
        made = {"control": control, "its neighbour": block, "then the whole": both}
        found.append({arm: figures(model, data, file_size(model)) for arm, model in made.items()})
        print(seed, {arm: row["accuracy"] for arm, row in found[-1].items()}, flush=True)
    write(
        __file__, question="A third of the ResNet's blocks gone: within a point of the control?",
        network="resnet", methods=by_seed(found), seeds=SEEDS, images=IMAGES, epochs=[BLOCK_EPOCHS, EPOCHS],
        rates={"control": rate, "block": BLOCK_RATE, "whole": RATE},
    )  # fmt: skip


if __name__ == "__main__":
    main()
