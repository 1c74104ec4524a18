"""Masks that move: weights that come back, weights that are swapped, and how many each layer gets at first.

Derived in chapters/05_pruning_over_time.ipynb. Guo et al. 2016 (arXiv:1608.04493), Mocanu et al. 2017
(arXiv:1707.04780), Evci et al. 2019 (arXiv:1911.11134). True = keep.
"""

import math

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, check_real, size
from mcomp.prune.masks import topk_mask


def surgery_mask(w, mask, *, low, high):
    """The next mask with two thresholds: a weight goes below `low`, and comes back above `high`.

    Guo et al. 2016 (arXiv:1608.04493), eq. 3: False where |w| < low, True where |w| >= high, and as before
    in between, so that a weight near one threshold doesn't go and come back in turn.

    Parameters
    ----------
    w : real array, any shape
        The weights as they are behind the mask: those that are out go on learning. Finite.
    mask : bool array, the same shape
        As it is now.
    low, high : float
        0 <= low <= high.

    Returns
    -------
    mask : bool array; shape, library and device of `w`

    Raises
    ------
    ValueError
        If the thresholds are out of range or order, `mask` doesn't fit, or `w` is empty or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> w, mask = np.array([0.1, 0.5, -0.5, -0.9]), np.array([True, True, False, False])
    >>> surgery_mask(w, mask, low=0.4, high=0.6)
    array([False,  True, False,  True])
    """
    xp = _check_pair(w, mask)
    low = check_real("low", low, 0)
    high = check_real("high", high, low)
    return (xp.abs(w) >= high) | (mask & (xp.abs(w) >= low))


def surgery_score(w, mask, *, margin):
    """|w| divided by 1 - margin where `mask` keeps, by 1 + margin where it doesn't.

    The largest k of it are a mask as `surgery_mask` makes it, with low and high a margin below and above
    the threshold at which exactly k stay.

    Examples
    --------
    >>> import numpy as np
    >>> surgery_score(np.array([3.0, -3.0]), np.array([True, False]), margin=0.5)
    array([6., 2.])
    """
    xp, margin = _check_pair(w, mask), check_real("margin", margin, 0, 0.99)
    return xp.where(mask, xp.abs(w) / (1 - margin), xp.abs(w) / (1 + margin))


def drop_and_grow(w, mask, *, score, k):
    """The next mask after `k` swaps: the kept weights of least |w| go, those out of the largest |score| come.

    RigL (Evci et al. 2019, arXiv:1911.11134, section 3) takes the gradient as the score, SET (Mocanu et al.
    2017, arXiv:1707.04780) chance. A weight that has just gone may come back at once, as in RigL. SET drops
    the least positive and the least negative weights apart; here the least |w| of both go together.

    Parameters
    ----------
    w : real array, any shape
        Finite.
    mask : bool array, the same shape
    score : real array, the same shape
        The larger its size, the sooner a weight comes. Finite.
    k : int
        0 to the number of weights that `mask` keeps.

    Returns
    -------
    mask : bool array; shape, library and device of `w`
        Keeps as many as before. Ties: the lower flat index stays, and comes.

    Raises
    ------
    ValueError
        If `k` is out of range, the shapes differ, or `w` or `score` is empty or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> w, mask = np.array([0.1, -0.7, 0.0, 0.0]), np.array([True, True, False, False])
    >>> drop_and_grow(w, mask, score=np.array([0.2, 0.9, 0.1, -0.8]), k=1)
    array([False,  True, False,  True])
    """
    xp = _check_pair(w, mask)
    _check_pair(score, mask, "score")
    kept = int(xp.count_nonzero(mask))
    k = check_int("k", k, 0, kept)
    outside = xp.asarray(-1.0, dtype=w.dtype)
    stays = topk_mask(xp.where(mask, xp.abs(w), outside), kept - k)
    outside = xp.asarray(-1.0, dtype=score.dtype)
    return stays | topk_mask(xp.where(stays, outside, xp.abs(score)), k)


def erdos_renyi_counts(shapes, k):
    """Share `k` weights out to layers so that each gets a number in proportion to the sum of its axes.

    A random bipartite graph after Erdős and Rényi (Mocanu et al. 2017, arXiv:1707.04780, eq. 1), with the
    axes of a kernel counted too (Evci et al. 2019, arXiv:1911.11134, section 3): small layers stay denser. A
    layer that would get more than it has is full, and the others share the rest.

    Parameters
    ----------
    shapes : dict of str to tuple of int
    k : int
        0 to the number of all weights.

    Returns
    -------
    counts : dict of str to int
        Their sum is `k`.

    Raises
    ------
    ValueError
        If there is no layer, a size is less than 1, or `k` is out of range.

    Examples
    --------
    >>> erdos_renyi_counts({"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}, 26_620)
    {'fc1': 18714, 'fc2': 6906, 'fc3': 1000}
    """
    if not shapes or any(check_int("a size", n, 1) < 1 for shape in shapes.values() for n in shape):
        raise bad_value("shapes", shapes, "a dict with at least one shape")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    left, free = check_int("k", k, 0, sum(sizes.values())), {name: sum(s) for name, s in shapes.items()}
    counts = {}
    while full := [n for n, share in free.items() if left * share >= sizes[n] * sum(free.values())]:
        for name in full:
            counts[name] = sizes[name]
            del free[name]
        left = k - sum(counts.values())
    shares = {name: divmod(left * share, sum(free.values())) for name, share in free.items()}
    rest = left - sum(whole for whole, _ in shares.values())
    first = sorted(shares, key=lambda name: -shares[name][1])[:rest]  # the largest remainders, exactly
    return {n: counts[n] if n in counts else shares[n][0] + (n in first) for n in shapes}


def _check_pair(w, mask, name="w"):
    xp = array_namespace(w, mask)
    check_finite(name, w)
    if mask.dtype != xp.bool or tuple(mask.shape) != tuple(w.shape) or size(w) == 0:
        found = f"{mask.dtype} of shape {tuple(mask.shape)}"
        raise bad_value("mask", found, f"bool of the shape of {name}, {tuple(w.shape)}")
    return xp
