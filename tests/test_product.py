import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from mcomp.quantize import kmeans_1d
from mcomp.quantize.product import kmeans, nearest_vector, product_quantize

quick = settings(derandomize=True, deadline=None, max_examples=50)


def error(x, centroids, index):
    return float(((x - centroids[index]) ** 2).sum())


def test_no_worse_than_scikit_learn_from_one_seeding():
    x = np.random.default_rng(0).normal(size=(1500, 4))
    ours = min(error(x, *kmeans(x, 16, seed=seed, steps=100)) for seed in range(5))
    theirs = min(KMeans(16, n_init=1, random_state=seed).fit(x).inertia_ for seed in range(5))
    assert ours == pytest.approx(theirs, rel=0.02)  # two local minima of many


def test_from_scikit_learn_s_optimum_it_doesn_t_move():
    """A fixed point of one is one of the other: each row to its nearest, each centroid a mean."""
    x = np.random.default_rng(1).normal(size=(400, 3))
    centroids, index = kmeans(x, 8, steps=300)
    theirs = KMeans(8, init=centroids, n_init=1, max_iter=300).fit(x)
    assert theirs.inertia_ == pytest.approx(error(x, centroids, index), rel=1e-9)
    assert (theirs.labels_ == index).all()


def test_separate_clusters_are_found_exactly():
    rng = np.random.default_rng(0)
    truth = np.array([[0, 0], [50, 0], [0, 50], [50, 50.0]])
    x = np.repeat(truth, 25, axis=0) + rng.normal(size=(100, 2))
    centroids, index = kmeans(x, 4)
    groups = [index[25 * i : 25 * i + 25] for i in range(4)]
    assert all(len(set(group)) == 1 for group in groups)
    for i, group in enumerate(groups):
        assert centroids[group[0]] == pytest.approx(x[25 * i : 25 * i + 25].mean(0))


def test_in_one_dimension_the_global_optimum_bounds_it():
    x = np.random.default_rng(0).normal(size=500)
    centroids, index = kmeans(x[:, None], 4, steps=200)
    best = kmeans_1d(x, 4)
    least = float(((x - best[0][best[1]]) ** 2).sum())
    assert least <= error(x[:, None], centroids, index) + 1e-9
    assert error(x[:, None], centroids, index) <= 1.05 * least


@quick
@given(data=st.data(), n=st.integers(1, 12), d=st.integers(1, 3))
def test_every_row_takes_its_nearest_and_every_centroid_is_its_mean(data, n, d):
    x = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d)), float).reshape(n, d)
    k = data.draw(st.integers(1, n))
    centroids, index = kmeans(x, k, steps=100)
    assert centroids.shape == (k, d)
    distance = ((x[:, None] - centroids) ** 2).sum(2)
    assert distance[np.arange(n), index] == pytest.approx(distance.min(1), abs=1e-9)
    for j in set(index.tolist()):
        assert centroids[j] == pytest.approx(x[index == j].mean(0), abs=1e-9)
    if k == n:
        assert error(x, centroids, index) < 1e-18


def test_more_distinct_rows_than_seeds_is_exact():
    x = np.repeat(np.arange(6.0).reshape(3, 2), 5, axis=0)
    centroids, index = kmeans(x, 5)
    assert error(x, centroids, index) == 0


def test_nearest_vector_is_the_plain_loop():
    rng = np.random.default_rng(0)
    x, c = rng.integers(-3, 4, (50, 2)).astype(np.float32), rng.integers(-3, 4, (6, 2)).astype(np.float32)
    expected = [min(range(6), key=lambda j: (((row - c[j]) ** 2).sum(), j)) for row in x]
    assert nearest_vector(x, c).tolist() == expected  # small integers: exact


def test_torch_is_numpy():
    x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    ours, theirs = kmeans(x, 4), kmeans(torch.from_numpy(x), 4)
    assert theirs[0].dtype == torch.float32
    assert (theirs[0].numpy() == ours[0]).all()
    assert (theirs[1].numpy() == ours[1]).all()
    assert (kmeans(x, 4, seed=0)[0] == ours[0]).all()


def test_product_quantization_is_k_means_by_part():
    w = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)
    codebooks, index = product_quantize(w, 4, parts=3)
    assert codebooks.shape == (3, 4, 4)
    assert index.shape == (40, 3)
    near = np.concatenate([codebooks[p][index[:, p]] for p in range(3)], axis=1)
    for p, columns in enumerate(itertools.pairwise((0, 4, 8, 12))):
        part = slice(*columns)
        c, i = kmeans(w[:, part], 4)
        assert (near[:, part] == c[i]).all()
        assert (index[:, p] == i).all()
    assert product_quantize(torch.from_numpy(w), 4, parts=3)[0].shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: kmeans(np.ones(3), 1), "x is 'float64 of shape"),
        (lambda: kmeans(np.ones((3, 2), int), 1), "x is 'int64 of shape"),
        (lambda: kmeans(np.full((3, 2), np.nan), 1), "x holds 6 NaN"),
        (lambda: kmeans(np.ones((3, 2)), 4), "k is 4; allowed: an integer from 1 to 3"),
        (lambda: kmeans(np.ones((3, 2)), 1, seed=-1), "seed is -1"),
        (lambda: nearest_vector(np.ones((3, 2)), np.ones((3, 1))), r"centroids.shape is \(3, 1\)"),
        (lambda: product_quantize(np.ones((3, 4)), 2, parts=3), "parts is 3; allowed: a divisor"),
    ],
)
def test_bad_input(call, complaint):
    with pytest.raises(ValueError, match=complaint):
        call()
