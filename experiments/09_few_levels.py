"""How well do few levels serve LeNet-300-100, before and after training? Three seeds.

    python experiments/09_few_levels.py      (about six minutes on one core)

Each codec on every weight matrix; biases stay float32. "not trained" is the projection alone. The others are
trained on for two epochs through `attach`: the symbols are chosen anew at each step, and the gradient
passes straight through; a codebook's values learn. Product quantization keeps its symbols, so its vectors
alone learn, and so do the values of "Codebook(4), values alone" (Han et al. 2016). The control is the float32
network, trained on for as long. Of two peak learning rates each method has the one that is better on the
validation images of seed 0. Test images are looked at once.

The rate-distortion curves are of fc1.weight, seed 0, with variance 1; `gaussian` has vectors of Gaussian
numbers at one bit a number, learned on one sample and measured on another.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Binary, Code, Codebook, MiniFloat, PowerOfTwo, Product, Ternary, Uniform, attach
from mcomp.measure import float32_bytes
from mcomp.quantize.codebooks import assign
from mcomp.quantize.powers import normal_float
from mcomp.quantize.product import kmeans, nearest_vector
from mcomp.train import evaluate, fit

SEEDS, EPOCHS, RATES, BLOCK = (0, 1, 2), 2, (0.001, 0.003), 64
ALL = "*.weight"
UNTRAINED = {
    "Codebook(16)": {ALL: Codebook(16)},
    "Codebook(4)": {ALL: Codebook(4)},
    "Codebook(2)": {ALL: Codebook(2)},
    "Binary, a scale a tensor": {ALL: Binary()},
    "Binary": {ALL: Binary(axis=0)},
    "Ternary, a scale a tensor": {ALL: Ternary()},
    "Ternary, threshold of TWN": {ALL: Ternary(axis=0, rule="twn")},
    "Ternary": {ALL: Ternary(axis=0)},
    "PowerOfTwo(4)": {ALL: PowerOfTwo(4, axis=0)},
    "PowerOfTwo(3)": {ALL: PowerOfTwo(3, axis=0)},
    "MiniFloat(4, 3)": {ALL: MiniFloat(4, 3, specials="one nan")},
    "MiniFloat(2, 1)": {ALL: MiniFloat(2, 1)},
    "MiniFloat(2, 1, block=32)": {ALL: MiniFloat(2, 1, block=32)},
    "Product(256, 4)": {"fc3.weight": Codebook(16), ALL: Product(256, 4)},
}
TRAINED = {  # of `UNTRAINED`, and how often the symbols are chosen anew
    "float32": None,
    "Codebook(16)": "step",
    "Codebook(4)": "step",
    "Codebook(4), values alone": "never",
    "Codebook(2)": "step",
    "Binary": "step",
    "Ternary": "step",
    "PowerOfTwo(3)": "step",
    "MiniFloat(2, 1, block=32)": "step",
    "Product(256, 4)": "never",
}


def attached(seed, name, refresh="step"):
    """The network of `seed`, with the codecs of a method if it has any."""
    model, rules = zoo.load("lenet300", seed), UNTRAINED.get(name.split(", values")[0])
    if rules:
        attach(model, rules, refresh=refresh)
    return model


def figures(model, data, *, compressed):
    """Bytes of the file, and what the network in it gets right of the test images."""
    if not compressed:
        return {"bytes": float32_bytes(model), "accuracy": evaluate(model, data.test)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        return {"bytes": save(model, path), "accuracy": evaluate(load(path), data.test)}


def trained(seed, name, data, lr):
    """The network trained on with a method, and its accuracy on the validation images."""
    model = attached(seed, name, TRAINED[name] or "step")
    fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
    return model, evaluate(model, data.validation)


def one_method(name, data, bar):
    """Figures by seed of one method of `TRAINED`; the rate is chosen on seed 0."""
    found = []
    for seed in SEEDS:
        tried = []
        for lr in RATES if not found else [found[0]["lr"]]:
            model, validation = trained(seed, name, data, lr)
            tried.append((validation, -lr, model))
            bar.update()
        validation, lr, model = max(tried, key=lambda t: t[:2])
        compressed = TRAINED[name] is not None
        result = figures(model, data, compressed=compressed)
        tries = [v for v, _, _ in tried]
        found.append(result | {"validation": validation, "lr": -lr, "tried": tries})
    return found


def mean_square(w, codec):
    """Bits a weight in a file, and the mean squared error."""
    code = codec.encode(w)
    return code.nbits() / w.size, float(((codec.decode(code) - w) ** 2).mean())


def normal_float_point(w):
    """NF4 in blocks of 64 along a row with a float16 maximum each: bits, and the mean squared error."""
    padded = np.pad(w, ((0, 0), (0, -w.shape[1] % BLOCK))).reshape(-1, BLOCK)
    top = np.abs(padded).max(1, keepdims=True).astype(np.float16).astype(np.float32)
    levels = normal_float(4).astype(np.float32)
    index = assign(padded / top, levels)
    back = (top * levels[index]).reshape(len(w), -1)[:, : w.shape[1]]
    index = index.reshape(len(w), -1)[:, : w.shape[1]].reshape(-1)
    bits = Code("codebook", tuple(w.shape), {"index": index}, {"centroids": levels}).nbits() + 16 * top.size
    return bits / w.size, float(((back - w) ** 2).mean())


def rate_distortion():
    """fc1.weight of seed 0 with variance 1: bits and error of every codec."""
    w = to_numpy(zoo.load("lenet300", 0).fc1.weight).astype(np.float32)
    w = w / w.std()
    small = ((2, 1), (2, 3), (3, 2), (4, 3))
    curves = {
        "even grid": [Uniform(b) for b in (3, 4, 5, 6)],
        "Codebook": [Codebook(k) for k in (2, 3, 4, 8, 16, 32)],
        "Binary": [Binary(), Binary(axis=0)],
        "Ternary": [Ternary(), Ternary(axis=0)],
        "PowerOfTwo": [PowerOfTwo(b) for b in (2, 3, 4)],
        "MiniFloat": [MiniFloat(e, m) for e, m in small],
        "MiniFloat, blocks of 32": [MiniFloat(e, m, block=32) for e, m in small],
        "Product": [Product(k, 4) for k in (16, 64, 256, 1024)],
    }
    pairs = {name: [mean_square(w, codec) for codec in codecs] for name, codecs in curves.items()}
    pairs["NF4, blocks of 64"] = [normal_float_point(w)]
    return {name: {"bits": [b for b, _ in p], "mse": [e for _, e in p]} for name, p in pairs.items()}


def gaussian():
    """One bit a Gaussian number, in vectors of d: the error on numbers that k-means hasn't seen."""
    rng, found = np.random.default_rng(0), {"d": [1, 2, 3, 4, 6, 8], "mse": []}
    for d in found["d"]:
        seen, fresh = rng.normal(size=(2**16, d)), rng.normal(size=(2**16, d))
        centroids, _ = kmeans(seen, 2**d)
        found["mse"].append(float(((centroids[nearest_vector(fresh, centroids)] - fresh) ** 2).mean()))
    return found


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    methods = {"float32": [figures(zoo.load("lenet300", s), data, compressed=False) for s in SEEDS]}
    with tqdm(total=len(TRAINED) * (len(SEEDS) + len(RATES) - 1), unit="run") as bar:
        for name in UNTRAINED:
            runs = [figures(attached(s, name), data, compressed=True) for s in SEEDS]
            methods[f"{name}, not trained"] = runs
        for name in TRAINED:
            methods[f"{name}, trained on" + (" (control)" if name == "float32" else "")] = one_method(
                name, data, bar
            )
    tried = {name: runs[0].pop("tried") for name, runs in methods.items() if "tried" in runs[0]}
    write(
        __file__,
        question="How well do few levels serve LeNet-300-100, before and after training?",
        network="lenet300",
        methods={name: {key: [r[key] for r in runs] for key in runs[0]} for name, runs in methods.items()},
        seeds=SEEDS,
        epochs=EPOCHS,
        rates=RATES,
        validation_by_rate=tried,
        rate_distortion=rate_distortion(),
        gaussian=gaussian(),
    )


if __name__ == "__main__":
    main()
