"""How sparse at which step: the schedules of gradual pruning.

Zhu & Gupta 2017, arXiv:1710.01878.
"""

from mcomp.arrays import bad_value, check_real


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
    step, start, end = check_real("step", step), check_real("start", start), check_real("end", end)
    final = check_real("final", final, 0, 1)
    initial = check_real("initial", initial, 0, final)
    if not start < end:
        raise bad_value("end", end, f"more than start, which is {start}")
    left = 1 - min(max((step - start) / (end - start), 0.0), 1.0)
    return final + (initial - final) * left**3
