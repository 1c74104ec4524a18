"""Chapter 20: wrong answers that people give, each with what happened, and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch20_front_mistakes import FRONT
from mcomp.course.specs.ch20_goal_mistakes import AREA, NEAREST
from mcomp.course.specs.ch20_halving_mistakes import HALVING
from mcomp.course.specs.ch20_price_mistakes import PRICE

MISTAKES = {"20.1": FRONT, "20.2": PRICE, "20.3": NEAREST, "20.4": AREA, "20.5": HALVING}

QUIZ = (
    Question("A search tried 200 networks and reports the best by validation accuracy. Its test accuracy?", (
        Option("about the same", "the best of 200 noisy numbers is partly luck, and luck doesn't come again"),
        Option("probably lower", "the maximum of many measurements is too high on average: test once, after",
               right=True),
        Option("unknown, so choose by test accuracy",
               "then the test images are a second validation set, and nothing is left to tell the truth"),
    )),
    Question("Pruning is followed by a factorization of the same layer. What is in the file?", (
        Option("sparse factors", "the factors of a sparse matrix are dense: the zeros were in the product"),
        Option("dense factors, the zeros are lost",
               "a singular vector mixes rows: only a row or column of zeros survives",
               right=True),
        Option("zeros and factors, side by side", "the file has the network as it is last: two thin layers"),
    )),
    Question("Four fifths of a network's time are spent in what a method makes ten times faster. In all?", (
        Option("8 times", "times don't average like that: the slow fifth stays as it is"),
        Option("3.6 times", "1 / (0.2 + 0.8 / 10): the fifth that stays is most of what is left (Amdahl)",
               right=True),
        Option("10 times", "one fifth isn't touched at all"),
    )),
)  # fmt: skip
