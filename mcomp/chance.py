"""Random streams of their own: a mask drawn with seed 0 shares no number with a network built from 0.

``torch.manual_seed(0)`` before a network is built and ``torch.Generator().manual_seed(0)`` for its mask
replay the same numbers: the mask follows the initial weights, and "random" places keep the positive ones.
Chapter 02 shows it.
"""

import hashlib

import torch

from mcomp.arrays import check_int

__all__ = ["own_seed", "own_stream"]

MOST = 2**63 - 1


def own_seed(name, seed):
    """A seed for what `name` draws, far from `seed` itself and from that of every other name.

    Examples
    --------
    >>> own_seed("a mask", 0) in (0, own_seed("a mask", 1), own_seed("a shuffle", 0))
    False
    """
    text = f"{name} {check_int('seed', seed, 0, MOST)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")  # as many bits as torch uses


def own_stream(name, seed):
    """A torch generator on the CPU that starts from `own_seed`."""
    return torch.Generator().manual_seed(own_seed(name, seed))
