"""Chapter 07, layers (07.3 and 07.4): the wrong answers that people write."""

import numpy as np

from mcomp.course.model import Mistake


def _extent(w, axis):
    return np.maximum(np.ptp(w, axis=axis), 1e-3)


def _scaled(first, second, s):
    return first / s[:, None], second * s


def _ranges(first, second):
    return abs(first).max(1), abs(second).max(0)


def _arithmetic(first, second):
    r1, r2 = _ranges(first, second)
    return first * ((r1 + r2) / 2 / r1)[:, None], second * ((r1 + r2) / 2 / r2)


def _by_rows(first, second):
    """r2 by the rows of the second layer, which fits the channels only where it is square."""
    if len(second) not in (1, len(first)):
        return first.copy(), second.copy()
    return _scaled(first, second, np.sqrt(abs(first).max(1) / abs(second).max(1)))


MISTAKES = {
    "07.3": (
        Mistake("upside_down", lambda a, b: _scaled(a, b, np.sqrt(_ranges(a, b)[1] / _ranges(a, b)[0])),
                "s is upside down: the larger range must shrink, so r1 stands above"),
        Mistake("no_root", lambda a, b: _scaled(a, b, _ranges(a, b)[0] / _ranges(a, b)[1]),
                "r1 / r2 swaps the two ranges; its root makes them equal"),
        Mistake("to_one", lambda a, b: _scaled(a, b, _ranges(a, b)[0]),
                "dividing by r1 makes the first layer even and hands its ranges to the second"),
        Mistake("both_divided",
                lambda a, b: (a / np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])[:, None],
                              b / np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])),
                "you divided on both sides: what one side loses the other must gain"),
        Mistake("no_abs", lambda a, b: _scaled(a, b, np.sqrt(abs(a.max(1) / b.max(0)))),
                "you took the largest weight, not the largest |weight|"),
        Mistake("one_scale",
                lambda a, b: _scaled(a, b, np.full(len(a), np.sqrt(abs(a).max() / abs(b).max()))),
                "that is one s for all channels: each channel has its own"),
        Mistake("only_first",
                lambda a, b: (a / np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])[:, None], b.copy()),
                "the second layer must be multiplied by s, or the network computes something else"),
        Mistake("product", lambda a, b: _scaled(a, b, np.sqrt(_ranges(a, b)[0] * _ranges(a, b)[1])),
                "sqrt(r1 * r2) is the range that both end with; s is what takes r1 there"),
        Mistake("one_second", lambda a, b: _scaled(a, b, np.sqrt(_ranges(a, b)[0] / abs(b).max())),
                "you took one range for the whole second layer: r2 is that of each column"),
        Mistake("arithmetic_mean", _arithmetic,
                "ranges that meet at their arithmetic mean change the function: r1 * r2 stays the same"),
        Mistake("fourth_root", lambda a, b: _scaled(a, b, (_ranges(a, b)[0] / _ranges(a, b)[1]) ** 0.25),
                "you took the root twice: s = sqrt(r1 / r2)"),
        Mistake("second_to_one", lambda a, b: _scaled(a, b, 1 / _ranges(a, b)[1]),
                "that makes the second layer even and hands its ranges to the first"),
        Mistake("one_range",
                lambda a, b: _scaled(a, b, _ranges(a, b)[0] / np.sqrt(np.prod(_ranges(a, b), axis=0)).mean()),
                "you gave all channels one range; only the two layers' ranges of a channel become equal"),
        Mistake("second_rows", _by_rows,
                "r2 is the range of what reads the channel: column second[:, c], not a row of second"),
        Mistake("only_second",
                lambda a, b: (a.copy(), b * np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])),
                "the first layer must be divided by s, or the network computes something else"),
        Mistake("both_multiplied",
                lambda a, b: (a * np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])[:, None],
                              b * np.sqrt(_ranges(a, b)[0] / _ranges(a, b)[1])),
                "you multiplied on both sides: what one side gains the other must lose"),
        Mistake("extent", lambda a, b: _scaled(a, b, np.sqrt(_extent(a, 1) / _extent(b, 0))),
                "max - min isn't the range of a symmetric grid: that ends at the largest |w|"),
        Mistake("norms",
                lambda a, b: _scaled(a, b, np.sqrt(np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=0))),
                "you made the norms equal; a grid ends at the largest |w|, so make those equal"),
        Mistake("means", lambda a, b: _scaled(a, b, np.sqrt(abs(a).mean(1) / abs(b).mean(0))),
                "you made the mean |w| equal; a grid ends at the largest |w|, so make those equal"),
    ),
    "07.4": (
        Mistake("sign", lambda b, w, q, x: b - (w - q) @ x.mean(0),
                "the sign is wrong: where rounding took weight away, the bias must give it back"),
        Mistake("sum", lambda b, w, q, x: b + (w - q) @ x.sum(0),
                "you took the sum over the inputs; their mean is wanted"),
        Mistake("weights_only", lambda b, w, q, x: b + (w - q).sum(1),
                "you summed the errors of the weights; each counts with the mean of its input"),
        Mistake("one_image", lambda b, w, q, x: b + (w - q) @ x[0],
                "you looked at the first input only; take the mean over all"),
        Mistake("one_mean", lambda b, w, q, x: b + (w - q).sum(1) * x.mean(),
                "each input has a mean of its own; you took one for all"),
        Mistake("difference_only", lambda b, w, q, x: (w - q) @ x.mean(0),
                "that is the correction; add it to the bias that was there"),
        Mistake("shift_only", lambda b, w, q, x: (q - w) @ x.mean(0),
                "that is the shift itself; the bias that makes up for it is asked for: bias - shift"),
        Mistake("one_for_all", lambda b, w, q, x: b + (x @ (w - q).T).mean(),
                "you took the mean over the outputs too; each output has a correction of its own"),
        Mistake("one_number", lambda b, w, q, x: float((b + x @ (w - q).T).mean()),
                "one number for all outputs; each has a bias of its own: mean over axis 0 only"),
        Mistake("all_means", lambda b, w, q, x: b + (w - q).mean(1) * x.mean(),
                "the mean of a sum of products isn't the product of the means: (w - rounded) @ mean of x"),
        Mistake("mean_weights", lambda b, w, q, x: b + (w - q).mean(1),
                "you took the mean error of the weights; each counts with the mean of its input"),
        Mistake("sizes", lambda b, w, q, x: b + abs(w - q) @ x.mean(0),
                "errors of both signs cancel in the mean output; don't take their sizes"),
        Mistake("minus_sizes", lambda b, w, q, x: b - abs(w - q) @ x.mean(0),
                "errors of both signs cancel in the mean output: subtract rounded - w with its sign"),
        Mistake("outputs", lambda b, w, q, x: b + w @ x.mean(0),
                "that is the mean output of w; what `rounded` gives by itself must be subtracted"),
        Mistake("one_less", lambda b, w, q, x: b + (w - q) @ x.sum(0) / max(len(x) - 1, 1),
                "the mean divides by the number of inputs, not by one less"),
        Mistake("sizes_of_x", lambda b, w, q, x: b + (w - q) @ abs(x).mean(0),
                "you took the mean |x|; inputs below 0 move the output the other way"),
        Mistake("no_target", lambda b, w, q, x: b - q @ x.mean(0),
                "you subtracted what `rounded` gives, and forgot what w gives"),
        Mistake("mean_of_products", lambda b, w, q, x: b + (w - q) @ x.mean(0) / x.shape[1],
                "you took the mean over the inputs of the layer too; its output is their sum"),
        Mistake("not_averaged", lambda b, w, q, x: b + x @ (w - q).T,
                "that is a correction for each input; a bias is the same for all: take the mean"),
        Mistake("rectified",
                lambda b, w, q, x: b + (np.maximum(x @ w.T + b, 0) - np.maximum(x @ q.T + b, 0)).mean(0),
                "you compared what comes behind a ReLU; the mean outputs of the layer itself are asked for"),
        Mistake("bias_twice", lambda b, w, q, x: 2 * b + (w - q) @ x.mean(0),
                "the bias counts twice: it is in the mean output of w already"),
    ),
}  # fmt: skip
