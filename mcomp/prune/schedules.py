"""How much at which step: the sparsity of pruning over time, and how many weights move while it stays.

Derived in chapters/05_pruning_over_time.ipynb. Zhu & Gupta 2017, arXiv:1710.01878; Han et al. 2015,
arXiv:1506.02626; Evci et al. 2019, arXiv:1911.11134.
"""

import math

from mcomp.arrays import bad_value, check_int, check_real


def iterative_sparsity(step, *, start, end, rounds, initial=0.0, final):
    """The sparsity at `step` of `rounds` prunings that leave each the same part of what stayed; 1: one shot.

    After round i of n the part that stays is (1 - initial)^(1 - i/n) * (1 - final)^(i/n): a geometric
    sequence, as where Han et al. 2015 (arXiv:1506.02626) prune and retrain in turn, and Frankle & Carbin
    2019 (arXiv:1803.03635) remove a fifth in each round. The first round is at `start`; the others follow at
    equal distances, so that the last has as long to recover before `end` as each of them.

    Parameters
    ----------
    step : int or float
        In the unit of `start` and `end`: steps or epochs.
    start, end : int or float
        Where the first round prunes and where the recovery from the last ends; start < end.
    rounds : int, 1 or more
    initial, final : float in [0, 1]
        Fractions of zeros; initial <= final < 1, or one round.

    Returns
    -------
    sparsity : float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> [iterative_sparsity(step, start=1, end=4, rounds=3, final=0.875) for step in range(5)]
    [0.0, 0.5, 0.75, 0.875, 0.875]
    """
    step, start, end = _check_time(step, start, end)
    rounds = check_int("rounds", rounds, 1)
    initial, final = _check_ends(initial, final)
    if final == 1 and rounds > 1 and initial < 1:
        raise bad_value("final", final, "less than 1: a part of what stays is never all of it")
    done = min(math.floor((step - start) / (end - start) * rounds) + 1, rounds)
    if done <= 0:
        return initial
    if done == rounds:
        return final  # exactly
    return 1 - (1 - initial) ** (1 - done / rounds) * (1 - final) ** (done / rounds)


def cubic_sparsity(step, *, start, end, initial=0.0, final):
    """The sparsity at `step`: fast at first, while there is much to spare, slow near the end.

    Zhu & Gupta 2017 (arXiv:1710.01878), eq. 1: between `start` and `end`
    final + (initial - final) * (1 - (step - start) / (end - start))**3, `initial` before, `final` after.

    Parameters
    ----------
    step : int or float
        In the unit of `start` and `end`: steps or epochs.
    start, end : int or float
        Where pruning begins and where it is done; start < end.
    initial, final : float in [0, 1]
        Fractions of zeros; initial <= final.

    Returns
    -------
    sparsity : float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> [cubic_sparsity(step, start=0, end=4, final=0.64) for step in (0, 1, 2, 3, 4, 5)]
    [0.0, 0.37, 0.56, 0.63, 0.64, 0.64]
    """
    step, start, end = _check_time(step, start, end)
    initial, final = _check_ends(initial, final)
    left = 1 - min(max((step - start) / (end - start), 0.0), 1.0)
    return final + (initial - final) * left**3


def cosine_fraction(step, *, end, alpha=0.3):
    """The part of the weights that moves at `step`: `alpha` at first, nothing from `end` on.

    Evci et al. 2019 (arXiv:1911.11134), section 3: alpha/2 * (1 + cos(pi * step / end)).

    Examples
    --------
    >>> [round(cosine_fraction(step, end=100), 3) for step in (0, 50, 100, 150)]
    [0.3, 0.15, 0.0, 0.0]
    """
    step, end, alpha = check_real("step", step, 0), check_real("end", end), check_real("alpha", alpha, 0, 1)
    if end <= 0:
        raise bad_value("end", end, "more than 0")
    return alpha / 2 * (1 + math.cos(math.pi * min(step / end, 1.0)))


def _check_time(step, start, end):
    step, start, end = check_real("step", step), check_real("start", start), check_real("end", end)
    if not start < end:
        raise bad_value("end", end, f"more than start, which is {start}")
    return step, start, end


def _check_ends(initial, final):
    final = check_real("final", final, 0, 1)
    return check_real("initial", initial, 0, final), final


def steer(good, tried, factor, *, holds):
    """The next threshold to try: higher while the accuracy holds, nearer to the last good one after it fell.

    Growth by a factor with square-root back-off: where `tried` holds, it becomes the good one and the next is
    `factor` times higher; where it doesn't, the factor becomes its square root and never grows again. That is
    no bisection: nothing remembers the threshold that failed, and a later one may reach it again, with a
    network that has trained meanwhile.

    Parameters
    ----------
    good : float
        The highest threshold so far at which the accuracy held.
    tried : float
        The threshold that has been tried now.
    factor : float, more than 1
        By how much the next is higher than the good one.
    holds : bool
        Whether the accuracy held at `tried`.

    Returns
    -------
    good, tried, factor : float
        As they are for the next trial.

    Examples
    --------
    >>> steer(1.0, 4.0, 4.0, holds=True)
    (4.0, 16.0, 4.0)
    >>> steer(4.0, 16.0, 4.0, holds=False)
    (4.0, 8.0, 2.0)
    >>> steer(4.0, 8.0, 2.0, holds=True)  # 16 again
    (8.0, 16.0, 2.0)
    """
    good, tried, factor = (
        check_real("good", good, 0),
        check_real("tried", tried, 0),
        check_real("factor", factor),
    )
    if factor <= 1:
        raise bad_value("factor", factor, "more than 1")
    if holds:
        return tried, tried * factor, factor
    return good, good * math.sqrt(factor), math.sqrt(factor)
