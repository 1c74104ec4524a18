"""What a code can't get below, found from the counts alone: so that few codes are tried in vain."""

import numpy as np

from mcomp.coding.bits import packed_size
from mcomp.coding.entropy import entropy
from mcomp.coding.huffman import code_lengths
from mcomp.coding.tables import least_table

__all__ = ["floor_bytes", "least_huffman", "least_rans"]

ROUNDING = 0.999  # part of the entropy that rANS takes at least: its steps round, either way


def floor_bytes(counts):
    """The entropy of symbols with these counts, in bytes.

    Examples
    --------
    >>> floor_bytes(np.array([8, 4, 4]))
    3.0
    """
    return int(counts.sum()) * entropy(counts) / 8


def least_rans(counts, floor, table=0):
    """Bytes that `mcomp.coding.rans.rans_encode` takes at least: precision, table, lanes, a state, payload.

    Parameters
    ----------
    counts : integer array, shape (alphabet,)
    floor : float
        As `floor_bytes` gives it.
    table : float
        Bytes of table and payload, if they are known.

    Examples
    --------
    >>> from mcomp.coding.rans import rans_encode
    >>> counts = np.array([3000, 1000])
    >>> round(least_rans(counts, floor_bytes(counts))), len(rans_encode([0, 1, 0, 0] * 1000, alphabet=2))
    (410, 411)
    """
    if np.count_nonzero(counts) < 2:
        return 1
    return 4 + ROUNDING * (table or floor + least_table(counts))


def least_huffman(counts, floor, most):
    """Bytes that `mcomp.coding.huffman.huffman_encode` takes at least; above `most` it isn't near.

    No code word is shorter than the entropy, on average, or than a bit; and that a symbol occurs is told by
    the length of its word.

    Examples
    --------
    >>> from mcomp.coding.huffman import huffman_encode
    >>> counts = np.array([3000, 1000])
    >>> round(least_huffman(counts, floor_bytes(counts), most=600))
    502
    >>> len(huffman_encode([0, 1, 0, 0] * 1000, alphabet=2))
    502
    """
    alphabet, n = len(counts), int(counts.sum())
    least = 1 + min(packed_size(alphabet, 1), 5) + max(floor, n / 8)  # lengths by rANS: a size, and a byte
    if least >= most:
        return least
    here = np.bincount(counts > 0, minlength=2)
    width = int(here[1] - 1).bit_length().bit_length()
    least = _least_lengths(alphabet, width, here) + max(floor, n / 8)
    if least >= most:
        return least
    lengths = code_lengths(counts)
    width = int(lengths.max()).bit_length()
    return _least_lengths(alphabet, width, np.bincount(lengths)) + packed_size(int(counts @ lengths), 1)


def _least_lengths(alphabet, width, counts):
    """Bytes of the lengths of code words: in fixed width, or by rANS after its size; `counts` of lengths."""
    return 1 + min(packed_size(alphabet, width), 4 + least_rans(counts, floor_bytes(counts)))
