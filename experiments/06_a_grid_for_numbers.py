"""How few bits do the weights of LeNet-300-100 need on a grid, without any training? Three seeds.

    python experiments/06_a_grid_for_numbers.py      (about six minutes on one core)

Bits 8 to 2, one scale a tensor, a channel or 64 weights of a channel; the ends of the grid at the extreme
weights, at the best clip of a Gaussian, or where the squared error of the weights is least. No training,
so nothing is chosen on images: each network sees the test images once. Biases stay float32.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

import mcomp
import mcomp.data
from mcomp import save, zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Codebook, Sparse, Uniform, attach
from mcomp.measure import float32_bytes
from mcomp.quantize import fake_quantize, range_grid
from mcomp.quantize.ranges import optimal_clip
from mcomp.train import evaluate

SEEDS, BITS, GROUP = (0, 1, 2), (8, 6, 4, 3, 2), 64
LAYOUTS = {"tensor": {}, "channel": {"axis": 0}, f"group of {GROUP}": {"axis": 0, "group": GROUP}}


def from_file(model, codec):
    """Bytes of the file with `codec` on every weight, and the network that the file holds."""
    compressed = zoo.build("lenet300")
    compressed.load_state_dict(model.state_dict())
    attach(compressed, {"*.weight": codec})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        size = save(compressed, path)
        return size, mcomp.load(path)


def clipped(model, bits, rule):
    """A copy whose weight matrices are on grids, one scale each, that end by `rule`."""
    copy = zoo.build("lenet300")
    copy.load_state_dict(model.state_dict())
    for name, w in copy.named_parameters():
        if name.endswith("weight"):
            sigma, top = float(w.std()), float(w.abs().max())
            ends = [c * top for c in np.linspace(0.02, 1, 50)] if rule == "least squares" else [sigma * rule]
            tried = [fake_quantize(w.data, range_grid(-c, c, bits)) for c in ends]
            w.data = min(tried, key=lambda q: float((q - w.data).square().sum()))
    return copy


def mean_square(w, codec):
    """Bits a weight in a file, and the mean squared error."""
    code = codec.encode(w)
    return code.nbits() / w.size, float(((codec.decode(code) - w) ** 2).mean())


def rate_distortion():
    """fc1.weight of seed 0 with variance 1: bits and error by layout, and k-means beside them."""
    w = to_numpy(zoo.load("lenet300", 0).fc1.weight).astype(np.float32)
    w = w / w.std()
    curves = {f"grid, a scale a {name}": [Uniform(b, **kw) for b in BITS] for name, kw in LAYOUTS.items()}
    curves["k-means codebook"] = [Codebook(2**b) for b in (6, 5, 4, 3, 2)]
    pairs = {name: [mean_square(w, codec) for codec in codecs] for name, codecs in curves.items()}
    return {name: {"bits": [b for b, _ in p], "mse": [e for _, e in p]} for name, p in pairs.items()}


def one_seed(seed, data, bar):
    """Methods by name, and the accuracy of clipped grids by rule."""
    model = zoo.load("lenet300", seed)
    methods = {"float32": {"bytes": float32_bytes(model), "accuracy": evaluate(model, data.test)}}
    for bits in BITS:
        for name, layout in LAYOUTS.items():
            size, again = from_file(model, Uniform(bits, **layout))
            figures = {"bytes": size, "accuracy": evaluate(again, data.test)}
            methods[f"{bits} bits, a scale a {name}"] = figures
            bar.update()
    size, again = from_file(model, Sparse(0.5) | Uniform(4))
    methods["half pruned, 4 bits"] = {"bytes": size, "accuracy": evaluate(again, data.test)}
    clips = {"extreme weights": [], "Gaussian clip": [], "least squares": []}
    for bits in BITS:
        clips["extreme weights"].append(methods[f"{bits} bits, a scale a tensor"]["accuracy"])
        for name, rule in (("Gaussian clip", optimal_clip(bits)), ("least squares", "least squares")):
            clips[name].append(evaluate(clipped(model, bits, rule), data.test))
            bar.update()
    return methods, clips


def main():
    data = mcomp.data.load("fashion-mnist")
    with tqdm(total=len(SEEDS) * len(BITS) * (len(LAYOUTS) + 2), unit="network") as bar, torch.no_grad():
        found = [one_seed(seed, data, bar) for seed in SEEDS]
    methods = {
        name: {key: [seed[0][name][key] for seed in found] for key in figures}
        for name, figures in found[0][0].items()
    }
    write(
        __file__,
        question="How few bits do the weights of LeNet-300-100 need on a grid, without training?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        bits=list(BITS),
        clips={rule: [seed[1][rule] for seed in found] for rule in found[0][1]},  # (seeds, bits)
        rate_distortion=rate_distortion(),
    )


if __name__ == "__main__":
    main()
