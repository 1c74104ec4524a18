"""A grid for each group of a row's weights, and how many bits a weight then really takes.

One outlier stretches the step of all that share its scale, so rows of a large layer are cut into groups of 32
to 128. Each brings its scale and zero point along: 4 bits in groups of 64 are 4.31, not 4 (`group_bits`).
A range narrower than the extremes clips a few weights and rounds the others more finely; `group_grid` tries
some for each group, weighted by what the layer's inputs make of an error. Lin et al. 2023, arXiv:2306.00978
(the search for a clip); Frantar et al. 2022, arXiv:2210.17323 (groups).
"""

from dataclasses import replace

from mcomp.arrays import array_namespace, bad_value, check_int, check_real, constant
from mcomp.quantize.cells import cells
from mcomp.quantize.choose import check_floating, range_grid
from mcomp.quantize.grids import fake_quantize

__all__ = ["SHRINK", "group_bits", "group_grid"]

SHRINK = tuple(1 - i / 20 for i in range(10))  # 1.00 ... 0.55 of the range


def group_bits(bits, *, group, scale_bits=16, zero_bits=0):
    """Bits a weight with its share of the group's scale and zero point: ``bits + (scale + zero) / group``.

    Before any entropy coding; `Code.nbits` counts what a file really holds.

    Examples
    --------
    >>> group_bits(4, group=64, zero_bits=4)
    4.3125
    """
    group = check_int("group", group, 1)
    return bits + (check_real("scale_bits", scale_bits, 0) + check_real("zero_bits", zero_bits, 0)) / group


def group_grid(w, bits, *, group=None, axis=0, symmetric=False, weights=None, shrink=SHRINK):
    """The grid whose range, of those tried for each group, has the least ``Σ weights·(w - ŵ)²``.

    Parameters
    ----------
    w : real floating array (out, ...)
    bits : int, 1 to 16; a symmetric grid has at least 2
    group, axis : int, optional; see `Grid`
    symmetric : bool
    weights : array of the shape of `w`, or that broadcasts to it, not negative, optional
        Say the mean square of the input that a weight is multiplied with. Default: all alike.
    shrink : sequence of floats in (0, 1]
        The fractions of the range, from the extremes down, that are tried.

    Returns
    -------
    grid : Grid
        Never worse than that of `choose_grid` if `shrink` has a 1; ties: the first of `shrink`.

    Raises
    ------
    ValueError
        If an argument is out of range, or `w` or `weights` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[-1.0, 0.25, 0.25, 0.25]])
    >>> wide, found = group_grid(w, 2, shrink=[1]), group_grid(w, 2, weights=np.array([0.1, 1, 1, 1]))
    >>> fake_quantize(w, wide).round(3), fake_quantize(w, found).round(3)
    (array([[-0.833,  0.417,  0.417,  0.417]]), array([[-0.542,  0.271,  0.271,  0.271]]))
    """
    xp = array_namespace(w)
    check_floating(w)
    layout = {"axis": axis, "group": group}
    if len(shrink) == 0:
        raise bad_value("shrink", shrink, "at least one fraction of the range")
    weights = xp.ones_like(w) if weights is None else _weights(weights, w)
    parts, w = cells(constant(w), **layout), constant(w)
    ends = xp.min(parts, axis=-1), xp.max(parts, axis=-1)
    best = None
    for fraction in shrink:
        fraction = check_real("a fraction of shrink", fraction, 1e-6, 1)
        grid = range_grid(*(end * fraction for end in ends), bits, symmetric=symmetric, **layout)
        off = xp.astype(fake_quantize(w, grid) - w, xp.float64)
        errors = xp.sum(cells(off * off * weights, **layout), axis=-1)
        best = (grid, errors) if best is None else _better(best, (grid, errors))
    return best[0]


def _better(old, new):
    """Group by group the grid with the smaller error."""
    (grid, least), (other, errors) = old, new
    xp = array_namespace(errors)
    take = errors < least
    scale = xp.where(take, other.scale, grid.scale)
    zero = xp.where(take, other.zero_point, grid.zero_point)
    return replace(grid, scale=scale, zero_point=zero), xp.minimum(errors, least)


def _weights(weights, w):
    check_floating(weights)
    xp = array_namespace(weights)
    if float(xp.min(weights)) < 0:
        raise bad_value("the least of weights", float(xp.min(weights)), "0 or more")
    try:
        return xp.broadcast_to(constant(weights), tuple(w.shape))
    except Exception:  # each library has its own
        raise bad_value(
            "weights.shape", tuple(weights.shape), f"what broadcasts to {tuple(w.shape)}"
        ) from None
