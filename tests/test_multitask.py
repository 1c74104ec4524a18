"""A trunk and its heads, weights at rest, projected gradients: closed forms, loops and autograd."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchjd.aggregation import PCGrad

import mcomp
from mcomp.multitask import (
    Shared,
    Uncertainty,
    branch,
    cosines,
    gradnorm_loss,
    gradnorm_targets,
    gram,
    pcgrad_weights,
    resting_weights,
    task_gradients,
)


def pcgrad_loop(gradients, orders):
    """Algorithm 1 of arXiv:2001.06782 on vectors."""
    summed = np.zeros_like(gradients[0])
    for i, others in enumerate(orders):
        left = gradients[i].copy()
        for j in others:
            inner = left @ gradients[j]
            if inner < 0:
                left = left - inner / (gradients[j] @ gradients[j]) * gradients[j]
        summed += left
    return summed


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_weights_from_the_gram_matrix_are_the_loop_over_vectors(k, seed):
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(k, 4))
    orders = [[int(j) for j in rng.permutation(k) if j != i] for i in range(k)]
    weights = pcgrad_weights(gradients @ gradients.T, orders=orders)
    assert np.allclose(weights @ gradients, pcgrad_loop(gradients, orders), atol=1e-9)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 10**6))
def test_pcgrad_is_that_of_torchjd(k, n, seed):
    """The same orders: torchjd draws a permutation of all tasks for each."""
    gradients = np.random.default_rng(seed).normal(size=(k, n))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        orders = [[j for j in torch.randperm(k).tolist() if j != i] for i in range(k)]
        torch.manual_seed(seed)
        theirs = PCGrad()(torch.tensor(gradients))
    ours = pcgrad_weights(gradients @ gradients.T, orders=orders) @ gradients
    # float64 both; a quotient by a short gradient's square may be large
    assert np.allclose(ours, theirs.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("angle", [60, 90, 120, 179])
def test_two_tasks_have_a_closed_form(angle):
    """In conflict: (1 - a.b / a.a) a + (1 - a.b / b.b) b; else a + b."""
    a, b = np.array([2.0, 0.0]), 3 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    inner = min(a @ b, 0)
    expected = np.array([1 - inner / (a @ a), 1 - inner / (b @ b)])
    found = pcgrad_weights(np.array([[a @ a, a @ b], [a @ b, b @ b]]))
    assert np.abs(found - expected).max() < 1e-12
    halved = pcgrad_weights(np.array([[a @ a, a @ b], [a @ b, b @ b]]), variant="mean")
    assert np.allclose(2 * halved, found)


def test_in_place_is_another_method_where_tasks_conflict():
    products = np.array([[1.0, -0.5], [-0.5, 1.0]])
    assert pcgrad_weights(products).tolist() == [1.5, 1.5]
    assert pcgrad_weights(products, variant="in place").tolist() == pytest.approx([1.0, 1.5])


def test_a_gradient_of_zero_changes_nothing():
    assert pcgrad_weights(np.array([[1.0, 0.0], [0.0, 0.0]])).tolist() == [1.0, 1.0]
    assert cosines(np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_uncertainty_rests_at_one_over_twice_the_loss(kind):
    losses = {"a": torch.tensor(0.3), "b": torch.tensor(2.5)}
    total = Uncertainty(dict.fromkeys(losses, kind))
    optimizer = torch.optim.LBFGS(total.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = total(losses)
        value.backward()
        return value.item()

    optimizer.step(closure)
    found = [w.item() for w in total.weights().values()]
    assert found == pytest.approx(resting_weights(np.array([0.3, 2.5])).tolist(), rel=0.01)
    constant = sum(0.5 if kind == "regression" else 0.5 + 0.5 * np.log(2) for _ in losses)
    assert total(losses).item() == pytest.approx(0.5 * np.log(0.3 * 2.5) + constant, abs=1e-3)


def test_weights_come_in_the_order_of_the_tasks():
    total = Uncertainty({"turned": "classification", "class": "classification", "edges": "regression"})
    assert list(total.weights()) == ["turned", "class", "edges"]


def test_the_total_may_be_negative():
    total = Uncertainty({"a": "regression"})
    with torch.no_grad():
        total.log_variances["a"].fill_(-5.0)
    assert float(total({"a": torch.tensor(1e-3)})) < 0


def test_gradient_norms_are_pulled_where_the_paper_says(xp):
    norms, losses = xp.asarray([3.0, 1.0]), xp.asarray([0.5, 3.0])
    targets = gradnorm_targets(norms, losses, xp.asarray([1.0, 2.0]), alpha=2.0)
    assert [float(t) for t in targets] == pytest.approx([2 * 0.25, 2 * 2.25])  # rates 0.5 and 1.5, mean 1
    assert float(gradnorm_loss(norms, targets)) == pytest.approx(2.5 + 3.5)
    equal = gradnorm_targets(norms, losses, losses, alpha=1.5)
    assert [float(t) for t in equal] == [2.0, 2.0]


def test_gradients_of_tasks_are_those_of_autograd():
    torch.manual_seed(0)
    shared, x = Shared(nn.Linear(3, 4), {"a": nn.Linear(4, 2), "b": nn.Linear(4, 1)}), torch.randn(5, 3)
    answers = shared(x)
    losses = {name: y.square().mean() for name, y in answers.items()}
    found = task_gradients(losses, dict(shared.trunk.named_parameters()))
    for name in losses:
        alone = copy.deepcopy(shared)
        alone(x)[name].square().mean().backward()
        for leaf, p in alone.trunk.named_parameters():
            assert torch.allclose(found[name][leaf], p.grad, atol=1e-6)
    products = gram(found)
    by_hand = [[sum(float((a[n] * b[n]).sum()) for n in a) for b in found.values()] for a in found.values()]
    assert np.allclose(products, by_hand, rtol=1e-5)  # float32 sums
    assert cosines(products)[0, 1] == pytest.approx(
        by_hand[0][1] / np.sqrt(by_hand[0][0] * by_hand[1][1]), rel=1e-5
    )


@pytest.mark.parametrize(("name", "at"), [("lenet300", "fc1"), ("lenet5", "conv2"), ("resnet", "block2")])
def test_a_branched_network_shares_up_to_the_cut_and_no_further(name, at):
    model, x = mcomp.zoo.load(name, 0), torch.randn(2, 1, 28, 28)
    before = copy.deepcopy(model.state_dict())
    shared = branch(model, at, {"ten": 10, "two": 2}, seed=1)
    assert {task: y.shape[1] for task, y in shared(x).items()} == {"ten": 10, "two": 2}
    assert all(torch.equal(shared.task(task)(x), y) for task, y in shared(x).items())
    assert shared.task("ten").lower is shared.task("two").lower is shared.trunk
    counts = [
        sum(p.numel() for p in part.parameters()) for part in (shared.trunk, shared.heads["ten"], model)
    ]
    assert counts[0] + counts[1] == counts[2]
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    again = branch(model, at, {"ten": 10, "two": 2}, seed=1)
    assert all(torch.equal(p, q) for p, q in zip(shared.parameters(), again.parameters(), strict=True))


def test_one_file_holds_the_trunk_once(tmp_path):
    model = mcomp.zoo.load("lenet300", 0)
    shared = branch(model, "fc2", {"ten": 10, "two": 2})
    size = mcomp.save(shared, tmp_path / "shared.safetensors")
    alone = sum(mcomp.save(shared.task(n), tmp_path / f"{n}.safetensors") for n in ("ten", "two"))
    assert size < 0.55 * alone
    fresh = branch(mcomp.zoo.load("lenet300", 1), "fc2", {"ten": 10, "two": 2}, seed=5)
    opened, x = mcomp.load(tmp_path / "shared.safetensors", model=fresh), torch.randn(2, 1, 28, 28)
    assert all(torch.equal(opened(x)[n], y) for n, y in shared(x).items())


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Shared(nn.Linear(2, 2), {}), "heads is"),
        (lambda: Shared(nn.Linear(2, 2), {"a": nn.Linear(2, 2)}).task("b"), "the task is 'b'"),
        (
            lambda: branch(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "0", {"a": 2}),
            "output of Sequential is '_1'",
        ),
        (lambda: branch(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "0", {"a": 0}), "classes of a is 0"),
        (lambda: Uncertainty({"a": "guessing"}), "the kind of a is 'guessing'"),
        (lambda: Uncertainty({"a": "regression"})({"b": torch.tensor(1.0)}), "the losses is"),
        (lambda: resting_weights(np.array([0.0, 1.0])), "the least loss is 0.0"),
        (lambda: gradnorm_targets(np.ones(2), np.ones(3), np.ones(2)), "losses.shape"),
        (lambda: gradnorm_targets(np.ones(2), np.zeros(2), np.ones(2)), "the losses is"),
        (lambda: gradnorm_loss(np.ones(2), np.ones(3)), "targets.shape"),
        (lambda: pcgrad_weights(np.ones((2, 3))), "products.shape"),
        (lambda: pcgrad_weights(np.eye(2), variant="sum"), "variant is 'sum'"),
        (lambda: pcgrad_weights(np.eye(2), orders=[[0], [0]]), "the order of task 0"),
        (lambda: pcgrad_weights(np.eye(2), orders=[[1]]), "number of orders is 1"),
        (lambda: gram({}), "gradients is"),
        (lambda: task_gradients({}, {}), "parameters is"),
    ],
)
def test_bad_tasks_are_refused(call, named):
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        call()
