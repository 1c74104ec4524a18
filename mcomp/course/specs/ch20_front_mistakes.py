"""Chapter 20, the front: wrong answers, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake


def _front(nbytes, accuracy, *, key=None, above=lambda a, best: a > best):
    """The sweep, by another order or another comparison."""
    key = key or (lambda i: (nbytes[i], -accuracy[i], i))
    best, front = -np.inf, []
    for i in sorted(range(len(nbytes)), key=key):
        if above(accuracy[i], best):
            best = max(best, accuracy[i])
            front.append(i)
    return np.array(front, dtype=np.int64)


def _by_accuracy(nbytes, accuracy):
    return _front(nbytes, accuracy, key=lambda i: (-accuracy[i], nbytes[i], i))


def _not_accuracy_first(nbytes, accuracy):
    return _front(nbytes, accuracy, key=lambda i: (nbytes[i], i))


def _last_of_equals(nbytes, accuracy):
    return _front(nbytes, accuracy, key=lambda i: (nbytes[i], -accuracy[i], -i))


def _large_is_good(nbytes, accuracy):
    return _front(-nbytes, accuracy)[::-1]


def _inaccurate_is_good(nbytes, accuracy):
    return _front(nbytes, -accuracy)


def _only_strictly(nbytes, accuracy):
    """Who nobody beats in both at once."""
    free = [
        i
        for i in range(len(nbytes))
        if not any(n < nbytes[i] and a > accuracy[i] for n, a in zip(nbytes, accuracy, strict=True))
    ]
    return np.array(sorted(free, key=lambda i: (nbytes[i], i)), dtype=np.int64)


def _neighbour(nbytes, accuracy):
    """Better than the one just before, not than all before."""
    order = sorted(range(len(nbytes)), key=lambda i: (nbytes[i], -accuracy[i], i))
    kept = [i for n, i in enumerate(order) if n == 0 or accuracy[i] > accuracy[order[n - 1]]]
    return np.array(kept, dtype=np.int64)


def _free(nbytes, accuracy, beats):
    """Who nobody beats, by an own rule for (bytes, accuracy, place) of two networks."""
    all_of_them = list(zip(nbytes, accuracy, range(len(nbytes)), strict=True))
    free = [p[2] for p in all_of_them if not any(beats(q, p) for q in all_of_them)]
    return np.array(sorted(free, key=lambda i: (nbytes[i], i)), dtype=np.int64)


def _equals_stay(nbytes, accuracy):
    return _free(nbytes, accuracy, lambda q, p: q[0] <= p[0] and q[1] >= p[1] and q[:2] != p[:2])


def _equals_go(nbytes, accuracy):
    return _free(nbytes, accuracy, lambda q, p: q[0] <= p[0] and q[1] >= p[1] and q[2] != p[2])


def _best_of_each_size(nbytes, accuracy):
    return _free(nbytes, accuracy, lambda q, p: q[0] == p[0] and (q[1], -q[2]) > (p[1], -p[2]))


def _from_zero(nbytes, accuracy):
    front = _front(nbytes, accuracy)
    return front[np.asarray(accuracy)[front] > 0]


def _hull(nbytes, accuracy):
    """Corners of the hull: what some price for a byte takes."""
    kept = []
    for i in _front(nbytes, accuracy).tolist():
        while len(kept) > 1 and _below(nbytes, accuracy, kept[-2], kept[-1], i):
            kept.pop()
        kept.append(i)
    return np.array(kept, dtype=np.int64)


def _below(nbytes, accuracy, a, b, c):
    rise, run = accuracy[b] - accuracy[a], nbytes[b] - nbytes[a]
    return rise * (nbytes[c] - nbytes[a]) <= (accuracy[c] - accuracy[a]) * run


FRONT = (
    Mistake("falling", lambda n, a: _front(n, a)[::-1],
            "the right networks, by falling bytes; rising was asked for"),
    Mistake("unsorted", lambda n, a: np.sort(_front(n, a)),
            "the right networks in the order of their places; by rising bytes was asked for"),
    Mistake("mask", lambda n, a: np.isin(np.arange(len(n)), _front(n, a)),
            "that is a mask; the places were asked for"),
    Mistake("bytes", lambda n, a: np.asarray(n)[_front(n, a)],
            "those are the bytes of the front; the places of its networks were asked for"),
    Mistake("places_when_sorted", lambda n, a: np.searchsorted(np.sort(n), np.asarray(n)[_front(n, a)]),
            "those are places in the sorted list; translate them back with the order"),
    Mistake("equals_too", lambda n, a: _front(n, a, above=lambda x, best: x >= best),
            "a larger network that is just as accurate is beaten: compare with >, not >="),
    Mistake("no_second_key", _not_accuracy_first,
            "among equal bytes a worse one came first and stayed: sort those by falling accuracy"),
    Mistake("last_of_equals", _last_of_equals,
            "of networks equal in both you named the last; the first stands for all"),
    Mistake("by_accuracy", _by_accuracy,
            "you sorted by accuracy: the first then tops all others, whatever its bytes"),
    Mistake("large_is_good", _large_is_good,
            "you took more bytes for better; fewer are"),
    Mistake("inaccurate_is_good", _inaccurate_is_good,
            "you took less accuracy for better; more is"),
    Mistake("only_strictly", _only_strictly,
            "to be beaten it needn't be worse in both: worse in one and no better in the other is enough"),
    Mistake("neighbour", _neighbour,
            "you compared with the one just before; it must top the best of all before it"),
    Mistake("equals_stay", _equals_stay,
            "of networks equal in both all stayed; the first stands for all"),
    Mistake("equals_go", _equals_go,
            "networks equal in both beat each other, and all went; the first stands for all"),
    Mistake("best_of_each_size", _best_of_each_size,
            "you kept the best of each size; it must top the smaller ones, too"),
    Mistake("from_zero", _from_zero,
            "the best so far began at 0: one that is never right went; begin below all, at -inf"),
    Mistake("hull", _hull,
            "you went along the hull; who lies below its line, but behind nobody, isn't beaten"),
    Mistake("all", lambda n, a: np.argsort(n, kind="stable"),
            "those are all networks; leave out who is beaten"),
)  # fmt: skip
