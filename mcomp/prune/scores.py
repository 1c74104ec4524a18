"""Which weights matter: one number a weight, larger is kept. Every mask of `masks` takes them.

A score estimates how much the loss rises when its weight goes. Derived from the Taylor expansion of the loss
in chapters/03_which_weights_matter.ipynb. What a function needs beside the weights (gradients,
curvature, input norms) `mcomp.sparse_training.probe` measures. A channel's score is the sum over its weights.
"""

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_finite, check_int, from_host


def magnitude(w):
    """Order zero, no data: ``|w|``. Han et al. 2015, arXiv:1506.02626.

    Parameters
    ----------
    w : real floating array, any shape

    Returns
    -------
    score : array like `w`

    Raises
    ------
    ValueError
        If `w` is empty, not of a real floating dtype, or holds a NaN or an infinity.

    Examples
    --------
    >>> magnitude(np.array([0.5, -2.0]))
    array([0.5, 2. ])
    """
    xp = check_floating("w", w)
    return xp.abs(w)


def random_score(w, seed):
    """The control: independent uniform numbers in [0, 1), the same in every library.

    Parameters
    ----------
    w : real floating array; its shape, dtype, library and device are those of the score
    seed : int of at least 0; another one for each layer, or they all draw the same numbers

    Examples
    --------
    >>> random_score(np.zeros(2, np.float32), 0).round(3)
    array([0.637, 0.27 ], dtype=float32)
    """
    xp = check_floating("w", w)
    numbers = np.random.default_rng(check_int("seed", seed, 0)).random(tuple(w.shape))
    return xp.astype(from_host(numbers, w), w.dtype)


def taylor(w, g):
    """Order one: ``|w·g|``, how much the linear part of the loss changes when `w` goes to zero.

    For feature maps Molchanov et al. 2017, arXiv:1611.06440, section 2.2; for weights, squared, Molchanov et
    al. 2019, arXiv:1906.10771. On an untrained network this is SNIP's connection sensitivity before it is
    normalised: the gradient for a mask at 1 is w·g (Lee et al. 2019, arXiv:1810.02340, section 4.1).

    Parameters
    ----------
    w : real floating array, any shape
    g : array like `w`
        The gradient of the mean loss for `w`; `probe.gradients`.

    Returns
    -------
    score : array like `w`

    Raises
    ------
    ValueError
        If an array is empty, not real floating, not finite, or the shapes differ.

    Examples
    --------
    >>> taylor(np.array([2.0, -1.0]), np.array([-0.5, 3.0]))
    array([1., 3.])
    """
    xp = _check_pair(w, "g", g)
    return xp.abs(w * g)


def movement(w, g):
    """Order one, with its sign: ``-w·g``, positive where descent moves `w` away from zero.

    One step's term of the sum in Sanh et al. 2020, arXiv:2005.07683, section 4; `probe.Movement`
    adds up the steps of a training. Scores may be negative.

    Parameters
    ----------
    w, g : as for `taylor`, at the same step

    Examples
    --------
    >>> movement(np.array([2.0, -1.0]), np.array([-0.5, -3.0]))
    array([ 1., -3.])
    """
    _check_pair(w, "g", g)
    return -(w * g)


def obd(w, h):
    """Order two with a diagonal Hessian, Optimal Brain Damage: ``h·w²/2``.

    LeCun, Denker and Solla 1990, NeurIPS 2, section 2. Assumes a minimum (no gradient), and that no two
    weights interact (no off-diagonal entry).

    Parameters
    ----------
    w : real floating array, any shape
    h : array like `w`
        The diagonal of the loss's Hessian; `probe.hessian_diagonal`, or `probe.fisher_diagonal`.

    Returns
    -------
    score : array like `w`
        The predicted rise of the loss; negative where `h` is.

    Raises
    ------
    ValueError
        As for `taylor`.

    Examples
    --------
    >>> obd(np.array([2.0, -1.0]), np.array([1.0, 6.0]))
    array([2., 3.])
    """
    _check_pair(w, "h", h)
    return w * w * h / 2


def wanda(w, rms):
    """Weight times input: ``|w_ij|·rms(x_j)``. Sun et al. 2023, arXiv:2306.11695, eq. 1.

    Parameters
    ----------
    w : real floating array (out, in) or (out, in, kh, kw)
    rms : array, not negative, of the shape of `w`, of `w[0]`, or (in,)
        Root mean square of what each weight is multiplied with; `probe.input_rms`. The paper's norm is
        this times the root of the number of inputs, the same ranking.

    Returns
    -------
    score : array like `w`
        Sun et al. rank it within each output (a top-k for each row).

    Raises
    ------
    ValueError
        If an array is empty, not real floating or not finite, `rms` is negative somewhere, or the shapes
        don't fit.

    Examples
    --------
    >>> wanda(np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([1.0, 4.0]))
    array([[ 2. ,  4. ],
           [ 0.5, 12. ]])
    """
    xp = check_floating("w", w)
    check_floating("rms", rms)
    allowed = (w.shape, w.shape[1:], w.shape[1:2])
    if w.ndim < 2 or rms.shape not in allowed:
        raise bad_value("rms.shape", tuple(rms.shape), " or ".join(str(tuple(s)) for s in allowed))
    if float(xp.min(rms)) < 0:
        raise bad_value("the least rms", float(xp.min(rms)), "0 or more")
    if rms.ndim == 1:
        rms = xp.reshape(rms, (-1, *(1,) * (w.ndim - 2)))  # (in, 1, 1)
    return xp.abs(w) * rms


def check_floating(name, x):
    """The namespace of `x`; ValueError unless `x` is real floating, finite and not empty."""
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, "real floating"):
        raise bad_value(f"{name}.dtype", str(x.dtype), "a real floating dtype")
    check_finite(name, x)
    return xp


def _check_pair(w, name, x):
    xp = check_floating("w", w)
    check_floating(name, x)
    if x.shape != w.shape:  # numpy would broadcast a row to the whole layer
        raise bad_value(f"{name}.shape", tuple(x.shape), f"{tuple(w.shape)}, the shape of w")
    return xp
