"""Minimal random coding: send not a number but which of many shared random draws is to be taken.

Sender and receiver draw the same candidates from a prior p, from a seed. The sender has a distribution q of
answers that are good enough, weighs each candidate by q / p, and draws one of them: its index is the message.
With exp(KL(q || p)) candidates and some more, what arrives is nearly a sample of q (Havasi et al. 2019,
arXiv:1810.00440), so a block costs about KL / ln 2 bits. Here p and q are Gaussians with independent entries.

Candidates come from numpy's PCG64, a stream that numpy promises to keep, by inversion: on another machine the
same index is the same block but for the last bits of a logarithm.
"""

import math

import numpy as np

from mcomp.arrays import bad_value, check_int, check_real

__all__ = ["candidates", "decode_block", "decode_blocks", "encode_block", "encode_blocks", "kl_bits"]

MOST_BITS = 20
MOST_NUMBERS = 1 << 26  # candidates times their entries that are drawn at once


def kl_bits(mean, std, *, prior_std):
    """KL(q || p) of each entry in bits, q = N(mean, std^2), p = N(0, prior_std^2): float64, shape of `mean`.

    ln(prior / std) + (std^2 + mean^2) / (2 prior^2) - 1/2, over ln 2. What sending a sample of q must cost
    on average, at least; a sharper q costs more.

    Examples
    --------
    >>> kl_bits(np.array([0.0, 1.0]), np.array([1.0, 0.5]), prior_std=1.0).round(3)
    array([0.  , 1.18])
    """
    mean, std = _gaussian(mean, std)
    prior = check_real("prior_std", prior_std, 1e-30)
    return (np.log(prior / std) + (std**2 + mean**2) / (2 * prior**2) - 0.5) / math.log(2)


def candidates(bits, size, *, prior_std, seed, block=0):
    """The draws of a block that both sides know: float64 (2**bits, size), of N(0, prior_std^2).

    Examples
    --------
    >>> candidates(1, 2, prior_std=1.0, seed=0).shape
    (2, 2)
    """
    bits, size = check_int("bits", bits, 0, MOST_BITS), check_int("size", size, 1)
    prior, key = check_real("prior_std", prior_std, 1e-30), [check_int("block", block, 0), _seed(seed)]
    if size << bits > MOST_NUMBERS:
        raise bad_value("candidates times entries", size << bits, f"up to {MOST_NUMBERS}; smaller blocks")
    raw = np.random.PCG64(np.random.SeedSequence(key)).random_raw(size << bits)
    return prior * _normal(((raw >> 12) + 0.5) / 2.0**52).reshape(1 << bits, size)


def encode_block(mean, std, *, bits, prior_std, seed, block=0, chance=None):
    """The index of one of 2**bits candidates, drawn in proportion to q / p at it.

    Parameters
    ----------
    mean, std : real arrays (size,)
        Of q.
    bits : int
        0 to 20. Fewer than ``kl_bits(...).sum()``: hardly any candidate is likely under q, and the best of
        them is taken nearly always; about 2 to 4 more: a fair sample.
    prior_std, seed, block
        What the receiver knows.
    chance : numpy Generator, optional
        Of the sender's draw, of which the receiver needs nothing.

    Returns
    -------
    index : int
        0 to 2**bits - 1.

    Examples
    --------
    >>> shared = {"bits": 10, "prior_std": 1.0, "seed": 7}
    >>> index = encode_block(np.array([1.0, -1.0]), np.array([0.1, 0.1]), **shared)
    >>> bool(np.abs(decode_block(index, 2, **shared) - [1.0, -1.0]).max() < 0.5)
    True
    """
    mean, std = _gaussian(mean, std)
    z = candidates(bits, mean.size, prior_std=prior_std, seed=seed, block=block)
    score = (z**2 @ np.full(mean.size, 0.5 / prior_std**2)) - (((z - mean) / std) ** 2).sum(1) / 2
    weight = np.exp(score - score.max())  # q / p, up to a factor
    chance = np.random.default_rng([block, _seed(seed), 1]) if chance is None else chance
    return int(np.searchsorted(np.cumsum(weight), chance.random() * weight.sum(), side="right"))


def decode_block(index, size, *, bits, prior_std, seed, block=0):
    """The candidate that `encode_block` chose: float64 (size,)."""
    index = check_int("index", index, 0, (1 << check_int("bits", bits, 0, MOST_BITS)) - 1)
    return candidates(bits, size, prior_std=prior_std, seed=seed, block=block)[index]


def encode_blocks(mean, std, *, size, bits, prior_std, seed):
    """`encode_block` for one block of `size` entries after the other, shuffled first: int64 (blocks,).

    The shuffle, which both sides know, spreads what is expensive over all blocks. The message is the indices,
    `bits` each; 2**bits candidates a block are all the time it takes, on both sides.
    """
    mean, std = _gaussian(mean, std)
    order, shared = _shuffle(mean.size, seed), {"bits": bits, "prior_std": prior_std, "seed": seed}
    starts = range(0, mean.size, check_int("size", size, 1))
    found = [
        encode_block(mean[part], std[part], block=i, **shared)
        for i, part in enumerate(order[start : start + size] for start in starts)
    ]
    return np.array(found, np.int64)


def decode_blocks(indices, n, *, size, bits, prior_std, seed):
    """Inverse of `encode_blocks`: the `n` numbers that the indices stand for, float64 (n,).

    Raises
    ------
    ValueError
        If there aren't as many indices as blocks, or one is out of range.

    Examples
    --------
    >>> mean, std = np.linspace(-1, 1, 5), np.full(5, 0.2)
    >>> shared = {"size": 2, "bits": 8, "prior_std": 1.0, "seed": 3}
    >>> decode_blocks(encode_blocks(mean, std, **shared), 5, **shared).shape
    (5,)
    """
    n, size, out = check_int("n", n, 1), check_int("size", size, 1), np.empty(n)
    order, shared = _shuffle(n, seed), {"bits": bits, "prior_std": prior_std, "seed": seed}
    if len(indices) != -(-n // size):
        raise bad_value("the number of indices", len(indices), f"{-(-n // size)}, one a block")
    for i, index in enumerate(np.asarray(indices).tolist()):
        part = order[i * size : (i + 1) * size]
        out[part] = decode_block(index, len(part), block=i, **shared)
    return out


def _seed(seed):
    return check_int("seed", seed, 0, 2**63 - 1)


def _shuffle(n, seed):
    """An order of n entries: where the n next numbers of a stream rank."""
    raw = np.random.PCG64(np.random.SeedSequence([_seed(seed), 2**32])).random_raw(n)
    return np.argsort(raw, kind="stable")


def _gaussian(mean, std):
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if mean.size == 0 or mean.shape != std.shape:
        raise bad_value("shapes of mean and std", (mean.shape, std.shape), "the same, not empty")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and std.min() > 0):
        raise bad_value("mean or std", (float(mean.min()), float(std.min())), "finite, and std above 0")
    return mean, std


# Coefficients of Acklam's rational approximation (2003) of the inverse of the normal distribution function.
A = (-3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.383577518672690e2,
     -3.066479806614716e1, 2.506628277459239)  # fmt: skip
B = (-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1,
     -1.328068155288572e1, 1.0)  # fmt: skip
C = (-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734,
     4.374664141464968, 2.938163982698783)  # fmt: skip
D = (7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0)
TAIL = 0.02425


def _normal(u):
    """The inverse of the normal distribution function of `u` in (0, 1), to about 1e-9."""
    low = np.minimum(u, 1 - u)  # the left half, mirrored
    r = low - 0.5
    middle = np.polyval(A, r**2) * r / np.polyval(B, r**2)
    q = np.sqrt(-2 * np.log(np.minimum(low, TAIL)))
    tail = np.polyval(C, q) / np.polyval(D, q)
    return np.where(low < TAIL, tail, middle) * np.where(u < 0.5, 1, -1)
