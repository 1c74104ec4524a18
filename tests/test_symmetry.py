"""Channels renumbered: the same function in float64, scipy's assignment, a planted order found again."""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import nn

import mcomp
from mcomp.measure import largest_difference
from mcomp.merge import assign, match_activations, match_weights, permute, random_orders, symmetries


class Residual(nn.Module):
    """A stream that two blocks write into, one with a shortcut that reads and writes it."""

    def __init__(self, width=6):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.conv2 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.mixed = nn.Conv2d(width, width, 1)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        h = self.norm(self.stem(x)).relu()
        h = h + self.conv2(self.conv1(h).relu())
        h = h + self.mixed(h)
        return self.head(h.relu().mean((2, 3)))


def noisy(model, seed=0):
    """With statistics of a batch norm and biases that aren't alike."""
    rng = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=rng)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=rng)
    return model.eval()


NETWORKS = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)),
        (4, 5),
    ),
    "convolution and flatten": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(),
                              nn.Flatten(), nn.Linear(24, 3)),
        (4, 1, 6, 6),
    ),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 5, 1),
                              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)),
        (4, 1, 6, 6),
    ),
    "residual": (Residual, (4, 1, 6, 6)),
}  # fmt: skip


def made(name, seed=0):
    torch.manual_seed(seed)
    build, shape = NETWORKS[name]
    return noisy(build(), seed), torch.randn(shape)


@torch.no_grad()
def inner(a, b):
    return sum(float((p * q).sum()) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_a_network_in_another_order_is_the_same_function(name, seed):
    model, x = made(name, seed)
    before = copy.deepcopy(model.state_dict())
    graph = symmetries(model, x)
    turned = permute(model, graph, random_orders(graph, seed=seed))
    assert largest_difference(model, turned, x) < 1e-12
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), turned.parameters(), strict=True))
    assert all(torch.equal(before[n], tensor) for n, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_turning_back_gives_the_same_network(name):
    model, x = made(name)
    graph = symmetries(model, x)
    orders = random_orders(graph, seed=3)
    back = permute(
        permute(model, graph, orders), graph, {n: np.argsort(order) for n, order in orders.items()}
    )
    assert all(
        torch.equal(p, q)
        for p, q in zip(model.state_dict().values(), back.state_dict().values(), strict=True)
    )


def test_layers_that_write_into_one_stream_share_an_order():
    model, x = made("residual")
    graph = symmetries(model, x)
    assert [set(group.layers) for group in graph.groups.values()] == [{"stem", "conv2", "mixed"}, {"conv1"}]


@pytest.mark.parametrize("name", ["lenet300", "lenet5", "resnet"])
def test_a_planted_order_is_found_again(name):
    model = mcomp.zoo.load(name, 0)
    x = mcomp.data.load("fashion-mnist").validation[0][:200]
    graph = symmetries(model, x[:2])
    for find in (match_weights, lambda *args: match_activations(*args, x)):
        turned = permute(model, graph, random_orders(graph, seed=1))
        back = permute(turned, graph, find(model, turned, graph))
        # channels that are dead or doubled have no order to be found: what they compute is what counts
        assert all(torch.equal(p, q) for p, q in zip(model.parameters(), back.parameters(), strict=True))


def test_matching_weights_is_no_worse_than_any_order_of_a_small_network():
    torch.manual_seed(0)
    a, b = (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in range(2))
    graph = symmetries(a, torch.randn(2, 3))

    def agreement(order):
        return inner(a, permute(b, graph, {"0": list(order)}))

    best = max(map(agreement, itertools.permutations(range(4))))
    assert agreement(match_weights(a, b, graph)["0"]) == pytest.approx(best, abs=1e-5)  # float32 sums


@pytest.mark.parametrize("name", NETWORKS)
def test_matching_never_ends_below_where_it_began(name):
    (a, x), (b, _) = made(name, 0), made(name, 1)
    graph = symmetries(a, x)
    turned = permute(b, graph, match_weights(a, b, graph))
    assert inner(a, turned) >= inner(a, b) - 1e-5
    assert largest_difference(b, turned, x) < 1e-12


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10**6), st.booleans())
def test_an_assignment_is_as_good_as_scipy_s(n, seed, ties):
    rng = np.random.default_rng(seed)
    gain = rng.integers(-2, 3, (n, n)).astype(float) if ties else rng.normal(size=(n, n))
    found = assign(gain)
    assert sorted(found.tolist()) == [*range(n)]
    rows, columns = linear_sum_assignment(gain, maximize=True)
    assert gain[range(n), found].sum() == pytest.approx(gain[rows, columns].sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("gain", "named"),
    [(np.zeros((2, 3)), "gain.shape"), (np.zeros((0, 0)), "gain is empty"), (np.array([[np.nan]]), "NaN")],
)
def test_bad_gains_are_refused(gain, named):
    with pytest.raises(ValueError, match=named):
        assign(gain)


@pytest.mark.parametrize(
    ("orders", "named"),
    [
        ({"9": [0, 1]}, "the group is '9'"),
        ({"0": [0, 0, 1, 2, 3, 4, 5]}, "the order of 0"),
        ({"0": [1, 0]}, "the order of 0"),
        ({"0": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, "the order of 0"),
    ],
)
def test_bad_orders_are_refused(orders, named):
    model, x = made("mlp")
    with pytest.raises(ValueError, match=named):
        permute(model, symmetries(model, x), orders)


def test_networks_of_other_shapes_are_refused():
    model, x = made("mlp")
    with pytest.raises(ValueError, match="as when the graph was made"):
        match_weights(model, nn.Linear(5, 3), symmetries(model, x))


def test_a_group_that_may_not_be_renumbered_is_refused(monkeypatch):
    """A graph that forgets the layer which reads the channels, as a wrong rule would make it."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    right = symmetries(model, torch.ones(1, 3))
    wrong = dataclasses.replace(right, slots={("0.weight", 0): right.slots["0.weight", 0]})
    monkeypatch.setattr("mcomp.merge.symmetry.channel_graph", lambda model, x: wrong)
    with pytest.raises(ValueError, match="the group is '0, in another order another function by"):
        symmetries(model, torch.ones(1, 3))
