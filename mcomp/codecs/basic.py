"""The codecs of chapters 00 and 02: every number as it is, the largest few, a few shared values.

Han et al. 2015 (arXiv:1510.00149). What other codec modules share: `checked`, `flat`, `shaped`.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from mcomp.arrays import (
    array_namespace,
    bad_value,
    check_finite,
    check_int,
    check_real,
    constant,
    scatter,
    size,
)
from mcomp.codecs.code import Code, Codec, payload_of
from mcomp.prune.masks import kept_count, topk_mask
from mcomp.quantize.codebooks import MAX_VALUES, assign, kmeans_1d

__all__ = ["Codebook", "Plain", "Sparse", "checked", "flat", "masked", "shaped"]


def masked(w, mask):
    """The code of `w` where `mask` (bool, the same shape) is True, and zeros elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from mcomp.codecs.code import decode
    >>> decode(masked(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])))
    array([1., 0., 3.])
    """
    xp = array_namespace(w, mask)
    if mask.dtype != xp.bool or mask.shape != w.shape:
        found = f"{mask.dtype} of shape {tuple(mask.shape)}"
        raise bad_value("mask", found, f"bool of shape {tuple(w.shape)}")
    positions = xp.nonzero(flat(mask))[0]
    return Sparse(0.0).refit(w, Code("sparse", tuple(w.shape), {"positions": positions}))


@dataclass(frozen=True)
class Plain(Codec):
    """Every number as it is: the identity, and what any other codec must beat."""

    kind: ClassVar[str] = "plain"
    payload: ClassVar[str] = "values"

    def encode(self, w, *, start=None):
        return self.refit(checked(w), None)

    def refit(self, w, code):
        return Code(self.kind, tuple(w.shape), floats={"values": flat(w)})

    @staticmethod
    def _decode(code):
        return shaped(code.floats["values"], code.shape)


@dataclass(frozen=True)
class Sparse(Codec):
    """Keep the largest |w| and set the fraction `sparsity` in [0, 1] to zero (chapter 02).

    The exact projection in the Euclidean norm onto the tensors with that many zeros. Ties: the lower flat
    index stays. How many stay: `mcomp.prune.masks.kept_count`.

    Examples
    --------
    >>> import numpy as np
    >>> Sparse(0.5).project(np.array([[3.0, -1.0], [0.5, -2.0]]))
    array([[ 3.,  0.],
           [ 0., -2.]])
    """

    sparsity: float
    kind: ClassVar[str] = "sparse"
    payload: ClassVar[str] = "values"

    def __post_init__(self):
        check_real("sparsity", self.sparsity, 0.0, 1.0)

    def encode(self, w, *, start=None):
        xp, k = array_namespace(checked(w)), kept_count(size(w), self.sparsity)
        nonzero = w != 0
        if int(xp.count_nonzero(nonzero)) == k:  # as sparse as asked, as in fine-tuning: no search is needed
            return self._same_places(w, k, start) or masked(w, nonzero)
        return masked(w, topk_mask(xp.abs(constant(w)), k))

    def _same_places(self, w, k, start):
        """The code with the positions of `start` (the very same array) if `w`, with k non-zeros, has them."""
        if start is None or size(start.symbols["positions"]) != k:
            return None
        code = self.refit(w, Code(self.kind, tuple(w.shape), start.symbols))
        return code if bool(array_namespace(w).all(code.floats["values"] != 0)) else None

    def refit(self, w, code):
        kept = array_namespace(w).take(flat(w), code.symbols["positions"], axis=0)
        return replace(code, floats={"values": kept})

    @staticmethod
    def _decode(code):
        n = math.prod(code.shape)
        return shaped(scatter(code.floats["values"], code.symbols["positions"], n=n), code.shape)


@dataclass(frozen=True)
class Codebook(Codec):
    """Let all weights share at most `k` values: one-dimensional k-means (chapter 09).

    Examples
    --------
    >>> import numpy as np
    >>> Codebook(2).project(np.array([0.9, 1.1, -2.0]))
    array([ 1.,  1., -2.])
    """

    k: int
    kind: ClassVar[str] = "codebook"
    payload: ClassVar[str] = "centroids"

    def __post_init__(self):
        check_int("k", self.k, 1, MAX_VALUES)

    def encode(self, w, *, start=None):
        xp = array_namespace(checked(w))
        values = constant(flat(w))
        if start is None:
            centroids, index = kmeans_1d(values, self.k)
        else:
            centroids = xp.sort(constant(payload_of(start, "centroids")))
            index = assign(values, centroids)
        return Code(self.kind, tuple(w.shape), {"index": index}, {"centroids": centroids})

    def refit(self, w, code):
        return code  # the values belong to the codebook, not to single weights

    @staticmethod
    def _decode(code):
        centroids = code.floats["centroids"]
        return shaped(array_namespace(centroids).take(centroids, code.symbols["index"], axis=0), code.shape)


def checked(w):
    """`w`, if it is a real floating array with at least one entry and without NaN and infinity."""
    try:
        xp = array_namespace(w)
    except TypeError:
        raise bad_value("w", w, "an array of numpy, torch or another library of the array API") from None
    if not xp.isdtype(w.dtype, "real floating"):
        raise bad_value("w.dtype", str(w.dtype), "a real floating dtype")
    return check_finite("w", w)


def flat(x):
    return array_namespace(x).reshape(x, (-1,))


def shaped(x, shape):
    return array_namespace(x).reshape(x, tuple(shape))
