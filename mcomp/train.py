"""Train and evaluate: one plain loop for every chapter, deterministic on a CPU for a seed and thread count.

`fit` is minibatch Adam with a one-cycle schedule (Smith & Topin 2017, arXiv:1708.07120). What a method
wants to do while the network learns, it does in a callback.
"""

import contextlib
import math
import os
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from mcomp import calling
from mcomp.arrays import bad_value, check_int, check_real

BLOCK = 16  # channels that oneDNN takes at once, at most


class Batch(NamedTuple):
    """One minibatch: images `x`, labels `y`, and `index`, their rows in the training set."""

    x: torch.Tensor
    y: torch.Tensor
    index: torch.Tensor


@dataclass
class Run:
    """What a callback sees: the network, the optimiser, where training stands, and the history so far."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    steps: int
    epochs: int
    schedule: object = None
    step: int = 0
    epoch: int = 0
    history: list = field(default_factory=list)


class Callback:
    """Override what you need; `fit` calls all three on every callback, in order."""

    def before_step(self, run):
        """Before the forward pass of step `run.step` (0 ... run.steps - 1)."""

    def after_step(self, run):
        """After the optimiser has moved the weights."""

    def after_epoch(self, run):
        """After epoch `run.epoch`; `run.history[-1]` holds its mean loss."""


def cross_entropy(logits, batch):
    """The default loss of `fit`: mean cross-entropy in nats."""
    return F.cross_entropy(logits, batch.y)


def one_cycle(step, steps, *, warm=0.25, floor=1e-3):
    """The fraction of the peak learning rate at `step` of `steps`: a cosine up, then one down to `floor`.

    `warm` is the part of the steps, above 0 and below 1, in which the rate rises.

    Examples
    --------
    >>> [round(one_cycle(step, 9), 3) for step in range(9)]
    [0.04, 0.52, 1.0, 0.933, 0.75, 0.5, 0.251, 0.068, 0.001]
    """
    at = step / max(steps - 1, 1)
    if at < warm:
        return 0.04 + (1 - 0.04) * (1 - math.cos(math.pi * at / warm)) / 2
    return floor + (1 - floor) * (1 + math.cos(math.pi * (at - warm) / (1 - warm))) / 2


def constant(step, steps):
    """The schedule that doesn't change the learning rate: 1.0 at every step."""
    return 1.0


def check_callable(name, value, form):
    """`value`, if it can be called or is None; else ValueError."""
    if value is not None and not callable(value):
        raise bad_value(name, value, f"None, or a function {form}")
    return value


def fit(
    model, data, *, epochs=10, lr=2e-3, batch_size=256, weight_decay=0.0, loss=cross_entropy,
    schedule=None, augment=None, output=None, callbacks=(), seed=0, progress=True,
):  # fmt: skip
    """Train `model` in place on `data.train`; returns the history, one dict an epoch.

    Parameters
    ----------
    model : torch.nn.Module
        Takes x (batch, ...) and gives logits (batch, classes). Left in evaluation mode.
    data : object with `.train`, an ``(x, y)`` pair of tensors; `x` may be several, as in `mcomp.calling`
    epochs : int or 0 for no training; lr : learning rate, the peak of the schedule
    weight_decay : decoupled (AdamW), applied to every parameter with more than one axis
    loss : ``loss(logits, batch) -> scalar tensor``; `batch` is a `Batch`
    schedule : ``schedule(step, steps) -> factor`` of the learning rate, at least 0
        Default: `one_cycle`. `constant` stays at `lr`.
    augment : ``augment(x, generator) -> x`` on each minibatch, or None
    output : what picks the logits, see `mcomp.calling.pick`
    callbacks : sequence of `Callback`
    seed : int; fixes the order of the images and everything torch draws meanwhile

    Returns
    -------
    history : list of dict
        ``{"epoch": 0, "loss": its mean over the images}`` and so on.

    Raises
    ------
    ValueError
        If an argument is out of range, or the loss becomes NaN or infinite.
    """
    x, y = check_pair(data.train)
    epochs, batch_size = check_int("epochs", epochs, 0), check_int("batch_size", batch_size, 1)
    lr, seed = check_real("lr", lr, 0.0), check_int("seed", seed, 0, 2**63 - 1)
    groups = parameter_groups(model, check_real("weight_decay", weight_decay, 0.0))
    schedule = check_callable("schedule", schedule, "schedule(step, steps) -> factor") or one_cycle
    augment = check_callable("augment", augment, "augment(x, generator) -> x")
    optimizer = torch.optim.AdamW(groups, lr=lr, fused=True)
    run = Run(model, optimizer, math.ceil(len(y) / batch_size) * epochs, epochs, schedule)
    silent = not progress or os.environ.get("TQDM_DISABLE") == "1"  # which tqdm's notebook bar doesn't read
    bar = tqdm(total=run.steps, disable=silent, unit="step", leave=False)
    order = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), _channels_last(model), bar:
        torch.manual_seed(seed)
        for run.epoch in range(epochs):
            total = torch.zeros(())
            model.train()
            for index in torch.randperm(len(y), generator=order).split(batch_size):
                part = calling.take(x, index)
                batch = Batch(part if augment is None else augment(part, order), y[index], index)
                total += _step(run, batch, loss, callbacks, lr, output) * len(index)
                bar.update()
            model.eval()
            run.history.append({"epoch": run.epoch, "loss": _finite(float(total) / len(y), lr)})
            bar.set_postfix(epoch=run.epoch + 1, loss=f"{run.history[-1]['loss']:.3f}")
            for callback in callbacks:
                callback.after_epoch(run)
    model.eval()
    return run.history


def _step(run, batch, loss, callbacks, lr, output):
    """One step of the optimiser between the callbacks; returns the loss."""
    for callback in callbacks:
        callback.before_step(run)
    for group in run.optimizer.param_groups:
        group["lr"] = lr * group.get("factor", 1.0) * run.schedule(run.step, run.steps)
    value = loss(calling.call(run.model, batch.x, output=output), batch)
    run.optimizer.zero_grad()
    value.backward()
    run.optimizer.step()
    for callback in callbacks:
        callback.after_step(run)
    run.step += 1
    return value.detach()


@contextlib.contextmanager
def _channels_last(model):
    """Lay out 4-D tensors with the channels last meanwhile: convolutions and pooling train faster so.

    Not those of a network with a thin 1 x 1 convolution that has a stride: of its weight, in that layout,
    oneDNN computes a wrong gradient, or writes past its memory and the process dies (its issue 6035).
    """
    thin = any(
        layer.in_channels // layer.groups < BLOCK and {*layer.kernel_size} == {1} != {*layer.stride}
        for layer in model.modules()
        if isinstance(layer, torch.nn.Conv2d)
    )
    model.to(memory_format=torch.contiguous_format if thin else torch.channels_last)
    try:
        yield
    finally:
        model.to(memory_format=torch.contiguous_format)


def check_pair(pair):
    """The pair (x, y) itself, if there is an input at least and a label for each, else ValueError."""
    x, y = pair
    if isinstance(x, torch.Tensor) and len(x) == 0:
        raise ValueError("no images: x is empty; allowed: at least one")
    n = calling.count(x)
    if tuple(y.shape) != (n,):
        raise bad_value("y.shape", tuple(y.shape), f"a label for each of the {n} images, {(n,)}")
    return x, y


def parameter_groups(model, weight_decay):
    """What an optimiser takes: parameters of more than one axis with the decay, the others without."""
    wide = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": wide, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _finite(value, lr):
    if not math.isfinite(value):
        raise bad_value("the loss", value, f"a finite number; lower the learning rate, it is {lr}")
    return value


@contextlib.contextmanager
def evaluating(model):
    """Evaluation mode without gradients; the mode of every submodule is restored afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


def predict(model, x, *, output=None, batch_size=1000):
    """The logits (n, classes) of `model` on `x` (n, ...), or on several inputs as in `mcomp.calling`."""
    with evaluating(model):
        return torch.cat([calling.call(model, part, output=output) for part in calling.parts(x, batch_size)])


def evaluate(model, pair, *, output=None, batch_size=1000):
    """Accuracy in [0, 1] of `model` on ``pair = (x, y)``: how often the largest logit is that of the label.

    `x` may be several inputs, and `output` picks the logits, as in `mcomp.calling`.

    Raises
    ------
    ValueError
        If there are no images, or not as many labels.
    """
    x, y = check_pair(pair)
    logits = predict(model, x, output=output, batch_size=batch_size)
    return float((logits.argmax(1) == y).float().mean())
