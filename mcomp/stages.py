"""What the stages of a recipe do to a network: masks by a schedule, the trunk first, tidying, settling.

`mcomp.pipeline.compress` strings them together.
"""

import contextlib
import functools
from collections import OrderedDict
from types import SimpleNamespace

import torch
from torch import nn

from mcomp.arrays import bad_value
from mcomp.calling import take
from mcomp.codecs import Sparse
from mcomp.codecs.attachment import attach, attached, bake
from mcomp.layers import matrices
from mcomp.merge.ordering import drop_dead_ends, shortest_order
from mcomp.sparse_training.dynamic import Scheduled
from mcomp.train import Callback, fit, predict

__all__ = [
    "GradualPruning", "Settle", "can_halve", "halved", "on_features", "parts", "prune_trunk", "start_pruning",
    "tidied",
]  # fmt: skip

LEAST = 1e-8  # of a gradient's size, so that a weight without one has a score


def start_pruning(model, stage):
    """The callback of a pruning stage, its masks on the matrices of `model`."""
    attach(model, {name: Sparse(0.0) for name in matrices(model)}, refresh="never")
    return GradualPruning(model, stage)


def parts(model, until):
    """The layers of a Sequential before the one named `until`, and the rest: two networks, the same layers.

    Raises
    ------
    ValueError
        If `model` is no `torch.nn.Sequential`, or `until` is not the name of a layer after the first.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> [len(part) for part in parts(model, "2")], parts(model, "2")[1][0] is model[2]
    ([2, 1], True)
    """
    layers = list(model.named_children()) if isinstance(model, nn.Sequential) else []
    names = [name for name, _ in layers]
    if until not in names[1:]:
        allowed = f"a layer of a Sequential after its first: {', '.join(names[1:]) or 'none'}"
        raise bad_value("trunk.until", until, allowed)
    at = names.index(until)
    return tuple(nn.Sequential(OrderedDict(some)) for some in (layers[:at], layers[at:]))


def on_features(model, data, until):
    """The part of `model` from `until` on, and `data` with what the layers before it make of the images.

    Returns
    -------
    rest : torch.nn.Sequential
        With the very layers of `model`: who trains it, trains them.
    data : object with `.train`, an (x, y) pair
    """
    trunk, rest = parts(model, until)
    x, y = data.train
    return rest, SimpleNamespace(train=(predict(trunk, x), y))


def prune_trunk(model, stage, data, *, learn=fit, **options):
    """Prune the layers before `stage.until` in place while all layers `learn`; returns the history."""
    callback = start_pruning(parts(model, stage.until)[0], stage.pruning)
    history = learn(model, data, epochs=stage.epochs, lr=stage.lr, callbacks=[callback], **options)
    callback.finish()
    bake(model)
    return history


def tidied(model, data):
    """A copy of `model` that computes the same: no dead ends, hidden units in an order that codes shorter."""
    x = take(data.train[0], slice(0, 2))
    return shortest_order(drop_dead_ends(model, x)[0], x)[0]


def can_halve():
    """Whether this processor multiplies bfloat16 itself, as far as torch knows (2.6 and later) and may."""
    allowed = torch.backends.cpu.get_cpu_capability() == "AVX512"  # ATEN_CPU_CAPABILITY may say less
    return allowed and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()


@contextlib.contextmanager
def halved(active=True):
    """Multiply in bfloat16 meanwhile, where the processor has AVX-512 BF16; weights stay float32.

    Without the cache of converted weights: it would hold those of the first step to the end.
    """
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=active and can_halve(), cache_enabled=False):
        yield


class GradualPruning(Scheduled):
    """The stage `Prune` of a recipe as a callback: the cubic schedule, and a score that knows about files.

    `Prune.spread` lets the score know what a position costs: |w| is multiplied by the density of its row
    and of its column, relative to the layer's, to that power. A lone weight in an empty row needs more bits
    to say where it is than one among neighbours, so it must be larger to stay.
    """

    def __init__(self, model, stage):
        score = functools.partial(_score, spread=stage.spread)
        super().__init__(model, stage.sparsity, ramp=stage.ramp, score=score, least=stage.least)
        self.stage, self.optimizer = stage, None

    def before_step(self, run):
        """As the schedule says; the optimiser knows how steep the loss is."""
        self.optimizer = run.optimizer
        super().before_step(run)

    def scores(self):
        """By name: |w|, with `Prune.spread`, times the root mean square of its gradient to `steepness`."""
        found = super().scores()
        if self.stage.steepness and self.optimizer is not None:
            return {name: s * self._steepness(self.originals[name]) for name, s in found.items()}
        return found

    def _steepness(self, w):
        square = self.optimizer.state[w].get("exp_avg_sq")
        return 1.0 if square is None else (square.sqrt() + LEAST).pow(self.stage.steepness)


def _score(w, spread):
    if spread == 0:
        return w.abs()
    keep = (w != 0).float().flatten(1)  # (out, in * kh * kw)
    density = keep.mean() + 1e-4
    rows, columns = keep.mean(1, keepdim=True) + 1e-3, keep.mean(0, keepdim=True) + 1e-3
    relative = (rows * columns / density**2).clamp(1e-4 / density, 1 / density)
    return w.abs() * relative.pow(spread).reshape(w.shape)


class Settle(Callback):
    """From the fraction `at` of the steps on, no weight changes its shared value; the values learn on."""

    def __init__(self, model, at):
        self.weights, self.at = attached(model), at

    def before_step(self, run):
        """Stop the assignment of weights to values, if it is time to."""
        if run.step == int(self.at * run.steps):
            for weight in self.weights.values():
                weight.refresh, weight.stale = "never", False
