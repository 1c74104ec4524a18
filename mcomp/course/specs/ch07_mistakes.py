"""Chapter 07: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _moving(batches, weight, start=None):
    low, high = (batches[0].min(), batches[0].max()) if start is None else start
    for batch in batches if start is not None else batches[1:]:
        low, high = low + weight * (batch.min() - low), high + weight * (batch.max() - high)
    return float(low), float(high)


def _bounds(batches, weight):
    low, high = float(batches[0].min()), float(batches[0].max())
    for batch in batches[1:]:
        low = min(low, (1 - weight) * low + weight * float(batch.min()))
        high = max(high, (1 - weight) * high + weight * float(batch.max()))
    return low, high


def _along(gain, w):
    return gain.reshape(-1, *[1] * (w.ndim - 1))


def _fold(w, bias, mean, gain, beta):
    return w * _along(gain, w), beta + gain * (bias - mean)


def _extent(w, axis):
    return np.maximum(np.ptp(w, axis=axis), 1e-3)


def _scaled(first, second, s):
    return first / s[:, None], second * s


def _ranges(first, second):
    return abs(first).max(1), abs(second).max(0)


MISTAKES = {
    "07.1": (
        Mistake("extremes", lambda b, weight: (float(b.min()), float(b.max())),
                "those are the extremes of all batches: one outlier stays for ever; let it fade"),
        Mistake("from_zero", lambda b, weight: _moving(b, weight, start=(0.0, 0.0)),
                "you started at 0; start with the extremes of the first batch, or the range is too small"),
        Mistake("swapped", lambda b, weight: _moving(b, 1 - weight),
                "the weights are swapped: the new batch counts `weight`, the past 1 - weight"),
        Mistake("plain_mean", lambda b, weight: (float(b.min(1).mean()), float(b.max(1).mean())),
                "the plain mean of the extremes ignores `weight`"),
        Mistake("mean_of_values", lambda b, weight: (_moving(b.mean(1, keepdims=True), weight)),
                "you averaged the values; average the minima and maxima of the batches"),
        Mistake("only_wider", _bounds,
                "your range only ever grows; a batch with a smaller range must pull it in as well"),
        Mistake("last", lambda b, weight: (float(b[-1].min()), float(b[-1].max())),
                "those are the extremes of the last batch only"),
        Mistake("first", lambda b, weight: (float(b[0].min()), float(b[0].max())),
                "those are the extremes of the first batch: later batches must draw them along"),
        Mistake("high_first", lambda b, weight: _moving(b, weight)[::-1],
                "the lower end comes first: (low, high)"),
        Mistake("columns", lambda b, weight: _moving(b.T, weight),
                "each row is a batch; you went through the columns"),
        Mistake("high_only", lambda b, weight: (float(b.min()), _moving(b, weight)[1]),
                "your high end moves, your low one keeps the least of all batches: both move alike"),
        Mistake("low_only", lambda b, weight: (_moving(b, weight)[0], float(b.max())),
                "your low end moves, your high one keeps the largest of all batches: both move alike"),
        Mistake("reversed", lambda b, weight: _moving(b[::-1], weight),
                "you started with the last batch; the first one starts, and the latest counts most"),
        Mistake("with_zero", lambda b, weight: _moving(np.concatenate([b, 0 * b[:, :1]], 1), weight),
                "you widened each batch's range to hold 0; only what was observed is asked for"),
    ),
    "07.2": (
        Mistake("no_root", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / (v + eps), t),
                "you divided by the variance; divide by its root, the standard deviation"),
        Mistake("no_eps", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / np.sqrt(v), t),
                "eps is missing under the root: the folded layer differs from the batch norm"),
        Mistake("eps_outside", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / (np.sqrt(v) + eps), t),
                "eps belongs under the root, as the batch norm has it"),
        Mistake("bias_lost",
                lambda w, b, m, v, g, t, eps: _fold(w, 0 * b, m, g / np.sqrt(v + eps), t),
                "the layer's own bias is lost: it passes through the batch norm like everything else"),
        Mistake("mean_not_scaled",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               t - m + b * g / np.sqrt(v + eps)),
                "the mean is subtracted before the scaling: it must be scaled too"),
        Mistake("bias_not_scaled",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               t + b - m * g / np.sqrt(v + eps)),
                "the layer's bias comes before the batch norm: it must be scaled too"),
        Mistake("weights_stay",
                lambda w, b, m, v, g, t, eps: (w, _fold(w, b, m, g / np.sqrt(v + eps), t)[1]),
                "you changed the bias only; the weights of each channel must be scaled as well"),
        Mistake("no_gamma", lambda w, b, m, v, g, t, eps: _fold(w, b, m, 1 / np.sqrt(v + eps), t),
                "gamma is missing: batch norm has a scale that was learned"),
        Mistake("last_axis",
                lambda w, b, m, v, g, t, eps: (w * (g / np.sqrt(v + eps)),
                                               _fold(w, b, m, g / np.sqrt(v + eps), t)[1]),
                "w * g scales the last axis; the output channels are the first: give g its other axes"),
        Mistake("matrix_only",
                lambda w, b, m, v, g, t, eps: (w * (g / np.sqrt(v + eps))[:, None],
                                               _fold(w, b, m, g / np.sqrt(v + eps), t)[1]),
                "g[:, None] is right for a matrix; a convolution's w has four axes, so g needs three more"),
        Mistake("mean_added",
                lambda w, b, m, v, g, t, eps: _fold(w, b, -m, g / np.sqrt(v + eps), t),
                "you added the mean; batch norm subtracts it"),
        Mistake("no_beta", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / np.sqrt(v + eps), 0 * t),
                "beta is missing: batch norm adds it at the end"),
        Mistake("beta_scaled",
                lambda w, b, m, v, g, t, eps: _fold(w, b + t, m, g / np.sqrt(v + eps), 0 * t),
                "you scaled beta as well; it is added after the scaling"),
        Mistake("bias_unscaled",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0], b - m + t),
                "your bias isn't scaled: (bias - mean) comes before the scaling, beta after it"),
        Mistake("upside_down", lambda w, b, m, v, g, t, eps: _fold(w, b, m, np.sqrt(v + eps) / g, t),
                "your factor is upside down: gamma stands above, the deviation below"),
        Mistake("mean_lost", lambda w, b, m, v, g, t, eps: _fold(w, b, 0 * m, g / np.sqrt(v + eps), t),
                "the mean is missing: batch norm subtracts it before the scaling"),
        Mistake("gamma_lost",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               _fold(w, b, m, 1 / np.sqrt(v + eps), t)[1]),
                "the bias has no gamma: it is scaled by the same factor as the weights"),
        Mistake("times_deviation", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g * np.sqrt(v + eps), t),
                "you multiplied by the standard deviation; batch norm divides by it"),
        Mistake("bias_first",
                lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / np.sqrt(v + eps), t)[::-1],
                "the weights come first, then the bias"),
    ),
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
        Mistake("one_for_all", lambda b, w, q, x: b + (x @ (w - q).T).mean(),
                "you took the mean over the outputs too; each output has a correction of its own"),
        Mistake("all_means", lambda b, w, q, x: b + (w - q).mean(1) * x.mean(),
                "the mean of a sum of products isn't the product of the means: (w - rounded) @ mean of x"),
        Mistake("mean_weights", lambda b, w, q, x: b + (w - q).mean(1),
                "you took the mean error of the weights; each counts with the mean of its input"),
        Mistake("sizes", lambda b, w, q, x: b + abs(w - q) @ x.mean(0),
                "errors of both signs cancel in the mean output; don't take their sizes"),
        Mistake("outputs", lambda b, w, q, x: b + w @ x.mean(0),
                "that is the mean output of w; what `rounded` gives by itself must be subtracted"),
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

QUIZ = (
    Question(
        "A percentile clips 0.1 % of a layer's inputs. When is that better than the extremes?",
        (
            Option("Always: outliers are noise.",
                   "At 8 bits the steps are so narrow that clipping costs more than it saves."),
            Option("When the bits are few: then the steps that clipping narrows cost more than what it cuts.",
                   "Yes: a bit less quadruples rounding's error, not that of the clip.", right=True),
            Option("Never: what is clipped is lost.",
                   "So is what wide steps round away. The sum of both errors counts."),
        ),
    ),
    Question(
        "AdaRound's weights are further from the trained ones than rounding to the nearest. Is that a bug?",
        (
            Option("Yes: rounding to the nearest is the projection.",
                   "It is the projection in the distance of weights; the loss sees the outputs."),
            Option("No: errors of the same row cancel in the output, which is what the loss sees.",
                   "Yes: the distance is measured by the inputs' second moments.", right=True),
            Option("No: it uses more bits.", "The grid is the same; only the choice of neighbours differs."),
        ),
    ),
    Question(
        "Rounding moves the mean output of a layer. Why can its bias repair that without a label?",
        (
            Option("The shift is the error of the weights times the mean input: the same for every image.",
                   "Yes: the layer is linear, and unlabelled images give the mean input.", right=True),
            Option("The bias isn't rounded, so it holds the labels.",
                   "It holds one number a channel. No label is involved."),
            Option("It can't: the shift differs from image to image.",
                   "The error does. Its mean over images is one number a channel."),
        ),
    ),
)  # fmt: skip
