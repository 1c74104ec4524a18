"""Chapter 19: what makes a cache smaller, keys in few bits and heads in the mean."""

import numpy as np

from mcomp.course.model import case


def keys_by_channel(x, bits, group):
    """Each run of `group` tokens of a channel rounded to a grid of its own; x is (tokens, channels).

    The grid has 2 ** bits levels at equal distance, the lowest at the least of the run and the highest at its
    largest; where all are equal they stay. Halves go to the even level, counted from 0 at the lowest. Tokens
    at the end that don't fill a run stay as they are.
    """
    out = x.astype(np.float64).copy()
    for start in range(0, x.shape[0] - group + 1, group):
        for c in range(x.shape[1]):
            part = [float(value) for value in x[start : start + group, c]]
            scale = (max(part) - min(part)) / (2**bits - 1)
            for i, value in enumerate(part):
                if scale > 0:
                    out[start + i, c] = min(part) + scale * round((value - min(part)) / scale)
    return out


def key_cases(rng):
    yield case(np.array([[0.0], [1.0], [2.0], [9.0]]), 2, 4)
    yield case(np.array([[1.0, 100.0], [0.0, 103.0]]), 1, 2)
    yield case(np.array([[0.2], [3.0], [0.9]]), 1, 2)
    yield case(np.array([[5.0, 1.0], [5.0, 2.0], [5.0, 4.0]]), 2, 3)
    yield case(np.array([[7.3, 1.0]]), 2, 2)  # nothing is due
    yield case(np.array([[0.0], [0.5], [1.5], [3.0]]), 2, 4)  # halves
    yield case(np.array([[0.0, 4.0], [1.0, 3.0], [2.6, -2.0], [3.0, 8.0], [6.0, 6.0]]), 2, 4)
    for n in range(2, 15):
        bits, group, shape = n % 3 + 1, n % 3 + 2, (n % 4 * 2 + 3, n % 3 + 1)
        while not _no_ties(x := rng.normal(size=shape).round(2) + 10 * (n % 2), bits, group):
            pass
        yield case(x, bits, group)


def _no_ties(x, bits, group):
    """Whether nothing that is rounded is near a half, so that every right way to compute it agrees."""
    whole = x[: len(x) // group * group].reshape(-1, group, x.shape[1])
    low, high = whole.min(1, keepdims=True), whole.max(1, keepdims=True)
    if not (high > low).all():
        return False
    at = (whole - low) * (2**bits - 1) / (high - low)
    return bool((abs(at - np.floor(at) - 0.5) > 0.01).all())


def mean_heads(w, heads, kv_heads):
    """Fewer heads in a projection: w (heads * size, n) becomes (kv_heads * size, n).

    Head h is rows h * size to (h + 1) * size. Each new head is the mean of heads / kv_heads neighbours.
    """
    size, some = w.shape[0] // heads, heads // kv_heads
    out = np.zeros((kv_heads * size, w.shape[1]))
    for head in range(heads):
        for i in range(size):
            out[head // some * size + i] += w[head * size + i] / some
    return out


def head_cases(rng):
    yield case(np.array([[1.0], [3.0]]), 2, 1)
    yield case(np.array([[1.0], [2.0], [5.0], [8.0]]), 2, 1)
    yield case(np.array([[1.0], [2.0], [5.0], [8.0]]), 4, 2)
    yield case(np.array([[1.0, 0.0], [2.0, 4.0]]), 2, 2)
    yield case(np.arange(8.0).reshape(8, 1) ** 2, 4, 2)
    yield case(np.arange(16.0).reshape(8, 2) ** 2, 4, 1)
    for n in range(2, 14):
        kv_heads, some, size = n % 3 + 1, n % 4 + 1, n % 2 + 2
        heads = kv_heads * some
        yield case(rng.normal(size=(heads * size, n % 3 + 1)).round(2), heads, kv_heads)
