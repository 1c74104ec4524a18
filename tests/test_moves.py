"""Masks that move, against slow loops and the definitions of the papers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.course.check import check
from mcomp.course.model import find
from mcomp.prune import cubic_sparsity, iterative_sparsity, steer, topk_mask
from mcomp.prune.moves import drop_and_grow, erdos_renyi_counts, surgery_mask, surgery_score

quick = settings(derandomize=True, deadline=None, max_examples=60)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def arrays(seed, shape):
    """Weights with many ties, a mask, a score."""
    rng = np.random.default_rng(seed)
    w, score = rng.integers(-4, 5, shape) / 4, rng.integers(-3, 4, shape) / 2
    return w.astype(np.float32), rng.random(shape) < 0.5, score.astype(np.float32)


@quick
@given(seed=st.integers(0, 999), shape=shapes, low=st.integers(0, 4), gap=st.integers(0, 2))
def test_surgery_is_equation_3_of_guo_et_al(xp, seed, shape, low, gap):
    w, mask, _ = arrays(seed, shape)
    low, high = low / 4, (low + gap) / 4
    expected = np.zeros(shape, bool)
    for i in np.ndindex(shape):
        expected[i] = abs(w[i]) >= high or (abs(w[i]) >= low and mask[i])
    ours = surgery_mask(xp.asarray(w), xp.asarray(mask), low=low, high=high)
    assert ours.dtype == xp.bool
    assert (to_numpy(ours) == expected).all()


@quick
@given(seed=st.integers(0, 999), n=st.integers(2, 40), margin=st.floats(0, 0.9), data=st.data())
def test_the_largest_surgery_scores_are_a_mask_with_two_thresholds(seed, n, margin, data):
    rng = np.random.default_rng(seed)
    w, mask = rng.normal(size=n), rng.random(n) < 0.5
    k = data.draw(st.integers(1, n))
    score = surgery_score(w, mask, margin=margin)
    theta = np.sort(score)[-k]
    theta -= 1e-9 * theta  # a hair below the k-th, which rounding may put on either side of itself
    two = surgery_mask(w, mask, low=(1 - margin) * theta, high=(1 + margin) * theta)
    assert (two == topk_mask(score, k)).all()


def test_between_the_thresholds_nothing_flickers():
    """A weight that wavers around one threshold goes and comes; with two it stays what it is."""
    wavering = [0.49, 0.51] * 4
    one, two = np.array([True]), np.array([True])
    changes = [0, 0]
    for size in wavering:
        w = np.array([size])
        new_one, new_two = surgery_mask(w, one, low=0.5, high=0.5), surgery_mask(w, two, low=0.4, high=0.6)
        changes = [changes[0] + int(new_one[0] != one[0]), changes[1] + int(new_two[0] != two[0])]
        one, two = new_one, new_two
    assert changes == [8, 0]


def swapped_loop(w, mask, score, k):
    """One swap at a time: first all that go, then all that come."""
    mask = mask.copy()
    for _ in range(k):
        inside = [i for i in np.ndindex(w.shape) if mask[i]]
        mask[max(inside, key=lambda i: (-abs(w[i]), inside.index(i)))] = False  # of equals the later goes
    for _ in range(k):
        outside = [i for i in np.ndindex(w.shape) if not mask[i]]
        mask[max(outside, key=lambda i: (abs(score[i]), -outside.index(i)))] = True
    return mask


@quick
@given(seed=st.integers(0, 999), shape=shapes, data=st.data())
def test_drop_and_grow_is_the_loop_of_single_moves(xp, seed, shape, data):
    w, mask, score = arrays(seed, shape)
    k = data.draw(st.integers(0, int(mask.sum())))
    before = xp.asarray(w.copy()), xp.asarray(mask.copy()), xp.asarray(score.copy())
    ours = drop_and_grow(before[0], before[1], score=before[2], k=k)
    assert (to_numpy(ours) == swapped_loop(w, mask, score, k)).all()
    assert int(to_numpy(ours).sum()) == int(mask.sum())
    assert all((to_numpy(x) == y).all() for x, y in zip(before, (w, mask, score), strict=True))


def test_what_has_just_gone_may_come_back():
    w, mask = np.array([0.1, 0.9, 0.0]), np.array([True, True, False])
    assert (drop_and_grow(w, mask, score=np.array([5.0, 0.0, 1.0]), k=1) == mask).all()


@quick
@given(
    layers=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=5), data=st.data()
)
def test_erdos_renyi_shares_are_proportional_or_full(layers, data):
    shapes = {f"fc{i}": shape for i, shape in enumerate(layers)}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    k = data.draw(st.integers(0, sum(sizes.values())))
    counts = erdos_renyi_counts(shapes, k)
    assert list(counts) == list(shapes)
    assert sum(counts.values()) == k
    assert all(0 <= counts[name] <= sizes[name] for name in shapes)
    free = [name for name in shapes if counts[name] < sizes[name]]
    left = k - sum(counts[name] for name in shapes if name not in free)
    for name in free:  # one epsilon for all that are not full, to within the rounding to whole weights
        epsilon = Fraction(left, sum(sum(shapes[n]) for n in free))
        assert abs(counts[name] - epsilon * sum(shapes[name])) <= len(layers)


def test_erdos_renyi_density_is_equation_1_of_mocanu_et_al():
    """Before any layer is full: epsilon * (inputs + outputs) / (inputs * outputs)."""
    shapes = {"a": (300, 784), "b": (100, 300)}
    counts = erdos_renyi_counts(shapes, 1484)  # epsilon is 1
    assert counts == {"a": 1084, "b": 400}
    assert erdos_renyi_counts({"conv": (64, 32, 3, 3), "fc": (10, 92)}, 204) == {"conv": 102, "fc": 102}


good = {"w": np.array([0.1, 0.5]), "mask": np.array([True, False])}


@pytest.mark.parametrize(
    ("function", "change", "message"),
    [
        (surgery_mask, {"low": 0.5, "high": 0.4}, "high is 0.4; allowed: a finite number"),
        (surgery_mask, {"low": -0.1, "high": 0.4}, "low is -0.1"),
        (surgery_mask, {"low": 0.1, "high": math.inf}, "high is inf"),
        (surgery_mask, {"low": 0, "high": 1, "w": np.array([0.1, np.nan])}, "w "),
        (surgery_mask, {"low": 0, "high": 1, "mask": np.array([1, 0])}, "mask is 'int64 of shape"),
        (surgery_mask, {"low": 0, "high": 1, "mask": np.array([True])}, "mask is 'bool of shape"),
        (surgery_mask, {"low": 0, "high": 1, "w": np.zeros(0), "mask": np.zeros(0, bool)}, "empty"),
        (surgery_score, {"margin": 1.0}, "margin is 1.0"),
        (surgery_score, {"margin": -0.1}, "margin is -0.1"),
        (drop_and_grow, {"score": np.zeros(2), "k": 2}, "k is 2; allowed: an integer from 0 to 1"),
        (drop_and_grow, {"score": np.zeros(2), "k": -1}, "k is -1"),
        (drop_and_grow, {"score": np.zeros(3), "k": 1}, "mask is 'bool of shape"),
        (drop_and_grow, {"score": np.array([np.inf, 0]), "k": 1}, "score "),
    ],
)
def test_bad_arguments(function, change, message):
    arguments = good | change
    with pytest.raises(ValueError, match=message):
        function(arguments.pop("w"), arguments.pop("mask"), **arguments)


@pytest.mark.parametrize(
    ("shapes", "k", "message"),
    [
        ({}, 0, "shapes is {}"),
        ({"a": (2, 0)}, 0, "a size is 0"),
        ({"a": (2, 2)}, 5, "k is 5; allowed: an integer from 0 to 4"),
        ({"a": (2, 2)}, 1.5, "k is 1.5"),
    ],
)
def test_bad_shares(shapes, k, message):
    with pytest.raises(ValueError, match=message):
        erdos_renyi_counts(shapes, k)


def test_the_exercises_of_chapter_05_mean_what_the_library_means():
    """Step by step where the library's functions take one step and the exercises an array of them."""

    def each(function):
        return lambda steps, *rest: np.array([function(int(step), *rest) for step in steps])

    def cubic(step, start, end, initial, final):
        return cubic_sparsity(step, start=start, end=end, initial=initial, final=final)

    def rounds(i, n, final):
        return iterative_sparsity(i - 1, start=0, end=n, rounds=n, final=final)

    def thresholds(holds, start, factor):
        good, tried = start / factor, [start]
        for held in holds:
            good, following, factor = steer(good, tried[-1], factor, holds=bool(held))
            tried.append(following)
        return np.array(tried)

    for name, answer in {
        "05.1": each(rounds),
        "05.2": each(cubic),
        "05.3": lambda w, mask, low, high: surgery_mask(w, mask, low=low, high=high),
        "05.4": lambda w, mask, grad, k: drop_and_grow(w, mask, score=grad, k=k),
        "05.5": thresholds,
        "05.6": lambda first, trained, k: first * topk_mask(abs(trained), k),
    }.items():
        assert check(find(name), answer).ok, name
