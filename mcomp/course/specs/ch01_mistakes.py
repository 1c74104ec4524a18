"""Chapter 01: the wrong answers that people write, each with what happened; and the quiz.

That a 3×3 float32 kernel takes 288 bytes is an error of published tutorials.
"""

import math

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _p(counts):
    counts = np.asarray(counts, float)
    return counts[counts > 0] / counts.sum()


def _entropy(counts, log=np.log2):
    p = _p(counts)
    return float(-(p * log(p)).sum())


def _nan_entropy(counts):
    p = counts / counts.sum()
    with np.errstate(all="ignore"):
        return float(-(p * np.log2(p)).sum())


def _joinings(counts, order=sorted, keep_zero=False):
    """The counts that Huffman's joinings add up; `order` arranges the trees before each."""
    trees = [int(c) for c in counts if c > 0 or keep_zero]
    found = [trees[0]] if len(trees) == 1 else []
    while len(trees) > 1:
        a, b, *rest = order(trees)
        trees = [a + b, *rest]
        found.append(a + b)
    return found


def _largest_first(trees):
    return sorted(trees, reverse=True)


def _sorted_once(counts):
    """Join along the sorted list, the newest tree always first: the list is never sorted again."""
    trees = sorted(int(c) for c in counts if c > 0)
    return trees[0] if len(trees) == 1 else int(np.cumsum(trees)[1:].sum())


def _alone_is_free(counts):
    return sum(_joinings(counts)) if np.count_nonzero(counts) > 1 else 0


def _rounded_up(counts):
    return int(sum(c * max(1, math.ceil(math.log2(counts.sum() / c))) for c in counts if c > 0))


def _fixed(counts):
    return int(counts.sum()) * max(1, int(np.count_nonzero(counts) - 1).bit_length())


def _point(w, step, rounding=np.round, back=None, mean=np.mean, rate=None):
    """rate_distortion with one of its ideas replaced."""
    q = rounding(w / step)
    counts = np.unique(q, return_counts=True)[1]
    near = q * step if back is None else back(q, step)
    return (rate or _entropy)(counts), float(mean((w - near) ** 2))


def _intensity(w, n, flop=2, number=4, weights=1, inputs=1, outputs=1):
    out, size = w.shape
    moved = weights * out * size + n * (inputs * size + outputs * out)
    return flop * n * out * size / (number * moved)


def _times(macs, nbytes, flops, bandwidth):
    """Seconds of computing and of moving, layer by layer."""
    return 2 * macs / flops, nbytes / bandwidth


def _places(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride + 1


def _conv(w, height, width, stride, padding, weights=None):
    down = _places(height, w.shape[2], stride, padding)
    return down * _places(width, w.shape[3], stride, padding) * (weights or w.size)


def _conv_one_side(w, height, width, stride, padding):
    return _conv(w, height + padding, width + padding, stride, 0)


def _conv_no_one(w, height, width, stride, padding):
    sides = zip((height, width), w.shape[2:], strict=True)
    return w.size * math.prod(_places(s, k, stride, padding) - 1 for s, k in sides)


def _conv_up(w, height, width, stride, padding):
    sides = zip((height, width), w.shape[2:], strict=True)
    return w.size * math.prod(-(-(s + 2 * padding - k) // stride) + 1 for s, k in sides)


MISTAKES = {
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
    ),
    "01.3": (
        Mistake("fixed_width", _fixed,
                "that is the same width for all; frequent symbols should get shorter words"),
        Mistake("rounded_up", _rounded_up,
                "you rounded log2(1/p) up for each symbol: a prefix code, but Huffman's is shorter"),
        Mistake("sorted_once", _sorted_once,
                "you sorted once: a joined tree goes back among the others, and may not be the smallest"),
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
    "01.4": (
        Mistake("floor", lambda w, step: _point(w, step, rounding=np.floor),
                "you rounded down; the nearest multiple is np.round(w / step), and its error is smaller"),
        Mistake("truncated", lambda w, step: _point(w, step, rounding=np.trunc),
                "you cut off the decimals (int() does): values between −step and step all became 0"),
        Mistake("not_back", lambda w, step: _point(w, step, back=lambda q, step: q),
                "you compared w with q itself: multiply by step to come back to the weights"),
        Mistake("sum", lambda w, step: _point(w, step, mean=np.sum),
                "your error is a sum; the distortion is the mean squared error"),
        Mistake("root", lambda w, step: _point(w, step, mean=lambda x: np.sqrt(np.mean(x))),
                "you took the root of the mean squared error; the distortion is without it"),
        Mistake("theory", lambda w, step: (_point(w, step)[0], step**2 / 12),
                "step²/12 is what theory predicts for a fine grid; measure the error that is there"),
        Mistake("nats", lambda w, step: _point(w, step, rate=lambda counts: _entropy(counts, np.log)),
                "your rate is in nats, from the natural logarithm; bits take log2"),
        Mistake("levels", lambda w, step: _point(w, step, rate=lambda counts: math.log2(len(counts))),
                "your rate is log2 of the number of levels; frequent levels cost fewer bits: the entropy"),
        Mistake("total", lambda w, step: _point(w, step, rate=lambda c: float(c.sum() * _entropy(c))),
                "your rate is that of the whole array; bits per weight are asked for"),
    ),
    "01.5": (
        Mistake("macs", lambda w, n: _intensity(w, n, flop=1),
                "you counted MACs; each is two FLOP, a product and a sum"),
        Mistake("numbers", lambda w, n: _intensity(w, n, number=1),
                "you counted numbers that move; a float32 is 4 bytes"),
        Mistake("weights_only", lambda w, n: _intensity(w, n, inputs=0, outputs=0),
                "you moved the weights only; inputs and outputs move too, once for each of the batch"),
        Mistake("no_outputs", lambda w, n: _intensity(w, n, outputs=0),
                "the outputs are missing: they must be written"),
        Mistake("weights_each_time", lambda w, n: _intensity(w, n, weights=n),
                "you moved the weights again for each input; a batch shares them, and that is its point"),
        Mistake("upside_down", lambda w, n: 1 / _intensity(w, n),
                "that is bytes per FLOP; intensity is FLOP per byte"),
    ),
    "01.6": (
        Mistake("sum", lambda macs, nbytes, *roof: float(np.sum(_times(macs, nbytes, *roof))),
                "you added computing and moving; in one layer they overlap, so you wait for the longer only"),
        Mistake("min", lambda macs, nbytes, *roof: float(np.minimum(*_times(macs, nbytes, *roof)).sum()),
                "you took the shorter time; both must be over, so the longer one counts"),
        Mistake("macs", lambda macs, *rest: float(np.maximum(*_times(macs / 2, *rest)).sum()),
                "a MAC is two FLOP, a product and a sum"),
        Mistake("computing", lambda *args: float(_times(*args)[0].sum()),
                "you forgot the bytes: a layer can wait for its weights"),
        Mistake("moving", lambda *args: float(_times(*args)[1].sum()),
                "you forgot the arithmetic: many MACs on few bytes take their time too"),
        Mistake("whole", lambda *args: float(max(times.sum() for times in _times(*args))),
                "you took the larger of two sums; layers run one by one, so take the larger layer by layer"),
        Mistake("slowest", lambda *args: float(np.maximum(*_times(*args)).max()),
                "that is the slowest layer; the others run before and after it"),
        Mistake("by_layer", lambda *args: np.maximum(*_times(*args)),
                "those are the layers' times; add them up"),
    ),
    "01.7": (
        Mistake("parameters", lambda w, height, width, stride, padding: w.size,
                "those are the weights; each of them multiplies once at every place of the window"),
        Mistake("flop", lambda w, *sizes: 2 * _conv(w, *sizes),
                "that is FLOP, two for each MAC"),
        Mistake("same_size", lambda w, height, width, stride, padding: height * width * w.size,
                "the output isn't as large as the image: count the places where the window fits"),
        Mistake("no_stride", lambda w, height, width, stride, padding: _conv(w, height, width, 1, padding),
                "you let the window stop at every pixel; it moves by the stride"),
        Mistake("no_padding", lambda w, height, width, stride, padding: _conv(w, height, width, stride, 0),
                "the padding is missing: it makes the image larger on every side"),
        Mistake("one_side", lambda w, height, width, *rest: _conv_one_side(w, height, width, *rest),
                "padding is on both sides: the image grows by 2 * padding"),
        Mistake("one_channel", lambda w, *sizes: _conv(w, *sizes, weights=w.size // w.shape[1]),
                "an output sums over all input channels; yours sums over one"),
        Mistake("no_one", _conv_no_one,
                "one place is missing down and across: a window as large as the image fits once"),
        Mistake("rounded_up", _conv_up,
                "you rounded up: a window that hangs over the edge doesn't count"),
    ),
}  # fmt: skip

QUIZ = (
    Question("1,000 weights have 16 different values, not equally frequent. How small can their file be?", (
        Option("500 bytes at best, because 16 values need 4 bits each",
               "4 bits each is the fixed-width code; a code with short words for frequent values is shorter"),
        Option("the weights take less than 500 bytes, and the table of the 16 values comes on top",
               "the entropy is below 4 bits a weight, and the reader must learn the values and the code too",
               right=True),
        Option("as small as you like, if the code is good enough",
               "no code that can be read back has a mean length below the entropy"),
    )),
    Question("One image goes through a large fully connected layer on one core. What does the time follow?", (
        Option("the number of MACs, because arithmetic is the work",
               "each weight is used for one MAC only, so fetching it takes longer than using it"),
        Option("the bytes of the weights, because each is fetched for a single MAC",
               "half a FLOP for each byte is far below the ridge of the roof: memory is the limit",
               right=True),
        Option("the batch size, because larger batches share the weights",
               "true of a batch, but here there is one image"),
    )),
    Question("You spend one more bit on each weight of a finely rounded layer. The mean squared error", (
        Option("halves", "the step halves; the error goes with its square"),
        Option("falls to a quarter",
               "D = σ²·2^(−2R): a factor of 4 for each bit, on Shannon's bound and on a fine grid",
               right=True),
        Option("falls by a quarter of a bit",
               "a quarter of a bit is what a fine grid needs above Shannon's bound, at any rate"),
    )),
)  # fmt: skip
