"""Chapter 07: the wrong answers that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch07_layer_mistakes import MISTAKES as LAYERS


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


def _jumps(batches, weight):
    low, high = float(batches[0].min()), float(batches[0].max())
    for batch in batches[1:]:
        low = min(float(batch.min()), low + weight * float(batch.min() - low))
        high = max(float(batch.max()), high + weight * float(batch.max() - high))
    return low, high


def _averaged(batches, weight):
    mean = batches[0]
    for batch in batches[1:]:
        mean = (1 - weight) * mean + weight * batch
    return float(mean.min()), float(mean.max())


def _along(gain, w):
    return gain.reshape(-1, *[1] * (w.ndim - 1))


def _fold(w, bias, mean, gain, beta):
    return w * _along(gain, w), beta + gain * (bias - mean)


MISTAKES = LAYERS | {
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
        Mistake("last_missing", lambda b, weight: _moving(b[:-1] if len(b) > 1 else b, weight),
                "your loop ends one batch early: the last one must draw the range along too"),
        Mistake("sizes", lambda b, weight: (-_moving(abs(b), weight)[1], _moving(abs(b), weight)[1]),
                "you took the largest size for both ends; the lower end follows the minima"),
        Mistake("not_faded", lambda b, w: (float(b[0].min() + w * b[1:].min(1).sum()),
                                           float(b[0].max() + w * b[1:].max(1).sum())),
                "you add to the old range without fading it: (1 - weight) of it stays"),
        Mistake("jumps_out", _jumps,
                "a larger batch takes your range over at once; it too draws it only `weight` of the way"),
        Mistake("averaged_batches", _averaged,
                "you averaged the batches entry by entry; each batch gives its extremes first"),
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
        Mistake("beta_subtracted", lambda w, b, m, v, g, t, eps: _fold(w, b, m, g / np.sqrt(v + eps), -t),
                "you subtracted beta; batch norm adds it at the end"),
        Mistake("mean_in_weights",
                lambda w, b, m, v, g, t, eps: _fold(w - _along(m, w), b, 0 * m, g / np.sqrt(v + eps), t),
                "you took the mean from the weights; it is a mean of outputs: it goes into the bias"),
        Mistake("exchanged", lambda w, b, m, v, g, t, eps: _fold(w, b, m, t / np.sqrt(v + eps), g),
                "gamma and beta are exchanged: gamma multiplies, beta is added"),
        Mistake("eps_in_one",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               _fold(w, b, m, g / np.sqrt(v), t)[1]),
                "your bias lacks eps: it is scaled by the same factor as the weights"),
        Mistake("only_beta",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0], t.copy()),
                "your bias is beta alone; the layer's bias and the mean go through the scaling into it"),
        Mistake("difference_turned",
                lambda w, b, m, v, g, t, eps: (_fold(w, b, m, g / np.sqrt(v + eps), t)[0],
                                               _fold(w, m, b, g / np.sqrt(v + eps), t)[1]),
                "you took mean - bias; batch norm subtracts the mean from what the bias is part of"),
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
}  # fmt: skip
