"""Chapter 03, neurons: what the last exercises ask and their cases."""

import math

import numpy as np

from mcomp.course.model import case


def neurons_to_keep(y, least_mean, least_std, most_zeros):
    """One answer a neuron, True = keep. It goes for a small mean, a small spread or too many zeros.

    y (batch, neurons) holds the outputs, which may be negative. A neuron goes if its mean is below
    least_mean, its standard deviation (divided by n, not n - 1) is below least_std, or its fraction of
    zeros is above most_zeros.
    """
    keep = np.zeros(y.shape[1], bool)
    for j in range(y.shape[1]):
        values = [float(row[j]) for row in y]
        mean = sum(values) / len(values)
        std = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        zeros = values.count(0.0) / len(values)
        keep[j] = mean >= least_mean and std >= least_std and zeros <= most_zeros
    return keep


def neuron_cases(rng):
    yield case(np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 0.0]]), 0.5, 0.5, 0.75)
    yield case(np.array([[0.0, 2.0], [2.0, 4.0]]), 1.0, 1.0, 0.5)
    yield case(np.array([[0.0, 3.0], [0.0, 3.5], [4.0, 4.0], [8.0, 3.0]]), 1.0, 0.0, 0.25)
    yield case(np.array([[1.0, 4.0], [3.0, 1.0]]), 0.0, 1.2, 1.0)  # dividing by n - 1 gives 1.41, not 1
    yield case(np.array([[-3.0, 3.0], [1.0, 1.0]]), 0.5, 0.0, 0.5)  # a negative mean
    yield case(np.array([[-1.0, 0.0], [3.0, 3.0]]), 0.0, 0.0, 0.25)  # negative is not zero
    yield case(np.array([[0.0], [2.0], [0.0], [2.0]]), 0.0, 0.0, 0.5)  # exactly at the limit
    yield case(np.array([[4.0, 2.0], [4.5, 6.0]]), 0.0, 1.0, 1.0)  # large, and nearly constant
    yield case(np.array([[2.0, 9.0], [2.6, 0.0]]), 0.0, 0.2, 1.0)  # variance 0.09, deviation 0.3
    yield case(np.array([[0.0, 1.0], [0.0, 1.0], [9.0, 1.0]]), 2.0, 0.0, 1.0)  # the median is 0
    yield case(np.array([[0.1, 0.0], [3.0, 3.0]]), 0.0, 0.0, 0.25)  # small is not zero
    yield case(np.array([[0.0, 1.0], [2.0, 1.0]]), 1.5, 0.0, 1.0)  # zeros count in the mean
    yield case(np.array([[2.0, 0.0], [1.0, 4.0]]), 0.0, 1.0, 0.3)  # one zero of two, a quarter of all
    for n in range(1, 18):
        y = rng.normal(size=(n % 4 + 2, n // 5 + 2)) + rng.normal(size=n // 5 + 2)
        y = y.round(1) if n % 3 == 0 else np.maximum(y, 0).round(1)
        thresholds = ((0.31, 0.0, 1.0), (-1.0, 0.37, 1.0), (-1.0, 0.0, 0.45), (0.2001, 0.2501, 0.65))
        yield case(y, *thresholds[n % 4])


def absorb_mean(w, b, mean, gone):
    """The next layer when neurons go: (w with their columns zero, b with what they gave on average).

    w (out, in) and b (out,) are the next layer's, and keep their shapes; mean (in,) holds the neurons' mean
    outputs, gone (in,) is True for those that go.
    """
    new_w, new_b = w.copy(), b.copy()
    for j in range(len(mean)):
        if gone[j]:
            for o in range(len(b)):
                new_b[o] += w[o, j] * mean[j]
                new_w[o, j] = 0.0
    return new_w, new_b


def absorb_cases(rng):
    square = np.array([[2.0, 1.0], [0.0, -3.0]])
    yield case(square, np.array([0.5, 1.0]), np.array([3.0, 4.0]), np.array([True, False]))
    yield case(np.array([[2.0, 1.0]]), np.array([0.5]), np.array([3.0, 4.0]), np.array([True, False]))
    yield case(np.eye(2), np.ones(2), np.array([1.0, 2.0]), np.array([False, False]))  # nobody goes
    yield case(square, np.array([0.5, 1.0]), np.array([3.0, -4.0]), np.array([True, True]))  # all go
    for n in range(1, 15):
        size = n // 4 + 2
        shape = (size, size) if n % 2 else (n % 4 + 1, size)
        w, b = rng.normal(size=shape).round(1), rng.normal(size=shape[0]).round(1)
        yield case(w, b, rng.normal(size=size).round(1), rng.random(size) < 0.5)
