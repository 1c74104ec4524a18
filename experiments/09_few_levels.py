"""How well do few levels serve LeNet-300-100, before and after training? Six seeds.

    python experiments/09_few_levels.py      (about five minutes on one core)

Each codec on every weight matrix; biases stay float32. "not trained" is the projection alone. The others are
trained on for two epochs of 12,000 images through `attach`: symbols are chosen anew at each step, and the
gradient passes straight through; a codebook's values learn. Shared vectors keep their symbols, so the vectors
alone learn, and so do the values of "Codebook(4), values alone" (Han et al. 2016). The control is the float32
network, trained on for as long. All arms, the control too, are tuned on one grid of peak learning rates, by
the mean over seeds 0 and 1 on the validation images. Test images are looked at once. The networks of seeds 0
to 2 are the zoo's; those of 3 to 5 are trained here by the zoo's recipe, on all training images.

The rate-distortion curves are of fc1.weight, seed 0, with variance 1; `gaussian` has vectors of Gaussian
numbers at one bit a number, learned on one sample and measured on another.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import by_seed, network, tune, write
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

SEEDS, TUNED, EPOCHS, BLOCK = range(6), (0, 1), 2, 64
GRID, IMAGES = (0.0003, 0.001, 0.003), 12_000
ALL = "*.weight"
UNTRAINED = {
    "Codebook(16)": {ALL: Codebook(16)},
    "Codebook(4)": {ALL: Codebook(4)},
    "Codebook(2)": {ALL: Codebook(2)},
    "Binary": {ALL: Binary(axis=0)},
    "Ternary, threshold of TWN": {ALL: Ternary(axis=0, rule="twn")},
    "Ternary": {ALL: Ternary(axis=0)},
    "PowerOfTwo(3)": {ALL: PowerOfTwo(3, axis=0)},
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


def attached(dense, name, refresh="step"):
    """The network `dense`, with the codecs of a method if it has any."""
    model, rules = copy.deepcopy(dense), UNTRAINED.get(name.split(", values")[0])
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


def all_trained(begun, data):
    """What the tuning found, and the figures of one dict a seed; a run of the tuning isn't run again."""
    made = {}

    def run(name, lr, seed):
        if (name, lr, seed) not in made:
            model = made[name, lr, seed] = copy.deepcopy(begun[seed][name])
            fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
        return made[name, lr, seed]

    def score(name, lr):
        return sum(evaluate(run(name, lr, s), data.validation) for s in TUNED) / len(TUNED)

    with tqdm(unit="rate") as bar:
        tuned = tune(list(TRAINED), GRID, score, bar=bar)
    found = []
    for seed in tqdm(SEEDS, unit="seed"):
        models = {name: run(name, tuned["chosen"][name], seed) for name in TRAINED}
        found.append(
            {
                f"{name}, trained on" + (" (control)" if name == "float32" else ""): figures(
                    model, data, compressed=TRAINED[name] is not None
                )
                for name, model in models.items()
            }
        )
    return tuned, found


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
    whole, data = mcomp.data.load("fashion-mnist"), mcomp.data.load("fashion-mnist", subset=IMAGES)
    networks = [network("lenet300", s, whole) for s in SEEDS]
    begun = [
        {name: attached(dense, name, TRAINED.get(name) or "step") for name in {**UNTRAINED, **TRAINED}}
        for dense in tqdm(networks, unit="network")
    ]
    untrained = [
        {
            name if name == "float32" else f"{name}, not trained": figures(
                models[name], data, compressed=name != "float32"
            )
            for name in ("float32", *UNTRAINED)
        }
        for models in begun
    ]
    tuned, found = all_trained(begun, data)
    write(
        __file__,
        question="How well do few levels serve LeNet-300-100, before and after training?",
        network="lenet300",
        methods=by_seed([a | b for a, b in zip(untrained, found, strict=True)]),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=IMAGES,
        tuned=tuned,
        rate_distortion=rate_distortion(),
        gaussian=gaussian(),
    )


if __name__ == "__main__":
    main()
