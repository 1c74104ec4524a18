"""Chapter 12: wrong parts of a decoupled divergence, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch12_loss_mistakes import kl, soft


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def _at(p, labels):
    return p[np.arange(len(p)), labels]


def _rest(p, labels):
    rest = p * (1 - one_hot(labels, p.shape[1]))
    return rest / rest.sum(1, keepdims=True)


def _others(p, q, labels):
    hot = one_hot(labels, p.shape[1]) == 1
    return np.where(hot, 0, kl(np.where(hot, 1, p), np.where(hot, 1, q))).sum(1)


def _target(p, q, labels):
    a, b = _at(p, labels), _at(q, labels)
    return kl(a, b) + kl(1 - a, 1 - b)


def _parts(p, q, labels):
    return _target(p, q, labels), _others(_rest(p, labels), _rest(q, labels), labels)


def _with_other(other):
    return lambda p, q, labels: (_target(p, q, labels), other(p, q, labels))


def _with_target(target):
    return lambda p, q, labels: (target(_at(p, labels), _at(q, labels)), _parts(p, q, labels)[1])


def _teacher_s_rest(p, q, labels):
    rest = 1 - _at(p, labels)[:, None]
    return _others(p / rest, q / rest, labels)


def _label_left_in(p, q, labels):
    return kl(p / (1 - _at(p, labels)[:, None]), q / (1 - _at(q, labels)[:, None])).sum(1)


def _q_not_scaled(p, q, labels):
    return _others(_rest(p, labels), q, labels)


def _others_cross(p, q, labels):
    hot = one_hot(labels, p.shape[1]) == 1
    return -(_rest(p, labels) * np.log(np.where(hot, 1, _rest(q, labels)))).sum(1)


def _zero_times_log(p, q, labels):
    with np.errstate(all="ignore"):
        return kl(_rest(p, labels), _rest(q, labels)).sum(1)


def _softmax_of_rest(p, q, labels):
    keep = one_hot(labels, p.shape[1]) == 0
    return np.array([kl(soft(a[k], 1.0), soft(b[k], 1.0)).sum() for a, b, k in zip(p, q, keep, strict=True)])


def _columns(p, q, labels):
    a, b = p[:, labels], q[:, labels]
    return kl(a, b) + kl(1 - a, 1 - b), _parts(p, q, labels)[1]


PARTS = (
    Mistake("label_term_only", _with_target(kl),
            "your target has one term; 'not the label' is an outcome too: (1-a) log((1-a)/(1-b))"),
    Mistake("minus_inside", _with_target(lambda a, b: kl(a, b) - kl(1 - a, 1 - b)),
            "the two terms of the target are added: both outcomes belong to one divergence"),
    Mistake("label_only_counts", _with_target(lambda a, b: -np.log(b)),
            "that is the cross-entropy with the label; the target weighs with the teacher's a and 1 - a"),
    Mistake("target_reversed", _with_target(lambda a, b: kl(b, a) + kl(1 - b, 1 - a)),
            "your target is the wrong way round: p, the teacher, must weigh the logarithms"),
    Mistake("other_reversed", _with_other(lambda p, q, labels: _parts(q, p, labels)[1]),
            "your other part is the wrong way round: p, the teacher, must weigh the logarithms"),
    Mistake("students_rest_forgotten", _with_target(lambda a, b: kl(a, b) + (1 - a) * np.log(1 - a)),
            "the second term of the target is (1-a) log((1-a)/(1-b)): the student's 1-b is missing"),
    Mistake("target_cross_entropy", _with_target(lambda a, b: -a * np.log(b) - (1 - a) * np.log(1 - b)),
            "your target is a cross-entropy: the teacher's entropy is missing, so it is never 0"),
    Mistake("other_cross_entropy", _with_other(_others_cross),
            "your other part is a cross-entropy: the teacher's entropy is missing"),
    Mistake("a_column", lambda p, q, labels: (_target(p, q, labels)[:, None], _parts(p, q, labels)[1]),
            "your target is a column, (images, 1): take one number an image, by squeeze(1)"),
    Mistake("other_alone", lambda p, q, labels: _parts(p, q, labels)[1],
            "you returned the other part alone; return (target, other)"),
    Mistake("not_scaled", _with_other(_others),
            "scale the other classes to the sum 1 on each side before you compare them"),
    Mistake("weighted", _with_other(lambda p, q, labels: (1 - _at(p, labels)) * _parts(p, q, labels)[1]),
            "your other part is multiplied by 1 - p of the label: that weight is not part of it"),
    Mistake("teacher_s_rest", _with_other(_teacher_s_rest),
            "you divided both sides by the teacher's rest; the student's must be divided by its own"),
    Mistake("label_left_in", _with_other(_label_left_in),
            "the label's own term is still in your other part: leave its class out of the sum"),
    Mistake("student_not_scaled", _with_other(_q_not_scaled),
            "you scaled the teacher's other classes, not the student's: each side by its own sum"),
    Mistake("softmax_of_rest", _with_other(_softmax_of_rest),
            "you took a softmax of probabilities; divide them by their sum"),
    Mistake("over_others", _with_other(lambda p, q, labels: _parts(p, q, labels)[1] / (p.shape[1] - 1)),
            "you took the mean over the other classes; a divergence sums them"),
    Mistake("zero_times_log", _with_other(_zero_times_log),
            "0 * log(0 / 0) is not a number: leave the label's column out before you take logarithms"),
    Mistake("whole", _with_other(lambda p, q, labels: kl(p, q).sum(1)),
            "your second value is the whole divergence, the label's class included"),
    Mistake("whole_less_other", lambda p, q, labels: (kl(p, q).sum(1) - _parts(p, q, labels)[1],
                                                       _parts(p, q, labels)[1]),
            "the whole is target + (1 - p of the label) * other: you subtracted other without its weight"),
    Mistake("reversed", lambda p, q, labels: _parts(q, p, labels),
            "both parts are the wrong way round: p, the teacher, must weigh the logarithms"),
    Mistake("swapped", lambda p, q, labels: _parts(p, q, labels)[::-1],
            "you returned (other, target); the target comes first"),
    Mistake("in_bits", lambda p, q, labels: tuple(x / np.log(2) for x in _parts(p, q, labels)),
            "your logarithms are to base 2; nats are asked"),
    Mistake("first_class", lambda p, q, labels: _parts(p, q, p.argmax(1)),
            "you used the teacher's first class; the labels say which class is the target"),
    Mistake("columns", _columns,
            "p[:, labels] takes those columns of every image: p[np.arange(len(p)), labels] is one an image"),
    Mistake("averaged", lambda p, q, labels: tuple(float(x.mean()) for x in _parts(p, q, labels)),
            "you took the mean over the images; two arrays with an entry an image are asked"),
    Mistake("summed", lambda p, q, labels: tuple(float(x.sum()) for x in _parts(p, q, labels)),
            "you summed over the images; two arrays with an entry an image are asked"),
    Mistake("added", lambda p, q, labels: sum(_parts(p, q, labels)),
            "you added the two parts; return them apart, as (target, other)"),
    Mistake("stacked", lambda p, q, labels: np.stack(_parts(p, q, labels), axis=1),
            "you stacked the parts as columns; return (target, other), each with an entry an image"),
)  # fmt: skip
