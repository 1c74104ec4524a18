"""Chapter 19: wrong numbers of guesses, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _gamma(speed, *, first=0):
    """The gamma of the greatest ``speed(alphas, cost, gamma)``, the smallest of equal ones."""

    def answer(alphas, cost):
        return first + int(np.argmax([speed(alphas, cost, g) for g in range(first, len(alphas) + 1)]))

    return quiet(answer)


def _bytes(alphas, gamma):
    return 1 + np.cumprod(alphas[:gamma]).sum()


def _speed(alphas, cost, gamma):
    return _bytes(alphas, gamma) / (gamma * cost + 1)


def _value(alphas, cost):
    return max(_speed(alphas, cost, gamma) for gamma in range(len(alphas) + 1))


def _slowest(alphas, cost):
    return min(range(len(alphas) + 1), key=lambda gamma: _speed(alphas, cost, gamma))


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
    Mistake("no_last", quiet(lambda a, c: _gamma(_speed)(a[:-1], c)), "len(alphas) guesses are allowed, too"),
    Mistake(
        "counted_from_0",
        quiet(lambda a, c: _gamma(_speed)(a, c) - 1),
        "that is the place of the last guess; how many guesses is one more",
    ),
    Mistake(
        "no_target_pass",
        _gamma(lambda a, c, g: _bytes(a, g) / (g * c) if g else 0.0),
        "a round takes a pass of the target besides: gamma * cost + 1",
    ),
    Mistake(
        "no_own_byte",
        _gamma(lambda a, c, g: (_bytes(a, g) - 1) / (g * c + 1)),
        "the target adds a byte of its own to those kept",
    ),
    Mistake(
        "no_top",
        _gamma(lambda a, c, g: _bytes(a, max(g - 1, 0)) / (g * c + 1)),
        "the last guess counts, too, if it is kept: gamma guesses give up to gamma + 1 bytes",
    ),
    Mistake(
        "not_in_a_row",
        _gamma(lambda a, c, g: (1 + a[:g].sum()) / (g * c + 1)),
        "the alphas were added up; a guess counts only if all before it were kept, so multiply them",
    ),
    Mistake(
        "all_or_none",
        _gamma(lambda a, c, g: (1 + g * np.prod(a[:g])) / (g * c + 1)),
        "a round that keeps some guesses gives those: don't count only rounds that keep all",
    ),
    Mistake(
        "first_alpha",
        _gamma(lambda a, c, g: sum(a[0] ** i for i in range(g + 1)) / (g * c + 1)),
        "you took alphas[0] for all guesses; each has a chance of its own",
    ),
    Mistake(
        "mean_alpha",
        _gamma(lambda a, c, g: sum(a.mean() ** i for i in range(g + 1)) / (g * c + 1)),
        "you took the mean of alphas for all guesses; each has a chance of its own",
    ),
    Mistake(
        "cost_of_one",
        _gamma(lambda a, c, g: _bytes(a, g) / (c + 1) if g else 1.0),
        "the draft passes gamma times, once for each guess",
    ),
    Mistake(
        "cost_of_the_target",
        _gamma(lambda a, c, g: _bytes(a, g) / (g + 1)),
        "yours never guesses: a pass of the draft costs `cost`, not 1, and all kept guesses add up",
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
        "alphas are the chances that a guess is kept; you took them for refusals",
    ),
    Mistake("slowest", _slowest, "that is the slowest choice; the fastest is asked for"),
    Mistake(
        "always_most",
        lambda alphas, cost: len(alphas),
        "more guesses aren't always faster: each costs a pass, and later ones are kept more seldom",
    ),
)
