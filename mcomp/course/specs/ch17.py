"""Chapter 17, running it elsewhere: what the exercises ask, how they are checked, what usually goes wrong.

In this order: scales folded into integers, two roundings, pairs that saturate, what stays in floats, a trace,
from which batch on a layer computes, and which row to take.
"""

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch17_clocks import (
    batch_cases,
    choice_cases,
    choose,
    computing_batch,
    gain_cases,
    int8_gain,
)
from mcomp.course.specs.ch17_graphs import graph_cases, stays_float
from mcomp.course.specs.ch17_integers import pair_cases, rounding_cases, sums_in_pairs, two_roundings
from mcomp.course.specs.ch17_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Running it elsewhere"


def fold_scales(weight, w_scale, bias, x_scale, x_zero, y_scale):
    """(constants, factors), both (out,), that a linear layer between DQ and Q needs to run in integers.

    The engine computes (x @ weight.T + constants) * factors, and adds y's zero point. x are integers that
    mean x_scale * (x - x_zero); weight is int8 (out, in), each row with its own w_scale (out,); bias (out,)
    is floats, rounded half to even to whole steps of x_scale * w_scale. constants are whole numbers.
    """
    constants, factors = np.zeros(len(bias), np.int64), np.zeros(len(bias))
    for o, row in enumerate(weight):
        step = x_scale * float(w_scale[o])  # what a product of two integers is worth
        constants[o] = round(float(bias[o]) / step) - sum(x_zero * int(w) for w in row)
        factors[o] = step / y_scale
    return constants, factors


def fold_cases(rng):
    yield case(np.array([[2, -1]], np.int8), np.array([0.5]), np.array([3.0]), 0.25, 0, 0.5)
    yield case(np.array([[2, -1]], np.int8), np.array([0.5]), np.array([3.0]), 0.25, 3, 0.5)
    yield case(np.array([[1, 2], [3, 0]], np.int8), np.array([0.5, 0.25]), np.array([1.0, 1.0]), 0.5, 0, 1.0)
    yield case(
        np.array([[1], [1], [1]], np.int8), np.array([0.5] * 3), np.array([1.25, 1.75, -1.25]), 1.0, 0, 2.0
    )
    yield case(
        np.array([[3], [5], [1]], np.int8), np.array([0.5] * 3), np.array([1.25, 1.75, -1.25]), 1.0, 1, 2.0
    )
    yield case(np.array([[100, 120]], np.int8), np.array([0.5]), np.array([0.0]), 0.125, 128, 0.25)
    yield case(
        np.array([[100, 120], [-127, -90]], np.int8),
        np.array([1.0, 2.0]),
        np.array([-4.0, 6.0]),
        0.5,
        -128,
        4.0,
    )
    for n in range(2, 14):
        out, size = n % 3 + 1, n % 4 + 1
        weight = rng.integers(-127, 128, (out, size)).astype(np.int8)
        scales = rng.uniform(0.001, 0.02, out)
        bias, x_scale = rng.normal(size=out), float(rng.uniform(0.005, 0.05))
        yield case(weight, scales, bias, x_scale, int(rng.integers(-128, 128)), float(rng.uniform(0.01, 0.2)))


EXERCISES = (
    Exercise(
        "17.1", fold_scales, fold_cases, title="From Q and DQ to integers",
        hints=(
            "Multiply x_scale * (x - x_zero) by w_scale[o] * w, add up over the inputs, and sort the terms.",
            "One product is worth x_scale * w_scale[o]. The term with x_zero has no x: it is a constant.",
            "step = x_scale * w_scale; round(bias / step) - x_zero * weight.sum(1), and step / y_scale",
        ),
        mistakes=MISTAKES["17.1"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "17.2", two_roundings, rounding_cases, title="Two roundings",
        hints=(
            "In int64: how much do you add before >> 31, so that what is cut off was rounded, ties upwards?",
            "upper = (acc * m0 + 2**30) >> 31. Away from zero: divide the size, put the sign back after it.",
            "n = shift - 31; half = (1 << n) >> 1; sign(upper) * ((abs(upper) + half) >> n)",
        ),
        mistakes=MISTAKES["17.2"],
    ),
    Exercise(
        "17.3", sums_in_pairs, pair_cases, title="Pairs that saturate",
        hints=(
            "Which type holds a product of uint8 and int8, and which a sum of two of them, before the clip?",
            "p = x.astype(int) * weight; even columns p[:, 0::2], odd columns p[:, 1::2]: add, clip, sum.",
            "(p[:, 0::2] + p[:, 1::2]).clip(-32768, 32767).sum(1), with p in int32 or wider",
        ),
        mistakes=MISTAKES["17.3"],
    ),
    Exercise(
        "17.4", stays_float, graph_cases, title="What stays in floats",
        hints=(
            "Ask each edge: does it come from a DQ, does it go to a Q? One wrong edge is enough.",
            "For node i: the names of what comes in, the names of what its result goes to; both not empty.",
            "sources = [name[a] for a, b in edges if b == i]; sources and all(s == 'DQ' for s in sources)",
        ),
        mistakes=MISTAKES["17.4"],
    ),
    Exercise(
        "17.5", int8_gain, gain_cases, title="Read a trace",
        hints=(
            "Split the time into what int8 touches and the rest. Which of the two does `times` divide?",
            "Before: touched + rest. After: touched / times + rest + added. A gain is before / after.",
            "total / (part / times + total - part + added), total / (total - part + added)",
        ),
        mistakes=MISTAKES["17.5"], rtol=1e-6, atol=1e-12,
    ),
    Exercise(
        "17.6", computing_batch, batch_cases, title="From which batch on",
        hints=(
            "Each image more costs some computing and some moving. Which of the two grows faster?",
            "batch * (macs * bandwidth - image_bytes * peak) >= weight_bytes * peak, whole numbers only.",
            "The quotient, rounded up, but 1 at least; -1 where the bracket is 0 or less (0 twice: 1).",
        ),
        mistakes=MISTAKES["17.6"],
    ),
    Exercise(
        "17.7", choose, choice_cases, title="Which row to take",
        hints=(
            "Two questions to each row, then an order. Which rows does the best one come from?",
            "fits = (nbytes <= most_bytes) & (right >= right.max() - lost); then the smallest of what is "
            "left.",
            "min(rows, key=lambda i: (milliseconds[i], nbytes[i], i)), with rows where `fits`; -1 if none",
        ),
        mistakes=MISTAKES["17.7"],
    ),
)  # fmt: skip
