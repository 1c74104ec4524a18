"""Chapter 20, the front and a price for a byte: wrong answers, each with what happened."""

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
    Mistake("all", lambda n, a: np.argsort(n, kind="stable"),
            "those are all networks; leave out who is beaten"),
)  # fmt: skip


def _cost(nbytes, error, price):
    return error + price * nbytes


def _first(cost):
    return np.argmin(cost, axis=1)


def _tie(cost, then):
    return np.array([np.lexsort((t, c))[0] for c, t in zip(cost, then, strict=True)])


def _shared(nbytes, error, price):
    """The same option for all layers."""
    best = _tie(_cost(nbytes, error, price).sum(0, keepdims=True), nbytes.sum(0, keepdims=True))[0]
    return np.full(len(nbytes), best)


def _last(nbytes, error, price):
    cost = _cost(nbytes, error, price)
    later = [np.lexsort((-np.arange(len(c)), n, c))[0] for c, n in zip(cost, nbytes, strict=True)]
    return np.array(later)


def _values(nbytes, error, price):
    chosen = _tie(_cost(nbytes, error, price), nbytes)
    return _cost(nbytes, error, price)[np.arange(len(nbytes)), chosen]


def _their_bytes(nbytes, error, price):
    return nbytes[np.arange(len(nbytes)), _tie(_cost(nbytes, error, price), nbytes)]


PRICE = (
    Mistake("first_of_equals", lambda n, e, p: _first(_cost(n, e, p)),
            "argmin takes the first of equal costs; the one with fewer bytes was asked for"),
    Mistake("more_bytes", lambda n, e, p: _tie(_cost(n, e, p), -n),
            "of equal costs you took the one with more bytes; fewer"),
    Mistake("last_of_equals", _last,
            "of equal costs and bytes you took the last; the first"),
    Mistake("no_price", lambda n, e, p: _tie(e, n),
            "you took the least error: a byte costs nothing then"),
    Mistake("bytes_only", lambda n, e, p: _tie(n, e),
            "you took the fewest bytes; the error counts, too"),
    Mistake("minus", lambda n, e, p: _tie(e - p * n, n),
            "you took price * bytes off the error; a byte costs, so it is added"),
    Mistake("price_on_error", lambda n, e, p: _tie(p * e + n, n),
            "you multiplied the error by the price; the bytes have the price"),
    Mistake("divided", lambda n, e, p: _tie(e * n, n),
            "you multiplied error and bytes; their sum, bytes at their price, was asked for"),
    Mistake("most", lambda n, e, p: _tie(-_cost(n, e, p), n),
            "you took the greatest cost; the least"),
    Mistake("all_alike", _shared,
            "you chose one option for all layers; each layer chooses for itself"),
    Mistake("columns", lambda n, e, p: _tie(_cost(n, e, p).T, n.T),
            "you chose a layer for each option: go along the other axis"),
    Mistake("costs", _values,
            "those are the least costs; the places were asked for"),
    Mistake("bytes", _their_bytes,
            "those are the bytes of what is chosen; the places were asked for"),
    Mistake("from_one", lambda n, e, p: _tie(_cost(n, e, p), n) + 1,
            "your places count from 1; from 0"),
)  # fmt: skip
