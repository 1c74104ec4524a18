"""Chapter 17: wrong shares of a trace, for the table in `ch17_gain_mistakes`."""

import numpy as np


def parts(operators, microseconds, touched, belongs=lambda name, touched: name in touched.split()):
    """The time that int8 touches, and the rest."""
    mask = np.array([belongs(name, touched) for name in operators.split()], bool)
    return microseconds[mask].sum(), microseconds[~mask].sum()


def _names(belongs):
    return lambda *args: parts(*args, belongs)


def _last_of_each(operators, microseconds, touched):
    """A dictionary from names to times: of several nodes of a kind the last one stays."""
    times = dict(zip(operators.split(), microseconds, strict=True))
    part = sum(time for name, time in times.items() if name in touched.split())
    return part, sum(times.values()) - part


def _last_part(operators, microseconds, touched):
    part, _ = _last_of_each(operators, microseconds, touched)
    return part, microseconds.sum() - part


def _first_part(operators, microseconds, touched):
    names = operators.split()
    part = sum(microseconds[names.index(name)] for name in touched.split() if name in names)
    return part, microseconds.sum() - part


def _counted(operators, microseconds, touched):
    """Nodes in place of microseconds, scaled to the total."""
    share = np.mean([name in touched.split() for name in operators.split()])
    return share * microseconds.sum(), (1 - share) * microseconds.sum()


def _means(operators, microseconds, touched):
    mask = np.array([name in touched.split() for name in operators.split()])
    return tuple(microseconds[one].mean() if one.any() else 0.0 for one in (mask, ~mask))


SPLITS = {
    "parts_of_names": (_names(lambda name, touched: name in touched),
                       "'Conv' in 'ConvTranspose' is True for texts: split `touched` into names"),
    "either_way": (_names(lambda name, touched: any(one in name for one in touched.split())),
                   "'Conv' in 'ConvTranspose' is True for texts: compare whole names"),
    "starts": (_names(lambda name, touched: name.startswith(touched)),
               "`touched` may hold several names, and a name may begin with another: split it, compare "
               "whole names"),
    "one_name": (_names(lambda name, touched: name == touched), "`touched` may hold several names: split it"),
    "first_name": (_names(lambda name, touched: name == touched.split()[0]),
            "you took the first name in `touched`; all of them count"),
    "last_name": (_names(lambda name, touched: name == touched.split()[-1]),
            "you took the last name in `touched`; all of them count"),
    "others": (_names(lambda name, touched: name not in touched.split()),
               "you made the nodes faster that int8 doesn't touch"),
    "last_of_each": (_last_of_each, "a dictionary keeps the last node of a kind; the others' times are lost"),
    "last_part": (_last_part, "of several touched nodes of a kind only the last counts in your answer"),
    "first_part": (_first_part, "of several touched nodes of a kind only the first counts in your answer"),
    "counted": (_counted, "you counted nodes; the share is of the time"),
    "means": (_means, "you took means over the nodes; their times add up"),
}  # fmt: skip
