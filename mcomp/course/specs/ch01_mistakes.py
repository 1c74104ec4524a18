"""Chapter 01, bits (01.1 to 01.4): the wrong answers that people write, each with what happened."""

import math

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch01_rate_mistakes import MISTAKES as MORE
from mcomp.course.specs.ch01_rate_mistakes import _entropy, _p


def _nan_entropy(counts, log=np.log2):
    p = counts / counts.sum()
    with np.errstate(all="ignore"):
        return float(-(p * log(p)).sum())


def _by_kinds(counts):
    """The entropy with c / len(counts) in place of the probability."""
    return float(sum(c / len(counts) * math.log2(len(counts) / c) for c in counts.tolist() if c))


def _joinings(counts, arrange=sorted, keep_zero=False):
    """The counts that Huffman's joinings add up; `arrange` puts the trees in order before each."""
    trees = [int(c) for c in counts if c > 0 or keep_zero]
    found = [trees[0]] if len(trees) == 1 else []
    while len(trees) > 1:
        a, b, *rest = arrange(trees)
        trees = [a + b, *rest]
        found.append(a + b)
    return found


def _largest_first(trees):
    return sorted(trees, reverse=True)


def _put_last(counts):
    """Sorted once; each joined tree goes to the end."""
    trees, total = sorted(int(c) for c in counts if c > 0), 0
    while len(trees) > 1:
        a, b, *rest = trees
        trees, total = [*rest, a + b], total + a + b
    return total or trees[0]


def _sorted_once(counts):
    """Join along the sorted list, the newest tree always first: the list is never sorted again."""
    trees = sorted(int(c) for c in counts if c > 0)
    return trees[0] if len(trees) == 1 else int(np.cumsum(trees)[1:].sum())


def _one_to_n(counts):
    """Words of 1, 2, ... n bits, the most frequent symbol's the shortest."""
    return sum(i * int(c) for i, c in enumerate(sorted(counts[counts > 0], reverse=True), 1))


def _alone_is_free(counts):
    return sum(_joinings(counts)) if np.count_nonzero(counts) > 1 else 0


def _no_last(counts):
    return sum(_joinings(counts)[:-1])


def _each_once(counts):
    """The lengths of Huffman's words, added up."""
    trees, total = [(int(c), 1) for c in counts if c > 0], 0
    while len(trees) > 1:
        (a, below_a), (b, below_b), *rest = sorted(trees)
        trees, total = [(a + b, below_a + below_b), *rest], total + below_a + below_b
    return total or 1


def _words(counts, rounding=math.ceil, least=0):
    """Bits of the text if each symbol's log2(1/p) is rounded to whole bits."""
    return int(sum(c * max(least, rounding(math.log2(counts.sum() / c))) for c in counts if c > 0))


def _fixed(counts):
    return int(counts.sum()) * max(1, int(np.count_nonzero(counts) - 1).bit_length())


MISTAKES = MORE | {
    "01.1": (
        Mistake("bits", lambda w, bits: w.size * bits,
                "you counted bits; a byte is 8 of them (a 3×3 float32 kernel: 288 bits, 36 bytes)"),
        Mistake("floor", lambda w, bits: w.size * bits // 8,
                "you rounded down, so the last bits have no place; a byte that is begun counts whole"),
        Mistake("fraction", lambda w, bits: w.size * bits / 8,
                "a file has whole bytes: round up at the end"),
        Mistake("byte_each", lambda w, bits: w.size * ((bits + 7) // 8),
                "you rounded each weight up to whole bytes; packed without gaps, weights share bytes"),
        Mistake("row_each", lambda w, bits: math.prod(w.shape[:-1]) * ((w.shape[-1] * bits + 7) // 8),
                "you rounded up every row; packed without gaps, only the last byte of all is filled up"),
        Mistake("in_memory", lambda w, bits: w.nbytes,
                "that is what the array takes in memory now, whatever `bits` is"),
        Mistake("from_memory", lambda w, bits: math.ceil(w.nbytes * bits / 32),
                "w.nbytes depends on the type that w has now; count the weights, w.size"),
        Mistake("from_memory_down", lambda w, bits: w.nbytes * bits // 32,
                "w.nbytes depends on the type that w has now: count w.size; and round up, not down"),
        Mistake("bytes_times_bits", lambda w, bits: math.ceil(w.nbytes * bits / 8),
                "you multiplied bytes by bits; each *weight* takes `bits` bits"),
        Mistake("rows", lambda w, bits: math.ceil(len(w) * bits / 8),
                "len(w) counts the rows; w.size counts all weights"),
        Mistake("one_more", lambda w, bits: w.size * bits // 8 + 1,
                "one byte too many where the bits fill the last byte exactly"),
        Mistake("no_straddling", lambda w, bits: math.ceil(w.size / (8 // bits)) if bits <= 8 else 2 * w.size,
                "you put whole weights into each byte; without gaps a weight may lie across two bytes"),
        Mistake("words", lambda w, bits: 4 * math.ceil(w.size * bits / 32),
                "you rounded up to words of 4 bytes; round up to the next byte"),
        Mistake("not_zero", lambda w, bits: math.ceil(np.count_nonzero(w) * bits / 8),
                "you left the zeros out; every weight is written"),
    ),
    "01.2": (
        Mistake("nats", lambda counts: _entropy(counts, np.log),
                "that is in nats, from the natural logarithm; bits take log2"),
        Mistake("total", lambda counts: float(counts.sum() * _entropy(counts)),
                "that is the whole text; bits per symbol are asked for"),
        Mistake("not_a_number", _nan_entropy,
                "a count of 0 makes yours nan: 0·log2(0) counts as 0, so leave such symbols out"),
        Mistake("no_division", lambda counts: float(-sum(c * math.log2(c) for c in counts if c > 0)),
                "the counts went into the logarithm as they are; divide by their sum first"),
        Mistake("fixed_width", lambda counts: float(math.log2(len(counts))),
                "that is log2 of the number of symbols, the entropy only if all are equally frequent"),
        Mistake("unweighted", lambda counts: float(np.mean(-np.log2(_p(counts)))),
                "you took the plain mean of log2(1/p); a symbol counts as often as it occurs, so weigh by p"),
        Mistake("sign", lambda counts: -_entropy(counts),
                "the sign is wrong: log2(p) is negative, log2(1/p) is positive"),
        Mistake("nats_nan", lambda counts: _nan_entropy(counts, np.log),
                "that is in nats, and nan where a count is 0; take log2 of the symbols that occur"),
        Mistake("log10", lambda counts: _entropy(counts, np.log10),
                "you took the logarithm to base 10; bits take log2"),
        Mistake("bytes", lambda counts: _entropy(counts) / 8, "you divided by 8: those are bytes"),
        Mistake("fixed_bits", lambda counts: math.ceil(math.log2(len(counts))),
                "that is a fixed width for all symbols; frequent ones can do with less"),
        Mistake("log_of_used", lambda counts: math.log2(np.count_nonzero(counts)),
                "that is log2 of how many symbols occur, the entropy only if all are equally frequent"),
        Mistake("unweighted_sum", lambda counts: float(-np.log2(_p(counts)).sum()),
                "you added log2(1/p) once a symbol; weigh each by its p"),
        Mistake("mean_of_terms", lambda counts: _entropy(counts) / np.count_nonzero(counts),
                "you took the mean of p·log2(1/p); p is the weight already, so add up"),
        Mistake("by_kinds", _by_kinds,
                "you divided by the number of different symbols; p is the count over the sum of counts"),
        Mistake("counted", lambda counts: _entropy(np.unique(counts, return_counts=True)[1]),
                "you counted the counts: counts[i] already says how often symbol i occurs"),
        Mistake("whole_bits", lambda counts: _words(counts) / int(counts.sum()),
                "you rounded each log2(1/p) up: that is a code in whole bits; the entropy doesn't round"),
        Mistake("huffman", lambda counts: sum(_joinings(counts)) / int(counts.sum()),
                "that is the mean length of Huffman's whole words; the entropy is the floor below it"),
        Mistake("one_added", lambda counts: _entropy(counts + 1),
                "you added 1 to each count, so what never occurs costs bits: leave counts of 0 out"),
        Mistake("rounded", lambda counts: math.ceil(_entropy(counts)),
                "you rounded up; the entropy need not be a whole number"),
    ),
    "01.3": (
        Mistake("fixed_width", _fixed,
                "that is the same width for all; frequent symbols should get shorter words"),
        Mistake("rounded_up", lambda counts: _words(counts, least=1),
                "you rounded log2(1/p) up for each symbol: a prefix code, but Huffman's is shorter"),
        Mistake("rounded_up_from_0", _words,
                "you rounded log2(1/p) up; Huffman's code is shorter, and a symbol alone costs 1 bit, not 0"),
        Mistake("sorted_once", _sorted_once,
                "you sorted once (or gave words of 1, 2, 3 … bits): a joined tree may not be the smallest"),
        Mistake("put_last", _put_last,
                "a joined tree went to the end of the list; sort again before each joining"),
        Mistake("unsorted", lambda counts: sum(_joinings(counts, list)),
                "you joined the first two as they stood; sort, so that the two smallest come first"),
        Mistake("words_of_one_to_n", _one_to_n,
                "you gave words of 1, 2, 3 … bits; join the two smallest instead, again and again"),
        Mistake("no_last", _no_last,
                "the last joining is missing: go on until one tree is left"),
        Mistake("root", lambda counts: int(counts.sum()),
                "that is the count of the last tree, the text's length; add up the counts of all joinings"),
        Mistake("leaves_too", lambda counts: sum(_joinings(counts)) + int(counts.sum()),
                "you added the single symbols too; only joinings cost bits"),
        Mistake("each_once", _each_once,
                "you added up the lengths of the words; each is written as often as its symbol occurs"),
        Mistake("rounded", lambda counts: _words(counts, round),
                "you rounded log2(1/p) for each symbol; such lengths need not belong to any prefix code"),
        Mistake("entropy_up", lambda counts: math.ceil(counts.sum() * _entropy(counts)),
                "that is the entropy rounded up once; Huffman's words are whole bits one by one"),
        Mistake("largest_first", lambda counts: sum(_joinings(counts, _largest_first)),
                "you joined the largest two; the two rarest get the longest words"),
        Mistake("zero_joins", lambda counts: sum(_joinings(counts, keep_zero=True)),
                "symbols that never occur got words and made others longer; leave counts of 0 out"),
        Mistake("per_symbol", lambda counts: sum(_joinings(counts)) / int(counts.sum()),
                "that is the mean length of a word; the bits of the whole text were asked for"),
        Mistake("entropy", lambda counts: float(counts.sum() * _entropy(counts)),
                "that is the entropy, the floor; whole bits for each word usually cost more"),
        Mistake("alone_is_free", _alone_is_free,
                "a symbol that occurs alone still costs 1 bit each time in a prefix code"),
    ),
}  # fmt: skip
