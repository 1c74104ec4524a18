"""Chapter 14: wrong answers that people give, each with what happened; and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch14_assignment_mistakes import ORDER
from mcomp.course.specs.ch14_average_mistakes import MEANS
from mcomp.course.specs.ch14_gain_mistakes import GAINS
from mcomp.course.specs.ch14_order_mistakes import RENUMBERED
from mcomp.course.specs.ch14_path_mistakes import BARRIER, BEND
from mcomp.course.specs.ch14_soup_mistakes import SOUP

MISTAKES = {
    "14.1": MEANS, "14.2": SOUP, "14.3": BARRIER, "14.4": BEND, "14.5": RENUMBERED, "14.6": GAINS,
    "14.7": ORDER,
}  # fmt: skip

QUIZ = (
    Question(
        "Two networks with batch norm, trained from different starts, are averaged. Whose statistics should "
        "the mean have?",
        (
            Option("The mean of the two networks' statistics.",
                   "They describe what the two networks compute. The mean network computes other features, "
                   "with other means and variances."),
            Option("New ones, from training images that pass through the mean network.",
                   "Yes: statistics belong to the weights before them, and those are new.",
                   right=True),
            Option("Those of the more accurate network.",
                   "They describe its features; the mean network computes others."),
        ),
    ),
    Question(
        "The barrier on the straight line between two networks is 0. What does that say of the network "
        "halfway?",
        (
            Option("Its loss is lower than that of each of the two.",
                   "It may be, but a barrier of 0 doesn't say so: a loss that falls evenly from one to the "
                   "other has none, either."),
            Option("Its loss is no higher than the mean of the two losses.",
                   "Yes: halfway the line between the losses is their mean, and nothing rises above it.",
                   right=True),
            Option("It answers as the two networks do.",
                   "Equal losses can come from different answers."),
        ),
    ),
    Question(
        "You renumber the hidden units of a network, rows and columns alike. What changes?",
        (
            Option("Its mean with another network.",
                   "Yes: the mean pairs unit i with unit i, and those are other pairs now.",
                   right=True),
            Option("Its accuracy.",
                   "It is the same function, up to the rounding of sums that run in another order."),
            Option("Its size: the order has to be stored, too.",
                   "The renumbered weights are a network like any other; nobody needs the old order."),
        ),
    ),
)  # fmt: skip
