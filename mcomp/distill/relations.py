"""Relations between the images of a batch, as a student's features and a teacher's have them.

Derived in chapters/13_features_and_parameters.ipynb. Park et al. 2019, arXiv:1904.05068 (distances, angles);
Tung & Mori 2019, arXiv:1907.09682 (similarities). Every feature array is (batch, ...), two rows or more, and
student and teacher may have different numbers of features. All losses raise ValueError as `hint_loss` does.
"""

import math

from mcomp.arrays import array_namespace, bad_value
from mcomp.distill.checks import finite
from mcomp.distill.features import check_features, check_features_pair, lengths, unit

__all__ = ["angle_loss", "angles", "distance_loss", "distances", "similarities", "similarity_loss"]


def distances(x):
    """Between every two rows, divided by the mean of the positive ones: (batch, batch).

    Park et al. 2019 (arXiv:1904.05068), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> distances(np.array([[0.0], [1.0], [3.0]])).round(6)
    array([[0. , 0.5, 1.5],
           [0.5, 0. , 1. ],
           [1.5, 1. , 0. ]])
    """
    return _distances(_rows("x", x))


def distance_loss(student, teacher):
    """Huber's loss of the two sets of `distances`, the mean over all batch**2 entries.

    Park et al. 2019 (arXiv:1904.05068), section 3.2. Free for the student: any rotation, reflection,
    shift, and one factor for the whole batch. The number of features may differ.

    Parameters
    ----------
    student, teacher : floating arrays (batch, ...), two rows or more

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [1.0], [3.0]])
    >>> float(distance_loss(7 - 2 * x, x)), float(distance_loss(np.array([[0.0], [1.0], [2.0]]), x).round(6))
    (0.0, 0.013889)
    """
    s, t = check_features_pair(_rows("student", student), _rows("teacher", teacher), ndim=2)
    return finite(_huber(_distances(s) - _distances(t)))


def angles(x):
    """Cosines (batch, batch, batch): entry i, j, k is that of the angle at i between the ways to j and to k.

    Park et al. 2019 (arXiv:1904.05068), section 3.2. A way of length 0 has the cosine 0 with all.

    Examples
    --------
    >>> import numpy as np
    >>> angles(np.array([[0.0, 0.0], [3.0, 0.0], [1.0, 1.0]]))[0].round(4)
    array([[0.    , 0.    , 0.    ],
           [0.    , 1.    , 0.7071],
           [0.    , 0.7071, 1.    ]])
    """
    return _angles(_rows("x", x))


def angle_loss(student, teacher):
    """Huber's loss of the two sets of `angles`, the mean over all batch**3 entries.

    Park et al. 2019 (arXiv:1904.05068), section 3.2. Free for the student: as `distance_loss`. It
    needs memory for batch**3 numbers, several times.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> float(angle_loss(4 * x, x)), bool(angle_loss(x * np.array([1.0, 2.0]), x) > 0)
    (0.0, True)
    """
    s, t = check_features_pair(_rows("student", student), _rows("teacher", teacher), ndim=2)
    return finite(_huber(_angles(s) - _angles(t)))


def similarities(x):
    """Scalar products of all pairs of rows, each row of the result scaled to length 1: (batch, batch).

    Tung & Mori 2019 (arXiv:1907.09682), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> similarities(np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 2.0]])).round(4)
    array([[1.    , 0.    , 0.    ],
           [0.    , 0.7071, 0.7071],
           [0.    , 0.7071, 0.7071]])
    """
    return _similarities(_rows("x", x))


def similarity_loss(student, teacher):
    """The mean of the squared differences of the two `similarities`.

    Tung & Mori 2019 (arXiv:1907.09682), section 3. Free for the student: any rotation or reflection of all
    features of an image, and one factor for the whole batch; but no shift, which changes scalar products.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> float(similarity_loss(3 * x[:, ::-1], x)), float(similarity_loss(x + 1, x).round(4))
    (0.0, 0.1992)
    """
    s, t = check_features_pair(_rows("student", student), _rows("teacher", teacher), ndim=2)
    return finite(array_namespace(s).mean((_similarities(s) - _similarities(t)) ** 2))


def _rows(name, x):
    x = check_features(name, x, ndim=2)
    if x.shape[0] < 2:
        raise bad_value(f"{name}.shape", tuple(x.shape), "two rows or more: a relation is between images")
    return array_namespace(x).reshape(x, (x.shape[0], math.prod(x.shape[1:])))


def _distances(x):
    xp = array_namespace(x)
    d = lengths(x[:, None, :] - x[None, :, :])
    count = xp.sum(xp.astype(d > 0, d.dtype))
    mean = xp.sum(d) / xp.where(count > 0, count, xp.ones_like(count))
    return d / xp.where(count > 0, mean, xp.ones_like(mean))


def _angles(x):
    ways = unit(x[None, :, :] - x[:, None, :])  # at i, to j
    return ways @ array_namespace(x).matrix_transpose(ways)


def _similarities(x):
    return unit(x @ x.T)


def _huber(gap):
    """The mean of d**2 / 2 up to |d| = 1, and of |d| - 1 / 2 beyond."""
    xp = array_namespace(gap)
    size = xp.abs(gap)
    return xp.mean(xp.where(size < 1, gap * gap / 2, size - 0.5))
