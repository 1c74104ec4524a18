"""The reference networks of the course, trained and shipped: `load`, `build`, `train`.

Three trained copies of each (seeds 0, 1, 2) lie beside this file in mcomp's own format, without loss.
`tinygpt`, which reads text, has weights of 16 bits, as language models are handed round.
"""

from pathlib import Path

import torch

from mcomp.architectures import NAMES, architecture, build
from mcomp.arrays import bad_value, check_int

__all__ = ["NAMES", "RECIPES", "SEEDS", "TEXTS", "architecture", "build", "load", "train", "weights"]

SEEDS = (0, 1, 2)
RECIPES = {
    "lenet300": {"epochs": 20, "lr": 2e-3},
    "lenet5": {"epochs": 15, "lr": 2e-3},
    "resnet": {"epochs": 15, "lr": 5e-3, "weight_decay": 0.01},
    "tinygpt": {"steps": 3_600, "lr": 3e-3, "batch_size": 8},
}
TEXTS = ("tinygpt",)  # trained on bytes, not on images


def weights(name, seed=0):
    """The path of the shipped weights of network `name`, trained from `seed`."""
    if name not in [*RECIPES]:
        raise bad_value("name", name, f"one of {', '.join(RECIPES)}")
    return Path(__file__).with_name(f"{name}-{check_int('seed', seed, SEEDS[0], SEEDS[-1])}.safetensors")


def load(name, seed=0):
    """The trained network `name`, one of `RECIPES`, of `seed` 0, 1 or 2, in evaluation mode.

    Examples
    --------
    >>> load("lenet300").fc3
    Linear(in_features=100, out_features=10, bias=True)
    """
    from mcomp.file.container import load as load_file

    return load_file(weights(name, seed))


def train(name, data, *, seed=0, progress=True):
    """Train network `name` on `data` from scratch as the shipped ones were; returns it in evaluation mode.

    On one thread, whatever torch is set to: two threads add up in another order, and after twenty epochs
    that alone moves the accuracy by up to half a point. So lenet300 comes out as shipped, to the byte, on a
    machine whose kernels round alike. `tinygpt`, whose `data` is that of `mcomp.data.load_text`, takes most
    of an hour; its weights are rounded to float16 values at the end, which halves its file.
    """
    from mcomp.language import fit_text
    from mcomp.measure.timing import torch_threads
    from mcomp.train import fit

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_int("seed", seed, 0, 2**63 - 1))
        model = build(name)
    with torch_threads(1):
        if name in TEXTS:
            fit_text(model, data.train, seed=seed, progress=progress, **RECIPES[name])
            with torch.no_grad():
                for p in model.parameters():
                    p.copy_(p.half())
        else:
            fit(model, data, seed=seed, progress=progress, **RECIPES[name])
    return model
