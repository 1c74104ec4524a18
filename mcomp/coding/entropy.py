"""Entropy, and counts made into probabilities that both ends of a file agree on.

Shannon 1948, "A Mathematical Theory of Communication", section 6: no code of independent symbols with
probabilities p spends fewer than H(p) = -sum p log2 p bits a symbol. `quantize_counts` is
integer arithmetic, so encoder and decoder compute the same on every machine.
"""

import math

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.bits import as_symbols

__all__ = ["check_counts", "cross_entropy", "entropy", "histogram", "quantize_counts", "quantized"]


def histogram(symbols, alphabet):
    """How often each of `alphabet` symbols occurs.

    Returns
    -------
    counts : int64 array, shape (alphabet,)

    Examples
    --------
    >>> histogram([0, 2, 2], alphabet=4)
    array([1, 0, 2, 0])
    """
    return np.bincount(as_symbols(symbols, alphabet), minlength=alphabet)


def check_counts(name, counts):
    """`counts` as int64 (n,); ValueError if it isn't a row of integers from 0 to 2**46 - 1."""
    counts = np.asarray(counts)
    if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu":
        raise bad_value(name, counts, "a 1-D integer array of at least one entry")
    if int(counts.min()) < 0 or int(counts.max()) >= 1 << 46:  # so that 2**16 times a count fits in an int64
        raise bad_value(name, counts, "counts from 0 to 2**46 - 1")
    return counts.astype(np.int64)


def entropy(counts):
    """Empirical entropy H = sum (c/n) log2(n/c), in bits per symbol.

    Parameters
    ----------
    counts : real array, shape (alphabet,)
        From `histogram`, or probabilities. All zero: the entropy is 0.

    Examples
    --------
    >>> entropy([2, 1, 1])
    1.5
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not (counts.min(initial=0) >= 0 and counts.sum() < math.inf):
        raise bad_value("counts", counts, "finite numbers of at least 0, shape (alphabet,)")
    here = counts[counts > 0]
    return float((here / here.sum()) @ np.log2(here.sum() / here)) + 0.0 if here.size else 0.0


def cross_entropy(counts, freqs):
    """Bits per symbol of data with these `counts` under a code made for `freqs` (of any total).

    At least ``entropy(counts)``; the excess is the Kullback-Leibler divergence. ``inf`` if a symbol that
    occurs has frequency 0.

    Examples
    --------
    >>> cross_entropy([2, 1, 1], [1, 1, 2])
    1.75
    """
    counts, freqs = np.asarray(counts, np.float64), np.asarray(freqs, np.float64)
    if counts.ndim != 1 or counts.shape != freqs.shape:
        raise bad_value("shapes of counts and freqs", (counts.shape, freqs.shape), "(alphabet,) twice")
    if not (np.isfinite([counts, freqs]).all() and min(counts.min(initial=0), freqs.min(initial=0)) >= 0):
        raise bad_value("counts or freqs", "negative, NaN or infinite", "finite numbers of at least 0")
    here = counts > 0
    if (freqs[here] == 0).any():
        return math.inf
    p = counts[here] / (counts.sum() or 1.0)
    return float(p @ np.log2(freqs.sum() / freqs[here])) + 0.0  # + 0.0: never -0.0


def quantize_counts(counts, bits):
    """Scale `counts` to integers that sum to ``2**bits``, none that occurs rounded down to 0.

    Symbols whose share is below 1 get 1; the others divide what is left in proportion, the remainders going
    to the largest fractions (ties: the lower symbol first).

    Parameters
    ----------
    counts : integer array, shape (alphabet,)
        At least one positive.
    bits : int
        0 to 16, and ``2**bits`` at least the number of symbols that occur.

    Returns
    -------
    freqs : int64 array, shape (alphabet,)

    Raises
    ------
    ValueError
        If no symbol occurs, or more than ``2**bits`` do.

    Examples
    --------
    >>> quantize_counts([1000, 1, 0, 500], bits=4)
    array([10,  1,  0,  5])
    """
    counts, total = check_counts("counts", counts), 1 << check_int("bits", bits, 0, 16)
    if not 1 <= np.count_nonzero(counts) <= total:
        raise bad_value("number of symbols that occur", int(np.count_nonzero(counts)), f"1 to {total}")
    return quantized(counts, np.array([bits]))[0]


def quantized(counts, bits):
    """`quantize_counts` for several `bits` (n,) at once, without its checks: int64 (n, alphabet)."""
    here = np.flatnonzero(counts)
    freqs, counts = np.zeros((len(bits), len(counts)), np.int64), counts[here]
    total = np.left_shift(1, bits)[:, None]
    free, room = np.ones((len(bits), len(here)), bool), total
    while True:
        weight = (counts * free).sum(1, keepdims=True)
        pinned = free & (counts * room < weight)
        if not pinned.any():
            break
        free, room = free & ~pinned, room - pinned.sum(1, keepdims=True)
    share, part = np.divmod(counts * room, weight)
    few = np.where(free, share, 1)
    order = np.argsort(np.where(free, -part, 1), axis=1, kind="stable")  # those that aren't free come last
    more = np.arange(len(here)) < total - few.sum(1, keepdims=True)
    np.put_along_axis(few, order, np.take_along_axis(few, order, 1) + more, 1)
    freqs[:, here] = few
    return freqs
