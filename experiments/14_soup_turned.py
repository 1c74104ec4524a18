"""Soups where fine-tuning has something to learn: the same as 14_soup.py for turned images.

    python experiments/14_soup_turned.py      (about six minutes on one core)

The zoo's LeNet-5 have seen upright images alone. All images, training, validation and test, are turned about
their middle by up to 30 degrees, each by an angle of its own. Twenty networks are fine-tuned from each of the
three on 6,000 turned images for one epoch, with larger learning rates than there: five of them, plain or
moved images, two orders. The turned validation images choose. Tested once, on all 10,000 turned test images;
and on the first 1,500 upright, or turned and blurred, or turned and with noise.
"""

import dataclasses
import importlib

import torch
from common import by_seed, write
from tqdm.auto import tqdm

import mcomp.data

soup = importlib.import_module("14_soup")
soup.RATES = (0.0005, 0.001, 0.002, 0.004, 0.008)


def turned(data):
    """The data with every image turned."""
    chance = torch.Generator().manual_seed(1)
    parts = {
        name: (soup.rotated(getattr(data, name)[0], chance), getattr(data, name)[1])
        for name in ("train", "validation", "test")
    }
    return dataclasses.replace(data, **parts)


def sets(data, upright):
    """The turned test images, the upright ones, and two more shifts of the turned."""
    (x, y), chance = data.test, torch.Generator().manual_seed(0)
    x, y = x[: soup.SHIFTED], y[: soup.SHIFTED]
    shifted = {f.__name__: (f(x, chance), y) for f in (soup.blurred, soup.noisy)}
    return {"turned": data.test, "upright": [part[: soup.SHIFTED] for part in upright.test], **shifted}


def main(upright, seeds=(0, 1, 2)):
    torch.set_num_threads(1)
    data = turned(upright)
    tests = sets(data, upright)
    with tqdm(unit="network", mininterval=20) as bar:
        found, soups = zip(*(soup.trial(seed, data, tests, bar) for seed in seeds), strict=True)
    for one in found:
        for way in one.values():
            way["accuracy"] = way["turned"]
    write(
        __file__,
        question="Is an average of twenty better than the best of them, where they had something to learn?",
        network="lenet5",
        methods=by_seed(found),
        seeds=list(seeds),
        soups=list(soups),
        rates=list(soup.RATES),
        epochs=soup.EPOCHS,
        images=soup.SUBSET,
        shifted=soup.SHIFTED,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=soup.SUBSET))
