"""Chapter 17: times. What int8 can gain, where computing is the limit, which row to take."""

import numpy as np

from mcomp.course.model import case


def int8_gain(operators, microseconds, touched, times, added):
    """(gain, limit): how many times faster a network gets, and what faster kernels can't exceed.

    A trace: operators is a text with a name for each node, such as "Conv Relu Conv"; microseconds an array,
    what each took. Nodes whose name stands in the text `touched`, such as "Conv Gemm", become `times` as
    fast, the others stay, and conversions add `added` microseconds. The limit: touched nodes take no time,
    conversions stay.
    """
    part = rest = 0.0
    for name, time in zip(operators.split(), microseconds, strict=True):
        if name in touched.split():
            part += float(time)
        else:
            rest += float(time)
    before = part + rest
    return before / (part / times + rest + added), before / (rest + added)


def gain_cases(rng):
    yield case("Conv Relu", np.array([6.0, 4.0]), "Conv", 2.0, 0.0)
    yield case("Conv Relu", np.array([6.0, 4.0]), "Conv", 2.0, 1.0)
    yield case("Relu Conv", np.array([6.0, 4.0]), "Conv", 2.0, 8.0)
    yield case("Conv Relu Conv", np.array([1.0, 2.0, 5.0]), "Conv", 4.0, 0.0)
    yield case("Conv Relu Gemm", np.array([1.0, 2.0, 5.0]), "Gemm Conv", 4.0, 0.5)
    yield case("ConvTranspose Conv", np.array([5.0, 3.0]), "Conv", 3.0, 0.0)
    yield case("Conv ConvTranspose", np.array([5.0, 3.0]), "ConvTranspose", 3.0, 0.0)
    yield case("Conv Relu", np.array([5.0, 3.0]), "Gemm", 3.0, 2.0)
    yield case("Conv Conv", np.array([5.0, 3.0]), "Conv", 3.0, 2.0)
    yield case("Conv Softmax", np.array([5.0, 3.0]), "Conv", 0.5, 0.0)
    kinds = ("Conv", "Gemm", "Relu", "MaxPool", "Softmax", "Add")
    for n in range(2, 14):
        size = n % 4 + 3
        names = [kinds[i] for i in rng.integers(0, 6, size)]
        names[0], times = "Softmax", rng.gamma(2.0, 10.0, size).round(1) + 0.1
        touched = ("Conv", "Conv Gemm", "Gemm Conv Add", "Conv MaxPool Gemm")[n % 4]
        added = (0.0, 3.0, 12.5)[n % 3]
        yield case(" ".join(names), times, touched, (1.0, 1.5, 2.0, 4.0)[(n // 2) % 4], added)


def computing_batch(macs, weight_bytes, image_bytes, peak, bandwidth):
    """For each layer the smallest batch, 1 or more, at which computing takes as long as moving, or longer.

    Of whole numbers (layers,): macs and image_bytes (inputs and outputs) are for one image, weight_bytes for
    the whole batch, however large. peak is in MACs a nanosecond, bandwidth in bytes a nanosecond. Whole
    numbers (layers,); -1 where no batch is large enough.
    """
    batches = np.zeros(len(macs), np.int64)
    for i in range(len(macs)):
        work, fixed, each = int(macs[i]), int(weight_bytes[i]), int(image_bytes[i])
        batch, hopeless = 1, work * bandwidth <= each * peak  # a larger batch moves more than it computes
        while batch * work * bandwidth < (fixed + batch * each) * peak:
            batch = -1 if hopeless else batch + 1
            if hopeless:
                break
        batches[i] = batch
    return batches


def _layers(*rows):
    return [np.array(column) for column in zip(*rows, strict=True)]


def batch_cases(rng):
    yield case(*_layers((100, 100, 0)), 8, 4)
    yield case(*_layers((100, 90, 0), (100, 110, 0)), 8, 4)
    yield case(*_layers((100, 100, 10), (100, 100, 20)), 8, 4)
    yield case(*_layers((100, 100, 50), (100, 100, 60)), 8, 4)
    yield case(*_layers((100, 0, 50), (100, 0, 60), (100, 0, 40)), 8, 4)
    yield case(*_layers((1000, 10, 10), (0, 0, 20), (80, 32, 4)), 8, 4)
    yield case(*_layers((100, 300, 45), (100, 700, 46), (101, 900, 50)), 8, 4)
    yield case(*_layers((235200, 235200, 1084), (30000, 30000, 400)), 64, 16)  # two layers of lenet300
    yield case(*_layers((235200, 940800, 4336), (30000, 120000, 1600)), 16, 16)
    yield case(*_layers((288000, 500, 12304), (1600000, 25000, 6080)), 64, 16)
    yield case(*_layers((4_000_000, 4_000_000, 10)), 1000, 1)  # products beyond 32 bits
    for n in range(2, 13):
        size = n % 3 + 1
        macs, fixed = rng.integers(50, 2000, size), rng.integers(0, 3000, size)
        peak, bandwidth = ((8, 4), (64, 16), (32, 32))[n % 3]
        yield case(macs, fixed, macs * bandwidth // peak - rng.integers(-3, 40, size), peak, bandwidth)


def choose(nbytes, milliseconds, right, most_bytes, lost):
    """The index of the fastest row that will do: not too large, and at most `lost` images below the best row.

    The three arrays (rows,) are measurements: bytes, at most `most_bytes`; milliseconds; test images answered
    rightly. The best row has most of these, whether or not it is too large. Of equally fast rows the one with
    fewer bytes, of those the first. -1 if no row will do.
    """
    chosen, best = -1, max(int(one) for one in right)
    for i in range(len(nbytes)):
        if nbytes[i] > most_bytes or right[i] < best - lost:
            continue
        if chosen < 0 or (milliseconds[i], nbytes[i]) < (milliseconds[chosen], nbytes[chosen]):
            chosen = i
    return chosen


def choice_cases(rng):
    def rows(*table):
        nbytes, milliseconds, right = zip(*table, strict=True)
        return np.array(nbytes), np.array(milliseconds), np.array(right)

    yield case(*rows((400, 2.0, 9000), (100, 1.0, 9000)), 500, 30)
    yield case(*rows((400, 1.0, 9000), (100, 2.0, 9000)), 500, 30)
    yield case(*rows((400, 1.0, 9000), (100, 2.0, 9000)), 200, 30)
    yield case(*rows((400, 2.0, 9000), (100, 1.0, 8960)), 500, 30)
    yield case(*rows((400, 2.0, 9000), (100, 1.0, 8970)), 500, 30)
    yield case(*rows((400, 2.0, 9000), (100, 1.0, 8969)), 400, 30)
    yield case(*rows((400, 2.0, 9000), (100, 1.0, 8960)), 200, 30)
    yield case(*rows((400, 2.0, 9000), (300, 3.0, 9000)), 200, 30)
    yield case(*rows((400, 1.0, 9000), (300, 1.0, 8990), (350, 1.0, 9000)), 500, 30)
    yield case(*rows((400, 1.0, 9000), (300, 1.0, 8990), (300, 1.0, 9000)), 500, 30)
    yield case(*rows((400, 3.0, 9000), (300, 2.0, 8990), (200, 1.5, 8980), (100, 1.0, 8000)), 350, 15)
    yield case(*rows((300, 1.0, 9000), (400, 1.0, 8990), (200, 1.0, 8980)), 500, 30)
    yield case(*rows((400, 2.0, 9000), (100, 1.0, 8400), (200, 1.5, 8996)), 500, 5)
    yield case(*rows((400, 2.0, 9000), (300, 1.0, 8905), (200, 1.5, 8998)), 500, 100)
    yield case(*rows((400, 5.0, 9000), (300, 1.0, 8790), (100, 4.0, 8998)), 500, 200)
    yield case(*rows((900, 0.5, 9050), (300, 2.0, 9010), (200, 1.5, 8990)), 350, 30)
    for n in range(2, 15):
        size = n % 4 + 4
        nbytes, milliseconds = rng.integers(1, 6, size) * 100, rng.integers(1, 5, size) / 4
        right = 9000 + rng.integers(-5, 6, size) * 10
        yield case(nbytes, milliseconds, right, int(rng.integers(2, 6)) * 100, int(rng.integers(1, 8)) * 10)
