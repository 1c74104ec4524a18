"""Why depthwise layers need a scale for each channel: a small separable network, three seeds, no retraining.

    python experiments/07_depthwise.py     (three minutes on one core)

A convolution, three pairs of a depthwise and a pointwise one (Howard et al. 2017, arXiv:1704.04861), each
with batch norm; trained for six epochs on 12,000 images, batch norm folded. Then all weights, or those of one
kind of layer, on 8 to 3 bits; inputs stay float. Nothing is chosen on images.
"""

import copy

import torch
from common import write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp.codecs import Uniform, attach
from mcomp.ptq import equalize
from mcomp.structure import fold_batchnorm
from mcomp.train import evaluate, fit

SEEDS, BITS, EPOCHS = (0, 1, 2), (8, 6, 5, 4, 3), 6


def pair(inputs, outputs, stride):
    """A depthwise and a pointwise convolution, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def network():
    """13,386 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        pair(32, 64, 1),
        pair(64, 64, 2),
        pair(64, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def kind(module):
    """Of a layer that multiplies, else None."""
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.Conv2d):
        return "depthwise" if module.groups > 1 else "pointwise" if module.kernel_size == (1, 1) else "full"


def on_grid(model, bits, kinds, **layout):
    """A copy of `model` with the weights of the layers of these kinds on grids."""
    model = copy.deepcopy(model)
    for name, module in model.named_modules():
        if kind(module) in kinds:
            attach(model, {f"{name}.weight": Uniform(bits, **layout)})
    return model.eval()


def spread(model):
    """Largest over smallest range of a layer's channels, by layer and kind."""
    rows = []
    for name, module in model.named_modules():
        if kind(module):
            ranges = module.weight.detach().abs().flatten(1).amax(1)
            live = ranges[ranges > 1e-3 * ranges.max()]
            rows.append([name, kind(module), float(live.max() / live.min()), len(ranges) - len(live)])
    return rows


def one_seed(seed, data, bar):
    torch.manual_seed(seed)
    model = network()
    fit(model, data, epochs=EPOCHS, seed=seed, progress=False)
    model = fold_batchnorm(model)
    even, every = equalize(model), ("full", "depthwise", "pointwise", "linear")
    methods = {"float32": {"accuracy": evaluate(model, data.test)}}
    for bits in BITS:
        tried = {
            "a scale a tensor": on_grid(model, bits, every),
            "tensor, equalized": on_grid(even, bits, every),
            "a scale a channel": on_grid(model, bits, every, axis=0),
            "tensor, depthwise layers only": on_grid(model, bits, ("depthwise",)),
            "tensor, pointwise layers only": on_grid(model, bits, ("pointwise",)),
        }
        for name, small in tried.items():
            methods[f"{bits} bits, {name}"] = {"accuracy": evaluate(small, data.test, batch_size=100)}
    bar.update()
    return methods, spread(model)


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=12_000)
    with tqdm(total=len(SEEDS), unit="network") as bar:
        found = [one_seed(seed, data, bar) for seed in SEEDS]
    methods = {name: {"accuracy": [m[name]["accuracy"] for m, _ in found]} for name in found[0][0]}
    write(
        __file__,
        question="Why do depthwise layers need a scale for each channel?",
        network="separable",
        methods=methods,
        seeds=SEEDS,
        bits=list(BITS),
        spread=[rows for _, rows in found],  # name, kind, largest over smallest range, channels all but zero
    )


if __name__ == "__main__":
    main()
