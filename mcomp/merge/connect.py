"""The way from one network to another: the loss along a line, its barrier, and a curve around it.

Derived in chapters/14_one_network_from_several.ipynb. Curves: Garipov et al. 2018
(arXiv:1802.10026), who train a bend between two networks. Barriers along lines: Frankle et al. 2020
(arXiv:1912.05671); above the line between the ends' losses: Entezari et al. 2021 (arXiv:2110.06296).
"""

import torch
from torch import nn

from mcomp import train
from mcomp.arrays import array_namespace, bad_value, check_finite, check_real
from mcomp.chance import own_stream
from mcomp.merge.means import average

__all__ = ["Curve", "barrier", "fit_curve", "line"]


def barrier(losses, at):
    """How far a path rises above the straight line between the losses of its ends: the most of it.

    ``max over t of L(t) - (1 - t) L(0) - t L(1)``; ends count, so it is never negative.

    Parameters
    ----------
    losses : float array (n,)
        Along the path, at `at`.
    at : float array (n,)
        From 0 to 1, ascending, both ends in it.

    Returns
    -------
    rise : float

    Examples
    --------
    >>> import numpy as np
    >>> barrier(np.array([1.0, 5.0, 3.0]), np.array([0.0, 0.5, 1.0]))
    3.0
    """
    xp = array_namespace(losses, at)
    losses, at = check_finite("losses", losses), check_finite("at", at)
    if losses.ndim != 1 or losses.shape != at.shape:
        raise bad_value("losses.shape", tuple(losses.shape), f"a loss for each place, {tuple(at.shape)}")
    if float(at[0]) != 0 or float(at[-1]) != 1 or not bool(xp.all(at[1:] > at[:-1])):
        raise bad_value("at", [float(t) for t in at], "ascending numbers from 0 to 1")
    return float(xp.max(losses - (1 - at) * losses[0] - at * losses[-1]))


def line(a, b, score, *, at):
    """``score(network)`` at each place t of `at` on the line (1 - t) a + t b: a list of numbers.

    Parameters
    ----------
    a, b : torch.nn.Module
        Of one shape, as `mcomp.merge.average` takes them.
    score : callable
        Gets the averaged network: its loss, for instance; a batch norm is recalibrated in there, or not.
    at : sequence of float
    """
    return [score(average([a, b], [1 - t, t])) for t in map(float, at)]


class Curve(nn.Module):
    """The quadratic Bézier curve from `a` to `b`: (1 - t)^2 a + 2 t (1 - t) m + t^2 b, eq. 4.

    While it trains, a call draws one t for the batch; otherwise it is the network at t = 1/2. Only the
    middle m learns; it starts halfway.
    """

    def __init__(self, a, b, *, seed=0):
        super().__init__()
        self.middle = average([a, b])
        self._ends = [{n: p.detach() for n, p in model.named_parameters()} for model in (a, b)]
        self._stream = own_stream("places on a curve", seed)

    def forward(self, *args, **kwargs):
        t = float(torch.rand((), generator=self._stream)) if self.training else 0.5
        return torch.func.functional_call(self.middle, self._weights(t), args, kwargs)

    def at(self, t):
        """A network of its own at the place t in [0, 1]; its batch norms have the middle's statistics."""
        t = check_real("t", float(t), 0, 1)
        network = average([self.middle])
        with torch.no_grad():
            for name, p in network.named_parameters():
                p.copy_(self._weights(t)[name])
        return network.eval()

    def _weights(self, t):
        a, b = self._ends
        middle = self.middle.named_parameters()
        return {n: (1 - t) ** 2 * a[n] + 2 * t * (1 - t) * m + t**2 * b[n] for n, m in middle}


def fit_curve(a, b, data, *, seed=0, **options):
    """A `Curve` from `a` to `b` whose mean loss over t is trained down: E over t uniform in [0, 1].

    Parameters
    ----------
    a, b : torch.nn.Module
        Of one shape. Not changed.
    data, options
        As `mcomp.train.fit` takes them.
    seed : int
        Of the places and of the training.
    """
    curve = Curve(a, b, seed=seed)
    train.fit(curve, data, seed=seed, **options)
    return curve.eval()
