"""Chapter 09: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch09_formats import MISTAKES as OTHERS


def _lloyd(x, levels, index=None, center=np.mean, empty=None):
    flat = x.reshape(-1)
    near = abs(flat[:, None] - levels).argmin(1) if index is None else index(flat, levels)
    keep = levels if empty is None else np.full(len(levels), empty)
    return np.array([center(flat[near == j]) if (near == j).any() else keep[j] for j in range(len(levels))])


def _middle(v):
    return (v.min() + v.max()) / 2


def _below(flat, levels):
    return np.clip(np.searchsorted(levels, flat, side="right") - 1, 0, len(levels) - 1)


def _upper(flat, levels):
    return np.searchsorted((levels[:-1] + levels[1:]) / 2, flat, side="right")


def _above(flat, levels):
    return np.clip(np.searchsorted(levels, flat), 0, len(levels) - 1)


def _until_it_stands(x, levels):
    for _ in range(100):
        levels = _lloyd(x, levels)
    return levels


def _projected(x, levels):
    return levels[abs(x.reshape(-1)[:, None] - levels).argmin(1)].reshape(x.shape)


def _moved_borders(x, levels):
    middle = (levels[:-1] + levels[1:]) / 2
    edge = np.concatenate([[min(x.min(), levels[0])], middle, [max(x.max(), levels[-1])]])
    return (edge[:-1] + edge[1:]) / 2


def _rows(w, reduce):
    return reduce(w.reshape(len(w), -1))


def _ternary(w, gain=lambda t, k, n: t**2 / k, scale=lambda t, k, n: t / k, size=abs):
    largest = np.sort(size(w.reshape(-1)))[::-1]
    n, total = len(largest), np.cumsum(largest)
    k = int(np.argmax(gain(total, np.arange(1, n + 1), n))) + 1
    return k, float(scale(total[k - 1], k, n))


def _twn(w, part=0.7):
    size = abs(w.reshape(-1))
    kept = size[size > part * size.mean()]
    return len(kept), float(kept.mean()) if len(kept) else 0.0


def _ternary_center(w, center):
    k = _ternary(w)[0]
    return k, float(center(np.sort(abs(w.reshape(-1)))[::-1][:k]))


def _of_largest(w):
    size = np.sort(abs(w.reshape(-1)))[::-1]
    errors = [((size[:k] - size[0]) ** 2).sum() + (size[k:] ** 2).sum() for k in range(1, len(size) + 1)]
    return int(np.argmin(errors)) + 1, float(size[0])


def _above_zero(channel):
    return channel[channel > 0].mean() if (channel > 0).any() else 0.0


MISTAKES = OTHERS | {
    "09.1": (
        Mistake("level_below", lambda x, levels: _lloyd(x, levels, _below),
                "you gave each entry the level below it; the nearest may be the one above"),
        Mistake("median", lambda x, levels: _lloyd(x, levels, center=np.median),
                "you moved the levels to medians: those minimise absolute errors, means the squared ones"),
        Mistake("empty_zero", lambda x, levels: _lloyd(x, levels, empty=0.0),
                "a level without entries went to 0; let it stay where it is"),
        Mistake("empty_nan", lambda x, levels: _lloyd(x, levels, empty=np.nan),
                "a level without entries became NaN, the mean of nothing; let it stay where it is"),
        Mistake("middle_of_extremes", lambda x, levels: _lloyd(x, levels, center=_middle),
                "you took the middle between the least and the largest entry of a cell, not the mean"),
        Mistake("middle_of_borders", _moved_borders,
                "you put the levels into the middle of their cells, wherever the entries are"),
        Mistake("until_it_stands", _until_it_stands,
                "that is where the iteration ends; one step was asked for"),
        Mistake("projected", _projected,
                "those are the entries on their levels: the first half step; then the levels move"),
        Mistake("unmoved", lambda x, levels: levels.copy(), "the levels are where they were"),
        Mistake("upper_at_midpoint", lambda x, levels: _lloyd(x, levels, _upper),
                "at a midpoint you took the upper level; the lower one was asked for"),
        Mistake("level_above", lambda x, levels: _lloyd(x, levels, _above),
                "you gave each entry the level above it; the nearest may be the one below"),
        Mistake("no_distance", lambda x, levels: _lloyd(x, levels, lambda v, c: (v[:, None] - c).argmin(1)),
                "the distance has no sign: without abs the largest level wins always"),
        Mistake("empty_gone",
                lambda x, levels: np.array([c for c in _lloyd(x, levels, empty=np.nan) if c == c]),
                "a level without entries is missing: as many levels come out as went in"),
        Mistake("empty_to_mean", lambda x, levels: _lloyd(x, levels, empty=x.mean()),
                "a level without entries went to the mean of all; let it stay where it is"),
        Mistake("totals", lambda x, levels: _lloyd(x, levels, center=np.sum),
                "you moved the levels to the sums of their entries: divide by how many they are"),
        Mistake("assignments", lambda x, levels: abs(x.reshape(-1)[:, None] - levels).argmin(1),
                "those are the assignments, the first half step; the new levels were asked for"),
        Mistake("halfway", lambda x, levels: (levels + _lloyd(x, levels)) / 2,
                "you went half of the way to the mean; the step goes all of it"),
        Mistake("each_value_once", lambda x, levels: _lloyd(x, levels, center=lambda v: np.unique(v).mean()),
                "you counted equal entries once; each of them pulls"),
        Mistake("values_in_a_row", lambda x, levels: _projected(x, levels).reshape(-1),
                "those are the entries' levels; the levels that the step moves them to were asked for"),
        Mistake("on_new_levels", lambda x, levels: _lloyd(x, levels)[
                    abs(x[..., None] - levels).argmin(-1)],
                "those are the entries, each as its moved level; the levels themselves were asked for"),
    ),
    "09.2": (
        Mistake("no_abs", lambda w: _rows(w, lambda r: abs(r.mean(1))),
                "you averaged w before taking the size: positive and negative weights cancel"),
        Mistake("rms", lambda w: _rows(w, lambda r: np.sqrt((r**2).mean(1))),
                "the root mean square keeps the norm, but is longer than the projection: mean of |w|"),
        Mistake("largest", lambda w: _rows(w, lambda r: abs(r).max(1)),
                "the largest |w| makes all others too large"),
        Mistake("median", lambda w: _rows(w, lambda r: np.median(abs(r), axis=1)),
                "the median of |w| minimises absolute errors; squares were asked for"),
        Mistake("sum", lambda w: _rows(w, lambda r: abs(r).sum(1)),
                "that is the sum of |w|: divide by how many share the scale"),
        Mistake("deviation", lambda w: _rows(w, lambda r: r.std(1)),
                "the standard deviation subtracts the mean and squares; the best scale is the mean of |w|"),
        Mistake("one_for_all", lambda w: np.full(len(w), abs(w).mean()),
                "that is the scale of the whole tensor, repeated; each channel has its own"),
        Mistake("last_axis", lambda w: abs(w).mean(axis=tuple(range(w.ndim - 1))),
                "you averaged over the wrong axes: output channels are the first axis"),
        Mistake("second_axis_only", lambda w: abs(w).mean(axis=1),
                "you averaged over axis 1 only; a convolution's channel has three axes"),
        Mistake("signed_mean", lambda w: _rows(w, lambda r: r.mean(1)),
                "that is the mean of w, which may even be negative: take |w| first"),
        Mistake("norm", lambda w: _rows(w, lambda r: np.sqrt((r**2).sum(1))),
                "that is the length of the channel: n entries of that size are far too long"),
        Mistake("squares", lambda w: _rows(w, lambda r: (r**2).mean(1)),
                "you averaged the squares: the scale has the unit of w"),
        Mistake("one_number", lambda w: float(abs(w).mean()),
                "that is one scale for the whole tensor; each channel has its own"),
        Mistake("half_range", lambda w: _rows(w, lambda r: (r.max(1) - r.min(1)) / 2),
                "half of the range looks at two weights; every one counts"),
        Mistake("positive_only", lambda w: _rows(w, lambda r: np.array([_above_zero(c) for c in r])),
                "you averaged the positive weights only; the negative ones share the scale"),
        Mistake("innermost", lambda w: abs(w).mean(axis=-1),
                "you averaged over the last axis only; a convolution's channel has three axes"),
        Mistake("projected", lambda w: np.sign(w) * abs(w).mean(axis=tuple(range(1, w.ndim)), keepdims=True),
                "that is the projected tensor; its scales were asked for, a number for each channel"),
        Mistake("one_fewer", lambda w: _rows(w, lambda r: abs(r).sum(1) / max(r.shape[1] - 1, 1)),
                "you divided by n - 1; the best scale is the plain mean of |w|"),
    ),
    "09.3": (
        Mistake("twn", _twn,
                "that is the threshold of TWN, 0.7 times the mean of |w|: near the optimum, not at it"),
        Mistake("no_abs", lambda w: _ternary(w, size=lambda v: v),
                "you sorted w, not |w|: large negative weights were the first to go"),
        Mistake("largest_mean", lambda w: _ternary(w, gain=lambda t, k, n: t / k),
                "you chose the k with the largest mean of |w|: that is always the largest weight alone"),
        Mistake("largest_sum", lambda w: _ternary(w, gain=lambda t, k, n: t**2 * np.sign(k)),
                "every weight stays, as binary: sort |w| from the largest down, divide (their sum)**2 by k"),
        Mistake("scale_over_all", lambda w: _ternary(w, scale=lambda t, k, n: t / n),
                "the scale is the mean over the k weights that stay, not over all"),
        Mistake("scale_is_the_sum", lambda w: _ternary(w, scale=lambda t, k, n: t),
                "your scale is the sum of the k largest |w|; divide by k"),
        Mistake("one_less", lambda w: (lambda k, s: (k - 1, s))(*_ternary(w)),
                "your k is one too small: after the first entry of the cumulative sum one weight stays"),
        Mistake("two_thirds", lambda w: _twn(w, 2 / 3),
                "two thirds of the mean is the threshold for uniform weights; these have their own optimum"),
        Mistake("mean_threshold", lambda w: _twn(w, 1.0),
                "a threshold at the mean of |w| is a guess: try every k"),
        Mistake("mean_of_all", lambda w: (_ternary(w)[0], float(abs(w).mean())),
                "your k is right, and the scale that of binary weights: average over the k that stay"),
        Mistake("rms", lambda w: _ternary_center(w, lambda v: np.sqrt((v**2).mean())),
                "your k is right; the best scale is the mean of what stays, not the root of the mean square"),
        Mistake("median", lambda w: _ternary_center(w, np.median),
                "your k is right; the median minimises absolute errors, the mean squared ones"),
        Mistake("threshold", lambda w: _ternary_center(w, np.min),
                "your k is right; its scale is the mean of what stays, not the smallest of it"),
        Mistake("largest", lambda w: _ternary_center(w, np.max),
                "your k is right; the largest |w| as the scale is too large for the others"),
        Mistake("swapped", lambda w: _ternary(w)[::-1],
                "the order is (k, scale): yours is the other way round"),
        Mistake("scale_fixed_to_largest", _of_largest,
                "you held the scale at the largest |w|; it is the mean of what stays, and k follows"),
        Mistake("half", lambda w: (lambda a, k: (k, float(a[:k].mean())))(
                    np.sort(abs(w.reshape(-1)))[::-1], max(w.size // 2, 1)),
                "half of the weights stay whatever they are; try every k"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "Binary weights of a layer: which scale is best for given weights, in least squares?",
        (
            Option("The mean of |w|.",
                   "Yes: the derivative of the sum of (w - a * sign(w))**2 is zero there.", right=True),
            Option("The standard deviation, so that the variance stays.",
                   "That keeps the energy and loses more: for Gaussian w 0.40 of the variance, not 0.36."),
            Option("The largest |w|, so that nothing is clipped.",
                   "Then nearly every weight becomes much too large."),
        ),
    ),
    Question(
        "An entropy coder follows. Which 16 levels need the fewest bits for a given squared error?",
        (
            Option("Those of NF4: each is used equally often.",
                   "Equal use makes the indices as expensive as can be: nothing is left to the coder."),
            Option("Those of Lloyd and Max: they have the least error.",
                   "The least error for 16 levels of equal price; the coder makes prices unequal."),
            Option("Evenly spaced ones.",
                   "Yes, nearly: a quarter of a bit above the bound when they are fine.", right=True),
        ),
    ),
    Question(
        "A level may be any power of two, up or down. Which error of a weight is bounded?",
        (
            Option("The absolute error, by half of the smallest step.",
                   "Steps double from level to level: the error of a large weight grows with it."),
            Option("The relative error, by a third.",
                   "Yes: halfway between 2**e and 2**(e + 1) it is 0.5 of 1.5.", right=True),
            Option("The squared error, by Shannon's bound.",
                   "The bound is below, not above: no code has a smaller mean squared error."),
        ),
    ),
)  # fmt: skip
