"""Chapter 01, what a network costs: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: bits and bytes, the floor of any code, the best whole-bit code, a point in the
rate–distortion plane, arithmetic intensity, the time no machine can beat, the work of a convolution.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case, joined
from mcomp.course.specs.ch01_cost_mistakes import MISTAKES as OF_WORK
from mcomp.course.specs.ch01_cost_mistakes import QUIZ
from mcomp.course.specs.ch01_mistakes import MISTAKES as OF_BITS
from mcomp.course.specs.ch01_slips import SLIPS

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "What does a network cost?"
MISTAKES = joined(OF_BITS, OF_WORK, SLIPS)


def packed_bytes(w, bits):
    """Bytes of a file that holds every weight with `bits` bits, packed without gaps: a whole number."""
    written = 0
    for _ in np.ndindex(w.shape):
        written += bits
    nbytes = 0
    while 8 * nbytes < written:
        nbytes += 1
    return nbytes


def packed_cases(rng):
    yield case(np.zeros(3, np.float32), 32)
    yield case(np.ones((1, 3)), 8)
    yield case(np.ones((3, 3), np.float32), 1)
    yield case(np.zeros((2, 4), np.float32), 2)
    for n in range(1, 17):
        shape = (n,) if n % 4 == 1 else (n // 4 + 1, n // 2 + 1) if n % 4 else (2, n // 4, 3)
        w = rng.normal(size=shape).astype((np.float32, np.float64, np.float16)[n % 3])
        yield case(w, (3, 4, 12, 5, 1, 7, 9)[n % 7])


def entropy_bits(counts):
    """Bits per symbol that no code can beat, the entropy; symbol i occurs counts[i] times, which may be 0."""
    n, bits = sum(int(c) for c in counts), 0.0
    for c in counts:
        if c > 0:
            bits += c / n * math.log2(n / c)
    return bits


def entropy_cases(rng):
    yield case(np.array([1, 1]))
    yield case(np.array([8, 4, 2, 2]))
    yield case(np.array([3, 0, 1]))
    yield case(np.array([5]))
    for n in range(2, 18):
        counts = rng.integers(0, 9, size=n)
        counts[0] += 1
        yield case(counts)


def huffman_bits(counts):
    """Bits of a text coded with Huffman's code for it, when symbol i occurs counts[i] times.

    A symbol that occurs alone costs 1 bit each time, one that never occurs gets no word.
    """
    trees = [int(c) for c in counts if c > 0]
    if len(trees) == 1:
        return trees[0]
    total = 0
    while len(trees) > 1:
        trees.sort()
        joined = trees[0] + trees[1]
        trees = [joined, *trees[2:]]
        total += joined
    return total


def huffman_cases(rng):
    yield case(np.array([3, 1]))
    yield case(np.array([8, 4, 2, 2]))
    yield case(np.array([7, 4, 3, 2]))
    yield case(np.array([4, 0, 2, 2]))
    yield case(np.array([1, 1, 1, 1, 1]))
    yield case(np.array([6]))
    for n in range(3, 17):
        yield case(rng.integers(0, 12, size=n) ** (1 + n % 2) + (np.arange(n) < 3))


def rate_distortion(w, step):
    """Round w to multiples of step: a pair, the entropy in bits per weight and the mean squared error."""
    counts, error = {}, 0.0
    for i in np.ndindex(w.shape):
        q = round(float(w[i]) / step)
        counts[q] = counts.get(q, 0) + 1
        error += (w[i] - step * q) ** 2
    bits = sum(c / w.size * math.log2(w.size / c) for c in counts.values())
    return bits, float(error / w.size)


def rate_distortion_cases(rng):
    yield case(np.array([0.1, 0.9, 1.2, -0.8]), 1.0)
    yield case(np.array([0.2, -0.2, 0.4]), 1.0)
    yield case(np.array([[0.6, 1.1], [-0.4, 0.4]]), 0.5)
    for n in range(1, 16):
        yield case(rng.normal(size=(n // 3 + 2, n)), (0.25, 0.5, 0.7, 2.0)[n % 4])


def linear_intensity(w, n):
    """FLOP per byte of y = x @ w.T in float32, batch of n: weights, inputs and outputs move once each."""
    flop = nbytes = 0
    rows, columns = w.shape
    for _ in range(rows * columns):
        flop += 2 * n
        nbytes += 4
    for _ in range(n * (rows + columns)):
        nbytes += 4
    return flop / nbytes


def intensity_cases(rng):
    yield case(np.zeros((1, 2), np.float32), 1)
    yield case(np.zeros((2, 1), np.float32), 3)
    yield case(np.zeros((2, 3), np.float32), 4)
    for n in range(1, 16):
        shape = (n % 4 + 1, (3 * n) % 5 + 1)
        w = rng.normal(size=shape).round(1).astype((np.float32, np.float64)[n % 2])
        yield case(w, (1, 2, 8, 3, 16, 100)[n % 6])


def least_seconds(macs, nbytes, flops, bandwidth):
    """The time no run can beat: layers one by one, at most `flops` FLOP and `bandwidth` bytes a second.

    `macs` and `nbytes` are arrays with an entry for each layer; computing and moving may overlap within one.
    """
    seconds = 0.0
    for i in range(len(macs)):
        computing, moving = 2 * int(macs[i]) / flops, int(nbytes[i]) / bandwidth
        seconds += computing if computing > moving else moving
    return seconds


def seconds_cases(rng):
    yield case(np.array([100]), np.array([100]), 100.0, 10.0)
    yield case(np.array([1000]), np.array([100]), 100.0, 10.0)
    yield case(np.array([100, 1000]), np.array([100, 100]), 100.0, 10.0)
    for n in range(1, 17):
        macs, nbytes = rng.integers(1_000, 1_000_000, size=(2, n))
        yield case(macs * rng.choice([1, 30], size=n), nbytes, 1e9 * n, 1e8 * n)


def conv_macs(w, height, width, stride, padding):
    """MACs of a convolution: w is (out, in, kh, kw), the image height × width, `padding` on every side."""
    kh, kw = w.shape[2:]
    macs = 0
    for _ in range(0, height + 2 * padding - kh + 1, stride):
        for _ in range(0, width + 2 * padding - kw + 1, stride):
            macs += w.size  # at each place of the window every weight multiplies once
    return macs


def conv_cases(rng):
    yield case(np.zeros((1, 1, 2, 2)), 3, 4, 1, 0)
    yield case(np.zeros((1, 2, 2, 3)), 5, 7, 2, 1)
    yield case(np.zeros((3, 1, 1, 1)), 4, 4, 1, 0)
    yield case(np.zeros((2, 1, 2, 2)), 2, 2, 1, 0)
    yield case(np.zeros((1, 2, 3, 1)), 6, 4, 3, 0)
    yield case(np.zeros((2, 1, 1, 4)), 3, 9, 2, 2)
    for n in range(1, 15):
        shape = ((2, 1), (1, 3), (2, 2), (1, 1), (3, 1))[n % 5] + ((3, 2), (1, 3), (2, 1), (2, 2), (1, 2))[
            n % 3
        ]
        height, width = (int(side) for side in rng.integers(4, 15, size=2))
        yield case(np.zeros(shape), height, width, (1, 2, 3)[n % 3], n % 4)


EXERCISES = (
    Exercise(
        "01.1", packed_bytes, packed_cases, title="Bytes of a packed tensor",
        hints=(
            "Count the bits of all weights first. How many bits make a byte?",
            "Nine weights of 2 bits are 18 bits: two bytes are too few, so the last byte is half empty.",
            "The number of bits divided by 8, rounded up once, at the end: (bits + 7) // 8 does it.",
        ),
        mistakes=MISTAKES["01.1"],
    ),
    Exercise(
        "01.2", entropy_bits, entropy_cases, title="The floor of any code",
        hints=(
            "What is the probability of each symbol, and what does a symbol of probability p cost at best?",
            "The cost of a symbol is log2(1 / p) bits; the mean weighs each cost by its p.",
            "Drop the symbols with count 0 first: p = c / c.sum(), then the sum of p * log2(1 / p).",
        ),
        mistakes=MISTAKES["01.2"], rtol=1e-6, atol=1e-6,
    ),
    Exercise(
        "01.3", huffman_bits, huffman_cases, title="The length of Huffman's code",
        hints=(
            "When two trees are joined, every symbol below them gets one bit longer. How many bits is that?",
            "Keep a list of counts: take out the two smallest, put back their sum, add it to the total.",
            "Leave out counts of 0, sort again before every joining (or use heapq); treat one symbol apart.",
        ),
        mistakes=MISTAKES["01.3"],
    ),
    Exercise(
        "01.4", rate_distortion, rate_distortion_cases, title="A point in the rate–distortion plane",
        hints=(
            "The grid's points are step * q with a whole number q. Which q is nearest to w / step?",
            "q = np.round(w / step) gives the numbers; np.unique(q, return_counts=True) their counts.",
            "The rate is the entropy of the counts of q, the distortion the mean of (w - step * q) ** 2.",
        ),
        mistakes=MISTAKES["01.4"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "01.5", linear_intensity, intensity_cases, title="Arithmetic intensity of a linear layer",
        hints=(
            "Count three things that move: weights, inputs, outputs. Which of them grow with the batch?",
            "FLOP: 2 for each weight and each input of the batch. Bytes: 4 for each number that moves.",
            "2 * n * out * in over 4 * (out * in + n * in + n * out).",
        ),
        mistakes=MISTAKES["01.5"], rtol=1e-9,
    ),
    Exercise(
        "01.6", least_seconds, seconds_cases, title="The time that no run can beat",
        hints=(
            "In one layer computing and moving can go on side by side. Which of the two do you wait for?",
            "Seconds of computing: FLOP over FLOP a second. Seconds of moving: bytes over bytes a second.",
            "np.maximum(2 * macs / flops, nbytes / bandwidth) has each layer's time; add the layers up.",
        ),
        mistakes=MISTAKES["01.6"], rtol=1e-9,
    ),
    Exercise(
        "01.7", conv_macs, conv_cases, title="MACs of a convolution",
        hints=(
            "At how many places does the window stop, down and across? What happens at each place?",
            "Padding makes the image 2 * padding taller and wider; the window stops every `stride` pixels.",
            "((height + 2 * padding - kh) // stride + 1) places down, the same across, times all weights.",
        ),
        mistakes=MISTAKES["01.7"],
    ),
)  # fmt: skip
