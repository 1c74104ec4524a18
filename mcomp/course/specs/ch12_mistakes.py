"""Chapter 12: wrong targets and parts that people write, each with what happened; all mistakes; the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch12_gradient_mistakes import GRADIENT
from mcomp.course.specs.ch12_loss_mistakes import LOSS, SOFTMAX, kl, soft
from mcomp.course.specs.ch12_test_mistakes import MATCHING, TEST


def _one_hot(labels, classes):
    return np.eye(classes)[labels]


def _either(on_label, beside):
    """Targets of two values, each a function of the number of classes and epsilon."""

    def answer(labels, classes, epsilon):
        hot = _one_hot(labels, classes)
        return hot * on_label(classes, epsilon) + (1 - hot) * beside(classes, epsilon)

    return answer


def _mixed(labels, classes, epsilon):
    return (1 - epsilon) * _one_hot(labels, classes) + epsilon / classes


def _classes_seen(labels, classes, epsilon):
    return _mixed(labels, int(labels.max()) + 1, epsilon)


def _one_row(labels, classes, epsilon):
    row = np.full(classes, epsilon / classes)
    row[labels] = 1 - epsilon + epsilon / classes
    return row


def _every_label(labels, classes, epsilon):
    targets = np.full((len(labels), classes), epsilon / classes)
    targets[:, labels] += 1 - epsilon
    return targets


def _at(p, labels):
    return p[np.arange(len(p)), labels]


def _rest(p, labels):
    rest = p * (1 - _one_hot(labels, p.shape[1]))
    return rest / rest.sum(1, keepdims=True)


def _others(p, q, labels):
    hot = _one_hot(labels, p.shape[1]) == 1
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
    hot = _one_hot(labels, p.shape[1]) == 1
    return -(_rest(p, labels) * np.log(np.where(hot, 1, _rest(q, labels)))).sum(1)


def _zero_times_log(p, q, labels):
    with np.errstate(all="ignore"):
        return kl(_rest(p, labels), _rest(q, labels)).sum(1)


def _softmax_of_rest(p, q, labels):
    keep = _one_hot(labels, p.shape[1]) == 0
    return np.array([kl(soft(a[k], 1.0), soft(b[k], 1.0)).sum() for a, b, k in zip(p, q, keep, strict=True)])


def _columns(p, q, labels):
    a, b = p[:, labels], q[:, labels]
    return kl(a, b) + kl(1 - a, 1 - b), _parts(p, q, labels)[1]


TARGETS = (
    Mistake("others_share", _either(lambda c, e: 1 - e, lambda c, e: e / (c - 1)),
            "you shared epsilon among the other classes; here all classes share it, the label included"),
    Mistake("label_short", _either(lambda c, e: 1 - e, lambda c, e: e / c),
            "your rows don't sum to 1: the label has 1 - epsilon, its own share of epsilon is missing"),
    Mistake("label_whole", _either(lambda c, e: 1.0, lambda c, e: e / c),
            "the label keeps 1, so your rows sum to more: take epsilon from it, then give it its share"),
    Mistake("label_only", _either(lambda c, e: 1 - e + e / c, lambda c, e: 0.0),
            "the label is right; the other classes have nothing: epsilon / classes each"),
    Mistake("label_right", _either(lambda c, e: 1 - e + e / c, lambda c, e: e / (c - 1)),
            "the label is right; the others have epsilon / classes each, not epsilon / (classes - 1)"),
    Mistake("each_other", _either(lambda c, e: 1 - e, lambda c, e: e),
            "you gave epsilon to each other class; all classes share it: epsilon / classes"),
    Mistake("exchanged", _either(lambda c, e: e, lambda c, e: (1 - e) / (c - 1)),
            "you gave epsilon to the label: with a small epsilon the label should keep nearly all"),
    Mistake("not_smooth", lambda labels, classes, epsilon: _one_hot(labels, classes),
            "those are the plain labels: epsilon isn't used"),
    Mistake("swapped", lambda labels, classes, epsilon: _mixed(labels, classes, 1 - epsilon),
            "epsilon and 1 - epsilon are swapped: a small epsilon should leave the label nearly sure"),
    Mistake("too_much", lambda labels, classes, epsilon: _one_hot(labels, classes) + epsilon / classes,
            "your rows sum to 1 + epsilon: take epsilon from the label before you share it"),
    Mistake("too_little", lambda labels, classes, epsilon: _one_hot(labels, classes) - epsilon / classes,
            "you subtracted epsilon / classes everywhere: a share is added, and (1 - epsilon) is a factor"),
    Mistake("epsilon_each", _either(lambda c, e: 1.0, lambda c, e: e),
            "you gave epsilon to each class; the classes share it: epsilon / classes"),
    Mistake("divided_again", lambda labels, classes, epsilon: (_one_hot(labels, classes) + epsilon)
            / (1 + classes * epsilon),
            "your rows sum to 1, but by dividing: the label then has another weight than 1 - epsilon"),
    Mistake("of_the_batch", lambda labels, classes, epsilon: (1 - epsilon) * _one_hot(labels, classes)
            + epsilon / len(labels),
            "you divided epsilon by the number of images; the classes share it"),
    Mistake("transposed", lambda labels, classes, epsilon: _mixed(labels, classes, epsilon).T,
            "your array is (classes, images); each image wants a row"),
    Mistake("whole_numbers", lambda labels, classes, epsilon: _mixed(labels, classes, epsilon).astype(int),
            "an array of whole numbers can't hold shares: make it of floats"),
    Mistake("classes_seen", _classes_seen,
            "you made as many columns as the largest label needs; there are `classes` of them"),
    Mistake("logarithms", lambda labels, classes, epsilon: np.log(np.maximum(
            _mixed(labels, classes, epsilon), 1e-300)), "those are logarithms; targets are probabilities"),
    Mistake("from_one", lambda labels, classes, epsilon: _mixed(labels - 1, classes, epsilon),
            "you counted the classes from 1; label 0 is the first column"),
    Mistake("on_labels_only", lambda labels, classes, epsilon: np.full(
            len(labels), 1 - epsilon + epsilon / classes),
            "that is the label's entry of each row; return all the classes, (images, classes)"),
    Mistake("only_shared", _either(lambda c, e: e / c, lambda c, e: e / c),
            "those are the shares; the label's 1 - epsilon is missing"),
    Mistake("every_label", _every_label,
            "t[:, labels] gives every image all the labels; t[np.arange(len(labels)), labels] is one a row"),
    Mistake("one_row", _one_row, "you made one row for all images; each image has a row of its own"),
)  # fmt: skip

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

MISTAKES = {
    "12.1": SOFTMAX, "12.2": LOSS, "12.3": GRADIENT, "12.4": TARGETS, "12.5": PARTS, "12.6": MATCHING,
    "12.7": TEST,
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
        "A student distilled on white noise is bad, yet on fresh noise it names its teacher's class nearly "
        "always. What does that show?",
        (
            Option("It learned the teacher's function, but only on noise.",
                   "Then it would be nearer to the teacher there than a constant answer is. Measure that."),
            Option("The temperature was too low.",
                   "Heat changes how an answer is read, not which images are asked about."),
            Option("Little: the teacher says bag to nearly all noise.",
                   "Yes: who always says bag agrees as often. Compare a match with that of a constant.",
                   right=True),
        ),
    ),
)  # fmt: skip
