"""Chapter 00, a hundred times smaller: what the exercises ask, how they are checked, what usually goes wrong.

First contact: each exercise takes a line or two. A learner gains, in this order: what a factor of
compression compares, pruning as keeping the largest sizes, sharing as the nearest value, the entropy as the
length of the best code.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, Mistake, Option, Question, case

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "A hundred times smaller"


def times_smaller(w, nbytes):
    """How many times smaller a file of `nbytes` bytes is than the weights `w` at 4 bytes each."""
    whole = 0
    for _ in np.ndindex(w.shape):
        whole += 4
    return whole / nbytes


def times_cases(rng):
    yield case(np.ones((2, 3), np.float32), 12)
    yield case(np.ones((4, 4), np.float32), 7)
    yield case(np.ones(5, np.float32), 20)
    for n in range(1, 18):
        w = rng.normal(size=(n % 4 + 2, n)).round(1).astype(np.float32)
        yield case(w, int(rng.integers(1, 5 * w.size)))


def prune(w, k):
    """The k weights of largest size stay as they are, the others become 0; `w` itself doesn't change."""
    pruned = np.zeros_like(w)
    left = list(range(w.size))
    for _ in range(k):
        best = max(left, key=lambda i: abs(w[i]))
        pruned[best] = w[best]
        left.remove(best)
    return pruned


def prune_cases(rng):
    yield case(np.array([0.1, -0.9]), 1)
    yield case(np.array([0.5, -0.2, 0.3]), 2)
    yield case(np.array([-0.4, -0.7, -0.6, -0.5]), 2)
    for n in range(2, 18):
        sizes = rng.permutation(np.arange(1, n + 1)) / 10  # no two of one size: no ties
        yield case(sizes * rng.choice([-1.0, 1.0], n), n // 3 + 1)
    yield case(np.array([0.3, -0.1]), 2)


def nearest_value(w, values):
    """Each weight replaced by that of the shared `values` which is nearest to it."""
    shared = np.zeros_like(w)
    for i in range(w.size):
        best = values[0]
        for value in values:
            if abs(w[i] - value) < abs(w[i] - best):
                best = value
        shared[i] = best
    return shared


def nearest_cases(rng):
    yield case(np.array([0.75, -0.8]), np.array([-1.0, 1.0]))
    yield case(np.array([0.1, 0.45, -0.7]), np.array([0.0, 0.5]))
    yield case(np.array([0.25, -0.25]), np.array([0.125]))
    for n in range(1, 18):
        values = rng.choice(np.arange(-8, 9) / 4, 2 + n % 4, replace=False)
        yield case(rng.normal(size=n), np.sort(values) if n % 2 else values)


def code_bits(counts):
    """The entropy in bits of a message in which symbol number i occurs counts[i] times."""
    n = sum(int(count) for count in counts)
    bits = 0.0
    for count in counts:
        if count > 0:
            bits += count * math.log2(n / count)
    return bits


def bits_cases(rng):
    yield case(np.array([1, 1]))
    yield case(np.array([2, 1, 1]))
    yield case(np.array([12, 4]))
    yield case(np.array([3, 0, 1]))
    yield case(np.array([5]))
    for n in range(2, 17):
        yield case(rng.integers(n % 2, 40, n) + (np.arange(n) == 0))


def _kept(w, positions):
    """w at `positions`, 0 elsewhere."""
    pruned = np.zeros_like(w)
    pruned[positions] = w[positions]
    return pruned


def _nearest(w, values, score):
    """For each weight the value for which score(w, value) is least."""
    return values[np.argmin(score(w[:, None], values[None, :]), axis=1)]


def _entropy_bits(counts, log=np.log2):
    p = counts[counts > 0] / counts.sum()
    return float(counts.sum() * (p * log(1 / p)).sum())


def _nan_bits(counts):
    p = counts / counts.sum()
    return float(-counts.sum() * (p * np.log2(p)).sum())


EXERCISES = (
    Exercise(
        "00.1", times_smaller, times_cases, title="How many times smaller",
        hints=(
            "Two sizes in the same unit: which one is larger before compression?",
            "A float32 number takes 32 bits, which is 4 bytes; w.size says how many numbers w holds.",
            "Bytes before, divided by bytes after: 4 * w.size / nbytes.",
        ),
        mistakes=(
            Mistake("no_bytes", lambda w, nbytes: w.size / nbytes,
                    "you divided the number of weights by bytes; each weight takes 4 bytes"),
            Mistake("bits", lambda w, nbytes: 32 * w.size / nbytes,
                    "you counted the weights in bits and the file in bytes; 32 bits are 4 bytes"),
            Mistake("rows", lambda w, nbytes: 4 * len(w) / nbytes,
                    "len(w) counts the rows of an array; w.size counts its entries"),
            Mistake("upside_down", lambda w, nbytes: nbytes / (4 * w.size),
                    "your fraction is upside down: that is which part is left, not how many times smaller"),
            Mistake("saved", lambda w, nbytes: 100 * (1 - nbytes / (4 * w.size)),
                    "that is the percentage saved; 99 % saved is a hundred times smaller"),
            Mistake("whole_number", lambda w, nbytes: 4 * w.size // nbytes,
                    "// drops what is behind the point; divide with /"),
        ),
        rtol=1e-6,
    ),
    Exercise(
        "00.2", prune, prune_cases, title="Keep the k largest",
        hints=(
            "Which k weights are largest, if a minus sign doesn't count?",
            "np.argsort(-abs(w)) lists the positions, that of the largest size first; take the first k.",
            "Make np.zeros_like(w) and copy the kept positions: pruned[best] = w[best].",
        ),
        mistakes=(
            Mistake("no_abs", lambda w, k: _kept(w, np.argsort(-w)[:k]),
                    "you kept the k largest w, not the k largest |w|, so large negative weights went"),
            Mistake("smallest", lambda w, k: _kept(w, np.argsort(abs(w))[:k]),
                    "you kept the k smallest sizes: a sort goes upwards"),
            Mistake("drops_k", lambda w, k: _kept(w, np.argsort(-abs(w))[: w.size - k]),
                    "you kept all but k; k is how many stay"),
            Mistake("sizes", lambda w, k: abs(_kept(w, np.argsort(-abs(w))[:k])),
                    "the right ones stay, but without their sign: choose by |w|, copy w"),
            Mistake("only_kept", lambda w, k: w[np.sort(np.argsort(-abs(w))[:k])],
                    "you returned the kept weights alone; the others stay in their places as zeros"),
            Mistake("mask", lambda w, k: (np.argsort(np.argsort(-abs(w))) < k).astype(float),
                    "you returned ones and zeros, a mask; multiply w by it"),
        ),
    ),
    Exercise(
        "00.3", nearest_value, nearest_cases, title="The nearest shared value",
        hints=(
            "For one weight: how far is it from each of the values, and which distance is least?",
            "abs(w[:, None] - values) is a table of distances: a row for each weight, a column for a value.",
            "argmin along the row gives the number of the value; values[number] gives the value itself.",
        ),
        mistakes=(
            Mistake("no_abs", lambda w, values: _nearest(w, values, lambda w, v: w - v),
                    "you took the least difference, not the least distance: |w − value| needs its bars"),
            Mistake("no_abs_turned", lambda w, values: _nearest(w, values, lambda w, v: v - w),
                    "you took the least difference, not the least distance: |value − w| needs its bars"),
            Mistake("farthest", lambda w, values: _nearest(w, values, lambda w, v: -abs(w - v)),
                    "you took the value that is farthest away: argmin, not argmax"),
            Mistake("number", lambda w, values: np.argmin(abs(w[:, None] - values), axis=1),
                    "you returned the number of the value, its place in `values`; look the value up"),
            Mistake("size", lambda w, values: _nearest(w, values, lambda w, v: abs(abs(w) - abs(v))),
                    "you compared sizes: a weight of −0.8 is far from +1, though the sizes are close"),
            Mistake("column", lambda w, values: w[np.argmin(abs(w[:, None] - values), axis=0)],
                    "you went down the columns: that gives for each value the nearest weight"),
        ),
    ),
    Exercise(
        "00.4", code_bits, bits_cases, title="The bits of the best code",
        hints=(
            "A symbol that makes up half of the message is worth 1 bit, a quarter 2 bits, an eighth 3.",
            "One occurrence of a symbol of probability p = count / n is worth log2(1 / p) bits.",
            "Add up count * log2(n / count) over the symbols that occur; leave out those with count 0.",
        ),
        mistakes=(
            Mistake("per_symbol", lambda counts: _entropy_bits(counts) / int(counts.sum()),
                    "that is bits for one symbol, on average; the message has sum(counts) symbols"),
            Mistake("per_symbol_nan", lambda counts: _nan_bits(counts) / int(counts.sum()),
                    "that is bits for one symbol on average, and nan where a count is 0; add up the message"),
            Mistake("nats", lambda counts: _entropy_bits(counts, np.log),
                    "you took the natural logarithm; bits need log2"),
            Mistake("fixed_width", lambda counts: float(counts.sum() * math.ceil(math.log2(counts.size))),
                    "you gave every symbol the same number of bits; a frequent symbol should get fewer"),
            Mistake("not_a_number", _nan_bits,
                    "where a count is 0 yours is nan: a symbol that never occurs costs nothing"),
            Mistake("negative", lambda counts: -_entropy_bits(counts),
                    "the sign is wrong: log2(p) is negative, log2(1 / p) is positive"),
            Mistake("unweighted", lambda counts: float(np.log2(counts.sum() / counts[counts > 0]).sum()),
                    "you counted each symbol once; it costs its bits every time it occurs"),
        ),
        rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip

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
