"""Chapter 12: the wrong answers that people write, each with what happened; and the quiz.

Of published tutorials: softmax with exp(-z / T), a temperature that multiplies, the divergence the wrong way
round, no T**2, the mean over classes, a loss that is the mean of the logits.
"""

import math
from itertools import product

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _soft(z, T, axis=-1):
    y = z / T
    e = np.exp(y - y.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _naive(z, T):
    with np.errstate(all="ignore"):
        e = np.exp(z / T)
        return e / e.sum(axis=-1, keepdims=True)


def _above_only(z, T):
    top = z.max(axis=-1, keepdims=True)
    return np.exp((z - top) / T) / np.exp(z - top).sum(axis=-1, keepdims=True)


def _everything(z, T):
    e = np.exp((z - z.max()) / T)
    return e / e.sum()


def _kl(p, q):
    return p * (np.log(p) - np.log(q))


def _loss(s, t, T, heat_s=None, heat_t=None):
    return float(T**2 * _kl(_soft(t, heat_t or T), _soft(s, heat_s or T)).sum(-1).mean())


def _reversed(s, t, T):
    return float(T**2 * _kl(_soft(s, T), _soft(t, T)).sum(-1).mean())


def _cross_entropy(s, t, T):
    return float(-(T**2) * (_soft(t, T) * np.log(_soft(s, T))).sum(-1).mean())


def _gradient(s, t, T, factor=1.0):
    return factor * T * (_soft(s, T) - _soft(t, T)) / len(s)


def _one_hot(labels, classes):
    return np.eye(classes)[labels]


def _others_share(labels, classes, epsilon):
    hot = _one_hot(labels, classes)
    return (1 - epsilon) * hot + epsilon / (classes - 1) * (1 - hot)


def _label_short(labels, classes, epsilon):
    hot = _one_hot(labels, classes)
    return (1 - epsilon) * hot + epsilon / classes * (1 - hot)


def _rest(p, labels):
    rest = p * (1 - _one_hot(labels, p.shape[1]))
    return rest / rest.sum(1, keepdims=True)


def _parts(p, q, labels):
    rows = np.arange(len(p))
    a, b = p[rows, labels], q[rows, labels]
    target = _kl(a, b) + _kl(1 - a, 1 - b)
    return target, _others(_rest(p, labels), _rest(q, labels), labels)


def _others(p, q, labels):
    hot = _one_hot(labels, p.shape[1]) == 1
    return np.where(hot, 0, _kl(np.where(hot, 1, p), np.where(hot, 1, q))).sum(1)


def _label_term_only(p, q, labels):
    rows = np.arange(len(p))
    return _kl(p[rows, labels], q[rows, labels]), _parts(p, q, labels)[1]


def _weighted(p, q, labels):
    target, other = _parts(p, q, labels)
    return target, (1 - p[np.arange(len(p)), labels]) * other


def _not_scaled(p, q, labels):
    return _parts(p, q, labels)[0], _others(p, q, labels)


def _teacher_s_rest(p, q, labels):
    rest = 1 - p[np.arange(len(p)), labels][:, None]
    return _parts(p, q, labels)[0], _others(p / rest, q / rest, labels)


def _matching(s, t, centre_s=None, centre_t=None):
    d = (s - (centre_s or _row_mean)(s)) - (t - (centre_t or _row_mean)(t))
    return float((d**2).mean() / 2)


def _row_mean(z):
    return z.mean(axis=1, keepdims=True)


def _nothing(z):
    return 0.0


def _flips(a, b, extreme=None, sums=None):
    d = (a - b).astype(int)
    signs = np.array(list(product((1, -1), repeat=len(d))))
    found = signs @ d if sums is None else sums(signs, d)
    return float((extreme or (lambda x, seen: abs(x) >= abs(seen)))(found, d.sum()).mean())


def _without_itself(a, b):
    n = 2 ** len(a)
    return float((_flips(a, b) * n - 1) / (n - 1))


def _t_test(a, b):
    """Two-sided p of Student's paired test, by the trapezoid rule."""
    d, n = (a - b).astype(float), len(a)
    if d.std() == 0:
        return 1.0
    t = abs(d.mean()) / (d.std(ddof=1) / np.sqrt(n))
    x = np.linspace(0, math.atan(t / math.sqrt(n - 1)), 2001)
    whole = np.linspace(0, math.pi / 2, 2001)
    return float(1 - np.trapezoid(np.cos(x) ** (n - 2), x) / np.trapezoid(np.cos(whole) ** (n - 2), whole))


def _how_often_better(a, b):
    wins, n = int((a > b).sum()), len(a)
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)


MISTAKES = {
    "12.1": (
        Mistake("minus", lambda z, T: _soft(-z, T),
                "you wrote exp(-z / T): the least likely class gets the most; the sign is plus"),
        Mistake("times", lambda z, T: _soft(z * T, 1.0),
                "you multiplied by T, so T = 4 sharpens; dividing by T > 1 makes the differences smaller"),
        Mistake("outside", lambda z, T: _soft(z, 1.0) / T,
                "you divided the probabilities by T: rows then sum to 1 / T; divide the logits"),
        Mistake("after", lambda z, T: _soft(z, 1.0) ** (1 / T),
                "p ** (1 / T) has the right proportions, but its rows don't sum to 1: divide by the sum"),
        Mistake("above_only", _above_only,
                "only the numerator is softened; the sum below it must use z / T as well"),
        Mistake("everything", _everything,
                "you divided by the sum of the whole array; each row has a sum of its own"),
        Mistake("first_axis", lambda z, T: _soft(z, T, axis=0),
                "you summed over the first axis, the images; classes are along the last"),
        Mistake("overflow", _naive,
                "exp(1000 / T) overflows, or a whole row underflows: subtract the row's largest logit first"),
        Mistake("cold", lambda z, T: _soft(z, 1.0), "T isn't used: that is the softmax at T = 1"),
    ),
    "12.2": (
        Mistake("reversed", _reversed,
                "that is KL(student || teacher): the teacher's probabilities must weigh the logarithms"),
        Mistake("no_square", lambda s, t, T: _loss(s, t, T) / T**2,
                "T**2 is missing: as T grows your gradient fades as 1 / T**2"),
        Mistake("once", lambda s, t, T: _loss(s, t, T) / T,
                "you multiplied by T once; the gradient loses one factor by the chain rule, one by softness"),
        Mistake("over_classes", lambda s, t, T: _loss(s, t, T) / s.shape[1],
                "you took the mean over classes as well (reduction='mean'): sum over them, mean over images"),
        Mistake("summed", lambda s, t, T: _loss(s, t, T) * len(s),
                "you summed over the images: then the learning rate depends on the size of the batch"),
        Mistake("cross_entropy", _cross_entropy,
                "that is the cross-entropy, not 0 where the two agree: the teacher's entropy is missing"),
        Mistake("cold_teacher", lambda s, t, T: _loss(s, t, T, heat_t=1.0),
                "the teacher's answers are at T = 1, the student's at T: both need the same heat"),
        Mistake("cold_student", lambda s, t, T: _loss(s, t, T, heat_s=1.0),
                "the student's answers are at T = 1, the teacher's at T: both need the same heat"),
        Mistake("mean_of_logits", lambda s, t, T: float(s.mean()),
                "the mean of the logits is no loss: the teacher isn't in it, and softmax doesn't see it"),
        Mistake("minus", lambda s, t, T: -_loss(s, t, T),
                "the sign is wrong: a divergence is never negative, and training would drive the two apart"),
        Mistake("square_of_differences", lambda s, t, T: float(((s - t) ** 2).mean()),
                "that is the squared difference of the logits; compare the softened probabilities"),
    ),
    "12.3": (
        Mistake("towards_the_student", lambda s, t, T: _gradient(s, t, T, -1.0),
                "the sign is wrong: a step against your gradient takes the student away from the teacher"),
        Mistake("of_a_sum", lambda s, t, T: _gradient(s, t, T, len(s)),
                "divide by the number of images: the loss is their mean"),
        Mistake("no_square", lambda s, t, T: _gradient(s, t, T, 1 / T**2),
                "that is the gradient without T**2 in the loss"),
        Mistake("chain_rule", lambda s, t, T: _gradient(s, t, T, T),
                "T**2 * (q - p) forgets the chain rule: the softmax sees z / T, which gives 1 / T"),
        Mistake("no_factor", lambda s, t, T: _gradient(s, t, T, 1 / T),
                "q - p is the gradient at T = 1; the factor T**2 * (1 / T) is missing"),
        Mistake("cold", lambda s, t, T: T * (_soft(s, 1.0) - _soft(t, 1.0)) / len(s),
                "your probabilities are at T = 1; both must be softened"),
        Mistake("logits", lambda s, t, T: (s - t) / s.size,
                "that is the limit of great heat, and only if the rows are centred"),
        Mistake("over_classes", lambda s, t, T: _gradient(s, t, T, 1 / s.shape[1]),
                "you divided by the number of classes as well; the loss is a mean over images only"),
    ),
    "12.4": (
        Mistake("others_share", _others_share,
                "you shared epsilon among the other classes; here all classes share it, the label included"),
        Mistake("label_short", _label_short,
                "your rows don't sum to 1: the label has 1 - epsilon, its own share of epsilon is missing"),
        Mistake("not_smooth", lambda labels, classes, epsilon: _one_hot(labels, classes),
                "those are the plain labels: epsilon isn't used"),
        Mistake("swapped", lambda labels, classes, epsilon: epsilon * _one_hot(labels, classes)
                + (1 - epsilon) / classes,
                "epsilon and 1 - epsilon are swapped: a small epsilon should leave the label nearly sure"),
        Mistake("too_much", lambda labels, classes, epsilon: _one_hot(labels, classes) + epsilon / classes,
                "your rows sum to 1 + epsilon: take epsilon from the label before you share it"),
        Mistake("epsilon_each", lambda labels, classes, epsilon: (1 - epsilon) * _one_hot(labels, classes)
                + epsilon,
                "you gave epsilon to each class; the classes share it: epsilon / classes"),
    ),
    "12.5": (
        Mistake("label_term_only", _label_term_only,
                "your target has one term; 'not the label' is an outcome too: (1-a) log((1-a)/(1-b))"),
        Mistake("not_scaled", _not_scaled,
                "scale the other classes to the sum 1 on each side before you compare them"),
        Mistake("weighted", _weighted,
                "your other part is multiplied by 1 - p of the label: that weight is not part of it"),
        Mistake("teacher_s_rest", _teacher_s_rest,
                "you divided both sides by the teacher's rest; the student's must be divided by its own"),
        Mistake("reversed", lambda p, q, labels: _parts(q, p, labels),
                "both parts are the wrong way round: p, the teacher, must weigh the logarithms"),
        Mistake("swapped", lambda p, q, labels: _parts(p, q, labels)[::-1],
                "you returned (other, target); the target comes first"),
        Mistake("whole", lambda p, q, labels: (_parts(p, q, labels)[0], _kl(p, q).sum(1)),
                "your second value is the whole divergence, the label's class included"),
    ),
    "12.6": (
        Mistake("not_centred", lambda s, t: _matching(s, t, _nothing, _nothing),
                "the rows aren't centred: a constant added to all logits of an image costs, though no "
                "probability changes"),
        Mistake("no_half", lambda s, t: 2 * _matching(s, t), "the half is missing"),
        Mistake("summed", lambda s, t: s.shape[1] * _matching(s, t),
                "you summed over the classes; the mean is over all entries"),
        Mistake("over_images", lambda s, t: _matching(s, t, lambda z: z.mean(0), lambda z: z.mean(0)),
                "you took the mean over the images from each column; each row has its own mean"),
        Mistake("one_mean", lambda s, t: _matching(s, t, np.mean, np.mean),
                "you subtracted one mean from the whole array; each row has its own"),
        Mistake("teacher_only", lambda s, t: _matching(s, t, centre_s=_nothing),
                "only the teacher is centred: the student's rows need it, too"),
        Mistake("root", lambda s, t: float(np.sqrt(2 * _matching(s, t))),
                "that is the root of the mean square; the loss is half the mean square itself"),
    ),
    "12.7": (
        Mistake("one_sided", lambda a, b: _flips(a, b, lambda x, seen: x >= seen),
                "you looked at one side only: a sum as far below 0 is as extreme; compare sizes, with abs"),
        Mistake("strict", lambda a, b: _flips(a, b, lambda x, seen: abs(x) > abs(seen)),
                "you counted larger sums only: those as large count as well, what you saw among them"),
        Mistake("without_itself", _without_itself,
                "you left out the choice of signs that was seen; it is one of the 2**n, and the test isn't "
                "exact without it"),
        Mistake("upside_down", lambda a, b: _flips(a, b, lambda x, seen: abs(x) <= abs(seen)),
                "you counted the sums that are less extreme; the p-value counts those at least as extreme"),
        Mistake("t_test", _t_test,
                "that is Student's paired test, which assumes normal differences; go through all the signs"),
        Mistake("sign_test", _how_often_better,
                "you only counted how often a is better (the sign test); the sizes matter here"),
        Mistake("count", lambda a, b: _flips(a, b) * 2 ** len(a),
                "that is how many choices of signs are as extreme; divide by 2**n"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "At T = 4 you forget the factor T² = 16, and add the labels' loss with equal weight. What happens?",
        (
            Option("The student learns mostly from the labels.",
                   "Yes: without T² the teacher's gradient is 16 times smaller.", right=True),
            Option("Nothing: Adam divides by the size of the gradient.",
                   "Adam scales the sum of the two; their proportion stays wrong."),
            Option("The student follows the teacher too closely.",
                   "The factor makes the teacher's part larger; without it there is less of it."),
        ),
    ),
    Question(
        "Five seeds, all five differences have the same sign. What is the least two-sided p-value of the "
        "sign-flip test?",
        (
            Option("2 / 32 = 0.0625", "Yes: the choice seen and its mirror image, of 2⁵.", right=True),
            Option("It depends on how large the differences are.",
                   "Not if they all agree in sign: no other choice of signs reaches their sum."),
            Option("Below 0.05, because five of five is clear.",
                   "Five pairs can't reach 0.05 on two sides, whatever they show; six can."),
        ),
    ),
    Question(
        "A student distilled on noise is bad, though it agrees with its teacher on the noise. Why?",
        (
            Option("Noise has no labels.", "The teacher gives answers for any image; labels aren't used."),
            Option("The temperature was too low.",
                   "Heat changes how an answer is read, not which part of the space is asked about."),
            Option("It agrees where it was asked, and images lie elsewhere.",
                   "Yes: the match is an average over the images shown.", right=True),
        ),
    ),
)  # fmt: skip
