"""Chapter 15: gradients in conflict, of two tasks, of any number, and seen through their inner products."""

import numpy as np

from mcomp.course.model import case


def pcgrad_pair(a, b):
    """PCGrad of two gradients, (n,): if a @ b < 0, each loses its part along the other as it came in.

    The sum of the two; if they don't conflict, a + b. A gradient may be zero.
    """
    inner = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    if inner >= 0:
        return a + b
    new_a = a - inner / sum(float(y) ** 2 for y in b) * b
    new_b = b - inner / sum(float(x) ** 2 for x in a) * a
    return new_a + new_b


def pair_cases(rng):
    yield case(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    yield case(np.array([1.0, 0.0]), np.array([1.0, 2.0]))
    yield case(np.array([2.0, 0.0]), np.array([-1.0, 1.0]))
    yield case(np.array([2.0, 0.0]), np.array([-1.0, 3.0]))
    yield case(np.array([2.0, -1.0]), np.array([0.0, 0.0]))
    yield case(np.array([2.0, -1.0]), np.array([3.0, 2.0]))
    yield case(np.array([2.0, 1.0]), np.array([-4.0, -2.0]))
    yield case(np.array([1.0, 2.0, 0.0]), np.array([-3.0, 0.0, 1.0]))
    for n in range(3, 17):
        size = n % 4 + 2
        a, b = rng.integers(-3, 4, (2, size)).astype(float)
        yield case(a, -b if n % 3 and a @ b > 0 else b)


def pcgrad(gradients, orders):
    """PCGrad of the rows of `gradients` (tasks, n): the sum of all rows after projection, (n,).

    orders is an array (tasks, tasks - 1): row i visits the other rows j in the order of orders[i]. Where what
    is left of row i has a negative inner product with row j as it came in, it loses its part along that row.
    """
    total = np.zeros(gradients.shape[1])
    for i in range(len(gradients)):
        left = [float(x) for x in gradients[i]]
        for j in orders[i]:
            other = [float(x) for x in gradients[j]]
            inner = sum(x * y for x, y in zip(left, other, strict=True))
            if inner < 0:
                length = sum(y * y for y in other)
                left = [x - inner / length * y for x, y in zip(left, other, strict=True)]
        total += np.array(left)
    return total


def _orders(rng, tasks):
    """For each task the others in a random order."""
    return np.array(
        [[j for j in rng.permutation(tasks) if j != i] for i in range(tasks)], dtype=np.int64
    ).reshape(tasks, tasks - 1)


def task_cases(rng):
    yield case(np.array([[1.0, 2.0]]), np.zeros((1, 0), np.int64))
    yield case(np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([[1], [0]]))
    yield case(np.array([[2.0, 0.0], [-1.0, 1.0]]), np.array([[1], [0]]))
    yield case(np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([[1], [0]]))
    three = np.array([[2.0, 0.0], [-1.0, 1.0], [-1.0, -3.0]])
    yield case(three, np.array([[1, 2], [0, 2], [0, 1]]))
    yield case(three, np.array([[2, 1], [2, 0], [1, 0]]))
    for n in range(2, 16):
        tasks, size = n % 3 + 2 if n < 5 else n % 2 + 3, n % 3 + 2
        yield case(rng.integers(-3, 4, (tasks, size)).astype(float), _orders(rng, tasks))


def gram_weights(gram, orders):
    """The weights w (tasks,) with which PCGrad's answer is w @ gradients, from their inner products alone.

    gram (tasks, tasks) is gradients @ gradients.T; orders as before. The weights are those that the
    projections come to, one after the other.
    """
    tasks = len(gram)
    weights = np.zeros(tasks)
    for i in range(tasks):
        holds = [1.0 if j == i else 0.0 for j in range(tasks)]  # row i, as so much of each original row
        for j in orders[i]:
            inner = sum(holds[m] * float(gram[m, j]) for m in range(tasks))
            if inner < 0:
                holds[j] -= inner / float(gram[j, j])
        weights += np.array(holds)
    return weights


def gram_cases(rng):
    for example in task_cases(rng):
        gradients, orders = example.args
        yield case(gradients @ gradients.T, orders)
