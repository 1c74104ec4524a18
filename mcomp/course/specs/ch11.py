"""Chapter 11, fewer layers: what the exercises ask, how they are checked, what usually goes wrong.

A learner gains, in this order: two layers as one, which layers of a chain to merge, a scale and a shift put
into the layer behind, three branches as one kernel, how far a block turns what passes, the price of exits.
"""

import math
from itertools import pairwise

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch11_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Fewer layers, fused layers"


def merge_linear(w1, b1, w2, b2):
    """Weight and bias of the one layer that computes w2 @ (w1 @ x + b1) + b2: a pair of arrays.

    w1 is (hidden, in), b1 (hidden,), w2 (out, hidden), b2 (out,).
    """
    w, b = np.zeros((len(w2), w1.shape[1])), np.zeros(len(w2))
    for i in range(len(w2)):
        b[i] = b2[i]
        for h in range(len(w1)):
            b[i] += w2[i, h] * b1[h]
            for j in range(w1.shape[1]):
                w[i, j] += w2[i, h] * w1[h, j]
    return w, b


def merge_cases(rng):
    yield case(np.array([[2.0]]), np.array([3.0]), np.array([[5.0]]), np.array([7.0]))
    yield case(np.array([[1.0, 2.0]]), np.array([3.0]), np.array([[4.0], [-1.0]]), np.array([0.0, 1.0]))
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    yield case(square, np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.5, 0.0]))
    yield case(square, np.array([1.0, -1.0]), square - 2, np.array([1.0, 2.0]))
    for n in range(1, 15):
        inputs, hidden = n % 4 + 1, n % 3 + 2
        out = hidden if n % 5 == 0 else n % 5 + 1
        sizes = ((hidden, inputs), (hidden,), (out, hidden), (out,))
        yield case(*(rng.normal(size=size).round(1) for size in sizes))


def smallest_chain(widths):
    """The fewest weights with which a chain of linear layers can be stored, if neighbours may be merged.

    `widths` are those of the input, the hidden layers and the output; nothing stands between the layers.
    Merging two layers takes the width between them away. Biases aren't counted.
    """
    best = math.inf
    for kept in range(2 ** (len(widths) - 2)):  # one bit a hidden width: it stays or it goes
        left = [int(n) for i, n in enumerate(widths[1:-1]) if kept >> i & 1]
        left = [int(widths[0]), *left, int(widths[-1])]
        best = min(best, sum(a * b for a, b in pairwise(left)))
    return best


def chain_cases(rng):
    yield case(np.array([4, 1, 4]))
    yield case(np.array([2, 9, 3]))
    yield case(np.array([3, 5]))
    yield case(np.array([2, 2, 1]))
    yield case(np.array([6, 2, 6, 2, 6]))
    yield case(np.array([6, 3, 3, 6]))  # one of the two threes goes
    yield case(np.array([10, 4, 9, 2, 10]))
    yield case(np.array([4, 8, 3, 5, 4]))
    yield case(np.array([8, 4, 2, 4, 8]))
    yield case(np.array([7, 5, 6, 7]))
    yield case(np.array([9, 7, 4, 6, 5, 8]))
    yield case(np.array([12, 5, 8, 5, 12]))
    for n in range(12):
        yield case(rng.integers(1, 10, n % 4 + 3))


def fold_before(w, b, scale, shift):
    """Weight and bias of the one layer that computes w @ (scale * x + shift) + b: a pair of arrays.

    w is (out, in), b (out,); scale and shift are (in,).
    """
    new_w, new_b = np.zeros(w.shape), np.zeros(len(b))
    for i in range(len(w)):
        new_b[i] = b[i]
        for j in range(len(scale)):
            new_w[i, j] = w[i, j] * scale[j]
            new_b[i] += w[i, j] * shift[j]
    return new_w, new_b


def fold_before_cases(rng):
    yield case(np.array([[3.0]]), np.array([5.0]), np.array([2.0]), np.array([7.0]))
    yield case(np.array([[1.0, -2.0]]), np.array([4.0]), np.array([3.0, 0.5]), np.array([1.0, -1.0]))
    yield case(np.eye(2), np.zeros(2), np.array([2.0, 3.0]), np.array([5.0, 7.0]))
    yield case(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 0.0]), np.array([-1.0, 0.0]), np.ones(2))
    for n in range(1, 15):
        out, inputs = n % 4 + 1, (n % 4 + 1 if n % 3 == 0 else n % 5 + 2)
        sizes = ((out, inputs), (out,), (inputs,), (inputs,))
        yield case(*(rng.normal(size=size).round(1) for size in sizes))


def rep_kernel(w3, w1, same):
    """One kernel (channels, channels, 3, 3) that computes what three branches add up to.

    w3 (channels, channels, 3, 3) is padded by 1, w1 (channels, channels, 1, 1) isn't padded, and `same`
    (channels,) is the factor by which the third branch multiplies each channel of the input.
    """
    kernel = np.array(w3, dtype=float)
    for i in range(len(w3)):
        for j in range(len(w3)):
            kernel[i, j, 1, 1] += w1[i, j, 0, 0]
        kernel[i, i, 1, 1] += same[i]
    return kernel


def rep_cases(rng):
    yield case(np.zeros((1, 1, 3, 3)), np.array([[[[2.0]]]]), np.array([5.0]))
    yield case(np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[-1.0]]]]), np.array([1.0]))
    pair = np.arange(36.0).reshape(2, 2, 3, 3)
    yield case(pair, np.array([1.0, 2, 3, 4]).reshape(2, 2, 1, 1), np.array([10.0, 20.0]))
    yield case(pair, np.zeros((2, 2, 1, 1)), np.array([1.0, 1.0]))
    for n in range(1, 14):
        c = n % 3 + 2
        sizes = ((c, c, 3, 3), (c, c, 1, 1), (c,))
        yield case(*(rng.normal(size=size).round(1) for size in sizes))


def block_influence(before, after):
    """1 minus the mean cosine between what goes into a block and what comes out: a number.

    `before` and `after` are (positions, channels): a vector for each position, none of them 0.
    """
    total = 0.0
    for h, g in zip(before, after, strict=True):
        product = sum(a * b for a, b in zip(h, g, strict=True))
        total += product / math.sqrt(sum(a * a for a in h) * sum(b * b for b in g))
    return float(1 - total / len(before))


def influence_cases(rng):
    yield case(np.array([[3.0, 0.0]]), np.array([[3.0, 4.0]]))
    yield case(np.array([[1.0, 0.0], [0.0, 10.0]]), np.array([[0.0, 2.0], [0.0, 5.0]]))
    yield case(np.array([[1.0, 2.0]]), np.array([[-1.0, -2.0]]))
    yield case(np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([[3.0, 3.0], [4.0, 0.0]]))
    for n in range(1, 15):
        before = rng.normal(size=(n % 4 + 1, n % 3 + 2)).round(1) + 0.05
        scale = 10.0 ** rng.integers(-1, 2, len(before))
        before = before * scale[:, None]  # some positions are longer than others
        yield case(before, before + rng.normal(size=before.shape).round(1) * scale[::-1, None] + 0.01)


def mean_macs(sure, cost, threshold):
    """The mean cost of an input, if each stops at the first exit that is sure enough: a number.

    sure is (exits, n): how sure each exit would be of each input. cost is (exits,): the multiply-accumulates
    up to there, all exits before it included. Sure enough means at least `threshold`; whoever never is goes
    on to the last exit.
    """
    total = 0.0
    for column in range(sure.shape[1]):
        exit = 0
        while exit < len(cost) - 1 and sure[exit, column] < threshold:
            exit += 1
        total += cost[exit]
    return float(total / sure.shape[1])


def macs_cases(rng):
    yield case(np.array([[0.9, 0.5], [0.6, 0.6]]), np.array([10.0, 30.0]), 0.9)
    yield case(np.array([[0.2], [0.3], [0.4]]), np.array([1.0, 2.0, 4.0]), 0.8)
    yield case(np.array([[0.9], [0.2], [0.9]]), np.array([1.0, 3.0, 7.0]), 0.5)
    yield case(np.array([[0.4, 0.6], [0.9, 0.8]]), np.array([5.0, 8.0]), 0.0)
    yield case(np.array([[0.5, 0.9, 0.2], [0.8, 0.1, 0.3]]), np.array([5.0, 6.0]), 2.0)
    for n in range(1, 15):
        exits = n % 3 + 2
        sure = rng.integers(2, 11, size=(exits, n % 5 + 2)) / 10
        yield case(sure, rng.integers(1, 30, exits).cumsum() * 1.0, (0.5, 0.8, 0.9, 0.6)[n % 4])


EXERCISES = (
    Exercise(
        "11.1", merge_linear, merge_cases, title="Two layers as one",
        hints=(
            "Multiply w2 @ (w1 @ x + b1) + b2 out and collect what stands before x.",
            "Matrices act from right to left: the layer that comes first stands on the right.",
            "The weight is w2 @ w1, the bias w2 @ b1 + b2.",
        ),
        mistakes=MISTAKES["11.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "11.2", smallest_chain, chain_cases, title="Which layers to merge",
        hints=(
            "Each hidden width either stays or goes. How many choices are there for three of them?",
            "A choice is a shorter list of widths; it costs the sum of the products of neighbours.",
            "Try every subset of widths[1:-1] (itertools.combinations keeps the order), take the least sum.",
        ),
        mistakes=MISTAKES["11.2"],
    ),
    Exercise(
        "11.3", fold_before, fold_before_cases, title="A scale and a shift before a layer",
        hints=(
            "Multiply w @ (scale * x + shift) out. Which part still holds x?",
            "w @ (scale * x): entry j of x meets column j of w. So each column of w gets one factor.",
            "The weight is w * scale (scale along the last axis), the bias b + w @ shift.",
        ),
        mistakes=MISTAKES["11.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "11.4", rep_kernel, rep_cases, title="Three branches, one kernel",
        hints=(
            "Which single entry of a 3 by 3 kernel looks at the same pixel as a 1 by 1 kernel?",
            "The centre, [..., 1, 1]. The third branch hands channel i to channel i and to no other.",
            "Copy w3, add w1[:, :, 0, 0] at the centre, then np.diag(same) there too.",
        ),
        mistakes=MISTAKES["11.4"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "11.5", block_influence, influence_cases, title="How far a block turns",
        hints=(
            "A cosine for each position first, the mean over positions last.",
            "The cosine is the product of two vectors over the product of their two lengths.",
            "(before * after).sum(1) over both norms along axis 1; return 1 minus the mean.",
        ),
        mistakes=MISTAKES["11.5"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "11.6", mean_macs, macs_cases, title="What an exit saves",
        hints=(
            "Find for one input where it stops. What if no exit is sure enough?",
            "Make the last exit sure of everything; then the first sure one is where the input stops.",
            "stop = sure >= threshold; stop[-1] = True; cost[stop.argmax(0)].mean().",
        ),
        mistakes=MISTAKES["11.6"], rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip
