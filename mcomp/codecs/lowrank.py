"""A matrix as the product of two thin ones: `LowRank` (chapter 10).

Eckart and Young 1936 (doi:10.1007/BF02288367).
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from mcomp.arrays import array_namespace, bad_value, check_int
from mcomp.codecs.basic import checked, shaped
from mcomp.codecs.code import Code, Codec, payload_of
from mcomp.lowrank.project import low_rank

__all__ = ["LowRank"]


@dataclass(frozen=True)
class LowRank(Codec):
    """The nearest tensor of at most `rank`, as a matrix with a row for each index of the first axis.

    The payload "factors" has a row for each rank: a column of the left factor, then a row of the right one,
    both of the same length, so that a grid or a scale for each row suits both. From
    `mcomp.lowrank.break_even` on the factors hold more numbers than the tensor. At the most, min(out, in),
    nothing is lost, and a larger `rank` means that.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.outer([1.0, 2.0, 2.0], [3.0, 4.0])
    >>> LowRank(1).encode(w).floats["factors"].shape, bool(np.allclose(LowRank(1).project(w), w))
    ((1, 5), True)
    """

    rank: int
    kind: ClassVar[str] = "lowrank"
    payload: ClassVar[str] = "factors"

    def __post_init__(self):
        check_int("rank", self.rank, 1)

    def encode(self, w, *, start=None):
        if start is not None:
            return self.refit(checked(w), start)
        matrix = _matrix(checked(w))
        up, down = low_rank(matrix, min(self.rank, *matrix.shape))
        return Code(self.kind, tuple(w.shape), floats={"factors": _rows(up, down)})

    def refit(self, w, code):
        """One step of subspace iteration from `code`: the best for `w` in the column space that it finds."""
        xp, matrix = array_namespace(w), _matrix(w)
        down = payload_of(code, "factors")[:, matrix.shape[0] :]  # (rank, in)
        q = xp.linalg.qr(matrix @ down.T)[0]  # (out, rank)
        up, down = low_rank(q.T @ matrix, down.shape[0])
        return replace(code, floats={"factors": _rows(q @ up, down)})

    @staticmethod
    def _decode(code):
        out, inputs = _sizes(code.shape)
        factors = code.floats["factors"]
        xp = array_namespace(factors)
        if factors.ndim != 2 or factors.dtype not in (xp.float32, xp.float64):
            raise bad_value(
                "factors", f"{factors.dtype} {tuple(factors.shape)}", "a matrix of float32 or float64"
            )
        if factors.shape[1] != out + inputs or not 1 <= factors.shape[0] <= min(out, inputs):
            allowed = f"(1 to {min(out, inputs)}, {out + inputs}) for a tensor {tuple(code.shape)}"
            raise bad_value("factors.shape", tuple(factors.shape), allowed)
        up, down = factors[:, :out, None], factors[:, None, out:]
        w = up[0, ...] * down[0, ...]
        for r in range(1, factors.shape[0]):  # one by one: a matrix product adds in an order of its own
            w = w + up[r, ...] * down[r, ...]
        return shaped(w, code.shape)


def _sizes(shape):
    """Rows and columns of the matrix that a tensor of `shape` is taken for."""
    if len(shape) < 2 or 0 in shape:
        raise bad_value("the shape of a tensor of low rank", tuple(shape), "two axes or more, none empty")
    return shape[0], math.prod(shape[1:])


def _matrix(w):
    return array_namespace(w).reshape(w, _sizes(tuple(w.shape)))


def _rows(up, down):
    """(rank, out + in)"""
    return array_namespace(up).concat([up.T, down], axis=1)
