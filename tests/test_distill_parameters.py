"""Projected weights, refitted layers, copies, the moving average: against least squares and loops."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import orthogonal, weight_norm

from mcomp import distill, train
from mcomp.arrays import to_numpy

quick = settings(max_examples=20, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def columns(rng, n, k):
    return np.linalg.qr(rng.normal(size=(n, k)))[0]


@quick
@given(seed=seeds)
def test_a_projection_is_the_best_in_least_squares(xp, seed):
    """Oracle: numpy's least squares over all entries of W at once, by Kronecker products."""
    rng = np.random.default_rng(seed)
    w, p, q = rng.normal(size=(5, 4)), columns(rng, 5, 3).T, columns(rng, 4, 2)
    found = to_numpy(distill.project(xp.asarray(w), p=xp.asarray(p), q=xp.asarray(q)))
    best = np.linalg.lstsq(np.kron(p.T, q), w.ravel(), rcond=None)[0].reshape(3, 2)
    np.testing.assert_allclose(found, best, atol=1e-10)  # float64, 20 equations


def test_a_projection_onto_a_selection_is_a_slice(xp):
    w = np.arange(12.0).reshape(3, 4)
    rows, cols = [2, 0], [3, 1]
    p = distill.selection(rows, 3, like=xp.asarray(w))
    q = distill.selection(cols, 4, like=xp.asarray(w))
    np.testing.assert_array_equal(to_numpy(distill.project(xp.asarray(w), p=p.T, q=q)), w[np.ix_(rows, cols)])
    np.testing.assert_array_equal(to_numpy(distill.project(xp.asarray(w))), w)


@quick
@given(seed=seeds)
def test_a_refitted_layer_is_the_best_in_least_squares_over_the_data(xp, seed):
    rng = np.random.default_rng(seed)
    h, w, q = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(2, 5)), columns(rng, 5, 3)
    gram = h.T @ h / len(h)
    found = to_numpy(distill.refit(xp.asarray(w), xp.asarray(gram), q=xp.asarray(q)))
    best = np.linalg.lstsq(h @ q, h @ w.T, rcond=None)[0].T
    np.testing.assert_allclose(found, best, rtol=1e-6, atol=1e-6)  # the condition of a product, squared


def test_refitting_principal_directions_is_projecting_and_refitting_a_selection_is_not(xp):
    rng = np.random.default_rng(1)
    h, w = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)), rng.normal(size=(3, 4))
    gram = h.T @ h / 40
    a, g = xp.asarray(w), xp.asarray(gram)
    q = distill.principal(g, 2)
    np.testing.assert_allclose(
        to_numpy(distill.refit(a, g, q=q)), to_numpy(distill.project(a, q=q)), atol=1e-10
    )
    keep = distill.selection([1, 3], 4, like=a)
    fitted, sliced = (to_numpy(m) for m in (distill.refit(a, g, q=keep), distill.project(a, q=keep)))

    def error(m):
        return np.square(h @ to_numpy(keep) @ m.T - h @ w.T).mean()

    assert error(fitted) < error(sliced)


def test_principal_directions_keep_what_scipys_largest_eigenvectors_keep(xp):
    rng = np.random.default_rng(2)
    h = rng.normal(size=(30, 6)) * np.arange(1, 7)
    gram = h.T @ h / 30
    q = to_numpy(distill.principal(xp.asarray(gram), 3))
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-12)
    kept = np.diag(q.T @ gram @ q)
    np.testing.assert_allclose(kept, scipy.linalg.eigvalsh(gram)[::-1][:3], rtol=1e-10)
    for _ in range(20):
        assert np.trace((r := columns(rng, 6, 3)).T @ gram @ r) <= kept.sum() + 1e-9


@quick
@given(seed=seeds)
def test_procrustes_agrees_with_scipy_and_finds_a_turn(xp, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(9, 3)), rng.normal(size=(9, 3))
    found = to_numpy(distill.procrustes(xp.asarray(a), xp.asarray(b)))
    np.testing.assert_allclose(found, scipy.linalg.orthogonal_procrustes(a, b)[0], atol=1e-8)
    turn = columns(rng, 5, 3).T  # into a larger space
    np.testing.assert_allclose(
        to_numpy(distill.procrustes(xp.asarray(a), xp.asarray(a @ turn))), turn, atol=1e-8
    )


def test_the_gradient_of_a_parameter_loss_leads_to_the_projection():
    rng = np.random.default_rng(3)
    w, p, q = rng.normal(size=(5, 4)), columns(rng, 5, 3).T, columns(rng, 4, 2)
    s = torch.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    t, p, q = (torch.tensor(x, requires_grad=True) for x in (w, p, q))
    loss = distill.parameter_loss(s, t, p=p, q=q)
    loss.backward()
    target = distill.project(t, p=p, q=q).detach()
    assert loss.item() == pytest.approx(float((s.detach() - target).square().sum()) / 2)
    torch.testing.assert_close(s.detach() - s.grad, target)
    assert t.grad is None
    turn = 1e-5 * (torch.tensor(rng.normal(size=(5, 5))))
    turned = p.detach() @ torch.linalg.matrix_exp(turn - turn.T)  # orthonormal rows again
    moved = distill.parameter_loss(s.detach(), t, p=turned, q=q.detach()) - loss.detach()
    assert moved.item() == pytest.approx(float((p.grad * (turned - p.detach())).sum()), rel=1e-3)


def test_learned_directions_stay_orthonormal_and_come_nearer():
    rng = np.random.default_rng(4)
    t, s = (torch.tensor(rng.normal(size=shape)) for shape in ((6, 5), (3, 2)))
    p, q = (
        torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(n, k, bias=False).double())
        for n, k in ((6, 3), (5, 2))
    )
    optimizer = torch.optim.Adam([*p.parameters(), *q.parameters()], lr=0.02)
    losses = []
    for _ in range(200):
        loss = distill.parameter_loss(s, t, p=p.weight, q=q.weight.T)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    for side, k in ((p, 3), (q, 2)):
        torch.testing.assert_close(side.weight @ side.weight.T, torch.eye(k).double())


wide = np.ones((3, 4))


@pytest.mark.parametrize(
    "call",
    [
        lambda f: distill.project(f(wide), p=f(np.ones((2, 3)))),
        lambda f: distill.project(f(wide), q=f(np.eye(3))),
        lambda f: distill.project(f(np.ones(3))),
        lambda f: distill.project(f(wide * np.nan)),
        lambda f: distill.refit(f(wide), f(np.eye(3)), q=f(np.eye(3))),
        lambda f: distill.refit(f(wide), f(wide), q=f(np.eye(4))),
        lambda f: distill.refit(f(wide), f(np.eye(4)), q=f(2 * np.eye(4))),
        lambda f: distill.principal(f(np.eye(3)), 4),
        lambda f: distill.principal(f(wide), 1),
        lambda f: distill.procrustes(f(np.ones((5, 3))), f(np.ones((5, 2)))),
        lambda f: distill.procrustes(f(np.ones((5, 3))), f(np.ones((4, 3)))),
        lambda f: distill.parameter_loss(f(np.ones((2, 2))), f(wide)),
        lambda f: distill.selection([0, 0], 3, like=f(wide)),
        lambda f: distill.selection([3], 3, like=f(wide)),
        lambda f: distill.selection([], 3, like=f(wide)),
    ],
)
def test_bad_arguments(xp, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(xp.asarray)


def stack(n, width=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width)) for _ in range(n)))


def test_layers_are_copied_with_their_buffers_and_nothing_else_changes():
    teacher, student = stack(4), stack(2, seed=1)
    teacher[2][1].running_mean += 5
    before = copy.deepcopy(student)
    made = distill.copy_layers(student, teacher, {"0": "0", "1": "2"})
    for mine, theirs in ((made[0], teacher[0]), (made[1], teacher[2])):
        for a, b in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b)
            assert a.data_ptr() != b.data_ptr()
    for a, b in zip(student.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "names"),
        ({"0": "9"}, "name is '9'"),
        ({"7": "0"}, "name is '7'"),
        ({"0.0": "0.1"}, "0.1 of the teacher for 0.0"),
    ],
)
def test_layers_that_do_not_fit_are_named(names, message):
    with pytest.raises(ValueError, match=message):
        distill.copy_layers(stack(2), stack(4), names)


def test_the_mean_teacher_is_the_average_that_a_loop_computes():
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    data = SimpleNamespace(train=(torch.randn(32, 2), torch.randint(2, (32,))))
    mean, seen = distill.MeanTeacher(student, decay=0.8), []

    class Look(train.Callback):
        def after_step(self, run):
            seen.append({k: v.detach().clone() for k, v in student.state_dict().items()})

    options = {"epochs": 4, "batch_size": 8, "lr": 0.05, "progress": False}
    train.fit(student, data, callbacks=[mean, Look()], **options)
    for name, found in mean.network.state_dict().items():
        average = seen[0][name].double()
        for step, state in enumerate(seen[1:], 1):
            a = min(0.8, 1 - 1 / (step + 1))
            average = a * average + (1 - a) * state[name].double()
        wanted = average.float() if found.is_floating_point() else seen[-1][name]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)  # float32, 16 steps
    assert not any(p.requires_grad for p in mean.network.parameters())


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_that_is_none(decay):
    with pytest.raises(ValueError, match="allowed: "):
        distill.MeanTeacher(nn.Linear(1, 1), decay)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(2, 4, 3)),
        (nn.Conv2d(4, 4, 3, stride=2), nn.Conv2d(4, 4, 3)),
        (nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 4, 3)),
        (nn.GroupNorm(1, 4), nn.GroupNorm(2, 4)),
        (nn.BatchNorm1d(4, eps=1.0), nn.BatchNorm1d(4)),
        (nn.MultiheadAttention(4, 1), nn.MultiheadAttention(4, 2)),
        (nn.Linear(4, 4), weight_norm(nn.Linear(4, 4))),
        (nn.LazyLinear(4), nn.Linear(4, 4)),
    ],
)
def test_another_function_of_the_same_tensors_is_refused(mine, theirs):
    with pytest.raises(ValueError, match="0 of the teacher for 0"):
        distill.copy_layers(nn.Sequential(mine), nn.Sequential(theirs), {"0": "0"})


def test_parametrized_layers_and_another_dtype_are_copied():
    for kind in (weight_norm, orthogonal):
        a, b = (nn.Sequential(kind(nn.Linear(4, 4))).double() for _ in range(2))
        made = distill.copy_layers(a.float(), b, {"0": "0"})
        torch.testing.assert_close(made[0].weight, b[0].weight.float())


def test_copies_that_overwrite_each_other_are_refused():
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    plain = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with pytest.raises(ValueError, match="student's layer is '0'"):
        distill.copy_layers(tied, plain, {"0": "0", "1": "1"})
    assert torch.equal(distill.copy_layers(tied, tied, {"0": "0", "1": "1"})[1].weight, tied[1].weight)
    nested = nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 4))
    with pytest.raises(ValueError, match="student's layer is '0'"):
        distill.copy_layers(nested, nested, {"0": "0", "0.0": "1"})


@pytest.mark.parametrize("names", [["0"], {}, None])
def test_names_must_be_a_dict_and_networks_networks(names):
    with pytest.raises(ValueError, match="names is"):
        distill.copy_layers(stack(1), stack(1), names)
    with pytest.raises(ValueError, match=r"torch\.nn\.Module"):
        distill.copy_layers(3, stack(1), {"0": "0"})


class Masked(nn.Module):
    """Tied weights, a mask of infinities, and a buffer that isn't saved."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf, torch.inf]))
        self.register_buffer("mean", torch.zeros(3), persistent=False)


def test_a_tied_weight_moves_once_and_a_mask_stays():
    student = Masked()
    mean, before = distill.MeanTeacher(student, decay=0.75), student.a.weight.detach().clone()
    with torch.no_grad():
        student.a.weight += 1
        student.mean += 8
    mean.update(9)
    torch.testing.assert_close(mean.network.a.weight, before + 0.25)
    assert mean.network.b.weight is mean.network.a.weight
    assert torch.equal(mean.network.mask, student.mask)
    assert mean.network.mean.tolist() == [2.0, 2.0, 2.0]


def test_a_mean_teacher_refuses_by_name_what_it_cannot_average():
    with pytest.raises(ValueError, match=r"the dtype of weight is 'torch\.bfloat16'"):
        distill.MeanTeacher(nn.Linear(2, 2).bfloat16())
    with pytest.raises(ValueError, match="model is 'int'"):
        distill.MeanTeacher(3)
    student = stack(1)
    mean = distill.MeanTeacher(student)
    with pytest.raises(ValueError, match="step is -1"):
        mean.update(-1)
    student.double()
    with pytest.raises(ValueError, match=r"the network's 0\.0\.weight"):
        mean.update(0)


def test_matrices_of_two_dtypes_and_what_is_no_mean_of_squares_are_refused(xp):
    w, eye = xp.asarray(wide), xp.eye(4, dtype=xp.float32)
    bent = xp.asarray([[1.0, 2.0], [0.0, 1.0]])
    for call, message in (
        (lambda: distill.project(w, q=eye), "q.dtype"),
        (lambda: distill.refit(w, eye, q=eye), "w is"),
        (lambda: distill.refit(w, xp.eye(4, dtype=xp.float64), q=eye), "q.dtype"),
        (lambda: distill.procrustes(w, xp.ones((3, 4), dtype=xp.float32)), "b is"),
        (lambda: distill.principal(bent, 1), "transpose"),
        (lambda: distill.selection([1.5], 3, like=w), "an entry of keep"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_half_precision_is_refused_where_a_matrix_is_decomposed():
    half = torch.eye(3).bfloat16()
    for call in (lambda: distill.principal(half, 1), lambda: distill.procrustes(half, half)):
        with pytest.raises(ValueError, match="32 bits or more"):
            call()
