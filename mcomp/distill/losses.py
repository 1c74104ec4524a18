"""Learning from a teacher's soft answers: logits in, a scalar loss out.

Hinton, Vinyals & Dean 2015, arXiv:1503.02531.
"""

import math

from mcomp.arrays import array_namespace, bad_value, check_finite, check_real, constant, log_softmax


def softmax_t(logits, T):
    """exp(logits / T) / sum(exp(logits / T)) over the last axis: T > 1 softens, T < 1 sharpens.

    Hinton et al. 2015 (arXiv:1503.02531), eq. 1.

    Parameters
    ----------
    logits : floating array (..., classes)
        Finite.
    T : float
        Temperature, above 0.

    Returns
    -------
    p : floating array (..., classes)
        Each row is positive and sums to 1.

    Raises
    ------
    ValueError
        If `T` is not a positive number, or `logits` is not floating, has no axis, or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> softmax_t(np.log(np.array([1.0, 4.0])), 2.0).round(6)
    array([0.333333, 0.666667])
    """
    xp = array_namespace(logits)
    _check_logits("logits", logits, ndim=range(1, 65))
    check_finite("logits", logits)
    return xp.exp(log_softmax(logits / _check_temperature(T)))


def kd_loss(student_logits, teacher_logits, *, T):
    """T**2 * KL(teacher || student) at temperature `T`, in nats, the mean over the batch.

    The gradient is T * (p_student - p_teacher) / batch, with respect to the student's logits only: the
    teacher is a constant. T**2 makes its size nearly independent of T: without it, the gradient of soft
    logits shrinks as 1 / T**2, Hinton et al. 2015 (arXiv:1503.02531), eq. 2 to 4.

    Parameters
    ----------
    student_logits, teacher_logits : floating arrays (batch, classes)
        Finite; before any softmax.
    T : float
        Temperature, above 0.

    Returns
    -------
    loss : floating array ()
        0 where the two agree, else positive.

    Raises
    ------
    ValueError
        If the shapes differ or are not (batch, classes), `T` is not a positive number, or the loss is not
        finite, as when a logit is not.

    Examples
    --------
    >>> import numpy as np
    >>> even, one_to_three = np.array([[0.0, 0.0]]), np.log(np.array([[1.0, 3.0]]))
    >>> round(float(kd_loss(even, one_to_three, T=1)), 6)  # log 2 less the teacher's entropy 0.562335
    0.130812
    """
    xp = array_namespace(student_logits, teacher_logits)
    T = _check_temperature(T)
    _check_logits("student_logits", student_logits, ndim=(2,))
    _check_logits("teacher_logits", teacher_logits, ndim=(2,))
    if student_logits.shape != teacher_logits.shape:
        raise bad_value("teacher_logits.shape", tuple(teacher_logits.shape), tuple(student_logits.shape))
    student = log_softmax(student_logits / T)
    teacher = log_softmax(constant(teacher_logits) / T)
    loss = xp.sum(xp.exp(teacher) * (teacher - student)) * (T * T / student.shape[0])
    if not math.isfinite(float(constant(loss))):  # cheaper than a look at every logit in every step
        raise bad_value(
            "the loss", float(constant(loss)), "a finite number; a logit is NaN, infinite or huge"
        )
    return loss


def _check_temperature(T):
    if check_real("T", T) <= 0:
        raise bad_value("T", T, "a number above 0")
    return float(T)


def _check_logits(name, logits, *, ndim):
    if logits.ndim not in ndim or 0 in logits.shape:
        raise bad_value(f"{name}.shape", tuple(logits.shape), "(batch, classes), neither of them 0")
    if not array_namespace(logits).isdtype(logits.dtype, "real floating"):
        raise bad_value(f"{name}.dtype", str(logits.dtype), "a real floating dtype")
