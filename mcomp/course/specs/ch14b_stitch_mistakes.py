"""Chapter 14b: wrong stitching layers that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _solved(x, y):
    return np.linalg.lstsq(x, y, rcond=None)[0]


def _ones(x):
    return np.c_[x, np.ones(len(x))]


def _right(x, y):
    found = _solved(_ones(x), y)
    return found[:-1].T, found[-1]


def _centred(x):
    return x - x.mean(0)


def _product(x, y):
    """Of centred features: (columns of x, columns of y)."""
    return _centred(x).T @ _centred(y)


def _slopes(x, y):
    """Each output on each feature alone."""
    return (_centred(x).T @ _centred(y) / (_centred(x) ** 2).sum(0)[:, None]).T


def _with_bias(weight):
    """The bias that fits a weight, whatever that is."""
    return lambda x, y: (weight(x, y), y.mean(0) - weight(x, y) @ x.mean(0))


def _no_bias(x, y):
    return _solved(x, y).T


def _rotation(x, y):
    u, _, vt = np.linalg.svd(_centred(y).T @ _centred(x), full_matrices=False)
    return u @ vt


def _ridge(x, y):
    x, y = _ones(x), y
    found = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)
    return found[:-1].T, found[-1]


def _weight_ridge(x, y):
    c = _centred(x)
    return np.linalg.solve(c.T @ c + np.eye(x.shape[1]), c.T @ _centred(y)).T


def _mixed(x, y):
    """The ones in front, but split as if they stood behind."""
    found = _solved(np.c_[np.ones(len(x)), x], y)
    return found[:-1].T, found[-1]


def _mixed_back(x, y):
    found = _solved(_ones(x), y)
    return found[1:].T, found[0]


def _by_rows(x, y):
    weight = _solved(x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)).T
    return weight, y.mean(0) - weight @ x.mean(0)


def _standard(x):
    return _centred(x) / np.where(x.std(0) > 0, x.std(0), 1)


STITCH = (
    Mistake("no_bias", lambda x, y: (_no_bias(x, y), np.zeros(y.shape[1])),
            "you fitted without a bias: the layer must lead through the origin and misses"),
    Mistake("bias_after", _with_bias(_no_bias),
            "you fitted the weight without a bias and added one afterwards; both belong to one problem: "
            "centre the features first, or append ones"),
    Mistake("bias_residual", lambda x, y: (_no_bias(x, y), (y - x @ _no_bias(x, y).T).mean(0) / 2),
            "half of what is left isn't the bias; fit weight and bias together"),
    Mistake("centred_no_bias", lambda x, y: (_right(x, y)[0], np.zeros(y.shape[1])),
            "the weight is right, the bias stayed 0: features centred for the fit come uncentred later, so "
            "the bias is upper's mean less what the weight makes of lower's"),
    Mistake("bias_mean", lambda x, y: (_right(x, y)[0], y.mean(0)),
            "the weight is right; subtract from upper's mean what the weight makes of lower's mean"),
    Mistake("bias_difference", lambda x, y: (_right(x, y)[0], y.mean(0) - x.mean(0)),
            "the weight is right; the bias isn't the difference of the means: first multiply lower's by "
            "the weight"),
    Mistake("no_bias_difference", lambda x, y: (_no_bias(x, y), y.mean(0) - x.mean(0)),
            "you fitted the weight without a bias and returned the difference of the means; fit both "
            "together"),
    Mistake("standard_lower", lambda x, y: (_solved(_standard(x), _centred(y)).T, y.mean(0)),
            "you fitted lower's features divided by their spread; the layer must work on them as they are"),
    Mistake("rows_centred", _by_rows,
            "you centred each image by the mean of its features; each feature has a mean over the images"),
    Mistake("no_bias_mean", lambda x, y: (_no_bias(x, y), y.mean(0)),
            "you fitted the weight without a bias and returned upper's mean for it; fit both together"),
    Mistake("one_mean_each", lambda x, y: (_solved(x - x.mean(), y - y.mean()).T,
            y.mean(0) - _solved(x - x.mean(), y - y.mean()).T @ x.mean(0)),
            "you centred by one mean over everything; each feature has its own, over the images"),
    Mistake("bias_sign", lambda x, y: (_right(x, y)[0], -_right(x, y)[1]),
            "the weight is right, the bias has the wrong sign: upper's mean less weight @ lower's mean"),
    Mistake("bias_plus", lambda x, y: (_right(x, y)[0], y.mean(0) + _right(x, y)[0] @ x.mean(0)),
            "the weight is right; what it makes of lower's mean is subtracted from upper's, not added"),
    Mistake("two_denominators", _with_bias(lambda x, y: _right(x, y)[0] * (len(x) - 1) / len(x)),
            "one covariance is divided by n, the other by n - 1 (as np.cov does): take one of them for both"),
    Mistake("moment_inverted", quiet(_with_bias(lambda x, y: y.T @ _centred(x) @ np.linalg.inv(x.T @ x))),
            "you inverted lower.T @ lower as it is; both products are of centred features"),
    Mistake("bias_total", lambda x, y: (_right(x, y)[0], np.full(y.shape[1], _right(x, y)[1].mean())),
            "all outputs share one bias; each has its own: take means over the images only"),
    Mistake("upper_centred", lambda x, y: (_solved(x, _centred(y)).T, y.mean(0)),
            "you centred only upper; lower's mean belongs to the problem, too"),
    Mistake("transposed", lambda x, y: (_right(x, y)[0].T, _right(x, y)[1]),
            "the weight is (a, b); as a layer's weight it is (outputs, inputs) = (b, a)"),
    Mistake("transposed_no_bias", lambda x, y: (_no_bias(x, y).T, np.zeros(y.shape[1])),
            "the weight is (a, b) and fitted without a bias; it should be (b, a), fitted with one"),
    Mistake("backwards", lambda x, y: _right(y, x),
            "your layer leads from upper to lower; it should lead from lower to upper"),
    Mistake("backwards_no_bias", lambda x, y: (_no_bias(y, x), np.zeros(x.shape[1])),
            "your layer leads from upper to lower, and has no bias; turn it round, and fit both"),
    Mistake("backwards_mean", lambda x, y: (_right(y, x)[0], x.mean(0)),
            "your layer leads from upper to lower; turn it round, and the bias isn't a mean alone"),
    Mistake("swapped", lambda x, y: _right(x, y)[::-1],
            "you returned (bias, weight); the order is (weight, bias)"),
    Mistake("together", lambda x, y: _solved(_ones(x), y).T,
            "the bias is still a column of the weight; return the two apart"),
    Mistake("together_transposed", lambda x, y: _solved(_ones(x), y),
            "that is what least squares returns, (a + 1, b), bias in one row; return (weight, bias), the "
            "weight transposed"),
    Mistake("weight_alone", lambda x, y: _right(x, y)[0],
            "the bias is missing: return (weight, bias)"),
    Mistake("plain_alone", _no_bias,
            "you returned a weight fitted without a bias; fit both, and return (weight, bias)"),
    Mistake("mixed", _mixed,
            "your ones stand in front, but you took the last row for the bias"),
    Mistake("mixed_back", _mixed_back,
            "your ones stand behind, but you took the first row for the bias"),
    Mistake("front_last", lambda x, y: (_right(x, y)[0], _right(x, y)[0][:, -1]),
            "the weight is right; for the bias you took the last row, but your ones stand in front"),
    Mistake("residuals", lambda x, y: (_right(x, y)[0], np.linalg.lstsq(_ones(x), y, rcond=None)[1]),
            "the weight is right; what lstsq returns second are the residuals, not the bias"),
    Mistake("residuals_whole", lambda x, y: np.linalg.lstsq(_ones(x), y, rcond=None)[:2],
            "lstsq returns the solution and the residuals; weight and bias are both in the first"),
    Mistake("bias_turned", lambda x, y: (_right(x, y)[0], y.mean(0) - _right(x, y)[0].T @ x.mean(0)),
            "the weight is right; for the bias you multiplied lower's mean by its transpose"),
    Mistake("bias_number", lambda x, y: (_right(x, y)[0], float(_right(x, y)[1].mean())),
            "the bias is one number; each output has its own: take means over the images only"),
    Mistake("bias_each", lambda x, y: (_right(x, y)[0], y - x @ _right(x, y)[0].T),
            "your bias has a row for each image; take the mean over the images"),
    Mistake("product", lambda x, y: ((_ones(x).T @ y)[:-1].T, (_ones(x).T @ y)[-1]),
            "that is the right side of the equations, x.T @ y; multiply it by the inverse of x.T @ x"),
    Mistake("bias_column", lambda x, y: (_right(x, y)[0], _right(x, y)[1][:, None]),
            "the bias has an axis too many; it is (b,)"),
    Mistake("bias_row", lambda x, y: (_right(x, y)[0], _right(x, y)[1][None]),
            "the bias is a row, (1, b); it is (b,)"),
    Mistake("one_by_one", _with_bias(_slopes),
            "you fitted each feature alone, as if they shared nothing; solve for all at once"),
    Mistake("not_solved", _with_bias(lambda x, y: _product(y, x) / len(x)),
            "that is the covariance of the two; it must still be multiplied by the inverse of lower's own"),
    Mistake("covariance", _with_bias(lambda x, y: _product(y, x) / max(len(x) - 1, 1)),
            "that is the covariance of the two, by n - 1; multiply it by the inverse of lower's own"),
    Mistake("not_inverted", _with_bias(lambda x, y: _product(y, x) @ _product(x, x)),
            "you multiplied by lower's own covariance; its inverse is needed"),
    Mistake("ridge", _ridge,
            "you added the identity before inverting: that pulls weight and bias towards 0"),
    Mistake("weight_ridge", _with_bias(_weight_ridge),
            "you added the identity before inverting: that pulls the weight towards 0"),
    Mistake("rotation", _with_bias(_rotation),
            "that is the nearest rotation; any matrix is allowed"),
    Mistake("means", _with_bias(lambda x, y: np.eye(y.shape[1], x.shape[1])),
            "you moved the means only; fit the weight, too"),
    Mistake("standardised", lambda x, y: (_solved(_standard(x), _standard(y)).T, np.zeros(y.shape[1])),
            "you fitted features divided by their spread; the layer must work on the features as they are"),
    Mistake("fitted", lambda x, y: _ones(x) @ _solved(_ones(x), y),
            "these are the fitted features; return the layer, (weight, bias)"),
    Mistake("halved_bias", quiet(lambda x, y: (_right(x, y)[0], _right(x, y)[1] / len(x))),
            "the bias is divided by the number of images; it is already a mean"),
)  # fmt: skip
