"""Chapter 12, distillation: what the exercises ask, how they are checked, what usually goes wrong.

In this order: softmax, loss, gradient, smoothed targets, two parts, the limit of great heat, a paired test.
"""

import math
from itertools import product

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch12_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Distillation"


def softmax_t(z, T):
    """Probabilities over the last axis of z, in proportion to exp(z / T); z may hold logits of 1000."""
    p = np.zeros(z.shape)
    for i in np.ndindex(z.shape[:-1]):
        top = max(float(x) for x in z[i])
        raised = [math.exp((float(x) - top) / T) for x in z[i]]
        p[i] = [x / sum(raised) for x in raised]
    return p


def softmax_cases(rng):
    yield case(np.array([0.0, 1.0, 2.0]), 1.0)
    yield case(np.array([0.0, 1.0, 2.0]), 2.0)
    yield case(np.array([3.0, 0.0, -3.0]), 0.5)
    yield case(np.array([[1.0, 2.0], [5.0, 0.0]]), 4.0)
    yield case(np.array([[[0.0, 1.0], [2.0, 0.0]], [[3.0, 0.0], [1.0, 1.0]]]), 2.0)
    yield case(np.array([1000.0, 998.0, 990.0]), 2.0)
    yield case(np.array([1000.0, 998.0]), 8.0)
    yield case(np.array([-1000.0, -998.0]), 1.0)
    yield case(np.array([[1000.0, 998.0], [0.0, 1.0]]), 1.0)
    for n in range(2, 16):
        yield case(_short(rng, 3, (n // 4 + 1, n % 4 + 2)), (0.5, 1.0, 2.0, 3.0, 8.0)[n % 5])


def _short(rng, spread, shape):
    """Numbers of one decimal, which a card can show."""
    return (rng.normal(size=shape) * spread).round(1)


def kd_loss(student, teacher, T):
    """T**2 times KL(teacher || student), both softened by T, in nats: one number, the mean over the images.

    Both arrays hold logits, (images, classes), of 1000 and more: a probability may be 0 in a float, its
    logarithm is finite.
    """
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        for log_p, log_q in zip(log_softmax(t / T), log_softmax(s / T), strict=True):
            total += math.exp(log_p) * (log_p - log_q)
    return T**2 * total / len(student)


def log_softmax(y):
    top = max(float(x) for x in y)
    whole = sum(math.exp(float(x) - top) for x in y)
    return [float(x) - top - math.log(whole) for x in y]


def pair_cases(rng):
    yield case(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]), 1.0)
    yield case(np.array([[0.0, 0.0, 1.0]]), np.array([[3.0, 0.0, 1.0]]), 2.0)
    yield case(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [0.0, 2.0]]), 1.0)
    yield case(np.array([[1.0, 5.0, 2.0]]), np.array([[1.0, 5.0, 2.0]]), 4.0)
    for n in range(2, 17):
        shape, T = (n // 4 + 1, n % 4 + 2), (0.5, 1.0, 2.0, 3.0, 8.0)[n % 5]
        yield case(_short(rng, 2, shape), _short(rng, 3, shape), T)


def loss_cases(rng):
    yield from pair_cases(rng)
    yield case(np.array([[1000.0, 0.0]]), np.array([[0.0, 0.0]]), 1.0)
    yield case(np.array([[0.0, 0.0]]), np.array([[1000.0, 998.0]]), 2.0)


def kd_gradient(student, teacher, T):
    """The gradient of `kd_loss(student, teacher, T)` with respect to the student's logits, in their shape.

    Logits may be 1000 and more, as there.
    """
    gradient = np.zeros(student.shape)
    for i in range(len(student)):
        p, q = softmax_t(teacher[i], T), softmax_t(student[i], T)
        for j in range(len(p)):
            gradient[i, j] = T * (q[j] - p[j]) / len(student)
    return gradient


def gradient_cases(rng):
    yield from pair_cases(rng)
    yield case(np.array([[1000.0, 999.0]]), np.array([[0.0, 0.0]]), 1.0)
    yield case(np.array([[0.0, 0.0]]), np.array([[1000.0, 998.0]]), 1.0)


def smoothed_targets(labels, classes, epsilon):
    """The targets of label smoothing, (images, classes): 1 - epsilon on the label, and epsilon shared by all.

    The label takes its share of epsilon, too. labels is an array of whole numbers from 0 to classes - 1.
    """
    targets = np.zeros((len(labels), classes))
    for i, label in enumerate(labels):
        for j in range(classes):
            targets[i, j] = epsilon / classes + (1 - epsilon if j == int(label) else 0)
    return targets


def smoothing_cases(rng):
    yield case(np.array([1]), 4, 0.2)
    yield case(np.array([0, 2]), 3, 0.3)
    yield case(np.array([1, 1, 0]), 2, 0.0)
    yield case(np.array([2, 0]), 4, 1.0)
    for n in range(2, 16):
        yield case(rng.integers(0, n, n % 5 + 1), n, (0.05, 0.1, 0.25, 0.5)[n % 4])


def two_parts(p, q, labels):
    """The two parts of KL(p || q), image by image: (target, other), two arrays.

    p and q are probabilities of teacher and student, (images, classes), three classes or more. `target` is
    the divergence of "the label, or not"; `other` that of the other classes, each side scaled to sum 1.
    """
    target, other = np.zeros(len(p)), np.zeros(len(p))
    for i, label in enumerate(labels):
        a, b = float(p[i, int(label)]), float(q[i, int(label)])
        target[i] = a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))
        for j in range(p.shape[1]):
            if j != int(label):
                c, d = float(p[i, j]) / (1 - a), float(q[i, j]) / (1 - b)
                other[i] += c * math.log(c / d)
    return target, other


def part_cases(rng):
    yield case(np.array([[0.5, 0.25, 0.25]]), np.array([[0.5, 0.1, 0.4]]), np.array([0]))
    yield case(np.array([[0.2, 0.4, 0.4]]), np.array([[0.6, 0.2, 0.2]]), np.array([0]))
    yield case(
        np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]]), np.array([[0.2, 0.5, 0.3]] * 2), np.array([1, 2])
    )
    yield case(np.array([[0.98, 0.01, 0.01]]), np.array([[0.01, 0.01, 0.98]]), np.array([0]))
    for n in range(3, 17):
        p, q = (rng.integers(1, 10, (n // 4 + 1, n % 4 + 3)) for _ in range(2))
        labels = rng.integers(0, p.shape[1], len(p))
        yield case(p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True), labels)


def logit_matching(student, teacher):
    """Half the squared difference of logits, each row moved to mean 0 first: the mean over all entries.

    One number; rows are images, columns classes.
    """
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        for a, b in zip(s, t, strict=True):
            total += ((float(a) - s.mean()) - (float(b) - t.mean())) ** 2 / 2
    return total / student.size


def matching_cases(rng):
    for example in pair_cases(rng):
        yield case(*example.args[:2])
    yield case(np.array([[1.0, 2.0, 3.0]]), np.array([[11.0, 12.0, 13.0]]))


def sign_flip_p(a, b):
    """The part of all 2**n choices of signs for a - b whose sum is at least as far from 0 as the one seen.

    a and b are arrays of whole numbers, pair by pair: how many test images two methods get right, for each
    seed. Sums on both sides of 0 count, equal ones too, and so does the choice that was seen.
    """
    d = [int(x) - int(y) for x, y in zip(a, b, strict=True)]
    seen, extreme = abs(sum(d)), 0
    for signs in product((1, -1), repeat=len(d)):
        extreme += abs(sum(s * x for s, x in zip(signs, d, strict=True))) >= seen
    return extreme / 2 ** len(d)


def flip_cases(rng):
    yield case(np.array([5, 6]), np.array([3, 3]))
    yield case(np.array([5, 3]), np.array([3, 4]))
    yield case(np.array([3, 3, 4]), np.array([5, 6, 4]))
    yield case(np.array([4, 2, 7]), np.array([4, 2, 7]))
    yield case(np.array([5, 4]), np.array([4, 5]))
    yield case(np.array([8790, 8805, 8771, 8812, 8799]), np.array([8761, 8792, 8770, 8780, 8786]))
    for n in range(14):
        b = rng.integers(8600, 8800, n // 3 + 2)
        yield case(b + rng.integers(-20, 20, len(b)) + 10 * (n % 2), b)


EXERCISES = (
    Exercise(
        "12.1", softmax_t, softmax_cases, title="Softmax with a temperature",
        hints=(
            "Heat divides: what happens to the differences between logits when T grows?",
            "Take exp of z / T and divide by the sum over the last axis; exp(1000) overflows, exp(0) not.",
            "y = z / T; e = exp(y - y.max(axis=-1, keepdims=True)); e / e.sum(axis=-1, keepdims=True)",
        ),
        mistakes=MISTAKES["12.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "12.2", kd_loss, loss_cases, title="The loss of distillation",
        hints=(
            "Whose probabilities weigh the logarithms? Of the one whose answers are to be matched.",
            "KL(p || q) is the sum of p * (log p - log q) over the classes, p the teacher's; then the mean.",
            "y = t / T less its largest; log p = y - log(sum(exp(y))); sum p * (log p - log q) over a row.",
        ),
        mistakes=MISTAKES["12.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "12.3", kd_gradient, gradient_cases, title="The gradient of the loss",
        hints=(
            "It is zero where the student agrees. Which way should a logit move that is too large?",
            "The derivative of KL with respect to z / T is q - p. What do the chain rule and T**2 add?",
            "T**2 * (1 / T) * (q - p), divided by the number of images.",
        ),
        mistakes=MISTAKES["12.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "12.4", smoothed_targets, smoothing_cases, title="The targets of label smoothing",
        hints=(
            "Every row is a mixture of two distributions: one is sure of the label, one knows nothing.",
            "Weight 1 - epsilon for the one-hot row, weight epsilon for the row of 1 / classes.",
            "(1 - epsilon) * np.eye(classes)[labels] + epsilon / classes",
        ),
        mistakes=MISTAKES["12.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "12.5", two_parts, part_cases, title="Target and other classes",
        hints=(
            "Two questions: is it the label? If not, which of the others? Each has a divergence of its own.",
            "For the first, two probabilities: a and 1 - a. For the second, divide the rest by 1 - a.",
            "Zero the label's column of p and q, divide each row by its sum, add p * log(p / q) of the rest.",
        ),
        mistakes=MISTAKES["12.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "12.6", logit_matching, matching_cases, title="Matching logits",
        hints=(
            "Add 10 to all logits of an image: the probabilities stay. What must the loss do?",
            "Subtract from each row its own mean, in student and teacher; then compare.",
            "d = student - teacher; d = d - d.mean(axis=1, keepdims=True); (d**2).mean() / 2",
        ),
        mistakes=MISTAKES["12.6"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "12.7", sign_flip_p, flip_cases, title="An exact paired test",
        hints=(
            "If the two methods were alike, the difference of a seed might as well have the other sign.",
            "Go through all 2**n choices of signs. How many sums are at least as large, in size, as yours?",
            "np.array(list(itertools.product((1, -1), repeat=n))) @ d holds all sums; compare abs with >=.",
        ),
        mistakes=MISTAKES["12.7"], rtol=1e-9, atol=1e-12,
    ),
)  # fmt: skip
