"""Chapter 14b: wrong balance losses that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _share(g):
    """The share of inputs whose first choice is each expert."""
    return np.eye(g.shape[1])[g.argmax(1)].mean(0)


def _gated(g):
    """Gates of the chosen experts alone."""
    return g * np.eye(g.shape[1])[g.argmax(1)]


def _mean_of_own(g):
    """The mean gate over the inputs that chose the expert, 0 where none did."""
    taken = np.eye(g.shape[1])[g.argmax(1)].sum(0)
    return _gated(g).sum(0) / np.maximum(taken, 1)


def _last_choice(g):
    """Of equal gates the higher index."""
    return np.eye(g.shape[1])[g.shape[1] - 1 - g[:, ::-1].argmax(1)].mean(0)


def _all_equal(g):
    return (g == g.max(1, keepdims=True)).mean(0)


def _short(g):
    """The number of experts taken from those that were chosen."""
    f = np.bincount(g.argmax(1)) / len(g)
    return float(len(f) * (f * g.mean(0)[: len(f)]).sum())


def _unique(g):
    """Counts of those that occur."""
    f = np.unique(g.argmax(1), return_counts=True)[1] / len(g)
    return float(g.shape[1] * (f * g.mean(0)).sum())


def _columns_largest(g):
    f = np.bincount(g.argmax(0), minlength=g.shape[1]) / len(g)
    return float(g.shape[1] * (f * g.mean(0)).sum())


def _soft(g):
    return np.exp(g) / np.exp(g).sum(1, keepdims=True)


def _turned(g):
    """Rows taken for experts."""
    f = np.bincount(g.argmax(0), minlength=len(g)) / g.shape[1]
    return float(len(g) * (f * g.mean(1)).sum())


def _entropy(p):
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def _sum(f, p, n=None):
    return float((len(f) if n is None else n) * (f * p).sum())


BALANCE = (
    Mistake("no_n", lambda g: _sum(_share(g), g.mean(0), 1),
            "the factor n is missing (n times a mean is only the sum): balanced gates should cost 1"),
    Mistake("n_inputs", lambda g: _sum(_share(g), g.mean(0), len(g)),
            "the number of inputs stands where n belongs, the number of experts: as the factor, or because "
            "f is a count or P a sum"),
    Mistake("mean", lambda g: float((_share(g) * g.mean(0)).mean()),
            "you took the mean over the experts; n times the sum is asked"),
    Mistake("n_squared", lambda g: _sum(_share(g), g.mean(0), g.shape[1] ** 2),
            "you multiplied by n twice"),
    Mistake("counts", lambda g: _sum(_share(g) * len(g), g.mean(0)),
            "f is a count or P a sum here; divide each by the number of inputs"),
    Mistake("counts_and_sums", lambda g: _sum(_share(g) * len(g), g.sum(0)),
            "f is a count and P a sum; divide both by the number of inputs"),
    Mistake("gates_twice", lambda g: _sum(g.mean(0), g.mean(0)),
            "both factors are the mean gate; f counts whose gate is the largest"),
    Mistake("shares_twice", lambda g: _sum(_share(g), _share(g)),
            "both factors are the share of inputs: that has no gradient; P is the mean gate"),
    Mistake("shares_alone", lambda g: _sum(_share(g), 1.0),
            "your result is always n: shares add up to 1, and so do mean gates; multiply expert by expert, "
            "then sum"),
    Mistake("own_inputs", lambda g: _sum(_share(g), _mean_of_own(g)),
            "your P is the mean over the inputs that chose the expert, which makes n times the mean of the "
            "largest gates; take it over all inputs"),
    Mistake("chosen_gates", lambda g: _sum(_share(g), _gated(g).mean(0)),
            "your P counts an input's gate for its first choice only; the mean of all gates is asked"),
    Mistake("gated_shares", lambda g: _sum(_gated(g).mean(0), g.mean(0)),
            "your f adds up the largest gates; each input counts 1, whatever its gate"),
    Mistake("higher_index", lambda g: _sum(_last_choice(g), g.mean(0)),
            "of equal gates the higher index counts here; the lower one should"),
    Mistake("all_equal", lambda g: _sum(_all_equal(g), g.mean(0)),
            "an input with two equal gates counts for both; only the lower index counts"),
    Mistake("smallest", lambda g: _sum(np.eye(g.shape[1])[g.argmin(1)].mean(0), g.mean(0)),
            "you counted the smallest gates; the largest are asked"),
    Mistake("threshold", lambda g: _sum((g > 1 / g.shape[1]).mean(0), g.mean(0)),
            "you counted every gate above 1 / n; each input counts once, for its largest gate"),
    Mistake("half", lambda g: _sum((g > 0.5).mean(0), g.mean(0)),
            "you counted gates above 0.5: with more experts the largest may be smaller"),
    Mistake("half_or_more", lambda g: _sum((g >= 0.5).mean(0), g.mean(0)),
            "you counted gates of 0.5 or more; each input counts once, for its largest gate, however small"),
    Mistake("largest_sum", lambda g: float(g.max(1).sum() * g.shape[1]),
            "that is n times the sum of the largest gates; f and P are means, taken expert by expert"),
    Mistake("minlength", lambda g: float(g.shape[1] * (np.bincount(g.argmax(1)) / len(g) * g.mean(0)).sum()),
            "your count ends at the highest expert that was chosen, so that it may be shorter than P"),
    Mistake("rows_mean", lambda g: float(g.shape[1] * (_share(g) * g.mean(1)).sum()),
            "you took the mean of each input's gates, which is always 1 / n; P is a mean over the inputs"),
    Mistake("columns_largest", _columns_largest,
            "you looked for the largest gate of each expert; each input has one, along axis 1"),
    Mistake("one_p", lambda g: float(g.shape[1] * _share(g).sum() * g.mean()),
            "your result is always 1: P is one mean gate for each expert, not the mean of all gates"),
    Mistake("chosen_only", _short,
            "your n is the number of experts that occur in the count; those behind the last chosen are lost"),
    Mistake("unique", _unique,
            "experts that nobody chose drop out of the count, so that f and P no longer fit together"),
    Mistake("each", lambda g: len(_share(g)) * _share(g) * g.mean(0),
            "you returned one number an expert; sum them"),
    Mistake("each_no_n", lambda g: _share(g) * g.mean(0),
            "you returned one number an expert; n times their sum is asked"),
    Mistake("largest_p", lambda g: _sum(_share(g), g.max(0)),
            "your P is each expert's largest gate; take its mean"),
    Mistake("f_plus_p", lambda g: float(g.shape[1] * (_share(g) + g.mean(0)).sum()),
            "you added f and P; multiply them"),
    Mistake("spread", lambda g: float(g.mean(0).std() / g.mean(0).mean()),
            "that is a coefficient of variation, another loss; n times the sum of f * P is asked"),
    Mistake("first_missing", lambda g: _sum(_share(g)[1:], g.mean(0)[1:], g.shape[1]),
            "the first expert, number 0, is missing from the sum"),
    Mistake("worst", lambda g: float((g.shape[1] * _share(g) * g.mean(0)).max()),
            "you took the expert with the largest f * P; sum over all"),
    Mistake("over_one", lambda g: _sum(_share(g), g.mean(0)) - 1,
            "you subtracted 1; balanced experts should cost 1"),
    Mistake("largest_mean", lambda g: float(g.max(1).mean()),
            "that is the mean of the largest gates; f and P are taken expert by expert"),
    Mistake("entropy", lambda g: _entropy(g.mean(0)),
            "that is the entropy of the mean gates; n times the sum of f * P is asked"),
    Mistake("entropy_of_shares", lambda g: _entropy(_share(g)),
            "that is the entropy of the shares; n times the sum of f * P is asked"),
    Mistake("cross_entropy", quiet(lambda g: float(-(_share(g) * np.log(g.mean(0) + 1e-12)).sum())),
            "that is a cross entropy; n times the sum of f * P is asked"),
    Mistake("variation", lambda g: float(g.mean(0).var() * g.shape[1] ** 2),
            "that is a squared coefficient of variation, another loss; n times the sum of f * P is asked"),
    Mistake("imbalance", lambda g: float(((_share(g) - 1 / g.shape[1]) ** 2).sum()),
            "that is the squared distance from equal shares, which has no gradient; n times the sum of f * "
            "P is asked"),
    Mistake("negative", lambda g: -_sum(_share(g), g.mean(0)),
            "the sign is turned: the loss must grow where one expert gets all"),
    Mistake("soft_again", lambda g: _sum(_share(g), _soft(g).mean(0)),
            "you took a softmax; the gates add up to 1 already"),
    Mistake("inputs_for_experts", _turned,
            "you took rows for columns: each row is an input, each column an expert"),
)  # fmt: skip
