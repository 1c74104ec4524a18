"""Chapter 14b: the mistakes of all exercises, those of trimming here, and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch14b_drop_mistakes import DARE
from mcomp.course.specs.ch14b_gate_mistakes import BALANCE
from mcomp.course.specs.ch14b_network_mistakes import BESIDE
from mcomp.course.specs.ch14b_stitch_mistakes import STITCH
from mcomp.course.specs.ch14b_vector_mistakes import ELECT, MERGE


def _order(v):
    """Indices of each row, the largest magnitude first."""
    return np.argsort(-abs(v), axis=1, kind="stable")


def _at(v, order, old=None):
    """Zeros but at the places of `order`."""
    made = np.zeros_like(v)
    np.put_along_axis(made, order, np.take_along_axis(v if old is None else old, order, axis=1), axis=1)
    return made


def _right(v, k):
    return _at(v, _order(v)[:, :k])


def _kth(v, k):
    """The k-th largest magnitude of each row."""
    return np.sort(abs(v), axis=1)[:, ::-1][:, k - 1 : k]


def _all_tasks(v, k):
    """One ranking for all tasks together, k places of it."""
    return _at(v.reshape(1, -1), _order(v.reshape(1, -1))[:, :k]).reshape(v.shape)


def _by_first(v, k):
    return _at(v, np.repeat(_order(v)[:1, :k], len(v), axis=0))


def _by_mean(v, k):
    return _at(v, np.repeat(_order(abs(v).mean(0, keepdims=True))[:, :k], len(v), axis=0))


def _one_threshold(v, k):
    order = np.sort(abs(v).ravel())[::-1]
    return np.where(abs(v) >= order[k * len(v) - 1], v, 0)


def _union(v, k):
    order = _order(v)[:, :k]
    made = np.zeros_like(v)
    made[:, order] = v[:, order]
    return made


TRIM = (
    # First: an answer that is wrong at equals only does what several of these do.
    Mistake("higher_index", lambda v, k: _right(v[:, ::-1], k)[:, ::-1],
            "of equal magnitudes you kept the higher index; the lower one stays"),
    Mistake("signed", lambda v, k: _at(v, np.argsort(-v, axis=1, kind="stable")[:, :k]),
            "you ranked the changes themselves; a change of -3 is as large as one of 3"),
    Mistake("signed_from_end", lambda v, k: _at(v, np.argsort(v, axis=1, kind="stable")[:, -k:]),
            "you took the last k of the changes in ascending order: negative ones come first there, and "
            "[-0:] is everything"),
    Mistake("smallest", lambda v, k: _at(v, np.argsort(abs(v), axis=1, kind="stable")[:, :k]),
            "you kept the k smallest magnitudes"),
    Mistake("removed", lambda v, k: v - _right(v, k),
            "you zeroed the k largest; they are the ones that stay"),
    Mistake("lost_k", lambda v, k: _right(v, v.shape[1] - k),
            "you zeroed k entries of each task; k is how many stay"),
    Mistake("lost_by_order", lambda v, k: _at(v, np.argsort(abs(v), axis=1, kind="stable")[:, k:]),
            "you dropped the k smallest of each task; k is how many stay"),
    Mistake("all_tasks", _all_tasks,
            "you kept k entries of all tasks together; each task keeps k of its own"),
    Mistake("one_ranking", lambda v, k: _all_tasks(v, k * len(v)),
            "you ranked all tasks together, so that a task with large changes pushes the others out; rank "
            "each row on its own"),
    Mistake("fraction", lambda v, k: _right(v, min(k * v.shape[1], v.shape[1])),
            "everything stays wherever k isn't 0: k is a number of entries, not a share"),
    Mistake("all_threshold", lambda v, k: np.where(abs(v) >= np.sort(abs(v).ravel())[::-1][k - 1], v, 0),
            "your threshold is the k-th largest of all tasks together; each task has its own"),
    Mistake("one_threshold", _one_threshold,
            "your threshold is one for all tasks together, so that a task with large changes pushes the "
            "others out; each row has its own"),
    Mistake("by_signed_mean", lambda v, k: _at(v, np.repeat(_order(v.mean(0)[None])[:, :k], len(v), axis=0)),
            "you ranked the places by the mean of all tasks; each task has its own ranking"),
    Mistake("union", _union,
            "you kept a place in every task if any task keeps it: vectors[:, order] takes whole columns, "
            "np.put_along_axis goes row by row"),
    Mistake("single_argsort", lambda v, k: np.where(_order(v) < k, v, 0),
            "argsort lists indices, not ranks: order < k marks other places. Write to the places order[:, "
            ":k]"),
    Mistake("columns", lambda v, k: _right(v.T, k).T,
            "you ranked the tasks at each place; rank the places of each task"),
    Mistake("by_first", _by_first,
            "you took the first task's places for all; each task has its own"),
    Mistake("by_mean", _by_mean,
            "you ranked the places by their mean magnitude over the tasks; each task has its own ranking"),
    Mistake("at_least", lambda v, k: np.where(abs(v) >= _kth(v, k), v, 0) if k else 0 * v,
            "you kept all that reach the k-th magnitude: where some are equal, that is more than k"),
    Mistake("from_sorted", lambda v, k: np.where(abs(v) >= np.sort(abs(v), axis=1)[:, [-k]], v, 0),
            "you kept all that reach the k-th magnitude: more than k where some are equal; and for k = 0 "
            "the index runs over to the other end, so that everything stays"),
    Mistake("above", lambda v, k: np.where(abs(v) > _kth(v, k), v, 0) if k else 0 * v,
            "you kept what is larger than the k-th magnitude, and so lost the k-th itself"),
    Mistake("above_next", lambda v, k: np.where(
                abs(v) > np.sort(abs(v), axis=1)[:, [v.shape[1] - k - 1]], v, 0) if k < v.shape[1] else v,
            "you kept what is larger than the largest that must go: where magnitudes are equal, fewer than "
            "k"),
    Mistake("largest_only", lambda v, k: _right(v, min(k, 1)),
            "only the largest entry stays: before you look for the next one, take it out"),
    Mistake("ascending_above", lambda v, k: np.where(abs(v) > np.sort(abs(v), axis=1)[:, [k]], v, 0),
            "your threshold is number k from below, so that about n - k stay; k is how many stay"),
    Mistake("one_more", lambda v, k: _at(v, _order(v)[:, : k + 1]),
            "you kept one entry too many in each task"),
    Mistake("kthvalue", lambda v, k: np.where(
                abs(v) >= np.sort(abs(v), axis=1)[:, [max(v.shape[1] - k - 1, 0)]], v, 0),
            "you kept all from the (n - k)-th smallest on: that is k + 1 of them, as in the authors' "
            "program"),
    Mistake("above_sorted", lambda v, k: np.where(abs(v) > np.sort(abs(v), axis=1)[:, [-k]], v, 0),
            "you kept what is larger than the k-th magnitude, and so lost the k-th itself; and for k = 0 "
            "the index runs over to the other end"),
    Mistake("from_end", lambda v, k: _at(v, np.argsort(abs(v), axis=1, kind="stable")[:, -k:]),
            "you took the last k of the ascending order: of equal magnitudes the higher index stays, and "
            "for k = 0 the slice [-0:] is everything"),
    Mistake("magnitudes", lambda v, k: _at(v, _order(v)[:, :k], abs(v)),
            "the signs are gone: return the entries, not their magnitudes"),
    Mistake("signs", lambda v, k: np.sign(_right(v, k)),
            "only the signs are left; the entries that stay keep their values"),
    Mistake("mask", lambda v, k: _at(v, _order(v)[:, :k], np.ones_like(v)) > 0,
            "that is the mask; return the entries where it is True, and zeros"),
    Mistake("mask_numbers", lambda v, k: _at(v, _order(v)[:, :k], np.ones_like(v)),
            "that is the mask, as numbers; multiply it by the vectors"),
    Mistake("short", lambda v, k: np.take_along_axis(v, np.sort(_order(v)[:, :k], axis=1), axis=1),
            "you returned only what stays; zeros belong where the others were"),
    Mistake("ranked", lambda v, k: np.take_along_axis(v, _order(v)[:, :k], axis=1),
            "you returned only what stays, sorted; each entry stays at its place, with zeros between"),
    Mistake("indices", lambda v, k: _order(v)[:, :k],
            "you returned the indices; the vectors with zeros elsewhere are asked"),
    Mistake("rescaled", lambda v, k: _right(v, k) * v.shape[1] / max(k, 1),
            "you scaled what stays, as DARE does; trimming leaves it as it was"),
)  # fmt: skip

MISTAKES = {
    "14b.1": TRIM, "14b.2": ELECT, "14b.3": MERGE, "14b.4": DARE, "14b.5": BESIDE, "14b.6": BALANCE,
    "14b.7": STITCH,
}  # fmt: skip

QUIZ = (
    Question(
        "Two programs run TIES with keep = 0.2 on the same task vectors and give different networks. Both "
        "are right by their manuals. What can it be?",
        (
            Option("One keeps the largest fifth of the whole network, the other a fifth of each tensor.",
                   "Yes: layers change by different amounts, so the two keep different entries.",
                   right=True),
            Option("One elects the sign before it trims.",
                   "Then it wouldn't be TIES: trim, elect, merge is the order of the method."),
            Option("They drew other random numbers.",
                   "TIES draws none. DARE does."),
        ),
    ),
    Question(
        "Five networks of one shape stand side by side in one, in a file without any code for zeros. How "
        "large is an inner dense layer?",
        (
            Option("As large as the five networks' layers together.",
                   "Only the blocks are. Between them stand zeros, and a dense file holds them, too."),
            Option("Five times as large as the five networks' layers together.",
                   "Yes: 5 × 5 blocks, of which 5 hold weights. A sparse code writes the others for little.",
                   right=True),
            Option("As large as one network's layer: they share it.",
                   "Nothing is shared. Each network keeps its own weights, as a block on the diagonal."),
        ),
    ),
    Question(
        "The balance loss is n · Σ f P. Through what does it teach the gate?",
        (
            Option("Through f: it moves inputs from one expert to the next.",
                   "f counts first choices. A small step changes no count, so its gradient is 0."),
            Option("Through P: gates of experts that many inputs choose go down.",
                   "Yes: f is a fixed weight on each expert's mean gate, larger where more inputs went.",
                   right=True),
            Option("Through the experts' answers.",
                   "They don't occur in it: neither f nor P depends on an expert."),
        ),
    ),
)  # fmt: skip
