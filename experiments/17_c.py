"""One C file for a microcontroller: how much flash and RAM, and does it answer like the integer network?

    python experiments/17_c.py     (three minutes; needs gcc and size)

Each network of the zoo is written twice: its int8 weights as they are, and ("small") as the file that mcomp
saves with the decoder beside it. For LeNet-300-100 the second is chapter 00's network. Flash is code with
constants, RAM the static variables, of an object file that gcc -Os made for this processor; the stack isn't
counted. All 10,000 test images go through the program compiled with -O2: "differ" is how many of the 100,000
outputs aren't those of `mcomp.integer`, which rounds by fixed-point multipliers.
"""

import tempfile
from pathlib import Path

import torch
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import deploy, zoo
from mcomp.codecs import bake
from mcomp.deploy import c
from mcomp.integer import integer_network
from mcomp.quantize.grids import dequantize, quantize
from mcomp.structure import fold_batchnorm

SEEDS = (0, 1, 2)


def figures(model, data, path, *, entropy_coded):
    """Bytes, flash, RAM, accuracy, and outputs that differ."""
    images, (x, y) = data.train[0][:500], data.test
    options = {"example": x[:2], "calibration": images, "entropy_coded": entropy_coded}
    path = deploy.export("c", model, path, **options)
    whole = integer_network(fold_batchnorm(bake(model)), images)
    own = torch.cat([whole(quantize(part, whole.grid)) for part in x.split(500)])
    found = deploy.run("c", path, x)
    (flash, ram), right = c.footprint(path), float((found.argmax(1) == y).float().mean())
    differ = int((found != dequantize(own, whole.steps[-1].grid)).sum())
    weights = sum(step.run.weight.numel() for step in whole.steps if hasattr(step.run, "weight"))
    return {"flash": flash, "ram": ram, "accuracy": right, "differ": differ, "weights": weights}


def main():
    data, methods = mcomp.data.load("fashion-mnist"), {}
    with tempfile.TemporaryDirectory() as folder, tqdm(total=18, unit="file") as bar:
        for name in zoo.NAMES:
            for seed in SEEDS:
                model, small = zoo.load(name, seed), RESULTS / f"00_{name}-{seed}.safetensors"
                models = {name: model, f"{name} small": mcomp.load(small) if small.is_file() else None}
                for key, net in models.items():
                    if net is not None:
                        told = figures(net, data, Path(folder, "net.c"), entropy_coded="small" in key)
                        told |= {"small": small.stat().st_size} if "small" in key else {}
                        for figure, value in told.items():
                            methods.setdefault(key, {}).setdefault(figure, []).append(value)
                    bar.update()
    write(
        __file__, question="What does a network take on a microcontroller?", network=list(zoo.NAMES),
        methods=methods, images=len(data.test[1]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
