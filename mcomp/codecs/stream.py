"""A stream of a code in a file: its bytes, and what its numbers are worth as independent draws."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mcomp.coding.entropy import entropy

__all__ = ["Stream", "entropy_bits"]


@dataclass(frozen=True)
class Stream:
    """Part of a code in a file.

    Attributes
    ----------
    name : str
        "positions", "values", "centroids", "index", or the name of an array of another codec.
    count : int
        How many numbers it describes.
    data : bytes
        With its tag and length.
    entropy_bits : float, computed when asked for
        Of the numbers as independent draws: what a coder that knows their frequencies, and nothing else,
        needs on average. Context can get below it; tables and rounding cost extra.
    """

    name: str
    count: int
    data: bytes
    bits: Callable = field(repr=False)

    @property
    def entropy_bits(self):
        return self.bits()


def entropy_bits(values):
    counts = np.unique(values.view(f"u{values.itemsize}"), return_counts=True)[1]
    return values.size * entropy(counts) if values.size else 0.0
