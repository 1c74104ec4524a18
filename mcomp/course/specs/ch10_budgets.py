"""Chapter 10, what doesn't need a decomposition: the wrong answers that people write."""

import math

import numpy as np

from mcomp.course.model import Mistake


def _rank_of(rule):
    return lambda w: rule(*w.shape)


def _with_core(m, n):
    return max(r for r in range(m + 1) if r == 0 or r * (m + n + r) < m * n)


def _running(s, energy, strict=False, power=2):
    held = np.append(0.0, np.cumsum(s**power))
    wanted = energy * (s**power).sum()
    return int(np.argmax(held > wanted if strict else held >= wanted))


def _strict_to_the_end(s, energy):
    """How many running sums aren't above the energy, one more if any is."""
    below = int((np.cumsum(s**2) <= energy * (s**2).sum()).sum())
    return min(below + 1, len(s)) if energy else 0


def _pool(spectra, costs, value):
    pool = [(value(s, costs[name]), name) for name, spectrum in spectra.items() for s in spectrum]
    return sorted(pool, key=lambda item: -item[0])


def _bought(spectra, costs, budget, value, go_on=False, overspend=False, last=False):
    ranks = dict.fromkeys(spectra, 0)
    for _, name in _pool(spectra, costs, value):
        if costs[name] > budget and not overspend:
            if go_on:
                continue
            ranks[name] += last
            break
        if budget <= 0:
            break
        ranks[name] += 1
        budget -= costs[name]
    return ranks


def _right(spectra, costs, budget):
    return _bought(spectra, costs, budget, lambda s, c: s**2 / c)


def _by_energy(spectra, costs, budget):
    energy = {name: float((s**2).sum()) for name, s in spectra.items()}
    shares = {name: budget * e / sum(energy.values()) for name, e in energy.items()}
    return {name: min(len(s), int(shares[name] // costs[name])) for name, s in spectra.items()}


def _in_turn(spectra, costs, budget):
    ranks = {}
    for name, s in spectra.items():
        ranks[name] = min(len(s), int(budget // costs[name]))
        budget -= ranks[name] * costs[name]
    return ranks


def _each_alike(spectra, costs, budget):
    rank = int(budget // sum(costs.values()))
    return {name: min(rank, len(s)) for name, s in spectra.items()}


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
        Mistake("of_the_values", lambda w: int(np.linalg.matrix_rank(w)),
                "that is the rank of these very values; which rank saves is a matter of the shape"),
        Mistake("ceil", _rank_of(lambda m, n: math.ceil(m * n / (m + n))),
                "you rounded up: above m n / (m + n) the factors are larger than the matrix"),
        Mistake("one_less", _rank_of(lambda m, n: m * n // (m + n) - 1),
                "one too small, unless m + n divides m n: take one off m n, not off the rank"),
        Mistake("below_full", _rank_of(lambda m, n: min(m, n) - 1),
                "a rank below the full one saves only far below it: count the numbers of both factors"),
        Mistake("other_square", _rank_of(lambda m, n: (m * n - 1) // (2 * n)),
                "you counted 2 n numbers for a rank; the factors are (m, r) and (r, n), so it is m + n"),
        Mistake("with_values", _rank_of(lambda m, n: (m * n - 1) // (m + n + 1)),
                "you counted the singular value as well; two factors hold it inside"),
        Mistake("at_least_one", _rank_of(lambda m, n: max(1, (m * n - 1) // (m + n))),
                "for such a matrix no rank saves: then the answer is 0"),
        Mistake("core", _rank_of(_with_core),
                "you counted a square core of rank × rank as well; two factors hold r (m + n) numbers"),
        Mistake("saved", _rank_of(lambda m, n: m * n - (m * n - 1) // (m + n) * (m + n)),
                "that is how many numbers that rank saves; the rank was asked for"),
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
        Mistake("never_zero", lambda s, energy: max(_running(s, energy), 1),
                "energy 0 is held by no singular value at all: the least rank is 0"),
        Mistake("not_squared_nor_zero", lambda s, energy: max(_running(s, energy, power=1), 1),
                "you added up the singular values; energy is in their squares, and energy 0 needs rank 0"),
        Mistake("root", lambda s, energy: _running(s, energy**2),
                "you compared lengths; the fraction is of the sum of squares, without a root"),
        Mistake("rest", lambda s, energy: _running(s, 1 - energy),
                "that holds 1 - energy, what may be lost; the fraction energy must stay"),
        Mistake("of_the_largest", lambda s, energy: int((s >= energy * s[0]).sum()),
                "you compared each value with the largest; it is their running sum of squares that counts"),
        Mistake("amount", lambda s, energy: energy * (s**2).sum(),
                "that is the energy to be held; the least rank that holds it was asked for"),
        Mistake("strict_but_zero",
                lambda s, energy: _running(s, energy, strict=True) if energy else 0,
                "where the energy is held exactly, that is enough: compare with >=, not >"),
        Mistake("strict_to_the_end", _strict_to_the_end,
                "where the energy is held exactly, that is enough: >= stops there, > goes on"),
        Mistake("root_of_the_fraction", lambda s, energy: _running(s, energy**0.5),
                "you took the root of the fraction; it is of the sum of squares as it stands"),
        Mistake("squared_twice", lambda s, energy: _running(s, energy, power=4),
                "you squared twice: energy is the sum of s**2"),
        Mistake("percent", lambda s, energy: _running(s, energy / 100),
                "energy is a fraction, from 0 to 1: don't divide by 100"),
        Mistake("each", lambda s, energy: int((s**2 >= energy * (s**2).sum()).sum()),
                "you compared each square with the total; it is their running sum that counts"),
        Mistake("near_the_largest", lambda s, energy: int((s >= (1 - energy) * s[0]).sum()),
                "you kept what is near the largest value; it is the running sum of squares that counts"),
        Mistake("share_rounded", lambda s, energy: round(energy * len(s)),
                "you took that fraction of the count, rounded; it is a fraction of the sum of squares"),
        Mistake("all_of_them", lambda s, energy: len(s), "that is every singular value, whatever the energy"),
        Mistake("not_squared_one_less", lambda s, energy: max(_running(s, energy, power=1) - 1, 0),
                "energy is in the squares, and a position counts from 0, a rank from 1"),
        Mistake("all_at_one", lambda s, energy: len(s) if energy == 1 else _running(s, energy),
                "values of 0 hold nothing: the least rank with all the energy may be below len(s)"),
        Mistake("squares_near_the_largest",
                lambda s, energy: int((s**2 >= (1 - energy) * s[0] ** 2).sum()) if energy else 0,
                "you compared each square with the largest; it is their running sum that counts"),
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
        Mistake("worst_first", lambda s, c, b: _bought(s, c, b, lambda s, c: -(s**2) / c),
                "you bought the worst first: sort falling"),
        Mistake("times_cost", lambda s, c, b: _bought(s, c, b, lambda s, c: s**2 * c),
                "you multiplied by the cost; divide by it"),
        Mistake("equal_shares",
                lambda s, c, b: {n: min(len(v), int(b / len(s) // c[n])) for n, v in s.items()},
                "you gave each layer the same part of the budget; let the values compete for it"),
        Mistake("without_zeros", lambda s, c, b: {n: r for n, r in _right(s, c, b).items() if r},
                "layers that got nothing are missing: their rank is 0"),
        Mistake("spent", lambda s, c, b: {n: r * c[n] for n, r in _right(s, c, b).items()},
                "that is what each layer spends; its rank was asked for"),
        Mistake("not_the_last", lambda s, c, b: _right(s, c, b - 1e-9),
                "what costs all that is left still fits"),
        Mistake("by_energy", _by_energy,
                "you shared the budget out by the layers' sums of squares; buy value by value"),
        Mistake("relative", lambda s, c, b: _right({n: v / np.linalg.norm(v) for n, v in s.items()}, c, b),
                "you divided each spectrum by its length: here the squared error itself counts"),
        Mistake("list", lambda s, c, b: list(_right(s, c, b).values()),
                "a dict was asked for: a rank for each name"),
        Mistake("one_too_many", lambda s, c, b: _bought(s, c, b, lambda s, c: s**2 / c, last=True),
                "you also bought the first that didn't fit: the budget is overspent"),
        Mistake("at_least_one", lambda s, c, b: {n: max(r, 1) for n, r in _right(s, c, b).items()},
                "a layer that is never bought has rank 0; you gave it 1, beyond the budget"),
        Mistake("in_turn", _in_turn, "you filled one layer after the other; all compete, value by value"),
        Mistake("counted", lambda s, c, b: _bought(s, dict.fromkeys(c, 1), b, lambda s, c: s**2),
                "you counted ranks; a rank of a layer costs what `costs` says"),
        Mistake("no_budget", lambda s, c, b: {n: len(v) for n, v in s.items()},
                "you bought more than the budget pays for"),
    ),
    "10.7": (
        Mistake("reshape", lambda w: w.reshape(w.shape[0] * w.shape[3], -1),
                "a reshape doesn't reorder: the axes must stand as (out, kw, in, kh) before it"),
        Mistake("channel", lambda w: w.reshape(w.shape[0], -1),
                "that is the channel matrix, a row for each output; here a row is an output and a column kw"),
        Mistake("rows_for_columns", lambda w: w.transpose(0, 2, 1, 3).reshape(w.shape[0] * w.shape[2], -1),
                "you paired kh with the outputs; the first thin convolution is kh x 1 and sees the inputs"),
        Mistake("kw_first", lambda w: w.transpose(3, 0, 1, 2).reshape(w.shape[0] * w.shape[3], -1),
                "the row of (o, x) is o · kw + x: the channel is the slow index, the place the fast one"),
        Mistake("both_turned", lambda w: w.transpose(3, 0, 2, 1).reshape(w.shape[0] * w.shape[3], -1),
                "rows are (out, kw), columns (in, kh), the last of each fastest; yours are the first"),
        Mistake("transposed", lambda w: w.transpose(1, 2, 0, 3).reshape(w.shape[1] * w.shape[2], -1),
                "your matrix is transposed: outputs are rows, inputs are columns"),
        Mistake("kh_first", lambda w: w.transpose(0, 3, 2, 1).reshape(w.shape[0] * w.shape[3], -1),
                "columns are (in, kh), the row of the kernel the fast index; yours are (kh, in)"),
        Mistake("whole_transpose", lambda w: w.T.reshape(w.shape[0] * w.shape[3], -1),
                "w.T turns all four axes round; the order wanted is (out, kw, in, kh)"),
        Mistake("four_axes", lambda w: w.transpose(0, 3, 1, 2),
                "the order is right; now make a matrix of it: reshape"),
        Mistake("out_and_in", lambda w: w.reshape(w.shape[0] * w.shape[1], -1),
                "you paired outputs with inputs; rows are (out, kw), columns (in, kh)"),
        Mistake("inputs_with_kw", lambda w: w.transpose(1, 3, 0, 2).reshape(w.shape[1] * w.shape[3], -1),
                "you paired the inputs with kw; rows are outputs and kw, columns inputs and kh"),
        Mistake("mirrored",
                lambda w: w[..., ::-1].transpose(0, 3, 1, 2).reshape(w.shape[0] * w.shape[3], -1),
                "you turned kw round; a network's convolution takes the kernel as it is"),
    ),
}  # fmt: skip
