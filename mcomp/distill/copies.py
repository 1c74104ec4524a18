"""A student that starts as a part of its teacher, and a teacher that is the average of its student.

Derived in chapters/13_features_and_parameters.ipynb. Tarvainen & Valpola 2017, arXiv:1703.01780.
"""

import copy
from itertools import chain

from torch import nn
from torch.nn.utils import parametrize

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.averages import Average

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
        With the layers' names, if one is unknown, has nothing to copy, or they don't fit: other shapes,
        another kind of layer, or one with other settings (groups, stride, eps), which would be another
        function of the same weights; or if copying one overwrites another, as with tied weights.

    Examples
    --------
    >>> from torch import nn
    >>> teacher = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    >>> small = copy_layers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), teacher, {"0": "0", "1": "2"})
    >>> bool((small[1].weight == teacher[2].weight).all())
    True
    """
    for model in (student, teacher):
        if not isinstance(model, nn.Module):
            raise bad_value("a network", type(model).__name__, "a torch.nn.Module")
    student = copy.deepcopy(student)
    mine, theirs = dict(student.named_modules()), dict(teacher.named_modules())
    if not names or not isinstance(names, dict):
        raise bad_value("names", names, "one layer or more: a dict of the student's to the teacher's")
    for to, source in names.items():
        for name, modules in ((to, mine), (source, theirs)):
            if name not in modules:
                raise bad_value("name", name, f"one of {', '.join(filter(None, modules))}")
        _fitting(mine[to], theirs[source], f"{source} of the teacher for {to}")
        mine[to].load_state_dict(copy.deepcopy(theirs[source].state_dict()))
    for to, source in names.items():
        if not _alike(mine[to].state_dict(), theirs[source].state_dict()):
            allowed = "a layer that no other copy writes to: it is tied to one, or part of one"
            raise bad_value("the student's layer", to, allowed)
    return student


def _fitting(to, source, name):
    """Refuse tensors that differ in name or shape, and layers that would make another function of them."""
    if any(nn.parameter.is_lazy(p) for p in chain(to.parameters(), source.parameters())):
        raise bad_value(name, "a lazy layer", "one that has run once and knows its shape")
    a, b = shapes(source.state_dict()), shapes(to.state_dict())
    if a != b or not a:
        raise bad_value(name, f"{a} for {b}", "the same tensors, one or more")
    a, b = _settings(source), _settings(to)
    for place in sorted(a.keys() | b.keys()):
        if a.get(place) != b.get(place):
            found = f"{a.get(place)} for {b.get(place)}"
            raise bad_value(name, found, "the same kind of layer and settings")


def _settings(layer):
    """What each part that holds tensors is: its kind and what it prints of itself (groups, stride, eps)."""
    found = {}
    for name, part in layer.named_modules():
        if any(True for _ in chain(part.parameters(recurse=False), part.buffers(recurse=False))):
            heads = getattr(part, "num_heads", "")
            kind = parametrize.type_before_parametrizations(part).__name__
            found[name] = f"{kind}({part.extra_repr()}{heads})"
    return found


def _alike(a, b):
    """Whether two states agree, once they have one dtype and one device; NaN is like NaN."""
    pairs = ((tensor, b[name].to(tensor)) for name, tensor in a.items())
    return all(bool(((x == y) | ((x != x) & (y != y))).all()) for x, y in pairs)


def shapes(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


class MeanTeacher(Average):
    """The moving average of a student as its teacher: `network`, which follows step by step.

    After step t (from 0) ``average = a * average + (1 - a) * student``, a = min(decay, 1 - 1 / (t + 1)):
    at first a plain mean, so that the random start is forgotten (Tarvainen & Valpola 2017, arXiv:1703.01780;
    the limit is from their program).

    Parameters
    ----------
    student : torch.nn.Module
        Errors as `mcomp.averages.Average`.
    decay : float in [0, 1)

    Examples
    --------
    >>> student = nn.Linear(1, 1)
    >>> mean = MeanTeacher(student, decay=0.5)
    >>> mean.update(0); bool(mean.network.weight == student.weight)
    True
    """

    def __init__(self, student, decay=0.99):
        super().__init__(student)
        self.decay = check_real("decay", decay, 0.0, 1 - 1e-12)

    def after_step(self, run):
        self.update(run.step)

    def update(self, step):
        """Move `network` towards the student, after step `step`."""
        self.move(1 - min(self.decay, 1 - 1 / (check_int("step", step, 0) + 1)))
