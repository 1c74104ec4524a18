"""Lottery tickets: sparse networks that train from where the dense one began, and how to look for them.

Frankle & Carbin 2019 (arXiv:1803.03635), Frankle et al. 2020 (arXiv:1912.05671) for rewinding to a step,
Renda et al. 2020 (arXiv:2003.02389) for the learning rate. Chapter 05 tries them.
"""

import copy
import math
from dataclasses import dataclass

import torch

from mcomp.arrays import bad_value, check_int
from mcomp.chance import own_seed, own_stream
from mcomp.codecs.attachment import bake
from mcomp.prune.masks import global_topk_masks, kept_count, topk_mask
from mcomp.sparse_training.holding import attach_masks
from mcomp.sparse_training.network import apply_masks, prunable_weights
from mcomp.train import Callback, fit

__all__ = [
    "Resume",
    "Snapshot",
    "Steady",
    "Ticket",
    "find_tickets",
    "reinitialised",
    "shuffled",
    "train_ticket",
]


class Snapshot(Callback):
    """Remembers the network as it is before step `at`: `state` is a state dict, or None until then."""

    def __init__(self, at=0):
        self.at, self.state = check_int("at", at, 0), None

    def before_step(self, run):
        """Copy the state, if it is time to."""
        if run.step == self.at:
            self.state = copy.deepcopy(run.model.state_dict())


class Resume(Callback):
    """Training begins at step `at` of the learning rate's schedule, which ends where it would have ended.

    Must stand before callbacks that look at the step.
    """

    def __init__(self, at):
        self.at = check_int("at", at, 0)

    def before_step(self, run):
        """Set the clock, before the first step."""
        if run.step == 0:
            run.step, run.steps = self.at, run.steps + self.at


class Steady(Callback):
    """A constant learning rate: undoes the schedule of `fit`, as ``fit(..., schedule=constant)`` does.

    A group of parameters with a factor of its own, as `StepRates` makes them, keeps it.
    """

    def before_step(self, run):
        """Divide by what `fit` will multiply with."""
        for group in run.optimizer.param_groups:
            own = group.setdefault("own", group.get("factor", 1.0))
            group["factor"] = own / run.schedule(run.step, run.steps)


@dataclass
class Ticket:
    """A sparse network: `masks` of this `sparsity`, the network it trains from, and the `trained` one."""

    sparsity: float
    masks: dict
    start: torch.nn.Module
    trained: torch.nn.Module


def train_ticket(start, masks, data, *, epochs, callbacks=(), **options):
    """A copy of `start` trained with `masks` held, plain again; `options` are those of `fit`."""
    model = attach_masks(copy.deepcopy(start), masks)
    fit(model, data, epochs=epochs, callbacks=callbacks, **options)
    return bake(model)


def find_tickets(model, data, *, sparsities, epochs, rewind=0, keep="start", callbacks=(), **options):
    """Train, prune by magnitude, go back, and again: yields a `Ticket` for each sparsity.

    The first training is of `model` whole, for `epochs`. Then in each round the smallest weights of all
    layers together go, those that stay are put back, and the network trains on from there.

    Parameters
    ----------
    model : torch.nn.Module
        Untrained; not changed.
    data : as for `fit`
    sparsities : rising sequence of float in [0, 1]
    epochs : int
        Of the whole training.
    rewind : int, 0 to `epochs`
        The epoch to go back to: the learning rate's schedule runs from there to its end.
    keep : "start" or "end"
        The values to go on from. "start": those that the weights had at epoch `rewind` (weight rewinding;
        with ``rewind=0`` the lottery ticket). "end": those they have now (learning-rate rewinding).
    callbacks, options : as for `fit`

    Yields
    ------
    ticket : Ticket
    """
    if keep not in ("start", "end"):
        raise bad_value("keep", keep, "start, end")
    rewind = check_int("rewind", rewind, 0, check_int("epochs", epochs, 1))
    step = rewind * math.ceil(len(data.train[0]) / options.get("batch_size", 256))
    snapshot, trained, first = Snapshot(step), copy.deepcopy(model), copy.deepcopy(model)
    fit(trained, data, epochs=epochs, callbacks=[snapshot, *callbacks], **options)
    first.load_state_dict(snapshot.state or trained.state_dict())
    total = sum(w.numel() for w in prunable_weights(model).values())
    for sparsity in sparsities:
        scores = {name: abs(w) for name, w in prunable_weights(trained).items()}
        masks = global_topk_masks(scores, kept_count(total, sparsity))
        start = apply_masks(first if keep == "start" else trained, masks)
        again = [Resume(step), *callbacks]
        trained = train_ticket(start, masks, data, epochs=epochs - rewind, callbacks=again, **options)
        yield Ticket(sparsity, masks, start, trained)


def reinitialised(model, masks, *, seed=0):
    """A copy of `model` with all parameters drawn anew, and `masks` applied: the same places, other values.

    Every layer with ``reset_parameters`` is drawn as it was built, from a stream of its own: `seed` may
    be the number that `model` was built from.
    """
    other = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own_seed("reinitialised", seed))
        for layer in other.modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return apply_masks(other, masks)


def shuffled(masks, *, seed=0):
    """Masks with as many True in each layer as `masks`, at random places.

    The stream is their own (`mcomp.chance`): the places have nothing to do with the initial
    weights of a network built after ``torch.manual_seed(seed)``.
    """
    chance = own_stream("shuffled", seed)
    return {n: topk_mask(torch.rand(m.shape, generator=chance), int(m.sum())) for n, m in masks.items()}
