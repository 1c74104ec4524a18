"""Chapter 16: wrong answers that people give, each with what happened, and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch16_assign_mistakes import ASSIGN
from mcomp.course.specs.ch16_code_mistakes import CODES
from mcomp.course.specs.ch16_interval_mistakes import INTERVALS
from mcomp.course.specs.ch16_learn_mistakes import LEARN
from mcomp.course.specs.ch16_rans_mistakes import RANS
from mcomp.course.specs.ch16_soft_mistakes import SOFT

MISTAKES = {
    "16.1": CODES, "16.2": INTERVALS, "16.3": RANS, "16.4": LEARN, "16.5": SOFT, "16.6": ASSIGN,
}  # fmt: skip

QUIZ = (
    Question(
        "rANS decodes the last symbol that was put on first. How does mcomp give symbols in their order?",
        (
            Option("it turns the decoded list round", "then nothing could be read before all is decoded"),
            Option(
                "it puts them on from the last to the first",
                "then the first comes off first, and so on",
                right=True,
            ),
            Option("it codes each symbol by itself", "then each would cost whole bits again"),
        ),
    ),
    Question(
        "A mask is coded once with a table of chances, once by a code that learns. What costs the second?",
        (
            Option(
                "nothing: it needs no table", "its first chances are poor: that costs about half a log2 n"
            ),
            Option(
                "about half of log2 n bits for each context",
                "what the table of one chance costs, at the precision that pays",
                right=True,
            ),
            Option("one bit an entry more", "so much only a context for each entry costs"),
        ),
    ),
    Question(
        "The shared values of a network have 2.1 bits of entropy each. Can its file be shorter?",
        (
            Option(
                "no: no code beats the entropy",
                "of these symbols, one at a time. Other weights, or contexts, have less",
            ),
            Option("yes, with Huffman's code", "it needs at least the entropy"),
            Option(
                "yes, by training with the bits in the loss",
                "then other weights are chosen, whose entropy is less",
                right=True,
            ),
        ),
    ),
)
