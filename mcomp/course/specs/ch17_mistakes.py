"""Chapter 17: wrong answers that people give, each with what happened, and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch17_batch_mistakes import BATCHES
from mcomp.course.specs.ch17_choice_mistakes import CHOICES
from mcomp.course.specs.ch17_gain_mistakes import GAIN_MISTAKES
from mcomp.course.specs.ch17_graph_mistakes import GRAPHS
from mcomp.course.specs.ch17_pair_mistakes import PAIR_SUMS
from mcomp.course.specs.ch17_rounding_mistakes import ROUNDINGS
from mcomp.course.specs.ch17_scale_mistakes import SCALES

MISTAKES = {
    "17.1": SCALES, "17.2": ROUNDINGS, "17.3": PAIR_SUMS, "17.4": GRAPHS, "17.5": GAIN_MISTAKES,
            "17.6": BATCHES,
    "17.7": CHOICES,
}  # fmt: skip

QUIZ = (
    Question("An int8 file is a quarter of the float file, and runs no faster. What do you look at first?", (
        Option("a trace: what runs in integers, and what conversions cost",
               "only the share in integer kernels can gain, and Q and DQ left over cost time", right=True),
        Option("the calibration images", "they decide how accurate it is, not how fast"),
        Option("the file: it should be smaller still",
        "bytes on disk aren't what the processor waits for in every layer"),
    )),
    Question("In an engine, few of the int8 outputs differ from mcomp's, each by one step. What is likely?", (
        Option("pairs of products that saturate", "then sums are wrong by much, and outputs by many steps"),
        Option("another rounding near ties",
        "a number almost halfway goes to one side or the other", right=True),
        Option("scales of the engine's own", "then most outputs would differ"),
    )),
    Question("Operations that int8 can touch take 60 % of the time. How many times faster can the whole get "
             "at "
             "most?", (
        Option("4 times, as the weights shrink", "the other 40 % stay as they are"),
        Option("1.7 times, 1 / 0.6", "upside down: 0.4 of the time remains, not 0.6"),
        Option("2.5 times, 1 / 0.4", "Amdahl's limit: what isn't touched remains", right=True),
    )),
)  # fmt: skip
