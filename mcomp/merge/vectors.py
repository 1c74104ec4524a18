"""Vectors of several tasks as one: TIES and DARE, on arrays.

Derived in chapters/14b_tasks_and_ensembles.ipynb. TIES trims, elects a sign and merges what agrees (Yadav et
al. 2023, arXiv:2306.01708); DARE drops and rescales (Yu et al. 2024, arXiv:2311.03099). The vectors of all
tasks are stacked along the first axis.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_real, from_host, size
from mcomp.chance import own_seed
from mcomp.prune import topk_mask

__all__ = ["dare", "elect", "merge_agreeing", "ties", "trim"]

ZEROS = ("majority", "plus")


def trim(vector, *, keep):
    """`vector` with zeros but at its largest magnitudes: exactly round(keep * n) of n stay.

    Half of a number rounds to even, and of equal magnitudes the lower flat index stays, as everywhere here.

    Parameters
    ----------
    vector : float array, any shape
    keep : float in [0, 1]

    Examples
    --------
    >>> import numpy as np
    >>> trim(np.array([3.0, -4.0, 1.0, 0.5]), keep=0.5)
    array([ 3., -4.,  0.,  0.])
    """
    xp = array_namespace(vector)
    check_finite("vector", vector)
    count = round(check_real("keep", keep, 0, 1) * size(vector))
    return xp.where(topk_mask(xp.abs(vector), count), vector, xp.zeros_like(vector))


def elect(vectors, *, zero="majority"):
    """The sign of each place: that of the sum over tasks, eq. in section 4.2 of arXiv:2306.01708.

    Parameters
    ----------
    vectors : float array (tasks, ...)
    zero : "majority" or "plus"
        What a sum of exactly 0 gets: the sign that most places of the vector have (as in the authors' code),
        or +1 (other libraries). If as many places have each, it is +1 here; the authors' code then leaves 0
        and merges the negative entries.

    Returns
    -------
    signs : array (...) of -1 and 1, of the vectors' type

    Examples
    --------
    >>> import numpy as np
    >>> elect(np.array([[1.0, -3.0, 2.0, -1.0], [1.0, -1.0, -2.0, 0.0]]))
    array([ 1., -1., -1., -1.])
    """
    xp = _stacked(vectors)
    if zero not in ZEROS:
        raise bad_value("zero", zero, " or ".join(map(repr, ZEROS)))
    signs = xp.sign(xp.sum(vectors, axis=0))
    one = xp.ones_like(signs)
    most = one if zero == "plus" or float(xp.sum(signs)) >= 0 else -one
    return xp.where(signs == 0, most, signs)


def merge_agreeing(vectors, signs):
    """The mean, at each place, over the tasks that are not 0 there and have the elected sign; 0 if none.

    Parameters
    ----------
    vectors : float array (tasks, ...)
    signs : array (...) of -1 and 1

    Examples
    --------
    >>> import numpy as np
    >>> merge_agreeing(np.array([[1.0, -3.0], [3.0, 0.0], [-1.0, -1.0]]), np.array([1.0, -1.0]))
    array([ 2., -2.])
    """
    xp = _stacked(vectors)
    if tuple(signs.shape) != tuple(vectors.shape[1:]):
        raise bad_value("signs.shape", tuple(signs.shape), f"{tuple(vectors.shape[1:])}, one for each place")
    agree = xp.astype(vectors * signs > 0, vectors.dtype)
    count = xp.sum(agree, axis=0)
    return xp.sum(vectors * agree, axis=0) / xp.where(count > 0, count, xp.ones_like(count))


def ties(vectors, *, keep=0.2, zero="majority"):
    """Trim each task's vector, elect the signs, merge what agrees: TIES.

    Parameters
    ----------
    vectors : float array (tasks, ...)
    keep, zero
        As in `trim` and `elect`.

    Returns
    -------
    merged : float array (...)

    Examples
    --------
    >>> import numpy as np
    >>> ties(np.array([[4.0, -1.0, 2.0, 0.1], [2.0, 3.0, -1.0, 0.2]]), keep=0.5)
    array([3., 3., 2., 0.])
    """
    xp = _stacked(vectors)
    trimmed = xp.stack([trim(vectors[i, ...], keep=keep) for i in range(vectors.shape[0])])
    return merge_agreeing(trimmed, elect(trimmed, zero=zero))


def dare(vector, *, drop, seed):
    """`vector` with each entry set to 0 with probability `drop`, the others divided by 1 - drop.

    Its expectation is `vector`. The choice is drawn by numpy, so that every array library drops the same.

    Parameters
    ----------
    vector : float array, any shape
    drop : float in [0, 1)
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> sorted(set(dare(np.ones(100), drop=0.75, seed=0).tolist()))
    [0.0, 4.0]
    """
    xp = array_namespace(vector)
    check_finite("vector", vector)
    drop = check_real("drop", drop, 0, 1)
    if drop == 1:
        raise bad_value("drop", drop, "less than 1")
    drawn = np.random.default_rng(own_seed("dare", seed)).random(tuple(vector.shape)) >= drop
    return xp.where(from_host(drawn, vector), vector / (1 - drop), xp.zeros_like(vector))


def _stacked(vectors):
    xp = array_namespace(vectors)
    check_finite("vectors", vectors)
    if vectors.ndim < 2:
        raise bad_value("vectors.shape", tuple(vectors.shape), "(tasks, ...)")
    return xp
