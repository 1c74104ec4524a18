"""Blocks taken out, their scores, and convolutions made separable."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import mcomp
from mcomp import zoo
from mcomp.measure import largest_difference
from mcomp.structure import drop, droppable, influence, loss_without, separable


class Residual(nn.Module):
    def __init__(self, n, *, keyword=False):
        super().__init__()
        self.layer = nn.Linear(n, n)

    def forward(self, x, mask=None):
        return x + F.relu(self.layer(x)) if mask is None else x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Residual(4) for _ in range(3))
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def test_a_dropped_block_is_skipped_and_the_file_knows(tmp_path):
    torch.manual_seed(0)
    model, x = Net(), torch.randn(5, 4)
    before = copy.deepcopy(model.state_dict())
    smaller = drop(model, ["blocks.1"], x=x)
    by_hand = model.last(model.blocks[2](model.blocks[0](x)))
    assert torch.equal(smaller(x), by_hand)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    resnet = zoo.load("resnet")
    few = torch.randn(3, 1, 28, 28)
    small = drop(resnet, ["block1"], x=few)
    mcomp.save(small, tmp_path / "small.safetensors")
    assert torch.equal(mcomp.load(tmp_path / "small.safetensors")(few), small(few))


def test_a_shared_block_goes_everywhere():
    layer = nn.Linear(3, 3)
    model, x = nn.Sequential(layer, nn.ReLU(), layer), torch.randn(2, 3)
    assert torch.equal(drop(model, ["0"], x=x)(x), F.relu(x))


class ByKeyword(Net):
    def forward(self, x):
        return self.last(self.blocks[0](x=x))


class WithMask(Net):
    def forward(self, x):
        return self.last(self.blocks[0](x, torch.ones(1)))


class Pair(Net):
    def forward(self, x):
        return self.last(nn.LSTM(4, 4)(x)[0])


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        (Net(), "last", r"last, which makes \(5, 2\) of \(5, 4\)"),
        (Net(), "blocks", "blocks, which the network doesn't call"),
        (ByKeyword(), "blocks.0", "blocks.0, which gets 1 arguments, 1 of them by keyword"),
        (WithMask(), "blocks.0", "blocks.0, which gets 2 arguments"),
        (Net(), "nowhere", "the name of a block is 'nowhere'"),
        (Net(), "", "the name of a block"),
    ],
)
def test_what_cant_be_dropped_is_named(model, name, message):
    with pytest.raises(ValueError, match=message):
        drop(model, [name], x=torch.randn(5, 4))


def test_a_name_instead_of_names_is_refused():
    with pytest.raises(ValueError, match="a list of names"):
        drop(Net(), "last", x=torch.randn(1, 4))
    with pytest.raises(ValueError, match="a list of names"):
        separable(nn.Sequential(nn.Conv2d(2, 2, 3)), "0")


def test_droppable_are_the_outermost():
    assert droppable(Net(), torch.randn(2, 4)) == ["blocks.0", "blocks.1", "blocks.2"]


def test_influence_sees_angles_and_lengths():
    model, x = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)), torch.randn(7, 2)
    with torch.no_grad():
        model[0].weight.copy_(3 * torch.eye(2))  # three times as long, the same direction
        model[1].weight.copy_(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))  # a right angle
    found = influence(model, ["0", "1"], x, batch_size=2)
    assert found["0"].cosine == pytest.approx(0, abs=1e-6)  # float32 weights
    assert found["0"].relative == pytest.approx(2, abs=1e-6)
    assert found["1"].cosine == pytest.approx(1, abs=1e-6)
    assert found["1"].relative == pytest.approx(2**0.5, abs=1e-6)
    with pytest.raises(ValueError, match="0 with a position of zeros"):
        influence(model, ["0"], torch.zeros(1, 2))


def test_influence_by_hand_on_images():
    model, x = zoo.load("resnet"), torch.randn(6, 1, 28, 28)
    found = influence(model, ["block1"], x, batch_size=4)["block1"]
    with torch.no_grad():
        h = model.pool(model.relu(model.bn(model.conv(x))))
        g = model.block1(h)
    cosine = 1 - F.cosine_similarity(h, g, dim=1)
    assert found.cosine == pytest.approx(float(cosine.mean()), rel=1e-4)  # float32 against float64
    assert found.relative == pytest.approx(float(((g - h).norm(dim=1) / h.norm(dim=1)).mean()), rel=1e-4)


def test_the_honest_score_is_the_loss():
    torch.manual_seed(0)
    model, x, y = Net().eval(), torch.randn(9, 4), torch.randint(0, 2, (9,))
    found = loss_without(model, ["blocks.0", "blocks.2"], (x, y))
    with torch.no_grad():
        assert found[""] == pytest.approx(float(F.cross_entropy(model(x), y)), rel=1e-6)
        without = model.last(model.blocks[1](model.blocks[0](x)))
        assert found["blocks.2"] == pytest.approx(float(F.cross_entropy(without, y)), rel=1e-6)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    out=st.integers(1, 5), inputs=st.integers(1, 4), size=st.sampled_from([1, 2, 3, (3, 2)]),
    stride=st.integers(1, 2), padding=st.integers(0, 2), dilation=st.integers(1, 2), rank=st.integers(1, 6),
    mode=st.sampled_from(["zeros", "circular"]), bias=st.booleans(),
)  # fmt: skip
def test_separable_is_nearest_and_exact_at_full_rank(
    out, inputs, size, stride, padding, dilation, rank, mode, bias
):
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, out, size, stride, padding, dilation, bias=bias, padding_mode=mode)
    model = nn.Sequential(layer).double()
    full = min(out, layer.weight[0, 0].numel())
    rank = min(rank, full)
    made = separable(model, ["0"], rank=rank, larger=True)
    depth, point = made[0]
    w = torch.einsum(
        "oir,irhw->oihw",
        point.weight.reshape(out, inputs, rank),
        depth.weight.unflatten(0, (inputs, rank))[:, :, 0],
    )
    s = torch.linalg.svdvals(model[0].weight.detach().transpose(0, 1).flatten(2))
    missing = float((s[:, rank:] ** 2).sum())  # Eckart-Young, channel by channel
    assert float(((w - model[0].weight) ** 2).sum()) == pytest.approx(missing, abs=1e-10)
    if rank == full:
        x = torch.randn(2, inputs, 9, 8)
        assert largest_difference(model, made, x) < 1e-12


@pytest.mark.parametrize(
    ("layer", "rank", "message"),
    [
        (nn.Conv2d(4, 4, 3, groups=2), 1, "0 with 2 groups"),
        (nn.Conv2d(4, 8, 3), 9, "0: rank is 9; allowed: .*8"),
        (nn.Conv2d(4, 8, 3), 5, "0, 340 weights for 288"),
        (nn.Linear(4, 8), 1, "the name of a layer is '0'"),
    ],
)  # fmt: skip
def test_what_cant_be_separated_is_named(layer, rank, message):
    with pytest.raises(ValueError, match=message):
        separable(nn.Sequential(layer), ["0"], rank=rank)


def test_a_frozen_layer_stays_frozen():
    layer = nn.Conv2d(4, 8, 3).requires_grad_(False)
    made = separable(nn.Sequential(layer), ["0"])
    assert not any(p.requires_grad for p in made.parameters())
