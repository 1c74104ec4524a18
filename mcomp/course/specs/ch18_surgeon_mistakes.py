"""Chapter 18: wrong ways to round one weight and let the rest make up, each with what happened."""

from itertools import product

import numpy as np

from mcomp.course.model import Mistake, quiet


def _at(v, j, value):
    v = v.copy()
    v[j] = value
    return v


def _cleared(matrix, j, *, row=True, column=True, corner=0.0):
    matrix = matrix.copy()
    if row:
        matrix[j] = 0
    if column:
        matrix[:, j] = 0
    matrix[j, j] = corner
    return matrix


def _step(w, inverse, j, value, *, error=None, by=None):
    """What is subtracted from all weights, weight j too."""
    error = w[j] - value if error is None else error
    return error / (inverse[j, j] if by is None else by) * inverse[:, j]


def _moved(w, inverse, j, value):
    return _at(w - _step(w, inverse, j, value), j, value)


def _left(inverse, j):
    return _cleared(inverse - np.outer(inverse[:, j], inverse[j]) / inverse[j, j], j)


def _set(step):
    """Weight j is set to its value in the end, whatever the step did."""
    return lambda w, inverse, j, value: _at(w - step(w, inverse, j, value), j, value)


def _only(step):
    return lambda w, inverse, j, value: w - step(w, inverse, j, value)


def _hessian(w, inverse, j, value):
    return _step(w, np.linalg.inv(inverse), j, value)


# The weights that come back, of w, the inverse, j, value.
WEIGHTS = {
    "still": (lambda w, inverse, j, value: _at(w, j, value),
              "the others stayed where they were: they make up for w[j] - value, taken before w[j] is set"),
    "sign": (_set(lambda *a: -_step(*a)), "the others moved the wrong way: subtract"),
    "sign_of_all": (_only(lambda *a: -_step(*a)),
                    "the sign is wrong: weight j went as far from `value` again, not to it"),
    "no_division": (_set(lambda *a: _step(*a, by=1)), "the error isn't divided by inverse[j, j]"),
    "not_there": (_only(lambda *a: _step(*a, by=1)),
                  "weight j isn't `value`: divide by inverse[j, j], and it arrives there by itself"),
    "times": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, by=1 / inverse[j, j])),
              "you multiplied the error by inverse[j, j]; divide"),
    "squared": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, by=inverse[j, j] ** 2)),
                "you divided by inverse[j, j] twice"),
    "root": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, by=inverse[j, j] ** 0.5)),
             "you divided by the root of inverse[j, j]; that belongs to the factor of 18.3"),
    "half": (_set(lambda *a: _step(*a) / 2), "the others went half the way: the ½ is in the cost alone"),
    "hessian": (_set(_hessian), "you moved along a column of H; its inverse, which came in, has the answer"),
    "own_diagonal": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, by=np.diag(inverse))),
                     "each was divided by its own diagonal entry; all by inverse[j, j]"),
    "value": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, error=value)),
              "you took `value` for the error; it is w[j] - value"),
    "error_turned": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, error=w[j] + value)),
                     "the error is w[j] - value, not their sum"),
    "removed": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, error=w[j])),
                "the others made up for weight j at 0, as in chapter 03; its error is w[j] - value"),
    "to_zero": (_only(lambda w, inverse, j, value: _step(w, inverse, j, value, error=w[j])),
                "you sent weight j to 0, as in chapter 03; here it becomes `value`"),
    "size": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, error=abs(w[j] - value))),
             "the error has a sign: w[j] - value, without abs"),
    "square": (_set(lambda w, inverse, j, value: _step(w, inverse, j, value, error=(w[j] - value) ** 2)),
               "you squared the error; that is the cost, the step has the error itself"),
    "kept": (lambda w, inverse, j, value: _at(_moved(w, inverse, j, value), j, w[j]),
             "the others made up, but weight j itself is as it was"),
    "shared": (_set(lambda w, inverse, j, value: -(w[j] - value) / max(len(w) - 1, 1)),
               "you gave every other weight the same; column j of the inverse says who takes how much"),
    "later_only": (lambda w, inverse, j, value:
                   np.where(np.arange(len(w)) > j, w - _step(w, inverse, j, value), _at(w, j, value)),
                   "only the weights behind j moved; here all others make up"),
    "step": (_step, "that is the step; the weights after it were asked for"),
}  # fmt: skip

# The inverse that comes back, of the one that came in and j.
INVERSES = {
    "as_it_came": (lambda inverse, j: inverse.copy(), "the inverse is as it came: weight j still takes part"),
    "cleared_only": (_cleared,
                     "you cleared row and column j, but the rest changes too: subtract the outer product"),
    "deleted": (lambda inverse, j: np.delete(np.delete(_left(inverse, j), j, 0), j, 1),
                "you took row and column j out of the inverse; they stay, as zeros"),
    "corner": (lambda inverse, j: _cleared(_left(inverse, j), j, corner=1.0),
               "entry j, j of the inverse is 1; the whole row and column are 0"),
    "uncleared": (lambda inverse, j: np.where(
                      np.logical_or.outer(np.arange(len(inverse)) == j, np.arange(len(inverse)) == j),
                      inverse, _left(inverse, j)),
                  "row and column j of the inverse weren't brought to 0"),
    "row_kept": (lambda inverse, j: _at(_left(inverse, j), j, inverse[j]),
                 "column j of the inverse is 0, row j as it came: both become 0"),
    "undivided": (lambda inverse, j: inverse - np.outer(inverse[:, j], inverse[j]),
                  "the outer product isn't divided by inverse[j, j], so row and column j aren't 0"),
    "undivided_cleared": (lambda inverse, j: _cleared(inverse - np.outer(inverse[:, j], inverse[j]), j),
                          "the outer product isn't divided by inverse[j, j]: setting zeros hides that"),
    "divided_twice": (lambda inverse, j: inverse - np.outer(inverse[:, j], inverse[j]) / inverse[j, j] ** 2,
                      "the outer product is divided by inverse[j, j] once, not by its square"),
    "added": (lambda inverse, j: inverse + np.outer(inverse[:, j], inverse[j]) / inverse[j, j],
              "you added the outer product to the inverse; subtract it"),
    "added_cleared": (lambda inverse, j:
                      _cleared(inverse + np.outer(inverse[:, j], inverse[j]) / inverse[j, j], j),
                      "you added the outer product to the inverse; subtract it, and the zeros come out"),
    "no_outer": (lambda inverse, j: inverse - inverse[:, j] * inverse[j] / inverse[j, j],
                 "column times row, entry by entry, is a vector; the outer product is a matrix"),
    "inner": (lambda inverse, j: inverse - inverse[:, j] @ inverse[j] / inverse[j, j],
              "column @ row is one number; the outer product is a matrix"),
    "hessian_cleared": (lambda inverse, j: _cleared(np.linalg.inv(inverse), j),
                        "that is H without weight j; its inverse was asked for"),
    "outer_alone": (lambda inverse, j: np.outer(inverse[:, j], inverse[j]) / inverse[j, j],
                    "that is what is subtracted from the inverse; subtract it"),
}  # fmt: skip


def _in_place(inverse, j):
    """Every entry by entries that have changed already."""
    left = inverse.copy()
    for i, k in np.ndindex(left.shape):
        left[i, k] -= left[i, j] * left[j, k] / left[j, j]
    return left


def _with_error(w, inverse, j, value):
    error = (w[j] - value) / inverse[j, j]
    return _moved(w, inverse, j, value), inverse - error * np.outer(inverse[:, j], inverse[j])


def _of_the_inverse(w, inverse, j, value):
    hessian = np.linalg.pinv(inverse)
    return _moved(w, hessian, j, value), _left(hessian, j)


INVERSES["in_place"] = (
    _in_place,
    "you changed the inverse while you still read row and column j: use a copy",
)


def _both(weights=_moved, inverse=_left):
    return quiet(lambda w, inv, j, value: (weights(w, inv, j, value), inverse(inv, j)))


PAIRS = product(("still", "sign", "no_division", "not_there", "removed", "value"),
                ("as_it_came", "cleared_only", "undivided"))  # fmt: skip

SURGEON = (
    *(Mistake(name, _both(weights=f), why) for name, (f, why) in WEIGHTS.items()),
    *(Mistake(name, _both(inverse=f), f"the weights are right; {why}")
      for name, (f, why) in INVERSES.items()),
    *(Mistake(f"{a}_{b}", _both(WEIGHTS[a][0], INVERSES[b][0]), f"{WEIGHTS[a][1]}. And {INVERSES[b][1]}")
      for a, b in PAIRS),
    Mistake("with_error", quiet(_with_error),
            "the weights are right; how the inverse changes doesn't depend on the error"),
    Mistake("inverted_again", quiet(_of_the_inverse),
            "inverse is H's inverse already; you inverted it again"),
    Mistake("exchanged", lambda *a: _both()(*a)[::-1], "the weights come first, then the inverse"),
    Mistake("weights_alone", _moved, "the weights are right; return the inverse without weight j, too"),
    Mistake("shorter", quiet(lambda w, inv, j, value: (
                np.delete(_moved(w, inv, j, value), j), np.delete(np.delete(_left(inv, j), j, 0), j, 1))),
            "you took weight j out of both; it stays in its place"),
)  # fmt: skip
