"""Chapter 09, packed signs (09.6): what the exercise asks and its cases."""

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
