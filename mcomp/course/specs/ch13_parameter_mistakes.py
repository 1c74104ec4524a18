"""Chapter 13: wrong slices and refits that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _rest(keep, n):
    return [i for i in range(n) if i not in keep]


def _masked(a, b, c, keep):
    """Zeros in place of the lost neurons."""
    gone = _rest(keep, len(a))
    a, b, c = a.copy(), b.copy(), c.copy()
    a[gone], b[gone], c[:, gone] = 0, 0, 0
    return a, b, c


def _square_slice(a, b, c, keep):
    return a[np.ix_(keep, [k for k in keep if k < a.shape[1]])], b[keep], c[:, keep]


def _rows_of_second(a, b, c, keep):
    return a[keep], b[keep], c[[k for k in keep if k < len(c)]]


def _right(w, gram, keep):
    return w @ gram[:, keep] @ np.linalg.inv(gram[np.ix_(keep, keep)])


def _only_lost(w, gram, keep):
    lost = _rest(keep, len(gram))
    return w[:, lost] @ gram[np.ix_(lost, keep)] @ np.linalg.inv(gram[np.ix_(keep, keep)])


def _scaled(w, gram, keep):
    """The kept columns, each by one factor so that the mean length of the features is the same."""
    return w[:, keep] * np.sqrt(np.trace(gram) / np.trace(gram[np.ix_(keep, keep)]))


def _diagonal(w, gram, keep):
    return w @ gram[:, keep] / np.diag(gram)[keep]


def _elementwise(w, gram, keep):
    return w @ gram[:, keep] @ (1 / gram[np.ix_(keep, keep)])


def _ridge(w, gram, keep):
    return w @ gram[:, keep] @ np.linalg.inv(gram[np.ix_(keep, keep)] + np.eye(len(keep)))


def _full_inverse(w, gram, keep):
    return w @ gram[:, keep] @ np.linalg.pinv(gram)[np.ix_(keep, keep)]


def _kept(score, k):
    return np.sort(np.argsort(-score, kind="stable")[:k])


def _with(change, kept=_kept):
    """A wrong slice of the right neurons, or the right slice of wrong ones."""
    return lambda a, b, c, score, k: change(a, b, c, [int(i) for i in kept(score, k)])


def _plain(a, b, c, keep):
    return a[keep], b[keep], c[:, keep]


def _mixed_order(a, b, c, score, k):
    order = np.argsort(-score, kind="stable")[:k]
    return a[order], b[order], c[:, np.sort(order)]


def _dropped(a, b, c, keep):
    return tuple(np.delete(x, keep, axis=axis) for x, axis in ((a, 0), (b, 0), (c, 1)))


SLICE = (
    Mistake("masked", _with(_masked),
            "you zeroed the lost neurons; the arrays should get smaller"),
    Mistake("bias_whole", _with(lambda a, b, c, keep: (a[keep], b, c[:, keep])),
            "the bias kept all its entries; a lost neuron loses its bias, too"),
    Mistake("second_whole", _with(lambda a, b, c, keep: (a[keep], b[keep], c)),
            "the second layer still has a column for each lost neuron"),
    Mistake("first_whole", _with(lambda a, b, c, keep: (a, b[keep], c[:, keep])),
            "the first layer still computes the lost neurons"),
    Mistake("second_rows", _with(_rows_of_second),
            "you took rows of `second`, which are the outputs; the hidden neurons are its columns"),
    Mistake("first_columns", _with(_square_slice),
            "you also cut the columns of `first`: those are the inputs, which stay"),
    Mistake("by_score", _with(_plain, lambda score, k: np.argsort(-score, kind="stable")[:k]),
            "the neurons are ordered by their scores; they should stay in their old order"),
    Mistake("ascending", _with(_plain, lambda score, k: np.argsort(score, kind="stable")[-k:]),
            "the neurons are ordered by their scores, and of equal ones the higher index wins; the lower "
            "should, and all stay in their old order"),
    Mistake("reversed", _with(_plain, lambda score, k: np.argsort(score, kind="stable")[::-1][:k]),
            "the neurons are ordered from the largest score down, equal ones backwards; they should stay in "
            "their old order"),
    Mistake("second_first_k", _with(lambda a, b, c, keep: (a[keep], b[keep], c[:, : len(keep)])),
            "you took the first k columns of `second`; its columns are the same neurons as rows of `first`"),
    Mistake("mixed_order", _mixed_order,
            "rows and columns are in different orders, so that a neuron meets another one's weight"),
    Mistake("smallest", _with(_plain, lambda score, k: np.sort(np.argsort(score, kind="stable")[:k])),
            "you kept the neurons of smallest score"),
    Mistake("sizes", _with(_plain, lambda score, k: _kept(abs(score), k)),
            "you compared the sizes of the scores; a negative score is a low one"),
    Mistake("ties", _with(_plain, lambda score, k: np.sort(np.argsort(score, kind="stable")[::-1][:k])),
            "of equal scores you kept the higher index; the lower one wins"),
    Mistake("threshold", _with(_plain, lambda score, k: np.flatnonzero(score >= np.sort(score)[-k])),
            "you kept all neurons that reach the k-th score: with equal ones that is more than k"),
    Mistake("above", _with(_plain, lambda score, k: np.flatnonzero(score > np.sort(score)[-k])),
            "you kept the neurons above the k-th score and lost that one"),
    Mistake("two", _with(lambda a, b, c, keep: (a[keep], c[:, keep])),
            "the bias is missing: return (first, bias, second)"),
    Mistake("dropped", _with(_dropped),
            "you removed the k neurons of largest score; they are the ones that stay"),
    Mistake("all_but_k", _with(_plain, lambda score, k: _kept(score, len(score) - k)),
            "you removed as many neurons as should stay: k is how many stay"),
    Mistake("first_few", _with(_plain, lambda score, k: np.arange(k)),
            "you kept the first k neurons; the scores say which"),
    Mistake("no_bias", _with(lambda a, b, c, keep: (a[keep], np.zeros(len(keep)), c[:, keep])),
            "the biases became zero; each kept neuron keeps its own"),
    Mistake("transposed", _with(lambda a, b, c, keep: (a[keep], b[keep], c[:, keep].T)),
            "you transposed the second layer; it stays (outputs, hidden)"),
    Mistake("scaled", _with(lambda a, b, c, keep: (a[keep], b[keep], c[:, keep] * len(a) / len(keep))),
            "you scaled the columns up for the lost ones, as dropout does; here they are only kept"),
    Mistake("swapped", _with(lambda a, b, c, keep: (a[keep], c[:, keep], b[keep])),
            "the order is (first, bias, second)"),
)  # fmt: skip

REFIT = (
    Mistake("sliced", lambda w, gram, keep: w[:, keep],
            "you kept the columns as they are; they also take over what the lost ones shared with them"),
    Mistake("only_lost", _only_lost,
            "you have the lost neurons' share alone; add the kept columns, w[:, keep]"),
    Mistake("no_inverse", lambda w, gram, keep: w @ gram[:, keep],
            "the right side is there; it still has to be multiplied by the inverse of gram[keep][:, keep]"),
    Mistake("not_inverted", lambda w, gram, keep: w @ gram[:, keep] @ gram[np.ix_(keep, keep)],
            "you multiplied by gram[keep][:, keep]; its inverse is needed"),
    Mistake("diagonal", _diagonal,
            "you divided by the diagonal, as if the kept neurons shared nothing; solve with the whole block"),
    Mistake("elementwise", quiet(_elementwise),
            "1 / matrix inverts each entry; np.linalg.inv inverts the matrix"),
    Mistake("whole_inverse", _full_inverse,
            "a block of the inverse isn't the inverse of the block: take the block first"),
    Mistake("scaled", _scaled,
            "one factor for all columns keeps the length, not the function; solve the equations"),
    Mistake("kept_rows", lambda w, gram, keep: w[:, keep] @ gram[np.ix_(keep, keep)],
            "the lost neurons don't occur: w @ gram[:, keep] sums over all of them"),
    Mistake("twice", lambda w, gram, keep: w[:, keep] + _right(w, gram, keep),
            "you added the kept columns to the solution, which holds them already"),
    Mistake("ridge", _ridge,
            "you added the identity to the block: that pulls the weights towards 0"),
    Mistake("transposed", lambda w, gram, keep: _right(w, gram, keep).T,
            "you transposed the result; it is (outputs, len(keep))"),
    Mistake("sorted", lambda w, gram, keep: _right(w, gram, sorted(keep)),
            "your columns are in ascending order; `keep` gives their order"),
    Mistake("lost", lambda w, gram, keep: w[:, _rest(keep, len(gram))],
            "these are the columns of the lost neurons, as they are"),
    Mistake("whole_width", lambda w, gram, keep: w @ np.eye(len(gram))[:, keep] @ np.eye(len(gram))[keep],
            "the result has the old width, with zeros; it should have len(keep) columns"),
    Mistake("padded", lambda w, gram, keep: _right(w, gram, keep) @ np.eye(len(gram))[keep],
            "your columns are right, but zeros stand where the lost ones were: return len(keep) columns"),
    Mistake("unweighted", lambda w, gram, keep: np.linalg.lstsq(gram[keep].T, (w @ gram).T, rcond=None)[0].T,
            "you wanted W gram[keep] = w gram in all columns; the derivative is zero in those of keep alone"),
    Mistake("shared_out", lambda w, gram, keep: w[:, keep] + np.delete(w, keep, axis=1).sum(1, keepdims=True)
            / len(keep),
            "you shared the lost weights out evenly; how much a neuron takes over, its row of gram says"),
)  # fmt: skip
