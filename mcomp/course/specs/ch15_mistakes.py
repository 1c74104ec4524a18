"""Chapter 15: wrong answers that people give, each with what happened, and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch15_gram_mistakes import GRAM
from mcomp.course.specs.ch15_pair_mistakes import PAIR
from mcomp.course.specs.ch15_part_mistakes import SHARED
from mcomp.course.specs.ch15_rest_mistakes import REST
from mcomp.course.specs.ch15_row_mistakes import ROWS
from mcomp.course.specs.ch15_target_mistakes import TARGETS
from mcomp.course.specs.ch15_total_mistakes import TOTAL

MISTAKES = {
    "15.1": SHARED, "15.2": TOTAL, "15.3": REST, "15.4": TARGETS, "15.5": PAIR, "15.6": ROWS, "15.7": GRAM,
}  # fmt: skip

QUIZ = (
    Question("Uncertainty weights are at rest. One loss is 0.1, the other 2. What are the weights?", (
        Option("5 and 0.25", "1 / (2 L): the smaller loss counts twenty times as much", right=True),
        Option("0.25 and 5", "upside down: a large loss means much noise, and less weight"),
        Option("both the same", "only equal losses get equal weights"),
    )),
    Question("Two gradients have the inner product +0.3. What does PCGrad return?", (
        Option("their sum", "it changes gradients only where an inner product is negative", right=True),
        Option("their sum, less the part that both have in common",
               "a common part serves both tasks; nobody wants to take it away"),
        Option("the sum of their parts at right angles", "that is for gradients in conflict"),
    )),
    Question("A network with two tasks beats a network for one of them that has the same bytes, but was "
             "trained half as long. What may have won?", (
        Option("sharing alone: bytes are equal", "training isn't, and it may explain all of the gain"),
        Option("sharing, or the longer training", "two things differ, so neither can be named", right=True),
        Option("the larger network", "they have the same bytes"),
    )),
)  # fmt: skip
