"""Chapter 11: the wrong answers that people write, each with what happened; and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch11_blocks import MISTAKES as BLOCKS
from mcomp.course.specs.ch11_passing import MISTAKES as PASSING

MISTAKES = {
    "11.1": (
        Mistake("wrong_order", lambda w1, b1, w2, b2:
                ((w1 @ w2, w2 @ b1 + b2) if w1.shape[1] == len(w2) else (w2 @ w1, w2 @ b1 + b2)),
                "you multiplied w1 @ w2: what comes first stands on the right, w2 @ w1"),
        Mistake("no_b1", lambda w1, b1, w2, b2: (w2 @ w1, np.array(b2)),
                "the first layer's bias is lost: the second layer sends it on, as w2 @ b1"),
        Mistake("no_b2", lambda w1, b1, w2, b2: (w2 @ w1, w2 @ b1),
                "the second layer's bias is lost: it is added behind everything"),
        Mistake("added_biases", lambda w1, b1, w2, b2: (w2 @ w1, b2 + b1.sum()),
                "b1 passes through the second layer before it reaches an output: w2 @ b1"),
        Mistake("broadcast_biases", lambda w1, b1, w2, b2:
                (w2 @ w1, b1 + b2 if len(b1) == len(b2) else w2 @ b1 + b2),
                "you added b1 as it is: it passes through the second layer first, w2 @ b1"),
        Mistake("both_biases_through", lambda w1, b1, w2, b2:
                (w2 @ w1, w2 @ (b1 + b2) if len(b1) == len(b2) else w2 @ b1 + b2),
                "you sent b2 through w2: it is added behind the second layer"),
        Mistake("transposed", lambda w1, b1, w2, b2: ((w2 @ w1).T, w2 @ b1 + b2),
                "your weight is transposed: it is (out, in)"),
        Mistake("elementwise", lambda w1, b1, w2, b2:
                ((w2 * w1 if w1.shape == w2.shape else w2 @ w1), w2 @ b1 + b2),
                "you multiplied entry by entry; a layer after a layer is a matrix product, w2 @ w1"),
        Mistake("summed", lambda w1, b1, w2, b2:
                ((w2 + w1 if w1.shape == w2.shape else w2 @ w1), w2 @ b1 + b2),
                "you added the weights: that is two layers side by side, not one after the other"),
        Mistake("minus", lambda w1, b1, w2, b2: (w2 @ w1, w2 @ b1 - b2),
                "b2 is added, not taken off"),
        Mistake("absolute", lambda w1, b1, w2, b2: (abs(w2) @ abs(w1), w2 @ b1 + b2),
                "you took |w|; the signs count"),
        Mistake("relu_between", lambda w1, b1, w2, b2: (w2 @ np.maximum(w1, 0), w2 @ b1 + b2),
                "you put a ReLU on the weights; nothing stands between the two layers"),
        Mistake("relu_bias", lambda w1, b1, w2, b2: (w2 @ w1, w2 @ np.maximum(b1, 0) + b2),
                "you put a ReLU on the bias; nothing stands between the two layers"),
        Mistake("swapped", lambda w1, b1, w2, b2: (w2 @ b1 + b2, w2 @ w1),
                "both are right, in the other order: first the weight, then the bias"),
        Mistake("weight_only", lambda w1, b1, w2, b2: w2 @ w1,
                "a pair was asked for: the bias is missing"),
        Mistake("relu_behind", lambda w1, b1, w2, b2: (w2 @ w1, np.maximum(w2 @ b1 + b2, 0)),
                "you put a ReLU on the bias; neither layer has one"),
        Mistake("bias_into_weight", lambda w1, b1, w2, b2: (w2 @ (w1 + b1[:, None]), np.array(b2)),
                "you put b1 into the weight; it doesn't depend on x, so it goes into the bias"),
        Mistake("one_for_all", lambda w1, b1, w2, b2: (w2 @ w1, (w2 * b1).sum() + b2),
                "you added w2 * b1 up over the outputs too; each output has its own sum, w2 @ b1"),
        Mistake("second_alone", lambda w1, b1, w2, b2: (np.array(w2), np.array(b2)),
                "that is the second layer as it was; the first must be in it"),
        Mistake("zero_bias", lambda w1, b1, w2, b2: (w2 @ w1, np.zeros(len(w2))),
                "the bias isn't 0: at x = 0 the two layers give w2 @ b1 + b2"),
    ),
    "11.3": (
        Mistake("rows", lambda w, b, scale, shift:
                ((w.T * scale[: len(w)]).T if len(scale) >= len(w) else w, b + w @ shift),
                "you scaled rows; before the layer, a factor belongs to an input, a column of w"),
        Mistake("no_shift", lambda w, b, scale, shift: (w * scale, np.array(b)),
                "the shift is lost: the layer sends it on to its outputs, as w @ shift"),
        Mistake("scaled_shift", lambda w, b, scale, shift: (w * scale, b + (w * scale) @ shift),
                "the shift is added after the scale: it meets w itself, not w times scale"),
        Mistake("shift_alone", lambda w, b, scale, shift: (w * scale, w @ shift),
                "the layer's own bias is lost: it stays, and w @ shift is added"),
        Mistake("summed_shift", lambda w, b, scale, shift: (w * scale, b + shift.sum()),
                "the shift passes through w before it reaches an output: w @ shift"),
        Mistake("minus", lambda w, b, scale, shift: (w * scale, b - w @ shift),
                "the shift is added before the layer, so w @ shift is added to the bias, not taken off"),
        Mistake("bias_unchanged_weight", lambda w, b, scale, shift: (np.array(w), b + w @ shift),
                "the bias is right, but w must take the scale: each column its own"),
        Mistake("divided", lambda w, b, scale, shift:
                (w / np.where(scale == 0, 1, scale), b + w @ shift),
                "you divided by the scale: x is multiplied by it, so w is too"),
        Mistake("bias_scaled", lambda w, b, scale, shift: (w * scale, b * scale.mean() + w @ shift),
                "you scaled the bias: it is added behind the layer, where no scale reaches it"),
        Mistake("mean_scale", lambda w, b, scale, shift: (w * scale.mean(), b + w @ shift),
                "you multiplied by one number for all; each column has its own factor"),
        Mistake("absolute", lambda w, b, scale, shift: (w * abs(scale), b + w @ shift),
                "you took |scale|; a negative factor turns the sign of its column"),
        Mistake("row_sums", lambda w, b, scale, shift: (w * scale, b + w.sum(1) * shift.mean()),
                "you took one shift for all inputs; each has its own: w @ shift"),
        Mistake("swapped", lambda w, b, scale, shift: (b + w @ shift, w * scale),
                "both are right, in the other order: first the weight, then the bias"),
        Mistake("weight_only", lambda w, b, scale, shift: w * scale,
                "a pair was asked for: the bias is missing"),
        Mistake("scale_and_shift_swapped", lambda w, b, scale, shift: (w * shift, b + w @ scale),
                "you took the shift for the scale and the scale for the shift"),
        Mistake("both_into_weight", lambda w, b, scale, shift: (w * scale + w * shift, np.array(b)),
                "w * shift, added up along each row, is w @ shift, and belongs to the bias"),
        Mistake("all_shifts", lambda w, b, scale, shift: (w * scale, b + w.sum(1) * shift.sum()),
                "you multiplied two sums; the sum of the products was asked for, w @ shift"),
        Mistake("mean_shift", lambda w, b, scale, shift: (w * scale, b + (w * shift).mean(1)),
                "you took the mean over the inputs; a layer adds them up: w @ shift"),
        Mistake("shift_into_weight", lambda w, b, scale, shift: (w * scale + shift, np.array(b)),
                "the shift doesn't depend on x, so it goes into the bias, not into the weight"),
    ),
    **BLOCKS,
    **PASSING,
}  # fmt: skip

QUIZ = (
    Question("A batch norm stands in front of a 3 × 3 convolution that pads with zeros. Can it be folded?", (
        Option("yes, into the columns of the weight",
               "the scale can; but at the border the shift is missing, because the zeros get none"),
        Option("only if its shift is 0",
               "the zeros are put in behind the batch norm: a shift never reaches them", right=True),
        Option("no, its scale can't be moved", "a factor for each input channel goes into the weight"),
    )),
    Question("A block's output points where its input does and is twice as long. Its block influence is", (
        Option("0, so it looks useless", "the cosine is 1: lengths aren't seen", right=True),
        Option("1, because the output is twice the input", "a cosine doesn't know how long a vector is"),
        Option("2, the factor", "1 minus a cosine is 2 only for opposite directions"),
    )),
    Question("Two linear layers, 100 → 5 → 100, nothing between them. Merge them?", (
        Option("yes, one layer is always smaller", "100 · 100 weights instead of 100 · 5 · 2"),
        Option("no: the file becomes ten times larger",
               "10,000 weights instead of 1,000: this is chapter 10's factorization, undone", right=True),
        Option("no, it changes the function", "it is exact; it is only larger"),
    )),
)  # fmt: skip
