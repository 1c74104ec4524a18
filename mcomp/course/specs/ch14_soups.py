"""Chapter 14: wrong ways to cook a soup, for `ch14_soup_mistakes`."""

from itertools import combinations, pairwise

import numpy as np


def accuracies(models, x, y):
    return np.array([right(w, x, y) for w in models])


def right(w, x, y):
    """How many images w gets right: compared, it is as good as the accuracy, and without rounding."""
    return int(((x @ w.T).argmax(1) == y).sum())


def best_first(alone):
    return [int(i) for i in np.argsort(-alone, kind="stable")]


def greedy(models, x, y, *, order=best_first, stays=lambda tried, best, own, top: tried >= best,
            mix=lambda models, members, i: models[[*members, i]].mean(0), stops=False):  # fmt: skip
    """A greedy soup that orders, mixes or decides otherwise."""
    alone = accuracies(models, x, y)
    first, *others = order(alone)
    members, best = [first], alone[first]
    for i in others:
        tried = right(mix(models, members, i), x, y)
        if stays(tried, best, alone[i], alone.max()):
            members, best = [*members, i], tried
        elif stops:
            break
    return np.array(members)


def other(**options):
    return lambda models, x, y: greedy(models, x, y, **options)


def taken(models, x, y, takes):
    """Through the models from the most accurate on: takes(members, i) decides."""
    order = best_first(accuracies(models, x, y))
    members = order[:1]
    for i in order[1:]:
        if takes(members, i):
            members = [*members, i]
    return np.array(members)


def no_worse(score):
    """Taken where score(members, models, x, y) doesn't fall."""
    return lambda models, x, y: taken(
        models, x, y, lambda members, i: score([*members, i], models, x, y) >= score(members, models, x, y)
    )


def soup(members, models, x, y):
    return right(models[members].mean(0), x, y)


def votes(members, models, x, y):
    guesses = np.array([(x @ models[i].T).argmax(1) for i in members])
    votes = (guesses[..., None] == np.arange(models.shape[1])).sum(0)
    return int((votes.argmax(1) == y).sum())


def chances(members, models, x, y):
    e = np.exp(np.einsum("mcf,if->mic", models[members], x))
    return int(((e / e.sum(-1, keepdims=True)).mean(0).argmax(1) == y).sum())


def mean_right(members, models, x, y):
    return accuracies(models, x, y)[members].mean()


def mean_bar(models, x, y):
    return taken(models, x, y, lambda members, i: soup([*members, i], models, x, y)
                  >= mean_right(members, models, x, y))  # fmt: skip


def mixed(part):
    """The soup moves by part(members, tried) of the way to the new one."""

    def answer(models, x, y):
        order = best_first(accuracies(models, x, y))
        members, soup = order[:1], models[order[0]]
        for n, i in enumerate(order[1:], 2):
            tried = soup + (models[i] - soup) * part(len(members), n)
            if right(tried, x, y) >= right(soup, x, y):
                members, soup = [*members, i], tried
        return np.array(members)

    return answer


def follows(models, x, y):
    """The accuracy to reach is the last one tried."""
    order = best_first(accuracies(models, x, y))
    members, best = order[:1], soup(order[:1], models, x, y)
    for i in order[1:]:
        tried = soup([*members, i], models, x, y)
        members, best = ([*members, i] if tried >= best else members), tried
    return np.array(members)


def keeps_all(models, x, y):
    """What was refused stays in the sum."""
    order = best_first(accuracies(models, x, y))
    members, best = order[:1], soup(order[:1], models, x, y)
    for n, i in enumerate(order[1:], 2):
        tried = soup(order[:n], models, x, y)
        if tried >= best:
            members, best = [*members, i], tried
    return np.array(members)


def forward(models, x, y):
    """Of all that are left the one that helps most."""
    members = best_first(accuracies(models, x, y))[:1]
    left = [i for i in range(len(models)) if i not in members]
    while left:
        scores = [soup([*members, i], models, x, y) for i in left]
        if max(scores) < soup(members, models, x, y):
            break
        members.append(left.pop(int(np.argmax(scores))))
    return np.array(members)


def passes(models, x, y):
    """Again and again through those that are left."""
    order, members, before = best_first(accuracies(models, x, y)), [], None
    while members != before:
        before = members
        for i in order:
            if i not in members and (not members or soup([*members, i], models, x, y)
                                     >= soup(members, models, x, y)):  # fmt: skip
                members = [*members, i]
    return np.array(members)


def twice(models, x, y):
    return greedy(models, x, y, order=lambda alone: [best_first(alone)[0], *best_first(alone)])


def best_subset(models, x, y):
    places = range(len(models))
    subsets = [list(c) for size in range(1, len(models) + 1) for c in combinations(places, size)]
    return np.array(max(subsets, key=lambda subset: soup(subset, models, x, y)))


def prefix(models, x, y):
    """The best of: the best one, the best two, the best three, ..."""
    order = best_first(accuracies(models, x, y))
    scores = [soup(order[:n], models, x, y) for n in range(1, len(order) + 1)]
    return np.array(order[: int(np.argmax(scores)) + 1])


def latest(alone):
    return [int(i) for i in np.argsort(alone, kind="stable")[::-1]]


def best_then_as_given(alone):
    first = int(alone.argmax())
    return [first, *(i for i in range(len(alone)) if i != first)]


def rises(models, x, y):
    alone = accuracies(models, x, y)
    order = best_first(alone)
    return np.array([order[0], *(j for i, j in pairwise(order) if alone[j] >= alone[i])])


def mask(members, models):
    return np.isin(np.arange(len(models)), members)


def base(tried, best, own, top):
    return tried >= top
