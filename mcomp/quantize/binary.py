"""One bit a weight: the sign and one scale, and the dot product of signs by xnor and popcount.

Rastegari et al. 2016 (XNOR-Net, arXiv:1603.05279): eq. 6 for the scale, section 3.2 for the dot product.
Derived in chapters/09_few_levels.ipynb.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int
from mcomp.quantize.cells import cells, uncells

WORD = 32  # weights in a word

__all__ = ["binarize", "pack_signs", "popcount", "unpack_signs", "xnor_matmul"]


def rows(w, axis):
    """`w` as a matrix: a row for each index along `axis`, or one row in all for None. (channels, m)"""
    xp = array_namespace(w)
    if not xp.isdtype(w.dtype, "real floating"):
        raise bad_value("w.dtype", str(w.dtype), "a real floating dtype")
    check_finite("w", w)
    table = cells(w, axis=axis)
    return table[None, :] if axis is None else table


def unrows(matrix, shape, axis):
    """Inverse of `rows`, for a tensor of `shape`."""
    return uncells(matrix, shape, axis=axis)


def binarize(w, *, axis=None):
    """The nearest ``scale * signs`` to `w` in the least squares sense.

    For any scale a > 0 the best sign is that of w, and the best a then is the mean of |w| (eq. 6). The
    error is the sum of w² minus m·a², over the m weights that share a.

    Parameters
    ----------
    w : floating array, any shape
        Finite.
    axis : int, optional
        One scale for each index along it: 0 for output channels. Default: one for all.

    Returns
    -------
    signs : bool array of the shape of `w`
        True stands for +1, False for −1. Zero counts as positive.
    scale : floating array (channels,)
        Dtype of `w`; summed in float64.

    Examples
    --------
    >>> binarize(np.array([3.0, -1.0, 0.0, -4.0]))
    (array([ True, False,  True, False]), array([2.]))
    """
    xp, table = array_namespace(w), rows(w, axis)
    scale = xp.mean(xp.abs(xp.astype(table, xp.float64)), axis=1)
    return w >= 0, xp.astype(scale, w.dtype)


def pack_signs(signs):
    """Signs (..., n) as words (..., ceil(n / 32)) of 32 bits: entry i is bit i % 32 of word i // 32.

    Examples
    --------
    >>> pack_signs(np.array([True, False, True]))
    array([5], dtype=uint32)
    """
    signs = np.asarray(signs)
    if signs.dtype != bool or signs.ndim == 0 or signs.size == 0:
        raise bad_value("signs", f"{signs.dtype} of shape {signs.shape}", "bool, at least one entry")
    words = -(-signs.shape[-1] // WORD)
    padded = np.zeros((*signs.shape[:-1], words * WORD), np.uint32)
    padded[..., : signs.shape[-1]] = signs
    bits = padded.reshape(*signs.shape[:-1], words, WORD) << np.arange(WORD, dtype=np.uint32)
    return np.bitwise_or.reduce(bits, axis=-1)


def unpack_signs(words, n):
    """Inverse of `pack_signs`: bool (..., n)."""
    n = check_int("n", n, 1, WORD * words.shape[-1])
    bits = (words[..., None] >> np.arange(WORD, dtype=np.uint32)) & np.uint32(1)
    return bits.reshape(*words.shape[:-1], -1)[..., :n].astype(bool)


def popcount(words):
    """How many bits of each word of 32 are 1: pairs, then fours, then bytes are added side by side.

    Examples
    --------
    >>> popcount(np.array([0, 5, 2**32 - 1], np.uint32))
    array([ 0,  2, 32], dtype=uint32)
    """
    if words.dtype != np.uint32:
        raise bad_value("words.dtype", str(words.dtype), "uint32")
    x = words - ((words >> 1) & np.uint32(0x55555555))  # 16 counts of 2 bits
    x = (x & np.uint32(0x33333333)) + ((x >> 2) & np.uint32(0x33333333))  # 8 counts of 4 bits
    x = (x + (x >> 4)) & np.uint32(0x0F0F0F0F)  # 4 counts of a byte
    return (x * np.uint32(0x01010101)) >> 24  # the product's top byte is their sum


def xnor_matmul(a, b, *, n, count=popcount):
    """All dot products of the rows of two packed sign matrices: ``A @ B.T`` of their ±1, without a product.

    Two signs agree where xnor is 1. With c agreements of n the dot product is c − (n − c) = 2c − n; the
    program counts the n − c disagreements, the ones of xor, because the unused bits of the last word agree.

    Parameters
    ----------
    a, b : uint32 array (rows_a, words) and (rows_b, words)
        From `pack_signs`.
    n : int
        Signs in a row.
    count : function of words
        `popcount`, or ``np.bitwise_count``, which is one instruction of the processor.

    Returns
    -------
    products : int32 array (rows_a, rows_b)

    Examples
    --------
    >>> a = pack_signs(np.array([[True, True, False]]))
    >>> xnor_matmul(a, a, n=3)
    array([[3]], dtype=int32)
    """
    for name, words in (("a", a), ("b", b)):
        if words.dtype != np.uint32 or words.ndim != 2 or words.shape[1] != a.shape[1]:
            raise bad_value(name, f"{words.dtype} of shape {words.shape}", "uint32 rows of equal length")
    n = check_int("n", n, WORD * (a.shape[1] - 1) + 1, WORD * a.shape[1])
    differ = np.zeros((len(a), len(b)), np.int32)
    for j in range(a.shape[1]):  # a word at a time: (rows_a, rows_b) stays in the cache
        differ += count(a[:, j, None] ^ b[None, :, j])
    return n - 2 * differ
