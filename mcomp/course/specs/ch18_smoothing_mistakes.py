"""Chapter 18: wrong ways to move a range into the weights, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _most(a):
    return abs(a).max(0)


def _factor(x_most, w_most, alpha):
    return x_most**alpha / w_most ** (1 - alpha)


def _with(s):
    """Both sides scaled, with another s."""

    def answer(x, w, alpha):
        scale = s(x, w, alpha)
        return x / scale, w * scale

    return quiet(answer)


def _of(x_size, w_size=None):
    """s from other sizes of the columns."""
    return _with(lambda x, w, alpha: _factor(x_size(x), (w_size or x_size)(w), alpha))


def _as(factor):
    """s from the right sizes by another formula."""
    return _with(lambda x, w, alpha: factor(_most(x), _most(w), alpha))


def _used(apply):
    """The right s, applied otherwise."""
    return quiet(lambda x, w, alpha: apply(x, w, _factor(_most(x), _most(w), alpha)))


SMOOTHING = (
    Mistake("alpha_swapped", _as(lambda a, b, alpha: a ** (1 - alpha) / b**alpha),
            "alpha and 1 - alpha are exchanged: x has alpha"),
    Mistake("upside_down", _used(lambda x, w, s: (x * s, w / s)),
            "upside down: the inputs are divided by s, the weights multiplied"),
    Mistake("upside_down_swapped", _as(lambda a, b, alpha: b**alpha / a ** (1 - alpha)),
            "x and w are exchanged in s: the inputs' size stands above, to alpha"),
    Mistake("x_only", _used(lambda x, w, s: (x / s, w)),
            "the weights must be multiplied by s, or the product changes"),
    Mistake("w_only", _used(lambda x, w, s: (x, w * s)),
            "the inputs must be divided by s, or the product changes"),
    Mistake("both_divided", _used(lambda x, w, s: (x / s, w / s)),
            "both were divided by s; the weights are multiplied, so that the product stays"),
    Mistake("both_multiplied", _used(lambda x, w, s: (x * s, w * s)),
            "both were multiplied by s; the inputs are divided, so that the product stays"),
    Mistake("product", _as(lambda a, b, alpha: a**alpha * b ** (1 - alpha)),
            "s is a quotient: divide by the weights' size"),
    Mistake("one_alpha", _as(lambda a, b, alpha: (a / b) ** alpha),
            "you raised both sizes to alpha; the weights' is raised to 1 - alpha"),
    Mistake("no_brackets", _as(lambda a, b, alpha: a**alpha / b**1 - alpha),
            "brackets: w_most ** 1 - alpha is w_most minus alpha, or the quotient is"),
    Mistake("no_brackets_below", _as(lambda a, b, alpha: a**alpha / (b - alpha)),
            "brackets: ** comes before -, so w_most ** 1 - alpha is w_most - alpha"),
    Mistake("no_powers", _as(lambda a, b, alpha: a / b),
            "alpha is missing in s: both sizes are raised to a power"),
    Mistake("factors", _as(lambda a, b, alpha: a * alpha / (b * (1 - alpha))),
            "alpha is an exponent, not a factor"),
    Mistake("half", _as(lambda a, b, alpha: np.sqrt(a / b)),
            "that is s for alpha = 0.5; alpha comes in"),
    Mistake("x_size_only", _as(lambda a, b, alpha: a**alpha),
            "the weights' size is missing in s"),
    Mistake("w_size_only", _as(lambda a, b, alpha: 1 / b ** (1 - alpha)),
            "the inputs' size is missing in s"),
    Mistake("no_abs", _of(lambda a: a.max(0)),
            "you took the largest numbers, not the largest sizes: abs first"),
    Mistake("no_abs_x", _of(lambda a: a.max(0), _most),
            "you took the largest x, not the largest |x|"),
    Mistake("no_abs_w", _of(_most, lambda a: a.max(0)),
            "you took the largest w, not the largest |w|"),
    Mistake("abs_late", _of(lambda a: abs(a.max(0))),
            "abs of the largest number misses large negative ones: abs first, then max"),
    Mistake("mean", _of(lambda a: abs(a).mean(0)),
            "you took means of sizes; the largest of each column"),
    Mistake("mean_of_w", _of(_most, lambda a: abs(a).mean(0)),
            "of w you took the mean size of a column; the largest"),
    Mistake("mean_of_x", _of(lambda a: abs(a).mean(0), _most),
            "of x you took the mean size of a column; the largest"),
    Mistake("root_mean_square", _of(lambda a: np.sqrt((a**2).mean(0))),
            "you took roots of mean squares; the largest size of each column"),
    Mistake("range", _of(lambda a: a.max(0) - a.min(0)),
            "you took largest minus smallest; the largest |x| and |w| of each column"),
    Mistake("least", _of(lambda a: abs(a).min(0)),
            "you took the smallest size of each column; the largest"),
    Mistake("one_for_all", _of(lambda a: abs(a).max()),
            "you took one size for all of x and of w; each input has its own s"),
    Mistake("one_for_w", _of(_most, lambda a: abs(a).max()),
            "you took one size for all of w; each of its columns has its own"),
    Mistake("one_for_x", _of(lambda a: abs(a).max(), _most),
            "you took one size for all of x; each of its columns has its own"),
    Mistake("rows_of_w", _of(_most, lambda a: abs(a).max(1)),
            "of w you took the sizes of rows, the outputs; an input is a column"),
    Mistake("rows", _of(lambda a: abs(a).max(1, keepdims=True), _most),
            "of x you took the sizes of rows, the samples; an input is a column"),
    Mistake("rows_of_each", quiet(lambda x, w, alpha: (
                x / abs(x).max(1, keepdims=True) ** alpha, w * abs(w).max(1, keepdims=True) ** (1 - alpha))),
            "you scaled rows of x and of w by their own sizes; s belongs to an input, a column of both"),
    Mistake("exchanged", _used(lambda x, w, s: (w * s, x / s)), "the inputs come first, then the weights"),
    Mistake("s_alone", _used(lambda x, w, s: s), "that is s; x / s and w * s were asked for"),
    Mistake("x_and_s", _used(lambda x, w, s: (x / s, s)), "the second is s; w * s was asked for"),
    Mistake("x_alone", _used(lambda x, w, s: x / s), "return w * s too"),
    Mistake("s_too", _used(lambda x, w, s: (x / s, w * s, s)), "two arrays were asked for, without s"),
)  # fmt: skip
