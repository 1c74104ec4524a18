"""Chapter 18: wrong answers that people give, each with what happened, and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch18_group_mistakes import GROUPS
from mcomp.course.specs.ch18_hadamard_mistakes import HADAMARD
from mcomp.course.specs.ch18_row_mistakes import ROW
from mcomp.course.specs.ch18_smoothing_mistakes import SMOOTHING
from mcomp.course.specs.ch18_surgeon_mistakes import SURGEON
from mcomp.course.specs.ch18_wanda_mistakes import WANDA

MISTAKES = {
    "18.1": GROUPS, "18.2": SURGEON, "18.3": ROW, "18.4": WANDA, "18.5": SMOOTHING, "18.6": HADAMARD,
}  # fmt: skip

QUIZ = (
    Question("4 bits in groups of 64, each with 16 bits of scale and 4 of zero. How many a weight?", (
        Option("4", "the grid of a group must be stored, too, or nobody can read its integers"),
        Option("4.3125", "4 + (16 + 4) / 64: each weight carries its share of scale and zero", right=True),
        Option("24", "scale and zero are stored once for 64 weights, not with each"),
    )),
    Question("The inputs of a layer have mean 0 and aren't correlated. What does GPTQ give?", (
        Option("rounding to the nearest", "H is diagonal: what one weight spoils no other can make up for",
               right=True),
        Option("its best result, as no input disturbs another",
               "it gains by correlation alone: a weight makes up where its input goes along with another's"),
        Option("the same, but weights with large inputs are rounded more finely",
               "all of a row share one step, whatever their inputs are"),
    )),
    Question("One channel of x is a hundred times as large as the others, and 8 bits for w and x, one scale "
             "each, break. What helps without training?", (
        Option("clip that channel to the size of the others",
               "such a channel matters most: then the function is another one"),
        Option("a scale for each output channel of w",
               "x's one scale is still stretched, and its other channels get few integers"),
        Option("divide the channel of x by s, multiply its column of w by s",
               "x's scale isn't stretched any more, and (x / s)(s w) = x w: the function stays", right=True),
    )),
)  # fmt: skip
