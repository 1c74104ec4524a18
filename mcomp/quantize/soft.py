"""A histogram that can be differentiated, and the entropy in bits that it predicts: a file's size as a loss.

Each entry takes every level a little: level j with the chance p_ij that falls with the squared distance. The
means m_j of these are soft counts, and H = -sum_j m_j log2 m_j is what a code for them would take. In the
limit of no width it is the entropy of the nearest levels. Oktay et al. 2020 (arXiv:1906.06624) put such a
rate into the loss of a network, with noise and a learned density in the place of soft counts;
soft assignments: Agustsson et al. 2017 (arXiv:1704.00648).
"""

import math

from mcomp.arrays import array_namespace, bad_value, check_real, constant, size
from mcomp.quantize.codebooks import check_values

__all__ = ["soft_assignments", "soft_entropy", "soft_entropy_gradient", "soft_histogram"]


def soft_assignments(x, levels, *, width):
    """How much each entry takes each level: softmax over the levels of ``-(x - level)**2 / (2 width**2)``.

    Parameters
    ----------
    x : floating array, any shape (flattened to n)
    levels : floating array (k,), in any order
    width : float, above 0
        In the unit of `x`. A quarter of the distance between levels is a good start; far below it almost
        every entry is sure of its level, and no gradient is left.

    Returns
    -------
    p : floating array (n, k)
        Rows sum to 1. Under torch, gradients flow to `x` and `levels`.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or `width` isn't above 0.

    Examples
    --------
    >>> import numpy as np
    >>> soft_assignments(np.array([0.0, 0.5]), np.array([0.0, 1.0]), width=0.5).round(3)
    array([[0.881, 0.119],
           [0.5  , 0.5  ]])
    """
    xp = array_namespace(x, levels)
    check_values("x", x)
    check_values("levels", levels)
    if levels.ndim != 1:
        raise bad_value("levels.shape", tuple(levels.shape), "(k,)")
    width = check_real("width", width, 1e-30)
    z = (xp.reshape(x, (-1,))[:, None] - levels[None, :]) / (math.sqrt(2) * width)  # (n, k)
    z = -(z**2)
    z = xp.exp(z - constant(xp.max(z, axis=1, keepdims=True)))
    return z / xp.sum(z, axis=1, keepdims=True)


def soft_histogram(x, levels, *, width, weights=None):
    """The share of each level, (k,), which sum to 1: the means of `soft_assignments`.

    `weights`, real and of the shape of `x`: how much each entry counts (0 for one that a mask leaves out).

    Examples
    --------
    >>> import numpy as np
    >>> soft_histogram(np.array([0.0, 0.0, 1.0, 0.5]), np.array([0.0, 1.0]), width=0.1)
    array([0.625, 0.375])
    """
    p, share = soft_assignments(x, levels, width=width), _shares(x, weights)
    return array_namespace(p).sum(p * share[:, None], axis=0)


def soft_entropy(x, levels, *, width, weights=None):
    """Entropy of the soft histogram, in bits an entry: a floating array () through which gradients flow.

    Examples
    --------
    >>> import numpy as np
    >>> float(soft_entropy(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0]), width=0.1))
    1.0
    """
    m = soft_histogram(x, levels, width=width, weights=weights)
    xp = array_namespace(m)
    return xp.sum(m * _prices(m))


def soft_entropy_gradient(x, levels, *, width, weights=None):
    """What `soft_entropy` changes by for each entry of `x`, by hand: an array of its shape.

    dp_ij / dx_i = p_ij (level_j - mean_i) / width^2 with mean_i = sum_j p_ij level_j, and dH = -sum_j (log2
    m_j + 1 / ln 2) dm_j, where the constant drops out as rows sum to 1. So with the price b_j = -log2 m_j of
    a level the gradient is, share of the entry times, the covariance of price and level under its own p_i.,
    over width^2: each entry is pulled to where the levels around it are cheap. For all entries together it
    costs one pass.

    Examples
    --------
    >>> import numpy as np
    >>> soft_entropy_gradient(np.array([0.0, 0.0, 0.4]), np.array([0.0, 1.0]), width=0.5).round(3)
    array([0.264, 0.264, 0.603])
    """
    xp = array_namespace(x, levels)
    p, share = soft_assignments(x, levels, width=width), _shares(x, weights)
    price = _prices(xp.sum(p * share[:, None], axis=0))
    mean, cost = (xp.sum(p * v[None, :], axis=1) for v in (levels, price))
    both = xp.sum(p * (levels * price)[None, :], axis=1)
    return xp.reshape(share * (both - mean * cost) / width**2, x.shape)


def _prices(m):
    """-log2 of shares; of a share of 0, that of the least number there is."""
    xp = array_namespace(m)
    return -xp.log2(xp.clip(m, float(xp.finfo(m.dtype).smallest_normal), None))


def _shares(x, weights):
    """What each entry counts, summing to 1: (n,)."""
    xp = array_namespace(x)
    if weights is None:
        return xp.ones_like(xp.reshape(x, (-1,))) / size(x)
    if tuple(weights.shape) != tuple(x.shape):
        raise bad_value("weights.shape", tuple(weights.shape), tuple(x.shape))
    total = xp.sum(weights)
    if not (math.isfinite(float(total)) and float(xp.min(weights)) >= 0 and float(total) > 0):
        raise bad_value("weights", f"from {float(xp.min(weights))} to a sum of {float(total)}", "0 or more")
    return xp.reshape(xp.astype(weights, x.dtype) / xp.astype(total, x.dtype), (-1,))
