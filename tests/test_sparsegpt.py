"""Pruning with compensation against the surgeon step by step, the exact optimum, and a plain mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.arrays import to_numpy
from mcomp.prune import damped_inverse, kept_count, nm_mask, obs, obs_update, topk_mask, wanda
from mcomp.prune.sparsegpt import sparsegpt

quick = settings(derandomize=True, deadline=None, max_examples=12)
seeds = st.integers(0, 10_000)


def layer(seed, out=6, n=12, samples=60, rho=0.7):
    """A weight and the Hessian of inputs, neighbours correlated, of very different sizes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, n)) @ (rho ** abs(np.subtract.outer(np.arange(n), np.arange(n))))
    x *= rng.lognormal(sigma=1.0, size=n)
    return rng.normal(size=(out, n)), x.T @ x / samples


def error(v, w, hessian):
    return np.einsum("ij,jk,ik->i", v - w, hessian, v - w) / 2


def damped(hessian, damping=0.01):
    return hessian + damping * np.diag(hessian).mean() * np.eye(len(hessian))


def by_steps(w, hessian, choose, width):
    """Input by input with an inverse of its own; masks of `width` inputs from the surgeon's scores."""
    w, n, keep = w.copy(), w.shape[1], np.ones(w.shape, bool)
    for j in range(n):
        if j % width == 0:  # the scores that hold when all of these inputs' forerunners are done
            stop = min(j + width, n)
            inverses = [np.linalg.inv(hessian[i:, i:])[0, 0] for i in range(j, stop)]
            keep[:, j:stop] = choose(j, w[:, j:stop] ** 2 / inverses)
        inverse = np.linalg.inv(hessian[j:, j:])
        gone = np.where(keep[:, j], 0.0, w[:, j])
        w[:, j:] -= np.outer(gone / inverse[0, 0], inverse[0])
    return np.where(keep, w, 0.0), keep


@quick
@given(seed=seeds, sparsity=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), block=st.sampled_from([1, 4, 5, 128]))
def test_it_is_the_surgeon_step_by_step(xp, seed, sparsity, block):
    w, hessian = layer(seed)
    total = kept_count(w.size, sparsity)

    def choose(start, score):
        stop = start + score.shape[1]
        return topk_mask(score, total * stop // 12 - total * start // 12)

    expected, mask = by_steps(w, damped(hessian), choose, block)
    v, keep, rise = sparsegpt(xp.asarray(w), xp.asarray(hessian), sparsity=sparsity, block=block)
    assert (to_numpy(keep) == mask).all()
    assert mask.sum() == total
    # the same steps with another inverse, in float64
    np.testing.assert_allclose(to_numpy(v), expected, atol=1e-8)
    np.testing.assert_allclose(to_numpy(rise), error(expected, w, damped(hessian)), rtol=1e-7, atol=1e-12)


@quick
@given(seed=seeds, block=st.sampled_from([1, 3, 4, 128]))
def test_a_pattern_is_chosen_when_the_sweep_arrives(xp, seed, block):
    w, hessian = layer(seed)
    expected, mask = by_steps(w, damped(hessian), lambda start, score: nm_mask(score, 2, m=4), 4)
    v, keep, _ = sparsegpt(xp.asarray(w), xp.asarray(hessian), pattern=(2, 4), block=block)
    assert (to_numpy(keep) == mask).all()
    assert (mask.reshape(6, 3, 4).sum(2) == 2).all()
    np.testing.assert_allclose(to_numpy(v), expected, atol=1e-8)


def test_the_first_input_s_score_is_the_surgeon_s():
    w, hessian = layer(3, out=1)
    inverse = damped_inverse(hessian)
    _, keep, rise = sparsegpt(w, hessian, sparsity=1 / 12, block=12)  # one weight goes
    scores = [obs(w[:, j:], np.linalg.inv(damped(hessian)[j:, j:]))[0, 0] for j in range(12)]
    assert (~keep[0]).nonzero()[0].tolist() == [int(np.argmin(scores))]
    assert rise[0] == pytest.approx(min(scores))
    assert scores[0] == pytest.approx(obs(w, inverse)[0, 0])


@quick
@given(seed=seeds)
def test_between_the_optimum_of_its_mask_and_the_mask_alone(seed):
    w, hessian = layer(seed)
    inverse = damped_inverse(hessian)
    v, keep, _ = sparsegpt(w, hessian, sparsity=0.5)
    best = error(obs_update(w, inverse, keep=keep), w, damped(hessian))
    found, alone = (error(x, w, damped(hessian)) for x in (v, np.where(keep, w, 0.0)))
    assert (best <= found * (1 + 1e-7) + 1e-12).all()  # two ways to sum the same terms
    assert found.sum() < alone.sum()


def test_with_independent_inputs_it_keeps_what_wanda_keeps_of_the_whole_layer():
    w, hessian = layer(0)
    hessian = np.diag(np.diag(hessian))
    v, keep, _ = sparsegpt(w, hessian, sparsity=0.5, damping=0)
    assert (keep == topk_mask(wanda(w, np.sqrt(np.diag(hessian))), 36)).all()
    assert (v == np.where(keep, w, 0.0)).all()


def test_float32_stays_float32():
    w, hessian = (a.astype(np.float32) for a in layer(0))
    assert sparsegpt(w, hessian, sparsity=0.5)[0].dtype == np.float32


W, H = layer(0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "sparsity and pattern is"),
        ({"sparsity": 0.5, "pattern": (2, 4)}, "sparsity and pattern is"),
        ({"sparsity": 1.2}, "sparsity is 1.2"),
        ({"pattern": 2}, r"pattern is 2; allowed: \(n, m\)"),
        ({"pattern": (5, 4)}, "n is 5"),
        ({"pattern": (2, 5)}, "the inputs of w is 12; allowed: a multiple of m, which is 5"),
        ({"sparsity": 0.5, "block": 0}, "block is 0"),
        ({"sparsity": 0.5, "damping": -1.0}, "damping is -1.0"),
    ],
)
def test_bad_options(options, said):
    with pytest.raises(ValueError, match=said):
        sparsegpt(W, H, **options)


@pytest.mark.parametrize("arrays", [(W[0], H), (W, H[:3, :3]), (W * np.nan, H), (W, -H), (W > 0, H)])
def test_bad_arrays(arrays):
    with pytest.raises(ValueError, match="allowed: "):
        sparsegpt(*arrays, sparsity=0.5)
