"""Chapter 14: the mistakes of the exercise on a soup."""

from itertools import combinations, pairwise

import numpy as np

from mcomp.course.model import Mistake


def _accuracies(models, x, y):
    return np.array([_right(w, x, y) for w in models])


def _right(w, x, y):
    """How many images w gets right: compared, it is as good as the accuracy, and without rounding."""
    return int(((x @ w.T).argmax(1) == y).sum())


def _best_first(alone):
    return [int(i) for i in np.argsort(-alone, kind="stable")]


def _greedy(models, x, y, *, order=_best_first, stays=lambda tried, best, own, top: tried >= best,
            mix=lambda models, members, i: models[[*members, i]].mean(0), stops=False):  # fmt: skip
    """A greedy soup that orders, mixes or decides otherwise."""
    alone = _accuracies(models, x, y)
    first, *others = order(alone)
    members, best = [first], alone[first]
    for i in others:
        tried = _right(mix(models, members, i), x, y)
        if stays(tried, best, alone[i], alone.max()):
            members, best = [*members, i], tried
        elif stops:
            break
    return np.array(members)


def _with(**options):
    return lambda models, x, y: _greedy(models, x, y, **options)


def _taken(models, x, y, takes):
    """Through the models from the most accurate on: takes(members, i) decides."""
    order = _best_first(_accuracies(models, x, y))
    members = order[:1]
    for i in order[1:]:
        if takes(members, i):
            members = [*members, i]
    return np.array(members)


def _no_worse(score):
    """Taken where score(members, models, x, y) doesn't fall."""
    return lambda models, x, y: _taken(
        models, x, y, lambda members, i: score([*members, i], models, x, y) >= score(members, models, x, y)
    )


def _soup(members, models, x, y):
    return _right(models[members].mean(0), x, y)


def _votes(members, models, x, y):
    guesses = np.array([(x @ models[i].T).argmax(1) for i in members])
    votes = (guesses[..., None] == np.arange(models.shape[1])).sum(0)
    return int((votes.argmax(1) == y).sum())


def _chances(members, models, x, y):
    e = np.exp(np.einsum("mcf,if->mic", models[members], x))
    return int(((e / e.sum(-1, keepdims=True)).mean(0).argmax(1) == y).sum())


def _mean_right(members, models, x, y):
    return _accuracies(models, x, y)[members].mean()


def _mean_bar(models, x, y):
    return _taken(models, x, y, lambda members, i: _soup([*members, i], models, x, y)
                  >= _mean_right(members, models, x, y))  # fmt: skip


def _mixed(part):
    """The soup moves by part(members, tried) of the way to the new one."""

    def answer(models, x, y):
        order = _best_first(_accuracies(models, x, y))
        members, soup = order[:1], models[order[0]]
        for n, i in enumerate(order[1:], 2):
            tried = soup + (models[i] - soup) * part(len(members), n)
            if _right(tried, x, y) >= _right(soup, x, y):
                members, soup = [*members, i], tried
        return np.array(members)

    return answer


def _follows(models, x, y):
    """The accuracy to reach is the last one tried."""
    order = _best_first(_accuracies(models, x, y))
    members, best = order[:1], _soup(order[:1], models, x, y)
    for i in order[1:]:
        tried = _soup([*members, i], models, x, y)
        members, best = ([*members, i] if tried >= best else members), tried
    return np.array(members)


def _keeps_all(models, x, y):
    """What was refused stays in the sum."""
    order = _best_first(_accuracies(models, x, y))
    members, best = order[:1], _soup(order[:1], models, x, y)
    for n, i in enumerate(order[1:], 2):
        tried = _soup(order[:n], models, x, y)
        if tried >= best:
            members, best = [*members, i], tried
    return np.array(members)


def _forward(models, x, y):
    """Of all that are left the one that helps most."""
    members = _best_first(_accuracies(models, x, y))[:1]
    left = [i for i in range(len(models)) if i not in members]
    while left:
        scores = [_soup([*members, i], models, x, y) for i in left]
        if max(scores) < _soup(members, models, x, y):
            break
        members.append(left.pop(int(np.argmax(scores))))
    return np.array(members)


def _twice(models, x, y):
    return _greedy(models, x, y, order=lambda alone: [_best_first(alone)[0], *_best_first(alone)])


def _best_subset(models, x, y):
    places = range(len(models))
    subsets = [list(c) for size in range(1, len(models) + 1) for c in combinations(places, size)]
    return np.array(max(subsets, key=lambda subset: _soup(subset, models, x, y)))


def _prefix(models, x, y):
    """The best of: the best one, the best two, the best three, ..."""
    order = _best_first(_accuracies(models, x, y))
    scores = [_soup(order[:n], models, x, y) for n in range(1, len(order) + 1)]
    return np.array(order[: int(np.argmax(scores)) + 1])


def _latest(alone):
    return [int(i) for i in np.argsort(alone, kind="stable")[::-1]]


def _best_then_as_given(alone):
    first = int(alone.argmax())
    return [first, *(i for i in range(len(alone)) if i != first)]


def _rises(models, x, y):
    alone = _accuracies(models, x, y)
    order = _best_first(alone)
    return np.array([order[0], *(j for i, j in pairwise(order) if alone[j] >= alone[i])])


def _mask(members, models):
    return np.isin(np.arange(len(models)), members)


def _base(tried, best, own, top):
    return tried >= top


SOUP = (
    Mistake("more", _with(stays=lambda tried, best, own, top: tried > best),
            "one that changes nothing is left out in yours; it is taken if the mean is no less accurate"),
    Mistake("more_later_first", _with(order=_latest, stays=lambda tried, best, own, top: tried > best),
            "one that changes nothing is left out in yours, and of equal ones the later comes first; the "
            "earlier should, and no less accurate is enough"),
    Mistake("worse", _with(stays=lambda tried, best, own, top: tried <= best),
            "you took those that make it worse: the sign of the comparison"),
    Mistake("others_upwards", _with(order=lambda alone: [_best_first(alone)[0], *(
                i for i in np.argsort(alone, kind="stable").tolist() if i != alone.argmax())]),
            "after the best one you tried the least accurate next; go on from the best down"),
    Mistake("as_given", _with(order=lambda alone: list(range(len(alone)))),
            "you went through the models as they come; begin with the most accurate, then by accuracy"),
    Mistake("best_then_as_given", _with(order=_best_then_as_given),
            "after the best one you went through the others as they come; they are tried by their accuracy"),
    Mistake("worst_first", _with(order=lambda alone: [int(i) for i in np.argsort(alone, kind="stable")]),
            "you began with the least accurate; an argsort goes upwards"),
    Mistake("later_first", _with(order=_latest),
            "of equal accuracies you took the later first; the earlier comes first"),
    Mistake("sorted", lambda models, x, y: np.sort(_greedy(models, x, y)),
            "the members are right, but sorted; the order in which they were taken is asked"),
    Mistake("half_half", _mixed(lambda members, tried: 1 / 2),
            "you mixed the soup with each new one half and half; all members count alike in a mean"),
    Mistake("with_best", _with(mix=lambda models, members, i: models[[members[0], i]].mean(0)),
            "you tried each with the best one alone; it is mixed with all that are taken"),
    Mistake("with_best_alone", _with(
                mix=lambda models, members, i: models[[members[0], i]].mean(0), stays=_base),
            "you mixed each with the best one alone, and compared with it; the soup grows"),
    Mistake("best_follows", _follows,
            "the accuracy to reach changed after a refusal, too; it is that of the mean of those taken"),
    Mistake("twice", _twice,
            "the best one is in twice: it stands first in the order and was tried again"),
    Mistake("probabilities", _no_worse(_chances),
            "you took the mean of probabilities; a soup is one model, the mean of the weights"),
    Mistake("against_best", _with(stays=_base),
            "you compared with the best single one each time; compare with the mean of those taken so far"),
    Mistake("against_own", _with(stays=lambda tried, best, own, top: tried >= own),
            "you compared the mean with the new one alone; compare with the mean of those taken"),
    Mistake("refused_stay", _keeps_all,
            "what was refused is still in your mean; leave it out when you try the next"),
    Mistake("stops", _with(stops=True),
            "you stopped at the first that was refused; go on, a later one may help"),
    Mistake("prefix", _prefix,
            "you compared the means of the best one, two, three, ...; a model may be left out on the way"),
    Mistake("forward", _forward,
            "you tried all that are left each time and took the one that helps most; here the order is set "
            "by the accuracy of each alone"),
    Mistake("accuracies", _no_worse(_mean_right),
            "you compared accuracies of single ones; the accuracy of the mean of the weights counts"),
    Mistake("mean_bar", _mean_bar,
            "you compared with the mean of the members' accuracies; compare with the accuracy of their mean"),
    Mistake("count", _mixed(lambda members, tried: 1 / tried),
            "you counted those that were refused, so that the soup weighs too much in the next mean"),
    Mistake("subset", _best_subset,
            "you tried all subsets; a greedy soup goes through the models once"),
    Mistake("votes", _no_worse(_votes),
            "you let the members vote; a soup is one model, the mean of the weights"),
    Mistake("all", lambda models, x, y: np.array(_best_first(_accuracies(models, x, y))),
            "all are in: that is the uniform soup, or a test that is always true"),
    Mistake("uniform", lambda models, x, y: np.arange(len(models)),
            "you took all as they come, as the uniform soup does"),
    Mistake("best_only", lambda models, x, y: np.array(_best_first(_accuracies(models, x, y))[:1]),
            "you returned the most accurate one alone"),
    Mistake("own_rises", _rises,
            "you compared the models among themselves; try the mean of the weights"),
    Mistake("mask", lambda models, x, y: _mask(_greedy(models, x, y), models),
            "a mask doesn't say in which order they were taken; return their places"),
    Mistake("soup", lambda models, x, y: models[_greedy(models, x, y)].mean(0),
            "that is the soup itself; the places of its members are asked"),
    Mistake("how_many", lambda models, x, y: len(_greedy(models, x, y)),
            "you returned how many there are; their places are asked"),
    Mistake("ranks", lambda models, x, y: np.flatnonzero(
                np.isin(_best_first(_accuracies(models, x, y)), _greedy(models, x, y))),
            "these are places in the sorted order; places in `models` are asked"),
    Mistake("not_best", lambda models, x, y: _greedy(models, x, y)[1:],
            "the best one itself is missing"),
    Mistake("best_unchanged", _with(stays=lambda tried, best, own, top: tried > top),
            "you asked for more than the best single one has; compare with the mean of those taken"),
)  # fmt: skip
