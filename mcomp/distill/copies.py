"""A student that starts as a part of its teacher, and a teacher that is the average of its student.

Derived in chapters/13_features_and_parameters.ipynb. Tarvainen & Valpola 2017, arXiv:1703.01780.
"""

import copy

import torch

from mcomp.arrays import bad_value, check_real
from mcomp.train import Callback

__all__ = ["MeanTeacher", "copy_layers"]


def copy_layers(student, teacher, names):
    """A copy of `student` whose layers start as the teacher's, parameters and buffers alike.

    Parameters
    ----------
    student, teacher : torch.nn.Module
        Neither is changed.
    names : dict
        The student's layer to the teacher's, such as ``{"block0": "block0", "block1": "block2"}``: every
        second one.

    Raises
    ------
    ValueError
        With the layers' names, if one is unknown, has nothing to copy, or they don't fit.

    Examples
    --------
    >>> from torch import nn
    >>> teacher = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    >>> small = copy_layers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), teacher, {"0": "0", "1": "2"})
    >>> bool((small[1].weight == teacher[2].weight).all())
    True
    """
    student = copy.deepcopy(student)
    mine, theirs = dict(student.named_modules()), dict(teacher.named_modules())
    if not names:
        raise bad_value("names", names, "one layer or more")
    for to, source in names.items():
        for name, modules in ((to, mine), (source, theirs)):
            if name not in modules:
                raise bad_value("name", name, f"one of {', '.join(filter(None, modules))}")
        state = theirs[source].state_dict()
        if shapes(state) != shapes(mine[to].state_dict()) or not state:
            found = f"{shapes(state)} for {shapes(mine[to].state_dict())}"
            raise bad_value(f"{source} of the teacher for {to}", found, "the same tensors, one or more")
        mine[to].load_state_dict(copy.deepcopy(state))
    return student


def shapes(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


class MeanTeacher(Callback):
    """A callback of `mcomp.train.fit`: `network` is the moving average of the student, without gradients.

    After step t (from 0) ``average = a * average + (1 - a) * student``, a = min(decay, 1 - 1 / (t + 1)):
    at first a plain mean, so that the random start is forgotten (Tarvainen & Valpola 2017, arXiv:1703.01780).
    Buffers, such as the statistics of batch norm, are averaged too; counts are copied.

    Parameters
    ----------
    student : torch.nn.Module
    decay : float in [0, 1)

    Examples
    --------
    >>> student = torch.nn.Linear(1, 1)
    >>> mean = MeanTeacher(student, decay=0.5)
    >>> mean.update(0); bool(mean.network.weight == student.weight)
    True
    """

    def __init__(self, student, decay=0.99):
        self.decay = check_real("decay", decay, 0.0, 1 - 1e-12)
        self.student = student
        self.network = copy.deepcopy(student).eval().requires_grad_(False)

    def after_step(self, run):
        self.update(run.step)

    @torch.no_grad()
    def update(self, step):
        """Move `network` towards the student, after step `step`."""
        part = 1 - min(self.decay, 1 - 1 / (step + 1))
        averages = self.network.state_dict()
        for name, tensor in self.student.state_dict().items():
            if tensor.is_floating_point():
                averages[name].lerp_(tensor, part)
            else:
                averages[name].copy_(tensor)
