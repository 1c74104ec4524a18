"""Chapter 19: wrong losses for the next byte, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _log_soft(z, axis=-1):
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _each(student, teacher, temperature, axis=-1):
    """KL(teacher || student) of each place."""
    a, b = _log_soft(teacher / temperature, axis), _log_soft(student / temperature, axis)
    return (np.exp(a) * (a - b)).sum(axis)


def _loss(each=_each, *, reduce=np.mean, scale=lambda t: t**2):
    def answer(student, teacher, temperature):
        return float(scale(temperature) * reduce(each(student, teacher, temperature)))

    return quiet(answer)


def _reversed(student, teacher, temperature):
    return _each(teacher, student, temperature)


def _cross(student, teacher, temperature):
    a, b = _log_soft(teacher / temperature), _log_soft(student / temperature)
    return -(np.exp(a) * b).sum(-1)


def _teacher_only(student, teacher, temperature):
    a, b = _log_soft(teacher / temperature), _log_soft(student)
    return (np.exp(a) * (a - b)).sum(-1)


def _student_only(student, teacher, temperature):
    a, b = _log_soft(teacher), _log_soft(student / temperature)
    return (np.exp(a) * (a - b)).sum(-1)


def _after(student, teacher, temperature):
    a, b = _log_soft(teacher) / temperature, _log_soft(student) / temperature
    return (np.exp(a) * (a - b)).sum(-1)


def _hot(student, teacher, temperature):
    return _each(student * temperature**2, teacher * temperature**2, temperature)


def _bits(student, teacher, temperature):
    return _each(student, teacher, temperature) / np.log(2)


def _squares(student, teacher, temperature):
    a, b = _log_soft(teacher / temperature), _log_soft(student / temperature)
    return ((np.exp(a) - np.exp(b)) ** 2).sum(-1)


def _labels(student, teacher, temperature):
    b = _log_soft(student / temperature)
    return -np.take_along_axis(b, teacher.argmax(-1)[..., None], -1)[..., 0]


def _kl_mean(student, teacher, temperature):
    return _each(student, teacher, temperature) / student.shape[-1]


DISTIL = (
    Mistake(
        "sum_over_positions",
        _loss(reduce=lambda v: v.sum(1).mean()),
        "the mean goes over texts alone; over positions, too, or the loss grows with their length",
    ),
    Mistake(
        "sum_over_texts",
        _loss(reduce=lambda v: v.mean(1).sum()),
        "the mean goes over positions alone; over texts, too",
    ),
    Mistake(
        "sum",
        _loss(reduce=np.sum),
        "the places were added up; the mean over texts and positions is asked for",
    ),
    Mistake(
        "bytes_too",
        _loss(_kl_mean),
        "the mean goes over the bytes, too; the KL of a place is the sum over them",
    ),
    Mistake(
        "last_position",
        _loss(reduce=lambda v: v[:, -1].mean()),
        "only the last position counts; each position predicts a byte",
    ),
    Mistake(
        "first_text",
        _loss(reduce=lambda v: v[0].mean()),
        "only the first text counts; the mean goes over all",
    ),
    Mistake("largest", _loss(reduce=np.max), "the largest KL came back; the mean is asked for"),
    Mistake(
        "reversed",
        _loss(_reversed),
        "that is KL(student || teacher); the chances that weigh are the teacher's",
    ),
    Mistake(
        "cross_entropy",
        _loss(_cross),
        "that is the cross-entropy; the teacher's own entropy is missing, so it isn't 0 where both agree",
    ),
    Mistake("no_square", _loss(scale=lambda t: 1.0), "temperature ** 2 in front is missing"),
    Mistake(
        "once", _loss(scale=lambda t: t), "the loss was multiplied by the temperature once; it is its square"
    ),
    Mistake("divided", _loss(scale=lambda t: t**-2.0), "you divided by temperature ** 2; multiply"),
    Mistake("teacher_softened", _loss(_teacher_only), "only the teacher was softened; the student, too"),
    Mistake("student_softened", _loss(_student_only), "only the student was softened; the teacher, too"),
    Mistake(
        "sharpened", _loss(_hot), "the logits were multiplied by the temperature; they are divided by it"
    ),
    Mistake(
        "log_divided",
        _loss(_after),
        "the log-chances were divided by the temperature, so they don't add up to 1; divide the "
        "logits, then take the softmax",
    ),
    Mistake(
        "over_positions",
        _loss(lambda s, t, T: _each(s, t, T, axis=1)),
        "the softmax went over positions; it goes over bytes, the last axis",
    ),
    Mistake(
        "over_texts",
        _loss(lambda s, t, T: _each(s, t, T, axis=0)),
        "the softmax went over texts; it goes over bytes, the last axis",
    ),
    Mistake("bits", _loss(_bits), "the loss is in bits; nats are asked for, the natural logarithm"),
    Mistake("squares", _loss(_squares), "that is the squared difference of the chances; the KL is asked for"),
    Mistake(
        "labels",
        _loss(_labels),
        "the teacher's likeliest byte was taken as a label; its whole distribution is what is learned",
    ),
    Mistake("negative", _loss(scale=lambda t: -(t**2)), "the sign is turned: a KL is never negative"),
)
