"""A student that follows a teacher's layers, by name: the losses of `features` in `mcomp.train.fit`.

Derived in chapters/13_features_and_parameters.ipynb. Romero et al. 2014, arXiv:1412.6550, sections 2.3, 2.4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from mcomp import calling, train
from mcomp.arrays import bad_value, check_real
from mcomp.distill.features import hint_loss
from mcomp.distill.noise import DROPOUT, refusing_noise
from mcomp.watch import listening, watch

__all__ = ["Match", "features_of", "following", "hint_fit", "regressor"]


@dataclass(frozen=True)
class Match:
    """One layer of the student and the teacher's that it follows.

    Attributes
    ----------
    student, teacher : str
        Names of submodules, as in ``model.named_modules()``; their outputs are compared.
    loss : callable
        ``loss(student_features, teacher_features) -> scalar``, one of `mcomp.distill.features`, say.
    weight : float, at least 0
    regressor : torch.nn.Module, optional
        Stands between the student's features and the loss; trained too, and not part of the student.
    """

    student: str
    teacher: str
    loss: Callable = hint_loss
    weight: float = 1.0
    regressor: nn.Module | None = None


def regressor(student, teacher):
    """The layer that FitNets puts on the student's features, and a ReLU: the result fits the teacher's.

    Of maps (batch, channels, h, w) a convolution with a kernel of h_s - h_t + 1 by w_s - w_t + 1 (Romero et
    al. 2014, arXiv:1412.6550, section 2.4: far fewer weights than a full matrix), of rows a Linear. It ends
    in a ReLU because the features of the teacher do; where they don't, take the first layer of it alone.

    Parameters
    ----------
    student, teacher : features (batch, channels, h, w) or (batch, features), or their shapes
        The layer has the dtype and the device of the student's features, if they are a tensor.

    Raises
    ------
    ValueError
        If the shapes are of two kinds, or the student's maps are smaller than the teacher's.

    Examples
    --------
    >>> regressor((1, 16, 7, 7), (1, 50, 4, 4))[0]
    Conv2d(16, 50, kernel_size=(4, 4), stride=(1, 1))
    """
    s, t = (tuple(getattr(x, "shape", x))[1:] for x in (student, teacher))
    if len(s) != len(t) or len(s) not in (1, 3) or any(a < b for a, b in zip(s[1:], t[1:], strict=True)):
        raise bad_value("the features", f"{s} and {t}", "rows, or maps, the student's no smaller")
    kernel = tuple(a - b + 1 for a, b in zip(s[1:], t[1:], strict=True))
    like = {"dtype": student.dtype, "device": student.device} if isinstance(student, torch.Tensor) else {}
    layer = nn.Conv2d(s[0], t[0], kernel, **like) if kernel else nn.Linear(s[0], t[0], **like)
    return nn.Sequential(layer, nn.ReLU())


class _Student(nn.Module):
    """The student and its regressors, so that one optimiser has all of them; gives the student's logits."""

    def __init__(self, student, matches):
        super().__init__()
        self.student, self.heard = student, {}
        self.names = [match.student for match in matches]
        self.regressors = nn.ModuleList(match.regressor or nn.Identity() for match in matches)

    def forward(self, *args, **kwargs):
        with refusing_noise(self.student, self.names), listening(self.student, self.names) as self.heard:
            return self.student(*args, **kwargs)


def following(student, teacher, data, matches, *, loss=None, augment=None):
    """What `mcomp.train.fit` needs to train a student that follows layers: (network, loss).

    Parameters
    ----------
    student : torch.nn.Module
    teacher : torch.nn.Module, or dict
        A network runs in evaluation mode, without gradients, and is not changed. A dict holds its features of
        all of ``data.train`` by name, as `features_of` gives them.
    data : object with `.train`, an ``(x, y)`` pair of tensors
    matches : sequence of `Match`
    loss : callable, optional
        ``loss(logits, batch) -> scalar``, to which those of the layers are added. Default: these alone.
    augment : callable, optional
        That of `mcomp.train.fit`. Without it the teacher's features of all images are computed once, here,
        and kept.

    Returns
    -------
    network : torch.nn.Module
        Student and regressors; train it in place of the student.
    loss : callable
        ``loss(logits, batch) -> scalar``.

    Raises
    ------
    ValueError
        If there is no match, the teacher is no network, a layer is unknown or a Dropout, a weight is
        negative; if a layer of the teacher doesn't give a row for each image (it is called twice, say); or in
        training, with the layers' names, if one isn't called exactly once a run, gives what a Dropout gave
        (only modules are seen, no `F.dropout`), is frozen, or the features don't fit the loss.
    """
    _check(student, teacher, matches)
    network, wanted = _Student(student, matches), [match.teacher for match in matches]
    kept = _kept(teacher, data.train[0], wanted, augment)

    def followed(logits, batch):
        value = 0.0 if loss is None else loss(logits, batch)
        told = features_of(teacher, batch.x, wanted) if kept is None else kept
        for match, between in zip(matches, network.regressors, strict=True):
            target = told[match.teacher] if kept is None else told[match.teacher][batch.index]
            value = value + match.weight * _matched(match, between, network.heard, target)
        return value

    return network, followed


def hint_fit(student, teacher, data, matches, **options):
    """The first of FitNets' two stages: the student up to its guided layers, and the regressors; no label.

    What lies behind the layers gets no gradient and stays, but running statistics of batch norms there move,
    because the whole student runs. Then comes `fit`, on all of it.

    Parameters
    ----------
    student, teacher, data, matches
        As in `following`; the student is trained in place.
    **options
        Of `mcomp.train.fit`.

    Returns
    -------
    history : list of dict, one an epoch

    Examples
    --------
    >>> student = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    >>> before = student[2].weight.clone()
    >>> match = Match("1", "1", regressor=regressor((1, 2), (1, 4)))
    >>> teacher = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
    >>> from types import SimpleNamespace
    >>> data = SimpleNamespace(train=(torch.randn(8, 2), torch.zeros(8, dtype=torch.int64)))
    >>> history = hint_fit(student, teacher, data, [match], epochs=1, progress=False)
    >>> bool((student[2].weight == before).all())
    True
    """
    network, loss = following(student, teacher, data, matches, augment=options.get("augment"))
    return train.fit(network, data, loss=loss, **options)


def features_of(model, x, names):
    """The outputs (n, ...) of the layers `names`, in evaluation mode and without gradients: dict by name.

    Raises
    ------
    ValueError
        As `mcomp.watch.watch`; or if a layer doesn't give a row for each of the n images: it is called twice,
        or its first axis is another.
    """
    parts = {name: [] for name in names}
    watch(model, x, lambda name, layer, y: parts[name].append(y.clone()), names=parts, outputs=True)
    n, found = calling.count(x), {}
    for name, several in parts.items():
        rows = sum(len(y) if y.ndim else 0 for y in several)
        if rows != n:
            raise bad_value(f"the rows of the layer {name}", rows, f"{n}, one an image: call it once")
        found[name] = torch.cat(several)
    return found


def _check(student, teacher, matches):
    if not matches or not all(isinstance(match, Match) for match in matches):
        raise bad_value("matches", matches, "one Match or more")
    for match in matches:
        check_real("weight", match.weight, 0.0)
        _check_layer("student", student, match.student)
        if not isinstance(teacher, dict):
            _check_layer("teacher", teacher, match.teacher)


def _check_layer(whose, model, name):
    if not isinstance(model, nn.Module):
        raise bad_value(whose, type(model).__name__, "a torch.nn.Module, whose layers have names")
    modules = dict(model.named_modules())
    if not name or name not in modules:
        raise bad_value(f"the {whose}'s layer", name, f"one of {', '.join(filter(None, modules))}")
    if isinstance(modules[name], DROPOUT):
        raise bad_value(f"the {whose}'s layer {name}", "a Dropout", "the layer before it: Dropout adds noise")


def _kept(teacher, x, names, augment):
    """The teacher's features of all images, or None if they change from epoch to epoch."""
    if isinstance(teacher, nn.Module):
        return features_of(teacher, x, names) if augment is None else None
    for name in names:
        if augment is not None or name not in teacher or len(teacher[name]) != calling.count(x):
            allowed = f"features of {calling.count(x)} images, and no augment"
            raise bad_value("the teacher's layer", name, allowed)
    return teacher


def _matched(match, between, heard, target):
    """The loss of one pair of layers; an error says which."""
    if match.student not in heard:
        raise bad_value("the layer", match.student, "one that the student calls; this one it doesn't")
    try:
        features = between(heard[match.student])
        if torch.is_grad_enabled() and not features.requires_grad:
            raise bad_value("the student's layer", "frozen", "one with something to train before it")
        return match.loss(features, target)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{match.student} of the student, {match.teacher} of the teacher: {error}") from None
