"""Chapter 10: the wrong answers that people write, each with what happened; and the quiz."""

import math

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs.ch10_budgets import MISTAKES as OTHERS
from mcomp.course.specs.ch10_turns import MISTAKES as TURNS


def _nearest(w, rank, build=None, distance=None):
    """nearest_rank with one of its ideas replaced."""
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    near = (u[:, :rank] * s[:rank]) @ vt[:rank] if build is None else build(u, s, vt, rank)
    return near, float(((w - near) ** 2).sum() if distance is None else distance(s, rank))


def _columns(u, s, vt, r):
    return u[:, :r] * s[:r] @ vt[:, :r].T


def _squares_of_rest(s, r):
    return (s[r:] ** 2).sum()


def _factors(w, r):
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


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


def _top_rows(w, r):
    return np.where(np.arange(len(w))[:, None] < r, w, 0.0)


def _refitted(w, x, rank):
    v = np.linalg.svd(w, full_matrices=False)[2][:rank]
    return (w @ x.T) @ np.linalg.pinv(v @ x.T) @ v


def _white(w, x, rank, factor=None, back=None):
    """whitened with another factor, or another way back."""
    factor = np.linalg.cholesky(x.T @ x) if factor is None else factor(x)
    near = _nearest(w @ factor, rank)[0]
    return near @ np.linalg.inv(factor) if back is None else back(near, factor)


MISTAKES = OTHERS | TURNS | {
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
        Mistake("columns_of_vt",
                lambda w, r: _nearest(w, r, _columns, _squares_of_rest),
                "you took columns of vt and transposed them; svd gives v transposed already: take rows"),
        Mistake("mean", lambda w, r: _nearest(w, r, distance=lambda s, r: (s[r:] ** 2).sum() / w.size),
                "you took the mean of the squares; the squared distance is their sum"),
        Mistake("relative",
                lambda w, r: _nearest(w, r, distance=lambda s, r: (s[r:] ** 2).sum() / (s**2).sum()),
                "you divided by the squared length of w; the distance itself was asked for"),
        Mistake("absolute", lambda w, r: (_nearest(w, r)[0], float(abs(w - _nearest(w, r)[0]).sum())),
                "you added absolute differences; squares were asked for"),
        Mistake("one_rank_less", lambda w, r: _nearest(w, r - 1),
                "you kept one term too few: s[:rank] has rank entries"),
        Mistake("one_rank_more", lambda w, r: _nearest(w, r + 1), "you kept one term too many"),
        Mistake("matrix_only", lambda w, r: _nearest(w, r)[0],
                "the matrix alone; its squared distance was asked for too"),
        Mistake("factors", lambda w, r: _factors(w, r),
                "those are the two factors; their product and the squared distance were asked for"),
        Mistake("factors_and_distance", lambda w, r: (_factors(w, r), _nearest(w, r)[1]),
                "the squared distance is right; the matrix is the product of your two factors"),
        Mistake("exchanged", lambda w, r: _nearest(w, r)[::-1], "the order is matrix, then squared distance"),
        Mistake("rest", lambda w, r: (w - _nearest(w, r)[0], _nearest(w, r)[1]),
                "your matrix is the difference to w; the nearest matrix itself was asked for"),
        Mistake("no_values_right_distance", lambda w, r: _nearest(w, r, _first, _squares_of_rest),
                "you left out the singular values in the matrix; your distance is that of the right one"),
        Mistake("top_rows", lambda w, r: _nearest(w, r, build=lambda u, s, vt, r: _top_rows(w, r)),
                "zeroing rows lowers the rank, but not in the nearest way: truncate the SVD"),
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
        Mistake("centred", lambda w, x, rank: _white(
                    w, x, rank, factor=lambda x: np.linalg.cholesky((x - x.mean(0)).T @ (x - x.mean(0)))),
                "you subtracted the mean of the inputs; outputs are compared with it, so xᵀx as it is"),
        Mistake("deviations", lambda w, x, rank: _white(w, x, rank, factor=lambda x: np.diag(x.std(0))),
                "you scaled each input by its deviation; inputs that go together need the whole of xᵀx"),
        Mistake("back_with_l",
                lambda w, x, rank: _white(w, x, rank, back=lambda near, factor: near @ factor.T),
                "you went back with Lᵀ: it is no inverse, L is not orthogonal"),
        Mistake("inverse_first", lambda w, x, rank: _white(
                    w, x, rank, factor=lambda x: np.linalg.inv(np.linalg.cholesky(x.T @ x))),
                "you multiplied by the inverse first and by L after: it is D L whose squared length counts"),
        Mistake("outputs", lambda w, x, rank: _nearest(w @ x.T, rank)[0],
                "those are the nearest outputs; the matrix that makes them was asked for"),
        Mistake("damped", lambda w, x, rank: _white(
                    w, x, rank, factor=lambda x: np.linalg.cholesky(x.T @ x + np.eye(x.shape[1]))),
                "you added to the diagonal; here xᵀx has an inverse, so take it as it is"),
        Mistake("mean_size", lambda w, x, rank: _white(
                    w, x, rank, factor=lambda x: np.diag(abs(x).mean(0) + 1e-9)),
                "you scaled each input by its mean size; inputs that go together need the whole of xᵀx"),
        Mistake("refitted", _refitted,
                "you kept the directions of w's own SVD and fitted outputs in them; others may be nearer"),
        Mistake("turned", lambda w, x, rank: _white(w, x, rank).T,
                "your matrix is transposed: (out, in) was asked for"),
        Mistake("inputs_only", lambda w, x, rank: w @ _nearest(np.linalg.cholesky(x.T @ x), rank)[0]
                @ np.linalg.inv(np.linalg.cholesky(x.T @ x)),
                "you truncated the inputs' factor alone; the layer has its say: truncate w @ L"),
        Mistake("everything", lambda w, x, rank: w, "that is w itself, of full rank"),
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
