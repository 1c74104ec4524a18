"""Chapter 19: what is asked of guesses, how they are judged and how many pay."""

import numpy as np

from mcomp.course.model import case


def judged(p, q, guess, u, v):
    """The byte that is written in the place of `guess`, which a draft drew: an int.

    p and q are the target's and the draft's chances of each byte, u and v numbers in [0, 1). The guess stays
    where u is below p[guess] / q[guess]. Else the byte comes from max(0, p - q), divided by its sum: the
    first at which the sum of these chances, from the first byte on, is above v.
    """
    if u < p[guess] / q[guess]:
        return guess
    rest = [max(0.0, float(a) - float(b)) for a, b in zip(p, q, strict=True)]
    reached = 0.0
    for byte, part in enumerate(rest):
        reached += part / sum(rest)
        if reached > v:
            return byte
    return max(i for i, part in enumerate(rest) if part > 0)  # where the sum stays below 1 by what is rounded


def judged_cases(rng):
    half = np.array([0.5, 0.5])
    yield case(half, half, 1, 0.9, 0.3)
    yield case(np.array([0.25, 0.75]), half, 0, 0.2, 0.3)
    yield case(np.array([0.25, 0.75]), half, 0, 0.8, 0.3)
    yield case(np.array([0.0, 1.0]), half, 0, 0.0, 0.1)
    yield case(np.array([0.25, 0.75]), half, 0, 0.8, 0.0)  # byte 0 has no chance
    yield case(np.array([0.1, 0.3, 0.6]), np.array([0.8, 0.1, 0.1]), 0, 0.9, 0.2)
    yield case(np.array([0.1, 0.3, 0.6]), np.array([0.8, 0.1, 0.1]), 0, 0.9, 0.4)
    yield case(np.array([0.1, 0.3, 0.6]), np.array([0.8, 0.1, 0.1]), 1, 0.95, 0.9)
    yield case(np.array([0.3, 0.4, 0.3]), np.array([0.1, 0.8, 0.1]), 1, 0.7, 0.45)
    for n in range(2, 18):
        while not _clear(found := _drawn(rng, n % 4 + 2)):
            pass
        yield case(*found)


def _drawn(rng, n):
    p, q = ((a := rng.integers(1, 9, n)) / a.sum() for _ in "pq")
    return p, q, int(rng.integers(n)), float(rng.uniform().__round__(2)), float(rng.uniform().__round__(2))


def _clear(found):
    """Whether no comparison is near a tie, and often enough the guess goes."""
    p, q, guess, u, v = found
    rest = np.maximum(p - q, 0)
    if abs(u - p[guess] / q[guess]) < 0.02 or rest.sum() < 0.05:
        return False
    at = np.cumsum(rest) / rest.sum()
    return bool(abs(at - v).min() > 0.02) and (u > p[guess] / q[guess] or rest.argmax() % 2 == 0)


def best_gamma(alphas, cost):
    """How many guesses a round write the text fastest: an int, of equal ones the smallest.

    alphas[i] is the chance that guess i is kept if all before it were; from 0 to len(alphas) guesses are
    allowed. A round of gamma gives those that are kept, up to the first refusal, and one byte of the target's
    own. It takes one pass of the target and gamma of the draft, of which each costs `cost` passes of the
    target.
    """
    best, fastest, tokens, still = 0, 1.0, 1.0, 1.0
    for gamma, alpha in enumerate(alphas, 1):
        still *= float(alpha)
        tokens += still
        if tokens / (gamma * cost + 1) > fastest:
            best, fastest = gamma, tokens / (gamma * cost + 1)
    return best


def gamma_cases(rng):
    yield case(np.array([0.5]), 1.0)
    yield case(np.array([0.5, 0.5]), 0.25)
    yield case(np.array([0.0, 0.9]), 0.125)
    yield case(np.array([0.5, 1.0, 1.0]), 0.25)
    yield case(np.full(5, 1.0), 0.125)
    yield case(np.full(6, 0.75), 0.0)
    yield case(np.full(4, 0.25), 0.5)
    for n in range(16):
        while not _apart(found := _rounds(rng, n)):
            pass
        yield case(*found)


def _rounds(rng, n):
    alphas = np.full(n % 9 + 2, rng.uniform(0.3, 0.98)) if n % 2 else rng.uniform(0.4, 1.0, n % 9 + 2)
    return alphas.round(2), float(rng.uniform(0.02, 0.4).__round__(2))


def _apart(found):
    """Whether the best is clearly above the others, so that rounding can't choose."""
    alphas, cost = found
    tokens = 1 + np.concatenate([[0], np.cumsum(np.cumprod(alphas))])
    speeds = np.sort(tokens / (np.arange(len(tokens)) * cost + 1))
    return bool(speeds[-1] > speeds[-2] + 1e-4)
