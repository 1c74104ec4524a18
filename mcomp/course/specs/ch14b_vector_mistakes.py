"""Chapter 14b: wrong elections and wrong means that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _filled(sums, zero):
    """The signs of the sums, `zero` where a sum is 0."""
    signs = np.sign(sums)
    return np.where(signs == 0, zero, signs)


def _most(sums):
    return 1.0 if np.sign(sums).sum() >= 0 else -1.0


def _sign(x):
    """The sign, 1 of a zero."""
    return 1.0 if x >= 0 else -1.0


def _elected(v):
    return _filled(v.sum(0), _most(v.sum(0)))


def _largest(v):
    return np.take_along_axis(v, abs(v).argmax(0)[None], axis=0)[0]


def _votes(v):
    return np.sign(v).sum(0)


def _with_most(summed):
    """The right rule for zeros after another sum."""
    return lambda v: _filled(summed(v), _most(summed(v)))


ELECT = (
    Mistake("zero", lambda v: np.sign(v.sum(0)),
            "a sum of 0 keeps the sign 0; it must get one"),
    Mistake("nan", quiet(lambda v: v.sum(0) / abs(v.sum(0))),
            "a sum of 0 divided by its magnitude is 0 / 0; that place gets the sign that more of the "
            "others have"),
    Mistake("plus", lambda v: _filled(v.sum(0), 1.0),
            "a sum of 0 always gets +1 here; it should get the sign that more of the other places have"),
    Mistake("minus", lambda v: _filled(v.sum(0), -1.0),
            "a sum of 0 always gets -1 here; it should get the sign that more of the other places have"),
    Mistake("draw_minus", lambda v: _filled(v.sum(0), 1.0 if np.sign(v.sum(0)).sum() > 0 else -1.0),
            "where as many places are + as -, a sum of 0 gets +1"),
    Mistake("draw_zero", lambda v: _filled(v.sum(0), np.sign(np.sign(v.sum(0)).sum())),
            "where as many places are + as -, the sign of the majority is 0 and the place keeps it, as in "
            "the authors' program; here it gets +1"),
    Mistake("minority", lambda v: _filled(v.sum(0), -_most(v.sum(0))),
            "a sum of 0 gets the rarer sign; it should get the one that more places have"),
    Mistake("total", lambda v: _filled(v.sum(0), _sign(v.sum())),
            "a sum of 0 gets the sign of the total here; the places are counted, whatever their size"),
    Mistake("total_zero", lambda v: _filled(v.sum(0), np.sign(v.sum())),
            "a sum of 0 gets the sign of the total here, or stays 0 with it; the places are counted, "
            "whatever their size, and 1 wins a draw"),
    Mistake("own_votes_zero", lambda v: _filled(v.sum(0), np.sign(_votes(v))),
            "a sum of 0 gets the sign of most tasks at that place, or stays 0; count the other places' sums"),
    Mistake("first_task", lambda v: _filled(v.sum(0), np.sign(v[0])),
            "a sum of 0 gets the first task's sign; count the other places' sums"),
    Mistake("one_number", lambda v: _sign(v.sum()),
            "you returned one sign for all; each place has its own sum and its own sign"),
    Mistake("all_entries", lambda v: _filled(v.sum(0), _sign(np.sign(v).sum())),
            "you counted the signs of all entries; count those of the sums"),
    Mistake("own_votes", lambda v: _filled(v.sum(0), _filled(_votes(v), _most(v.sum(0)))),
            "a sum of 0 gets the sign of most tasks at that place; count the other places' sums"),
    Mistake("own_votes_plus", lambda v: _filled(v.sum(0), _filled(_votes(v), 1.0)),
            "a sum of 0 gets the sign of most tasks at that place, +1 at a draw; count the other places' "
            "sums"),
    Mistake("neighbour", lambda v: _filled(v.sum(0), _filled(np.roll(v.sum(0), 1), 1.0)),
            "a sum of 0 gets its neighbour's sign; count all places"),
    Mistake("votes", _with_most(_votes),
            "you let each task vote once; sum the entries, so that a large change counts for more"),
    Mistake("votes_plus", lambda v: _filled(_votes(v), 1.0),
            "you let each task vote once, +1 at a draw; the sign of the sum is asked, and a sum of 0 "
            "follows most places"),
    Mistake("votes_zero", lambda v: np.sign(_votes(v)),
            "you let each task vote once, and a draw stays 0; the sign of the sum is asked, and a sum of 0 "
            "follows most places"),
    Mistake("votes_minus", lambda v: _filled(_votes(v), -1.0),
            "you let each task vote once, -1 at a draw; the sign of the sum is asked, and a sum of 0 "
            "follows most places"),
    Mistake("largest", _with_most(_largest),
            "you took the sign of the largest entry; several smaller ones may outweigh it"),
    Mistake("largest_zero", lambda v: np.sign(_largest(v)),
            "you took the sign of the largest entry, which several smaller ones may outweigh; and where "
            "all are 0 it stays 0"),
    Mistake("median", _with_most(lambda v: np.median(v, axis=0)),
            "you took the sign of the median; that of the sum is asked"),
    Mistake("sums", lambda v: v.sum(0),
            "you returned the sums; their signs are asked, and a rule for 0"),
    Mistake("sums_filled", lambda v: np.where(v.sum(0) == 0, _most(v.sum(0)), v.sum(0)),
            "you returned the sums where they aren't 0; their signs are asked"),
    Mistake("rows", lambda v: _elected(v.T),
            "you summed each task over its places; sum each place over the tasks"),
    Mistake("rows_zero", lambda v: np.sign(v.sum(1)),
            "you summed each task over its places; sum each place over the tasks, and give a sum of 0 a "
            "sign"),
    Mistake("rows_plus", lambda v: _filled(v.sum(1), 1.0),
            "you summed each task over its places; sum each place over the tasks, and let a sum of 0 "
            "follow most places"),
    Mistake("bools", lambda v: _elected(v) > 0,
            "you returned True and False; the signs 1 and -1 are asked"),
    Mistake("bools_plus", lambda v: v.sum(0) >= 0,
            "you returned True and False, and True for a sum of 0; the signs 1 and -1 are asked, and a sum "
            "of 0 follows most places"),
    Mistake("bools_minus", lambda v: v.sum(0) > 0,
            "you returned True and False, and False for a sum of 0; the signs 1 and -1 are asked, and a "
            "sum of 0 follows most places"),
    Mistake("ones", lambda v: (_elected(v) > 0) * 1.0,
            "a negative sign became 0; it is -1"),
    Mistake("each", np.sign,
            "you returned the signs of every task; one for each place is asked, that of the sum"),
    Mistake("one_sign", lambda v: np.full(v.shape[1], _most(v.sum(0))),
            "all places got the sign of the majority; only those whose sum is 0 follow it"),
    Mistake("product", lambda v: _filled(np.sign(v).prod(0), 1.0),
            "you multiplied the signs; take the sign of the sum"),
    Mistake("opposite", lambda v: -_elected(v),
            "all signs are turned round"),
)  # fmt: skip


def _mean(v, counted, zero=0.0):
    """The mean over what counts; `zero` where nothing does."""
    n = counted.sum(0)
    return np.where(n > 0, (v * counted).sum(0) / np.maximum(n, 1), zero)


def _agree(v, s):
    return v * s > 0


def _pick(v, s, choose):
    return np.array(
        [choose(v[_agree(v, s)[:, i], i]) if _agree(v, s)[:, i].any() else 0.0 for i in range(len(s))]
    )


def _all_by_count(v, s):
    return v.sum(0) / np.maximum(_agree(v, s).sum(0), 1)


def _running(v, s):
    return (v * _agree(v, s)).sum(0) / np.maximum(_agree(v, s).sum(0).cumsum(), 1)


MERGE = (
    Mistake("all_tasks", lambda v, s: (v * _agree(v, s)).mean(0),
            "you divided by the number of tasks; divide by how many agree at that place"),
    Mistake("not_zero", lambda v, s: (v * _agree(v, s)).sum(0) / np.maximum((v != 0).sum(0), 1),
            "you divided by the number of entries that aren't 0; divide by how many agree"),
    Mistake("zeros_count", lambda v, s: _mean(v, v * s >= 0),
            "a zero counts as if it agreed (>= 0): it adds nothing and makes the mean smaller"),
    Mistake("zeros_negative", lambda v, s: _mean(v, (v > 0) == (s > 0)),
            "a zero counts as if it were negative: v > 0 is False for both"),
    Mistake("zeros_positive", lambda v, s: _mean(v, (v >= 0) == (s >= 0)),
            "a zero counts as if it were positive: v >= 0 is True for both"),
    Mistake("summed", lambda v, s: (v * _agree(v, s)).sum(0),
            "you summed what agrees; take the mean"),
    Mistake("nan", quiet(lambda v, s: (v * _agree(v, s)).sum(0) / _agree(v, s).sum(0)),
            "where no task agrees that is 0 / 0; the result there is 0"),
    Mistake("plain_mean", lambda v, s: v.mean(0),
            "that is the mean over all tasks, those that disagree included"),
    Mistake("mean_not_zero", lambda v, s: _mean(v, v != 0),
            "you left out the zeros only; leave out what has the other sign, too"),
    Mistake("mean_not_zero_nan", quiet(lambda v, s: v.sum(0) / (v != 0).sum(0)),
            "you left out the zeros only; leave out what has the other sign, too, and return 0 where no "
            "task is left"),
    Mistake("mean_of_all_signed", lambda v, s: np.where(v.mean(0) * s > 0, v.mean(0), 0.0),
            "you compared the mean's sign with the elected one; compare each task's entry"),
    Mistake("absolute", lambda v, s: abs(_mean(v, _agree(v, s))),
            "all results are positive: what agrees has the elected sign already, so neither take "
            "magnitudes nor multiply by the sign once more"),
    Mistake("forced_signs", lambda v, s: s * abs(v).mean(0),
            "you gave all magnitudes the elected sign; an entry of the other sign doesn't count at all"),
    Mistake("forced_not_zero", lambda v, s: s * _mean(abs(v), v != 0),
            "you turned the entries that disagree round; they don't count at all"),
    Mistake("signed_mean", lambda v, s: (v * s).mean(0),
            "that is the mean of entry times sign; leave out those where it isn't positive"),
    Mistake("mean_forced", lambda v, s: s * abs(v.mean(0)),
            "you gave the mean of all tasks the elected sign; the tasks that disagree don't count at all"),
    Mistake("absolute_all", lambda v, s: np.maximum(v * s, 0).mean(0),
            "all results are positive, and you divided by the number of tasks; take the entries as they "
            "are, and divide by how many agree"),
    Mistake("epsilon", lambda v, s: (v * _agree(v, s)).sum(0) / (_agree(v, s).sum(0) + 1e-3),
            "you added a small number to the count: every mean gets smaller; use at least 1 instead"),
    Mistake("largest_or_zero", lambda v, s: (v * _agree(v, s)).max(0),
            "you took the largest entry, which is 0 where the sign is -1; take the mean"),
    Mistake("disagree", lambda v, s: _mean(v, v * s < 0),
            "you kept the entries that disagree"),
    Mistake("largest", lambda v, s: s * np.maximum((v * s).max(0), 0),
            "you took the largest that agrees; take the mean"),
    Mistake("median", lambda v, s: _pick(v, s, np.median),
            "you took the median of those that agree; take the mean"),
    Mistake("first", lambda v, s: _pick(v, s, lambda x: x[0]),
            "you took the first task that agrees; take the mean of all that do"),
    Mistake("own_signs", lambda v, s: _mean(v, _agree(v, np.sign(v.sum(0)))),
            "you elected the signs again from the sums; take those that came in"),
    Mistake("positive", lambda v, s: _mean(v, v > 0),
            "you kept what is positive; where the sign is -1, the negative entries agree"),
    Mistake("equal", lambda v, s: _mean(v, v == s),
            "you compared the entries themselves with the signs; compare their signs"),
    Mistake("one_mean", lambda v, s: np.full(len(s), v[_agree(v, s)].mean() if _agree(v, s).any() else 0.0),
            "that is one mean over all places; each place has its own"),
    Mistake("number", lambda v, s: float(v[_agree(v, s)].mean()) if _agree(v, s).any() else 0.0,
            "you selected what agrees from all places into one row, and took one mean; each place has its "
            "own"),
    Mistake("running_count", _running,
            "your count goes on from place to place; it must start at 0 at each"),
    Mistake("all_by_count", _all_by_count,
            "the count is right, but you summed all entries; sum those that agree"),
    Mistake("all_by_count_or_zero", lambda v, s: np.where(_agree(v, s).any(0), _all_by_count(v, s), 0.0),
            "the count is right, but the sum runs over all entries; only those that agree belong in it"),
    Mistake("mean_where_any", lambda v, s: np.where(_agree(v, s).any(0), v.mean(0), 0.0),
            "where any task agrees you took the mean over all of them; take it over those that agree"),
    Mistake("nan_mean", lambda v, s: np.where(_agree(v, s), v, np.nan).mean(0),
            "one task that disagrees makes the place nan; leave it out of the mean, and return 0 where "
            "none is left"),
    Mistake("signed_by_count", lambda v, s: (v * s).sum(0) / np.maximum(_agree(v, s).sum(0), 1),
            "the count is right, but you summed entry times sign over all tasks; sum the entries that agree"),
    Mistake("median_zeros", lambda v, s: np.median(v * _agree(v, s), axis=0),
            "you took the median with zeros for those that disagree; take the mean of those that agree"),
    Mistake("one_count", lambda v, s: (v * _agree(v, s)).sum(0) / max(_agree(v, s).sum(), 1),
            "you divided by the number that agree at all places together; count each place on its own"),
    Mistake("else_mean", lambda v, s: _mean(v, _agree(v, s), v.mean(0)),
            "where no task agrees you fell back to the mean; the result there is 0"),
    Mistake("else_sign", lambda v, s: _mean(v, _agree(v, s), s),
            "where no task agrees you returned the sign; the result there is 0"),
    Mistake("plus_one", lambda v, s: (v * _agree(v, s)).sum(0) / (_agree(v, s).sum(0) + 1),
            "you added 1 to the count, so that nothing is divided by 0: that makes every mean smaller"),
    Mistake("rows", quiet(lambda v, s: np.nan_to_num((v * _agree(v, s)).sum(1) / _agree(v, s).sum(1))),
            "you took the mean over each task's places; take it over the tasks"),
    Mistake("masked", lambda v, s: v * _agree(v, s),
            "these are the entries that agree, task by task; their mean at each place is asked"),
)  # fmt: skip
