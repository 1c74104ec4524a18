"""Chapter 18: wrong GPTQs of a row, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _off(now, came, rounded, factor, j):
    return (now[j] - rounded) / factor[j, j]


def _share(factor, j):
    return factor[j, j + 1 :]


def _row(w, factor, step, *, off=_off, share=_share, nearest=np.round, keep=False, stop=0):
    """The row with one thing done otherwise. `keep`: what comes back was never rounded."""
    now = w.astype(float)
    for j in range(len(w) - stop):
        rounded = step * nearest(now[j] / step)
        now[j + 1 :] -= off(now, w, rounded, factor, j) * share(factor, j)
        now[j] = now[j] if keep else rounded
    return now


def _wrong(**how):
    return quiet(lambda w, factor, step: _row(w, factor, step, **how))


def _error(divide):
    """The error divided otherwise, by what `divide(factor, j)` gives."""
    return _wrong(off=lambda now, came, v, factor, j: (now[j] - v) / divide(factor, j))


def _up(x):
    return np.floor(x + 0.5)


def _away(x):
    return np.sign(x) * np.floor(abs(x) + 0.5)


def _column(w, factor, step):
    """Column j of the factor in place of row j."""
    now = w.astype(float)
    for j in range(len(w)):
        rounded = step * np.round(now[j] / step)
        now = now - (now[j] - rounded) / factor[j, j] * factor[:, j]
    return now


def _backwards(w, factor, step):
    """From the last to the first; those in front make up by column j."""
    now = w.astype(float)
    for j in reversed(range(len(w))):
        rounded = step * np.round(now[j] / step)
        now[:j] -= (now[j] - rounded) / factor[j, j] * factor[:j, j]
        now[j] = rounded
    return now


def _spoilt(w, factor, step):
    """From the last to the first, while those behind, rounded already, move again."""
    now = w.astype(float)
    for j in reversed(range(len(w))):
        rounded = step * np.round(now[j] / step)
        now[j:] -= (now[j] - rounded) / factor[j, j] * factor[j, j:]
    return now


def _at_once(w, factor, step):
    """All errors of the weights as they came, then one more rounding."""
    errors = (w - step * np.round(w / step)) / np.diag(factor)
    return step * np.round((w - errors @ np.triu(factor, 1)) / step)


def _greedy(w, factor, step, of=np.array):
    """18.2 in a loop with the same inverse, or what is made `of` it, for every weight."""
    inverse, now = of(factor.T @ factor), w.astype(float)
    for j in range(len(w)):
        rounded = step * np.round(now[j] / step)
        now[j + 1 :] -= (now[j] - rounded) / inverse[j, j] * inverse[j, j + 1 :]
        now[j] = rounded
    return now


def _greedy_all(w, factor, step):
    """As `_greedy`, but weights in front move too."""
    inverse, now = factor.T @ factor, w.astype(float)
    for j in range(len(w)):
        now = now - (now[j] - step * np.round(now[j] / step)) / inverse[j, j] * inverse[:, j]
    return now


def _in_steps(w, factor, step):
    """The error counted in steps."""
    return _row(w, factor, step, off=lambda now, came, v, factor, j: (now[j] - v) / step / factor[j, j])


def _behind(factor, j):
    """0 for the next weight, 1 for the one behind it, ..."""
    return np.arange(len(factor) - j - 1)


ROW = (
    Mistake("plain", lambda w, factor, step: step * np.round(w / step),
            "that is plain rounding: no weight moved; is the error taken before w[j] is set, by row j?"),
    Mistake("no_diagonal", _error(lambda factor, j: 1.0),
            "the error isn't divided by factor[j, j]"),
    Mistake("times", _error(lambda factor, j: 1 / factor[j, j]),
            "you multiplied the error by factor[j, j]; divide"),
    Mistake("squared", _error(lambda factor, j: factor[j, j] ** 2),
            "you divided by the square of factor[j, j]: once is enough"),
    Mistake("root", _error(lambda factor, j: factor[j, j] ** 0.5),
            "you divided by the root of factor[j, j]; the factor is a root already"),
    Mistake("diagonal_of_inverse", _error(lambda factor, j: (factor.T @ factor)[j, j]),
            "you divided by the inverse's diagonal; row j of factor goes with its own, factor[j, j]"),
    Mistake("own_diagonal", _wrong(off=lambda now, came, v, factor, j: now[j] - v,
                                   share=lambda factor, j: factor[j, j + 1:] / np.diag(factor)[j + 1:]),
            "each share was divided by factor[k, k]; all by factor[j, j]"),
    Mistake("hessian", quiet(lambda w, factor, step: _greedy(w, factor, step, np.linalg.inv)),
            "you took rows of H; row j of factor says how much each makes up"),
    Mistake("greedy", _greedy,
            "you took rows of the inverse itself: right for the first weight only; factor's for all"),
    Mistake("greedy_all", _greedy_all,
            "you took columns of the inverse, and rounded weights moved again: row j of factor"),
    Mistake("column", _column,
            "you took column j of factor: it moves those in front, which are rounded already"),
    Mistake("backwards", _backwards,
            "you went from the last to the first; from first to last, those behind make up"),
    Mistake("spoilt", _spoilt,
            "you went from the last to the first, and weights that were rounded moved again"),
    Mistake("as_it_came", _wrong(off=lambda now, came, v, factor, j: (came[j] - v) / factor[j, j]),
            "the error is that of the weight as it has become; you took the weight as it came"),
    Mistake("at_once", _at_once,
            "you took all errors at once, of the weights as they came; go from weight to weight"),
    Mistake("sign", _wrong(share=lambda factor, j: -factor[j, j + 1:]),
            "the sign is wrong: those behind lose the error's share"),
    Mistake("value", _wrong(off=lambda now, came, v, factor, j: v / factor[j, j]),
            "you passed the rounded weight on; pass on its error"),
    Mistake("weight", _wrong(off=lambda now, came, v, factor, j: now[j] / factor[j, j]),
            "you passed the whole weight on, as if it became 0; pass on its error"),
    Mistake("size", _wrong(off=lambda now, came, v, factor, j: abs(now[j] - v) / factor[j, j]),
            "the error has a sign: no abs"),
    Mistake("in_steps", quiet(_in_steps),
            "the error was counted in steps; it is w[j] - rounded, in the units of w"),
    Mistake("even_shares", _wrong(off=lambda now, came, v, factor, j: now[j] - v,
                                  share=lambda factor, j: 1 / max(len(factor) - j - 1, 1)),
            "every weight behind got the same share; row j of factor says how much each takes"),
    Mistake("next_only", _wrong(share=lambda factor, j: _share(factor, j) * (_behind(factor, j) == 0)),
            "only the next weight made up; all behind j do"),
    Mistake("skips_one", _wrong(share=lambda factor, j: _share(factor, j) * (_behind(factor, j) > 0)),
            "the weight right behind j didn't move: slices start at j + 1"),
    Mistake("handed_on_whole", _wrong(off=lambda now, came, v, factor, j: now[j] - v,
                                      share=lambda factor, j: _behind(factor, j) == 0),
            "the next weight took the whole error, without factor"),
    Mistake("down", _wrong(nearest=np.floor), "you rounded down; to the nearest multiple"),
    Mistake("up", _wrong(nearest=np.ceil), "you rounded up; to the nearest multiple"),
    Mistake("towards_0", _wrong(nearest=np.trunc), "you cut the decimals off; round to the nearest multiple"),
    Mistake("half_up", _wrong(nearest=_up), "you round halves up; they go to the even multiple"),
    Mistake("half_away", _wrong(nearest=_away), "you round halves away from 0; to the even multiple"),
    Mistake("whole", quiet(lambda w, factor, step: _row(w, factor, 1.0)),
            "you rounded to whole numbers; to multiples of `step`"),
    Mistake("step_upside_down", quiet(lambda w, factor, step: _row(w, factor, 1 / step)),
            "w * step, rounded, over step: divide first, then multiply"),
    Mistake("integers", quiet(lambda w, factor, step: _row(w, factor, step) / step),
            "these are the integers; multiply by `step`"),
    Mistake("unrounded", _wrong(keep=True),
            "these are the weights before they were rounded: store the rounded one"),
    Mistake("last_not", _wrong(stop=1),
            "the last weight wasn't rounded: it has nobody behind it, but is rounded, too"),
    Mistake("error", quiet(lambda w, factor, step: w - _row(w, factor, step)),
            "that is how far the weights moved; where they end was asked for"),
)  # fmt: skip
