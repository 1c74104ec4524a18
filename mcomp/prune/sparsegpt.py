"""Pruning with compensation (SparseGPT): choose which weights go as you sweep, and let those behind make up.

Optimal Brain Surgeon removes from each row what costs it least, so each row has an order and an inverse of
its own. Here all rows go through the inputs in one order and share one factor (`mcomp.prune.sweep`); only the
mask is each row's own. A weight that goes costs ``½(w_j / U_jj)²``, the surgeon's score in the Hessian of
what is left. U is the factor: U_jj is squared, [H[j:, j:]⁻¹]_00 isn't. Frantar and Alistarh 2023,
arXiv:2301.00774.
"""

from mcomp.arrays import bad_value, check_int, constant
from mcomp.prune.masks import kept_count, topk_mask
from mcomp.prune.nm import nm_mask
from mcomp.prune.sweep import check_layer, inverse_factor, sweep

__all__ = ["sparsegpt"]


def sparsegpt(w, hessian, *, sparsity=None, pattern=None, damping=0.01, block=128):
    """A sparse layer that answers nearly as `w` does: which weights stay, and their new values.

    The mask of `block` inputs is chosen when the sweep arrives there, all rows compared with each other; with
    `pattern`, that of each m inputs, row by row.

    Parameters
    ----------
    w : real floating array (out, n)
    hessian : real floating array (n, n), symmetric
        ``XᵀX/n`` of the layer's inputs, `layer_hessians`.
    sparsity : float in [0, 1]
        Fraction of zeros; as many stay as `kept_count` says.
    pattern : (n, m), in place of `sparsity`
        So many of each m inputs stay; m divides the inputs.
    damping : float of at least 0, see `inverse_factor`
    block : int
        Inputs whose masks are chosen together.

    Returns
    -------
    v : array like `w`
        Zero where `keep` is False.
    keep : bool array (out, n)
    rise : float64 array (out,)
        ``½(v - w)ᵀH(v - w)`` of each row, with the damping in H.

    Raises
    ------
    ValueError
        If the shapes don't fit, not exactly one of `sparsity` and `pattern` is given, either is out of range,
        or H with its damping isn't positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> w, hessian = np.array([[1.0, 2.0]]), np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> v, keep, rise = sparsegpt(w, hessian, sparsity=0.5, damping=0)
    >>> v, rise  # 1 goes, 2 moves by H_12 / H_22
    (array([[0., 3.]]), array([0.5]))
    """
    xp = check_layer(w, hessian)
    chosen, width = _chooser(w.shape, sparsity, pattern, check_int("block", block, 1))
    factor = inverse_factor(constant(hessian), damping=damping)
    scale, masks = xp.linalg.diagonal(factor), {}

    def project(j, columns):
        start = j - j % width
        if j == start:
            part = slice(start, min(start + width, w.shape[1]))
            masks[start] = chosen(start, ((columns[part, :] / scale[part][:, None]) ** 2).T)
        return xp.where(masks[start][:, j - start], columns[j, :], xp.zeros_like(columns[j, :]))

    v, rise = sweep(constant(w), factor, project, block=width * max(1, block // width))
    return xp.astype(v, w.dtype), xp.concat(list(masks.values()), axis=1), rise


def _chooser(shape, sparsity, pattern, block):
    """``chosen(start, score (out, inputs)) -> mask`` of the inputs from `start`, and of how many at once."""
    if (sparsity is None) == (pattern is None):
        raise bad_value("sparsity and pattern", (sparsity, pattern), "one of them, and None for the other")
    if pattern is not None:
        n, m = _pattern(pattern, shape[1])
        return lambda start, score: nm_mask(score, n, m=m), m
    out, total = shape[0], kept_count(shape[0] * shape[1], sparsity)

    def chosen(start, score):
        """Of all columns up to here, as many stay as the whole's share of them."""
        counts = [total * column // shape[1] for column in (start, start + score.shape[1])]
        return topk_mask(score, min(counts[1] - counts[0], out * score.shape[1]))

    return chosen, block


def _pattern(pattern, inputs):
    try:
        n, m = pattern
    except TypeError:
        raise bad_value("pattern", pattern, "(n, m), such as (2, 4)") from None
    m = check_int("m", m, 1)
    if inputs % m:
        raise bad_value("the inputs of w", inputs, f"a multiple of m, which is {m}")
    return check_int("n", n, 0, m), m
