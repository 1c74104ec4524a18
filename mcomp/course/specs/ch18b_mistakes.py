"""Chapter 18b: wrong answers that people give, each with what happened, and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question, quiet
from mcomp.course.specs.ch18b_neighbour_mistakes import NEIGHBOURS


def _into(keep, values):
    v = np.zeros(len(keep))
    v[keep] = values
    return v


def _change(w, h, keep):
    """What the weights that stay move by."""
    return np.linalg.solve(h[keep][:, keep], h[keep][:, ~keep] @ w[~keep])


def _block_of_inverse(w, h, keep):
    inverse = np.linalg.inv(h)
    return _into(keep, w[keep] + inverse[keep][:, keep] @ h[keep][:, ~keep] @ w[~keep])


def _each_alone(w, h, keep):
    inverse = np.linalg.inv(h)
    step = sum((w[j] / inverse[j, j] * inverse[:, j] for j in np.flatnonzero(~keep)), np.zeros(len(w)))
    return np.where(keep, w - step, 0.0)


def _not_zero(w, h, keep):
    inverse = np.linalg.inv(h)
    step = sum((w[j] / inverse[j, j] * inverse[:, j] for j in np.flatnonzero(~keep)), np.zeros(len(w)))
    return w - step


def _behind(w, h, keep):
    v, inverse = w.astype(float).copy(), np.linalg.inv(h)
    factor = np.linalg.cholesky(inverse).T
    for j in np.flatnonzero(~keep):
        v[j:] -= v[j] / factor[j, j] * factor[j, j:]
    return np.where(keep, v, 0.0)


def _alone(w, h, keep):
    return _into(keep, w[keep] + h[keep][:, ~keep] @ w[~keep] / np.diag(h)[keep])


def _inverse_columns(w, h, keep):
    inverse = np.linalg.inv(h)
    return np.where(keep, w - inverse[:, ~keep] @ w[~keep], 0.0)


MADE_UP = (
    Mistake("still", lambda w, h, keep: w * keep,
            "nothing moved: the weights that stay can make up for those that go"),
    Mistake("block_of_inverse", _block_of_inverse,
            "the block of the inverse isn't the inverse of the block: cut h first, then solve"),
    Mistake("each_alone", _each_alone,
            "you made up for each weight as if it alone went; those that go can't make up for each other"),
    Mistake("behind", _behind,
            "only weights behind a lost one moved, as in SparseGPT; here all that stay may"),
    Mistake("alone", _alone,
            "each weight that stays moved as if it were the only one to: solve for all of them at once"),
    Mistake("minus", lambda w, h, keep: _into(keep, w[keep] - _change(w, h, keep)),
            "the sign: an input that goes along with a lost one takes over what that one gave"),
    Mistake("change", lambda w, h, keep: _into(keep, _change(w, h, keep)),
            "that is by how much the weights move; they themselves were asked for"),
    Mistake("upside_down", quiet(lambda w, h, keep: (
                _into(~keep, w[~keep] + np.linalg.solve(h[~keep][:, ~keep], h[~keep][:, keep] @ w[keep])))),
            "True = keep: you kept those that should go"),
    Mistake("short", lambda w, h, keep: w[keep] + _change(w, h, keep),
            "these are the weights that stay; the whole row was asked for, with zeros"),
    Mistake("ghosts", lambda w, h, keep: np.where(keep, _into(keep, w[keep] + _change(w, h, keep)), w),
            "what should go is still there: zeros where keep is False"),
    Mistake("not_zero", _not_zero,
            "what goes isn't 0 in the end: each step moved it again"),
    Mistake("inverse_columns", _inverse_columns,
            "columns of the inverse without the block of those that go: H⁻¹[:, Q] H⁻¹[Q, Q]⁻¹ w_Q"),
    Mistake("w_itself", lambda w, h, keep: _into(keep, np.linalg.solve(h[keep][:, keep], w[keep])),
            "you solved for the weights; the right side is (h @ w) of those that stay"),
    Mistake("half", lambda w, h, keep: _into(keep, w[keep] + _change(w, h, keep) / 2),
            "half the way: the derivative of d @ h @ d has its 2 on both sides"),
    Mistake("twice", lambda w, h, keep: _into(keep, w[keep] + 2 * _change(w, h, keep)),
            "twice too far: the derivative of d @ h @ d has its 2 on both sides"),
    Mistake("no_product", lambda w, h, keep: _into(keep, w[keep] + h[keep][:, ~keep] @ w[~keep]),
            "you added h[stay, go] w[go] as it is; it is the right side of a system of equations"),
    Mistake("cost", lambda w, h, keep: float(
                (d := _into(keep, w[keep] + _change(w, h, keep)) - w) @ h @ d),
            "that is what the change costs; the weights were asked for"),
)  # fmt: skip

MERGED = (
    Mistake("no_rank", lambda w, down, up, alpha: w + alpha * up @ down,
            "alpha is divided by the rank"),
    Mistake("no_alpha", lambda w, down, up, alpha: w + up @ down,
            "the factor alpha / rank is missing"),
    Mistake("only_rank", lambda w, down, up, alpha: w + up @ down / len(down),
            "divided by the rank, but alpha is missing"),
    Mistake("root", lambda w, down, up, alpha: w + alpha / np.sqrt(len(down)) * up @ down,
            "that is rsLoRA's factor; here alpha is divided by the rank, not by its root"),
    Mistake("times_rank", lambda w, down, up, alpha: w + alpha * len(down) * up @ down,
            "you multiplied by the rank; alpha is divided by it"),
    Mistake("inputs", lambda w, down, up, alpha: w + alpha / down.shape[1] * up @ down,
            "down is (rank, in): you divided by the inputs, not by the rank"),
    Mistake("outputs", lambda w, down, up, alpha: w + alpha / len(up) * up @ down,
            "up is (out, rank): you divided by the outputs, not by the rank"),
    Mistake("update", lambda w, down, up, alpha: alpha / len(down) * up @ down,
            "that is the update alone; the weight and the update together were asked for"),
    Mistake("minus", lambda w, down, up, alpha: w - alpha / len(down) * up @ down,
            "you subtracted the update: that unmerges"),
    Mistake("both_scaled", lambda w, down, up, alpha: alpha / len(down) * (w + up @ down),
            "the factor belongs to the update alone, not to w"),
    Mistake("inverted", lambda w, down, up, alpha: w + len(down) / alpha * up @ down,
            "the factor is upside down: alpha / rank"),
    Mistake("first", lambda w, down, up, alpha: w + alpha / len(down) * up[:, :1] @ down[:1],
            "only the first of the rank counts in your update: sum over all"),
    Mistake("twice", lambda w, down, up, alpha: w + (alpha / len(down)) ** 2 * up @ down,
            "the factor came in with both factors, so squared; once is enough"),
    Mistake("mixed", lambda w, down, up, alpha: (1 - alpha / len(down)) * w + alpha / len(down) * up @ down,
            "you mixed both as in a mean; the update is added to a whole w"),
)  # fmt: skip

MISTAKES = {"18b.1": MADE_UP, "18b.2": MERGED, "18b.3": NEIGHBOURS}

QUIZ = (
    Question("A mask is given, and the weights that stay move as well as they can. Beside SparseGPT's, with "
             "the same mask, the layer's error on the samples is", (
        Option("at most as large", "SparseGPT moves only weights behind a lost one; that is open here, too",
               right=True),
        Option("larger, since the mask wasn't chosen for it", "the mask is the same for both here"),
        Option("the same: both use H", "SparseGPT goes through a row once and never back"),
    )),
    Question("LoRA of rank 8 beside a matrix of 3 bits was trained, then merged. What is the result?", (
        Option("a matrix of 3 bits that does the same", "w + up @ down isn't on the grid of w"),
        Option("a matrix of floats; rounded to 3 bits again it loses most of a small update",
               "the rounding makes an error of its own, about as large as the first one", right=True),
        Option("a matrix of rank 8", "the sum has any rank; only the update has 8"),
    )),
    Question("After some repair the network is better by 0.05 bits per byte. What did the repair bring?", (
        Option("0.05", "then everything that training on this text brings is told as repair"),
        Option("what it brings above the uncompressed network after the same training",
               "the control: perhaps training on helps any network", right=True),
        Option("nothing, it was trained on test text", "nobody said so: it is trained on training text"),
    )),
)  # fmt: skip
