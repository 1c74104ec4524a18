"""Which weights stay: scores in, boolean masks out (True = keep).

A score is one number a weight, larger is kept; for magnitude pruning it is ``abs(w)``. The mask is then the
exact L2 projection: ``w * mask`` is the nearest array to `w` among those with as many non-zeros. Derived in
chapters/02_magnitude_pruning.ipynb. Han et al. 2015, arXiv:1506.02626.
"""

import math

from mcomp.arrays import (
    array_namespace,
    bad_value,
    check_finite,
    check_int,
    check_real,
    device,
    kth_largest,
    size,
)


def threshold_mask(score, theta):
    """Keep the entries of `score` that are larger than `theta`: ``score > theta``, an equal one goes.

    Parameters
    ----------
    score : real array, any shape
        Larger is kept. Finite. For magnitude pruning ``abs(w)``, never `w` itself.
    theta : float
        Compared in the precision of `score`.

    Returns
    -------
    mask : bool array; shape, library and device of `score`

    Raises
    ------
    ValueError
        If `theta` is not finite, or `score` is empty or holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> threshold_mask(abs(np.array([-0.5, 0.1, 0.2])), 0.2)
    array([ True, False, False])
    """
    _check_score("score", score)
    return _above(score, check_real("theta", theta))


def relative_threshold_mask(score, alpha):
    """Keep the entries larger than `alpha` times the largest: ``score > alpha * max(score)``.

    Parameters
    ----------
    score : real array, any shape
        Larger is kept. Finite and not negative, as ``abs(w)`` is.
    alpha : float in [0, 1]
        0 keeps all that are not zero, 1 keeps nothing.

    Returns
    -------
    mask : bool array; shape, library and device of `score`

    Raises
    ------
    ValueError
        If `alpha` is out of range, or `score` is empty, negative somewhere, or holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> relative_threshold_mask(abs(np.array([-4.0, 1.0, 3.0])), 0.5)
    array([ True, False,  True])
    """
    xp = _check_score("score", score)
    alpha, least, most = check_real("alpha", alpha, 0, 1), float(xp.min(score)), float(xp.max(score))
    if least < 0:
        raise bad_value("the least score", least, "0 or more; the score of a weight w is abs(w)")
    return _above(score, alpha * most)


def topk_mask(score, k):
    """Keep exactly the `k` largest entries of `score`.

    Parameters
    ----------
    score : real array, any shape
        Larger is kept. Finite.
    k : int
        0 to the size of `score`.

    Returns
    -------
    mask : bool array; shape, library and device of `score`
        Ties: the lower flat index stays.

    Raises
    ------
    ValueError
        If `k` is out of range, or `score` is empty or holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> topk_mask(np.array([3.0, 1.0, 3.0]), 1)
    array([ True, False, False])
    """
    xp = _check_score("score", score)
    k = check_int("k", k, 0, size(score))
    return xp.reshape(_keep_top(xp.reshape(score, (-1,)), k), score.shape)


def global_topk_masks(scores, k, *, least=0):
    """Keep exactly the `k` largest entries of all arrays of `scores` together.

    One threshold for all may empty an array whose entries are small. With `least` each array keeps so many of
    its own largest, and the others have less to share: of all choices with these floors that of largest sum.

    Parameters
    ----------
    scores : dict of name -> real array, any shapes
        Larger is kept. Finite. One library and one device.
    k : int
        0 to the number of all entries.
    least : int, or dict of name -> int
        How many entries of each array stay at least; of a smaller array, all. At most `k` together.

    Returns
    -------
    masks : dict of name -> bool array
        Names in the same order, shapes as in `scores`, each with memory of its own. Ties: the earlier name
        stays, and within an array the lower flat index.

    Raises
    ------
    ValueError
        If `scores` has no array, `k` or `least` is out of range, or an array is empty or holds a NaN or an
        infinity.

    Examples
    --------
    >>> import numpy as np
    >>> global_topk_masks({"a": np.array([1.0, 5.0]), "b": np.array([5.0, 7.0])}, 2)
    {'a': array([False,  True]), 'b': array([False,  True])}
    >>> global_topk_masks({"a": np.array([1.0, 2.0]), "b": np.array([5.0, 7.0])}, 2, least=1)
    {'a': array([False,  True]), 'b': array([False,  True])}
    """
    if not scores:
        raise bad_value("scores", scores, "a dict with at least one array")
    xp = array_namespace(*scores.values())
    for name, score in scores.items():
        _check_score(f"scores[{name!r}]", score)
    k = check_int("k", k, 0, sum(map(size, scores.values())))
    floors, held = _floors(scores, least, k), {}
    while True:  # who comes short gets its floor; what it takes from the others may make another short
        free = {name: score for name, score in scores.items() if name not in held}
        masks = _globally(xp, free, k - sum(floors[name] for name in held))
        short = [name for name, mask in masks.items() if int(xp.count_nonzero(mask)) < floors[name]]
        if not short:
            return {name: held[name] if name in held else masks[name] for name in scores}
        held |= {name: topk_mask(scores[name], floors[name]) for name in short}


def kept_count(n, sparsity):
    """How many of `n` entries stay at `sparsity` in [0, 1]: n minus round(sparsity * n), half to even.

    Examples
    --------
    >>> kept_count(266_200, 0.9)
    26620
    """
    n = check_int("n", n, 0)
    return n - round(check_real("sparsity", sparsity, 0, 1) * n)


def sparsity(x):
    """The fraction in [0, 1] of entries of `x` that are zero; of a mask, the fraction that goes.

    Raises
    ------
    ValueError
        If `x` is empty or holds a NaN or an infinity.

    Examples
    --------
    >>> import numpy as np
    >>> sparsity(np.array([[0.0, 2.0], [-1.0, 0.0]])), sparsity(np.array([True, True, True, False]))
    (0.5, 0.25)
    """
    xp = array_namespace(x)
    check_finite("x", x)
    return (size(x) - int(xp.count_nonzero(x))) / size(x)


def _globally(xp, scores, k):
    keep = _keep_top(xp.concat([xp.reshape(score, (-1,)) for score in scores.values()]), k)  # (all entries,)
    masks, start = {}, 0
    for name, score in scores.items():
        part = xp.asarray(keep[start : start + size(score)], copy=True)
        masks[name] = xp.reshape(part, score.shape)
        start += size(score)
    return masks


def _floors(scores, least, k):
    """How many entries of each array stay at least, dict of name to int."""
    if isinstance(least, dict) and {*least} - {*scores}:
        raise bad_value("a name in least", min({*least} - {*scores}, key=str), f"one of {', '.join(scores)}")
    each = least if isinstance(least, dict) else dict.fromkeys(scores, least)
    floors = {name: check_int("least", each.get(name, 0), 0) for name in scores}
    floors = {name: min(n, size(scores[name])) for name, n in floors.items()}
    if sum(floors.values()) > k:
        raise bad_value(
            "least", least, f"floors of at most k = {k} entries together, not {sum(floors.values())}"
        )
    return floors


def _check_score(name, score):
    xp = array_namespace(score)
    if not xp.isdtype(score.dtype, ("real floating", "integral")):
        raise bad_value(f"{name}.dtype", str(score.dtype), "a real floating or an integer dtype")
    check_finite(name, score)
    return xp


def _above(score, theta):
    xp = array_namespace(score)
    if xp.isdtype(score.dtype, "integral"):  # torch would wrap 1000 around to compare it with int8
        score, theta = xp.astype(score, xp.int64), math.floor(theta)
    return score > theta


def _keep_top(flat, k):
    xp = array_namespace(flat)
    if k == 0:
        return xp.zeros(flat.shape, dtype=xp.bool, device=device(flat))
    least = kth_largest(flat, k)
    keep = flat > least  # at most k - 1 of them
    missing = k - int(xp.count_nonzero(keep))
    end = int(xp.nonzero(flat == least)[0][missing - 1]) + 1  # behind the last of the equals that stays
    keep[:end] = flat[:end] >= least
    return keep
