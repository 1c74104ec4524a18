"""Chapter 19: wrong numbers of guesses, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _gamma(speed, *, first=0):
    """The gamma of the greatest ``speed(alpha, cost, gamma)``, the smallest of equal ones."""

    def answer(alpha, cost, most):
        found = [speed(alpha, cost, gamma) for gamma in range(first, most + 1)]
        return first + int(np.argmax(found)) if found else first

    return quiet(answer)


def _bytes(alpha, gamma):
    return sum(alpha**i for i in range(gamma + 1))


def _speed(alpha, cost, gamma):
    return _bytes(alpha, gamma) / (gamma * cost + 1)


def _value(alpha, cost, most):
    return max(_speed(alpha, cost, gamma) for gamma in range(most + 1))


def _slowest(alpha, cost, most):
    return min(range(most + 1), key=lambda gamma: _speed(alpha, cost, gamma))


def _formula(alpha, cost, gamma):
    return (1 - alpha ** (gamma + 1)) / np.float64(1 - alpha) / (gamma * cost + 1)


GAMMA = (
    Mistake(
        "speed",
        _value,
        "that is how many times faster; asked for is the number of guesses with which it is so",
    ),
    Mistake(
        "most_bytes",
        _gamma(lambda a, c, g: _bytes(a, g)),
        "you took the most bytes a round; the draft's passes cost, too",
    ),
    Mistake(
        "from_one",
        _gamma(_speed, first=1),
        "no guesses, 0, is a choice, too: a poor or dear draft only delays",
    ),
    Mistake(
        "no_last", quiet(lambda a, c, m: _gamma(_speed)(a, c, max(m - 1, 0))), "`most` itself is allowed"
    ),
    Mistake(
        "no_target_pass",
        _gamma(lambda a, c, g: _bytes(a, g) / (g * c) if g else 0.0),
        "a round takes a pass of the target besides: gamma * cost + 1",
    ),
    Mistake(
        "no_own_byte",
        _gamma(lambda a, c, g: (_bytes(a, g) - 1) / (g * c + 1)),
        "the target adds a byte of its own to those kept: 1 + alpha + ...",
    ),
    Mistake(
        "no_top",
        _gamma(lambda a, c, g: sum(a**i for i in range(max(g, 1))) / (g * c + 1)),
        "the sum goes to alpha ** gamma: with gamma guesses all kept there are gamma + 1 bytes",
    ),
    Mistake(
        "not_in_a_row",
        _gamma(lambda a, c, g: (1 + a * g) / (g * c + 1)),
        "you counted alpha for each guess; one counts only if all before it were kept: alpha ** i",
    ),
    Mistake(
        "all_or_none",
        _gamma(lambda a, c, g: (1 + g * a**g) / (g * c + 1)),
        "a round that keeps some guesses keeps those: add alpha ** i up, don't wait for all",
    ),
    Mistake(
        "cost_of_one",
        _gamma(lambda a, c, g: _bytes(a, g) / (c + 1) if g else 1.0),
        "the draft passes gamma times, once for each guess",
    ),
    Mistake(
        "cost_of_the_target",
        _gamma(lambda a, c, g: _bytes(a, g) / (g + 1)),
        "a pass of the draft costs `cost`, not a whole pass of the target",
    ),
    Mistake(
        "minus_cost",
        _gamma(lambda a, c, g: _bytes(a, g) - g * c),
        "you subtracted the cost from the bytes; the speed is bytes over passes",
    ),
    Mistake(
        "draft_reads_last",
        _gamma(lambda a, c, g: _bytes(a, g) / ((g + 1) * c + 1)),
        "the draft passes gamma times, not gamma + 1",
    ),
    Mistake(
        "refusals",
        _gamma(lambda a, c, g: _speed(1 - a, c, g)),
        "alpha is the chance that a guess is kept; you took it for that of a refusal",
    ),
    Mistake("slowest", _slowest, "that is the slowest choice; the fastest is asked for"),
    Mistake(
        "always_most",
        lambda alpha, cost, most: most,
        "more guesses aren't always faster: each costs a pass, and later ones are kept more seldom",
    ),
    Mistake(
        "alpha_one",
        _gamma(_formula),
        "for alpha = 1 the formula divides by 0; there a round gives gamma + 1 bytes",
    ),
)
