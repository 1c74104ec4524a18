"""Layers and branches merged: the same function in float64, or refused with the layer's name."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import weight_norm

import mcomp
from mcomp.measure import largest_difference
from mcomp.structure import merge, merge_branches, mergeable, unmerged_branches
from mcomp.structure.affine import after, of_layer, of_norm, to_layer

EXACT = 1e-12  # relative, in float64: sums of a few hundred products
many = settings(derandomize=True, deadline=None, max_examples=200)


def stirred(model, seed=0):
    """In float64 and evaluation mode, with statistics of batch norm as after training."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.1, 4)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.double().eval()


def convolution(draw, inputs, outputs):
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    size = draw(st.sampled_from([1, 1, 3, (3, 1), 2]))
    padding = draw(st.sampled_from([0, 0, 1, "valid", "same"]))
    stride = draw(st.sampled_from([1, 1, 2])) if padding != "same" else 1
    return nn.Conv2d(
        inputs, outputs, size, stride, padding, draw(st.sampled_from([1, 1, 2])), groups, draw(st.booleans()),
        draw(st.sampled_from(["zeros", "zeros", "reflect", "circular"])),
    )  # fmt: skip


def tried(surgery):
    """What it makes and "", or None and why it refuses."""
    try:
        return surgery(), ""
    except ValueError as error:
        return None, str(error)


@many
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_two_convolutions_are_one_or_refused_by_name(data, seed):
    a, b, c = (data.draw(st.sampled_from([2, 4, 6])) for _ in range(3))
    first, second = convolution(data.draw, a, b), convolution(data.draw, b, c)
    model = stirred(nn.Sequential(first, nn.Identity(), second, nn.ReLU()), seed)
    x = torch.randn(2, a, 11, 9, generator=torch.Generator().manual_seed(1))
    try:
        wanted = model(x.double())
    except RuntimeError:
        return  # padding that torch itself refuses for this input
    before = copy.deepcopy(model.state_dict())
    merged, refusal = tried(lambda: merge(model, "0", "2", larger=True))
    assert (merged is None) == ("0 and 2" in refusal)
    if merged is None:
        return
    assert merged(x.double()).shape == wanted.shape
    assert largest_difference(model, merged, x) < EXACT
    assert isinstance(merged[2], nn.Identity)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class Branches(nn.Module):
    """Layers side by side, each branch a chain, an activation behind the sum."""

    def __init__(self, branches, act, same, factor):
        super().__init__()
        self.branches, self.act = nn.ModuleList(branches), act
        self.same, self.factor = same, factor

    def forward(self, x):
        total = self.factor * self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return self.act(total + x if self.same else total)


@many
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_branches_are_one_layer_or_refused_by_name(data, seed):
    draw, n = data.draw, data.draw(st.sampled_from([2, 4]))
    groups, stride = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 1, 2]))

    def branch():
        size, bias = draw(st.sampled_from([1, 3, 5])), draw(st.booleans())
        layers = [nn.Conv2d(n, n, size, stride, size // 2, groups=groups, bias=bias)]
        if draw(st.booleans()):
            layers.append(nn.BatchNorm2d(n, affine=draw(st.booleans())))
        if draw(st.booleans()):
            layers.append(nn.Conv2d(n, n, 1))
        if draw(st.integers(0, 4)) == 0:
            layers.insert(0, nn.BatchNorm2d(n) if draw(st.booleans()) else nn.Conv2d(n, n, 1, bias=bias))
        return nn.Sequential(*layers)

    branches = [branch() for _ in range(draw(st.integers(1, 3)))]
    if stride == 1 and draw(st.booleans()):
        branches.append(draw(st.sampled_from([nn.Identity(), nn.BatchNorm2d(n)])))
    act = draw(st.sampled_from([nn.ReLU(), nn.GELU("tanh"), nn.LeakyReLU(0.3), nn.Identity(), torch.relu]))
    block = Branches(branches, act, stride == 1 and draw(st.booleans()), draw(st.sampled_from([1.0, -0.5])))
    model = stirred(nn.Sequential(nn.Conv2d(3, n, 1), block), seed)
    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))
    merged, refusal = tried(lambda: merge_branches(model, "1"))
    assert (merged is None) == ("the block 1: " in refusal)
    if merged is None:
        return
    assert largest_difference(model, merged, x) < EXACT
    assert sum(isinstance(m, nn.Conv2d) for m in merged.modules()) == 2


class RepBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1, groups=1):
        super().__init__()
        options = {"stride": stride, "groups": groups, "bias": False}
        self.dense = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, **options), nn.BatchNorm2d(outputs)
        )
        self.point = nn.Sequential(nn.Conv2d(inputs, outputs, 1, **options), nn.BatchNorm2d(outputs))
        self.same = nn.BatchNorm2d(inputs) if inputs == outputs and stride == 1 else None

    def forward(self, x):
        y = self.dense(x) + self.point(x)
        return F.relu(y if self.same is None else y + self.same(x))


@mcomp.register("tests/rep")
class RepNet(nn.Sequential):
    def __init__(self):
        super().__init__(RepBlock(1, 8), RepBlock(8, 8), RepBlock(8, 8, groups=2), RepBlock(8, 6, stride=2))
        self.config = {}


def test_a_repvgg_becomes_a_row_of_convolutions_and_comes_back_from_a_file(tmp_path):
    model = merged = stirred(RepNet())
    assert unmerged_branches(model) == dict.fromkeys("0123", "")
    for name in "0123":
        merged = merge_branches(merged, name)
    assert [[type(m).__name__ for m in block] for block in merged] == 4 * [["Conv2d", "ReLU"]]
    x = torch.randn(2, 1, 9, 9)
    assert largest_difference(model, merged, x) < EXACT
    mcomp.save(merged, tmp_path / "rep.safetensors")
    again = mcomp.load(tmp_path / "rep.safetensors")
    assert torch.equal(again(x.double()), merged(x.double()))


def test_one_batch_norm_behind_a_convolution_is_torch_fusion():
    conv, norm = stirred(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)))
    ours, theirs = to_layer(after(of_norm(norm, 2), of_layer(conv)), conv), fuse_conv_bn_eval(conv, norm)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-12, atol=1e-14)  # float64, one product
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-12, atol=1e-14)


class Adapted(nn.Module):
    """A layer with a low-rank adapter (LoRA), and a skip."""

    def __init__(self):
        super().__init__()
        self.whole, self.down = nn.Linear(5, 5), nn.Linear(5, 2, bias=False)
        self.up = nn.Linear(2, 5, bias=False)

    def forward(self, x):
        return self.whole(x) + self.up(self.down(x)) * 0.25 + x


def test_an_adapter_merges_into_its_layer():
    model = stirred(Adapted())
    merged = merge_branches(model, "")
    assert isinstance(merged, nn.Linear)
    w = model.whole.weight + 0.25 * model.up.weight @ model.down.weight + torch.eye(5).double()
    torch.testing.assert_close(merged.weight, w, rtol=1e-12, atol=1e-14)
    assert largest_difference(model, merged, torch.randn(4, 5)) < EXACT


def test_linear_layers_in_a_row(tmp_path):
    model = stirred(nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 4, bias=False), nn.ReLU(), nn.Linear(4, 2)))
    assert mergeable(model) == {("0", "1"): (6 * 9 + 9 + 36, 6 * 4 + 4)}
    merged = merge(model, "0", "1")
    torch.testing.assert_close(merged[0].weight, model[1].weight @ model[0].weight)
    assert largest_difference(model, merged, torch.randn(3, 6)) < EXACT
    thin = stirred(nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 8)))
    assert mergeable(thin) == {}
    assert mergeable(thin, larger=True) == {("0", "1"): (42, 72)}
    with pytest.raises(ValueError, match=r"0, 72 numbers for 42.*larger=True"):
        merge(thin, "0", "1")


def shared():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Linear(3, 3), nn.ReLU(), layer)


def frozen():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].requires_grad_(False)
    return model


class Forked(nn.Sequential):
    def forward(self, x):
        y = self[0](x)
        return self[1](y) + y


def hooked():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[0].register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)), r"what follows .* is '1 \(behind 0\)'"),
        (Forked(nn.Linear(3, 3), nn.Linear(3, 3)), "0, whose output goes to"),
        (shared(), "0.*shared|0, which is called 2 times"),
        (frozen(), "0 and 1.*both frozen or none"),
        (hooked(), "0.*hooks"),
        (nn.Sequential(weight_norm(nn.Linear(3, 3)), nn.Linear(3, 3)), "0.*made by"),
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU()), "'1'; allowed: one of 0"),
    ],
)  # fmt: skip
def test_what_would_be_another_function_is_refused(model, message):
    second = "2" if isinstance(model[-1], nn.Linear) and isinstance(model[1], nn.ReLU) else "1"
    with pytest.raises(ValueError, match=message):
        merge(model, "0", second, larger=True)
    assert ("0", second) not in mergeable(model, larger=True)


class Outside(nn.Module):
    """Reads a weight of its own block."""

    def __init__(self):
        super().__init__()
        self.block = Adapted()

    def forward(self, x):
        return F.linear(self.block(x), self.block.whole.weight)


class Product(Adapted):
    def forward(self, x):
        return self.whole(x) * self.up(self.down(x))


class Twice(Adapted):
    def forward(self, x):
        return self.whole(x) + self.whole(self.whole(x))


class Bent(Adapted):
    def forward(self, x):
        return self.whole(x) + self.up(torch.tanh(self.down(x)))


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        (Outside(), "block", "the block block: .*used from outside"),
        (Product(), "", "Product: what a branch holds"),
        (Twice(), "", "Twice: the layer is 'whole, which is called 3 times'"),
        (Bent(), "", "Bent: what a branch holds is '.*tanh"),
        (nn.Sequential(nn.ReLU()), "", "without a layer"),
        (nn.Sequential(nn.ReLU()), "1", "the name of a block is '1'"),
        (RepBlock(2, 2).train(), "dense.2", "the name of a block"),
        (nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3, padding=1)), "", "pads with zeros"),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)), "", "running stat"),
    ],
)  # fmt: skip
def test_a_block_that_is_no_layer_is_refused(model, name, message):
    with pytest.raises(ValueError, match=message):
        merge_branches(stirred(model), name)


def test_half_precision_that_overflows_is_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).half()
    with torch.no_grad():
        for layer in model:
            layer.weight.fill_(300.0)
    with pytest.raises(ValueError, match="infinite"):
        merge(model, "0", "1")


def test_the_difference_is_told_and_shapes_are_compared():
    model = nn.Sequential(nn.Linear(2, 2))
    other = copy.deepcopy(model)
    other[0].bias.data += 0.5
    x = torch.randn(3, 2)
    with torch.no_grad():
        expected = 0.5 / float(model(x).abs().max())
    assert largest_difference(model, other, x) == pytest.approx(expected, rel=1e-5)  # float32 reference
    with pytest.raises(ValueError, match=r"\(3, 1\)"):
        largest_difference(model, nn.Linear(2, 1), x)
    other[0].bias.data += torch.inf
    with pytest.raises(ValueError, match="not all finite"):
        largest_difference(model, other, x)
