"""Which repair without labels is worth how much? Sixteen ways to put a network's weights on few bits.

    python experiments/07_factorial.py lenet5       (about seven minutes on one core)
    python experiments/07_factorial.py resnet       (about eleven)

{a scale a tensor, a scale a channel} x {whole range, clipped} x {biases as they are, corrected} x {nearest,
AdaRound}, on 4, 3 and 2 bits, three seeds. Batch norm is folded, the inputs of all layers are on 8 bits
between the extremes of 300 training images, whose labels aren't used; biases stay float32. AdaRound runs for
100 steps a layer, few, at the rate that half of the validation images prefer at 3 bits. The other half judges
the sixteen. Of each rounding the best for the number of bits, mean over the seeds, then sees the test images,
as its file gives it back. Nothing is trained on labels, so the control is the float network.
"""

import argparse
import copy
import tempfile
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.codecs import Uniform
from mcomp.codecs.activations import ActivationGrid, calibrate
from mcomp.codecs.attachment import attach, bake
from mcomp.measure import float32_bytes
from mcomp.ptq import adaround, clip_weights, correct_bias
from mcomp.quantize.observers import MinMax
from mcomp.structure import fold_batchnorm
from mcomp.train import evaluate, predict

SEEDS, BITS, IMAGES, STEPS, RATES = (0, 1, 2), (4, 3, 2), 300, 100, (0.03, 0.1, 0.3)
FACTORS = (("tensor", "channel"), ("whole", "clipped"), ("as is", "biases"), ("nearest", "AdaRound"))
right = partial(evaluate, batch_size=250)


def on_grid(model, bits, scale, clip):
    """A copy of `model` with its weights on grids of `bits` bits, rounded to the nearest."""
    axis = {"tensor": None, "channel": 0}[scale]
    model = clip_weights(model, bits, axis=axis) if clip == "clipped" else copy.deepcopy(model)
    attach(model, {"*.weight": Uniform(bits, axis=axis)})
    return model.eval()


def put_inputs(model, x=None):
    """`model`, changed in place: the inputs of its layers on 8 bits, between their extremes on `x`."""
    rule = {"*.input": Uniform(8, symmetric=False)}
    attach(model, rule, activation=lambda codec: ActivationGrid(codec, MinMax()))
    return model if x is None else calibrate(model, x)


def sixteen(model, bits, x, rate):
    """Factors -> network with codecs on its weights."""
    found = {}
    for scale, clip in product(*FACTORS[:2]):
        near = on_grid(model, bits, scale, clip)
        for rounding in FACTORS[3]:
            one = near if rounding == "nearest" else adaround(near, model, x=x, steps=STEPS, lr=rate)
            found[scale, clip, "as is", rounding] = one
            found[scale, clip, "biases", rounding] = correct_bias(one, model, x=x)
    return found


def judged(model, x, images):
    """Accuracy on `images` with the inputs on 8 bits."""
    return right(put_inputs(bake(copy.deepcopy(model)), x), images)


def best_rate(models, x, images, bar):
    """AdaRound's rate: the mean over two seeds at 3 bits, a scale a channel, clipped."""

    def score(arm, rate):
        near = [on_grid(model, 3, "channel", "clipped") for model in models[:2]]
        pairs = zip(near, models, strict=False)
        return np.mean([judged(adaround(n, m, x=x, steps=STEPS, lr=rate), x, images) for n, m in pairs])

    return tune(("AdaRound",), RATES, score, bar=bar)


def from_file(model, plain, x, test):
    """Bytes of the file of `model` with its inputs on 8 bits, and the test accuracy of what it holds."""
    model, like = put_inputs(copy.deepcopy(model), x), put_inputs(copy.deepcopy(plain))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes, opened = save(model, path), load(path, model=like)
    assert torch.equal(predict(opened, x[:100]), predict(model, x[:100]))
    return {"bytes": nbytes, "accuracy": right(opened, test)}


def some_bits(models, bits, x, rate, images, test, bar):
    """Validation accuracy of the sixteen by seed; of each rounding the best, with its figures by seed."""
    tried, accuracy = [], {}
    for model in models:
        tried.append(sixteen(model, bits, x, rate))
        for name, small in tried[-1].items():
            accuracy.setdefault(name, []).append(judged(small, x, images))
            bar.update()
    best = {}
    for rounding in FACTORS[3]:
        name = max((n for n in accuracy if n[3] == rounding), key=lambda n: sum(accuracy[n]))
        figures = [from_file(t[name], m, x, test) for t, m in zip(tried, models, strict=True)]
        by_seed = {key: [f[key] for f in figures] for key in figures[0]}
        best[f"{bits} bits, best {rounding}"] = {"way": ", ".join(name), **by_seed}
    return {f"{bits} bits, {', '.join(name)}": values for name, values in accuracy.items()}, best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("lenet5", "resnet"))
    network, data = parser.parse_args().network, mcomp.data.load("fashion-mnist")
    torch.set_num_threads(1)
    (images, labels), x, validation, methods = data.validation, data.train[0][:IMAGES], {}, {}
    models = [fold_batchnorm(zoo.load(network, seed)).eval() for seed in SEEDS]
    halves = (images[::2], labels[::2]), (images[1::2], labels[1::2])
    sizes = [float32_bytes(model) for model in models]
    methods["float32"] = {"bytes": sizes, "accuracy": [right(model, data.test) for model in models]}
    with tqdm(total=len(RATES) + len(SEEDS) * len(BITS) * 16, unit="network") as bar:
        tuned = best_rate(models, x, halves[0], bar)
        bar.write(str(tuned))
        for bits in BITS:
            tried, best = some_bits(models, bits, x, tuned["chosen"]["AdaRound"], halves[1], data.test, bar)
            validation |= tried
            methods |= best
            bar.write(str((tried, best)))
    write(
        __file__,
        question="Which repair without labels is worth how much?",
        network=network,
        methods={name: {k: v for k, v in m.items() if k != "way"} for name, m in methods.items()},
        ways={name: m["way"] for name, m in methods.items() if "way" in m},
        seeds=SEEDS,
        bits=list(BITS),
        images=IMAGES,
        steps=STEPS,
        tuned=tuned,
        validation=validation,
        validation_images=len(halves[1][1]),
        validation_float32=[right(model, halves[1]) for model in models],
    )


if __name__ == "__main__":
    main()
