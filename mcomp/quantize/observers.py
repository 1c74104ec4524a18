"""Which range an activation needs: observers that watch batches go by and then name (low, high).

Derived in chapters/07_repair_without_training.ipynb. Each has ``update(x)`` and ``range()``. The extremes
cost nothing to know; what clips (percentile, least squares, entropy) needs a histogram.
"""

from mcomp.arrays import check_int, check_real
from mcomp.quantize.histograms import (
    Histogram,
    entropy_range,
    extremes,
    least_squares_range,
    percentile_range,
    seen,
)

__all__ = ["Entropy", "LeastSquares", "MinMax", "MovingAverage", "Percentile"]


class MinMax:
    """The extremes of all that was seen: nothing is clipped, and one outlier sets the step.

    Examples
    --------
    >>> import numpy as np
    >>> observer = MinMax()
    >>> for batch in (np.array([0.0, 1.0]), np.array([-2.0, 0.5])):
    ...     observer.update(batch)
    >>> observer.range()
    (-2.0, 1.0)
    """

    found = None

    def update(self, x):
        """Look at one batch: a floating array of any shape."""
        low, high = extremes(x)
        self.found = (low, high) if self.found is None else self._merge(*self.found, low, high)

    def _merge(self, low, high, new_low, new_high):
        return min(low, new_low), max(high, new_high)

    def range(self):
        """(low, high) of what was seen; ValueError if there was nothing."""
        return seen(self.found)


class MovingAverage(MinMax):
    """The exponentially weighted mean of each batch's extremes (Jacob et al. 2018, section 3.1).

    ``low = (1 - weight) low + weight min(x)``, and the same for `high`: an outlier counts for one batch.

    Examples
    --------
    >>> import numpy as np
    >>> observer = MovingAverage(0.5)
    >>> for batch in (np.array([0.0, 1.0]), np.array([0.0, 2.0])):
    ...     observer.update(batch)
    >>> observer.range()
    (0.0, 1.5)
    """

    def __init__(self, weight=0.1):
        self.weight = check_real("weight", weight, 0.0, 1.0)

    def _merge(self, low, high, new_low, new_high):
        return low + self.weight * (new_low - low), high + self.weight * (new_high - high)


class Percentile(Histogram):
    """The range that holds `fraction` of what was seen, with equally many entries beyond either end."""

    def __init__(self, fraction=0.9999):
        super().__init__()
        self.fraction = check_real("fraction", fraction, 0.0, 1.0)

    def range(self):
        return percentile_range(self.counts, self.edges, fraction=self.fraction)


class LeastSquares(Histogram):
    """The range whose grid of `bits` bits has the least squared error, clipping and rounding together."""

    def __init__(self, bits=8, *, symmetric=False):
        super().__init__()
        self.bits, self.symmetric = check_int("bits", bits, 2, 16), symmetric

    def range(self):
        options = {"bits": self.bits, "symmetric": self.symmetric}
        return least_squares_range(self.counts, self.edges, **options)


class Entropy(Histogram):
    """The range whose `bits` bits keep the most information, by the Kullback-Leibler divergence."""

    def __init__(self, bits=8):
        super().__init__()
        self.bits = check_int("bits", bits, 2, 16)

    def range(self):
        return entropy_range(self.counts, self.edges, bits=self.bits)
