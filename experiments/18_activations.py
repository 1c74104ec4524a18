"""Outlier channels, planted: what 8 bits for weights and inputs then cost, and three ways to mend it.

    python experiments/18_activations.py      (about 10 minutes on one core)

The three shipped TinyGPT. Behind each norm one channel is made 100 times as large, and the layers that read
it undo that: the same function in float64 (asserted). Weights get a grid a row, inputs of the layers one grid
a tensor, calibrated on 32 windows of training text. "smooth" moves ranges into the weights, at five alphas;
"gain folded" multiplies each norm's gain into the layers behind it; "rotated" turns the stream besides. Bits
per byte as in 18_weights.py.
"""

import importlib

import torch
from common import write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.codecs import Uniform, attach, calibrate
from mcomp.data import load_text
from mcomp.gpt import untied
from mcomp.language import CONTEXT, bits_per_byte
from mcomp.measure import largest_difference
from mcomp.ptq import fold_gains, plant_outliers, rotate, smooth
from mcomp.watch import watch

weights = importlib.import_module("18_weights")
ALPHAS, FACTOR = (0.0, 0.25, 0.5, 0.75, 1.0), 100.0


def w8a8(model, x, bits=8):
    attach(model, {"layers.*_proj.weight": Uniform(bits, axis=0), "layers.*_proj.input": Uniform(bits)})
    calibrate(model, x)
    return model


def spread(model, x):
    """The largest |input| of the first layer's queries over their root mean square."""
    seen = []
    watch(model, x, lambda name, layer, a: seen.append(a), names=["layers.0.attention.q_proj"])
    a = torch.cat(seen)
    return float(a.abs().max() / a.square().mean().sqrt())


def methods(model, x):
    """Name -> network that computes the same function, not rounded yet."""
    planted = plant_outliers(model, x, factor=FACTOR)
    return {
        "as it came": model,
        "planted": planted,
        **{f"planted, smooth {alpha:g}": smooth(planted, x, alpha=alpha) for alpha in ALPHAS},
        "planted, gain folded": fold_gains(untied(planted), x),
        "planted, rotated": rotate(untied(planted), x),
        "as it came, rotated": rotate(untied(model), x),
    }


def main():
    torch.set_num_threads(1)
    text = load_text()
    test = {name: data[: weights.PART] for name, data in text.test.items()}
    found, whole = {}, []
    for seed in tqdm(weights.SEEDS, unit="seed"):
        model = zoo.load("tinygpt", seed)
        x = weights.windows(text.train, weights.WINDOWS, seed)
        wide = methods(model.double(), x[:2])
        for other in wide.values():
            assert largest_difference(model, other, x[:2]) < 1e-9
        model = model.float()
        whole.append(bits_per_byte(model, test, stride=weights.STRIDE).per_byte)
        for name, same in methods(model, x).items():
            entry = found.setdefault(name, {"bits_per_byte": [], "above": [], "spread": []})
            entry["spread"].append(spread(same, x))
            bits = bits_per_byte(w8a8(same, x), test, stride=weights.STRIDE).per_byte
            entry["bits_per_byte"].append(bits)
            entry["above"].append(bits - whole[-1])
    write(
        __file__, question="What do outlier channels cost in 8 bits, and what mends it?", network="tinygpt",
        data="python-source", methods=found, seeds=weights.SEEDS, factor=FACTOR, whole=whole,
        windows=weights.WINDOWS, stride=weights.STRIDE, context=CONTEXT,
    )  # fmt: skip


if __name__ == "__main__":
    main()
