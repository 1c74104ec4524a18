"""Chapter 09b: the wrong answers that people write, each with what happened; and the quiz."""

import itertools

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _product(w, codebooks, distance=lambda x: (x**2).sum(-1), choose=np.argmin, book=lambda c: c):
    parts, _, d = codebooks.shape
    return choose(distance(w.reshape(len(w), parts, 1, d) - book(codebooks)), axis=-1)


def _last(cost, axis):
    return cost.shape[-1] - 1 - np.argmin(cost[..., ::-1], axis=-1)


def _inner(w, codebooks):
    parts, _, d = codebooks.shape
    return (w.reshape(len(w), parts, 1, d) * codebooks).sum(-1).argmax(-1)


def _strided(w, codebooks):
    parts, _, d = codebooks.shape
    return _product(w.reshape(len(w), d, parts).transpose(0, 2, 1).reshape(len(w), -1), codebooks)


def _decoded(w, codebooks):
    index = _product(w, codebooks)
    return codebooks[np.arange(len(codebooks)), index].reshape(w.shape)


def _one_number(w, codebooks):
    return _product(w, codebooks) @ codebooks.shape[1] ** np.arange(len(codebooks))[::-1]


def _whole_rows(w, codebooks):
    cost = ((w.reshape(len(w), len(codebooks), 1, -1) - codebooks) ** 2).sum((1, 3))
    return np.repeat(cost.argmin(1)[:, None], len(codebooks), axis=1)


def _best(sizes, damages, budget, fits=lambda size, budget: size <= budget, key=lambda d, s: (d, s)):
    rows = range(len(sizes))
    found = [
        (key(damages[rows, c].sum(), sizes[rows, c].sum()), c)
        for c in map(list, itertools.product(range(sizes.shape[1]), repeat=len(sizes)))
        if fits(sizes[rows, c].sum(), budget)
    ]
    return np.array(min(found)[1]) if found else sizes.argmin(1)


def _by_price(sizes, damages, budget):
    low, high = 0.0, 1e6
    if sizes[range(len(sizes)), damages.argmin(1)].sum() <= budget:
        return damages.argmin(1)
    for _ in range(80):
        price = (low + high) / 2
        fits = sizes[range(len(sizes)), (damages + price * sizes).argmin(1)].sum() <= budget
        low, high = (low, price) if fits else (price, high)
    return (damages + high * sizes).argmin(1)


def _neighbours(sizes, damages, budget):
    choice = [0] * len(sizes)
    while True:
        left, steps = budget - sizes[range(len(sizes)), choice].sum(), []
        for i, c in enumerate(choice):
            if c + 1 < sizes.shape[1] and sizes[i, c + 1] - sizes[i, c] <= left:
                gain = (damages[i, c] - damages[i, c + 1]) / (sizes[i, c + 1] - sizes[i, c])
                steps += [(gain, -i)] if gain > 0 else []
        if not steps:
            return np.array(choice)
        choice[-max(steps)[1]] += 1


def _largest_down(sizes, damages, budget):
    choice = damages.argmin(1)
    while sizes[range(len(sizes)), choice].sum() > budget:
        i = sizes[range(len(sizes)), choice].argmax()
        if choice[i] == 0:
            break
        choice[i] -= 1
    return choice


def _greedy(sizes, damages, budget, ratio=True):
    choice = sizes.argmin(1)
    while True:
        left, steps = budget - sizes[range(len(sizes)), choice].sum(), []
        for i, j in np.ndindex(sizes.shape):
            more, less = sizes[i, j] - sizes[i, choice[i]], damages[i, choice[i]] - damages[i, j]
            if less > 0 and more <= left:
                steps.append((less / max(more, 1e-9) if ratio else less, -i, -j))
        if not steps:
            return choice
        _, i, j = max(steps)
        choice[-i] = -j


def _uniform(sizes, damages, budget):
    fits = sizes.sum(0) <= budget
    return np.full(len(sizes), np.where(fits, damages.sum(0), np.inf).argmin())


def _in_turn(sizes, damages, budget):
    choice = sizes.argmin(1)
    for i in range(len(sizes)):
        left = budget - np.delete(sizes[range(len(sizes)), choice], i).sum()
        choice[i] = np.where(sizes[i] <= left, damages[i], np.inf).argmin()
    return choice


def _shares(sizes, damages, budget):
    fits = sizes <= budget / len(sizes)
    return np.where(fits.any(1), np.where(fits, damages, np.inf).argmin(1), sizes.argmin(1))


MISTAKES = {
    "09b.1": (
        Mistake("first_codebook", lambda w, c: _product(w, c, book=lambda c: c[:1]),
                "you looked in the first codebook for every part; each part has its own"),
        Mistake("last_of_equals", lambda w, c: _product(w, c, choose=_last),
                "of vectors that are equally near you took the last; take the first"),
        Mistake("farthest", lambda w, c: _product(w, c, choose=np.argmax), "you took the farthest vector"),
        Mistake("absolute", lambda w, c: _product(w, c, distance=lambda x: abs(x).sum(-1)),
                "you added absolute differences; nearest in least squares was asked for"),
        Mistake("signed", lambda w, c: _product(w, c, distance=lambda x: x.sum(-1)),
                "differences of both signs cancel: square them before you add"),
        Mistake("largest_entry", lambda w, c: _product(w, c, distance=lambda x: abs(x).max(-1)),
                "you compared the largest difference of a run; all its squares count"),
        Mistake("inner_product", _inner,
                "the largest inner product favours long vectors: the nearest has the least distance"),
        Mistake("strided", _strided, "a part is a run of d neighbours, not every parts-th entry"),
        Mistake("decoded", _decoded,
                "those are the nearest vectors themselves; their indices were asked for"),
        Mistake("one_number", _one_number,
                "you joined the parts' indices to one number; a column for each part was asked for"),
        Mistake("whole_rows", _whole_rows,
                "you chose one index for all parts of a row; each part chooses alone, that is the product"),
        Mistake("transposed", lambda w, c: _product(w, c).T,
                "rows of w are rows of the answer: yours is transposed"),
        Mistake("first_part", lambda w, c: np.repeat(_product(w, c)[:, :1], len(c), axis=1),
                "you repeated the first part's index; every part chooses alone"),
        Mistake("flat", lambda w, c: _product(w, c).reshape(-1),
                "a row for each row of w, a column for each part"),
        Mistake("least_errors", lambda w, c: _product(w, c, choose=np.min),
                "those are the least squared distances; the indices were asked for"),
    ),
    "09b.2": (
        Mistake("least_damage", lambda s, d, price: d.argmin(1),
                "you took the least damage whatever it costs; add price * size"),
        Mistake("smallest", lambda s, d, price: s.argmin(1),
                "you took the smallest choice whatever it breaks; add the damage"),
        Mistake("minus", lambda s, d, price: (d - price * s).argmin(1),
                "you subtracted the price: then bytes are a reward"),
        Mistake("price_on_damage", lambda s, d, price: (price * d + s).argmin(1),
                "the price is a loss per byte, so it multiplies the size, not the damage"),
        Mistake("ratio", lambda s, d, price: (d / s).argmin(1),
                "damage per byte ignores the price, and favours large choices"),
        Mistake("product", lambda s, d, price: (d * s).argmin(1),
                "damage times size has no price in it; add the two costs"),
        Mistake("one_for_all", lambda s, d, price: np.full(len(s), (d + price * s).sum(0).argmin()),
                "you chose one column for all layers; each layer chooses alone"),
        Mistake("costs", lambda s, d, price: (d + price * s).min(1),
                "those are the least costs; their indices were asked for"),
        Mistake("last_of_equals",
                lambda s, d, price: s.shape[1] - 1 - (d + price * s)[:, ::-1].argmin(1),
                "of two choices that cost the same you took the later; take the first"),
        Mistake("most", lambda s, d, price: (d + price * s).argmax(1),
                "you took the dearest; the least is asked for"),
        Mistake("column_wise", lambda s, d, price: (d + price * s).argmin(0),
                "you went down the columns: a layer is a row, so choose along axis 1"),
        Mistake("price_once", lambda s, d, price: (d + price + s).argmin(1),
                "the price is for each byte: multiply the size by it"),
        Mistake("per_price", lambda s, d, price: (d + s / max(price, 1e-12)).argmin(1),
                "a high price makes bytes dear: multiply the size by it, don't divide"),
        Mistake("chosen_sizes", lambda s, d, price: s[range(len(s)), (d + price * s).argmin(1)],
                "those are the sizes of what you chose; the indices were asked for"),
    ),
    "09b.3": (
        Mistake("by_price", _by_price,
                "a price finds points of the convex hull only: between them bytes stay unused"),
        Mistake("greedy", _greedy, "greedy: a good step early may take the bytes of a better one"),
        Mistake("greedy_neighbours", _neighbours,
                "greedy, one column at a time: a good step early may take the bytes of a better one"),
        Mistake("largest_down", _largest_down,
                "you shrank the largest layer until it fitted; look at the damage that each shrinking does"),
        Mistake("chosen_sizes", lambda s, d, b: s[range(len(s)), _best(s, d, b)],
                "those are the sizes of the best choice; its indices were asked for"),
        Mistake("greedy_by_damage", lambda s, d, b: _greedy(s, d, b, ratio=False),
                "you always took the step that saves most; it may eat the bytes of several others"),
        Mistake("no_budget", lambda s, d, b: d.argmin(1),
                "you took the least damage; it doesn't fit the budget"),
        Mistake("smallest", lambda s, d, b: s.argmin(1),
                "you took the smallest choices; the budget holds more"),
        Mistake("strictly_below", lambda s, d, b: _best(s, d, b, fits=lambda size, b: size < b),
                "what costs exactly the budget fits as well"),
        Mistake("uniform", _uniform, "you chose one column for all layers; each may have its own"),
        Mistake("in_turn", _in_turn,
                "you let one layer after the other take its best: the first took too much"),
        Mistake("shares", _shares,
                "you gave each layer the same part of the budget; only their sum has to fit"),
        Mistake("each_fits", lambda s, d, b: np.where(s <= b, d, np.inf).argmin(1),
                "each choice fits alone; their sizes in all must fit"),
        Mistake("fullest", lambda s, d, b: _best(s, d, b, key=lambda d, s: (-s, d)),
                "you used the most bytes; the least damage was asked for, and it may need fewer"),
        Mistake("larger_of_equals", lambda s, d, b: _best(s, d, b, key=lambda d, s: (d, -s)),
                "of equal damages you took the larger; the smaller sizes were asked for"),
        Mistake("damage", lambda s, d, b: float(d[range(len(s)), _best(s, d, b)].sum()),
                "that is the least damage; the choices that bring it were asked for"),
    ),
}  # fmt: skip

QUIZ = (
    Question(
        "A codebook of 256 vectors of four weights: how many bits does a weight cost?",
        (
            Option("Eight: an index has eight bits.", "An index serves four weights."),
            Option("Two, and its share of the codebook.",
                   "Yes: log2(256) / 4, and 256 vectors that a small layer doesn't pay back.", right=True),
            Option("Two, exactly.",
                   "The codebook must be stored too; in a small layer it is most of the bytes."),
        ),
    ),
    Question(
        "A product quantizer has two parts with 16 vectors each. How many rows can it make?",
        (
            Option("32, the vectors that it stores.", "Each part chooses alone: the choices multiply."),
            Option("256, one for each pair.", "Yes: 16 times 16 from 32 stored halves.", right=True),
            Option("16, one for each index.", "A row has two indices, one a part."),
        ),
    ),
    Question(
        "Every layer's damage was measured with that layer alone at two levels. What is their sum?",
        (
            Option("The loss of the network with all layers at two levels.",
                   "Only while damages are small; large errors of one layer meet another layer's."),
            Option("A forecast that is good for small damages and can be far off for large ones.",
                   "Yes: the loss adds up near the trained weights, and not far from them.", right=True),
            Option("Always more than the true loss.",
                   "In this chapter it is less than the true loss where layers have three levels."),
        ),
    ),
)  # fmt: skip
