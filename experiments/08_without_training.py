"""How far does rounding by the outputs get without training? The ResNet, three seeds, AdaRound.

    python experiments/08_without_training.py      (about three minutes on one core)

The partner of experiments/08_training_with_the_rounding.py. Batch norm is folded. Weights of all layers have
4 bits, a scale a channel, clipped where the squared error is least, rounded to the nearest or by AdaRound;
the inputs of all layers have 8 or 4 bits, on the grid of least squares. 500 training images without their
labels; no option was tuned. The test images are looked at once.
"""

import copy

import torch
from common import by_seed, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.codecs import Uniform
from mcomp.codecs.activations import ActivationGrid, calibrate
from mcomp.codecs.attachment import attach
from mcomp.ptq import adaround, clip_weights
from mcomp.quantize.observers import LeastSquares
from mcomp.structure import fold_batchnorm
from mcomp.train import evaluate

SEEDS, BITS, INPUT_BITS, IMAGES, STEPS = (0, 1, 2), 4, (8, 4), 500, 150


def with_inputs(model, bits, x):
    """A copy of `model` with the inputs of its layers on `bits` bits."""
    model, rule = copy.deepcopy(model), {"*.input": Uniform(bits, symmetric=False)}
    attach(model, rule, activation=lambda codec: ActivationGrid(codec, LeastSquares(bits)))
    return calibrate(model, x)


def one_seed(seed, data, bar):
    """Figures by method."""
    model, x = fold_batchnorm(zoo.load("resnet", seed)), data.train[0][:IMAGES]
    near = clip_weights(model, BITS)
    attach(near, {"*.weight": Uniform(BITS, axis=0)})
    ways = {"nearest": near.eval(), "AdaRound": adaround(near, model, x=x, steps=STEPS)}
    found = {"float32": {"accuracy": evaluate(model, data.test, batch_size=100)}}
    for way, rounded in ways.items():
        for bits in INPUT_BITS:
            tried = with_inputs(rounded, bits, x)
            found[f"W{BITS}A{bits}, {way}"] = {"accuracy": evaluate(tried, data.test, batch_size=100)}
            bar.update()
    return found


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    with tqdm(total=len(SEEDS) * 2 * len(INPUT_BITS), unit="network") as bar:
        found = [one_seed(seed, data, bar) for seed in SEEDS]
    write(
        __file__,
        question="How far does rounding by the outputs get without training?",
        network="resnet",
        methods=by_seed(found),
        seeds=SEEDS,
        images=IMAGES,
        steps=STEPS,
    )


if __name__ == "__main__":
    main()
