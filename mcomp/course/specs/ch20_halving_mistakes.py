"""Chapter 20, successive halving: wrong answers, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake


def _halving(scores, factor, *, cost=None, keep=None, key=None, last=None, cut_last=False):
    left, epochs, rungs = list(range(scores.shape[0])), 0, scores.shape[1]
    cost = cost or (lambda count, rung: count * factor**rung)
    keep = keep or (lambda count: max(1, count // factor))
    key = key or (lambda i, rung: (-scores[i, rung], i))
    for rung in range(rungs):
        epochs += cost(len(left), rung)
        left = sorted(left, key=lambda i, rung=rung: key(i, rung))
        if rung < rungs - 1:
            left = left[: keep(len(left))]
    return left[0], epochs


def _goes_on(scores, factor):
    """Trained on from the rung before, not from the beginning."""
    more = lambda count, rung: count * (factor**rung - (factor ** (rung - 1) if rung else 0))  # noqa: E731
    return _halving(scores, factor, cost=more)


def _all_in_full(scores, factor):
    last = scores[:, -1]
    return int(np.argmax(last)), scores.shape[0] * factor ** (scores.shape[1] - 1)


def _count_after(scores, factor):
    def cost(count, rung):
        return (max(1, count // factor) if rung < scores.shape[1] - 1 else count) * factor**rung

    return _halving(scores, factor, cost=cost)


def _first_rung(scores, factor):
    _, epochs = _halving(scores, factor)
    return int(np.argmax(scores[:, 0])), epochs


def _best_ever(scores, factor):
    _, epochs = _halving(scores, factor)
    return int(np.argmax(scores.max(1))), epochs


def _drift(scores, factor):
    """Equal ones in the order of the rung before."""
    left, epochs = np.arange(len(scores)), 0
    for rung in range(scores.shape[1]):
        epochs += len(left) * factor**rung
        left = left[np.argsort(-scores[left, rung], kind="stable")]
        if rung < scores.shape[1] - 1:
            left = left[: max(1, len(left) // factor)]
    return int(left[0]), epochs


def _among_the_left(scores, factor):
    """The place among those who are left."""
    epochs = 0
    for rung in range(scores.shape[1]):
        epochs += len(scores) * factor**rung
        if rung < scores.shape[1] - 1:
            order = np.argsort(-scores[:, rung], kind="stable")
            scores = scores[np.sort(order[: max(1, len(scores) // factor)])]
    return int(scores[:, -1].argmax()), epochs


def _alone_is_free(scores, factor):
    return _halving(
        scores, factor, cost=lambda count, rung: count * factor**rung if count > 1 or not rung else 0
    )


def _last_is_free(scores, factor):
    rungs = scores.shape[1]
    return _halving(scores, factor, cost=lambda count, rung: count * factor**rung if rung < rungs - 1 else 0)


HALVING = (
    Mistake("all_in_full", _all_in_full,
            "you trained all in full; who is behind after a rung goes"),
    Mistake("first_rung", _first_rung,
            "the winner of the first rung; it may lose on a later one"),
    Mistake("best_ever", _best_ever,
            "the best score of all; who went early wasn't trained that long"),
    Mistake("goes_on", _goes_on,
            "you let training go on; here each rung trains from the beginning"),
    Mistake("one_epoch", lambda s, f: _halving(s, f, cost=lambda count, rung: count),
            "each rung costs factor ** rung epochs for each network, not one"),
    Mistake("for_all_at_once", lambda s, f: _halving(s, f, cost=lambda count, rung: f**rung),
            "you counted a rung's epochs once; every network that is left needs them"),
    Mistake("times_rung", lambda s, f: _halving(s, f, cost=lambda count, rung: count * (f * rung or 1)),
            "the epochs grow as factor ** rung; you multiplied by the rung"),
    Mistake("one_rung_late", lambda s, f: _halving(s, f, cost=lambda count, rung: count * f ** (rung + 1)),
            "the first rung costs factor ** 0, one epoch; you began a rung later"),
    Mistake("counted_after", _count_after,
            "who goes was trained on this rung, too: count before the cut"),
    Mistake("rounded_up", lambda s, f: _halving(s, f, keep=lambda count: -(-count // f)),
            "you rounded the number that goes on up; len // factor, one at least"),
    Mistake("half", lambda s, f: _halving(s, f, keep=lambda count: max(1, count // 2)),
            "you always kept half; a part of 1 / factor goes on"),
    Mistake("factor_go", lambda s, f: _halving(s, f, keep=lambda count: max(1, count - count // f)),
            "len // factor go on; you let so many go"),
    Mistake("worst", lambda s, f: _halving(s, f, key=lambda i, rung: (s[i, rung], i)),
            "you kept the lowest scores; higher is better"),
    Mistake("later_of_equals", lambda s, f: _halving(s, f, key=lambda i, rung: (-s[i, rung], -i)),
            "of equal scores you kept the later; the earlier"),
    Mistake("by_last_score", lambda s, f: _halving(s, f, key=lambda i, rung: (-s[i, -1], i)),
            "you looked at the last rung's scores before it was trained; each rung has its own"),
    Mistake("added", lambda s, f: _halving(s, f, key=lambda i, rung: (-s[i, : rung + 1].sum(), i)),
            "you added the scores of the rungs so far; a rung goes by its own"),
    Mistake("drift", _drift,
            "of equal scores you kept who was better on the rung before; the earlier place"),
    Mistake("among_the_left", _among_the_left,
            "that is the place among those who were left; the one in scores was asked for"),
    Mistake("alone_is_free", _alone_is_free,
            "who is alone is trained on the next rungs, too, and costs epochs"),
    Mistake("last_is_free", _last_is_free,
            "the last rung costs epochs, too"),
    Mistake("swapped", lambda s, f: _halving(s, f)[::-1],
            "the place comes first, then the epochs"),
    Mistake("score", lambda s, f: (float(s[_halving(s, f)[0], -1]), _halving(s, f)[1]),
            "that is the winner's score; its place was asked for"),
)  # fmt: skip
