import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from mcomp.arrays import to_numpy
from mcomp.quantize import assign, centroid_means, codebooks, kmeans_1d, runs, within_ss

quick = settings(derandomize=True, deadline=None, max_examples=80)
number = st.integers(-40, 40).map(lambda i: i / 4)


def sum_of_squares(x, centroids, weights=None):
    """Straight from the definition, every entry against every centroid."""
    near = ((np.asarray(x, np.float64).reshape(-1, 1) - np.asarray(centroids, np.float64)) ** 2).min(1)
    return float(near @ (np.ones(len(near)) if weights is None else np.ravel(weights)))


def exhaustive(x, k, weights):
    """The least sum of squares over all ways to cut the sorted entries into at most k runs."""
    order = np.argsort(x)
    x, w = np.asarray(x)[order], np.asarray(weights)[order]

    def cost(a, b):
        total = w[a:b].sum()
        return 0.0 if total == 0 else float(w[a:b] @ (x[a:b] - w[a:b] @ x[a:b] / total) ** 2)

    cuts = itertools.chain.from_iterable(
        itertools.combinations(range(1, len(x)), r) for r in range(min(k, len(x)))
    )
    return min(sum(cost(a, b) for a, b in itertools.pairwise((0, *cut, len(x)))) for cut in cuts)


@quick
@given(x=st.lists(number, min_size=1, max_size=9), k=st.integers(1, 5))
def test_it_is_the_best_of_all_cuts(xp, x, k):
    a = np.array(x)
    centroids, assignments = kmeans_1d(xp.asarray(a.copy()), k)
    c = to_numpy(centroids)
    assert (np.diff(c) > 0).all()
    assert len(c) == min(k, len(set(x)))
    assert centroids.dtype == xp.float64
    assert assignments.dtype == xp.int64
    # sums of a few squares below 400 in float64
    ours = float(((a - c[to_numpy(assignments)]) ** 2).sum())
    assert ours == pytest.approx(exhaustive(a, k, np.ones(len(a))), abs=1e-10)
    assert ours == pytest.approx(sum_of_squares(a, c), abs=1e-10)


@quick
@given(pairs=st.lists(st.tuples(number, st.integers(0, 4)), min_size=1, max_size=9), k=st.integers(1, 5))
def test_weighted_it_is_the_best_of_all_cuts(xp, pairs, k):
    a, w = np.array(pairs).T.copy()
    w[0] += 0.5  # not all zero
    c = to_numpy(kmeans_1d(xp.asarray(a), k, weights=xp.asarray(w))[0])
    assert sum_of_squares(a, c, w) == pytest.approx(exhaustive(a, k, w), abs=1e-10)


@pytest.mark.parametrize(("n", "k"), [(40, 2), (90, 7), (200, 3), (129, 128), (128, 16)])
def test_dynamic_programming_is_the_quadratic_loop(n, k):
    rng = np.random.default_rng(n)
    x, w = np.sort(rng.standard_t(2, n)), rng.exponential(size=n)
    cost = np.full((n + 1, n + 1), np.inf)
    for begin, end in itertools.combinations(range(n + 1), 2):
        part, mass = x[begin:end], w[begin:end]
        cost[begin, end] = mass @ (part - part @ mass / mass.sum()) ** 2
    best = np.array([0.0] + [np.inf] * n)  # the textbook recursion, all begins for all ends
    for _ in range(k):
        best = (best[:, None] + cost).min(0)
    begin = runs.cheapest_runs(x, w, k)
    assert len(begin) == k
    ours = sum(
        w[a:b] @ (x[a:b] - np.average(x[a:b], weights=w[a:b])) ** 2
        for a, b in itertools.pairwise([*begin, n])
    )
    # prefix sums lose about 1e-16 of the whole sum of squares at each border
    assert ours == pytest.approx(best[n], rel=1e-9, abs=1e-13 * float(w @ x**2))


@quick
@given(pairs=st.lists(st.tuples(number, st.integers(1, 4)), min_size=2, max_size=30), k=st.integers(1, 6))
def test_a_weight_is_a_repetition(pairs, k):
    x, w = np.array(pairs).T.copy()
    weighted, _ = kmeans_1d(x, k, weights=w)
    repeated, _ = kmeans_1d(np.repeat(x, w.astype(int)), k)
    # of two equally good cuts either may be taken: compare what they cost
    assert sum_of_squares(x, weighted, w) == pytest.approx(sum_of_squares(x, repeated, w), abs=1e-9)


samples = {
    "normal": lambda rng: rng.standard_normal(30_000),
    "heavy tails": lambda rng: rng.standard_t(2, 30_000),
    "shifted": lambda rng: 1e4 + rng.standard_normal(30_000),
    "rounded": lambda rng: rng.standard_normal(30_000).round(2),
    "far outlier": lambda rng: np.append(rng.standard_normal(30_000), 1e3),
    "half zero": lambda rng: np.maximum(rng.standard_normal(30_000), 0),
}


@pytest.mark.parametrize("sample", samples)
@pytest.mark.parametrize("exact", [2**18, 0], ids=["default", "lloyd"])
@pytest.mark.parametrize("k", [3, 16, 100])
def test_no_worse_than_sklearn(monkeypatch, sample, exact, k):
    monkeypatch.setattr(runs, "EXACT", exact)
    x = samples[sample](np.random.default_rng(3))
    other = KMeans(k, n_init=1, random_state=0).fit(x[:, None]).cluster_centers_[:, 0]
    centroids, assignments = kmeans_1d(x, k)
    assert within_ss(x, centroids, assignments=assignments) <= sum_of_squares(x, other) * (1 + 1e-9)
    assert len(centroids) == k
    assert set(assignments.tolist()) == set(range(k))


@pytest.mark.parametrize("sample", samples)
def test_lloyd_ends_within_a_thousandth_of_the_optimum(monkeypatch, sample):
    x = samples[sample](np.random.default_rng(5))[:16_000].astype(np.float32)
    best = within_ss(x, kmeans_1d(x, 16)[0])
    monkeypatch.setattr(runs, "EXACT", 0)
    # the start is the optimum over 2,048 bins, so it can be off only by moves within a bin
    assert best * (1 - 1e-6) <= within_ss(x, kmeans_1d(x, 16)[0]) <= best * (1 + 1e-3)


def test_lloyd_moves_borders_to_the_middle_and_drops_empty_runs():
    def lloyd(values, begin):
        return runs.lloyd(
            values, runs.Sums(np.ones(len(values))), runs.Sums(values), np.array(begin)
        ).tolist()

    assert lloyd(np.array([0.0, 10.0, 10.25, 20.0, 21.0]), [0, 1, 2]) == [0, 1, 3]
    assert lloyd(np.array([-0.25, 0.0, 10.0, 10.25]), [0, 1, 3]) == [
        0,
        2,
    ]  # the middle run loses both entries
    assert lloyd(np.array([0.0, 2.0, 4.0, 6.0]), [0, 1]) == [0, 2]  # 2 lies in the middle of 0 and 4: down


@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 1000])
def test_sums_are_the_prefix_sums(n):
    a = np.random.default_rng(n).standard_normal(n, dtype=np.float32)
    # two orders of adding a thousand numbers in float64
    np.testing.assert_allclose(
        runs.Sums(a)[np.arange(n + 1)],
        [a[:i].sum(dtype=np.float64) for i in range(n + 1)],
        rtol=0,
        atol=1e-12,
    )
    assert runs.Sums(np.broadcast_to(1.0, n))[np.arange(n + 1)].tolist() == list(range(n + 1))


@quick
@given(pairs=st.lists(st.tuples(number, st.integers(0, 3)), min_size=1, max_size=30))
def test_sorted_masses_count_and_weigh(pairs):
    x, w = np.array(pairs).T.copy()
    values, mass = runs.sorted_masses(x, None)
    assert dict(zip(values.tolist(), mass.tolist(), strict=True)) == {
        v: (x == v).sum() for v in sorted(set(x))
    }
    values, mass = runs.sorted_masses(x, w)
    expected = {v: w[x == v].sum() for v in sorted(set(x)) if w[x == v].sum() > 0}
    assert list(zip(values.tolist(), mass.tolist(), strict=True)) == list(expected.items())


def test_sixteen_levels_of_a_gaussian_have_the_published_distortion():
    x = np.random.default_rng(0).standard_normal(1_000_000, dtype=np.float32)
    centroids, assignments = kmeans_1d(x, 16)
    # Max 1960, Quantizing for minimum distortion, table I, N = 16: 0.009497; a sample errs by about 0.2 %
    assert within_ss(x, centroids, assignments=assignments) / x.size == pytest.approx(0.009497, rel=0.01)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_keeps_its_dtype(dtype):
    x = torch.tensor([[1.0, 2.0, 7.0], [9.0, 1.0, 9.0]], dtype=getattr(torch, dtype), requires_grad=True)
    centroids, assignments = kmeans_1d(x, 3)
    assert centroids.dtype == x.dtype
    assert centroids.tolist() == pytest.approx([4 / 3, 7, 9], rel=2**-8)  # bfloat16 has 8 significant bits
    assert assignments.tolist() == [[0, 0, 1], [2, 0, 2]]
    assert not centroids.requires_grad


def test_as_many_centroids_as_values_are_the_values(xp):
    a = np.array([3.0, -1.0, 3.0, 0.1], dtype=np.float32)
    for k in (3, 4, 1000):
        centroids, assignments = kmeans_1d(xp.asarray(a), k)
        assert to_numpy(centroids).tolist() == [-1.0, np.float32(0.1), 3.0]
        assert to_numpy(assignments).tolist() == [2, 0, 2, 1]
        assert within_ss(xp.asarray(a), centroids) == 0


def test_zero_dimensional_and_high_dimensional(xp):
    assert tuple(kmeans_1d(xp.asarray(np.array(2.0)), 4)[1].shape) == ()
    assert tuple(kmeans_1d(xp.asarray(np.arange(24.0).reshape(2, 3, 1, 4)), 5)[1].shape) == (2, 3, 1, 4)


def test_nothing_is_mutated(xp):
    a, w = np.array([3.0, 1.0, 2.0]), np.array([1.0, 0.0, 2.0])
    x, weights = xp.asarray(a.copy()), xp.asarray(w.copy())
    kmeans_1d(x, 2, weights=weights)
    assert to_numpy(x).tolist() == a.tolist()
    assert to_numpy(weights).tolist() == w.tolist()


@quick
@given(
    x=st.lists(number, min_size=1, max_size=20),
    c=st.lists(st.integers(-10, 10), min_size=1, max_size=6),
    few=st.sampled_from([0, codebooks.FEW]),
)
def test_assign_is_the_nearest_and_at_a_midpoint_the_lower(xp, x, c, few):
    with pytest.MonkeyPatch.context() as patch:  # by comparing, and by binary search
        patch.setattr(codebooks, "FEW", few)
        check_assign(xp, x, c)


def check_assign(xp, x, c):
    c = sorted(map(float, c))
    expected = [min(range(len(c)), key=lambda j: (abs(v - c[j]), c[j])) for v in x]
    ours = to_numpy(assign(xp.asarray(np.array(x)), xp.asarray(np.array(c)))).tolist()
    assert [c[i] for i in ours] == [c[i] for i in expected]  # of equal centroids either may be named
    if len(set(c)) == len(c):
        assert ours == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_assign_keeps_neighbouring_floats_apart(dtype):
    c = [dtype(1)]
    for _ in range(9):
        c.append(np.nextafter(c[-1], dtype(2)))
    assert assign(np.array(c), np.array(c)).tolist() == list(range(10))
    tiny = np.arange(6) * np.finfo(dtype).smallest_subnormal
    assert assign(tiny, tiny).tolist() == list(range(6))


def test_assign_over_several_pieces(monkeypatch):
    x = np.random.default_rng(0).standard_normal(1000)
    c = np.linspace(-2, 2, 9)
    whole = assign(x, c)
    monkeypatch.setattr(codebooks, "PIECE", 64)
    assert (assign(x, c) == whole).all()
    assert (whole == abs(x[:, None] - c).argmin(1)).all()


def test_assign_in_the_finer_precision(xp):
    x, c = np.array([1.0, 3.0], dtype=np.float32), np.array([0.9, 1.1, 3.0])
    assert to_numpy(assign(xp.asarray(x), xp.asarray(c))).tolist() in ([0, 2], [1, 2])
    assert to_numpy(assign(xp.asarray(x), xp.asarray(c - 1e-12))).tolist() == [1, 2]


@quick
@given(data=st.data(), k=st.integers(1, 4))
def test_centroid_means_and_within_ss_are_the_loops(xp, data, k):
    n = data.draw(st.integers(k, 12))
    a = np.array(data.draw(st.lists(number, min_size=n, max_size=n)))
    w = np.array(data.draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), dtype=np.float64)
    index = np.array([*range(k), *data.draw(st.lists(st.integers(0, k - 1), min_size=n - k, max_size=n - k))])
    expected = [np.average(a[index == j], weights=w[index == j]) for j in range(k)]
    args = xp.asarray(a), xp.asarray(index)
    means = centroid_means(*args, k=k, weights=xp.asarray(w))
    np.testing.assert_allclose(to_numpy(means), expected, atol=1e-12)  # numbers up to 10, twelve of them
    ours = within_ss(args[0], means, assignments=args[1], weights=xp.asarray(w))
    assert ours == pytest.approx(sum(w * (a - np.array(expected)[index]) ** 2), abs=1e-9)


def test_centroid_means_hand_the_gradient_on():
    x = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    centroid_means(x, torch.tensor([0, 0, 1]), k=2)[0].backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.0]


good = np.array([0.0, 1.0, 5.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda f: kmeans_1d(f(np.array([1.0, np.nan])), 2),
        lambda f: kmeans_1d(f(np.array([1.0, np.inf])), 2),
        lambda f: kmeans_1d(f(np.zeros(0)), 2),
        lambda f: kmeans_1d(f(np.array([1, 2])), 2),
        lambda f: kmeans_1d(f(good), 0),
        lambda f: kmeans_1d(f(good), 2.0),
        lambda f: kmeans_1d(f(good), 4097),
        lambda f: kmeans_1d(f(good), 2, weights=f(np.ones(2))),
        lambda f: kmeans_1d(f(good), 2, weights=f(np.array([1.0, -1.0, 1.0]))),
        lambda f: kmeans_1d(f(good), 2, weights=f(np.zeros(3))),
        lambda f: kmeans_1d(f(good), 2, weights=f(np.array([1.0, np.nan, 1.0]))),
        lambda f: assign(f(good), f(np.array([1.0, 0.0]))),
        lambda f: assign(f(good), f(np.ones((1, 2)))),
        lambda f: assign(f(good), f(np.zeros(0))),
        lambda f: assign(f(np.array([np.nan])), f(good)),
        lambda f: centroid_means(f(good), f(np.array([0, 1])), k=2),
        lambda f: centroid_means(f(good), f(np.array([0, 0, 2])), k=3),
        lambda f: centroid_means(f(good), f(np.array([0, 1, 2])), k=2),
        lambda f: centroid_means(f(good), f(np.array([0, -1, 1])), k=2),
        lambda f: centroid_means(f(good), f(np.array([0.0, 1.0, 1.0])), k=2),
        lambda f: within_ss(f(good), f(good), assignments=f(np.array([0, 1, 3]))),
        lambda f: within_ss(f(good), f(good), weights=f(np.ones(2))),
    ],
)
def test_bad_arguments(xp, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(xp.asarray)


def test_another_device_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"pass x\.cpu\(\)"):
        kmeans_1d(FakeDevice(torch.ones(3)), 2)


class FakeDevice(torch.Tensor):
    """Numbers in memory that say they are elsewhere: a GPU for machines without one."""

    @property
    def device(self):
        return torch.device("cuda:0")
