"""Exactly what belongs to a channel: every topology against zeroed channels and against torch-pruning."""

import copy

import numpy as np
import pytest
import torch
import torch_pruning
from torch import nn
from torch.nn import functional as F

from mcomp import zoo
from mcomp.channels import Plan, channel_graph, remove_channels, zero_channels
from mcomp.channels.groups import text_table
from mcomp.channels.labels import Labels
from mcomp.channels.rules import same
from mcomp.codecs import Sparse, attach

IMAGE = (4, 2, 8, 8)


def sequential():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 3),
    )  # fmt: skip


def flattened():
    return nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(180, 4), nn.GELU(), nn.Linear(4, 3)
    )


def normed():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5),
        nn.PReLU(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip


def depthwise():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1),
        nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def transposed():
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.ConvTranspose2d(6, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 3, 3))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.a = nn.Conv2d(6, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(x + self.b(F.relu(self.norm(self.a(x)))))
        return self.head(x.mean((2, 3)))


class Concat(nn.Module):
    """Two branches side by side, the input itself as a third, and a sum over what was put together."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 6, 1)
        self.norm = nn.BatchNorm2d(12)
        self.c, self.d = nn.Conv2d(12, 5, 3), nn.Conv2d(10, 5, 3)

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        y = self.c(F.relu(self.norm(torch.cat([a, x, b], 1)))) + self.d(torch.cat((a, b), dim=1))
        return y.sum((2, 3))


class TwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 6, 1), nn.Conv2d(10, 3, 3)

    def forward(self, x):
        return self.c(F.relu(torch.cat([self.a(x), self.b(x)], 1)))


def multiplied():
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.Conv2d(6, 12, 3, groups=6), nn.ReLU(), nn.Conv2d(12, 4, 1))


class ByName(nn.Module):
    """Arguments given by name; a sigmoid whose 0.5 a depthwise convolution of zeros stops."""

    def __init__(self):
        super().__init__()
        self.a, self.deep, self.head = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.deep(torch.sigmoid(input=self.a(input=x)))
        return self.head(torch.mean(input=x, dim=(2, 3)))


class Mixed(nn.Module):
    """A concatenation added to one layer's output: its channels belong to two groups."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.whole = nn.Linear(4, 3), nn.Linear(4, 5), nn.Linear(4, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(F.relu(torch.cat([self.a(x), self.b(x)], -1) + self.whole(x)))


class Scale(nn.Module):
    """A layer of one's own, with a number for each channel."""

    def __init__(self, channels):
        super().__init__()
        self.gain, self.shift = (
            nn.Parameter(torch.ones(1, channels, 1, 1)),
            nn.Parameter(torch.ones(channels)),
        )

    def forward(self, x):
        return x * self.gain + self.shift[None, :, None, None]


class OwnWeights(nn.Module):
    def __init__(self, read, made):
        super().__init__()
        self.kernel, self.offset = nn.Parameter(torch.ones(made, read, 1, 1)), nn.Parameter(torch.ones(made))

    def forward(self, x):
        return F.conv2d(x, self.kernel, self.offset)


def custom():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), Scale(6), nn.ReLU(), OwnWeights(6, 8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)
    )


class Gate(nn.Module):
    """Squeeze and excitation: a sigmoid that multiplies the channels."""

    def __init__(self):
        super().__init__()
        self.stem, self.down, self.up = nn.Conv2d(2, 6, 3), nn.Linear(6, 4), nn.Linear(4, 6)
        self.head = nn.Conv2d(6, 3, 3)

    def forward(self, x):
        x = self.stem(x).relu()
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean(dim=[2, 3])))))
        return self.head(x * gate[:, :, None, None]).amax((2, 3))


class Twice(nn.Module):
    """One layer used twice, and one matrix under two names."""

    def __init__(self):
        super().__init__()
        self.stem, self.again = nn.Linear(4, 6), nn.Linear(6, 6)
        self.left, self.right = nn.Linear(6, 5), nn.Linear(6, 5)
        self.right.weight = self.left.weight
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        x = self.again(F.relu(self.again(F.relu(self.stem(x)))))
        return self.head(F.relu(self.left(x)) + F.relu(self.right(x)))


class Sequence(nn.Module):
    """The two layers of a transformer's block: channels on the last axis."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.down(F.gelu(self.up(x.transpose(1, 2))).permute(0, 2, 1).transpose(-1, -2))


class Viewed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 4, 3), nn.Linear(36, 3)

    def forward(self, x):
        x = self.conv(x)[:, :, ::2, ::2]
        return self.head(x.reshape(x.size(0), -1))


# name: how to make it, the shape of its input, its groups (layers -> channels)
TOPOLOGIES = {
    "sequential": (sequential, IMAGE, {("0",): 6, ("3",): 8, ("6",): 10}),
    "flatten": (flattened, IMAGE, {("0",): 5, ("3",): 4}),
    "batch norm": (normed, IMAGE, {("0",): 6, ("3",): 5}),
    "depthwise": (depthwise, IMAGE, {("0",): 6, ("4",): 4}),
    "depthwise, two filters each": (multiplied, IMAGE, {("0",): 6}),
    "transposed": (transposed, IMAGE, {("0",): 6, ("1",): 4}),
    "residual": (Residual, IMAGE, {("stem", "b"): 6, ("a",): 4}),
    "concat": (Concat, IMAGE, {("a",): 4, ("b",): 6}),
    "two branches": (TwoBranches, IMAGE, {("a",): 4, ("b",): 6}),
    "mixed": (Mixed, (4, 4), {("a", "whole"): 3, ("b", "whole"): 5}),
    "by name": (ByName, IMAGE, {("a",): 4}),
    "custom": (custom, IMAGE, {("0",): 6, ("3",): 8}),
    "gate": (Gate, IMAGE, {("stem", "up"): 6, ("down",): 4}),
    "shared": (Twice, (4, 4), {("stem", "again"): 6, ("left", "right"): 5}),
    "sequence": (Sequence, (4, 4, 5), {("up",): 8}),
    "view": (Viewed, IMAGE, {("conv",): 4}),
    "zoo resnet": (lambda: zoo.build("resnet", widths=(4, 6, 8)), (4, 1, 8, 8), None),
    "zoo lenet5": (lambda: zoo.build("lenet5", channels=(3, 4), hidden=6), (4, 1, 28, 28), None),
}
every_topology = pytest.mark.parametrize("name", TOPOLOGIES)


def whole_numbers(model, seed=0):
    """Small integers for weights, so that sums are exact in float64 in any order: `torch.equal` holds.

    A batch norm with mean an integer, variance 1 and epsilon 0 gives integers, too.
    """
    rng = np.random.default_rng(seed)
    model = model.double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.integers(1, 4, p.shape) * rng.choice([-1, 1], p.shape)))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
                module.running_mean.copy_(torch.from_numpy(rng.integers(-3, 4, module.running_mean.shape)))
    return model


def made(name, seed=0):
    build, shape, _ = TOPOLOGIES[name]
    x = torch.from_numpy(np.random.default_rng(seed).integers(-2, 3, shape)).double()
    model = whole_numbers(build(), seed)
    return model, x, channel_graph(model, x[:2])


def some_of_each(graph, seed):
    rng = np.random.default_rng(seed)
    sizes = {name: len(group.units) for name, group in graph.groups.items()}
    return {name: rng.choice(n, rng.integers(1, n), replace=False) for name, n in sizes.items()}


@every_topology
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_smaller_network_computes_what_the_zeroed_one_does(name, seed):
    model, x, graph = made(name, seed)
    plan = Plan(graph, some_of_each(graph, seed))
    small, masked = remove_channels(model, plan), zero_channels(model, plan)
    same_everywhere = name not in ("gate", "by name", "sequential", "flatten", "sequence")
    if same_everywhere:
        assert torch.equal(small(x), masked(x))
    else:  # tanh, gelu and the sigmoid give no integers: sums in another order, in float64
        torch.testing.assert_close(small(x), masked(x), rtol=1e-12, atol=1e-12)
    assert sum(p.numel() for p in small.parameters()) == plan.parameters()[1] < plan.parameters()[0]
    assert not torch.equal(model(x), masked(x))


@every_topology
def test_the_groups_are_those_of_the_topology(name):
    expected = TOPOLOGIES[name][2]
    _, _, graph = made(name)
    if expected is not None:
        assert {group.layers: len(group.units) for group in graph.groups.values()} == expected


# torch-pruning 1.6.1 makes a network that fails of the others: the network's input in a concatenation, two
# filters a depthwise channel, weights that a layer of one's own gives to F.conv2d. The zeroed network above
# is their oracle.
PEER = sorted({*TOPOLOGIES} - {"concat", "depthwise, two filters each", "custom"})


@pytest.mark.parametrize("name", PEER)
def test_surgery_agrees_with_torch_pruning(name):
    model, x, graph = made(name)
    for group in graph.groups.values():
        peer = copy.deepcopy(model)
        root = peer.get_submodule(group.layers[0])
        positions = [0, len(group.units) - 2]
        plan = Plan(graph, {group.name: positions})
        tracked = torch_pruning.DependencyGraph().build_dependency(peer, example_inputs=x)
        tracked.get_pruning_group(
            root, tracked.get_pruner_of_module(root).prune_out_channels, positions
        ).prune()
        ours, theirs = remove_channels(model, plan).state_dict(), peer.state_dict()
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        assert str(remove_channels(model, plan)) == str(peer)


def test_what_one_channel_touches():
    graph = channel_graph(flattened(), torch.zeros(1, *IMAGE[1:]))
    assert graph.touched("0") == [("0.weight", 0, 1.0), ("0.bias", 0, 1.0), ("3.weight", 1, 36.0)]
    assert graph.readers("0") == ("3",)
    assert "0             5  0        3" in repr(graph)
    assert "5 stays: it makes the network's output" in repr(graph)


class Both(nn.Module):
    """conv, what it is given, then a linear layer."""

    def __init__(self, middle, *, features=4):
        super().__init__()
        self.conv, self.middle, self.head = nn.Conv2d(2, 4, 3), middle, nn.Linear(features, 3)

    def forward(self, x):
        return self.head(self.middle(self.conv(x)).mean((2, 3)))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.ones(4, 6, 6))

    def forward(self, x):
        return x + self.table


REFUSED = {
    "groups": (nn.Conv2d(4, 4, 1, groups=2), r"middle \(Conv2d\) is a convolution in 2 groups"),
    "group norm": (nn.GroupNorm(2, 4), r"middle \(GroupNorm\) normalizes over the channels"),
    "softmax": (nn.Softmax(1), r"middle \(Softmax\) can't be followed"),
    "unknown function": (Function(torch.cumsum), "cumsum can't be followed"),
    "sorted": (Function(lambda x: x.sort(1).values), "sort can't be followed"),
    "half of them": (Function(lambda x: x[:, :2].repeat(1, 2, 1, 1)), "getitem picks some of them"),
    "one of them": (Function(lambda x: x[:, 0][:, None].expand(-1, 4, -1, -1)), "getitem picks some of them"),
    "mixed": (Function(lambda x: x + x.mean(1, keepdim=True)), "mean mixes the channels"),
    "sigmoid": (nn.Sigmoid(), r"head \(Linear\) reads a value that isn't zero"),
    "plus one": (Function(lambda x: x + 1), r"head \(Linear\) reads a value that isn't zero"),
    "plus one, by name": (
        Function(lambda x: torch.add(x, other=1)),
        r"head \(Linear\) reads a value that isn't zero",
    ),
    "one minus": (Function(lambda x: 1 - x), r"head \(Linear\) reads a value that isn't zero"),
    "a table, by name": (
        Function(lambda x: torch.add(x, other=torch.ones_like(x))),
        "ones_like can't be followed",
    ),
    "norm without weights": (
        nn.BatchNorm2d(4, affine=False),
        r"head \(Linear\) reads a value that isn't zero",
    ),
    "divided": (Function(lambda x: x / (1 + x.abs())), "truediv divides by channels"),
    "a table": (Buffered(), "add joins them with a tensor that isn't made by a layer"),
    "branching": (Branching(), r"middle \(Branching\) can't be followed"),
    "written": (Function(lambda x: x.view(-1, 4, 36)[..., None]), "view writes their number into its code"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_safe_is_refused_by_name(name):
    middle, why = REFUSED[name]
    if isinstance(middle, Function) and middle.function is torch.cumsum:
        middle = Function(lambda x: torch.cumsum(x, 1))
    model, x = Both(middle), torch.zeros(2, *IMAGE[1:])
    graph = channel_graph(model, x)
    assert graph.groups == {}
    assert set(graph.refused) >= {"conv", "head"}
    with pytest.raises(ValueError, match=f"group is 'conv'.*conv stays: {why}"):
        Plan(graph, {"conv": [0]})


class AddsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 1, 1)

    def forward(self, x):
        return self.head(x + self.conv(x))


class Spread(nn.Module):
    """One channel that multiplies all: it can't go."""

    def __init__(self):
        super().__init__()
        self.conv, self.map, self.head = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 1, 1), nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.head(self.conv(x) * self.map(x))


def test_a_sum_with_the_input_and_a_spread_channel():
    x = torch.zeros(2, *IMAGE[1:])
    assert "joins them with a tensor" in channel_graph(AddsInput(), x).refused["conv"]
    graph = channel_graph(Spread(), x)
    assert list(graph.groups) == ["conv"]
    assert "mul spreads one channel over all" in graph.refused["map"]


def test_a_rule_for_a_module_that_cannot_be_traced():
    x = torch.zeros(2, *IMAGE[1:])
    graph = channel_graph(Both(Branching()), x, rules={Branching: same})
    assert list(graph.groups) == ["conv"]


def test_tracing_changes_nothing():
    model = zoo.build("resnet", widths=(4, 4, 4)).train()
    before = copy.deepcopy(model.state_dict())
    channel_graph(model, torch.randn(2, 1, 28, 28))
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_bad_input():
    model = sequential()
    with pytest.raises(
        ValueError, match=r"x is 'of shape \(2, 5, 8, 8\)'; allowed: an input of this network"
    ):
        channel_graph(model, torch.zeros(2, 5, 8, 8))
    with pytest.raises(ValueError, match="x is 'str'"):
        channel_graph(model, "image")
    with pytest.raises(
        ValueError, match=r"model is 'Branching'; allowed: a network whose forward torch\.fx can"
    ):
        channel_graph(Branching(), torch.zeros(2))
    attach(model, {"0.weight": Sparse(0.5)})
    with pytest.raises(
        ValueError, match=r"layer is '0, whose weight Attached makes'.*call mcomp\.codecs\.bake"
    ):
        channel_graph(model, torch.zeros(*IMAGE))


def test_labels_join_and_freeze():
    labels = Labels()
    a, b = labels.fresh(3), labels.fresh(3)
    labels.freeze(b[:1], "because")
    labels.freeze(b[:1], "and so on")
    labels.join(a, b[[0, 1, 1]])
    assert labels.roots(b).tolist() == [0, 1, 5]
    assert labels.roots(a).tolist() == [0, 1, 1]
    assert [labels.reason(i) for i in (0, 1, 5)] == ["because", None, None]


def test_text_table_of_words_and_numbers():
    assert text_table([("a", "n"), ("b", 1000), ("c", 2)]) == "a      n\nb  1,000\nc      2"
