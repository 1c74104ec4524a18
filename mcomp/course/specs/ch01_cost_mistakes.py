"""Chapter 01, work (01.5 to 01.7): the wrong answers that people write, each with what happened; the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question


def _intensity(w, n, flop=2, number=4, weights=1, inputs=1, outputs=1):
    out, size = w.shape
    moved = weights * out * size + n * (inputs * size + outputs * out)
    return flop * n * out * size / (number * moved)


def _times(macs, nbytes, flops, bandwidth):
    """Seconds of computing and of moving, layer by layer."""
    return 2 * macs / flops, nbytes / bandwidth


def _seconds(macs, nbytes, flops, bandwidth, flop=2, scale=1):
    """least_seconds with one number replaced."""
    return float(np.maximum(*_times(flop / 2 * macs, scale * nbytes, flops, bandwidth)).sum())


def _crossed(macs, nbytes, flops, bandwidth):
    return _seconds(macs, nbytes, bandwidth, flops)


def _floored(macs, nbytes, flops, bandwidth):
    return float(np.maximum(2 * macs // flops, nbytes // bandwidth).sum())


def _macs_intensity(macs, nbytes, flops, bandwidth):
    """The roofline's way, with MACs over bytes in place of FLOP over bytes."""
    return float((2 * macs / np.minimum(flops, macs / nbytes * bandwidth)).sum())


def _halved(times):
    return times[0] / 2, times[1]


def _places(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride + 1


def _conv(w, height, width, stride, padding, weights=None, kernel=(2, 3), places=_places):
    """conv_macs with one of its ideas replaced; `kernel` says which axes of w are the window's."""
    down = places(height, w.shape[kernel[0]], stride, padding)
    return down * places(width, w.shape[kernel[1]], stride, padding) * (weights or w.size)


def _one_side(side, kernel, stride, padding):
    return (side + padding - kernel) // stride + 1


def _no_one(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) // stride


def _up(side, kernel, stride, padding):
    return -(-(side + 2 * padding - kernel) // stride) + 1


def _plus_first(side, kernel, stride, padding):
    return (side + 2 * padding - kernel + 1) // stride


def _fraction(side, kernel, stride, padding):
    return (side + 2 * padding - kernel) / stride + 1


def _brackets(side, kernel, stride, padding):
    return side + 2 * padding - kernel // stride + 1


def _no_window(side, kernel, stride, padding):
    return (side + 2 * padding) // stride


def _over_stride(side, kernel, stride, padding):
    return side // stride


def _same_padding(side, kernel, stride, padding):
    return -(-side // stride)


MISTAKES = {
    "01.5": (
        Mistake("macs", lambda w, n: _intensity(w, n, flop=1),
                "yours is half: a MAC is two FLOP, and a float32 number 4 bytes"),
        Mistake("numbers", lambda w, n: _intensity(w, n, number=1),
                "you counted numbers that move; a float32 is 4 bytes"),
        Mistake("weights_only", lambda w, n: _intensity(w, n, inputs=0, outputs=0),
                "you moved the weights only; inputs and outputs move too, once for each of the batch"),
        Mistake("no_outputs", lambda w, n: _intensity(w, n, outputs=0),
                "the outputs are missing: they must be written"),
        Mistake("no_inputs", lambda w, n: _intensity(w, n, inputs=0),
                "the inputs are missing: they must be read"),
        Mistake("no_weights", lambda w, n: _intensity(w, n, weights=0),
                "the weights are missing: they move too, once for the whole batch"),
        Mistake("macs_weights_only", lambda w, n: _intensity(w, n, flop=1, inputs=0, outputs=0),
                "a MAC is two FLOP; and inputs and outputs move too, not the weights alone"),
        Mistake("one_output", lambda w, n: _intensity(w, n, outputs=1 / n),
                "you wrote the outputs once; each of the n inputs has its own"),
        Mistake("one_input", lambda w, n: _intensity(w, n, inputs=1 / n),
                "you read one input; the batch has n of them"),
        Mistake("one_of_both", lambda w, n: _intensity(w, n, inputs=1 / n, outputs=1 / n),
                "inputs and outputs of one image only; the batch has n of each"),
        Mistake("work_of_one", lambda w, n: _intensity(w, n) / n,
                "you counted the arithmetic of one input, but moved those of the batch"),
        Mistake("bits", lambda w, n: _intensity(w, n, number=32),
                "you counted bits; a float32 is 4 bytes"),
        Mistake("flop", lambda w, n: 2 * n * w.size, "that is the FLOP; divide by the bytes that move"),
        Mistake("bytes", lambda w, n: 4 * (w.size + n * sum(w.shape)),
                "those are the bytes that move; intensity is FLOP over bytes"),
        Mistake("outputs_twice", lambda w, n: _intensity(w, n, outputs=2),
                "you moved the outputs twice; they are written once"),
        Mistake("sums", lambda w, n: (1 - 1 / (2 * w.shape[1])) * _intensity(w, n),
                "you counted one sum fewer than products; by the text a MAC is two FLOP, always"),
        Mistake("whole", lambda w, n: int(_intensity(w, n)),
                "// drops what is behind the point; divide with /"),
        Mistake("weights_each_time", lambda w, n: _intensity(w, n, weights=n),
                "you moved the weights again for each input; a batch shares them, and that is its point"),
        Mistake("in_memory", lambda w, n: 2 * n * w.size / (w.nbytes + 4 * n * sum(w.shape)),
                "w.nbytes is what this array takes in memory; in float32 a weight moves 4 bytes"),
        Mistake("upside_down", lambda w, n: 1 / _intensity(w, n),
                "that is bytes per FLOP; intensity is FLOP per byte"),
    ),
    "01.6": (
        Mistake("sum", lambda macs, nbytes, *roof: float(np.sum(_times(macs, nbytes, *roof))),
                "you added computing and moving; in one layer they overlap, so you wait for the longer only"),
        Mistake("min", lambda macs, nbytes, *roof: float(np.minimum(*_times(macs, nbytes, *roof)).sum()),
                "you took the shorter time; both must be over, so the longer one counts"),
        Mistake("macs", lambda *args: _seconds(*args, flop=1),
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
        Mistake("mean", lambda *args: float(np.maximum(*_times(*args)).mean()),
                "you took the mean of the layers' times; they run one after the other: add up"),
        Mistake("computing_macs", lambda *args: float(_times(*args)[0].sum() / 2),
                "a MAC is two FLOP; and you forgot the bytes: a layer can wait for its weights"),
        Mistake("whole_macs", lambda *args: float(max(t.sum() for t in _halved(_times(*args)))),
                "a MAC is two FLOP; and take the larger layer by layer, before you add"),
        Mistake("sum_macs", lambda *args: float(np.sum(_halved(_times(*args)))),
                "a MAC is two FLOP; and computing and moving overlap, so take the longer instead of the sum"),
        Mistake("half", lambda *args: _seconds(*args, flop=0.5),
                "you divided the MACs by two; each *is* two FLOP"),
        Mistake("crossed", _crossed,
                "you divided FLOP by bytes a second, and bytes by FLOP a second"),
        Mistake("upside_down", lambda *args: float(np.maximum(*(1 / t for t in _times(*args))).sum()),
                "your fractions are upside down: work over work a second gives seconds"),
        Mistake("bits", lambda *args: _seconds(*args, scale=8),
                "you turned bytes into bits, but `bandwidth` is in bytes a second"),
        Mistake("numbers", lambda *args: _seconds(*args, scale=4),
                "`nbytes` are bytes already; don't multiply by 4"),
        Mistake("floored", _floored,
                "// drops what is behind the point; divide with /"),
        Mistake("slower_of_all", lambda *args: float(np.max(_times(*args), axis=1).sum()),
                "you took the largest along the layers; take it between computing and moving: axis=0"),
        Mistake("macs_intensity", _macs_intensity,
                "the traffic is doubled too; the 2 belongs to the MACs alone (intensity: 2 * macs / nbytes)"),
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
        Mistake("one_side", lambda w, *sizes: _conv(w, *sizes, places=_one_side),
                "padding is on both sides: the image grows by 2 * padding"),
        Mistake("one_channel", lambda w, *sizes: _conv(w, *sizes, weights=w.size // w.shape[1]),
                "an output sums over all input channels; yours sums over one"),
        Mistake("no_one", lambda w, *sizes: _conv(w, *sizes, places=_no_one),
                "one place is missing down and across: a window as large as the image fits once"),
        Mistake("rounded_up", lambda w, *sizes: _conv(w, *sizes, places=_up),
                "you rounded up: a window that hangs over the edge doesn't count"),
        Mistake("one_output", lambda w, *sizes: _conv(w, *sizes, weights=w[0].size),
                "you counted one output channel; there are w.shape[0] of them"),
        Mistake("one_window", lambda w, *sizes: _conv(w, *sizes, weights=w[0, 0].size),
                "you counted one window; each output channel has one for every input channel"),
        Mistake("outputs", lambda w, *sizes: _conv(w, *sizes, weights=len(w)),
                "that is how many outputs there are; each sums in·kh·kw products"),
        Mistake("with_bias", lambda w, *sizes: _conv(w, *sizes, weights=w.size + len(w)),
                "you added a bias for each output; a bias is no MAC"),
        Mistake("plus_first", lambda w, *sizes: _conv(w, *sizes, places=_plus_first),
                "the 1 comes after the division: (side + 2 * padding - k) // stride + 1"),
        Mistake("height_twice", lambda w, height, width, stride, padding: w.size
                * _places(height, w.shape[2], stride, padding) ** 2,
                "you squared the places down; across, the width of image and window decides"),
        Mistake("fraction", lambda w, *sizes: _conv(w, *sizes, places=_fraction),
                "a window stops at whole places: divide with //, before you add 1"),
        Mistake("square_height", lambda w, *sizes: _conv(w, *sizes, kernel=(2, 2)),
                "you used the window's height across too; its width is w.shape[3]"),
        Mistake("square_width", lambda w, *sizes: _conv(w, *sizes, kernel=(3, 3)),
                "you used the window's width down too; its height is w.shape[2]"),
        Mistake("turned", lambda w, *sizes: _conv(w, *sizes, kernel=(3, 2)),
                "the window's height goes with the image's height: w is (out, in, kh, kw)"),
        Mistake("channels", lambda w, *sizes: _conv(w, *sizes, kernel=(0, 1)),
                "w.shape[:2] are the channels; the window is w.shape[2:]"),
        Mistake("square_image", lambda w, height, width, *rest: _conv(w, height, height, *rest),
                "you used the height for both; the image need not be square"),
        Mistake("all_over_stride", lambda w, h, wd, stride, padding: _conv(w, h, wd, 1, padding) // stride**2,
                "you divided the places by the stride squared; count the stops, down and across"),
        Mistake("over_stride", lambda w, h, wd, stride, padding: _conv(w, h, wd, 1, padding) // stride,
                "you divided by the stride once; the window strides down and across"),
        Mistake("no_window", lambda w, *sizes: _conv(w, *sizes, places=_no_window),
                "you forgot the window's own size: it must fit into the image"),
        Mistake("image_over_stride", lambda w, *sizes: _conv(w, *sizes, places=_over_stride),
                "you took the image over the stride; count the places where the window fits"),
        Mistake("same_padding", lambda w, *sizes: _conv(w, *sizes, places=_same_padding),
                "that is for a padding that keeps the size; here `padding` is given"),
        Mistake("brackets", lambda w, *sizes: _conv(w, *sizes, places=_brackets),
                "brackets: subtract the window first, then divide by the stride"),
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
