"""The stitch between two ResNets, fitted to features or trained on the labels: which was the wrong fit?

    python experiments/14b_stitch_trained.py      (about twelve minutes on one core)

Three pairs of the shipped networks, cut behind one of the three blocks, joined by a 1 x 1 convolution with a
bias, as in 14b_stitching.py. "fitted" is the nearest to the upper half's own features, by least squares over
3,000 images; "trained" goes on from there for two epochs on the labels of the same images, the halves
frozen, as Bansal et al. 2021 (arXiv:2106.07682) train it on the task's loss. A lower half that was never
trained is the measure of what such a stitch can do by itself; the upper half's own, at the rate found for
another's, of what two epochs on 3,000 images do to a network that is whole. Each other learning rate is tuned
by itself, on the first pair and validation images. The test images come once.
"""

import copy

import taught
import torch
from common import tuned_training, write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import merge, train, zoo

PAIRS = ((0, 1), (1, 2), (2, 0))  # lower, upper
CUTS = ("block1", "block2", "block3")
SUBSET, EPOCHS, GRID = 3_000, 2, (0.002, 0.004, 0.008)


def nearest(lower, upper, cut, x):
    """The 1 x 1 convolution from one lower half's features that comes nearest to the other's."""
    halves = [merge.halves(model, cut)[0] for model in (lower, upper)]
    s, t = (train.predict(half, x).permute(0, 2, 3, 1).flatten(0, 2) for half in halves)
    one = torch.column_stack([s, torch.ones(len(s))]).double()
    solved = torch.linalg.pinv(one.T @ one, hermitian=True) @ (one.T @ t.double())
    stitch = nn.Conv2d(s.shape[1], t.shape[1], 1)
    stitch.load_state_dict({"weight": solved[:-1].T[:, :, None, None].float(), "bias": solved[-1].float()})
    return stitch


def fitted(pair, data):
    """The stitched networks of a pair by arm."""
    upper = zoo.load("resnet", pair[1])
    lowers = {
        "another": zoo.load("resnet", pair[0]),
        "untrained": taught.network("resnet", 1000 + pair[0]),
        "own": zoo.load("resnet", pair[1]),
    }
    made = {}
    for kind, cut in ((kind, cut) for kind in lowers for cut in CUTS):
        lower = lowers[kind].eval()
        stitch = nearest(lower, upper, cut, data.train[0])
        made[f"{kind}, {cut}"] = merge.stitch(lower, copy.deepcopy(upper), stitch, at=(cut, cut))
    return made


def main(data, pairs=PAIRS):
    torch.set_num_threads(1)
    begun = [fitted(pair, data) for pair in tqdm(pairs, unit="pair")]
    judged = [{arm: made[arm] for arm in made if not arm.startswith("own")} for made in begun]
    tuned, ended = tuned_training(judged, data, grid=GRID, tuning=(0,), epochs=EPOCHS)
    for seed, (made, models) in enumerate(zip(begun, ended, strict=True)):
        for cut in CUTS:
            models[f"own, {cut}"] = own = copy.deepcopy(made[f"own, {cut}"])
            lr = tuned["chosen"][f"another, {cut}"]
            train.fit(own, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
    ways = {"fitted": begun, "trained": ended}
    right = {
        f"{arm}, {way}": {"accuracy": [train.evaluate(made[arm], data.test) for made in models]}
        for way, models in ways.items()
        for arm in tqdm(begun[0], unit="arm")
    }
    write(
        __file__, question="Fitted to features or trained on labels: what does a stitch keep?",
        network="resnet",
        methods=right, seeds=[list(pair) for pair in pairs], images=SUBSET, epochs=EPOCHS, tuned=tuned,
        whole=[train.evaluate(zoo.load("resnet", upper), data.test) for _, upper in pairs],
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
