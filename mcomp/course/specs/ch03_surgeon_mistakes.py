"""Chapter 03, Optimal Brain Surgeon (03.3, 03.4): the wrong answers that people write."""

import numpy as np

from mcomp.course.model import Mistake


def _step(w, inverse, q, by=None, size=None):
    """The others' step, entry q too."""
    by = inverse[q, q] if by is None else by
    return -(w[q] if size is None else size) / by * inverse[:, q]


def _at(v, q, value=0.0):
    v = v.copy()
    v[q] = value
    return v


MISTAKES = {
    "03.3": (
        Mistake("no_half", lambda w, inverse: w**2 / np.diag(inverse),
                "twice too much: the quadratic term has a factor of one half"),
        Mistake("double", lambda w, inverse: 2 * w**2 / np.diag(inverse),
                "four times too much: the 2 belongs below, beside the diagonal of the inverse"),
        Mistake("multiplied", lambda w, inverse: w**2 * np.diag(inverse) / 2,
                "you multiplied by the inverse's diagonal, or the brackets are missing below: divide by it"),
        Mistake("obd", lambda w, inverse: w**2 * np.diag(np.linalg.inv(inverse)) / 2,
                "that is Optimal Brain Damage, with the others held fixed: 1 / [H⁻¹]_ii is not H_ii"),
        Mistake("obd_no_half", lambda w, inverse: w**2 * np.diag(np.linalg.inv(inverse)),
                "that is twice Optimal Brain Damage's score; Surgeon divides by the diagonal of the inverse"),
        Mistake("inverted_again", lambda w, inverse: w**2 / (2 * np.diag(np.linalg.inv(inverse))),
                "you inverted once more: what comes in is H⁻¹ already, take its own diagonal"),
        Mistake("no_square", lambda w, inverse: abs(w) / (2 * np.diag(inverse)),
                "the weight comes in squared"),
        Mistake("signed", lambda w, inverse: w / (2 * np.diag(inverse)),
                "the weight comes in squared, so that its sign drops out"),
        Mistake("half_times", lambda w, inverse: w**2 / 2 * inverse.diagonal() ** 2,
                "you multiplied by the square of the diagonal; divide by the diagonal"),
        Mistake("square_below", lambda w, inverse: w**2 / (2 * np.diag(inverse) ** 2),
                "you squared the diagonal too; only the weight is squared"),
        Mistake("root", lambda w, inverse: abs(w) / np.sqrt(2 * np.diag(inverse)),
                "that is the root of it: the order is the same, but asked is the rise of the loss"),
        Mistake("row_sums", lambda w, inverse: w**2 / (2 * inverse.sum(1)),
                "you divided by the sums of the rows; only the entry on the diagonal belongs there"),
        Mistake("trace", lambda w, inverse: w**2 / (2 * np.trace(inverse)),
                "you divided by the sum of the diagonal; each weight has an entry of its own"),
        Mistake("rows", lambda w, inverse: w * (inverse @ w) / 2,
                "you multiplied whole rows of the inverse with w; a weight needs its diagonal entry alone"),
        Mistake("matrix", lambda w, inverse: w**2 / (2 * inverse),
                "you divided by the whole matrix; each weight needs one number of it, on the diagonal"),
        Mistake("least", lambda w, inverse: float((w**2 / (2 * np.diag(inverse))).min()),
                "that is the least of all; every weight gets its own number"),
        Mistake("sum", lambda w, inverse: float((w**2 / (2 * np.diag(inverse))).sum()),
                "you added them up; every weight gets its own number"),
        Mistake("order", lambda w, inverse: np.argsort(w**2 / (2 * np.diag(inverse)), kind="stable"),
                "that is the order in which weights would go; asked is the number of each"),
        Mistake("which", lambda w, inverse: int((w**2 / (2 * np.diag(inverse))).argmin()),
                "that is which weight to remove first; asked is the number of each"),
        Mistake("quarter", lambda w, inverse: w**2 / (4 * np.diag(inverse)),
                "half too small: the saliency has one factor of ½"),
    ),
    "03.4": (
        Mistake("zero_only", lambda w, inverse, q: _at(w, q),
                "you removed weight q and left the others where they were; they must make up for it"),
        Mistake("sign", lambda w, inverse, q: _at(w - _step(w, inverse, q), q),
                "you moved the others the wrong way: weight q would have gone to twice its size"),
        Mistake("sign_of_all", lambda w, inverse, q: w - _step(w, inverse, q),
                "you moved the wrong way: weight q went to twice its size, not to zero"),
        Mistake("no_division", lambda w, inverse, q: _at(w + _step(w, inverse, q, by=1.0), q),
                "you forgot to divide by inverse[q, q]: on that step weight q doesn't arrive at zero"),
        Mistake("not_there", lambda w, inverse, q: w + _step(w, inverse, q, by=1.0),
                "weight q isn't zero: divide the step by inverse[q, q], then it arrives there by itself"),
        Mistake("times", lambda w, inverse, q: _at(w + _step(w, inverse, q, by=1 / inverse[q, q]), q),
                "you multiplied by inverse[q, q]; the multiplier is w[q] divided by it"),
        Mistake("half", lambda w, inverse, q: _at(w + _step(w, inverse, q) / 2, q),
                "the others went half the way: the ½ is in the saliency, not in the step"),
        Mistake("unscaled", lambda w, inverse, q: _at(w + _step(w, inverse, q, size=1.0), q),
                "how far the others move depends on how large weight q was: multiply by w[q]"),
        Mistake("all_w", lambda w, inverse, q: _at(w + _step(w, inverse, q, size=w), q),
                "you multiplied column q by w entry by entry; one number sets the length, w[q]"),
        Mistake("own_diagonal", lambda w, inverse, q: _at(w + _step(w, inverse, q, by=np.diag(inverse)), q),
                "you divided each entry by its own diagonal entry; all move by one multiple of column q"),
        Mistake("hessian", lambda w, inverse, q: _at(w + _step(w, np.linalg.inv(inverse), q), q),
                "you moved along a column of the Hessian; its inverse, which you were given, has the answer"),
        Mistake("mixed", lambda w, inverse, q: _at(
                    w + _step(w, inverse, q, by=np.linalg.inv(inverse)[q, q]), q),
                "you divided by H_qq; the diagonal entry of the inverse is another number, inverse[q, q]"),
        Mistake("saliency", lambda w, inverse, q: _at(w + _step(w, inverse, q, size=w[q] ** 2 / 2), q),
                "you put the saliency into the step; its length is w[q] / inverse[q, q]"),
        Mistake("half_of_all", lambda w, inverse, q: w + _step(w, inverse, q) / 2,
                "you went half the way, so weight q isn't zero: the ½ is in the saliency, not in the step"),
        Mistake("saliency_of_all", lambda w, inverse, q: w + _step(w, inverse, q, size=w[q] ** 2 / 2),
                "weight q isn't zero: you put the saliency into the step, not w[q] / inverse[q, q]"),
        Mistake("shared_out", lambda w, inverse, q: _at(w + w[q] / (len(w) - 1), q),
                "you gave every other weight the same; column q of the inverse says who takes how much"),
        Mistake("kept", lambda w, inverse, q: _at(w + _step(w, inverse, q), q, w[q]),
                "the others made up for weight q, but weight q is still there"),
        Mistake("step", lambda w, inverse, q: _step(w, inverse, q),
                "that is the step δ; asked are the weights after it, w + δ"),
        Mistake("step_zeroed", lambda w, inverse, q: _at(_step(w, inverse, q), q),
                "that is the step of the others; add the weights, asked is where they end"),
        Mistake("shorter", lambda w, inverse, q: np.delete(w + _step(w, inverse, q), q),
                "you took weight q out of the array; it stays in its place, as a zero"),
        Mistake("matrix", lambda w, inverse, q: w - w[q] / inverse[q, q] * inverse,
                "you moved along the whole matrix; one column of it belongs to weight q, inverse[:, q]"),
        Mistake("weight_squared", lambda w, inverse, q: w + _step(w, inverse, q, size=w[q] ** 2),
                "you squared w[q], as in the saliency; the step has w[q] / inverse[q, q]"),
    ),
}  # fmt: skip
