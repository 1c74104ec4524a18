"""Features and relations against slow loops, finite differences, and what each loss doesn't see."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp import distill
from mcomp.arrays import to_numpy

quick = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
RELATIONS = (distill.distance_loss, distill.angle_loss, distill.similarity_loss)
LOSSES = (distill.hint_loss, distill.attention_loss, *RELATIONS)


def code_loss(s, t):
    return distill.attention_loss(s, t, form="code")


def two(seed, shape=(5, 3, 2, 2), other=None):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=other or shape)


# The oracles: loops over images, positions and channels, as the papers' formulas are read.


def hint_loop(s, t):
    total = 0.0
    for a, b in zip(s, t, strict=True):
        total += sum((x - y) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True)) / 2
    return total / len(s)


def map_loop(image):
    """Sums of squares over the channels at each position, divided by the length of the vector of them."""
    channels = image.reshape(len(image), -1)
    q = [sum(float(c[i]) ** 2 for c in channels) for i in range(channels.shape[1])]
    length = math.sqrt(sum(x * x for x in q))
    return [x / length if length else 0.0 for x in q]


def attention_loop(s, t):
    found = [math.dist(map_loop(a), map_loop(b)) for a, b in zip(s, t, strict=True)]
    return sum(found) / len(found)


def code_loop(s, t):
    found = [
        (x - y) ** 2 for a, b in zip(s, t, strict=True) for x, y in zip(map_loop(a), map_loop(b), strict=True)
    ]
    return sum(found) / len(found)


def huber(found):
    return sum(d * d / 2 if abs(d) < 1 else abs(d) - 0.5 for d in found) / len(found)


def distances_loop(x):
    x = x.reshape(len(x), -1)
    d = [[math.dist(a, b) for b in x] for a in x]
    positive = [e for row in d for e in row if e > 0]
    mean = sum(positive) / len(positive) if positive else 1.0
    return [e / mean for row in d for e in row]


def angles_loop(x):
    x, found = x.reshape(len(x), -1), []
    for i in range(len(x)):
        for j in range(len(x)):
            for k in range(len(x)):
                a, b = x[j] - x[i], x[k] - x[i]
                n = math.sqrt(a @ a) * math.sqrt(b @ b)
                found.append(a @ b / n if n else 0.0)
    return found


def similarities_loop(x):
    x, found = x.reshape(len(x), -1), []
    for a in x:
        row = [float(a @ b) for b in x]
        length = math.sqrt(sum(e * e for e in row))
        found += [e / length if length else 0.0 for e in row]
    return found


def relation_loop(relation, mean):
    return lambda s, t: mean([a - b for a, b in zip(relation(s), relation(t), strict=True)])


def mean_square(found):
    return sum(d * d for d in found) / len(found)


ORACLES = {
    distill.hint_loss: hint_loop,
    distill.attention_loss: attention_loop,
    code_loss: code_loop,
    distill.distance_loss: relation_loop(distances_loop, huber),
    distill.angle_loss: relation_loop(angles_loop, huber),
    distill.similarity_loss: relation_loop(similarities_loop, mean_square),
}


@pytest.mark.parametrize("loss", ORACLES, ids=lambda f: f.__name__)
@quick
@given(seed=seeds)
def test_each_loss_is_what_its_loop_says(xp, loss, seed):
    s, t = two(seed)
    found = float(loss(xp.asarray(s), xp.asarray(t)))
    assert found == pytest.approx(ORACLES[loss](s, t), rel=1e-9, abs=1e-12)  # float64 sums of 500 at most


@pytest.mark.parametrize(
    ("made", "loop"),
    [
        (distill.distances, distances_loop),
        (distill.angles, angles_loop),
        (distill.similarities, similarities_loop),
    ],
)
def test_relations_are_what_their_loops_say(xp, made, loop):
    x = two(3)[0]
    np.testing.assert_allclose(to_numpy(made(xp.asarray(x))).ravel(), loop(x), atol=1e-12)


def test_attention_maps_are_what_their_loop_says(xp):
    x = two(4)[0]
    x[1] = 0  # an image without any activity keeps a map of zeros
    np.testing.assert_allclose(
        to_numpy(distill.attention_map(xp.asarray(x))), [map_loop(a) for a in x], atol=1e-12
    )


@pytest.mark.parametrize("loss", ORACLES, ids=lambda f: f.__name__)
def test_gradients_agree_with_finite_differences_and_the_teacher_gets_none(loss):
    s, t = (torch.tensor(x, requires_grad=True) for x in two(5, (4, 2, 2, 1)))
    assert torch.autograd.gradcheck(lambda s: loss(s, t), (s,))
    loss(s, t).backward()
    assert t.grad is None


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_gradients_stay_finite_where_lengths_are_zero(loss):
    for s in (torch.zeros(3, 2, 2), torch.ones(3, 2, 2), torch.randn(3, 2, 2)):
        s = s.clone().requires_grad_()
        loss(s, s.detach()).backward()
        assert bool(s.grad.isfinite().all())


# What is free for the student: the same loss after it. What isn't: another loss.


def rotated(x, rng, axis):
    """Features turned along one axis (1: channels at a position), or all of an image at once (None)."""
    if axis is None:
        q = np.linalg.qr(rng.normal(size=(x[0].size, x[0].size)))[0]
        return (x.reshape(len(x), -1) @ q).reshape(x.shape)
    q = np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0]
    return np.einsum("cd,bd...->bc...", q, x)


CHANGES = {
    "channels permuted": lambda x, rng: x[:, rng.permutation(x.shape[1])],
    "channels rotated": lambda x, rng: rotated(x, rng, 1),
    "features rotated": lambda x, rng: rotated(x, rng, None),
    "scaled": lambda x, rng: 3.0 * x,
    "each image scaled": lambda x, rng: x * rng.uniform(0.5, 2, (len(x), 1, 1, 1)),
    "shifted": lambda x, rng: x + rng.normal(size=(1, *x.shape[1:])),
}
FREE = {
    distill.hint_loss: set(),
    distill.attention_loss: {"channels permuted", "channels rotated", "scaled", "each image scaled"},
    distill.distance_loss: {"channels permuted", "channels rotated", "features rotated", "scaled", "shifted"},
    distill.angle_loss: {"channels permuted", "channels rotated", "features rotated", "scaled", "shifted"},
    distill.similarity_loss: {"channels permuted", "channels rotated", "features rotated", "scaled"},
}


@pytest.mark.parametrize("loss", FREE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("change", CHANGES)
@quick
@given(seed=seeds)
def test_what_a_student_may_change_and_pay_nothing(loss, change, seed):
    s, t = two(seed, (6, 4, 2, 2))
    rng = np.random.default_rng(seed + 1)
    before, after = float(loss(s, t)), float(loss(CHANGES[change](s, rng), t))
    same = math.isclose(before, after, rel_tol=1e-9)  # float64
    moved = change != "channels permuted" or not np.array_equal(
        CHANGES[change](s, np.random.default_rng(seed + 1)), s
    )
    assert same == (change in FREE[loss]) or not moved


@pytest.mark.parametrize("positions", [(2, 2), (7, 7), (14, 14)])
def test_the_code_of_attention_transfer_divides_by_the_positions(positions):
    """One student a little off on every map size: the paper's form stays, the code's shrinks as 1 / (h w)."""
    s, t = two(1, (4, 3, *positions))
    gaps = np.array([math.dist(map_loop(a), map_loop(b)) for a, b in zip(s, t, strict=True)])
    assert float(distill.attention_loss(s, t)) == pytest.approx(gaps.mean(), rel=1e-9)
    assert float(code_loss(s, t)) == pytest.approx((gaps**2).mean() / math.prod(positions), rel=1e-9)


def test_the_sum_of_a_hint_grows_with_the_map_and_relations_ignore_the_number_of_features():
    s, t = np.ones((2, 3, 4, 4)), np.zeros((2, 3, 4, 4))
    assert float(distill.hint_loss(s, t)) == 3 * 16 / 2
    for loss in RELATIONS:
        x = np.random.default_rng(0).normal(size=(5, 4))
        assert float(loss(np.concatenate([x, x], 1), x)) == pytest.approx(0, abs=1e-12)  # only a factor


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_summed_in_float32(dtype):
    s, t = (torch.randn(8, 64, 4, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(2))
    for loss in LOSSES:
        assert loss(s, t).dtype == torch.float32
        assert float(loss(s, t)) == pytest.approx(
            float(loss(s.double(), t.double())), rel=1e-4
        )  # 1,000 terms


ones = np.ones((3, 2, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda f: distill.hint_loss(f(ones), f(np.ones((3, 2, 1)))),
        lambda f: distill.hint_loss(f(ones), f(np.ones((3, 4)))),
        lambda f: distill.hint_loss(f(ones * np.nan), f(ones)),
        lambda f: distill.hint_loss(f(ones), f(np.ones((3, 2, 2), dtype=np.int64))),
        lambda f: distill.attention_loss(f(ones), f(np.ones((3, 2, 3)))),
        lambda f: distill.attention_loss(f(ones), f(ones), form="mean"),
        lambda f: distill.attention_loss(f(np.ones((3, 2))), f(np.ones((3, 2)))),
        lambda f: distill.attention_map(f(np.ones((3, 0, 2)))),
        lambda f: distill.distance_loss(f(ones), f(np.ones((2, 2)))),
        lambda f: distill.distance_loss(f(ones[:1]), f(ones[:1])),
        lambda f: distill.angle_loss(f(ones), f(ones * np.inf)),
        lambda f: distill.similarity_loss(f(np.ones(3)), f(np.ones(3))),
        lambda f: distill.similarities(f(np.ones((1, 4)))),
    ],
)
def test_bad_arguments(xp, call):
    with pytest.raises(ValueError, match="allowed: "), np.errstate(all="ignore"):
        call(xp.asarray)
