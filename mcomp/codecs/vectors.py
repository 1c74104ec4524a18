"""The codec of shared vectors: each run of weights takes one of k, which k-means finds.

Gong et al. 2014 (arXiv:1412.6115), Stock et al. 2019 (arXiv:1907.05686). Derived in chapter 09b.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from mcomp.arrays import array_namespace, bad_value, check_int, constant
from mcomp.codecs.basic import checked, flat, shaped
from mcomp.codecs.code import Code, Codec, payload_of
from mcomp.codecs.fields import symbols
from mcomp.quantize.product import kmeans, nearest_vector

__all__ = ["Product"]


@dataclass(frozen=True)
class Product(Codec):
    """Each run of `d` weights takes one of `k` shared vectors: k-means in d dimensions.

    At most log2(k) / d bits a weight, and the codebook. The flat tensor is cut; zeros fill the last run.

    Examples
    --------
    >>> import numpy as np
    >>> Product(2, 2).project(np.array([[0.0, 1.0, 5.0, 5.0], [0.0, 1.2, 5.0, 5.4]])).round(2)
    array([[0. , 1.1, 5. , 5.2],
           [0. , 1.1, 5. , 5.2]])
    """

    k: int
    d: int
    kind: ClassVar[str] = "product"
    payload: ClassVar[str] = "centroids"

    def __post_init__(self):
        check_int("k", self.k, 1, 4096)
        check_int("d", self.d, 1, 64)

    def encode(self, w, *, start=None):
        runs = _runs(flat(constant(checked(w))), self.d)
        if start is None:
            centroids, index = kmeans(runs, min(self.k, runs.shape[0]))
        else:
            centroids = constant(payload_of(start, "centroids"))
            index = nearest_vector(runs, centroids)
        return Code(self.kind, tuple(w.shape), {"index": index}, {"centroids": centroids})

    def refit(self, w, code):
        return code  # the vectors belong to the codebook

    @staticmethod
    def _decode(code):
        centroids, n = code.floats["centroids"], math.prod(code.shape)
        if centroids.ndim != 2 or 0 in centroids.shape:
            raise bad_value("centroids.shape", tuple(centroids.shape), "(k, d)")
        k, d = centroids.shape
        index = symbols(code, "index", k - 1, n=-(-n // d))
        vectors = array_namespace(centroids).take(centroids, index, axis=0)
        return shaped(flat(vectors)[:n], code.shape)


def _runs(x, d):
    """A vector cut in runs of `d`, zeros at the end: (runs, d)."""
    xp, missing = array_namespace(x), -x.shape[0] % d
    zeros = xp.broadcast_to(xp.zeros_like(x[:1]), (missing,))
    return xp.reshape(xp.concat([x, zeros]), (-1, d))
