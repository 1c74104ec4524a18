"""Chapter 14: the mistakes of the exercises on a barrier and on the bend of a curve."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _line(losses, at):
    return (1 - at) * losses[0] + at * losses[-1]


def _rise(losses, at):
    return losses - _line(losses, at)


def _trapezoid(y, at):
    return float(((y[1:] + y[:-1]) / 2 * np.diff(at)).sum())


def _inner(losses, at):
    return float(_rise(losses, at)[1:-1].max(initial=-np.inf)) if len(at) > 2 else 0.0


def _relative(losses, at):
    return float((_rise(losses, at) / _line(losses, at)).max())


def _halfway(losses, at):
    """At the place nearest to 1/2."""
    return float(_rise(losses, at)[abs(at - 0.5).argmin()])


BARRIER = (
    Mistake("over_mean", lambda losses, at: float(losses.max() - (losses[0] + losses[-1]) / 2),
            "you compared with the mean of the two ends; the straight line passes it only at 1/2"),
    Mistake("over_larger", lambda losses, at: float(losses.max() - max(losses[0], losses[-1])),
            "you compared with the larger end; the line falls from it to the other"),
    Mistake("over_smaller", lambda losses, at: float(losses.max() - min(losses[0], losses[-1])),
            "you compared with the smaller end; the line rises from it to the other"),
    Mistake("range", lambda losses, at: float(losses.max() - losses.min()),
            "that is how far the losses spread; the rise above the line between the ends is asked"),
    Mistake("over_first", lambda losses, at: float(losses.max() - losses[0]),
            "you compared with the first end alone"),
    Mistake("over_last", lambda losses, at: float(losses.max() - losses[-1]),
            "you compared with the second end alone"),
    Mistake("turned", lambda losses, at: float((losses - _line(losses, 1 - at)).max()),
            "your line runs the wrong way: at t = 0 it must be the first loss"),
    Mistake("even", lambda losses, at: float(_rise(losses, np.linspace(0, 1, len(at))).max()),
            "you took the places as evenly spread; `at` says where they are"),
    Mistake("even_linspace", lambda losses, at: float(
                (losses - np.linspace(losses[-1], losses[0], len(at))).max()),
            "your line runs from the last loss to the first, in even steps; `at` says where the places are"),
    Mistake("halfway", _halfway,
            "you looked halfway only; the highest place may be elsewhere"),
    Mistake("at_half", lambda losses, at: float(np.interp(0.5, at, losses) - (losses[0] + losses[-1]) / 2),
            "you looked at t = 1/2 only; the highest place may be elsewhere"),
    Mistake("slope_back", lambda losses, at: float(
                (losses - losses[0] - at * (losses[0] - losses[-1])).max()),
            "your line climbs where it should fall: it goes from losses[0] to losses[-1]"),
    Mistake("climb", lambda losses, at: float((losses - np.minimum.accumulate(losses)).max()),
            "you measured the climb from the lowest place before; measure from the line between the ends"),
    Mistake("mean_positive", lambda losses, at: float(_rise(losses, at).clip(0).mean()),
            "you took the mean of the rises; the largest is asked"),
    Mistake("sum_positive", lambda losses, at: float(_rise(losses, at).clip(0).sum()),
            "you summed the rises; the largest is asked"),
    Mistake("over_length", lambda losses, at: float(
                (losses - _line(losses, np.arange(len(at)) / len(at))).max()),
            "you took index / length for t; `at` says where the places are"),
    Mistake("steepest", lambda losses, at: float(max(0.0, np.diff(losses).max())),
            "that is the largest step between two neighbours; measure from the line between the ends"),
    Mistake("up_and_down", lambda losses, at: float(np.ptp(_rise(losses, at))),
            "you took the largest minus the smallest difference; what lies below the line doesn't count"),
    Mistake("over_all", lambda losses, at: float(losses.max() - losses.mean()),
            "you compared with the mean of all losses; compare with the line between the two ends"),
    Mistake("at_largest_even", lambda losses, at: float(
                (losses - np.linspace(losses[0], losses[-1], len(at)))[losses.argmax()]),
            "you looked where the loss is largest, with places evenly spread: `at` says where they are, and "
            "the largest rise may be elsewhere"),
    Mistake("over_sum", lambda losses, at: float(losses.max() - (losses[0] + losses[-1])),
            "you took away both ends; the line between them is (1 - t) of one and t of the other"),
    Mistake("halfway_mean", lambda losses, at: float(
                losses[abs(at - 0.5).argmin()] - (losses[0] + losses[-1]) / 2),
            "you looked near t = 1/2 only, and compared with the mean of the ends; each place counts"),
    Mistake("middle", lambda losses, at: float(_rise(losses, at)[len(at) // 2]),
            "you looked at the middle entry only; the highest place may be elsewhere"),
    Mistake("middle_mean", lambda losses, at: float(losses[len(at) // 2] - (losses[0] + losses[-1]) / 2),
            "you compared the middle entry with the mean of the ends; all places count, each with its line"),
    Mistake("at_largest", lambda losses, at: float(_rise(losses, at)[losses.argmax()]),
            "you looked where the loss is largest; it may rise more above the line where it is smaller"),
    Mistake("size", lambda losses, at: float(abs(_rise(losses, at)).max()),
            "you took the size of the difference; a valley is no barrier"),
    Mistake("valley", lambda losses, at: float((-_rise(losses, at)).max()),
            "the sign is the wrong way: losses above the line count"),
    Mistake("lowest", lambda losses, at: float(_rise(losses, at).min()),
            "you took the smallest difference; the largest is asked"),
    Mistake("inside", quiet(_inner),
            "you left out the ends, where the rise is 0: it is never negative"),
    Mistake("inside_alone", lambda losses, at: float(_rise(losses, at)[1:-1].max()),
            "you left out the ends, where the rise is 0; without them two places leave nothing over"),
    Mistake("mean_rise", lambda losses, at: float(_rise(losses, at).mean()),
            "you took the mean of the differences; the largest is asked"),
    Mistake("sum_rise", lambda losses, at: float(_rise(losses, at).sum()),
            "you summed the differences; the largest is asked"),
    Mistake("area", lambda losses, at: _trapezoid(_rise(losses, at), at),
            "that is the area between; the height is asked"),
    Mistake("where", lambda losses, at: float(at[_rise(losses, at).argmax()]),
            "you returned the place; how high it rises there is asked"),
    Mistake("which", lambda losses, at: int(_rise(losses, at).argmax()),
            "you returned the index of the place; how high it rises there is asked"),
    Mistake("all", _rise,
            "you returned the difference at each place; the largest is asked, one number"),
    Mistake("largest", lambda losses, at: float(losses.max()),
            "that is the largest loss; take the line between the ends away first"),
    Mistake("relative", quiet(_relative),
            "you divided by the line; the rise itself is asked"),
    Mistake("half_sum", lambda losses, at: float((losses - (losses[0] + losses[-1]) * at).max()),
            "the line is (1 - t) times the first loss plus t times the last"),
    Mistake("slope", lambda losses, at: float((losses - at * (losses[-1] - losses[0])).max()),
            "you took away how the line climbs, but not where it starts: losses[0]"),
    Mistake("ends_apart", lambda losses, at: float((losses - (1 - at) * losses[0] + at * losses[-1]).max()),
            "a bracket is missing: the second end is subtracted, too"),
    Mistake("sorted_ends", lambda losses, at: float(
                (losses - _line(np.sort(losses), at)).max()),
            "your line connects the smallest and the largest loss; it connects the two ends"),
)  # fmt: skip


def _factors(at):
    return (2 * at * (1 - at))[:, None]


def _by(factor):
    """The mean over the places of the gradients, each times factor(t)."""
    return lambda at, gradients: (factor(at)[:, None] * gradients).mean(0)


def _weighted(at, gradients):
    total = _factors(at).sum()
    return (_factors(at) * gradients).sum(0) / total if total > 0 else np.zeros(gradients.shape[1])


def _integral(y, at):
    return ((y[1:] + y[:-1]) / 2 * np.diff(at)[:, None]).sum(0)


def _numbers(at, gradients):
    return float((_factors(at) * gradients).mean())


BEND = (
    Mistake("no_two", _by(lambda t: t * (1 - t)),
            "the factor is 2 * t * (1 - t); the 2 is missing"),
    Mistake("sum", lambda at, gradients: (_factors(at) * gradients).sum(0),
            "you summed over the places; the loss is their mean"),
    Mistake("plain", lambda at, gradients: gradients.mean(0),
            "a point of the curve moves less than m does: by 2 * t * (1 - t) of it"),
    Mistake("plain_sum", lambda at, gradients: gradients.sum(0),
            "you summed the gradients as they are; each counts by how far its point moves with m"),
    Mistake("sum_no_two", lambda at, gradients: _factors(at)[:, 0] @ gradients / 2,
            "the 2 of the factor is missing, and the loss is a mean over the places, not a sum"),
    Mistake("weighted", quiet(_weighted),
            "you divided by the sum of the factors; the mean over the places divides by how many there are"),
    Mistake("each", lambda at, gradients: _factors(at) * gradients,
            "you have one gradient for each place; the mean over the places is asked, (n,)"),
    Mistake("mean_place", lambda at, gradients: 2 * at.mean() * (1 - at.mean()) * gradients.mean(0),
            "you took the factor at the mean place; each place has its own"),
    Mistake("mean_factor", lambda at, gradients: _factors(at).mean() * gradients.mean(0),
            "you multiplied the mean factor and the mean gradient; multiply place by place first"),
    Mistake("broadcast", quiet(lambda at, gradients: (_factors(at)[:, 0] * gradients).mean(0)),
            "the factors went along the weights; a factor belongs to a row: (2 * at * (1 - at))[:, None]"),
    Mistake("integral", lambda at, gradients: _integral(_factors(at) * gradients, at),
            "you integrated over t; the mean over the places is asked, each counts alike"),
    Mistake("last_place", lambda at, gradients: _factors(at)[-1] * gradients[-1] / len(at),
            "only the last place is in it: add to the total, don't replace it"),
    Mistake("always_half", lambda at, gradients: gradients.mean(0) / 2,
            "1/2 is the factor at t = 1/2; it is 2 * t * (1 - t)"),
    Mistake("sums_apart", lambda at, gradients: _factors(at).sum() * gradients.mean(0),
            "you multiplied the sum of the factors and the mean gradient; multiply place by place first"),
    Mistake("weighted_twice", quiet(lambda at, gradients: 2 * _weighted(at, gradients)),
            "you divided by the sum of t * (1 - t); the mean over the places divides by how many there are"),
    Mistake("by_place", lambda at, gradients: 2 * at * (1 - at) * gradients.mean(),
            "you have a number for each place, from the mean of all; a gradient has one for each weight"),
    Mistake("squares", lambda at, gradients: ((_factors(at) * gradients) ** 2).mean(0),
            "you squared; the gradient is the mean of the scaled gradients as they are"),
    Mistake("not_t", _by(lambda t: 2 * (1 - t)),
            "the factor of m lacks t"),
    Mistake("one_row", lambda at, gradients: (_factors(at) * gradients).mean(0, keepdims=True),
            "right, but a row of a matrix; (n,) is asked"),
    Mistake("twice_over_places", lambda at, gradients: (_factors(at) * gradients).mean(0) / len(at),
            "you divided by the number of places twice"),
    Mistake("first_end", _by(lambda t: (1 - t) ** 2),
            "(1 - t)**2 is the factor of the end a; m has 2 * t * (1 - t)"),
    Mistake("second_end", _by(lambda t: t**2),
            "t**2 is the factor of the end b; m has 2 * t * (1 - t)"),
    Mistake("linear", _by(lambda t: 1 - t),
            "the factor of m is 2 * t * (1 - t)"),
    Mistake("only_t", _by(lambda t: 2 * t),
            "the factor of m lacks 1 - t"),
    Mistake("t", _by(lambda t: t),
            "you weighed each gradient by t, as if m were the end of a line; the factor of m is another"),
    Mistake("along", _by(lambda t: 2 - 4 * t),
            "you took the derivative with respect to t; m is what changes"),
    Mistake("along_half", _by(lambda t: 1 - 2 * t),
            "1 - 2 * t is a derivative with respect to t; m is what changes"),
    Mistake("squared", _by(lambda t: (2 * t * (1 - t)) ** 2),
            "the factor is squared in yours; once is enough"),
    Mistake("divided", quiet(lambda at, gradients: (gradients / _factors(at)).mean(0)),
            "you divided by the factor; a point that moves less counts less, so multiply"),
    Mistake("over_weights", lambda at, gradients: (_factors(at) * gradients).mean(1),
            "you took the mean over the weights; it goes over the places"),
    Mistake("number", _numbers,
            "you took the mean over the weights, too; a gradient has an entry for each weight"),
    Mistake("half_again", _by(lambda t: 4 * t * (1 - t)),
            "the factor is twice too large: 2 * t * (1 - t)"),
    Mistake("over_weights_sum", lambda at, gradients: (_factors(at) * gradients).sum(0) / gradients.shape[1],
            "you divided by the number of weights; divide by the number of places"),
    Mistake("minus", lambda at, gradients: -(_factors(at) * gradients).mean(0),
            "that is the step downhill; the gradient itself is asked"),
    Mistake("square_bracket", _by(lambda t: 2 * t * (1 - t) ** 2),
            "the curve is of degree 2: the factor of m is 2 * t * (1 - t), without a square"),
    Mistake("inner", lambda at, gradients: (_factors(at) * gradients)[(at > 0) & (at < 1)].mean(0)
            if ((at > 0) & (at < 1)).any() else np.zeros(gradients.shape[1]),
            "you left out the ends; their gradient for m is 0, but they count among the places"),
)  # fmt: skip
