"""N:M sparsity as a codec: `NMSparse(2, 4)` keeps two of every four weights along the inputs (chapter 04).

Its codes are of kind "sparse": a file needs to know which weights stay, not why.
"""

from dataclasses import dataclass
from typing import ClassVar

from mcomp.arrays import array_namespace, bad_value, check_int, constant
from mcomp.codecs.basic import Sparse, checked, masked
from mcomp.codecs.code import Codec
from mcomp.prune.nm import nm_mask

__all__ = ["NMSparse"]


@dataclass(frozen=True)
class NMSparse(Codec):
    """Keep the `n` largest |w| of every `m` neighbours along the inputs, and set the others to zero.

    The exact projection in the Euclidean norm. Neighbours are counted along axis 1 of a weight (out, in) or
    (out, in, kh, kw), along the only axis of a vector; `m` must divide its length.

    Examples
    --------
    >>> import numpy as np
    >>> NMSparse(2, 4).project(np.array([[3.0, -1.0, 0.5, -2.0]]))
    array([[ 3.,  0.,  0., -2.]])
    """

    n: int
    m: int
    payload: ClassVar[str] = "values"

    def __post_init__(self):
        check_int("n", self.n, 0, check_int("m", self.m, 1))

    @property
    def kind(self):
        return Sparse.kind  # a property, so that "sparse" stays the kind of Sparse, which decodes it

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        if w.ndim == 0:
            raise bad_value("w.shape", (), "at least one axis")
        return masked(w, nm_mask(xp.abs(constant(w)), self.n, m=self.m, axis=min(1, w.ndim - 1)))

    def refit(self, w, code):
        return Sparse(0.0).refit(w, code)
