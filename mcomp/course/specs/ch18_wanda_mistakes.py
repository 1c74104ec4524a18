"""Chapter 18: wrong masks by weight and input, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _input(x):
    return np.sqrt((x**2).mean(0))


def _score(w, x):
    return abs(w) * _input(x)


def _ranks(score):
    """Each entry's place in its row, the largest first; of equal ones the first."""
    return np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1, kind="stable")


def _by(score):
    """The k largest of each row by another score."""
    return quiet(lambda w, x, k: _ranks(score(w, x)) < k)


def _whole(w, x, count):
    """The `count` largest of the whole matrix."""
    return (_ranks(_score(w, x).reshape(1, -1)) < count).reshape(w.shape)


def _limit(w, x, k):
    """The k-th largest score of each row, for a threshold."""
    return -np.sort(-_score(w, x), axis=1)[:, max(k - 1, 0)][:, None]


def _next(w, x, k):
    """The largest score of each row that goes."""
    rows = -np.sort(-_score(w, x), axis=1)
    return rows[:, [k]] if k < w.shape[1] else -np.ones((len(w), 1))


def _last_of_equals(w, x, k):
    return _ranks(_score(w, x)[:, ::-1])[:, ::-1] < k


def _from_behind(w, x, k):
    mask = np.zeros(w.shape, dtype=bool)
    np.put_along_axis(mask, np.argsort(_score(w, x), axis=1, kind="stable")[:, -k:], True, axis=1)
    return mask


def _same_columns(w, x, k):
    chosen = _ranks(_score(w, x).sum(0, keepdims=True)) < k
    return np.repeat(chosen, len(w), axis=0)


WANDA = (
    Mistake("no_input", _by(lambda w, x: abs(w)),
            "you went by |w| alone; how large an input is counts as much"),
    Mistake("no_weight", _by(lambda w, x: _input(x) + 0 * w),
            "you went by the input alone, so that every row keeps the same; multiply by |w|"),
    Mistake("no_abs", _by(lambda w, x: w * _input(x)),
            "you compared w, not |w|: negative weights went first"),
    Mistake("mean", _by(lambda w, x: abs(w) * x.mean(0)),
            "an input's mean has plus and minus cancel; take the root of the mean square"),
    Mistake("mean_first", _by(lambda w, x: abs(w * x.mean(0))),
            "|w| times the size of the input's mean: plus and minus cancel before; square first"),
    Mistake("mean_size", _by(lambda w, x: abs(w) * abs(x).mean(0)),
            "you took the mean of |x|; the root of the mean square was asked for"),
    Mistake("deviation", _by(lambda w, x: abs(w) * x.std(0)),
            "a standard deviation takes the mean away; an input's size counts with its mean"),
    Mistake("no_root", _by(lambda w, x: abs(w) * (x**2).mean(0)),
            "the root is missing: |w| and the input count alike, or square both"),
    Mistake("weight_squared", _by(lambda w, x: w**2 * _input(x)),
            "you squared w and took the root for the input: square both or neither"),
    Mistake("largest", _by(lambda w, x: abs(w) * abs(x).max(0)),
            "you took each input's largest |x|; the root of the mean square"),
    Mistake("last_image", _by(lambda w, x: abs(w) * abs(x[-1])),
            "you took one sample's input; the mean is over all samples"),
    Mistake("images", _by(lambda w, x: abs(w) * np.sqrt((x**2).mean(1))),
            "you took the size of each sample; of each input, a column of x: axis 0"),
    Mistake("divided", _by(lambda w, x: abs(w) / _input(x)),
            "you divided by the input's size; multiply: a large input makes a weight matter"),
    Mistake("added", _by(lambda w, x: abs(w) + _input(x)),
            "you added |w| and the input's size; multiply"),
    Mistake("over_the_row", _by(lambda w, x: w**2 * (x**2).mean(0) / (w**2).sum(0)),
            "you divided by the sizes of columns of w; Wanda compares within a row, as it is"),
    Mistake("layer", quiet(lambda w, x, k: _whole(w, x, k * len(w))),
            "you compared over the whole layer; each row keeps k of its own"),
    Mistake("k_in_all", quiet(lambda w, x, k: _whole(w, x, k)),
            "that is k weights of the whole matrix; k of each row"),
    Mistake("columns", quiet(lambda w, x, k: (_ranks(_score(w, x).T) < k).T),
            "you chose k of each column; k of each row"),
    Mistake("same_columns", _same_columns,
            "you added the scores up over the rows, so that all keep the same; each row chooses for itself"),
    Mistake("smallest", _by(lambda w, x: -_score(w, x)),
            "you kept the smallest; the largest stay"),
    Mistake("k_go", quiet(lambda w, x, k: _ranks(_score(w, x)) < w.shape[1] - k),
            "k is how many stay; you removed k"),
    Mistake("k_go_rising", quiet(lambda w, x, k: _ranks(-_score(w, x)) >= k),
            "k is how many stay; you removed k, and of equal ones the first"),
    Mistake("upside_down", quiet(lambda w, x, k: _ranks(_score(w, x)) >= k),
            "your mask is upside down: True = keep"),
    Mistake("one_more", quiet(lambda w, x, k: _ranks(_score(w, x)) <= k),
            "one too many stays: the places are counted from 0"),
    Mistake("one_less", quiet(lambda w, x, k: _score(w, x) > _limit(w, x, k)),
            "the k-th itself went, and its equals: > the k-th largest keeps fewer than k"),
    Mistake("equals_too", quiet(lambda w, x, k: _score(w, x) >= _limit(w, x, k)),
            ">= the k-th largest keeps all equals (and one where k is 0); exactly k stay"),
    Mistake("equals_kept", quiet(lambda w, x, k: (_score(w, x) >= _limit(w, x, k)) & (k > 0)),
            ">= the k-th largest keeps all equals; exactly k stay"),
    Mistake("equals_from_behind", quiet(lambda w, x, k: _score(w, x) >= np.sort(_score(w, x))[:, [-k]]),
            ">= the k-th largest keeps all equals, and [-k] all where k is 0; exactly k stay"),
    Mistake("next_and_equals", quiet(lambda w, x, k: _score(w, x) > _next(w, x, k)),
            "> the next one drops what equals it; exactly k stay"),
    Mistake("last_of_equals", _last_of_equals,
            "of equal ones you kept the last; the first stay"),
    Mistake("from_behind", quiet(_from_behind),
            "[-k:] of the rising order keeps the last of equals, and all where k is 0"),
    Mistake("places", quiet(lambda w, x, k: np.argsort(-_score(w, x), axis=1, kind="stable") < k),
            "argsort says which weight comes at a place, not at which place a weight comes: sort once more"),
    Mistake("indices", quiet(lambda w, x, k: np.argsort(-_score(w, x), axis=1, kind="stable")[:, :k]),
            "these are the places of the weights that stay; a mask was asked for"),
    Mistake("weights", quiet(lambda w, x, k: w * (_ranks(_score(w, x)) < k)),
            "these are the weights with zeros; the mask was asked for"),
    Mistake("score", lambda w, x, k: _score(w, x),
            "that is the score; which weights stay was asked for"),
)  # fmt: skip
