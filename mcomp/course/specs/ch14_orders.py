"""Chapter 14: the exercises on the order of hidden units (14.5 to 14.7)."""

from itertools import permutations

import numpy as np

from mcomp.course.model import case


def short(rng, shape):
    """Numbers of one decimal, which a card can show."""
    return rng.normal(size=shape).round(1)


def renumbered(w1, b1, w2, b2, w3, p, q):
    """The same function with its hidden units in another order: (w1, b1, w2, b2, w3).

    The network is w3 @ relu(w2 @ relu(w1 @ x + b1) + b2). Unit i of its new first hidden layer is unit p[i]
    of the old one; unit i of its new second hidden layer is unit q[i]. p and q are arrays.
    """
    new = tuple(np.zeros(w.shape) for w in (w1, b1, w2, b2, w3))
    for i in range(len(p)):
        new[0][i], new[1][i] = w1[p[i]], b1[p[i]]
    for i in range(len(q)):
        new[3][i] = b2[q[i]]
        for j in range(len(p)):
            new[2][i, j] = w2[q[i], p[j]]
        for j in range(len(w3)):
            new[4][j, i] = w3[j, q[i]]
    return new


def _network(rng, inputs, first, second, outputs):
    sizes = (first, inputs), first, (second, first), second, (outputs, second)
    return tuple(short(rng, size) for size in sizes)


def order_cases(rng):
    swap, stay, turn = np.array([1, 0]), np.array([0, 1]), np.array([1, 2, 0])
    ones = np.array([[1.0]]), np.array([2.0]), np.array([[3.0]]), np.array([4.0]), np.array([[5.0]])
    yield case(*ones, np.array([0]), np.array([0]))
    first = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0, 6.0])
    second = np.array([[7.0, 8.0], [9.0, 10.0]]), np.array([11.0, 12.0])
    third = np.array([[13.0, 14.0], [15.0, 16.0]])
    yield case(*first, *second, third, swap, stay)
    yield case(*first, *second, third, stay, swap)
    yield case(*first, *second, third, swap, swap)
    ramp = np.arange(9.0).reshape(3, 3)
    yield case(ramp, np.arange(3.0), ramp + 10, np.arange(3.0) + 3, ramp + 20, turn, np.arange(3))
    yield case(ramp, np.arange(3.0), ramp + 10, np.arange(3.0) + 3, ramp + 20, turn, turn[::-1].copy())
    for n in range(3, 15):
        first, second = n % 3 + 3, (n % 3 + 3 if n % 2 else n % 4 + 2)
        sizes = (first, first, second, second) if n % 5 == 0 else (n % 4 + 1, first, second, n % 3 + 1)
        yield case(*_network(rng, *sizes), rng.permutation(first), rng.permutation(second))


def gains(a, b):
    """Entry [i, j]: what unit j of b adds to the inner product of all weights in the place of unit i of a.

    a and b are networks with one hidden layer, (w1, b1, w2): w1 is (hidden, inputs), b1 (hidden,), w2
    (outputs, hidden). The result is (hidden, hidden).
    """
    (w1, b1, w2), (v1, c1, v2) = a, b
    found = np.zeros((len(b1), len(b1)))
    for i in range(len(b1)):
        for j in range(len(b1)):
            for k in range(w1.shape[1]):
                found[i, j] += w1[i, k] * v1[j, k]
            found[i, j] += b1[i] * c1[j]
            for k in range(len(w2)):
                found[i, j] += w2[k, i] * v2[k, j]
    return found


def gain_cases(rng):
    one = np.array([[1.0]]), np.array([2.0]), np.array([[3.0]])
    yield case(one, (np.array([[5.0]]), np.array([7.0]), np.array([[-2.0]])))
    left = np.array([[1.0], [2.0]]), np.array([0.0, 1.0])
    right = np.array([[3.0], [4.0]]), np.array([1.0, 2.0])
    yield case((*left, np.array([[1.0, 0.0]])), (*right, np.array([[2.0, 1.0]])))
    yield case((*left, np.array([[1.0, 0.0], [0.0, 3.0]])), (*right, np.array([[2.0, 1.0], [1.0, 1.0]])))
    for n in range(3, 16):
        hidden = n % 4 + 2
        outputs = hidden if n % 3 == 0 else n % 2 + 1
        sizes = (hidden, n % 3 + 1), hidden, (outputs, hidden)
        yield case(*(tuple(short(rng, size) for size in sizes) for _ in range(2)))


def best_order(gain):
    """The order p for which the sum of all gain[i, p[i]] is largest: an array (n,), each column once.

    gain is (n, n), n at most 6. No two orders are best.
    """

    def total(p):
        return sum(float(gain[i, p[i]]) for i in range(len(p)))

    return np.array(max(permutations(range(len(gain))), key=total))


STUCK = (  # no swap of two helps; the largest entry doesn't belong to the best order
    [[4, 5, 0], [1, 4, 6], [6, 2, 4]],
    [[9, 8, 0], [8, 1, 2], [0, 7, 6]],
)


def _matrix(rng, n):
    """Whole numbers, positive or not, with one best order, one worst, and one best without the signs."""
    orders = np.array(list(permutations(range(n))))
    while True:
        gain = rng.integers(-20, 21, size=(n, n)).astype(float)
        sums = [np.sort(g[np.arange(n), orders].sum(1))[-2:] for g in (gain, -gain, abs(gain))]
        if all(second + 0.5 < best for second, best in sums):
            return gain


def matrix_cases(rng):
    yield case(np.array([[3.0, 4.0], [1.0, 4.0]]))
    yield case(np.array([[5.0, 4.0], [4.0, 1.0]]))
    yield case(np.array([[-3.0, -1.0], [-1.0, -2.0]]))
    yield case(np.array([[0.0, 4.0, 1.0], [2.0, 1.0, 5.0], [6.0, 0.0, 3.0]]))
    for rows in STUCK:
        yield case(np.array(rows, dtype=float))
    yield case(np.array([[7.0]]))
    for n in range(3, 15):
        yield case(_matrix(rng, (3, 4, 5, 4)[n % 4]))
    yield case(_matrix(rng, 4) / 10)  # sums that lie close together
    yield case(_matrix(rng, 5) / 100)
    yield case(_matrix(rng, 6))
    yield case(_matrix(rng, 6) - 25)
