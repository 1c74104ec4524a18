"""Chapter 03: the wrong answers that people write, each with what happened; and the quiz.

Statistics over the wrong axis, and one answer for all neurons, are errors of published tutorials.
"""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _rise(w, g, hessian, gone, first=1.0, second=0.5):
    step = -w * gone
    return float(first * (g @ step) + second * (step @ hessian @ step))


def _diagonal_rise(w, g, hessian, gone):
    return _rise(w, g, np.diag(np.diag(hessian)), gone)


def _update(w, inverse, q, by=None, keep_q=False):
    new = w - w[q] / (inverse[q, q] if by is None else by) * inverse[:, q]
    new[q] = w[q] if keep_q else 0.0
    return new


def _zeroed(w, q):
    new = w.copy()
    new[q] = 0.0
    return new


def _rows(score, k):
    rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1)
    return rank < k


def _whole(score, k):
    mask = np.zeros(score.shape, bool)
    mask.flat[np.argsort(-score, axis=None, kind="stable")[: k * len(score)]] = True
    return mask


def _rms(x, axis=0):
    return np.sqrt((x**2).mean(axis))


def _keep(y, least_mean, least_std, most_zeros, axis=0, ddof=0):
    zeros = (y == 0).mean(axis)
    return (y.mean(axis) >= least_mean) & (y.std(axis, ddof=ddof) >= least_std) & (zeros <= most_zeros)


def _keep_any(y, least_mean, least_std, most_zeros):
    zeros = (y == 0).mean(0)
    return (y.mean(0) >= least_mean) | (y.std(0) >= least_std) | (zeros <= most_zeros)


def _strict(y, least_mean, least_std, most_zeros):
    return (y.mean(0) > least_mean) & (y.std(0) > least_std) & ((y == 0).mean(0) < most_zeros)


def _one_answer(y, least_mean, least_std, most_zeros):
    kept = y.mean() >= least_mean and y.std() >= least_std and (y == 0).mean() <= most_zeros
    return np.full(y.shape[1], bool(kept))


def _by_rows(w, b, mean, gone):
    return w * ~gone[: len(w), None], b + (w * gone[: len(w), None]) @ mean


MISTAKES = {
    "03.1": (
        Mistake("no_abs", lambda w, g: w * g,
                "your scores have signs: a large change downwards would go first; take the size of w·g"),
        Mistake("movement", lambda w, g: -w * g,
                "that is the signed change, which movement pruning adds up; this score is its size"),
        Mistake("half_abs", lambda w, g: abs(w) * g,
                "you took the size of w only; g has a sign as well"),
        Mistake("gradient", lambda w, g: abs(g),
                "that is the slope; the weight moves by its whole length, so multiply by |w|"),
        Mistake("magnitude", lambda w, g: abs(w),
                "that is magnitude: the gradient isn't in it"),
        Mistake("square", lambda w, g: (w * g) ** 2,
                "you squared it: the order is right, but the size isn't, nor are sums over channels"),
        Mistake("sum", lambda w, g: float(abs(w * g).sum()),
                "that is one number for the whole array; every weight gets its own"),
    ),
    "03.2": (
        Mistake("sign", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, first=-1.0),
                "the sign of the linear term is wrong: a weight that goes to zero moves by -w, not by +w"),
        Mistake("no_half", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, second=1.0),
                "the quadratic term of a Taylor expansion has a factor of one half"),
        Mistake("diagonal", _diagonal_rise,
                "you used the diagonal only: weights that go together interact, and those terms count"),
        Mistake("first_only", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, second=0.0),
                "that is the linear term alone; the curvature is missing"),
        Mistake("second_only", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, first=0.0),
                "that is the quadratic term alone, as at a minimum; here the gradient counts too"),
        Mistake("all", lambda w, g, hessian, gone: _rise(w, g, hessian, np.ones_like(gone)),
                "you removed every weight; only those marked in `gone` move"),
        Mistake("inverted", lambda w, g, hessian, gone: _rise(w, g, hessian, ~gone),
                "you removed the others: True in `gone` marks what goes"),
    ),
    "03.3": (
        Mistake("no_half", lambda w, inverse: w**2 / np.diag(inverse),
                "twice too much: the quadratic term has a factor of one half"),
        Mistake("multiplied", lambda w, inverse: w**2 * np.diag(inverse) / 2,
                "you multiplied by the inverse's diagonal, as if it were the Hessian's; divide by it"),
        Mistake("obd", lambda w, inverse: w**2 * np.diag(np.linalg.inv(inverse)) / 2,
                "that is Optimal Brain Damage, with the others held fixed: 1 / [H⁻¹]_ii is not H_ii"),
        Mistake("no_square", lambda w, inverse: abs(w) / (2 * np.diag(inverse)),
                "the weight comes in squared"),
        Mistake("half_times", lambda w, inverse: w**2 / 2 * inverse.diagonal() ** 2,
                "you multiplied by the square of the diagonal; divide by the diagonal"),
        Mistake("row_sums", lambda w, inverse: w**2 / (2 * inverse.sum(1)),
                "you divided by the sums of the rows; only the entry on the diagonal belongs there"),
    ),
    "03.4": (
        Mistake("zero_only", lambda w, inverse, q: _zeroed(w, q),
                "you removed weight q and left the others where they were; they must make up for it"),
        Mistake("sign", lambda w, inverse, q: _zeroed(w + w[q] / inverse[q, q] * inverse[:, q], q),
                "you moved the others the wrong way: weight q would have gone to twice its size"),
        Mistake("no_division", lambda w, inverse, q: _update(w, inverse, q, by=1.0),
                "you forgot to divide by inverse[q, q]: on that step weight q doesn't arrive at zero"),
        Mistake("own_diagonal", lambda w, inverse, q: _update(w, inverse, q, by=np.diag(inverse)),
                "you divided each entry by its own diagonal entry; all move by one multiple of column q"),
        Mistake("hessian", lambda w, inverse, q: _update(w, np.linalg.inv(inverse), q),
                "you moved along a column of the Hessian; its inverse, which you were given, has the answer"),
        Mistake("kept", lambda w, inverse, q: _update(w, inverse, q, keep_q=True),
                "the others made up for weight q, but weight q is still there"),
    ),
    "03.5": (
        Mistake("magnitude", lambda w, x, k: _rows(abs(w), k),
                "that is magnitude within each row: the inputs aren't in it"),
        Mistake("no_abs", lambda w, x, k: _rows(w * _rms(x), k),
                "you compared w, not |w|, so large negative weights went"),
        Mistake("wrong_axis", lambda w, x, k: _rows(abs(w) * _rms(x, axis=1), k),
                "you averaged over an example's inputs; the rms of an input is over the batch, axis 0"),
        Mistake("mean", lambda w, x, k: _rows(abs(w) * abs(x.mean(0)), k),
                "you took the mean of the input, in which signs cancel; rms is the root of the mean square"),
        Mistake("std", lambda w, x, k: _rows(abs(w) * x.std(0), k),
                "you took the standard deviation, which leaves out the mean; rms has both"),
        Mistake("columns", lambda w, x, k: _rows((abs(w) * _rms(x)).T, k).T,
                "you kept k in each column; it is k in each row, that is of each output"),
        Mistake("whole", lambda w, x, k: _whole(abs(w) * _rms(x), k),
                "you ranked the layer as a whole; each row keeps k of its own"),
        Mistake("inverted", lambda w, x, k: ~_rows(abs(w) * _rms(x), k),
                "your mask is upside down: True means keep"),
    ),
    "03.6": (
        Mistake("wrong_axis", lambda y, a, b, c: _keep(y, a, b, c, axis=1),
                "you took statistics over axis 1, one number an image; a neuron is a column, so axis 0"),
        Mistake("one_answer", _one_answer,
                "you took statistics of the whole array, so all neurons share one answer"),
        Mistake("any", _keep_any,
                "a neuron stays only if it passes all three tests; yours stays if it passes one"),
        Mistake("inverted", lambda y, a, b, c: ~_keep(y, a, b, c),
                "your answer is upside down: True means keep"),
        Mistake("non_zeros", lambda y, a, b, c: (y.mean(0) >= a) & (y.std(0) >= b) & ((y != 0).mean(0) <= c),
                "you counted what is not zero; the fraction of zeros was asked for"),
        Mistake("strict", _strict,
                "a neuron that lies exactly at a limit stays: it goes if it is below, or above most_zeros"),
        Mistake("sample_std", lambda y, a, b, c: _keep(y, a, b, c, ddof=1),
                "you divided by n - 1; the standard deviation of the outputs themselves divides by n"),
    ),
    "03.7": (
        Mistake("only_zeroed", lambda w, b, mean, gone: (w * ~gone, b.copy()),
                "you zeroed the columns and lost what those neurons gave on average; the bias takes it"),
        Mistake("only_bias", lambda w, b, mean, gone: (w.copy(), b + w @ (mean * gone)),
                "the neurons are still there: zero their columns as well, or they count twice"),
        Mistake("all_means", lambda w, b, mean, gone: (w * ~gone, b + w @ mean),
                "you added the means of all neurons; those that stay speak for themselves"),
        Mistake("sign", lambda w, b, mean, gone: (w * ~gone, b - w @ (mean * gone)),
                "you took the mean away a second time; the bias gets it added"),
        Mistake("no_weight", lambda w, b, mean, gone: (w * ~gone, b + (mean * gone).sum()),
                "you added the means themselves; they reach output o multiplied by w[o, j]"),
        Mistake("inverted", lambda w, b, mean, gone: (w * gone, b + w @ (mean * ~gone)),
                "you removed the neurons that should stay: True in `gone` marks what goes"),
    ),
}  # fmt: skip

QUIZ = (
    Question("A network has been trained until its gradient is nearly zero. What does |w·g| then rank by?", (
        Option("by how much the loss rises when a weight goes",
               "at a minimum that is the quadratic term; the linear one has vanished"),
        Option("mostly by chance: which images the gradient was measured on",
               "the mean vanishes, so what is left is the noise of the sample", right=True),
        Option("by magnitude, because g is the same for all weights",
               "g is small for all of them, but not the same"),
    )),
    Question("Two inputs of a layer are always equal. One of their two weights goes, the others may move. "
             "The loss", (
        Option("rises by h·w²/2, as Optimal Brain Damage says",
               "that holds if nothing else moves; the twin weight can take over"),
        Option("does not rise: the other weight takes over",
               "their sum is all that counts, and Optimal Brain Surgeon's update keeps it", right=True),
        Option("falls, because a useless weight is gone",
               "the network computes the same function as before"),
    )),
    Question("You prune to 50 % and then train for some epochs. Which criterion do you take first?", (
        Option("magnitude: it costs nothing, and after fine-tuning the others are not better here",
               "in the chapter's figure the criteria lie together at low sparsity", right=True),
        Option("Optimal Brain Surgeon, because it is exact",
               "it is exact for one weight of a quadratic; half of a network is neither"),
        Option("random, because training repairs everything",
               "random stays behind on all seeds, more so the more you prune"),
    )),
)  # fmt: skip
