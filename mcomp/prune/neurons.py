"""Which neurons matter, by statistics of what they put out: one number a neuron, larger is kept.

Derived in chapters/03_which_weights_matter.ipynb. `mcomp.sparse_training.probe.outputs` measures the outputs.
"""

from mcomp.arrays import bad_value
from mcomp.prune.scores import check_floating

__all__ = ["output_activity", "output_mean", "output_std"]


def output_mean(y):
    """Neurons by the mean of ``|y|`` over a batch; of a ReLU's outputs that is their mean.

    Parameters
    ----------
    y : real floating array (batch, neurons) or (batch, channels, ...)
        What the neurons put out, after their activation function; `probe.outputs`.

    Returns
    -------
    score : array (neurons,)
        One number a neuron, over the batch axis and all positions.

    Raises
    ------
    ValueError
        If `y` has fewer than two axes, is empty, not real floating, or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> output_mean(np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 1.0]]))
    array([0., 1., 2.])
    """
    xp = _check_outputs(y)
    return xp.mean(xp.abs(y), axis=_all_but_channels(y))


def output_std(y):
    """Neurons by the standard deviation of their outputs: what is lost when a constant takes their place.

    The least squares constant is the mean; added to the next layer's bias, it costs nothing. What the next
    layer loses is this times the norm of the weights out of the neuron (chapter 03).

    Parameters
    ----------
    y : as for `output_mean`

    Examples
    --------
    >>> import numpy as np
    >>> output_std(np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 1.0]]))
    array([0., 0., 1.])
    """
    xp = _check_outputs(y)
    return xp.std(y, axis=_all_but_channels(y))


def output_activity(y):
    """Neurons by how often they are not zero: 1 minus the average percentage of zeros, as a fraction.

    Hu et al. 2016, arXiv:1607.03250, eq. 1 (APoZ).

    Parameters
    ----------
    y : as for `output_mean`, after a ReLU

    Examples
    --------
    >>> import numpy as np
    >>> output_activity(np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 0.0]]))
    array([0. , 1. , 0.5])
    """
    xp = _check_outputs(y)
    return xp.mean(xp.astype(y != 0, y.dtype), axis=_all_but_channels(y))


def _check_outputs(y):
    xp = check_floating("y", y)
    if y.ndim < 2:
        raise bad_value("y.shape", tuple(y.shape), "(batch, neurons) or (batch, channels, ...)")
    return xp


def _all_but_channels(y):
    return tuple(axis for axis in range(y.ndim) if axis != 1)
