"""Which rank: where a factorization begins to save, and how to share a budget out among layers.

Derived in chapters/10_low_rank.ipynb. A spectrum is the singular values of a matrix, falling.
"""

import math
from itertools import accumulate, pairwise

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, check_real, to_numpy

_SPECTRUM = "falling numbers of at least 0, the first above 0, as svd gives them"


def break_even(m, n):
    """The rank mn/(m + n) at which two factors hold as many numbers as the (m, n) matrix: below it they save.

    Examples
    --------
    >>> break_even(300, 100)
    75.0
    """
    return check_int("m", m, 1) * check_int("n", n, 1) / (m + n)


def relative_error(s, rank):
    """‖w − nearest of `rank`‖ / ‖w‖ in the Frobenius norm, from the spectrum `s` (k,): Eckart-Young-Mirsky.

    Examples
    --------
    >>> import numpy as np
    >>> relative_error(np.array([4.0, 3.0]), 1)
    0.6
    """
    squares = _squares(s)
    return math.sqrt(sum(squares[check_int("rank", rank, 0, len(squares)) :]) / math.fsum(squares))


def energy_rank(s, energy):
    """The least rank that holds the fraction `energy` of the sum of squares of the spectrum `s` (k,).

    Parameters
    ----------
    s : real array (k,), falling
    energy : float in [0, 1]

    Returns
    -------
    rank : int, 0 to k

    Raises
    ------
    ValueError
        If `s` isn't a spectrum, is all zeros, or `energy` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> energy_rank(np.array([4.0, 3.0, 1.0]), 0.9)
    2
    """
    squares, energy = _squares(s), check_real("energy", energy, 0.0, 1.0)
    held = [0.0, *accumulate(squares)]
    return next(r for r, sum_ in enumerate(held) if sum_ >= energy * held[-1])


def gap_rank(s):
    """The rank before the largest drop s[r - 1] / s[r] of the spectrum `s` (k,); zeros end the spectrum.

    The first of equal drops. Where the spectrum falls evenly, as in most trained layers, it means little.

    Examples
    --------
    >>> import numpy as np
    >>> gap_rank(np.array([9.0, 8.0, 2.0, 1.5]))
    2
    """
    roots = [math.sqrt(x) for x in _squares(s)]
    floor = roots[0] * len(roots) * 2.0**-52  # what is less is rounding
    roots = [x for x in roots if x > floor]
    if len(roots) < len(s):
        return len(roots)
    drops = [a / b for a, b in pairwise(roots)]
    return 1 + drops.index(max(drops)) if drops else 1


def budget_ranks(spectra, costs, *, budget):
    """Ranks for all layers together: the least total squared error that the numbers spent can buy.

    One pool of all singular values, each with what it saves, s², and what it costs. They are bought in the
    order of s²/cost until the next one doesn't fit. Within a layer s falls, so a layer's own come in order;
    and no other ranks that cost as much or less have less error: any of them would trade values of a higher
    s²/cost for values of a lower (Everett 1963, doi:10.1287/opre.11.3.399).

    Parameters
    ----------
    spectra : dict of name to real array (k,), falling
        In units in which the squared errors of two layers may be added.
    costs : dict of name to number above 0
        What one more rank costs: m + n numbers for a matrix (m, n), or their bytes.
    budget : number
        Of all ranks together.

    Returns
    -------
    ranks : dict of name to int
        May be 0; and where `break_even` is passed, the layer is smaller as it was.

    Raises
    ------
    ValueError
        If the names differ, a spectrum is none, or a cost or `budget` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> spectra = {"a": np.array([3.0, 2.9, 2.8]), "b": np.array([9.0, 1.0])}
    >>> budget_ranks(spectra, {"a": 10, "b": 10}, budget=30)
    {'a': 2, 'b': 1}
    """
    if not spectra or set(spectra) != set(costs):
        raise bad_value("the names of costs", sorted(costs), f"those of spectra: {sorted(spectra)}")
    left, pool = check_real("budget", budget, 0.0), []
    for i, (name, s) in enumerate(spectra.items()):
        cost = check_real(f"costs[{name!r}]", costs[name], 1e-300)
        pool += [(-square / cost, i, r, name, cost) for r, square in enumerate(_squares(s), 1) if square > 0]
    ranks = dict.fromkeys(spectra, 0)
    for _, _, rank, name, cost in sorted(pool):
        if cost > left:
            break
        ranks[name], left = rank, left - cost
    return ranks


def marchenko_pastur(s, *, shape, sigma):
    """Density of the singular values of a random matrix (m, n) with independent entries of deviation `sigma`.

    Marchenko and Pastur 1967 (doi:10.1070/SM1967v001n04ABEH001994), for the singular values themselves: with
    k = min(m, n), l = max(m, n) they lie between sigma (√l − √k) and sigma (√l + √k) as k and l grow, with
    density √((b² − s²)(s² − a²)) / (π sigma² k s) between these edges a and b.

    Parameters
    ----------
    s : real floating array
        Where.
    shape : pair of int
    sigma : float above 0

    Returns
    -------
    density : array of the shape of `s`
        Its integral is 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> marchenko_pastur(np.array([0.5, 1.0, 2.5]), shape=(100, 100), sigma=0.1).round(3)
    array([0.616, 0.551, 0.   ])
    """
    xp = array_namespace(check_finite("s", s))
    low, high = marchenko_pastur_edges(shape=shape, sigma=sigma)
    inside = (s > max(low, 0.0)) & (s < high)
    at = xp.where(inside, s, xp.ones_like(s) * (low + high) / 2)
    root = xp.sqrt((high**2 - at**2) * (at**2 - low**2))
    return xp.where(inside, root / (math.pi * sigma**2 * min(shape) * at), xp.zeros_like(s))


def marchenko_pastur_edges(*, shape, sigma):
    """Where the singular values of a random matrix end, as `marchenko_pastur` says: (least, largest).

    Examples
    --------
    >>> marchenko_pastur_edges(shape=(900, 100), sigma=0.1)
    (2.0, 4.0)
    """
    low, high = sorted(math.sqrt(check_int("shape", n, 1)) for n in shape)
    sigma = check_real("sigma", sigma, 1e-300)
    return sigma * (high - low), sigma * (high + low)


def _squares(s):
    """The squares of a spectrum as Python floats, checked."""
    check_finite("a spectrum", s)
    values = [float(x) for x in to_numpy(s)] if s.ndim == 1 else []
    if not values or values[0] <= 0 or any(a < b for a, b in zip(values, [*values[1:], 0.0], strict=True)):
        raise bad_value("a spectrum", str(s), _SPECTRUM)
    return [x * x for x in values]
