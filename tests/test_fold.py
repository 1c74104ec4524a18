import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from mcomp import zoo
from mcomp.arrays import to_numpy
from mcomp.codecs import Sparse, attach
from mcomp.structure import fold_batchnorm, folded, unfolded
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
        small = fold_batchnorm(model, x=x)
        assert isinstance(small[1], nn.Identity)
        torch.testing.assert_close(small(x), model(x), rtol=1e-5, atol=1e-5)  # float32 sums of 30 terms


def test_linear_is_torch_fusion():
    first, norm = nn.Linear(6, 4), stirred(nn.BatchNorm1d(4))
    ours = fold_batchnorm(nn.Sequential(first, norm), x=torch.zeros(1, 6))[0]
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


# Networks as people bring them: folded exactly, or left with the reason


def settle(model, x, seed=1):
    """Statistics and parameters of its own for every batch norm; float64, evaluation mode."""
    model = model.double()
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_mean is not None:
            stirred(norm, seed)
    return model.eval(), x.double()


def check(model, images, left, **options):
    """The function stays to rounding, what is left is `left`, and the model given is as it was."""
    model, x = settle(model, images)
    before = copy.deepcopy(model.state_dict())
    small = fold_batchnorm(model, **options)
    with torch.no_grad():
        torch.testing.assert_close(small(x), model(x), rtol=1e-10, atol=1e-10)  # float64
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert list(unfolded(model, **options)) == left
    stay = [n for n, m in small.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert stay == left
    return small


def test_a_linear_on_three_axes_is_not_normalised_along_its_own(capsys):
    model, x = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)), torch.randn(8, 5, 3)
    check(model, x, ["1"])
    assert (
        capsys.readouterr().out
        == "not folded: 1, because whether its input has two axes isn't known: give x\n"
    )
    check(model, x, ["1"], x=x.double())
    assert unfolded(model, x=x.double()) == {
        "1": "it works along axis 1, the Linear before it along the last"
    }
    check(model, x[:, 0], [], x=x[:, 0].double())


def test_flattening_tells_that_a_linear_has_two_axes():
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 4), nn.BatchNorm1d(4)
    )
    check(model, torch.randn(6, 3, 4), [])


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions(groups):
    one = nn.Sequential(nn.ConvTranspose1d(4, 6, 3, groups=groups), nn.BatchNorm1d(6))
    check(one, torch.randn(3, 4, 5), [])
    two = nn.Sequential(
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=groups, bias=False), nn.BatchNorm2d(6, affine=False)
    )
    check(two, torch.randn(3, 4, 5, 5), [])
    check(nn.Sequential(nn.ConvTranspose3d(2, 4, 2), nn.BatchNorm3d(4)), torch.randn(2, 2, 3, 3, 3), [])


def test_options_of_layers_and_norms():
    for norm in ({"momentum": None}, {"eps": 0.1}, {"affine": False}):
        for layer in ({"padding": 1, "padding_mode": "circular"}, {"stride": 2, "dilation": 2}):
            model = nn.Sequential(nn.Conv2d(2, 3, 3, **layer), nn.BatchNorm2d(3, **norm)).train()
            check(model, torch.randn(2, 2, 9, 9), [])
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False))
    check(model, torch.randn(2, 2, 5, 5), ["1"])


class SameConv(nn.Conv2d):
    """Padding of its own, as EfficientNet has it."""

    def forward(self, x):
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, self.bias, self.stride)


class Standardised(nn.Conv2d):
    def forward(self, x):
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, w, self.bias)


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "left"), [(SameConv, []), (Standardised, ["1"]), (Doubled, ["1"])])
def test_subclasses_with_a_forward_of_their_own(kind, left, bias):
    small = check(nn.Sequential(kind(3, 4, 3, bias=bias), nn.BatchNorm2d(4)), torch.randn(2, 3, 6, 6), left)
    assert (small[0].bias is None) == bool(left and not bias)


class OwnInit(nn.Conv2d):
    def __init__(self, n):
        super().__init__(n, n, 3, bias=False)


class OwnNorm(nn.BatchNorm2d):
    pass


def test_subclasses_that_inherit_their_forward_fold():
    parts = OwnInit(3), OwnNorm(3), nn.Conv2d(3, 3, 1), OwnNorm(3), SameConv(3, 3, 3), nn.BatchNorm2d(3)
    check(nn.Sequential(*parts), torch.randn(2, 3, 5, 5), [])


class Functional(nn.Module):
    """A convolution that is called as a function, and perhaps read twice."""

    def __init__(self, twice):
        super().__init__()
        self.conv, self.norm, self.twice = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), twice

    def forward(self, x):
        y = self.norm(F.conv2d(x, self.conv.weight, self.conv.bias))
        return y + F.conv2d(x, self.conv.weight) if self.twice else y


@pytest.mark.parametrize("twice", [False, True])
def test_a_convolution_called_as_a_function(twice):
    check(Functional(twice), torch.randn(2, 2, 4, 4), ["norm"] if twice else [])


def shared_parameter():
    one, two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
    two.weight = one.weight
    return nn.Sequential(one, nn.BatchNorm2d(3), two, nn.BatchNorm2d(3))


def hooked():
    conv = nn.Conv2d(3, 3, 1)
    conv.register_forward_hook(lambda module, inputs, out: out.abs())
    return nn.Sequential(conv, nn.BatchNorm2d(3))


def normed(weight_norm):
    return nn.Sequential(weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3))


def with_codec():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    attach(model, {"0.weight": Sparse(0.5)})
    return model


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    ("make", "left", "reason"),
    [
        (shared_parameter, ["1", "3"], "its weight is shared: 0.weight, 2.weight"),
        (hooked, ["1"], "it has hooks"),
        (with_codec, ["1"], "its weight is made by Attached"),
        (lambda: normed(nn.utils.weight_norm), ["1"], "the hook WeightNorm"),
        (lambda: normed(nn.utils.parametrizations.weight_norm), ["1"], "_WeightNorm"),
        (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)), ["2"], "comes from 1"),
    ],
)
def test_what_stays_and_why(make, left, reason):
    model = make()
    check(model, torch.randn(4, 3, 5, 5), left)
    assert all(reason in why for why in unfolded(model).values())


def test_what_was_frozen_stays_frozen_and_half_stays_half():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)).requires_grad_(False)
    assert not any(p.requires_grad for p in fold_batchnorm(model).parameters())
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    model[0].bias.requires_grad_(False)
    small = fold_batchnorm(model)
    assert [p.requires_grad for p in small.parameters()] == [True, False]
    half, x = settle(model, torch.randn(2, 2, 5, 5))
    small = fold_batchnorm(copy.deepcopy(half).half())
    assert {p.dtype for p in small.parameters()} == {torch.float16}
    torch.testing.assert_close(small.double()(x), half(x), rtol=1e-2, atol=2e-2)  # eleven bits
    nn.init.constant_(model[1].running_var, 0.0)
    nn.init.constant_(model[1].weight, 6e4)
    assert "doesn't fit" in unfolded(model.half())["1"]


def test_negative_variances_are_refused_by_name():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    model[1].running_var.fill_(-1.0)
    with pytest.raises(ValueError, match=r"^1: the least var \+ eps"):
        fold_batchnorm(model)
