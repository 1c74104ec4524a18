"""A codebook whose indices code short: each weight to the level of least error + price.

The file is that of a `Codebook`; only which level a weight takes is chosen otherwise.
"""

from dataclasses import dataclass

import numpy as np

from mcomp.arrays import array_namespace, check_real, constant, host_array
from mcomp.codecs.basic import Codebook, checked, flat
from mcomp.codecs.code import Code, payload_of
from mcomp.quantize.codebooks import kmeans_1d
from mcomp.quantize.rate import assign_at_rate, symbol_bits
from mcomp.quantize.rate_levels import entropy_constrained

__all__ = ["PricedCodebook"]


@dataclass(frozen=True)
class PricedCodebook(Codebook):
    """As `Codebook`, but a bit of the index costs `lam` times the variance of the weights.

    Chou, Lookabaugh & Gray 1989 (doi:10.1109/29.17498), for one weight at a time:
    `mcomp.quantize.rate_levels.entropy_constrained` from the levels of k-means, of which those that nobody
    takes are dropped. In training, with earlier levels given, the prices are those of the earlier counts.

    Examples
    --------
    >>> w = np.array([0.9, 1.0, 1.1, 1.3, -2.0, 1.0])
    >>> Codebook(3).project(w), PricedCodebook(3, lam=0.05).project(w).round(2)
    (array([ 1. ,  1. ,  1. ,  1.3, -2. ,  1. ]), array([ 1.06,  1.06,  1.06,  1.06, -2.  ,  1.06]))
    """

    lam: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_real("lam", self.lam, 0.0)

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        values = constant(flat(w))
        lam = self.lam * float(xp.mean((values - xp.mean(values)) ** 2))
        if start is None:
            found = entropy_constrained(values, kmeans_1d(values, self.k)[0], lam=lam)
            levels, index = found.levels, found.assignments
        else:
            levels, index = _reassigned(values, start, lam)
        return Code(self.kind, tuple(w.shape), {"index": index}, {"centroids": levels})


def _reassigned(values, start, lam):
    """The earlier levels, ascending, and for each weight the best at the prices of the earlier counts."""
    xp = array_namespace(values)
    levels = constant(payload_of(start, "centroids"))
    order = xp.argsort(levels)
    before = host_array("index", start.symbols["index"])
    counts = np.bincount(before, minlength=levels.shape[0])[host_array("order", order)]
    levels = xp.take(levels, order, axis=0)
    return levels, assign_at_rate(values, levels, bits=symbol_bits(counts, code="adaptive"), lam=lam)
