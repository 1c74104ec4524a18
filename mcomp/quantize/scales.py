"""Which factor to move from a layer's inputs into its weights: by ranges (SmoothQuant), by a search (AWQ).

``W x = (W·diag s)(diag(1/s)·x)`` for every s > 0; only what rounding does to it depends on s. Xiao et al.
2022, arXiv:2211.10438; Lin et al. 2023, arXiv:2306.00978.
"""

from mcomp.arrays import bad_value, check_real, constant
from mcomp.prune.scores import check_floating
from mcomp.prune.sweep import check_layer

__all__ = ["ALPHAS", "activation_aware_scales", "smoothing_scales"]

ALPHAS = tuple(i / 20 for i in range(20))  # 0 ... 0.95


def smoothing_scales(inputs, weights, *, alpha=0.5):
    """``s_j = max|x_j|^α / max|w_j|^(1-α)``: how much of each input channel's range the weights take over.

    The grids then see inputs of range ``max|x_j|^(1-α)·max|w_j|^(1-α)`` and weights of
    ``max|x_j|^α·max|w_j|^α``: at α = 1/2 both are the geometric mean, at 0 the weights are even, at 1 the
    inputs.

    Parameters
    ----------
    inputs, weights : real floating arrays (n,), not negative
        The largest size of each input channel, and of the weights that multiply it.
    alpha : float in [0, 1]

    Returns
    -------
    s : array (n,)
        1 where either is 0.

    Raises
    ------
    ValueError
        If the shapes differ, an entry is negative or not finite, or `alpha` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> smoothing_scales(np.array([100.0, 1.0, 0.0]), np.array([1.0, 0.25, 1.0]))
    array([10.,  2.,  1.])
    """
    alpha = check_real("alpha", alpha, 0, 1)
    for name, x in (("inputs", inputs), ("weights", weights)):
        xp = check_floating(name, x)
        if x.shape != inputs.shape or x.ndim != 1:
            raise bad_value(f"{name}.shape", tuple(x.shape), "(n,), the same for both")
        if float(xp.min(x)) < 0:
            raise bad_value(f"the least of {name}", float(xp.min(x)), "0 or more")
    live = (inputs > 0) & (weights > 0)
    one = xp.ones_like(inputs)
    inputs, weights = xp.where(live, inputs, one), xp.where(live, weights, one)
    return inputs**alpha / weights ** (1 - alpha)


def activation_aware_scales(w, hessian, *, size, project, alphas=ALPHAS):
    """The s, of those that are a power of the inputs' size, with which rounding costs the outputs least.

    An input that is often large makes its weights' errors count more, so they get more of the grid: they are
    rounded as ``Q(w·s)/s``. ``s = size^α``, scaled so that its largest and smallest entry are each other's
    inverse; α by search.

    Parameters
    ----------
    w : real floating array (out, n)
        Of all layers that read these inputs, one below the other.
    hessian : real floating array (n, n), ``XᵀX/n`` of the inputs
    size : real floating array (n,)
        The mean |x| of each input. One that is 0 counts as the least that isn't.
    project : callable
        ``project(w·s) -> its rounded``, such as a codec's `project`.
    alphas : sequence of floats in [0, 1]

    Returns
    -------
    s : array (n,), in the dtype of `w`
    alpha : float
        Ties: the first of `alphas`.
    errors : list of float
        ``½ Σ_rows (v - w)ᵀH(v - w)`` for each of `alphas`. (The paper's code measures the outputs of the
        whole block instead.)

    Raises
    ------
    ValueError
        If the shapes don't fit, something isn't finite, or `alphas` is empty or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from mcomp.codecs import GroupUniform
    >>> w, size = np.random.default_rng(0).normal(size=(64, 64)), np.r_[30.0, np.ones(63)]
    >>> project = GroupUniform(3).project
    >>> s, alpha, errors = activation_aware_scales(w, np.diag(size**2), size=size, project=project)
    >>> errors[0] > 4 * min(errors)
    True
    """
    xp = check_layer(w, hessian)
    check_floating("size", size)
    if tuple(size.shape) != (w.shape[1],) or float(xp.min(size)) < 0 or float(xp.max(size)) == 0:
        raise bad_value("size", f"of shape {tuple(size.shape)}", f"{(w.shape[1],)}, not negative, not all 0")
    if len(alphas) == 0:
        raise bad_value("alphas", alphas, "at least one")
    w, hessian = constant(w), xp.astype(constant(hessian), xp.float64)
    logs = xp.log(xp.where(size > 0, size, xp.min(size[size > 0])))
    middle = (xp.max(logs) + xp.min(logs)) / 2
    found = []
    for alpha in alphas:
        s = xp.astype(xp.exp(check_real("an alpha", alpha, 0, 1) * (logs - middle)), w.dtype)
        off = xp.astype(project(w * s) / s - w, xp.float64)
        found.append((float(xp.sum((off @ hessian) * off)) / 2, alpha, s))
    _, alpha, s = min(found, key=lambda trial: trial[0])
    return s, alpha, [error for error, _, _ in found]
