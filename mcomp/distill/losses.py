"""Learning from a teacher's soft answers: logits in, a scalar loss out.

Derived in chapters/12_distillation.ipynb. Hinton, Vinyals & Dean 2015, arXiv:1503.02531; Zhao et al. 2022,
arXiv:2203.08679. The teacher is a constant everywhere: no gradient reaches its logits.
"""

import math

from mcomp.arrays import array_namespace, check_finite, check_int, check_real, device, log_softmax
from mcomp.distill.checks import check_logits, check_pair, check_temperature, finite, one_hot, wide


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
    check_logits("logits", logits, ndim=range(1, 65))
    check_finite("logits", logits)
    p = xp.exp(log_softmax(wide(logits) / check_temperature(T)))
    return xp.astype(p, logits.dtype)


def kd_loss(student_logits, teacher_logits, *, T):
    """T**2 * KL(teacher || student) at temperature `T`, in nats, the mean over the batch.

    The gradient is T * (p_student - p_teacher) / batch, with respect to the student's logits only: the
    teacher is a constant. Where T is large against all logits, the difference of the probabilities falls as
    1 / T, and both loss and gradient have a limit, those of `logit_matching_loss`: Hinton et al. 2015
    (arXiv:1503.02531), eq. 2 to 4. At smaller T, the usual 1 to 4 among them, both depend on T, so that
    another T also changes the weight of this loss beside another one.

    Parameters
    ----------
    student_logits, teacher_logits : floating arrays (batch, classes)
        Finite; before any softmax.
    T : float
        Temperature, above 0.

    Returns
    -------
    loss : floating array ()
        0 where the two agree, else positive. Of logits in float16 or bfloat16 it is a float32.

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
    T = check_temperature(T)
    check_pair(student_logits, teacher_logits)
    s, t = wide(student_logits, teacher_logits)
    student, teacher = log_softmax(s / T), log_softmax(t / T)
    return finite(xp.sum(xp.exp(teacher) * (teacher - student)) * (T * T / student.shape[0]))


def logit_matching_loss(student_logits, teacher_logits):
    """Half the squared difference of the centred logits, the mean over the classes and the batch.

    The limit of `kd_loss` for T to infinity. Each row is centred first, because a constant added to all
    logits of an image changes no probability: Hinton et al. 2015 (arXiv:1503.02531), eq. 4.

    Parameters
    ----------
    student_logits, teacher_logits : floating arrays (batch, classes)

    Returns
    -------
    loss : floating array ()
        Its gradient is (centred student - centred teacher) / (batch * classes).

    Raises
    ------
    ValueError
        If the shapes differ or are not (batch, classes), or the loss is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> float(logit_matching_loss(np.array([[1.0, 3.0]]), np.array([[7.0, 7.0]])))  # (-1, 1) against (0, 0)
    0.5
    """
    xp = array_namespace(student_logits, teacher_logits)
    check_pair(student_logits, teacher_logits)
    s, t = wide(student_logits, teacher_logits)
    gap = s - t
    gap = gap - xp.mean(gap, axis=-1, keepdims=True)
    return finite(0.5 * xp.mean(gap * gap))


def decouple(student_logits, teacher_logits, *, labels, T):
    """The two parts of KL(teacher || student), image by image: the labelled class, and the other classes.

    For each image ``KL = target + weight * other``: Zhao et al. 2022 (arXiv:2203.08679), eq. 5.

    Parameters
    ----------
    student_logits, teacher_logits : floating arrays (batch, classes), two classes or more
    labels : integer array (batch,), from 0 to classes - 1
    T : float, above 0

    Returns
    -------
    target : floating array (batch,)
        KL between "it is the labelled class, or it is not" of teacher and student, in nats.
    other : floating array (batch,)
        KL between the two distributions over the other classes, each scaled to the sum 1.
    weight : floating array (batch,)
        1 - the teacher's probability of the labelled class.

    Raises
    ------
    ValueError
        As `kd_loss`, and if `labels` don't fit.

    Examples
    --------
    >>> import numpy as np
    >>> s, t = np.log(np.array([[0.5, 0.25, 0.25]])), np.log(np.array([[0.5, 0.1, 0.4]]))
    >>> [float(part[0].round(3)) for part in decouple(s, t, labels=np.array([0]), T=1)]
    [0.0, 0.193, 0.5]
    """
    xp = array_namespace(student_logits, teacher_logits)
    T = check_temperature(T)
    check_pair(student_logits, teacher_logits)
    hot, (s, t) = one_hot(labels, student_logits), wide(student_logits, teacher_logits)
    s_label, s_rest, s = _split(s / T, hot)
    t_label, t_rest, t = _split(t / T, hot)
    weight = xp.exp(t_rest)
    target = xp.exp(t_label) * (t_label - s_label) + weight * (t_rest - s_rest)
    return target, xp.sum(xp.where(hot, xp.zeros_like(t), xp.exp(t)) * (t - s), axis=-1), weight


def decoupled_kd_loss(student_logits, teacher_logits, *, labels, T, beta=8.0):
    """T**2 * (target + beta * other), the mean over the batch; see `decouple`.

    In `kd_loss` the second part has the teacher's doubt as its weight, so that images of which the teacher
    is sure teach next to nothing about the other classes. Here `beta` takes its place: Zhao et al. 2022
    (arXiv:2203.08679), eq. 7, where a weight of the first part, also called alpha, is 1 here (it is not the
    alpha of `teaching`). On CIFAR-100 they take beta = 8 for most pairs, T = 4; where the teacher is sure,
    that is many times the weight it replaces, so tune it.

    Parameters
    ----------
    student_logits, teacher_logits, labels, T
        As in `decouple`.
    beta : float, at least 0

    Returns
    -------
    loss : floating array ()

    Raises
    ------
    ValueError
        As `decouple`, and if `beta` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> s, t = np.log(np.array([[0.5, 0.25, 0.25]])), np.log(np.array([[0.5, 0.1, 0.4]]))
    >>> round(float(decoupled_kd_loss(s, t, labels=np.array([0]), T=1)), 3)
    1.542
    """
    xp = array_namespace(student_logits, teacher_logits)
    beta = check_real("beta", beta, 0.0)
    target, other, _ = decouple(student_logits, teacher_logits, labels=labels, T=T)
    return finite(xp.mean(target + beta * other) * float(T) ** 2)


def smoothed_logits(labels, classes, *, epsilon):
    """The logits of a teacher who knows the labels alone: log((1 - epsilon) * label + epsilon / classes).

    `kd_loss` against them at T = 1 has the gradient of label smoothing (Szegedy et al. 2015,
    arXiv:1512.00567, section 7; Yuan et al. 2020, arXiv:1909.11723, section 4).

    Parameters
    ----------
    labels : integer array (batch,), from 0 to classes - 1
    classes : int, at least 2
    epsilon : float, above 0 and at most 1

    Returns
    -------
    logits : floating array (batch, classes), of the default dtype

    Examples
    --------
    >>> import numpy as np
    >>> softmax_t(smoothed_logits(np.array([2]), 4, epsilon=0.2), 1).round(6)
    array([[0.05, 0.05, 0.85, 0.05]])
    """
    xp = array_namespace(labels)
    epsilon = check_real("epsilon", epsilon, 1e-9, 1.0)
    like = xp.zeros((labels.shape[0], check_int("classes", classes, 2)), device=device(labels))
    high, low = 1 - epsilon + epsilon / classes, epsilon / classes
    return xp.where(one_hot(labels, like), like + math.log(high), like + math.log(low))


def _split(z, hot):
    """log p of the labelled class, log of 1 - p, (batch,), and the log-probabilities of the others."""
    xp = array_namespace(z)
    nothing = xp.zeros_like(z)
    whole, others = log_softmax(z), log_softmax(xp.where(hot, nothing - math.inf, z))  # (batch, classes)
    others = xp.where(hot, nothing, others)
    rest = xp.sum(xp.where(hot, nothing, whole - others), axis=-1) / (z.shape[-1] - 1)  # equal for each class
    return xp.sum(xp.where(hot, whole, nothing), axis=-1), rest, others
