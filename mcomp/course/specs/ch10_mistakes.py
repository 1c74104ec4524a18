"""Chapter 10: the wrong answers that people write, each with what happened; and the quiz."""

import math

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _rank_of(rule):
    return lambda w: rule(*w.shape)


def _rotate(p, q, angle):
    """rotate with another angle."""
    return math.cos(angle) * p + math.sin(angle) * q, math.cos(angle) * q - math.sin(angle) * p


def _products(p, q):
    return p @ p, q @ q, p @ q


def _angle(p, q):
    alpha, beta, gamma = _products(p, q)
    return math.atan(2 * gamma / (alpha - beta)) / 2


def _gram_schmidt(p, q):
    return p, q - (p @ q) / (p @ p) * p


def _in_place(p, q):
    c, s = math.cos(_angle(p, q)), math.sin(_angle(p, q))
    p = c * p + s * q
    return p, c * q - s * p


def _no_half(p, q):
    return _rotate(p, q, 2 * _angle(p, q))


def _no_two(p, q):
    alpha, beta, gamma = _products(p, q)
    return _rotate(p, q, math.atan(gamma / (alpha - beta)) / 2)


def _large_angle(p, q):
    alpha, beta, gamma = _products(p, q)
    return _rotate(p, q, math.atan2(2 * gamma, alpha - beta) / 2)


def _nearest(w, rank, build=None, distance=None):
    """nearest_rank with one of its ideas replaced."""
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    near = (u[:, :rank] * s[:rank]) @ vt[:rank] if build is None else build(u, s, vt, rank)
    return near, float(((w - near) ** 2).sum() if distance is None else distance(s, rank))


def _of_v(u, s, vt, rank):
    """The rows of v for those of its transpose; v is square where u and vt are."""
    v = vt.T if vt.shape[0] == vt.shape[1] else vt
    return (u[:, :rank] * s[:rank]) @ v[:rank]


def _first(u, s, vt, r):
    return u[:, :r] @ vt[:r]


def _smallest(u, s, vt, r):
    return u[:, -r:] * s[-r:] @ vt[-r:]


def _others(u, s, vt, r):
    return u[:, r:] * s[r:] @ vt[r:]


def _running(s, energy, strict=False, power=2):
    held = np.append(0.0, np.cumsum(s**power))
    wanted = energy * (s**power).sum()
    return int(np.argmax(held > wanted if strict else held >= wanted))


def _pool(spectra, costs, value):
    pool = [(value(s, costs[name]), name) for name, spectrum in spectra.items() for s in spectrum]
    return sorted(pool, key=lambda item: -item[0])


def _bought(spectra, costs, budget, value, go_on=False, overspend=False):
    ranks = dict.fromkeys(spectra, 0)
    for _, name in _pool(spectra, costs, value):
        if costs[name] > budget and not overspend:
            if go_on:
                continue
            break
        if budget <= 0:
            break
        ranks[name] += 1
        budget -= costs[name]
    return ranks


def _each_alike(spectra, costs, budget):
    rank = int(budget // sum(costs.values()))
    return {name: min(rank, len(s)) for name, s in spectra.items()}


def _white(w, x, rank, factor=None, back=None):
    """whitened with another factor, or another way back."""
    factor = np.linalg.cholesky(x.T @ x) if factor is None else factor(x)
    near = _nearest(w @ factor, rank)[0]
    return near @ np.linalg.inv(factor) if back is None else back(near, factor)


MISTAKES = {
    "10.1": (
        Mistake("equal", _rank_of(lambda m, n: m * n // (m + n)),
                "where m n divides by m + n, your rank holds exactly as many numbers: nothing is saved"),
        Mistake("full", _rank_of(min),
                "that is the largest rank a matrix can have; its factors hold more numbers than the matrix"),
        Mistake("half", _rank_of(lambda m, n: min(m, n) // 2),
                "half of the rank is break-even for square matrices only"),
        Mistake("square", _rank_of(lambda m, n: (m * n - 1) // (2 * m)),
                "you counted 2 m numbers for a rank; the factors are (m, r) and (r, n), so it is m + n"),
        Mistake("rounded", _rank_of(lambda m, n: round(m * n / (m + n))),
                "you rounded m n / (m + n): above it the factors are larger than the matrix"),
        Mistake("float", _rank_of(lambda m, n: m * n / (m + n)),
                "that is the break-even point; the largest rank that saves is the whole number below it"),
    ),
    "10.2": (
        Mistake("no_half", _no_half, "tan of twice the angle is known: take half of the arctan"),
        Mistake("no_two", _no_two, "in tan(2 angle) the product counts twice: 2 p·q over p·p − q·q"),
        Mistake("wrong_way", lambda p, q: _rotate(p, q, -_angle(p, q)),
                "you turned the other way: the angle between the vectors got worse"),
        Mistake("gram_schmidt", _gram_schmidt,
                "that is a projection: q got shorter. A rotation changes both and keeps p·p + q·q"),
        Mistake("in_place", _in_place,
                "you computed the new q from the new p; both come from the old ones"),
        Mistake("large_angle", _large_angle,
                "orthogonal, but by more than 45 degrees where q is the longer: take arctan, not arctan2"),
    ),
    "10.3": (
        Mistake("no_values", lambda w, r: _nearest(w, r, build=_first),
                "you left out the singular values: u and v have length 1, s holds the sizes"),
        Mistake("smallest", lambda w, r: _nearest(w, r, build=_smallest),
                "you kept the smallest singular values; svd gives the largest first"),
        Mistake("v_for_vt", lambda w, r: _nearest(w, r, build=_of_v),
                "svd gives v already transposed: its rows are the vectors"),
        Mistake("all_others", lambda w, r: _nearest(w, r, build=_others),
                "that is what goes; the nearest matrix is what stays"),
        Mistake("root", lambda w, r: _nearest(w, r, distance=lambda s, r: math.sqrt((s[r:] ** 2).sum())),
                "your error is the distance; the squared distance was asked for, so leave out the root"),
        Mistake("not_squared", lambda w, r: _nearest(w, r, distance=lambda s, r: s[r:].sum()),
                "you added up singular values; the squared distance adds up their squares"),
        Mistake("kept", lambda w, r: _nearest(w, r, distance=lambda s, r: (s[:r] ** 2).sum()),
                "you added up the squares of what stays; the error is the squares of what goes"),
        Mistake("next", lambda w, r: _nearest(w, r, distance=lambda s, r: s[r] ** 2 if r < len(s) else 0.0),
                "that is the error in the spectral norm; in the sum of squares all that go count"),
    ),
    "10.4": (
        Mistake("plain", lambda w, x, rank: _nearest(w, rank)[0],
                "that is nearest in the weights: the inputs x don't count in it"),
        Mistake("no_way_back", lambda w, x, rank: _white(w, x, rank, back=lambda near, factor: near),
                "that is the nearest to w @ L; to multiply inputs it needs the inverse of L on the right"),
        Mistake("forth_again", lambda w, x, rank: _white(w, x, rank, back=lambda near, factor: near @ factor),
                "you multiplied by L a second time; the way back is its inverse"),
        Mistake("transposed", lambda w, x, rank: _white(
                    w, x, rank, factor=lambda x: np.linalg.cholesky(x.T @ x).T),
                "you took Lᵀ for L: xᵀx is L Lᵀ, so it is D L whose squared length counts"),
        Mistake("gram", lambda w, x, rank: _white(w, x, rank, factor=lambda x: x.T @ x),
                "you took the Gram matrix itself; its Cholesky factor is, so to speak, its root"),
        Mistake("diagonal", lambda w, x, rank: _white(
                    w, x, rank, factor=lambda x: np.diag(np.linalg.norm(x, axis=0))),
                "you scaled each input by its own size; inputs that go together need the whole of xᵀx"),
        Mistake("left", lambda w, x, rank: _white(
                    w, x, rank, back=lambda near, factor: near @ np.linalg.inv(factor).T),
                "you went back with the inverse of Lᵀ; it was L that you multiplied by"),
    ),
    "10.5": (
        Mistake("not_squared", lambda s, energy: _running(s, energy, power=1),
                "energy is in the squares: you added up the singular values themselves"),
        Mistake("one_less", lambda s, energy: max(_running(s, energy) - 1, 0),
                "one too few: a position counts from 0, a rank from 1"),
        Mistake("one_more", lambda s, energy: _running(s, energy) + 1,
                "one too many: your rank holds more than the least that suffices"),
        Mistake("strict", lambda s, energy: _running(s, energy, strict=True),
                "where the energy is held exactly, that is enough: compare with >="),
        Mistake("smallest_first", lambda s, energy: _running(s[::-1], energy),
                "you added from the smallest on; the largest come first"),
        Mistake("share", lambda s, energy: math.ceil(energy * len(s)),
                "you took that fraction of the count; it is a fraction of the sum of squares"),
    ),
    "10.6": (
        Mistake("no_cost", lambda s, c, b: _bought(s, c, b, lambda s, c: s),
                "you bought the largest first whatever they cost: divide what one gains by its cost"),
        Mistake("not_squared", lambda s, c, b: _bought(s, c, b, lambda s, c: s / c),
                "a singular value takes its square off the error: rank by s²/cost, not s/cost"),
        Mistake("goes_on", lambda s, c, b: _bought(
                    s, c, b, lambda s, c: s**2 / c, go_on=True),
                "you went on with cheaper ones after the first that didn't fit; it stops there"),
        Mistake("overspends", lambda s, c, b: _bought(
                    s, c, b, lambda s, c: s**2 / c, overspend=True),
                "you bought the one that didn't fit any more: the budget is overspent"),
        Mistake("alike", _each_alike,
                "you gave every layer the same rank; a layer with larger singular values earns more"),
        Mistake("cheapest", lambda s, c, b: _bought(s, c, b, lambda s, c: 1 / c),
                "you bought the cheapest layer first, whatever its values give"),
    ),
    "10.7": (
        Mistake("reshape", lambda w: w.reshape(w.shape[0] * w.shape[3], -1),
                "a reshape doesn't reorder: the axes must stand as (out, kw, in, kh) before it"),
        Mistake("channel", lambda w: w.reshape(w.shape[0], -1),
                "that is the channel matrix, a row for each output; here a row is an output and a column kw"),
        Mistake("rows_for_columns", lambda w: w.transpose(0, 2, 1, 3).reshape(w.shape[0] * w.shape[2], -1),
                "you paired kh with the outputs; the first thin convolution is kh x 1 and sees the inputs"),
        Mistake("kw_first", lambda w: w.transpose(3, 0, 2, 1).reshape(w.shape[0] * w.shape[3], -1),
                "the row of (o, x) is o · kw + x: the channel is the slow index, the place the fast one"),
        Mistake("transposed", lambda w: w.transpose(1, 2, 0, 3).reshape(w.shape[1] * w.shape[2], -1),
                "your matrix is transposed: outputs are rows, inputs are columns"),
    ),
}  # fmt: skip

QUIZ = (
    Question("A layer has 300 outputs and 100 inputs. Up to which rank do two factors hold fewer numbers?", (
        Option("99, one below full rank", "99 · 400 = 39,600 numbers, more than the 30,000 of the matrix"),
        Option("74", "74 · 400 = 29,600; at 75, which is 300 · 100 / 400, nothing is saved", right=True),
        Option("150, half of the larger side", "no matrix of that shape has a rank above 100"),
    )),
    Question("The best approximation of rank 20 of a layer is known. What does its rank 10 need?", (
        Option("a new optimisation, since the best of rank 10 may look quite different",
               "for tensors (CP) that is so; for matrices the best of each rank are nested"),
        Option("nothing new: the first ten terms of the same sum",
               "Eckart and Young: each rank keeps the leading terms of one decomposition", right=True),
        Option("the training data", "nearest in the weights looks at the weights only"),
    )),
    Question("A network has 8 times fewer parameters after factorization. How much faster is it?", (
        Option("8 times", "parameters are counted once, multiplications once for each place of an image"),
        Option("as many times as it has fewer multiplications",
               "two thin layers cost two calls, and memory may be the limit, not arithmetic"),
        Option("that must be measured", "it is a matter of MACs, of calls, and of memory", right=True),
    )),
)  # fmt: skip
