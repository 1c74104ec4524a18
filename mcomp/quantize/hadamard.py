"""Orthogonal matrices whose entries all have the same size: turned by one, no coordinate stands out.

A vector with one huge entry becomes, rotated by H/√n, n entries of the same size: its range falls by √n,
and a grid over it becomes finer by as much. Sylvester 1867 doubles (``[[H, H], [H, -H]]``), Paley 1933
starts from the squares modulo a prime. With random signs in front (Halko, Martinsson and Tropp 2011,
arXiv:0909.4061) no fixed vector is spread badly but by bad luck. Ashkboos et al. 2024,
arXiv:2404.00456 (QuaRot).
"""

import math

import numpy as np

from mcomp.arrays import array_namespace, bad_value, check_int, size
from mcomp.prune.scores import check_floating

__all__ = ["fast_hadamard", "hadamard", "incoherence", "random_rotation"]

PRIMES = (11, 19, 43)  # p mod 4 = 3: Paley's matrices of 12, 20 and 44


def hadamard(n):
    """A matrix of ±1 with ``H·Hᵀ = n·I``: n is a power of two, or 12, 20 or 44 times one.

    Returns
    -------
    h : float64 numpy array (n, n)
        For a power of two symmetric, in Sylvester's order.

    Raises
    ------
    ValueError
        If there is none here; whether there is one for each multiple of 4 nobody knows.

    Examples
    --------
    >>> hadamard(4)
    array([[ 1.,  1.,  1.,  1.],
           [ 1., -1.,  1., -1.],
           [ 1.,  1., -1., -1.],
           [ 1., -1., -1.,  1.]])
    """
    n = check_int("n", n, 1, 2**14)
    odd = n
    while odd % 2 == 0:
        odd //= 2
    for start in (1, *(p + 1 for p in PRIMES)):
        if n % start == 0 and (doublings := math.log2(n // start)).is_integer():
            h = np.ones((1, 1)) if start == 1 else _paley(start - 1)
            for _ in range(int(doublings)):
                h = np.block([[h, h], [h, -h]])
            return h
    raise bad_value("n", n, "a power of two, or 12, 20 or 44 times one")


def _paley(p):
    """Of order p + 1, for a prime p with p mod 4 = 3: ``I + S``, S skew, from the squares modulo p."""
    squares = {i * i % p for i in range(1, p)}
    character = np.array([0] + [1 if i in squares else -1 for i in range(1, p)])
    skew = np.zeros((p + 1, p + 1))
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = character[(np.arange(p)[:, None] - np.arange(p)) % p]
    return skew + np.eye(p + 1)


def random_rotation(n, *, seed=0, kind="hadamard"):
    """An orthogonal matrix: ``diag(±1)·H/√n`` with random signs, or one drawn evenly from all.

    Parameters
    ----------
    n : int
    seed : int of at least 0
    kind : "hadamard" or "orthogonal"
        The latter is the Q of a Gaussian matrix, its signs made those of R's diagonal (Mezzadri 2007,
        arXiv:math-ph/0609050).

    Returns
    -------
    q : float64 numpy array (n, n)

    Examples
    --------
    >>> q = random_rotation(12)
    >>> bool(np.allclose(q @ q.T, np.eye(12))), round(float(abs(q).max() * 12**0.5), 9)
    (True, 1.0)
    """
    chance = np.random.default_rng(check_int("seed", seed, 0))
    if kind == "hadamard":
        h = hadamard(n)
        return chance.choice([-1.0, 1.0], size=(n, 1)) * h / math.sqrt(n)
    if kind != "orthogonal":
        raise bad_value("kind", kind, "hadamard or orthogonal")
    q, r = np.linalg.qr(chance.normal(size=(check_int("n", n, 1), n)))
    return q * np.sign(np.diag(r))


def fast_hadamard(x):
    """``x @ hadamard(n)`` along the last axis, n a power of two, by n·log2(n) additions and no product.

    Examples
    --------
    >>> fast_hadamard(np.array([1.0, 0.0, 0.0, 2.0]))
    array([ 3., -1., -1.,  3.])
    """
    xp = array_namespace(x)
    check_floating("x", x)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise bad_value("the length of the last axis of x", n, "a power of two")
    y, width = xp.reshape(x, (-1, n)), 1
    while width < n:
        parts = xp.reshape(y, (-1, n // (2 * width), 2, width))
        a, b = parts[:, :, 0, :], parts[:, :, 1, :]
        y, width = xp.reshape(xp.stack([a + b, a - b], axis=2), (-1, n)), 2 * width
    return xp.reshape(y, x.shape)


def incoherence(w):
    """``max|w|·√size / ‖w‖``: 1 if all entries are of the same size, √size if one has everything.

    Chee et al. 2023, arXiv:2307.13304: what a matrix's grid loses to its largest entry.

    Examples
    --------
    >>> incoherence(np.array([[3.0, 0.0], [0.0, 0.0]])), incoherence(np.array([[1.0, -1.0]]))
    (2.0, 1.0)
    """
    xp = check_floating("w", w)
    most, norm = float(xp.max(xp.abs(w))), float(xp.sqrt(xp.sum(xp.astype(w, xp.float64) ** 2)))
    return most * math.sqrt(size(w)) / norm if norm else 1.0
