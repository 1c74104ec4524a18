"""Chapter 19, a network that writes: what the exercises ask, how they are checked, what usually goes wrong.

In this order: one new position with a cache, keys quantized by channel, heads averaged, a guess judged, how
many guesses pay, distillation of the next byte.
"""

import math

import numpy as np

from mcomp.course.model import Exercise, case
from mcomp.course.specs.ch19_caches import head_cases, key_cases, keys_by_channel, mean_heads
from mcomp.course.specs.ch19_guesses import best_gamma, gamma_cases, judged, judged_cases
from mcomp.course.specs.ch19_mistakes import MISTAKES, QUIZ

__all__ = ["EXERCISES", "QUIZ", "TITLE"]

TITLE = "Generating"


def next_position(q, k, v, keys, values):
    """One new position: (its output y (m,), all keys (t + 1, d), all values (t + 1, m)).

    q, k (d,) and v (m,) are the new position's query, key and value; keys (t, d) and values (t, m) those of
    the t positions before it, perhaps none. y is the sum of all values, the new one too, weighted by the
    softmax of q @ key / sqrt(d).
    """
    keys, values = np.vstack([keys, k[None]]), np.vstack([values, v[None]])
    scores = [
        sum(float(a) * float(b) for a, b in zip(q, key, strict=True)) / math.sqrt(len(q)) for key in keys
    ]
    weights = [math.exp(s - max(scores)) for s in scores]
    y = np.zeros(values.shape[1])
    for weight, value in zip(weights, values, strict=True):
        y += weight / sum(weights) * value
    return y, keys, values


def next_cases(rng):
    yield case(np.array([1.0]), np.array([2.0]), np.array([3.0]), np.zeros((0, 1)), np.zeros((0, 1)))
    yield case(np.array([0.0]), np.array([1.0]), np.array([4.0]), np.array([[5.0]]), np.array([[2.0]]))
    yield case(
        np.array([1.0]), np.array([0.0]), np.array([0.0]), np.array([[math.log(3)]]), np.array([[4.0]])
    )
    yield case(
        np.array([2.0, 0, 0, 0]),
        np.array([1.0, 0, 0, 0]),
        np.array([1.0]),
        np.eye(4)[:2],
        np.array([[3.0], [8.0]]),
    )
    yield case(
        np.array([50.0, 0.0]),
        np.array([40.0, 0.0]),
        np.array([1.0, 2.0]),
        np.array([[30.0, 1.0]]),
        np.ones((1, 2)),
    )
    for n in range(1, 15):
        d, m = n % 4 + 1, n % 3 + 1
        q, k, v = rng.normal(size=d).round(1), rng.normal(size=d).round(1), rng.normal(size=m).round(1)
        yield case(
            q, k, v, rng.normal(size=(n % 5 + 1, d)).round(1), rng.normal(size=(n % 5 + 1, m)).round(1)
        )


def next_byte_kd(student, teacher, temperature):
    """The distillation loss of next-byte logits (texts, positions, bytes): a number, in nats.

    temperature ** 2 times KL(teacher || student), both softened by the temperature, in the mean over all
    texts and positions.
    """
    total, places = 0.0, student.shape[0] * student.shape[1]
    for i in range(student.shape[0]):
        for t in range(student.shape[1]):
            p = _soft(teacher[i, t], temperature)
            q = _soft(student[i, t], temperature)
            total += sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / places


def _soft(logits, temperature):
    z = [float(value) / temperature for value in logits]
    parts = [math.exp(value - max(z)) for value in z]
    return [part / sum(parts) for part in parts]


def kd_cases(rng):
    yield case(np.array([[[0.0, 0.0]]]), np.array([[[0.0, math.log(3)]]]), 1.0)
    yield case(np.array([[[0.0, math.log(3)]]]), np.array([[[0.0, 0.0]]]), 1.0)
    yield case(np.array([[[0.0, 0.0], [0.0, 0.0]]]), np.array([[[0.0, 2.0], [0.0, 0.0]]]), 1.0)
    yield case(np.array([[[0.0, 1.0]], [[2.0, 0.0]]]), np.array([[[1.0, 0.0]], [[0.0, 0.0]]]), 1.0)
    yield case(np.array([[[0.0, 0.0]]]), np.array([[[0.0, 2.0]]]), 2.0)
    yield case(np.array([[[0.0, 400.0]]]), np.array([[[0.0, 401.0]]]), 4.0)
    for n in range(2, 14):
        shape = n % 3 + 1, n % 4 + 1, n % 3 + 2
        yield case(
            2 * rng.normal(size=shape).round(1), 2 * rng.normal(size=shape).round(1), (1.0, 2.0, 4.0)[n % 3]
        )


EXERCISES = (
    Exercise(
        "19.1", next_position, next_cases, title="One position, with a cache",
        hints=(
            "Put the new key and value behind the others first: the new position sees itself, too.",
            "scores = keys @ q / sqrt(d), one for each position; softmax over them; weights @ values.",
            "keys = np.vstack([keys, k]); s = keys @ q / np.sqrt(len(q)); a = np.exp(s - s.max()); "
            "y = a / a.sum() @ values",
        ),
        mistakes=MISTAKES["19.1"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "19.2", keys_by_channel, key_cases, title="Keys by channel",
        hints=(
            "How many whole runs are there? What is behind them isn't touched.",
            "x[:due].reshape(runs, group, channels): lowest and highest of each run over axis 1, keepdims.",
            "scale = (high - low) / (2 ** bits - 1), or 1 for 0; low + scale * round((x - low) / scale); "
            "then the tokens that wait, as they came",
        ),
        mistakes=MISTAKES["19.2"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "19.3", mean_heads, head_cases, title="Heads in the mean",
        hints=(
            "Rows of one head stay apart: row i of a new head is the mean of rows i of its old heads.",
            "Give the rows three axes: which new head, which of its old heads, which row of the head.",
            "w.reshape(kv_heads, heads // kv_heads, size, n).mean(axis=1), then two axes again.",
        ),
        mistakes=MISTAKES["19.3"], rtol=1e-6, atol=1e-9,
    ),
    Exercise(
        "19.4", judged, judged_cases, title="A guess is judged",
        hints=(
            "If the target gives the guess at least the draft's chance, it stays. If less, how often?",
            "It stays if u < p[guess] / q[guess]. Else draw from what the draft gave too little, p - q.",
            "rest = np.maximum(p - q, 0); the first place where np.cumsum(rest / rest.sum()) > v.",
        ),
        mistakes=MISTAKES["19.4"],
    ),
    Exercise(
        "19.5", best_gamma, gamma_cases, title="How many guesses pay",
        hints=(
            "What does a round give, in bytes, and what does it take, in passes of the target?",
            "Guess i counts if it and all before it are kept: a product. And 1 for the target's own byte.",
            "tokens = 1 + np.cumsum(np.cumprod(alphas)), over gamma * cost + 1; 1 in front, for none.",
        ),
        mistakes=MISTAKES["19.5"],
    ),
    Exercise(
        "19.6", next_byte_kd, kd_cases, title="Distil the next byte",
        hints=(
            "Chapter 12's loss at each position. Over what is the mean taken?",
            "Log-softmax of logits / temperature over the last axis; p * (log p - log q), summed over bytes.",
            "temperature ** 2 * (p * (log_p - log_q)).sum(-1).mean()",
        ),
        mistakes=MISTAKES["19.6"], rtol=1e-6, atol=1e-9,
    ),
)  # fmt: skip
