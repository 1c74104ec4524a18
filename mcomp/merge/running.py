"""The mean of the weights along one run: all alike (SWA), or the later ones more.

Derived in chapters/14_one_network_from_several.ipynb. Izmailov et al. 2018 (arXiv:1803.05407).
"""

import math

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.averages import Average

__all__ = ["RunningAverage", "decay_of", "half_life"]


class RunningAverage(Average):
    """The mean of a network's weights along its training, in `network`.

    At the n-th look at the weights w the mean moves by r_n (w - mean). With r_n = 1 / n it is the plain
    mean, SWA. With r_n = (1 - decay) / (1 - decay^n) it is the exponential one, its bias towards the start
    already divided out: a look k looks ago counts decay^k as much as the last. Before the first look it is
    the network as it was.

    Parameters
    ----------
    model : torch.nn.Module
        The one that is trained; errors as `mcomp.averages.Average`.
    decay : float in (0, 1), optional
        Default: the plain mean.
    start : int
        From this epoch on.
    every : "epoch" or "step"

    Attributes
    ----------
    looks : int
        How many there were.

    Examples
    --------
    >>> import torch, mcomp.train
    >>> from types import SimpleNamespace
    >>> data = SimpleNamespace(train=(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)))
    >>> model = torch.nn.Linear(2, 2)
    >>> swa = RunningAverage(model, start=1)
    >>> _ = mcomp.train.fit(model, data, epochs=3, callbacks=[swa], progress=False)
    >>> swa.looks, swa.network
    (2, Linear(in_features=2, out_features=2, bias=True))
    """

    def __init__(self, model, *, decay=None, start=0, every="epoch"):
        super().__init__(model)
        self.decay = None if decay is None else _inside("decay", decay)
        if every not in ("epoch", "step"):
            raise bad_value("every", every, '"epoch" or "step"')
        self.start, self.every, self.looks = check_int("start", start, 0), every, 0

    def after_step(self, run):
        if self.every == "step" and run.epoch >= self.start:
            self.look()

    def after_epoch(self, run):
        if self.every == "epoch" and run.epoch >= self.start:
            self.look()

    def look(self):
        """Take the weights as they are now into the mean."""
        self.looks += 1
        self.move(1 / self.looks if self.decay is None else (1 - self.decay) / (1 - self.decay**self.looks))


def half_life(decay):
    """After how many looks a weight counts half as much: log 2 / -log(decay).

    Examples
    --------
    >>> round(half_life(0.99), 1)
    69.0
    """
    return math.log(2) / -math.log(_inside("decay", decay))


def decay_of(half_life):
    """The decay with this half-life: the inverse of `half_life`.

    Examples
    --------
    >>> decay_of(1)
    0.5
    """
    half_life = check_real("half_life", half_life, 0)
    if half_life == 0:
        raise bad_value("half_life", half_life, "more than 0")
    return 2 ** (-1 / half_life)


def _inside(name, value):
    value = check_real(name, value, 0, 1)
    if value in (0.0, 1.0):
        raise bad_value(name, value, "a number between 0 and 1")
    return value
