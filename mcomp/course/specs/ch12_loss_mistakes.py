"""Chapter 12: wrong softmaxes and losses that people write, each with what happened.

Of published tutorials: softmax with exp(-z / T), a temperature that multiplies, the divergence the wrong way
round, no T**2, the mean over classes, a loss that is the mean of the logits.
"""

import numpy as np

from mcomp.course.model import Mistake, quiet


def soft(z, T, axis=-1):
    y = z / T
    e = np.exp(y - y.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_soft(z, T):
    y = z / T
    y = y - y.max(axis=-1, keepdims=True)
    return y - np.log(np.exp(y).sum(axis=-1, keepdims=True))


def kl(p, q):
    return p * (np.log(p) - np.log(q))


def _naive(z, T):
    e = np.exp(z / T)
    return e / e.sum(axis=-1, keepdims=True)


def _less(top):
    """The softmax of z / T less `top(z, T)`, which should be the largest of each row of z / T."""

    def answer(z, T):
        e = np.exp(z / T - top(z, T))
        return e / e.sum(axis=-1, keepdims=True)

    return quiet(answer)


def _row_top(z):
    return z.max(axis=-1, keepdims=True)


def _above_only(z, T):
    top = _row_top(z)
    return np.exp((z - top) / T) / np.exp(z - top).sum(axis=-1, keepdims=True)


def _everything(z, T):
    e = np.exp((z - z.max()) / T)
    return e / e.sum()


def _not_divided(z, T):
    return np.exp((z - _row_top(z)) / T)


def _no_keepdims(z, T):
    e = _not_divided(z, T)
    return e / e.sum(axis=-1)


def _clipped(z, T):
    return soft(np.clip(z / T, -300, 300), 1.0)


def _loss(s, t, T, heat_s=None, heat_t=None):
    """The right one, with logarithms: logits may be large."""
    q, p = log_soft(s, heat_s or T), log_soft(t, heat_t or T)
    return float(T**2 * (np.exp(p) * (p - q)).sum(-1).mean())


def _each(s, t, T):
    p, q = log_soft(t, T), log_soft(s, T)
    return T**2 * (np.exp(p) * (p - q)).sum(-1)


def _hard(s, t, T):
    """The cross-entropy with the teacher's first class."""
    return float(-(T**2) * log_soft(s, T)[np.arange(len(s)), t.argmax(1)].mean())


def _elements(s, t, T):
    p, q = log_soft(t, T), log_soft(s, T)
    return T**2 * np.exp(p) * (p - q)


def _logarithms_in(s, t, T):
    """F.kl_div of two logarithms without log_target=True."""
    p, q = log_soft(t, T), log_soft(s, T)
    with np.errstate(all="ignore"):
        return float(T**2 * (p * (np.log(p) - q)).sum(-1).mean())


def _over_the_images(s, t, T):
    p, q = soft(t, T, axis=0), soft(s, T, axis=0)
    return float(T**2 * kl(p, q).sum() / len(s))


def _added(eps):
    """The loss with `eps` added to each probability before its logarithm."""

    def answer(s, t, T):
        p, q = soft(t, T), soft(s, T)
        return float(T**2 * (p * (np.log(p + eps) - np.log(q + eps))).sum(-1).mean())

    return answer


def _cross_entropy(s, t, T):
    return float(-(T**2) * (soft(t, T) * log_soft(s, T)).sum(-1).mean())


def _probabilities_in(s, t, T):
    """F.kl_div wants the student's logarithms."""
    p = soft(t, T)
    return float(T**2 * (p * (np.log(p) - soft(s, T))).sum(-1).mean())


def _probabilities_swapped(s, t, T):
    q = soft(s, T)
    return float(T**2 * (q * (np.log(q) - soft(t, T))).sum(-1).mean())


SOFTMAX = (
    Mistake("minus", lambda z, T: soft(-z, T),
            "you wrote exp(-z / T): the least likely class gets the most; the sign is plus"),
    Mistake("times", lambda z, T: soft(z * T, 1.0),
            "you multiplied by T, so T = 4 sharpens; dividing by T > 1 makes the differences smaller"),
    Mistake("outside", lambda z, T: soft(z, 1.0) / T,
            "you divided the probabilities by T: rows then sum to 1 / T; divide the logits"),
    Mistake("after", lambda z, T: soft(z, 1.0) ** (1 / T),
            "p ** (1 / T) has the right proportions, but its rows don't sum to 1: divide by the sum"),
    Mistake("above_only", _above_only,
            "only the numerator is softened; the sum below it must use z / T as well"),
    Mistake("everything", _everything,
            "you divided by the sum of the whole array; each row has a sum of its own"),
    Mistake("first_axis", lambda z, T: soft(z, T, axis=0),
            "you summed over the first axis, the images; classes are along the last"),
    Mistake("second_axis", lambda z, T: soft(z, T, axis=1),
            "you summed over axis 1; classes are along the last axis, which may be the first or the third"),
    Mistake("overflow", quiet(_naive),
            "exp(1000 / T) overflows, or a whole row underflows: subtract the row's largest logit first"),
    Mistake("one_top", _less(lambda z, T: (z / T).max()),
            "you subtracted the largest logit of the whole array: a row far below it underflows to 0 / 0; "
            "each row has its own largest"),
    Mistake("hot_top", _less(lambda z, T: _row_top(z)),
            "you subtracted the largest logit of z from z / T: divide it by T as well, or what is left is as "
            "far from 0 as before"),
    Mistake("clipped", _clipped,
            "you clipped the logits: where two lie beyond the limit, their difference is lost; subtract the "
            "row's largest instead"),
    Mistake("clipped_at_500", quiet(lambda z, T: _naive(np.clip(z / T, -500, 500), 1.0)),
            "you clipped the logits at 500: where two lie beyond it, their difference is lost; subtract the "
            "row's largest instead"),
    Mistake("heated_only", lambda z, T: soft(z, max(T, 1.0)),
            "T below 1 isn't used; it sharpens the softmax as T above 1 softens it"),
    Mistake("not_divided", _not_divided, "your rows don't sum to 1: divide by the sum of each row"),
    Mistake("no_keepdims", _no_keepdims,
            "sum(axis=-1) drops the axis, so that row i isn't divided by its own sum: keepdims=True"),
    Mistake("logarithms", log_soft, "those are the logarithms of the probabilities (log_softmax)"),
    Mistake("twice_as_hot", lambda z, T: soft(z, T**2), "you divided by T**2; the softmax divides by T"),
    Mistake("cold", lambda z, T: soft(z, 1.0), "T isn't used: that is the softmax at T = 1"),
)  # fmt: skip

LOSS = (
    Mistake("reversed", lambda s, t, T: _loss(t, s, T),
            "that is KL(student || teacher): the teacher's probabilities must weigh the logarithms"),
    Mistake("no_square", lambda s, t, T: _loss(s, t, T) / T**2,
            "T**2 is missing: when T is large, your gradient fades as 1 / T**2"),
    Mistake("once", lambda s, t, T: _loss(s, t, T) / T,
            "you multiplied by T once; the gradient loses one factor by the chain rule, one by softness"),
    Mistake("divided", lambda s, t, T: _loss(s, t, T) / T**4,
            "you divided by T**2; the loss is multiplied by it"),
    Mistake("over_classes", lambda s, t, T: _loss(s, t, T) / s.shape[1],
            "you took the mean over classes as well (reduction='mean'): sum over them, mean over images"),
    Mistake("summed", lambda s, t, T: _loss(s, t, T) * len(s),
            "you summed over the images: then the learning rate depends on the size of the batch"),
    Mistake("wrong_mean", lambda s, t, T: _loss(s, t, T) * len(s) / s.shape[1],
            "you summed over the images and took the mean over the classes: it is the other way round"),
    Mistake("per_image", _each, "one number for each image: the loss is their mean"),
    Mistake("in_bits", lambda s, t, T: _loss(s, t, T) / np.log(2),
            "your logarithms are to base 2; nats are asked"),
    Mistake("cross_entropy", _cross_entropy,
            "that is the cross-entropy, not 0 where the two agree: the teacher's entropy is missing"),
    Mistake("hard", _hard,
            "you took the teacher's first class for a label; all its probabilities weigh the logarithms"),
    Mistake("elements", _elements,
            "one number for each class of each image: sum over the classes, mean over the images"),
    Mistake("logarithms_in", _logarithms_in,
            "F.kl_div wants the teacher's probabilities; for logarithms say log_target=True"),
    Mistake("over_the_images", quiet(_over_the_images),
            "your softmax runs over the images (axis 0); classes are along the last axis"),
    Mistake("reversed_no_square", lambda s, t, T: _loss(t, s, T) / T**2,
            "that is KL(student || teacher), and T**2 is missing, too"),
    Mistake("cold_teacher", lambda s, t, T: _loss(s, t, T, heat_t=1.0),
            "the teacher's answers are at T = 1, the student's at T: both need the same heat"),
    Mistake("cold_student", lambda s, t, T: _loss(s, t, T, heat_s=1.0),
            "the student's answers are at T = 1, the teacher's at T: both need the same heat"),
    Mistake("cold", lambda s, t, T: _loss(s, t, 1.0), "T isn't used: both sides are at T = 1"),
    Mistake("cold_squared", lambda s, t, T: T**2 * _loss(s, t, 1.0),
            "T**2 is there, but the logits aren't divided by T: both sides are at T = 1"),
    Mistake("heated_twice", lambda s, t, T: T**2 * _loss(soft(s, T), soft(t, T), 1.0),
            "you took the softmax of probabilities: the logits go in as they are, divided by T"),
    Mistake("underflow", quiet(lambda s, t, T: float(T**2 * kl(soft(t, T), soft(s, T)).sum(-1).mean())),
            "a probability of a sure network is 0 in a float, and its logarithm infinite: subtract "
            "logarithms, z / T less the logarithm of the sum"),
    *(Mistake(f"added_{eps:g}", _added(eps),
              f"{eps:g} inside the logarithm limits it; where q is 0 in a float its logarithm is far lower: "
              "subtract logarithms, z / T less the logarithm of the sum")
      for eps in (1e-8, 1e-10, 1e-12)),
    Mistake("overflow", quiet(lambda s, t, T: float(T**2 * kl(_naive(t, T), _naive(s, T)).sum(-1).mean())),
            "exp(1000) overflows: take logarithms of probabilities, the row's largest logit taken off first"),
    Mistake("probabilities_in", quiet(_probabilities_in),
            "F.kl_div wants the student's logarithms first (log_softmax); you gave it probabilities"),
    Mistake("probabilities_swapped", quiet(_probabilities_swapped),
            "F.kl_div wants the student's logarithms first, then the teacher's probabilities; you swapped "
            "them and took no logarithm"),
    Mistake("both_ways", lambda s, t, T: (_loss(s, t, T) + _loss(t, s, T)) / 2,
            "that is the mean of both directions; only KL(teacher || student) is asked"),
    Mistake("mean_of_logits", lambda s, t, T: float(s.mean()),
            "the mean of the logits is no loss: the teacher isn't in it, and softmax doesn't see it"),
    Mistake("minus", lambda s, t, T: -_loss(s, t, T),
            "the sign is wrong: a divergence is never negative, and training would drive the two apart"),
    Mistake("square_of_differences", lambda s, t, T: float(((s - t) ** 2).mean()),
            "that is the squared difference of the logits; compare the softened probabilities"),
    Mistake("square_of_probabilities", lambda s, t, T: float(((soft(s, T) - soft(t, T)) ** 2).mean()),
            "that is the squared difference of the probabilities; a divergence weighs logarithms"),
    Mistake("square_of_probabilities_hot",
            lambda s, t, T: float(T**2 * ((soft(s, T) - soft(t, T)) ** 2).sum(-1).mean()),
            "that is T**2 times the squared difference of the probabilities; a divergence weighs logarithms"),
)  # fmt: skip
