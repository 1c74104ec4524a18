"""Chapter 15: wrong targets of GradNorm, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet

LEFT = {  # what a rate is made of, and what is wrong with it
    "first_over_now": (lambda now, first: first / now, "upside down: losses / first_losses is what is left"),
    "losses_alone": (lambda now, first: now, "each loss is divided by its own first loss; yours isn't"),
    "differences": (lambda now, first: first - now, "you subtracted; what is left is losses / first_losses"),
    "progress": (lambda now, first: 1 - now / first, "that is what was learned; a rate is of what is left"),
}
RELATIVE = {  # how rates are compared, and what is wrong with it
    "not_relative": (lambda left: left, "divide what is left by its mean over the tasks"),
    "part_of_sum": (lambda left: left / left.sum(), "you divided by the sum of what is left, not its mean"),
    "part_of_largest": (lambda left: left / left.max(), "you divided by the largest, not by the mean"),
    "part_of_smallest": (lambda left: left / left.min(), "you divided by the smallest, not by the mean"),
    "part_of_length": (lambda left: left / np.hypot.reduce(left), "you divided by a length, not by the mean"),
    "softmax": (lambda left: np.exp(left) / np.exp(left).sum(), "no softmax: divide by the mean"),
    "part_of_first": (lambda left: left / left[0], "you divided by the first task's, not by the mean"),
    "mean_over": (lambda left: left.mean() / left, "upside down: a task that lags gets more"),
    "standardised": (lambda left: left - left.mean(), "you subtracted the mean; divide by it"),
}
BASES = {  # what the rate multiplies, and what is wrong with it
    "summed_norms": (lambda g: g.sum(), "that uses the sum of the norms; their mean was asked for"),
    "own_norms": (lambda g: g, "each task's own norm was used; all targets start from the mean norm"),
    "no_norms": (lambda g: 1.0, "the norms aren't used: multiply by their mean"),
    "largest_norm": (lambda g: g.max(), "that uses the largest norm; their mean was asked for"),
    "root_mean_square": (lambda g: np.sqrt((g**2).mean()), "that is a root of a mean square; take the mean"),
    "mean_of_mean": (lambda g: g.mean() / len(g), "the norms' mean was divided by the number of tasks again"),
    "scaled_norms": (lambda g: g / g.mean(), "multiply by the mean norm; you used norms / mean"),
    "median_norm": (lambda g: np.median(g), "that uses the median of the norms; take their mean"),
    "length_of_norms": (lambda g: np.sqrt((g**2).sum()), "that is the length of all norms; take their mean"),
}
POWERS = {  # how alpha is used, and what is wrong with it
    "times_alpha": (lambda rate, alpha: rate * alpha, "alpha is a power, not a factor"),
    "no_alpha": (lambda rate, alpha: rate, "alpha isn't used: the rate is raised to its power"),
    "alpha_to_rate": (lambda rate, alpha: alpha**rate, "base and power are swapped: rate ** alpha"),
    "root": (lambda rate, alpha: rate ** (1 / alpha) if alpha else rate, "that is the root; raise to alpha"),
}


def right_left(now, first):
    return now / first


def _relative(left):
    return left / left.mean()


def _targets(left=right_left, relative=_relative, base=np.mean, power=lambda rate, alpha: rate**alpha):
    return quiet(lambda g, now, first, alpha: base(g) * power(relative(left(now, first)), alpha))


def _powers_first(g, now, first, alpha):
    return g.mean() * (now / first) ** alpha / ((now / first) ** alpha).mean()


TARGETS = (
    *(Mistake(name, _targets(left=f), why) for name, (f, why) in LEFT.items()),
    *(Mistake(name, _targets(relative=f), why) for name, (f, why) in RELATIVE.items()),
    *(Mistake(name, _targets(base=f), why) for name, (f, why) in BASES.items()),
    *(Mistake(name, _targets(power=f), why) for name, (f, why) in POWERS.items()),
    *(Mistake(f"{one}_{two}", _targets(base=f, relative=h), f"{why}; and {also}")
      for one, (f, why) in [*BASES.items()][:3] for two, (h, also) in [*RELATIVE.items()][:2]),
    Mistake("losses_not_relative", _targets(left=LEFT["losses_alone"][0], relative=lambda left: left),
            "neither first_losses nor the mean over the tasks is used"),
    Mistake("first_not_relative", _targets(left=LEFT["first_over_now"][0], relative=lambda left: left),
            "what is left is losses / first_losses, and it is divided by its mean"),
    Mistake("inverse_of_inverse", _targets(left=LEFT["first_over_now"][0], relative=RELATIVE["mean_over"][0]),
            "the mean is of first_losses / losses; take the mean of what is left, losses / first_losses"),
    Mistake("ratio_of_means", quiet(lambda g, now, first, alpha:
            g.mean() * (now / first / (now.mean() / first.mean())) ** alpha),
            "you divided by the ratio of the mean losses; the mean of the ratios was asked for"),
    Mistake("powers_first", _powers_first,
            "you took the mean of the powers; divide by the mean first, then raise to alpha"),
    Mistake("mean_in_power", quiet(lambda g, now, first, alpha: (g.mean() * _relative(now / first)) ** alpha),
            "the mean norm stands inside the power; only the rate is raised to alpha"),
    Mistake("mean_after", quiet(lambda g, now, first, alpha:
            g.mean() * (now / first) ** alpha / (now / first).mean()),
            "divide by the mean first, then raise to alpha"),
    Mistake("one_number", quiet(lambda g, now, first, alpha:
            float((g * _relative(now / first) ** alpha).mean())),
            "every task has a target of its own: the mean is of the norms alone"),
    Mistake("exponential", _targets(power=lambda rate, alpha: np.exp(alpha * rate)),
            "no exponential: the rate itself is raised to alpha"),
    Mistake("losses_of_sum", _targets(left=LEFT["losses_alone"][0], relative=RELATIVE["part_of_sum"][0]),
            "divide each loss by its own first loss, and that by its mean over the tasks"),
    Mistake("precedence", quiet(lambda g, now, first, alpha:
            g.mean() * (now / first) / (now / first).mean() ** alpha),
            "** binds before /: only the mean was raised to alpha; put the rate in brackets"),
    Mistake("added", quiet(lambda g, now, first, alpha: g.mean() + _relative(now / first) ** alpha),
            "you added; the mean norm is multiplied by the rate's power"),
    Mistake("all_alike", lambda g, now, first, alpha: g.mean() * np.ones(len(g)),
            "that is right for alpha = 0; the rates are missing"),
    Mistake("rates", quiet(lambda g, now, first, alpha: _relative(now / first)),
            "these are the rates; raise them to alpha and multiply by the mean norm"),
    Mistake("gaps", quiet(lambda g, now, first, alpha: abs(g - _targets()(g, now, first, alpha))),
            "these are the distances of the norms from their targets; the targets were asked for"),
    Mistake("loss", quiet(lambda g, now, first, alpha: abs(g - _targets()(g, now, first, alpha)).sum()),
            "that is GradNorm's loss; the targets were asked for, one a task"),
    Mistake("factors", quiet(lambda g, now, first, alpha: _targets()(g, now, first, alpha) / g),
            "you divided the targets by the norms; the targets themselves were asked for"),
)  # fmt: skip
