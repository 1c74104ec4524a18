"""Which part of training with rounding matters? LeNet-300-100, one part exchanged at a time, three seeds.

    python experiments/08_steps.py      (about five minutes on one core)

Weights of 2 bits, then activations of 2 bits, on the 12,000 images of the short set, six epochs, the teacher
of experiments/08_training_with_the_rounding.py. Oscillation: the share of weights whose integer turned back
three times or more within the last third of the steps. The peak rate 0.002 and the strength of the dampening
were chosen on seed 0 and the validation images; the test images are looked at once.
"""

import copy

import torch
from common import write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.codecs.activations import put_activations
from mcomp.distill.fit import teaching
from mcomp.qat.network import (
    Flips,
    LearnedGrid,
    StepRates,
    attach_grids,
    bake_grids,
    grids,
    rounding_distance,
)
from mcomp.qat.quantizers import lsq, pact
from mcomp.train import evaluate, fit

SEEDS, EPOCHS, LR, T, ALPHA, OFTEN = (0, 1, 2), 6, 0.002, 2.0, 0.5, 3
DAMPENING = 0.001


class Noisy(LearnedGrid):
    """In training, rounds up with a probability that is the way gone to the next point."""

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            x = x + (torch.rand_like(x) - 0.5) * self.scale.detach()
        return lsq(x, self.scale, qmin=self.qmin, qmax=self.qmax, share=self.share)


class Clip(nn.Module):
    """PACT as a module; the ceiling starts where the learned grid's would."""

    def __init__(self, grid):
        super().__init__()
        self.bits, self.alpha = grid.bits, nn.Parameter(grid.scale.detach() * grid.qmax)

    @property
    def scale(self):
        return self.alpha

    def forward(self, x):
        return pact(x, self.alpha, bits=self.bits)


def two_bit_weights(model, x):
    return attach_grids(model, x, weight_bits=2)


def fixed_steps(model, x):
    model = two_bit_weights(model, x)
    for grid in grids(model).values():
        grid.scale.requires_grad_(False)
    return model


def no_gradient(model, x):
    """Rounded weights are constants, as the derivative of the staircase has it; steps and biases learn."""
    model = two_bit_weights(model, x)
    for layer in (model.fc1, model.fc2, model.fc3):
        layer.parametrizations.weight.original.requires_grad_(False)
    return model


def noisy(model, x):
    model = two_bit_weights(model, x)
    for grid in grids(model).values():
        grid.__class__ = Noisy
    return model


def two_bit_activations(model, x):
    return attach_grids(model, x, activation_bits=2)


def clipped(model, x):
    learned, model = grids(attach_grids(model, x, activation_bits=2)), copy.deepcopy(model)
    put_activations(model, {"fc1.input": learned["fc1.input"]}, lambda grid: grid)
    for name in ("fc2.input", "fc3.input"):
        put_activations(model, {name: learned[name]}, Clip)
    return model


WAYS = {  # name: (what makes the network, options of `run`)
    "learned steps (LSQ)": (two_bit_weights, {}),
    "no gradient to the weights": (no_gradient, {}),
    "fixed steps": (fixed_steps, {}),
    "steps at the rate of the weights": (two_bit_weights, {"own_rates": False}),
    "stochastic rounding": (noisy, {}),
    "labels only": (two_bit_weights, {"alpha": 0.0}),
    "dampened": (two_bit_weights, {"dampening": DAMPENING}),
    "a quarter of the rate": (two_bit_weights, {"lr": LR / 4}),
    "activations: learned steps (LSQ)": (two_bit_activations, {}),
    "activations: learned ceiling (PACT)": (clipped, {}),
}


def run(dense, make, data, *, seed, lr=LR, alpha=ALPHA, own_rates=True, dampening=0.0):
    """The trained network, and the share of its weights that oscillated."""
    model = make(dense, data.train[0][:1000])
    taught = teaching(dense, data, T=T, alpha=alpha)

    def loss(logits, batch):
        extra = dampening * rounding_distance(model) if dampening else 0.0
        return taught(logits, batch) + extra

    steps = EPOCHS * -(-len(data.train[0]) // 256)
    flips = Flips(model, start=steps * 2 // 3)
    callbacks = [flips, *([StepRates(model)] if own_rates else [])]
    fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, loss=loss, callbacks=callbacks, progress=False)
    turns = [turned.flatten() for turned in flips.turns.values()]
    return model, float((torch.cat(turns) >= OFTEN).float().mean()) if turns else 0.0


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=12_000)
    methods = {name: {"accuracy": [], "oscillating": []} for name in WAYS}
    with tqdm(total=len(SEEDS) * len(WAYS), unit="run") as bar:
        for seed in SEEDS:
            dense = zoo.load("lenet300", seed)
            for name, (make, options) in WAYS.items():
                model, oscillating = run(dense, make, data, seed=seed, **options)
                methods[name]["accuracy"].append(evaluate(bake_grids(model), data.test))
                methods[name]["oscillating"].append(oscillating)
                bar.update()
    write(
        __file__,
        question="Which part of training with rounding matters?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        data="fashion-mnist, 12,000 images",
        epochs=EPOCHS,
        lr=LR,
        dampening=DAMPENING,
    )


if __name__ == "__main__":
    main()
