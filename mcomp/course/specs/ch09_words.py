"""Chapter 09, words and prices (09.6, 09.7): what the exercises ask and their cases."""

import numpy as np

from mcomp.course.model import case


def sign_dot(a, b, n):
    """The dot product of two vectors of n signs, packed 32 to a word: bit 1 is +1, bit 0 is -1.

    `a` and `b` are int64 arrays of words from 0 to 2**32 - 1. Entry i is bit i % 32, from the lowest up, of
    word i // 32; the unused bits of the last word are 0 in both.
    """
    total = 0
    for i in range(n):
        one = (int(a[i // 32]) >> (i % 32)) & 1
        other = (int(b[i // 32]) >> (i % 32)) & 1
        total += 1 if one == other else -1
    return total


def _packed(signs):
    words = np.zeros(-(-len(signs) // 32), np.int64)
    for i, sign in enumerate(signs):
        words[i // 32] += int(sign) << (i % 32)
    return words


def sign_cases(rng):
    yield case(np.array([5]), np.array([4]), 3)
    yield case(np.array([0]), np.array([0]), 2)
    yield case(np.array([1]), np.array([2]), 2)
    yield case(_packed([True] * 32), _packed([True] * 31 + [False]), 32)
    for n in (5, 7, 9, 13, 17, 24, 31, 32, 33, 40, 63, 64, 65, 90, 100):
        a, b = rng.integers(0, 2, (2, n))
        yield case(_packed(a), _packed(b), n)
    a, b = rng.integers(0, 2, (2, 33 * 256))  # more words, and more bits that differ, than a byte counts
    yield case(_packed(a), _packed(1 - b), len(a))


def choose_at_price(sizes, damages, price):
    """In each row (a layer) the index of the choice of least damage + price * size; of equals the first.

    `sizes` and `damages` have a row for each layer and a column for each choice. Returns an array of ints.
    """
    found = []
    for row, losses in zip(sizes, damages, strict=True):
        cost = [float(d) + price * float(s) for s, d in zip(row, losses, strict=True)]
        found.append(cost.index(min(cost)))
    return np.array(found)


def price_cases(rng):
    yield case(np.array([[1.0, 2.0]]), np.array([[5.0, 1.0]]), 1.0)
    yield case(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[5.0, 1.0], [4.0, 0.0]]), 2.0)
    yield case(np.array([[1.0, 2.0, 4.0]]), np.array([[3.0, 2.0, 0.5]]), 0.0)
    yield case(np.array([[1.0, 2.0]]), np.array([[2.0, 1.0]]), 1.0)
    for n in range(2, 18):
        sizes = np.cumsum(rng.integers(1, 60, (n // 4 + 2, 3)), axis=1).astype(float)
        damages = rng.exponential(1.0, sizes.shape).round(2)
        if n % 2:  # as layers usually are: what is larger breaks less
            damages = np.sort(damages, axis=1)[:, ::-1].copy()
        yield case(sizes, damages, float(rng.choice([0.003, 0.01, 0.03])))
