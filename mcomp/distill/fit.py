"""Train a student on a frozen teacher's answers: a loss for `mcomp.train.fit`, and `fit` with that loss.

Derived in chapters/12_distillation.ipynb. Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2.
"""

from types import SimpleNamespace

import torch
from torch.nn import functional as F

from mcomp import calling, train
from mcomp.arrays import bad_value, check_real
from mcomp.distill.hints import following
from mcomp.distill.losses import kd_loss

__all__ = ["fit", "teaching"]


def teaching(teacher, data, *, T=1.0, alpha=1.0, loss=None, augment=None):
    """The loss with which `mcomp.train.fit` trains a student: ``alpha * soft + (1 - alpha) * hard``.

    `hard` is the cross-entropy with the labels at temperature 1, `soft` is `kd_loss` at temperature `T`.

    Parameters
    ----------
    teacher : torch.nn.Module, list of them, or tensor (n, classes)
        A network, several whose logits are averaged, or the logits of all of ``data.train`` as `predict`
        gives them. It is never changed. Without `augment` it answers each image once, here, before training.
    data : object with `.train`, an ``(x, y)`` pair of tensors
    T : float, above 0; choose it on validation images, a very small student wants little heat
    alpha : float in [0, 1]
        The part of the teacher; 1 doesn't look at the labels.
    loss : callable, optional
        ``loss(student_logits, teacher_logits, labels) -> scalar`` in place of `kd_loss` at `T`.
    augment : callable, optional
        That of `mcomp.train.fit`. The images then change from epoch to epoch, so the teacher answers each
        batch as the student sees it; it isn't called here.

    Returns
    -------
    loss : callable
        ``loss(logits, batch) -> scalar tensor``.

    Raises
    ------
    ValueError
        If `alpha` is out of range, `teacher` is none of these, or its logits don't fit the images.

    Examples
    --------
    >>> data = SimpleNamespace(train=(torch.zeros(1, 2), torch.tensor([0])))
    >>> step = teaching(torch.tensor([[0.0, 0.0]]), data, T=1.0)
    >>> batch = train.Batch(*data.train, torch.tensor([0]))
    >>> round(float(step(torch.log(torch.tensor([[1.0, 3.0]])), batch)), 4)  # log 2 - log 3 / 2
    0.1438
    """
    alpha, x = check_real("alpha", alpha, 0.0, 1.0), data.train[0]
    train.check_callable("augment", augment, "augment(x, generator) -> x")
    soft = loss or (lambda student, answers, labels: kd_loss(student, answers, T=T))
    if augment is None:
        logits = teacher if isinstance(teacher, torch.Tensor) else _answers(_networks(teacher), x)
        if logits.ndim != 2 or len(logits) != calling.count(x):
            raise bad_value("the teacher's logits", tuple(logits.shape), f"({calling.count(x)}, classes)")
        answer = lambda batch: logits[batch.index]  # noqa: E731
    else:
        networks = _networks(teacher)
        answer = lambda batch: _answers(networks, batch.x)  # noqa: E731

    def taught(logits, batch):
        value = alpha * soft(logits, answer(batch), batch.y) if alpha else 0.0
        return value if alpha == 1 else value + (1 - alpha) * F.cross_entropy(logits, batch.y)

    return taught


def fit(student, teacher, data, *, T=1.0, alpha=1.0, loss=None, augment=None, matches=(), **options):
    """Train `student` in place on the answers of a frozen `teacher`; returns the history, a dict an epoch.

    Parameters
    ----------
    student : torch.nn.Module
    teacher, T, alpha, loss, augment
        As in `teaching`. The student may be its own teacher as it is now, if there is no `augment`.
    data : object with `.train`, or tensor of images (n, ...)
        Images alone have no labels, so `alpha` must be 1.
    matches : sequence of `Match`
        Layers of one teacher that the student follows as well: their losses are added. A regressor is trained
        with the student and left out of it.
    **options
        Of `mcomp.train.fit`: epochs, lr, batch_size, weight_decay, schedule, output, callbacks, seed,
        progress.

    Raises
    ------
    ValueError
        As `teaching`, `following` and `mcomp.train.fit`; if there are images alone and `alpha` isn't 1; or if
        the student is its own teacher and `augment` would have it follow itself.

    Examples
    --------
    >>> images = torch.tensor([[0.0], [1.0]])
    >>> teacher, student = torch.nn.Linear(1, 2), torch.nn.Linear(1, 2)
    >>> history = fit(student, teacher, images, T=2.0, epochs=200, lr=0.1, progress=False)
    >>> bool((student(images).softmax(1) - teacher(images).softmax(1)).abs().max() < 0.01)
    True
    """
    if isinstance(data, torch.Tensor):
        if alpha != 1:
            raise bad_value("alpha", alpha, "1, because images alone have no labels")
        data = SimpleNamespace(train=(data, torch.zeros(len(data), dtype=torch.int64)))
    if augment is not None and any(network is student for network in _networks(teacher)):
        raise bad_value("teacher", "the student", "a copy of it, which stays as it is, or no augment")
    taught = teaching(teacher, data, T=T, alpha=alpha, loss=loss, augment=augment)
    if matches:
        student, taught = following(student, teacher, data, matches, loss=taught, augment=augment)
    return train.fit(student, data, loss=taught, augment=augment, **options)


def _networks(teacher):
    networks = list(teacher) if isinstance(teacher, (list, tuple)) else [teacher]
    if not networks or not all(isinstance(network, torch.nn.Module) for network in networks):
        raise bad_value("teacher", type(teacher).__name__, "a torch.nn.Module, or a list of them")
    return networks


def _answers(networks, x):
    """The mean of the networks' logits, in evaluation mode and without gradients."""
    return sum(train.predict(network, x) for network in networks) / len(networks)
