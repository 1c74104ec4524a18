"""Chapter 19: wrong answers that people give, each with what happened, and the quiz."""

from mcomp.course.model import Option, Question
from mcomp.course.specs.ch19_distil_mistakes import DISTIL
from mcomp.course.specs.ch19_gamma_mistakes import GAMMA
from mcomp.course.specs.ch19_guess_mistakes import JUDGED
from mcomp.course.specs.ch19_head_mistakes import HEADS
from mcomp.course.specs.ch19_key_mistakes import KEYS
from mcomp.course.specs.ch19_next_mistakes import NEXT

MISTAKES = {"19.1": NEXT, "19.2": KEYS, "19.3": HEADS, "19.4": JUDGED, "19.5": GAMMA, "19.6": DISTIL}

QUIZ = (
    Question(
        "A network writes 4,000 bytes with a cache instead of 1,000. What grows four times as large?",
        (
            Option("its weights", "they are read for each byte, but there aren't more of them"),
            Option(
                "its cache",
                "a key and a value more for each byte, layer and head of keys and values",
                right=True,
            ),
            Option(
                "the work for the last byte",
                "only attention reads four times as much; all products with weights stay",
            ),
        ),
    ),
    Question(
        "The draft of speculative decoding is bad: few guesses stay. What happens to the text?",
        (
            Option(
                "it gets worse, since the draft wrote part of it",
                "a guess is kept just so often that, with what replaces the others, p comes out",
            ),
            Option(
                "it is as likely as if the target had written alone, and comes later",
                "min(p, q) of kept guesses and (1 - alpha) r of the others add up to p, whatever q is",
                right=True,
            ),
            Option(
                "it is the same, byte for byte",
                "other random numbers are used: the same distribution, another text",
            ),
        ),
    ),
    Question(
        "You quantize a cache to 2 bits by channel, and each new token at once. The error is 0. Why?",
        (
            Option(
                "keys have channels that hardly vary",
                "then the error is small; it is exactly 0 for another reason",
            ),
            Option(
                "the softmax forgives small errors",
                "the error of the keys themselves is 0, before any softmax",
            ),
            Option(
                "a group of one number is its own lowest: nothing was quantized, and nothing saved",
                "scale and lowest of each number take more bits than it had; wait until a group is full",
                right=True,
            ),
        ),
    ),
)
