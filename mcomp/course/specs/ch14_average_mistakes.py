"""Chapter 14: the mistakes of the exercise on a mean along a run."""

import numpy as np

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs.ch13_average_mistakes import capped_means


def _raw(weights, decay, start=None, new=None):
    """The uncorrected mean after each step."""
    m, found = np.zeros(weights.shape[1]) if start is None else start, []
    for w in weights:
        m = decay * m + (1 - decay if new is None else new) * w
        found.append(m)
    return np.array(found)


def _steps(weights):
    return np.arange(1, len(weights) + 1)[:, None]


def _corrected(weights, decay):
    return _raw(weights, decay) / (1 - decay ** _steps(weights))


def _fed_back(weights, decay):
    """The corrected mean goes on."""
    m, found = np.zeros(weights.shape[1]), []
    for t, w in enumerate(weights):
        m = (decay * m + (1 - decay) * w) / (1 - decay ** (t + 1))
        found.append(m)
    return np.array(found)


def _warm_up(weights, decay):
    """A decay that grows with the steps, as some libraries have it."""
    m, found = np.zeros(weights.shape[1]), []
    for t, w in enumerate(weights):
        a = min(decay, (1 + t) / (10 + t))
        m = a * m + (1 - a) * w
        found.append(m)
    return np.array(found)


MEANS = (
    Mistake("no_correction", _raw,
            "that is m itself, which starts near 0; divide it by the sum of the factors"),
    Mistake("from_zero", quiet(lambda w, decay: _raw(w, decay) / (1 - decay ** (_steps(w) - 1))),
            "after the first step m has one factor, 1 - decay: the power counts from 1, not from 0"),
    Mistake("from_first", lambda w, decay: _raw(w, decay, w[0]),
            "you started at the first weights instead of 0: they count too much for long"),
    Mistake("sum_of_decays", lambda w, decay: _raw(w, decay) / (decay * _steps(w)),
            "your sum adds decay at each step; new weights come in with 1 - decay, and older ones shrink"),
    Mistake("kept_sum", lambda w, decay: _raw(w, decay) / np.cumsum(decay ** _steps(w), axis=0),
            "the factors in m are (1 - decay) * decay**k, with k from 0; sum those"),
    Mistake("one_minus_power", lambda w, decay: _raw(w, decay) / (1 - (1 - decay) ** _steps(w)),
            "1 - decay is the part of the new weights; the sum of the factors is 1 - decay ** steps"),
    Mistake("both", lambda w, decay: _raw(w, decay, w[0]) / (1 - decay ** _steps(w)),
            "you started at the first weights and corrected as well; the correction is for a start at 0"),
    Mistake("both_later", lambda w, decay: np.vstack([w[:1], (_raw(w, decay, w[0])
            / (1 - decay ** _steps(w)))[1:]]),
            "you started at the first weights and corrected the others; the correction is for a start at 0"),
    Mistake("one_short", quiet(lambda w, decay: np.vstack([w[:1], (_raw(w, decay)
            / (1 - decay ** (_steps(w) - 1)))[1:]])),
            "after two steps the sum is 1 - decay**2: your power is one too small"),
    Mistake("no_decay_in_sum", lambda w, decay: _raw(w, decay) / ((1 - decay) * _steps(w)),
            "your sum adds 1 - decay at each step; the older factors shrink by decay meanwhile"),
    Mistake("row_more", lambda w, decay: np.vstack([np.zeros(w.shape[1]), _raw(w, decay)]),
            "the start isn't a step: a row after each of the steps is asked, and m is divided first"),
    Mistake("row_more_right", lambda w, decay: np.vstack([np.zeros(w.shape[1]), _corrected(w, decay)]),
            "the start isn't a step: leave out the first row"),
    Mistake("warm_up", _warm_up,
            "that is another way to start, a decay that grows; here m is divided by a sum of factors"),
    Mistake("last_only", lambda w, decay: _corrected(w, decay)[-1],
            "you returned the mean after the last step; a row for each step is asked"),
    Mistake("fed_back", _fed_back,
            "the corrected mean went into the next step; m itself goes on, undivided"),
    Mistake("one_power", lambda w, decay: _raw(w, decay) / (1 - decay),
            "the new weights came in whole, or you divided by 1 - decay at each step: that is the sum of the "
            "factors after one step only"),
    Mistake("last_power", lambda w, decay: _raw(w, decay) / (1 - decay ** len(w)),
            "you corrected all steps by the last one's sum; each row has a sum of its own"),
    Mistake("multiplied", lambda w, decay: _raw(w, decay) * (1 - decay ** _steps(w)),
            "you multiplied by the sum of the factors; divide"),
    Mistake("turned", lambda w, decay: _raw(w, 1 - decay) / (1 - (1 - decay) ** _steps(w)),
            "you gave decay to the new weights; they get 1 - decay"),
    Mistake("turned_raw", lambda w, decay: _raw(w, 1 - decay) / (1 - decay ** _steps(w)),
            "the new weights got decay, the mean the rest: it is the other way round"),
    Mistake("plain", lambda w, decay: np.cumsum(w, axis=0) / _steps(w),
            "that is the plain mean of all so far; the later should count more"),
    Mistake("capped", capped_means,
            "that is a decay with a limit, another way to start; here m is divided by a sum of factors"),
    Mistake("power_left", lambda w, decay: _raw(w, decay) / decay ** _steps(w),
            "decay to the power of the steps is what is missing from the sum of the factors: 1 minus that"),
    Mistake("one_over_power", lambda w, decay: _raw(w, decay) / (1 - decay) ** _steps(w),
            "(1 - decay) ** steps is another number than 1 - decay ** steps"),
    Mistake("times_steps", quiet(lambda w, decay: _raw(w, decay) / (1 - decay * _steps(w))),
            "you multiplied decay by the number of steps; a power is needed"),
    Mistake("over_steps", lambda w, decay: _raw(w, decay) / _steps(w),
            "you divided by how many steps there were; the factors don't sum to that"),
    Mistake("sum_corrected", lambda w, decay: _raw(w, decay, new=1.0) / (1 - decay ** _steps(w)),
            "the new weights came in whole, while you divided as if they had got 1 - decay"),
    Mistake("one_late", quiet(lambda w, decay: _raw(w, decay) / (1 - decay ** (_steps(w) + 1))),
            "the power is one too large: after the first step the sum is 1 - decay"),
    Mistake("bias_subtracted", lambda w, decay: _raw(w, decay) - decay ** _steps(w),
            "you took decay ** steps away from the mean; the mean is divided by 1 minus that"),
    Mistake("first_corrected", lambda w, decay: np.vstack([w[:1], _raw(w, decay)[1:]]),
            "only the first step is corrected; the next ones lie too near 0 as well"),
    Mistake("final_weights", lambda w, decay: w.copy(),
            "these are the weights themselves, not a mean"),
    Mistake("backwards", lambda w, decay: _corrected(w[::-1], decay),
            "you went through the steps backwards"),
    Mistake("turned_rows", lambda w, decay: _corrected(w, decay).T,
            "you transposed the result; a row is a step"),
    Mistake("over_weights", lambda w, decay: _corrected(w, decay).mean(1),
            "you also averaged over the weights; each has a mean of its own"),
    Mistake("earlier", lambda w, decay: np.cumsum(decay ** (_steps(w) - 1) * w, axis=0)
            / np.cumsum(decay ** (_steps(w) - 1), axis=0),
            "your factors decay**t fall from the start on, so that the first weights count most"),
    Mistake("first_spared", quiet(lambda w, decay: np.vstack([_raw(w, decay)[:1], (_raw(w, decay)
            / (1 - decay ** (_steps(w) - 1)))[1:]])),
            "the power is one too small, and the first step isn't corrected: count the steps from 1"),
    Mistake("one_array", lambda w, decay: np.broadcast_to(_raw(w, decay)[-1], w.shape)
            / (1 - decay ** _steps(w)),
            "all rows show the last m: you kept one array and changed it in place; keep a copy of each"),
    Mistake("one_array_all", lambda w, decay: np.broadcast_to(_corrected(w, decay)[-1], w.shape).copy(),
            "all rows are the last one: you kept one array and changed it in place; keep a copy of each"),
    Mistake("part_lost", lambda w, decay: _raw(w, decay) * (1 - decay) / (1 - decay ** _steps(w)),
            "your sum is 1 + decay + decay**2 + ...; each factor in m also has 1 - decay"),
    Mistake("future", lambda w, decay: decay ** abs(_steps(w) - _steps(w).T) @ w
            / (decay ** abs(_steps(w) - _steps(w).T)).sum(1, keepdims=True),
            "weights of later steps are in your rows; the mean knows only those so far"),
    Mistake("late", lambda w, decay: np.vstack([np.zeros(w.shape[1]), _corrected(w, decay)[:-1]]),
            "each row lacks its own step: move m first, then write it down"),
)  # fmt: skip
