"""Chapter 12: wrong gradients that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs.ch12_loss_mistakes import _naive, log_soft, soft


def _gradient(s, t, T, factor=1.0):
    return factor * T * (soft(s, T) - soft(t, T)) / len(s)


def _of_the_teacher(s, t, T):
    p, gap = soft(t, T), log_soft(t, T) - log_soft(s, T)
    return T * p * (gap - (p * gap).sum(1, keepdims=True)) / len(s)


def _of_the_reverse(s, t, T):
    q, gap = soft(s, T), log_soft(s, T) - log_soft(t, T)
    return T * q * (gap - (q * gap).sum(1, keepdims=True)) / len(s)


def _one_hot_teacher(s, t, T):
    return T * (soft(s, T) - np.eye(s.shape[1])[t.argmax(1)]) / len(s)


GRADIENT = (
    Mistake("towards_the_student", lambda s, t, T: _gradient(s, t, T, -1.0),
            "the sign is wrong: a step against your gradient takes the student away from the teacher"),
    Mistake("towards_the_student_summed", lambda s, t, T: _gradient(s, t, T, -len(s)),
            "the sign is wrong, and the mean over the images is missing"),
    Mistake("towards_the_student_no_square", lambda s, t, T: _gradient(s, t, T, -1 / T**2),
            "the sign is wrong, and T**2 is missing"),
    Mistake("towards_the_student_chain_rule", lambda s, t, T: _gradient(s, t, T, -T * len(s)),
            "the sign is wrong; T**2 loses one T by the chain rule; and the mean over the images is missing"),
    Mistake("of_a_sum", lambda s, t, T: _gradient(s, t, T, len(s)),
            "divide by the number of images: the loss is their mean"),
    Mistake("no_square", lambda s, t, T: _gradient(s, t, T, 1 / T**2),
            "that is the gradient without T**2 in the loss"),
    Mistake("no_square_summed", lambda s, t, T: _gradient(s, t, T, len(s) / T**2),
            "that is the gradient of KL alone, for one image: T**2 and the mean over the images are missing"),
    Mistake("chain_rule", lambda s, t, T: _gradient(s, t, T, T),
            "T**2 * (q - p) forgets the chain rule: the softmax sees z / T, which gives 1 / T"),
    Mistake("chain_rule_summed", lambda s, t, T: _gradient(s, t, T, T * len(s)),
            "T**2 * (q - p) forgets the chain rule, which gives 1 / T, and the mean over the images"),
    Mistake("no_factor", lambda s, t, T: _gradient(s, t, T, 1 / T),
            "q - p is the gradient at T = 1; the factor T**2 * (1 / T) is missing"),
    Mistake("bare", lambda s, t, T: _gradient(s, t, T, len(s) / T),
            "q - p alone: the factor T**2 * (1 / T) and the mean over the images are missing"),
    Mistake("cold", lambda s, t, T: T * (soft(s, 1.0) - soft(t, 1.0)) / len(s),
            "your probabilities are at T = 1; both must be softened"),
    Mistake("cold_bare", lambda s, t, T: (soft(s, 1.0) - soft(t, 1.0)) / len(s),
            "T isn't used at all: soften both, and multiply by T"),
    Mistake("cold_teacher", lambda s, t, T: T * (soft(s, T) - soft(t, 1.0)) / len(s),
            "the teacher's probabilities are at T = 1, the student's at T: both need the same heat"),
    Mistake("cold_student", lambda s, t, T: T * (soft(s, 1.0) - soft(t, T)) / len(s),
            "the student's probabilities are at T = 1, the teacher's at T: both need the same heat"),
    Mistake("of_the_reverse", _of_the_reverse,
            "that is the gradient of KL(student || teacher); the teacher comes first"),
    Mistake("logarithms", lambda s, t, T: T * (log_soft(s, T) - log_soft(t, T)) / len(s),
            "you subtracted logarithms; the gradient is a difference of probabilities"),
    Mistake("through_softmax_twice", lambda s, t, T: _gradient(s, t, T) * soft(s, T) * (1 - soft(s, T)),
            "q - p has gone through the softmax already: no further factor q * (1 - q)"),
    Mistake("one_hot", _one_hot_teacher,
            "you used the teacher's first class as a label; the gradient wants all its probabilities"),
    Mistake("logits", lambda s, t, T: (s - t) / s.size,
            "that is the limit of great heat, and only if the rows are centred"),
    Mistake("logits_divided", lambda s, t, T: (s - t) / T / len(s),
            "you subtracted logits; the gradient is a difference of probabilities"),
    Mistake("over_classes", lambda s, t, T: _gradient(s, t, T, 1 / s.shape[1]),
            "you divided by the number of classes as well; the loss is a mean over images only"),
    Mistake("of_q", lambda s, t, T: -(T**2) * soft(t, T) / soft(s, T) / len(s),
            "-p / q is the derivative by the student's probabilities; go on to its logits"),
    Mistake("of_the_teacher", _of_the_teacher,
            "that is the gradient with respect to the teacher's logits, which are a constant here"),
    Mistake("overflow", quiet(lambda s, t, T: T * (_naive(s, T) - _naive(t, T)) / len(s)),
            "exp(1000) overflows: subtract each row's largest logit first"),
    Mistake("over_images", lambda s, t, T: _gradient(s, t, T).sum(0),
            "you summed over the images; every logit of every image has a slope of its own"),
    Mistake("one_number", lambda s, t, T: float(_gradient(s, t, T).mean()),
            "a gradient has the shape of the student's logits, one slope each"),
)  # fmt: skip
