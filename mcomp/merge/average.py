"""Several networks of one shape as one: the mean of their weights, along a run, of runs, of a chosen few.

Averages along one run: Izmailov et al. 2018 (SWA, arXiv:1803.05407). Soups of fine-tuned networks: Wortsman
et al. 2022 (arXiv:2203.05482).
"""

import math
from typing import NamedTuple

import torch

from mcomp import plain
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.trace import check_own_tensors
from mcomp.train import Callback

__all__ = ["RunningAverage", "Soup", "average", "decay_of", "greedy_soup", "half_life", "same_shape"]


class Soup(NamedTuple):
    """What `greedy_soup` cooks: the averaged network, which ones are in it, and its score after each try."""

    model: torch.nn.Module
    members: tuple
    scores: tuple


def average(models, weights=None):
    """A network whose every number is the weighted mean of that number in all `models`.

    Means of batch norm statistics are not the statistics of the mean: where the networks lie far apart,
    take them anew with `mcomp.channels.recalibrate`.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape. Not changed.
    weights : sequence of float, optional
        One a network, with the sum 1; negative ones lead beyond. Default: all alike.

    Returns
    -------
    mean : torch.nn.Module
        A copy of the first. Sums are made in float64. Integer buffers, such as the count of batches that a
        batch norm has seen, are those of the first network.

    Raises
    ------
    ValueError
        If the networks differ in a tensor's name, shape, type or sharing (the message names it), if a weight
        is made by a codec or another parametrization, or if the weights don't fit.

    Examples
    --------
    >>> a, b = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = a.weight.fill_(1.0), b.weight.fill_(2.0)
    >>> average([a, b], [0.25, 0.75]).weight.item()
    1.75
    """
    states = same_shape(models)
    weights = _checked(weights, len(states))
    mean = plain.copied(models[0])
    with torch.no_grad():
        for name, tensor in mean.state_dict().items():
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                total = sum(w * state[name].double() for w, state in zip(weights, states, strict=True))
                tensor.copy_(total)
    return mean


def same_shape(models):
    """The tensors of each of `models` by name, or ValueError with the name of what they don't share."""
    models = list(models)
    if not models:
        raise bad_value("the number of networks", 0, "at least one")
    for model in models:
        check_own_tensors(model)
    first, *others = states = [model.state_dict() for model in models]
    ties = _ties(models[0])
    for i, (model, state) in enumerate(zip(models[1:], others, strict=True), start=1):
        if state.keys() != first.keys():
            odd = sorted(state.keys() ^ first.keys())[0]
            raise bad_value(
                f"network {i}", f"one in which {odd} stands alone", "one with the names of network 0"
            )
        for name, tensor in first.items():
            here, there = (_kind(x) for x in (state[name], tensor))
            if here != there:
                raise bad_value(f"{name} of network {i}", here, f"{there}, as in network 0")
        if _ties(model) != ties:
            raise bad_value(f"network {i}", f"shares {_ties(model)}", f"what network 0 shares: {ties}")
    return states


def _kind(x):
    return (tuple(x.shape), str(x.dtype)) if isinstance(x, torch.Tensor) else x


def _ties(model):
    """Names of one and the same parameter, in groups."""
    names = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    return sorted(tied for tied in names.values() if len(tied) > 1)


def _checked(weights, n):
    weights = [1 / n] * n if weights is None else [check_real("a weight", float(w)) for w in weights]
    if len(weights) != n or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise bad_value("weights", weights, f"{n} numbers with the sum 1, one a network")
    return weights


class RunningAverage(Callback):
    """For `mcomp.train.fit`: the mean of the weights along the run, all alike or the later ones more.

    After the n-th look at the weights w the mean moves by r_n (w - mean). With r_n = 1 / n it is the plain
    mean, SWA. With r_n = (1 - decay) / (1 - decay^n) it is the exponential one, its bias towards the start
    already divided out: a look k looks ago counts decay^k as much as the last.

    Parameters
    ----------
    decay : float in (0, 1), optional
        Default: the plain mean.
    start : int
        From this epoch on.
    every : "epoch" or "step"

    Examples
    --------
    >>> import mcomp.train
    >>> from types import SimpleNamespace
    >>> data = SimpleNamespace(train=(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)))
    >>> swa = RunningAverage(start=1)
    >>> _ = mcomp.train.fit(torch.nn.Linear(2, 2), data, epochs=3, callbacks=[swa], progress=False)
    >>> swa.looks, swa.network()
    (2, Linear(in_features=2, out_features=2, bias=True))
    """

    def __init__(self, *, decay=None, start=0, every="epoch"):
        self.decay = None if decay is None else check_real("decay", decay, 0, 1)
        if self.decay in (0.0, 1.0):
            raise bad_value("decay", decay, "a number between 0 and 1, or None")
        if every not in ("epoch", "step"):
            raise bad_value("every", every, '"epoch" or "step"')
        self.start, self.every, self.looks = check_int("start", start, 0), every, 0
        self._model, self._mean = None, {}

    def after_step(self, run):
        if self.every == "step" and run.epoch >= self.start:
            self._look(run.model)

    def after_epoch(self, run):
        if self.every == "epoch" and run.epoch >= self.start:
            self._look(run.model)

    @torch.no_grad()
    def _look(self, model):
        self.looks, self._model = self.looks + 1, model
        rate = 1 / self.looks if self.decay is None else (1 - self.decay) / (1 - self.decay**self.looks)
        for name, tensor in model.state_dict().items():
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                mean = self._mean.setdefault(name, torch.zeros_like(tensor, dtype=torch.float64))
                mean += rate * (tensor.double() - mean)

    def network(self):
        """A copy of the trained network with the mean weights, and the mean of batch norm's statistics."""
        if not self.looks:
            raise bad_value("the looks at the weights", 0, "at least one; did the training reach the start?")
        mean = plain.copied(self._model).eval()
        with torch.no_grad():
            for name, tensor in mean.state_dict().items():
                if name in self._mean:
                    tensor.copy_(self._mean[name])
        return mean


def half_life(decay):
    """After how many looks a weight counts half as much: log 2 / -log(decay).

    Examples
    --------
    >>> round(half_life(0.99), 1)
    69.0
    """
    decay = check_real("decay", decay, 0, 1)
    if decay in (0.0, 1.0):
        raise bad_value("decay", decay, "a number between 0 and 1")
    return math.log(2) / -math.log(decay)


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


def greedy_soup(models, score):
    """Average the best with whatever doesn't make it worse: the greedy soup of arXiv:2203.05482, recipe 1.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape, usually fine-tuned from one network.
    score : callable
        ``score(model) -> float`` on *validation* data, higher is better: it is asked once for each network
        and once for each soup. A batch norm is recalibrated in there, if at all.

    Returns
    -------
    soup : Soup
        `members` are places in `models`, the best one first; at equal scores the earlier comes first.

    Examples
    --------
    >>> models = [torch.nn.Linear(1, 1) for _ in range(3)]
    >>> for model, w in zip(models, (1.0, 4.0, -1.0)):
    ...     _ = torch.nn.init.constant_(model.weight, w)
    >>> soup = greedy_soup(models, lambda model: -abs(model.weight.item()))
    >>> soup.members, soup.model.weight.item()
    ((0, 2), 0.0)
    """
    models = list(models)
    same_shape(models)
    alone = [float(score(model)) for model in models]
    order = sorted(range(len(models)), key=lambda i: -alone[i])
    members, best, scores = [order[0]], alone[order[0]], [alone[order[0]]]
    for i in order[1:]:
        tried = float(score(average([models[j] for j in (*members, i)])))
        if tried >= best:
            members, best = [*members, i], tried
        scores.append(best)
    return Soup(average([models[j] for j in members]), tuple(members), tuple(scores))
