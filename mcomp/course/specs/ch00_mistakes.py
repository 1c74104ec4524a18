"""Chapter 00: the wrong answers that people write, each with what happened; and the quiz."""

import math

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _kept(w, order, k, values=None):
    """The entries of w that come first in `order`, k of them, 0 elsewhere."""
    pruned, at = np.zeros_like(w), np.argsort(order, axis=None)[:k]
    pruned.flat[at] = (w if values is None else values).flat[at]
    return pruned


def _above(w, place, than=np.greater_equal, what=None):
    """w where its size is at least the one at that place of all sizes, sorted."""
    sizes = np.sort(abs(w), axis=None)
    return np.where(than(abs(w), sizes[place]), w if what is None else what, 0.0)


def _by_rows(w, k):
    out, at = np.zeros_like(w), np.argsort(-abs(w), axis=-1)[..., :k]
    np.put_along_axis(out, at, np.take_along_axis(w, at, -1), -1)
    return out


def _indexed(w, k):
    """Right for one axis; with two, the numbers of columns are taken for rows."""
    out, best = np.zeros_like(w), np.argsort(-abs(w))[:k]
    out[best] = w[best]
    return out


def _nearest(w, values, score):
    """For each weight the value for which score(w, value) is least."""
    return values[np.argmin(score(w[:, None], values[None, :]), axis=1)]


def _next(w, values, side):
    """The next value on one side, or the last there."""
    ordered = np.sort(values)
    at = np.searchsorted(ordered, w) + side
    return ordered[np.clip(at, 0, values.size - 1)]


def _unsorted(w, values):
    return values[np.searchsorted((values[1:] + values[:-1]) / 2, w)]


def _one_for_all(w, values):
    """argmin of the whole table."""
    at = np.argmin(abs(w[:, None] - values)) % values.size
    return np.full_like(w, values[at])


def _same_sign(w, values):
    near = _nearest(abs(w), abs(values), lambda w, v: abs(w - v))
    return np.sign(w) * near


def _entropy_bits(counts, log=np.log2):
    p = counts[counts > 0] / counts.sum()
    return float(counts.sum() * (p * log(1 / p)).sum())


def _nan_bits(counts, log=np.log2):
    p = counts / counts.sum()
    with np.errstate(all="ignore"):
        return float(-counts.sum() * (p * log(p)).sum())


def _words(counts):
    """Whole bits for each symbol."""
    return float(sum(int(c) * math.ceil(math.log2(counts.sum() / c)) for c in counts if c > 0))


def _by_kinds(counts):
    return float(sum(c * math.log2(counts.size / c) for c in counts.tolist() if c))


MISTAKES = {
    "00.1": (
        Mistake("no_bytes", lambda w, nbytes: w.size / nbytes,
                "you divided the number of weights by bytes; each weight takes 4 bytes"),
        Mistake("in_memory", lambda w, nbytes: w.nbytes / nbytes,
                "w.nbytes is what this array takes in memory, whatever its type; count 4 bytes a weight"),
        Mistake("bits", lambda w, nbytes: 32 * w.size / nbytes,
                "you counted the weights in bits and the file in bytes; 32 bits are 4 bytes"),
        Mistake("bits_of_file", lambda w, nbytes: 4 * w.size / (8 * nbytes),
                "you counted the file in bits and the weights in bytes; take one unit for both"),
        Mistake("eight", lambda w, nbytes: 8 * w.size / nbytes,
                "you gave each weight 8 bytes, as float64 takes; compare with 4"),
        Mistake("rows", lambda w, nbytes: 4 * len(w) / nbytes,
                "len(w) counts the rows of an array; w.size counts its entries"),
        Mistake("not_zero", lambda w, nbytes: 4 * np.count_nonzero(w) / nbytes,
                "you left the zeros out; before compression a zero takes 4 bytes as well"),
        Mistake("upside_down", lambda w, nbytes: nbytes / (4 * w.size),
                "your fraction is upside down: that is which part is left, not how many times smaller"),
        Mistake("upside_down_in_memory", lambda w, nbytes: nbytes / w.nbytes,
                "your fraction is upside down, and w.nbytes depends on the type: count 4 bytes a weight"),
        Mistake("saved", lambda w, nbytes: 100 * (1 - nbytes / (4 * w.size)),
                "that is the percentage saved; 99 % saved is a hundred times smaller"),
        Mistake("part_saved", lambda w, nbytes: 1 - nbytes / (4 * w.size),
                "that is the part saved; 0.99 of it saved is a hundred times smaller"),
        Mistake("difference", lambda w, nbytes: 4 * w.size - nbytes,
                "you subtracted: that many bytes are saved; *times* smaller is a quotient"),
        Mistake("whole_number", lambda w, nbytes: 4 * w.size // nbytes,
                "// and int() drop what is behind the point; divide with /"),
        Mistake("rounded", lambda w, nbytes: round(4 * w.size / nbytes),
                "you rounded; the factor need not be a whole number"),
        Mistake("rounded_to_1", lambda w, nbytes: round(4 * w.size / nbytes, 1),
                "you rounded to one decimal; return the quotient as it is"),
        Mistake("rounded_to_2", lambda w, nbytes: round(4 * w.size / nbytes, 2),
                "you rounded to two decimals; return the quotient as it is"),
    ),
    "00.2": (
        Mistake("no_abs", lambda w, k: _kept(w, -w, k),
                "you kept the k largest w, not the k largest |w|, so large negative weights went"),
        Mistake("half_abs", lambda w, k: np.where(w >= np.sort(abs(w), axis=None)[-k], w, 0.0),
                "you took the threshold from |w| and compared w with it; compare |w|"),
        Mistake("smallest", lambda w, k: _kept(w, abs(w), k),
                "you kept the k smallest sizes: a sort goes upwards"),
        Mistake("drops_k", lambda w, k: _kept(w, -abs(w), w.size - k),
                "you kept all but k; k is how many stay"),
        Mistake("one_less", lambda w, k: _above(w, -k, np.greater),
                "you kept what is larger than the k-th, so k − 1 stay: >= keeps the k-th as well"),
        Mistake("one_more", lambda w, k: _above(w, max(-k - 1, -w.size)),
                "one too many stays: counted from the end, the k-th has the place −k"),
        Mistake("kth_smallest", lambda w, k: _above(w, k - 1),
                "your threshold is the k-th smallest size; a sort goes upwards, count from its end"),
        Mistake("sizes", lambda w, k: _kept(w, -abs(w), k, abs(w)),
                "the right ones stay, but without their sign: choose by |w|, copy w"),
        Mistake("only_kept", lambda w, k: w[_above(w, -k) != 0],
                "you returned the kept weights alone; the others stay in their places as zeros"),
        Mistake("largest_first", lambda w, k: w.ravel()[np.argsort(-abs(w), axis=None)[:k]],
                "you returned the kept weights alone, the largest first; the others stay as zeros"),
        Mistake("places", lambda w, k: np.argsort(-abs(w), axis=None)[:k],
                "you returned where the largest are; copy them into zeros of w's shape"),
        Mistake("mask", lambda w, k: _above(w, -k, what=1.0),
                "you returned ones and zeros, a mask; multiply w by it"),
        Mistake("bools", lambda w, k: _above(w, -k) != 0,
                "you returned True and False, a mask; multiply w by it"),
        Mistake("by_rows", _by_rows,
                "with two axes you kept k in every row; k is the count for the whole array"),
        Mistake("indexed", _indexed,
                "np.argsort sorts each row for itself; give it axis=None, and index w.flat"),
        Mistake("flat", lambda w, k: _kept(w, -abs(w), k).ravel(),
                "the right ones stay, but the result has lost the shape of w"),
        Mistake("threshold", lambda w, k: np.where(abs(w) > 0.5, w, 0.0),
                "you took the picture's threshold of 0.5; here the count k is given"),
    ),
    "00.3": (
        Mistake("no_abs", lambda w, values: _nearest(w, values, lambda w, v: w - v),
                "you took the least difference, not the least distance: |w − value| needs its bars"),
        Mistake("no_abs_turned", lambda w, values: _nearest(w, values, lambda w, v: v - w),
                "you took the least difference, not the least distance: |value − w| needs its bars"),
        Mistake("farthest", lambda w, values: _nearest(w, values, lambda w, v: -abs(w - v)),
                "you took the value that is farthest away: argmin, not argmax"),
        Mistake("number", lambda w, values: np.argmin(abs(w[:, None] - values), axis=1),
                "you returned the number of the value, its place in `values`; look the value up"),
        Mistake("distance", lambda w, values: np.min(abs(w[:, None] - values), axis=1),
                "you returned how far the nearest value is: min gives the distance, argmin says whose"),
        Mistake("size", lambda w, values: _nearest(w, values, lambda w, v: abs(abs(w) - abs(v))),
                "you compared sizes: a weight of −0.8 is far from +1, though the sizes are close"),
        Mistake("same_sign", _same_sign,
                "you compared sizes and put the sign back; the value with that sign need not exist"),
        Mistake("sign", lambda w, values: np.where(w > 0, values.max(), values.min()),
                "you chose by the sign of the weight; choose by the distance to each value"),
        Mistake("first_and_last", lambda w, values: _nearest(w, values[[0, -1]], lambda w, v: abs(w - v)),
                "you compared with the first and the last value only"),
        Mistake("below", lambda w, values: _next(w, values, -1),
                "you took the next value below; the one above may be nearer"),
        Mistake("above", lambda w, values: _next(w, values, 0),
                "you took the next value above; the one below may be nearer"),
        Mistake("unsorted", _unsorted,
                "`values` come in any order: sort them before you search among their midpoints"),
        Mistake("one_for_all", _one_for_all,
                "every weight got the same value; each takes its own nearest: argmin along each row, axis=1"),
        Mistake("column", lambda w, values: w[np.argmin(abs(w[:, None] - values), axis=0)],
                "you went down the columns: that gives for each value the nearest weight"),
        Mistake("whole", lambda w, values: np.round(w),
                "you rounded to whole numbers; the nearest of `values` is asked for"),
        Mistake("zeros_stay", lambda w, values: _nearest(w, values, lambda w, v: abs(w - v)) * (w != 0),
                "you left the zeros out; here a weight of 0 goes to the nearest value as any other does"),
        Mistake("mean", lambda w, values: np.full_like(w, w.mean()),
                "all weights became their mean; each takes the nearest of `values`"),
    ),
    "00.4": (
        Mistake("per_symbol", lambda counts: _entropy_bits(counts) / int(counts.sum()),
                "that is bits for one symbol, on average; the message has sum(counts) symbols"),
        Mistake("per_symbol_nan", lambda counts: _nan_bits(counts) / int(counts.sum()),
                "that is bits for one symbol on average, and nan where a count is 0; add up the message"),
        Mistake("kinds", lambda counts: _entropy_bits(counts) / int(counts.sum()) * counts.size,
                "you multiplied by the number of different symbols; the message has sum(counts) of them"),
        Mistake("nats", lambda counts: _entropy_bits(counts, np.log),
                "you took the natural logarithm; bits need log2"),
        Mistake("nats_nan", lambda counts: _nan_bits(counts, np.log),
                "you took the natural logarithm, and nan comes out where a count is 0; bits need log2"),
        Mistake("log10", lambda counts: _entropy_bits(counts, np.log10),
                "you took the logarithm to base 10; bits need log2"),
        Mistake("bytes", lambda counts: _entropy_bits(counts) / 8,
                "you divided by 8: those are bytes"),
        Mistake("fixed_width", lambda counts: float(counts.sum() * math.ceil(math.log2(counts.size))),
                "you gave every symbol the same number of bits; a frequent symbol should get fewer"),
        Mistake("log_of_number", lambda counts: float(counts.sum() * math.log2(counts.size)),
                "you gave every symbol log2 of their number; a frequent symbol should get fewer bits"),
        Mistake("log_of_used", lambda counts: float(counts.sum() * math.log2(np.count_nonzero(counts))),
                "you gave every symbol that occurs the same number of bits; a frequent one should get fewer"),
        Mistake("whole_bits", _words,
                "you rounded each symbol's log2(1/p) up: a code in whole bits; the entropy doesn't round"),
        Mistake("rounded", lambda counts: math.ceil(_entropy_bits(counts)),
                "you rounded up; the entropy need not be a whole number"),
        Mistake("not_a_number", _nan_bits,
                "where a count is 0 yours is nan: a symbol that never occurs costs nothing"),
        Mistake("negative", lambda counts: -_entropy_bits(counts),
                "the sign is wrong: log2(p) is negative, log2(1 / p) is positive"),
        Mistake("unweighted", lambda counts: float(np.log2(counts.sum() / counts[counts > 0]).sum()),
                "you counted each symbol once; it costs its bits every time it occurs"),
        Mistake("no_division", lambda counts: float(sum(c * math.log2(c) for c in counts.tolist() if c)),
                "the counts went into the logarithm as they are; divide by their sum first"),
        Mistake("by_kinds", _by_kinds,
                "you divided by the number of different symbols; p is the count over the sum of counts"),
    ),
}  # fmt: skip

QUIZ = (
    Question("Which steps of the chapter change what the network predicts?", (
        Option("prune, share and code",
               "coding loses nothing: the loaded network predicts bit for bit what the saved one did"),
        Option("prune and share",
               "both move the weights to a simpler array nearby; the code writes that array down exactly",
               right=True),
        Option("share alone", "setting a weight to zero changes a prediction as well"),
    )),
    Question("The small file is loaded and run with ordinary dense layers. How many products are saved?", (
        Option("all those with a zero weight",
               "a dense product doesn't look: it multiplies by a zero as by any other number"),
        Option("none",
               "loading gives the full array back, zeros included, so the work is what it was", right=True),
        Option("it depends on the entropy coder",
               "the coder has done its work once the file is read; the forward pass never sees it"),
    )),
    Question("A pruned network was trained further and beats the original. What do you compare it with?", (
        Option("the original: it is what you started from",
               "part of the gain may come from the further training and have nothing to do with pruning"),
        Option("the original given the same further training",
               "this control differs in one thing only, the compression", right=True),
        Option("another network of the same file size",
               "a good question too, but it doesn't separate the pruning from the training"),
    )),
)  # fmt: skip
