"""How few bits do trained networks bear without training on labels? Three networks, three seeds, six ways.

    python experiments/07_calibration_and_integers.py lenet300     (four minutes on one core)
    python experiments/07_calibration_and_integers.py lenet5       (about thirteen)
    python experiments/07_calibration_and_integers.py resnet       (about thirteen)

Batch norm is folded. Weights of all layers on 8 to 2 bits (lenet300: 4 to 2), the inputs of all layers on 8
bits between the extremes of 500 training images, whose labels aren't used; biases stay float32. Then weights
on 8 bits, and the inputs on 8 and 4 bits by each observer. The percentile is chosen on the validation images;
each network sees the test images once, as its file gives it back. Nothing is trained on labels, so the
control is the float network. Last, the network of integers only, on all test images.
"""

import argparse
import copy
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Uniform
from mcomp.codecs.activations import ActivationGrid, calibrate
from mcomp.codecs.attachment import attach, codes
from mcomp.integer.network import integer_network
from mcomp.measure import float32_bytes
from mcomp.ptq import adaround, clip_weights, correct_bias, equalize
from mcomp.quantize.observers import Entropy, LeastSquares, MinMax, MovingAverage, Percentile
from mcomp.quantize.ranges import best_clip
from mcomp.structure import fold_batchnorm
from mcomp.train import evaluate, predict

SEEDS, BITS, INPUT_BITS, IMAGES, STEPS = (0, 1, 2), (8, 6, 4, 3, 2), (8, 4), 500, 150
FRACTIONS = (0.99, 0.999, 0.9999)
OBSERVERS = {
    "min-max": lambda bits: MinMax(),
    "moving average": lambda bits: MovingAverage(),
    "percentile": None,  # chosen among FRACTIONS
    "least squares": LeastSquares,
    "entropy": Entropy,
}
right = partial(evaluate, batch_size=100)


def on_grid(model, bits, **layout):
    """A copy of `model` with its weights on grids of `bits` bits."""
    model = copy.deepcopy(model)
    attach(model, {"*.weight": Uniform(bits, **layout)})
    return model.eval()


def repaired(model, bits, x):
    """Every way to put the weights on `bits` bits: name -> network with the codecs attached."""
    even, cut = equalize(model), clip_weights(model, bits)
    found = {"a scale a tensor": on_grid(model, bits), "tensor, equalized": on_grid(even, bits)}
    found["tensor, equalized, biases"] = correct_bias(found["tensor, equalized"], even, x=x)
    found["a scale a channel"] = on_grid(model, bits, axis=0)
    found["channel, clipped"] = on_grid(cut, bits, axis=0)
    found["channel, clipped, AdaRound"] = adaround(found["channel, clipped"], model, x=x, steps=STEPS)
    return found


def with_inputs(model, x, bits=8, make=OBSERVERS["min-max"]):
    """`model`, with the inputs of its layers on `bits` bits: changed in place."""
    put_inputs(model, bits, make)
    return calibrate(model, x)


def put_inputs(model, bits=8, make=OBSERVERS["min-max"]):
    rule = {"*.input": Uniform(bits, symmetric=False)}
    attach(model, rule, activation=lambda codec: ActivationGrid(codec, make(bits)))


def from_file(model, plain, x):
    """Bytes of the file of `model`, and what it holds when it is opened again."""
    like = copy.deepcopy(plain)
    put_inputs(like)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes, opened = save(model, path), load(path, model=like)
    assert torch.equal(predict(opened, x), predict(model, x))
    return nbytes, opened


def weights(model, data, x, bar, bits_tried):
    """Bytes and test accuracy by bits and method."""
    found = {"float32": {"bytes": float32_bytes(model), "accuracy": right(model, data.test)}}
    for bits in bits_tried:
        for name, small in repaired(model, bits, x).items():
            nbytes, opened = from_file(with_inputs(small, x), model, data.validation[0][:100])
            found[f"{bits} bits, {name}"] = {"bytes": nbytes, "accuracy": right(opened, data.test)}
            bar.update()
    return found


def best_fraction(eight, data, x, bits):
    """The fraction that 2,000 of the validation images prefer."""
    part = data.validation[0][:2000], data.validation[1][:2000]

    def accuracy(fraction):
        tried = with_inputs(copy.deepcopy(eight), x, bits, lambda bits: Percentile(fraction))
        return right(tried, part)

    return max(FRACTIONS, key=accuracy)


def inputs(model, data, x, bar):
    """Test accuracy by the bits of the inputs and by observer, and the chosen fractions by bits."""
    eight, found, chosen = on_grid(model, 8, axis=0), {}, {}
    for bits in INPUT_BITS:
        fraction = chosen[str(bits)] = best_fraction(eight, data, x, bits)
        for name, make in OBSERVERS.items():
            make = make or (lambda bits, fraction=fraction: Percentile(fraction))
            tried = with_inputs(copy.deepcopy(eight), x, bits, make)
            found[f"inputs on {bits} bits, {name}"] = right(tried, data.test)
            bar.update()
    return found, chosen


def integers(model, data, x):
    """Test accuracy of the network without floats, and how often it names the class of the float network."""
    network = integer_network(model, x)
    classes, theirs = network.predict(data.test[0], batch_size=100), predict(model, data.test[0]).argmax(1)
    return {
        "accuracy": float((classes == data.test[1]).float().mean()),
        "same class": float((classes == theirs).float().mean()),
    }


def rate_distortion(x):
    """fc1.weight of lenet300, seed 0, with variance 1: bits in a file and error, clipped and by AdaRound."""
    model = zoo.load("lenet300", 0)
    w = to_numpy(model.fc1.weight)
    curves = {"grid, a scale a channel, clipped": [], "AdaRound": []}
    for bits in BITS:
        near = on_grid(clip_weights(model, bits), bits, axis=0)
        for name, small in zip(curves, (near, adaround(near, model, x=x, steps=STEPS)), strict=True):
            code = codes(small)["fc1.weight"]
            error = ((to_numpy(small.fc1.weight) - w) ** 2).mean() / w.var()
            curves[name].append((code.nbits() / w.size, float(error)))
    assert np.array_equal(best_clip(w, 2, axis=0), to_numpy(clip_weights(model, 2).fc1.weight))
    return {name: {"bits": [b for b, _ in c], "mse": [e for _, e in c]} for name, c in curves.items()}


def joined(found):
    """Of a dict of figures for each seed, one dict of lists with an entry a seed."""
    return {name: {key: [seed[name][key] for seed in found] for key in found[0][name]} for name in found[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("lenet300", "lenet5", "resnet"))
    network, data, found = parser.parse_args().network, mcomp.data.load("fashion-mnist"), []
    x, bits = data.train[0][:IMAGES], BITS[2:] if network == "lenet300" else BITS
    torch.set_num_threads(1)
    steps = len(SEEDS) * (6 * len(bits) + len(OBSERVERS) * len(INPUT_BITS) + 1)
    with tqdm(total=steps, unit="network") as bar:
        for seed in SEEDS:
            model = fold_batchnorm(zoo.load(network, seed))
            observed, fractions = inputs(model, data, x, bar)
            methods = weights(model, data, x, bar, bits)
            methods |= {name: {"accuracy": accuracy} for name, accuracy in observed.items()}
            methods["integers only"] = integers(model, data, x)
            bar.update()
            found.append((methods, fractions))
    more = {"rate_distortion": rate_distortion(x)} if network == "lenet300" else {}
    write(
        __file__,
        question="How few bits do trained networks bear without training on labels?",
        network=network,
        methods=joined([methods for methods, _ in found]),
        seeds=SEEDS,
        bits=list(bits),
        input_bits=list(INPUT_BITS),
        images=IMAGES,
        steps=STEPS,
        fractions=[fractions for _, fractions in found],
        **more,
    )


if __name__ == "__main__":
    main()
