"""What the losses of distillation refuse: logits, labels and temperatures that don't fit."""

import math

from mcomp.arrays import array_namespace, bad_value, check_real, constant, device

__all__ = ["check_logits", "check_pair", "check_temperature", "finite", "one_hot", "wide"]


def check_temperature(T):
    if check_real("T", T) <= 0:
        raise bad_value("T", T, "a number above 0")
    return float(T)


def check_logits(name, logits, *, ndim):
    if logits.ndim not in ndim or 0 in logits.shape:
        raise bad_value(f"{name}.shape", tuple(logits.shape), "(batch, classes), neither of them 0")
    if not array_namespace(logits).isdtype(logits.dtype, "real floating"):
        raise bad_value(f"{name}.dtype", str(logits.dtype), "a real floating dtype")


def check_pair(student_logits, teacher_logits):
    check_logits("student_logits", student_logits, ndim=(2,))
    check_logits("teacher_logits", teacher_logits, ndim=(2,))
    if student_logits.shape != teacher_logits.shape:
        raise bad_value("teacher_logits.shape", tuple(teacher_logits.shape), tuple(student_logits.shape))


def one_hot(labels, like):
    """True at the label of each row: a bool array of the shape of `like`, (batch, classes)."""
    xp, (batch, classes) = array_namespace(like), like.shape
    if classes < 2:
        raise bad_value("the number of classes", classes, "2 or more")
    if tuple(labels.shape) != (batch,) or not xp.isdtype(labels.dtype, "integral"):
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise bad_value("labels", found, f"integers, one for each row: ({batch},)")
    hot = labels[:, None] == xp.arange(classes, dtype=labels.dtype, device=device(like))[None, :]
    known = xp.any(hot, axis=-1)
    if not bool(xp.all(known)):
        wrong = int(labels[xp.argmin(xp.astype(known, xp.int8))])
        allowed = f"labels from 0 to {classes - 1}; take rows without a label out of the batch first"
        raise bad_value("a label", wrong, allowed)
    return hot


def wide(student_logits, *teacher_logits):
    """The logits in float32 at least, the teacher's as constants: sums want more than 11 bits."""
    xp, found = array_namespace(student_logits), []
    for x in (student_logits, *map(constant, teacher_logits)):
        found.append(xp.astype(x, xp.result_type(x, xp.float32), copy=False))
    return found if teacher_logits else found[0]


def finite(loss):
    value = float(constant(loss))
    if not math.isfinite(value):  # cheaper than a look at every logit in every step
        raise bad_value("the loss", value, "a finite number; a logit is NaN, infinite or huge")
    return loss
