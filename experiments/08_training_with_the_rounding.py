"""How few bits survive, if the network is trained with the rounding in the loop? Three seeds.

    python experiments/08_training_with_the_rounding.py lenet300   (about six minutes on one core)
    python experiments/08_training_with_the_rounding.py lenet5     (about a quarter of an hour)
    python experiments/08_training_with_the_rounding.py resnet     (about a quarter of an hour)

Every layer, the first and the last included, reads weights and inputs from grids whose steps learn (LSQ, one
step a tensor); the network's own input, an image, has 8 bits. WmAn has m bits for weights and n for the
inputs of layers. Each network is trained on by a frozen copy of the float network and the labels, half each;
the control, the float network, in the same way for as long. Two stages (after Zhuang et al. 2018,
arXiv:1711.00205): weights alone for the first third of the epochs, then activations as well.

Peak learning rates and the half of labels were chosen on seed 0 and the validation images by runs of two
epochs (lenet5: 0.0005 to 0.003; resnet: 0.001 to 0.004; labels none or half). The control has the rate of
W4A4. Test images are looked at once; a second time with batch statistics taken anew from training images.
"""

import copy
import sys
import tempfile
from pathlib import Path

import torch
from common import write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.channels import recalibrate
from mcomp.distill.fit import teaching
from mcomp.measure import float32_bytes
from mcomp.qat.network import StepRates, attach_grids, bake_grids, grids
from mcomp.train import evaluate, fit, predict

SEEDS, SAMPLE, STATISTICS, T, ALPHA = (0, 1, 2), 1000, 10_000, 2.0, 0.5
EPOCHS = {"lenet300": 6, "lenet5": 3, "resnet": 3}
RATES = {"lenet300": (0.001, 0.002), "lenet5": (0.001, 0.002), "resnet": (0.004, 0.004)}  # to 4 bits, below
STAGES = {  # weight bits, activation bits and the part of the epochs, stage by stage
    "float32, trained on (control)": [(None, None, 1)],
    "W4A4": [(4, 4, 1)],
    "W2": [(2, None, 1)],
}
SMALL = {  # for lenet300 alone
    "W4": [(4, None, 1)],
    "W3": [(3, None, 1)],
    "W2A2": [(2, 2, 1)],
    "W2A2, two stages": [(2, None, 1 / 3), (2, 2, 2 / 3)],
}


def with_grids(model, x, weight_bits, activation_bits):
    """A copy of `model` with grids; a plain copy if there are no bits."""
    if weight_bits is None:
        return copy.deepcopy(model)
    return attach_grids(model, x, weight_bits=weight_bits, activation_bits=activation_bits)


def least_squares(model, x):
    """Every step of `model`, in place, where the squared error of its weight, or of its inputs, is least."""
    seen = {}
    names = {grid: name for name, grid in grids(model).items()}
    hooks = [grid.register_forward_pre_hook(lambda g, args: seen.update({names[g]: args[0].detach()}))
             for grid in names]  # fmt: skip
    predict(model, x, batch_size=len(x))
    for hook in hooks:
        hook.remove()
    for grid, name in names.items():
        start, best = float(grid.scale.detach()), None
        for factor in torch.linspace(0.1, 2.5, 49).tolist():
            grid.scale.data.fill_(start * factor)
            error = float((grid(seen[name]) - seen[name]).detach().square().sum())
            best = min(best or (error, start), (error, start * factor))
        grid.scale.data.fill_(best[1])
    return model


def trained(model, stages, data, *, epochs, lr, seed, loss):
    """A copy of `model`, trained stage by stage."""
    x = data.train[0][:SAMPLE]
    for weight_bits, activation_bits, part in stages:
        model = with_grids(model, x, weight_bits, activation_bits)
        callbacks = [StepRates(model)] if weight_bits else []
        options = {"lr": lr, "seed": seed, "loss": loss, "callbacks": callbacks, "progress": False}
        fit(model, data, epochs=round(part * epochs), **options)
    return model


def figures(model, data):
    """Bytes of the file, and what the network in it gets right of the test images."""
    done = bake_grids(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes = save(done, path)
        found = {"bytes": nbytes, "accuracy": evaluate(load(path, model=done), data.test)}
    if any(isinstance(module, nn.BatchNorm2d) for module in done.modules()):
        again = recalibrate(done, data.train[0][:STATISTICS])
        found["accuracy_recalibrated"] = evaluate(again, data.test)
    return found


def one_seed(network, seed, data, bar):
    """Figures by method."""
    model, x = zoo.load(network, seed), data.train[0][:SAMPLE]
    methods = {"float32": {"bytes": float32_bytes(model), "accuracy": evaluate(model, data.test)}}
    start = attach_grids(model, x, weight_bits=4, activation_bits=4)
    methods["W4A4, where training starts"] = figures(start, data)
    methods["W4A4, steps of least squares, not trained"] = figures(least_squares(start, x), data)
    loss = teaching(model, data, T=T, alpha=ALPHA)
    for name, stages in (STAGES | (SMALL if network == "lenet300" else {})).items():
        lr = RATES[network][stages[0][0] in (2, 3)]
        options = {"epochs": EPOCHS[network], "lr": lr, "seed": seed, "loss": loss}
        done = trained(model, stages, data, **options)
        methods[name] = figures(done, data) | {"validation": evaluate(done, data.validation)}
        bar.update()
    methods["float32, trained on (control)"]["bytes"] = float32_bytes(model)
    return methods


def main(network):
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    runs = len(SEEDS) * (len(STAGES) + (len(SMALL) if network == "lenet300" else 0))
    with tqdm(total=runs, unit="run") as bar:
        found = [one_seed(network, seed, data, bar) for seed in SEEDS]
    write(
        __file__,
        question="How few bits survive, if the network is trained with the rounding in the loop?",
        network=network,
        methods={
            name: {key: [seed[name][key] for seed in found] for key in values}
            for name, values in found[0].items()
        },
        seeds=SEEDS,
        epochs=EPOCHS[network],
        lr=RATES[network],
        T=T,
        alpha=ALPHA,
    )


if __name__ == "__main__":
    main(sys.argv[1])
