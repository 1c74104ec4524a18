"""Networks drawn at random, most of them senseless: what is offered for removal is exact all the same."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mcomp.channels import Plan, channel_graph, remove_channels, zero_channels


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *xs):
        return self.function(*xs)


class Scaled(nn.Module):
    """A parameter along one axis, or a buffer."""

    def __init__(self, shape, axis, *, learned):
        super().__init__()
        tensor = torch.ones([size if i == axis % len(shape) else 1 for i, size in enumerate(shape)])
        self.gain = nn.Parameter(tensor) if learned else nn.Buffer(tensor)

    def forward(self, x):
        return x * self.gain + 0.5 * self.gain


# From a shape to a layer; what doesn't fit is drawn again.
LAYERS = (
    lambda s: nn.Conv2d(s[1], 4, 3, padding=1),
    lambda s: nn.Conv2d(s[1], 6, 1, bias=False),
    lambda s: nn.Conv2d(s[1], 2 * s[1], 3, padding=1, groups=s[1]),
    lambda s: nn.Conv2d(s[1], 4, 1, groups=2),
    lambda s: nn.ConvTranspose2d(s[1], 4, 2, 2),
    lambda s: nn.Linear(s[-1], 4),
    lambda s: nn.Linear(s[-1], 6),
    lambda s: nn.BatchNorm2d(s[1]),
    lambda s: nn.BatchNorm1d(s[1]),
    lambda s: nn.InstanceNorm1d(s[1], affine=True),
    lambda s: nn.LayerNorm(s[-1]),
    lambda s: nn.GroupNorm(1, s[1]),
    lambda s: nn.PReLU(s[1]),
    lambda s: Scaled(s, 1, learned=True),
    lambda s: Scaled(s, -1, learned=True),
    lambda s: Scaled(s, 1, learned=False),
    lambda s: nn.Conv1d(s[1], 6, 1),
    lambda s: nn.ReLU(),
    lambda s: nn.Sigmoid(),
    lambda s: nn.MaxPool2d(3, 1, 1),
    lambda s: nn.PixelShuffle(2),
    lambda s: nn.GLU(1),
    lambda s: nn.ChannelShuffle(2),
    lambda s: nn.Upsample(scale_factor=2),
    lambda s: nn.Softmax(-1),
    lambda s: nn.Flatten(1, 2),
)
FUNCTIONS = (
    lambda x: x.permute(0, 2, 1, 3),
    lambda x: x.transpose(1, -1),
    lambda x: x.flatten(2).mT,
    lambda x: x.reshape(x.shape[0], -1),
    lambda x: x.view(x.size(0), x.size(1), -1),
    lambda x: x.reshape(x.shape[0], 2, x.shape[1] // 2, *x.shape[2:]),
    lambda x: x.mean((2, 3)),
    lambda x: x.mean(1, keepdim=True),
    lambda x: x[:, :, ::2],
    lambda x: x[..., -1],
    lambda x: x[:, : x.shape[1] // 2],
    lambda x: x[:, None],
    lambda x: x.squeeze(1),
    lambda x: torch.mul(*x.chunk(2, 1)),
    lambda x: torch.cat(x.chunk(2, -1)[::-1], -1),
    lambda x: F.pad(x, [1, 0, 0, 1]),
    lambda x: x / x.shape[1] ** 0.5,
    lambda x: 1 - x,
    lambda x: sum([x, x * 2]),  # which begins with 0 + x
    lambda x: x.clamp(min=0) + x.clamp(-1, 2) ** 2,
    lambda x: x.clamp(min=0.5),
    lambda x: 2**x,
    lambda x: x.clone().add_(x.mean(1, keepdim=True)),
)
JOINS = (
    torch.add,
    torch.mul,
    lambda x, y: x - y,
    lambda x, y: torch.cat([x, y], 1),
    lambda x, y: torch.cat([x, y], -1),
    lambda x, y: torch.stack([x, y], 2),
    lambda x, y: x @ y.transpose(-1, -2),
)


class Chain(nn.Module):
    """Each step takes the last result, or one further back, or two of them; a layer may be used again."""

    def __init__(self, draws, x):
        super().__init__()
        self.layers, self.steps, made = nn.ModuleList(), [], [x]
        for kind, source, other in draws:
            a, b = -1 - source % min(2, len(made)), -1 - other % len(made)
            layer = self.drawn(kind, made[a].shape)
            indices = (a, b) if kind >= len(LAYERS) + len(FUNCTIONS) else (a,)
            try:
                y = layer(*[made[i] for i in indices])
            except (RuntimeError, ValueError, IndexError, TypeError):
                continue
            if layer not in self.layers:
                self.layers.append(layer)
            self.steps.append((list(self.layers).index(layer), indices))
            made.append(y)
        self.head = nn.Linear(made[-1].shape[-1], 2)

    def drawn(self, kind, shape):
        if kind < len(LAYERS):
            try:
                return LAYERS[kind](shape)
            except (IndexError, ValueError, RuntimeError):
                return nn.Identity()
        if kind < len(LAYERS) + len(FUNCTIONS):
            return Apply(FUNCTIONS[kind - len(LAYERS)])
        last = kind - len(LAYERS) - len(FUNCTIONS)
        return Apply(JOINS[last]) if last < len(JOINS) else (list(self.layers) or [nn.Identity()])[0]

    def forward(self, x):
        made = [x]
        for index, sources in self.steps:
            made.append(self.layers[index](*[made[i] for i in sources]))
        return self.head(made[-1])


KINDS = len(LAYERS) + len(FUNCTIONS) + len(JOINS) + 1
draws = st.lists(
    st.tuples(
        st.integers(0, KINDS - 1) | st.integers(0, 7), st.sampled_from([0, 0, 0, 1]), st.integers(0, 8)
    ),
    min_size=3,
    max_size=9,
)


def exact(model, x, graph, seed):
    """Two plans of a graph, carried out and zeroed: sums in another order, in float64."""
    rng = np.random.default_rng(seed)
    for _ in range(2 if graph.groups else 0):
        sizes = {name: len(group.units) for name, group in graph.groups.items()}
        plan = Plan(graph, {name: rng.permutation(n)[rng.integers(1, n + 1) :] for name, n in sizes.items()})
        with torch.no_grad():
            small, masked = remove_channels(model, plan)(x), zero_channels(model, plan)(x)
        torch.testing.assert_close(small, masked, rtol=1e-10, atol=1e-11 * float(masked.abs().max()))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(draws, st.integers(0, 9))
def test_what_is_offered_of_any_network_is_exact(draws, seed):
    torch.manual_seed(seed)
    x = torch.randn(2, 3, 4, 4)
    model, x = Chain(draws, x).eval().double(), x.double()
    graph = channel_graph(model, x)
    assert graph.refused or graph.groups
    exact(model, x, graph, seed)


MAKERS = (
    (lambda: nn.Conv2d(3, 4, 1), (2, 3, 4, 4)),
    (lambda: nn.Linear(4, 4), (2, 3, 4, 4)),
    (lambda: nn.Conv1d(3, 4, 1), (2, 3, 4)),
)
READERS = (
    lambda s: nn.Linear(s[-1], 2),
    lambda s: nn.Conv2d(s[1], 2, 1),
    lambda s: nn.Conv1d(s[1], 2, 1),
    lambda s: nn.Conv2d(s[1], s[1], 1, groups=s[1]),
)
COUNTED = FUNCTIONS[16]  # divides by a number of channels: the run alone can tell


@pytest.mark.parametrize("op", range(len(LAYERS) + len(FUNCTIONS)))
def test_the_rule_of_an_operation_between_any_two_layers(op, monkeypatch):
    ops = (*LAYERS, *((lambda s, f=f: Apply(f)) for f in FUNCTIONS))
    if op < len(LAYERS) or FUNCTIONS[op - len(LAYERS)] is not COUNTED:  # the rules alone, without the run
        monkeypatch.setattr("mcomp.channels.graph.disagreements", lambda *_: {})
    torch.manual_seed(0)
    tried = 0
    for (make, shape), read in itertools.product(MAKERS, READERS):
        x = torch.randn(shape)
        try:
            first = make()
            middle = ops[op](first(x).shape)
            between = middle(first(x))
            model = nn.Sequential(first, nn.ReLU(), middle, read(between.shape))
            model(x)
        except (RuntimeError, ValueError, IndexError):
            continue
        tried += 1
        model, given = model.eval().double(), x.double()
        graph = channel_graph(model, given)
        assert ("0" in graph.refused) != any("0" in group.layers for group in graph.groups.values())
        exact(model, given, graph, seed=0)
    assert tried
