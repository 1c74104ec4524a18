"""What the stages of a recipe do to a network: images moved, masks by a schedule, tidying, settling.

`mcomp.pipeline.compress` strings them together.
"""

import contextlib
import functools
from types import SimpleNamespace

import torch

from mcomp import calling
from mcomp.arrays import bad_value, check_int
from mcomp.codecs import Sparse
from mcomp.codecs.attachment import attach, attached
from mcomp.layers import matrices
from mcomp.merge.ordering import drop_dead_ends, shortest_order
from mcomp.sparse_training.dynamic import Scheduled
from mcomp.train import Callback, check_pair

__all__ = [
    "GradualPruning", "Settle", "can_halve", "halved", "start_pruning", "tidied", "with_moved",
]  # fmt: skip

LEAST = 1e-8  # of a gradient's size, so that a weight without one has a score


def start_pruning(model, stage):
    """The callback of a pruning stage, its masks on the matrices of `model`."""
    attach(model, {name: Sparse(0.0) for name in matrices(model)}, refresh="never")
    return GradualPruning(model, stage)


def with_moved(data, copies, seed=0):
    """The training part of `data` with so many copies of its images behind them, each moved by a pixel.

    The direction is one of eight, drawn for each image of each copy; the pixel at the edge comes twice.

    Parameters
    ----------
    data : object with `.train`, an (x, y) pair
    copies : int, 0 or more
    seed : int
        Of the directions.

    Returns
    -------
    data : object with `.train` alone; without copies `data` itself

    Raises
    ------
    ValueError
        If `copies` is out of range, or the inputs to be copied are no tensor (n, channels, height, width).

    Examples
    --------
    >>> few = SimpleNamespace(train=(torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([7])))
    >>> x, y = with_moved(few, 2).train
    >>> x.shape, y
    (torch.Size([3, 1, 2, 2]), tensor([7, 7, 7]))
    """
    if check_int("moved", copies, 0) == 0:
        return data
    x, y = check_pair(data.train)
    if not calling.are_images(x):
        shape = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise bad_value("moved", copies, f"0, for inputs {shape}: no images (n, channels, height, width)")
    generator = torch.Generator().manual_seed(seed)
    found = x.repeat(1 + copies, 1, 1, 1)
    for copy in range(1, 1 + copies):
        found[copy * len(x) : (copy + 1) * len(x)] = _moved(x, generator)
    return SimpleNamespace(train=(found, torch.cat([y] * (1 + copies))))


def _moved(x, generator):
    """Each image a pixel off in one of eight directions."""
    found, (height, width) = torch.empty_like(x), x.shape[2:]
    steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
    drawn = torch.randint(len(steps), (len(x),), generator=generator)
    for which, (down, right) in enumerate(steps):
        rows = (torch.arange(height) - down).clamp(0, height - 1)
        columns = (torch.arange(width) - right).clamp(0, width - 1)
        found[drawn == which] = x[drawn == which][:, :, rows][..., columns]
    return found


def tidied(model, data):
    """A copy of `model` that computes the same: no dead ends, hidden units in an order that codes shorter."""
    x = calling.take(data.train[0], slice(0, 2))
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
