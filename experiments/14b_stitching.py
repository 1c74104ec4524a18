"""The lower half of one ResNet under the upper half of another, and what the stitch costs.

    python experiments/14b_stitching.py      (about three minutes on one core)

The three shipped networks, three ordered pairs. Cut behind a block; between the halves lies a 1 x 1
convolution with a bias, all else is frozen. It is fitted by least squares to the features that the upper
half is used to, on 1,000 images, and then trained on the labels for two epochs; its learning rate is tuned
for every arm on one grid, by validation images of the first pair. Lower halves: the upper one's own (the
null), another seed's, one that was never trained (its batch norms have seen the images). "a block skipped"
and "a block twice" join different depths.
"""

import taught
import torch
from common import tune, write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import merge, train, zoo

SUBSET, EPOCHS, RATES = 1_000, 2, (0.0005, 0.002, 0.008)
HELD = 2_000  # of the validation images
BLOCKS = ("block1", "block2", "block3")
CUTS = {f"{kind}, {b}": (kind, (b, b)) for b in BLOCKS for kind in ("own", "another", "untrained")}
CUTS |= {
    "a block skipped": ("another", ("block2", "block3")),
    "a block twice": ("another", ("block3", "block2")),
}


def untrained(seed, data):
    model = taught.network("resnet", 1000 + seed)
    model.train()
    with torch.no_grad():
        for part in data.train[0].split(100):
            model(part)  # the statistics of its batch norms
    return model.eval()


def rows(features):
    """(images, channels, height, width) as (images * height * width, channels), in float64."""
    return features.permute(0, 2, 3, 1).flatten(0, 2).double()


def least_squares(source, target):
    """A 1 x 1 convolution that comes nearest to `target`."""
    x, y = rows(source), rows(target)
    one = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    solved = torch.linalg.pinv(one.T @ one, hermitian=True) @ (one.T @ y)
    layer = nn.Conv2d(x.shape[1], y.shape[1], 1)
    layer.weight.data = solved[:-1].T[:, :, None, None].float().contiguous()
    layer.bias.data = solved[-1].float()
    return layer, float((one @ solved - y).square().mean() / y.var(0).mean())


def stitched(arm, seed, data):
    """The stitched network, least squares in the middle, and its error as a part of the variance."""
    kind, at = CUTS[arm]
    upper = zoo.load("resnet", seed)
    lower = {"own": upper, "another": zoo.load("resnet", (seed + 1) % 3)}.get(kind) or untrained(seed, data)
    x = data.train[0]
    source = train.predict(merge.halves(lower, at[0])[0], x)
    target = train.predict(merge.halves(upper, at[1])[0], x)
    layer, error = least_squares(source, target)
    return merge.stitch(lower, upper, layer, at=at), error


def main(data, seeds=zoo.SEEDS):
    torch.set_num_threads(1)
    made, held = {}, tuple(part[:HELD] for part in data.validation)
    bar = tqdm(unit="network", mininterval=20)

    def fitted(arm, seed, lr):
        if (arm, seed, lr) not in made:
            model, _ = stitched(arm, seed, data)
            made[arm, seed, lr] = taught.learn(model, data, seed, epochs=EPOCHS, lr=lr, batch_size=64)
            bar.update()
        return made[arm, seed, lr]

    tuned = tune(list(CUTS), RATES, lambda arm, lr: train.evaluate(fitted(arm, seeds[0], lr), held))
    methods = {}
    for arm in CUTS:
        begun = [stitched(arm, seed, data) for seed in seeds]
        methods[arm] = {
            "error": [error for _, error in begun],
            "squares": [train.evaluate(model, data.test) for model, _ in begun],
            "accuracy": [
                train.evaluate(fitted(arm, seed, tuned["chosen"][arm]), data.test) for seed in seeds
            ],
        }
    bar.close()
    write(
        __file__, question="Do two networks understand each other's features?", network="resnet",
        methods=methods, seeds=seeds, tuned=tuned, epochs=EPOCHS, images=SUBSET,
        whole=[train.evaluate(zoo.load("resnet", seed), data.test) for seed in seeds],
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
