"""NormalFloat: sixteen values at quantiles of the normal distribution, which trained weights nearly follow.

If each value stands for an equally likely part of a Gaussian, no pattern is wasted. The largest weight of
a group becomes ±1. Dettmers et al. 2023, arXiv:2305.14314, section 3. Its formula for the values, taken at
its word, gives -∞ at the first quantile; the table that everybody uses is that of bitsandbytes
(`create_normal_map`): the eight values above zero are quantiles from 0.5 up to 0.9677083, the seven below
from there down, 0 itself is exact.
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np

__all__ = ["OFFSET", "normal_values"]

# of bitsandbytes: the mean of 1 - 1/30 and 1 - 1/32, halfway into the last part of each side
OFFSET = 0.9677083


@lru_cache(maxsize=1)
def _values():
    quantile = NormalDist().inv_cdf
    above = [quantile(p) for p in np.linspace(OFFSET, 0.5, 9)[:-1].tolist()]
    below = [-quantile(p) for p in np.linspace(OFFSET, 0.5, 8)[:-1].tolist()]
    values = np.array(sorted([*below, 0.0, *above]))
    return values / values[-1]


def normal_values():
    """The 16 values of NF4, ascending from -1 to 1: float64 numpy array.

    Examples
    --------
    >>> normal_values().round(4)[[0, 1, 6, 7, 8, 14, 15]]
    array([-1.    , -0.6962, -0.091 ,  0.    ,  0.0796,  0.723 ,  1.    ])
    """
    return _values().copy()
