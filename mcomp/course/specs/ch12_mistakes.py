"""Chapter 12: wrong targets that people write, each with what happened; all mistakes; the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch12_gradient_mistakes import GRADIENT
from mcomp.course.specs.ch12_loss_mistakes import LOSS, SOFTMAX
from mcomp.course.specs.ch12_part_mistakes import PARTS, one_hot
from mcomp.course.specs.ch12_test_mistakes import MATCHING, TEST


def _either(on_label, beside):
    """Targets of two values, each a function of the number of classes and epsilon."""

    def answer(labels, classes, epsilon):
        hot = one_hot(labels, classes)
        return hot * on_label(classes, epsilon) + (1 - hot) * beside(classes, epsilon)

    return answer


def _mixed(labels, classes, epsilon):
    return (1 - epsilon) * one_hot(labels, classes) + epsilon / classes


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
    Mistake("not_smooth", lambda labels, classes, epsilon: one_hot(labels, classes),
            "those are the plain labels: epsilon isn't used"),
    Mistake("swapped", lambda labels, classes, epsilon: _mixed(labels, classes, 1 - epsilon),
            "epsilon and 1 - epsilon are swapped: a small epsilon should leave the label nearly sure"),
    Mistake("too_much", lambda labels, classes, epsilon: one_hot(labels, classes) + epsilon / classes,
            "your rows sum to 1 + epsilon: take epsilon from the label before you share it"),
    Mistake("too_little", lambda labels, classes, epsilon: one_hot(labels, classes) - epsilon / classes,
            "you subtracted epsilon / classes everywhere: a share is added, and (1 - epsilon) is a factor"),
    Mistake("epsilon_each", _either(lambda c, e: 1.0, lambda c, e: e),
            "you gave epsilon to each class; the classes share it: epsilon / classes"),
    Mistake("divided_again", lambda labels, classes, epsilon: (one_hot(labels, classes) + epsilon)
            / (1 + classes * epsilon),
            "your rows sum to 1, but by dividing: the label then has another weight than 1 - epsilon"),
    Mistake("of_the_batch", lambda labels, classes, epsilon: (1 - epsilon) * one_hot(labels, classes)
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
