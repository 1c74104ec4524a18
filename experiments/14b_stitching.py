"""The lower half of one LeNet-300-100 under the upper half of another, and what the stitch costs.

    python experiments/14b_stitching.py      (half a minute on one core)

The three shipped networks, their six ordered pairs. Cut behind a hidden layer; between the halves lies a
linear layer with a bias, fitted by least squares to the features that the upper half is used to, on 3,000
training images. No label is looked at, nothing is trained or tuned. Lower halves: the upper one's own (the
null), another seed's, one that was never trained. "a layer skipped" and "a layer twice" join different
depths.
"""

import itertools

import taught
import torch
from common import write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import merge, train, zoo

PAIRS = tuple(itertools.permutations(zoo.SEEDS, 2))
SUBSET = 3_000
CUTS = {
    f"{kind}, {name}": (kind, (cut, cut))
    for name, cut in (("first", "relu1"), ("second", "relu2"))
    for kind in ("own", "another", "untrained")
}
CUTS |= {
    "another, a layer skipped": ("another", ("relu1", "relu2")),
    "another, a layer twice": ("another", ("relu2", "relu1")),
}


def least_squares(x, y):
    """The linear layer from `x` that comes nearest to `y`, and what it misses as a part of the variance."""
    one = torch.cat([x, torch.ones_like(x[:, :1])], 1).double()
    solved = torch.linalg.lstsq(one, y.double(), driver="gelsd").solution
    layer = nn.Linear(x.shape[1], y.shape[1])
    layer.weight.data, layer.bias.data = solved[:-1].T.float().contiguous(), solved[-1].float()
    missed = (one @ solved - y).square().mean() / (y - y.mean(0)).double().square().mean()
    return layer, float(missed)


def stitched(arm, pair, data):
    """The network of the arm for the pair (lower, upper), stitched by least squares, and what that misses."""
    kind, at = CUTS[arm]
    below, above = pair
    upper = zoo.load("lenet300", above)
    if kind == "untrained":
        lower = taught.network("lenet300", 1000 + below).eval()
    else:
        lower = upper if kind == "own" else zoo.load("lenet300", below)
    halves = [merge.halves(model, cut)[0] for model, cut in zip((lower, upper), at, strict=True)]
    layer, missed = least_squares(*(train.predict(half, data.train[0]) for half in halves))
    return merge.stitch(lower, upper, layer, at=at), missed


def main(data, pairs=PAIRS):
    torch.set_num_threads(1)
    methods = {}
    for arm in tqdm(CUTS):
        made = [stitched(arm, pair, data) for pair in pairs]
        accuracy = [train.evaluate(model, data.test) for model, _ in made]
        methods[arm] = {"missed": [missed for _, missed in made], "accuracy": accuracy}
    write(
        __file__, question="Do two networks understand each other's features?", network="lenet300",
        methods=methods, seeds=[list(pair) for pair in pairs], images=SUBSET,
        whole=[train.evaluate(zoo.load("lenet300", above), data.test) for _, above in pairs],
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
