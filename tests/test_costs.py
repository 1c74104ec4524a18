"""MACs against torch's own counter of operations, bytes against sums written out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from mcomp.gpt import TinyGPT
from mcomp.measure.costs import arithmetic_intensity, layer_costs, macs_by_layer
from mcomp.transformers.encoder import Encoder


def by_torch(model, x):
    """The oracle sees matrix products and convolutions below autograd: two operations a MAC."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops() / 2


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    groups=st.integers(1, 3),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    batch=st.integers(1, 3),
    kind=st.sampled_from([nn.Conv2d, nn.ConvTranspose2d]),
)
def test_convolutions_agree_with_torch(
    groups, inputs, outputs, kernel, stride, padding, dilation, batch, kind
):
    layer = kind(
        groups * inputs, groups * outputs, kernel, stride, padding=padding, dilation=dilation, groups=groups
    )
    x = torch.randn(batch, groups * inputs, 9, 8)
    assert sum(macs_by_layer(layer, x).values()) == by_torch(layer, x)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Linear(5, 3), (4, 5)),
        (nn.Linear(5, 3, bias=False), (2, 7, 5)),
        (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 11)),
        (nn.Conv3d(2, 3, 2), (1, 2, 5, 4, 3)),
        (nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), (2, 4, 11)),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 9)), (2, 1, 8, 8)),
    ],
)
def test_other_layers_agree_with_torch(model, shape):
    x = torch.randn(shape)
    assert sum(macs_by_layer(model.eval(), x).values()) == by_torch(model, x)


def test_lenet5_by_pencil():
    conv = nn.Sequential(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2))
    model = nn.Sequential(*conv, nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))
    found = macs_by_layer(model, torch.zeros(1, 1, 28, 28))
    assert found == {"0": 24 * 24 * 20 * 25, "2": 8 * 8 * 50 * 20 * 25, "5": 800 * 500, "7": 500 * 10}


def test_costs_of_one_layer_by_pencil():
    layer = nn.Conv2d(2, 4, 3)
    with torch.no_grad():
        layer.weight[0].zero_()
        layer.bias.fill_(1)
    (cost,) = layer_costs(layer, torch.zeros(3, 2, 8, 8))
    assert (cost.name, cost.kind) == ("(the model)", "Conv2d")
    assert cost.parameters == 4 * 2 * 9 + 4
    assert cost.nonzero == 3 * 2 * 9 + 4
    assert cost.macs == 3 * 4 * 36 * 18
    assert cost.nbytes == 4 * (3 * 2 * 64 + 76 + 3 * 4 * 36)
    assert cost.intensity == 2 * cost.macs / cost.nbytes
    assert arithmetic_intensity(layer, torch.zeros(3, 2, 8, 8)) == {"(the model)": cost.intensity}


def test_half_precision_moves_half_the_bytes():
    layer, x = nn.Linear(16, 8), torch.zeros(4, 16)
    (whole,), (half,) = layer_costs(layer, x), layer_costs(layer.bfloat16(), x.bfloat16())
    assert half.nbytes * 2 == whole.nbytes


def test_a_layer_called_twice_has_both_calls():
    layer = nn.Linear(6, 6)
    (twice,) = layer_costs(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 6))
    (once,) = layer_costs(layer, torch.zeros(1, 6))
    assert (twice.macs, twice.nbytes) == (2 * once.macs, 2 * once.nbytes)
    assert twice.parameters == once.parameters


class Zero(nn.Module):
    def forward(self, w):
        return w * 0


def test_a_parametrised_layer_costs_what_the_plain_one_costs():
    model, x = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), torch.zeros(2, 6)
    plain = layer_costs(model, x)
    parametrize.register_parametrization(model[0], "weight", Zero())
    found = layer_costs(model, x)
    assert [(c.name, c.kind, c.parameters, c.macs, c.nbytes) for c in found] == [
        (c.name, c.kind, c.parameters, c.macs, c.nbytes) for c in plain
    ]
    assert found[0].nonzero == int((model[0].bias != 0).sum())


def test_input_modes_hooks_and_statistics_are_left_alone():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    model[3].eval()
    x, modes = -torch.ones(3, 4), [m.training for m in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    layer_costs(model, x)
    assert (x == -1).all()
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_hooks_go_and_modes_return_after_an_error():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 5)).train()
    with pytest.raises(RuntimeError):
        layer_costs(model, torch.zeros(1, 4))
    assert not any(m._forward_hooks for m in model.modules())
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize("x", [None, [1.0], torch.tensor(1.0), torch.zeros(0, 4), torch.zeros(3, 0)])
def test_an_input_that_is_none_is_refused(x):
    with pytest.raises(ValueError, match=r"x.* is .*; allowed: "):
        macs_by_layer(nn.Linear(4, 4), x)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(batch=st.integers(1, 3), n=st.integers(1, 9), heads=st.sampled_from([1, 2, 4]), fewer=st.booleans())
def test_what_attention_multiplies_without_weights(batch, n, heads, fewer):
    """Scores and mixing: 2·n² products of a head's 8 numbers, in each head, also where heads share keys."""
    model = TinyGPT(dim=8 * heads, layers=2, heads=heads, hidden=12, kv_heads=1 if fewer else heads)
    encoder = Encoder(vocabulary=9, positions=9, dim=8 * heads, layers=2, heads=heads, hidden=12)
    for network in (model, encoder):
        found = macs_by_layer(network, torch.ones(batch, n, dtype=torch.int64))
        assert found["layers.1.attention"] == batch * heads * 2 * n * n * 8
        assert found["layers.1.attention.o_proj"] == batch * n * (8 * heads) ** 2
