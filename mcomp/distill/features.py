"""What a student's features may share with a teacher's: arrays in, a scalar loss out.

Derived in chapters/13_features_and_parameters.ipynb. Romero et al. 2014, arXiv:1412.6550 (hints); Zagoruyko &
Komodakis 2016, arXiv:1612.03928 (attention). Relations between images are in `mcomp.distill.relations`. The
teacher is a constant everywhere. What is free for the student, because the loss doesn't see it, each
docstring says, and the tests check.
"""

import math

from mcomp.arrays import array_namespace, bad_value, constant
from mcomp.distill.checks import finite

__all__ = ["attention_loss", "attention_map", "hint_loss"]


def hint_loss(student, teacher):
    """Half the squared distance of an image's features, the mean over the batch: 1/2 |r(s) - t|**2.

    Romero et al. 2014 (arXiv:1412.6550), eq. 3, where `student` is already the output of the regressor r. The
    sum runs over all features, so a map twice as wide and high costs four times as much. Free for the
    student: nothing; but a trained linear regressor undoes every invertible linear map of channels.

    Parameters
    ----------
    student, teacher : floating arrays (batch, ...), of one shape

    Returns
    -------
    loss : floating array ()

    Raises
    ------
    ValueError
        If the shapes differ, an axis is 0, the dtype isn't floating, or the loss isn't finite.

    Examples
    --------
    >>> import numpy as np
    >>> float(hint_loss(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [4.0, 0.0]])))
    5.0
    """
    s, t = check_features_pair(student, teacher, ndim=2, same=True)
    xp = array_namespace(s)
    return finite(xp.sum((s - t) ** 2) / (2 * s.shape[0]))


def attention_map(features):
    """Where an image's features are large: the sum of squares over the channels, scaled to length 1.

    Zagoruyko & Komodakis 2016 (arXiv:1612.03928), F_sum with p = 2. A mean in place of the sum changes
    nothing. A map of zeros stays zero.

    Parameters
    ----------
    features : floating array (batch, channels, ...)

    Returns
    -------
    maps : floating array (batch, positions)

    Examples
    --------
    >>> import numpy as np
    >>> attention_map(np.array([[[1.0, 2.0], [np.sqrt(2.0), 0.0]]])).round(6)  # sums of squares: 3 and 4
    array([[0.6, 0.8]])
    """
    return _attention(check_features("features", features, ndim=3))


def attention_loss(student, teacher, *, form="paper"):
    """The distance of two attention maps, the mean over the batch.

    With "paper" the distance itself, |a - b| (Zagoruyko & Komodakis 2016, arXiv:1612.03928, eq. 2; its factor
    beta / 2 is the caller's). With "code" the mean of (a - b)**2 over images and positions, as the authors'
    program has it: the mean of |a - b|**2, divided by the number of positions. Free for the student: any
    order, any rotation of the channels at a position, and any factor an image.

    Parameters
    ----------
    student, teacher : floating arrays (batch, channels, ...)
        The channels may differ; the positions must not.
    form : "paper" or "code"

    Returns
    -------
    loss : floating array ()

    Raises
    ------
    ValueError
        As `hint_loss`; or if `form` is another.

    Examples
    --------
    >>> import numpy as np
    >>> s, t = np.array([[[1.0, 0.0]]]), np.array([[[0.0, 1.0]]])
    >>> float(attention_loss(s, t).round(6)), float(attention_loss(s, t, form="code").round(6))
    (1.414214, 1.0)
    """
    if form not in ("paper", "code"):
        raise bad_value("form", form, "'paper' or 'code'")
    s, t = check_features_pair(student, teacher, ndim=3)
    if s.shape[2:] != t.shape[2:]:
        raise bad_value("the positions", f"{tuple(s.shape[2:])} and {tuple(t.shape[2:])}", "the same; pool")
    xp, gap = array_namespace(s), _attention(s) - _attention(t)
    return finite(xp.mean(gap**2) if form == "code" else xp.mean(lengths(gap)))


def check_features(name, x, *, ndim):
    if x.ndim < ndim or 0 in x.shape:
        raise bad_value(f"{name}.shape", tuple(x.shape), f"{ndim} axes or more, none of length 0")
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, "real floating"):
        raise bad_value(f"{name}.dtype", str(x.dtype), "a real floating dtype")
    return xp.astype(x, xp.result_type(x, xp.float32), copy=False)  # sums want more than 11 bits


def check_features_pair(student, teacher, *, ndim, same=False):
    s, t = (
        check_features("student", student, ndim=ndim),
        check_features("teacher", constant(teacher), ndim=ndim),
    )
    if s.shape[0] != t.shape[0] or (same and s.shape != t.shape):
        wanted = tuple(s.shape) if same else f"({s.shape[0]}, ...)"
        raise bad_value(
            "teacher.shape", tuple(t.shape), f"{wanted}, as the student's; a regressor changes it"
        )
    return s, t


def lengths(x):
    """Of each row, with gradient 0 where it is 0: the root's own would be infinite."""
    xp = array_namespace(x)
    square = xp.sum(x * x, axis=-1)
    positive = square > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, square, xp.ones_like(square))), square)


def unit(x):
    """Rows of length 1; rows of length 0 stay."""
    xp, n = array_namespace(x), lengths(x)[..., None]
    return x / xp.where(n > 0, n, xp.ones_like(n))


def _attention(x):
    xp = array_namespace(x)
    square = xp.sum(x * x, axis=1)
    return unit(xp.reshape(square, (square.shape[0], math.prod(square.shape[1:]))))
