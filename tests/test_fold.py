import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Sparse, attach
from mcomp.structure import fold_batchnorm, folded
from mcomp.trace import trace

quick = settings(derandomize=True, deadline=None, max_examples=40)


def stirred(norm, seed=0):
    """A batch norm with statistics and parameters of its own."""
    torch.manual_seed(seed)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.1, 4)
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return norm.eval()


@quick
@given(seed=st.integers(0, 2**31), out=st.integers(1, 5), inner=st.integers(1, 4))
def test_folded_is_the_two_steps_in_one(xp, seed, out, inner):
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=(out, inner)), rng.normal(size=(7, inner))
    bias, mean, gamma, beta = rng.normal(size=(4, out))
    var, eps = rng.uniform(0, 3, out), 0.01
    expected = gamma * (x @ w.T + bias - mean) / np.sqrt(var + eps) + beta
    named = {"mean": mean, "var": var, "gamma": gamma, "beta": beta}
    ours = folded(xp.asarray(w), xp.asarray(bias), eps=eps, **{n: xp.asarray(a) for n, a in named.items()})
    w2, b2 = map(to_numpy, ours)
    np.testing.assert_allclose(x @ w2.T + b2, expected, rtol=1e-9, atol=1e-9)  # float64, a dozen operations


def test_folded_on_a_kernel_is_torch_fusion():
    conv, norm = nn.Conv2d(3, 5, 3).eval(), stirred(nn.BatchNorm2d(5))
    theirs = fuse_conv_bn_eval(conv, norm)
    ours = fold_batchnorm(nn.Sequential(conv, norm))
    # theirs folds in float32, ours in float64: the last digit differs
    torch.testing.assert_close(ours[0].weight, theirs.weight, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(ours[0].bias, theirs.bias, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_every_kind_of_layer_folds(affine, bias):
    torch.manual_seed(0)
    cases = [
        (nn.Conv1d(2, 4, 3, bias=bias), nn.BatchNorm1d(4, affine=affine), torch.randn(3, 2, 8)),
        (nn.Conv2d(4, 4, 3, groups=2, bias=bias), nn.BatchNorm2d(4, affine=affine), torch.randn(3, 4, 9, 9)),
        (nn.Conv3d(1, 2, 2, bias=bias), nn.BatchNorm3d(2, affine=affine), torch.randn(3, 1, 4, 4, 4)),
        (nn.Linear(6, 4, bias=bias), nn.BatchNorm1d(4, affine=affine), torch.randn(3, 6)),
    ]  # fmt: skip
    for first, norm, x in cases:
        model = nn.Sequential(first, stirred(norm)).eval()
        small = fold_batchnorm(model)
        assert isinstance(small[1], nn.Identity)
        torch.testing.assert_close(small(x), model(x), rtol=1e-5, atol=1e-5)  # float32 sums of 30 terms


def test_linear_is_torch_fusion():
    first, norm = nn.Linear(6, 4), stirred(nn.BatchNorm1d(4))
    ours = fold_batchnorm(nn.Sequential(first, norm))[0]
    theirs = fuse_linear_bn_eval(first.eval(), norm)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-6, atol=1e-7)  # float64 against float32


def test_resnet_folds_whole_and_stays_as_it_was():
    model = zoo.load("resnet")
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(50, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    small = fold_batchnorm(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in small.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        exact, ours = model.double()(x.double()), small(x)
    # nine layers of float32 against the unfolded network in float64; logits reach 20
    torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-4)
    assert (ours.argmax(1) == exact.argmax(1)).all()


class Forked(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


def test_a_fork_is_left_alone():
    model = Forked().eval()
    small = fold_batchnorm(model)
    assert isinstance(small.norm, nn.BatchNorm2d)
    assert torch.equal(small.conv.weight, model.conv.weight)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    def forward(self, x):
        return self.two(self.conv(self.one(self.conv(x))))


def test_a_layer_used_twice_is_left_alone():
    small = fold_batchnorm(Twice())
    assert isinstance(small.one, nn.BatchNorm2d)
    assert isinstance(small.two, nn.BatchNorm2d)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_bad_input():
    one = np.ones(2)
    good = {"mean": one, "var": one, "gamma": one, "beta": one, "eps": 0.0}
    for name in ("mean", "var", "gamma", "beta"):
        with pytest.raises(ValueError, match=f"{name}.shape is \\(3,\\); allowed: \\(2,\\)"):
            folded(np.ones((2, 2)), one, **{**good, name: np.ones(3)})
    with pytest.raises(ValueError, match="allowed: above 0"):
        folded(np.ones((2, 2)), one, **{**good, "var": np.array([1.0, 0.0])})
    with pytest.raises(ValueError, match=r"torch\.fx can trace"):
        trace(Branching())
    with pytest.raises(ValueError, match="track_running_stats"):
        fold_batchnorm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)))
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    attach(model, {"0.weight": Sparse(0.5)})
    with pytest.raises(ValueError, match="bake the model first"):
        fold_batchnorm(model)
