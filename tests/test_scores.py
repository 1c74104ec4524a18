"""Scores against torch-pruning, autograd, brute force and plain loops."""

import itertools

import numpy as np
import pytest
import torch
import torch_pruning as tp
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp import prune
from mcomp.arrays import to_numpy
from mcomp.course.check import check
from mcomp.course.model import find

quick = settings(derandomize=True, deadline=None, max_examples=30)
seeds = st.integers(0, 10_000)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def spd(seed, n):
    a = draw(seed, n, n + 2)
    return a @ a.T + 0.1 * np.eye(n)


def quadratic(w, v, hessian):
    return (v - w) @ hessian @ (v - w) / 2


# ------------------------------------------------------------------ element by element


@quick
@given(seeds)
def test_scores_of_weights_are_the_loops(xp, seed):
    w, g, h = (draw(seed + i, 3, 4) for i in range(3))
    arrays = [xp.asarray(a) for a in (w, g, h)]
    found = {
        "magnitude": prune.magnitude(arrays[0]),
        "taylor": prune.taylor(*arrays[:2]),
        "movement": prune.movement(*arrays[:2]),
        "obd": prune.obd(arrays[0], arrays[2]),
        "wanda": prune.wanda(arrays[0], xp.asarray(abs(g[0]))),
    }
    for i, j in itertools.product(range(3), range(4)):
        expected = {
            "magnitude": abs(w[i, j]),
            "taylor": abs(w[i, j] * g[i, j]),
            "movement": -w[i, j] * g[i, j],
            "obd": h[i, j] * w[i, j] ** 2 / 2,
            "wanda": abs(w[i, j]) * abs(g[0, j]),
        }
        for name, value in expected.items():
            # the same two or three products in float64, in another order
            assert float(found[name][i, j]) == pytest.approx(value, rel=1e-14)
    assert all((to_numpy(a) == b).all() for a, b in zip(arrays, (w, g, h), strict=True))


@quick
@given(seeds)
def test_scores_of_neurons_are_the_loops(xp, seed):
    y = np.maximum(draw(seed, 5, 3, 2, 2), 0)
    mean, std, active = (
        to_numpy(score(xp.asarray(y)))
        for score in (prune.output_mean, prune.output_std, prune.output_activity)
    )
    for c in range(3):
        values = [float(v) for v in y[:, c].flatten()]
        m = sum(values) / len(values)
        # sums of 20 terms in float64, in another order
        assert mean[c] == pytest.approx(m, rel=1e-12)
        assert std[c] == pytest.approx((sum((v - m) ** 2 for v in values) / len(values)) ** 0.5, rel=1e-12)
        assert active[c] == pytest.approx(1 - values.count(0.0) / len(values), abs=1e-15)


def test_the_mean_of_outputs_ignores_signs():
    y = np.array([[-1.0, 0.1], [1.0, 0.1]])
    assert prune.output_mean(y)[0] > prune.output_mean(y)[1]


def test_wanda_takes_a_norm_for_each_input_channel_kernel_entry_or_weight(xp):
    w, rms = draw(0, 2, 3, 2, 2), abs(draw(1, 3, 2, 2))
    expected = abs(w) * rms
    assert (to_numpy(prune.wanda(xp.asarray(w), xp.asarray(rms))) == expected).all()
    whole = np.broadcast_to(rms, w.shape).copy()
    assert (to_numpy(prune.wanda(xp.asarray(w), xp.asarray(whole))) == expected).all()
    channels = rms[:, 0, 0].copy()
    expected = abs(w) * channels[:, None, None]
    assert (to_numpy(prune.wanda(xp.asarray(w), xp.asarray(channels))) == expected).all()


def test_the_control_is_uniform_and_the_same_everywhere(xp):
    w = np.zeros((100, 200))
    score = to_numpy(prune.random_score(xp.asarray(w), 3))
    assert (score == np.random.default_rng(3).random((100, 200))).all()
    assert (score != to_numpy(prune.random_score(xp.asarray(w), 4))).mean() > 0.99
    # 20,000 uniform numbers: the mean is within 0.5 +- 5 standard errors of 0.002
    assert abs(score.mean() - 0.5) < 0.01
    assert prune.random_score(torch.zeros(3), 0).dtype == torch.float32


# ------------------------------------------------------------------ torch-pruning


def one_group(model, x):
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=x)
    return graph.get_pruning_group(model[0], tp.prune_linear_out_channels, idxs=list(range(6)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double()


def loss_of(model):
    x = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(8, 5)
    return torch.nn.functional.cross_entropy(model(x), torch.arange(8) % 3)


def test_channels_summed_are_torch_prunings_magnitude(network):
    group = one_group(network, torch.zeros(1, 5, dtype=torch.float64))
    score = prune.magnitude(network[0].weight.detach())
    for power in (1, 2):
        peer = tp.importance.GroupMagnitudeImportance(p=power, group_reduction="first", normalizer=None)
        # torch-pruning accumulates in float32: 24 bits
        assert torch.allclose((score**power).sum(1).float(), peer(group), rtol=1e-6)


def test_channels_summed_are_torch_prunings_taylor(network):
    loss_of(network).backward()
    group = one_group(network, torch.zeros(1, 5, dtype=torch.float64))
    peer = tp.importance.GroupTaylorImportance(group_reduction="first", normalizer=None, bias=False)
    first = network[0].weight
    assert torch.allclose(prune.taylor(first.detach(), first.grad).sum(1).float(), peer(group), rtol=1e-6)


def test_taylor_on_two_weights_is_the_first_order_change(network):
    """Against the definition: the derivative of the loss as one weight is scaled to zero."""
    loss_of(network).backward()
    w, g = network[0].weight.detach(), network[0].weight.grad
    network.requires_grad_(False)
    score = prune.taylor(w, g)
    for i, j in ((0, 0), (3, 2)):

        def scaled(c, i=i, j=j):
            factor = torch.ones_like(w).index_put((torch.tensor(i), torch.tensor(j)), c)
            x = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(8, 5)
            z = torch.func.functional_call(network, {"0.weight": w * factor}, (x,))
            return torch.nn.functional.cross_entropy(z, torch.arange(8) % 3)

        sensitivity = torch.func.grad(scaled)(torch.tensor(1.0, dtype=torch.float64))
        # SNIP: the gradient for a mask at 1; two backward passes in float64
        assert float(score[i, j]) == pytest.approx(abs(float(sensitivity)), rel=1e-10)


# ------------------------------------------------------------------ optimal brain surgeon


def best_without(w, hessian, gone):
    """The least of the quadratic over all vectors that are zero at `gone`: its own linear system."""
    free = [i for i in range(len(w)) if i not in gone]
    v = np.zeros(len(w))
    if free:
        v[free] = np.linalg.solve(hessian[np.ix_(free, free)], (hessian @ w)[free])
    return v


@quick
@given(seeds, st.integers(1, 7))
def test_obs_is_exact_on_a_quadratic(xp, seed, n):
    w, hessian = draw(seed, n), spd(seed + 1, n)
    inverse = xp.asarray(np.linalg.inv(hessian))
    score = to_numpy(prune.obs(xp.asarray(w), inverse))
    for i in range(n):
        keep = np.arange(n) != i
        v = to_numpy(prune.obs_update(xp.asarray(w), inverse, keep=xp.asarray(keep)))
        best = best_without(w, hessian, [i])
        # one inversion of a matrix of condition up to some thousand, in float64
        np.testing.assert_allclose(v, best, rtol=1e-7, atol=1e-9)
        assert v[i] == 0
        assert score[i] == pytest.approx(quadratic(w, best, hessian), rel=1e-7, abs=1e-12)
        assert score[i] <= prune.obd(w, np.diag(hessian).copy())[i] * (1 + 1e-9)


@quick
@given(seeds)
def test_obs_removes_what_brute_force_removes(seed):
    w, hessian = draw(seed, 6), spd(seed + 1, 6)
    rises = [quadratic(w, best_without(w, hessian, [i]), hessian) for i in range(6)]
    assert np.argmin(prune.obs(w, np.linalg.inv(hessian))) == np.argmin(rises)


@quick
@given(seeds, st.integers(0, 63))
def test_obs_update_of_many_is_the_least_squares_answer(xp, seed, bits):
    w, hessian = draw(seed, 2, 6), spd(seed + 1, 6)
    keep = np.array([[bits >> i & 1 == 1 for i in range(6)], [True] * 6])
    v = to_numpy(prune.obs_update(xp.asarray(w), xp.asarray(np.linalg.inv(hessian)), keep=xp.asarray(keep)))
    np.testing.assert_allclose(
        v[0], best_without(w[0], hessian, np.flatnonzero(~keep[0])), rtol=1e-6, atol=1e-8
    )
    assert (v[1] == w[1]).all()
    assert (v[~keep] == 0).all()


def test_obs_with_a_diagonal_hessian_is_obd(xp):
    w, h = draw(0, 3, 4), abs(draw(1, 4)) + 0.1
    inverse = xp.asarray(np.diag(1 / h))
    expected = prune.obd(w, np.broadcast_to(h, w.shape).copy())
    # 1 / (1 / h) rounds twice
    np.testing.assert_allclose(to_numpy(prune.obs(xp.asarray(w), inverse)), expected, rtol=1e-15)
    keep = abs(w) > 0.5
    moved = to_numpy(prune.obs_update(xp.asarray(w), inverse, keep=xp.asarray(keep)))
    assert (moved == w * keep).all()


def test_damped_inverse(xp):
    hessian = spd(0, 5)
    hessian[0], hessian[:, 0] = 0, 0  # an input that is always zero
    damped = hessian + 0.1 * np.diag(hessian).mean() * np.eye(5)
    found = to_numpy(prune.damped_inverse(xp.asarray(hessian), damping=0.1))
    np.testing.assert_allclose(found @ damped, np.eye(5), atol=1e-10)  # condition below a thousand


# ------------------------------------------------------------------ masks, and what is refused


@pytest.mark.parametrize(
    "score",
    [
        lambda w: prune.magnitude(w),
        lambda w: prune.random_score(w, 1),
        lambda w: prune.taylor(w, w - 1),
        lambda w: prune.movement(w, w - 1),
        lambda w: prune.obd(w, abs(w)),
        lambda w: prune.wanda(w, abs(w[0, :])),
    ],
)
def test_every_mask_takes_every_score(xp, score):
    scores = {name: score(xp.asarray(draw(i, 4, 5))) for i, name in enumerate("ab")}
    assert [s.shape for s in scores.values()] == [(4, 5)] * 2
    assert int(xp.count_nonzero(prune.topk_mask(scores["a"], 7))) == 7
    masks = prune.global_topk_masks(scores, 11)
    assert sum(int(xp.count_nonzero(mask)) for mask in masks.values()) == 11
    assert prune.threshold_mask(scores["a"], 0.1).dtype == xp.bool
    if float(xp.min(scores["a"])) >= 0:
        assert prune.relative_threshold_mask(scores["a"], 0.5).shape == (4, 5)


ONE, NAN = np.ones((2, 3)), np.array([[1.0, np.nan, 1.0], [1.0, 1.0, 1.0]])
EYE = np.eye(3)


@pytest.mark.parametrize("bad", [NAN, NAN * np.inf, np.zeros((0, 3)), np.ones((2, 3), int), ONE > 0])
@pytest.mark.parametrize(
    "call",
    [
        prune.magnitude,
        lambda w: prune.random_score(w, 0),
        lambda w: prune.taylor(w, ONE),
        lambda w: prune.taylor(ONE, w),
        lambda w: prune.movement(ONE, w),
        lambda w: prune.obd(ONE, w),
        lambda w: prune.obs(w, EYE),
        lambda w: prune.wanda(w, np.ones(3)),
        lambda w: prune.wanda(ONE, w),
        prune.output_mean,
        prune.output_std,
        prune.output_activity,
        prune.damped_inverse,
    ],
)
def test_bad_arrays(bad, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(bad)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: prune.taylor(ONE, ONE[0]), r"g.shape is \(3,\); allowed: \(2, 3\)"),
        (lambda: prune.movement(ONE, ONE.T.copy()), r"g.shape is \(3, 2\)"),
        (lambda: prune.obd(ONE, np.ones(3)), r"h.shape is \(3,\)"),
        (lambda: prune.obs(ONE, np.eye(2)), r"inverse.shape is \(2, 2\); allowed: \(3, 3\)"),
        (lambda: prune.obs(np.ones(()), np.ones((1, 1))), "inverse.shape"),
        (lambda: prune.obs(ONE, -EYE), "least diagonal entry of inverse is -1.0"),
        (lambda: prune.obs_update(ONE, EYE, keep=ONE), "keep is 'float64 of shape"),
        (lambda: prune.obs_update(ONE, EYE, keep=ONE[0] > 0), "keep is"),
        (lambda: prune.damped_inverse(ONE), r"hessian.shape is \(2, 3\)"),
        (lambda: prune.damped_inverse(0 * EYE), "mean of the diagonal"),
        (lambda: prune.damped_inverse(EYE, damping=-1), "damping is -1"),
        (lambda: prune.wanda(ONE, np.ones(2)), r"rms.shape is \(2,\)"),
        (lambda: prune.wanda(ONE, -np.ones(3)), "least rms is -1.0"),
        (lambda: prune.wanda(np.ones(3), np.ones(3)), "rms.shape"),
        (lambda: prune.random_score(ONE, -1), "seed is -1"),
        (lambda: prune.output_std(np.ones(3)), r"y.shape is \(3,\)"),
    ],
)
def test_bad_arguments(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def remove_one(w, inverse, q):
    return prune.obs_update(w, inverse, keep=np.arange(len(w)) != q)


@pytest.mark.parametrize(
    ("exercise", "answer"), [("03.1", prune.taylor), ("03.3", prune.obs), ("03.4", remove_one)]
)
def test_chapter_03_means_what_the_library_means(exercise, answer):
    assert check(find(exercise), answer).ok
