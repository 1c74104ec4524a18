"""Features of blocks, linear probes of them, and where an input stops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn

from mcomp.structure import block_features, first_confident, linear_probe


class Tokens(nn.Module):
    """(n, tokens) indices in, (n, tokens, channels) through, (n, channels) out."""

    def __init__(self):
        super().__init__()
        self.table, self.block = nn.Embedding(5, 3), nn.Linear(3, 4)

    def forward(self, x):
        return self.block(self.table(x)).sum(1)


def test_features_are_means_over_positions():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2)).train()
    x = torch.randn(7, 1, 4, 4)
    before = net[1].running_mean.clone()
    found = block_features(net, ["1", "3"], x, batch_size=3)
    assert net.training
    assert torch.equal(net[1].running_mean, before)  # evaluation mode while it looked
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(found["1"], net[1](net[0](x)).mean((2, 3)))
        torch.testing.assert_close(found["3"], net(x))
    model, words = Tokens(), torch.randint(0, 5, (4, 6))
    with torch.no_grad():
        expected = model.block(model.table(words)).mean(1)
    torch.testing.assert_close(block_features(model, ["block"], words)["block"], expected)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.spare = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(self.layer(x))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["layer"], "layer, which is called more than once"),
        (["spare"], "spare .Linear."),
        (["nowhere"], "'nowhere'"),
        ("layer", "a list of names"),
    ],
)
def test_a_block_without_features_is_named(names, message):
    with pytest.raises(ValueError, match=message):
        block_features(Twice(), names, torch.zeros(3, 2))


def test_an_output_of_other_axes_is_named():
    net = nn.Sequential(nn.Conv3d(1, 2, 1))
    with pytest.raises(ValueError, match=r"the output of is '0, \(1, 2, 2, 2, 2\)'"):
        block_features(net, ["0"], torch.zeros(1, 1, 2, 2, 2))


def test_the_probe_is_scikit_learns():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    z = rng.normal(size=(200, 4)) * [1, 10, 0.1, 1] + y[:, None] * [0.5, 3, 0, -0.5] + 7
    decay = 1e-2
    probe = linear_probe(torch.tensor(z), torch.tensor(y), decay=decay, steps=500)
    scaled = (z - z.mean(0)) / z.std(0)
    theirs = LogisticRegression(C=1 / (decay * len(y)), tol=1e-10, max_iter=2000).fit(scaled, y)
    with torch.no_grad():
        ours = probe(torch.tensor(z)).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(scaled), atol=1e-4)  # both searches stop early


def test_a_constant_feature_changes_nothing():
    torch.manual_seed(0)
    z, y = torch.randn(50, 2), torch.arange(50) % 2
    with_one = torch.cat([z, torch.full((50, 1), 3.0)], 1)
    a, b = linear_probe(z, y), linear_probe(with_one, y)
    torch.testing.assert_close(a(z), b(with_one), atol=1e-4, rtol=1e-4)  # float32 layers
    assert bool((b.weight[:, 2] == 0).all())


@pytest.mark.parametrize(
    ("z", "y", "options", "message"),
    [
        (torch.zeros(3), torch.zeros(3).long(), {}, "z and y"),
        (torch.zeros(3, 2), torch.zeros(2).long(), {}, "z and y"),
        (torch.zeros(0, 2), torch.zeros(0).long(), {}, "n at least 1"),
        (torch.zeros(3, 0), torch.zeros(3).long(), {}, "channels too"),
        (torch.zeros(3, 2), torch.tensor([0, -1, 1]), {}, "the least of y is -1"),
        (torch.zeros(3, 2), torch.zeros(3), {}, "floats and torch.int64"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), {}, "floats and torch.int64"),
        (torch.full((3, 2), float("nan")), torch.zeros(3).long(), {}, "z holds 6 NaN"),
        (torch.zeros(3, 2), torch.zeros(3).long(), {"decay": -1.0}, "decay"),
        (torch.zeros(3, 2), torch.zeros(3).long(), {"steps": 0}, "steps"),
    ],
)
def test_a_probe_of_nothing_is_refused(z, y, options, message):
    with pytest.raises(ValueError, match=message):
        linear_probe(z, y, **options)


def test_features_with_a_gradient_are_taken_as_numbers():
    z, y = torch.randn(20, 3, requires_grad=True), torch.arange(20) % 2
    torch.testing.assert_close(linear_probe(z, y).weight, linear_probe(z.detach(), y).weight)
    assert z.grad is None


@settings(derandomize=True, deadline=None, max_examples=60)
@given(exits=st.integers(1, 4), n=st.integers(1, 6), seed=st.integers(0, 99), threshold=st.floats(0.0, 1.2))
def test_the_first_sure_exit(exits, n, seed, threshold):
    logits = 3 * torch.randn(exits, n, 3, generator=torch.Generator().manual_seed(seed))
    taken = first_confident(logits, threshold)
    for i in range(n):
        sure = [float(logits[e, i].softmax(0).max()) >= threshold for e in range(exits)]
        assert int(taken[i]) == (sure.index(True) if True in sure else exits - 1)
    later = first_confident(logits, threshold + 0.1)
    assert bool((later >= taken).all())


def test_thresholds_at_the_ends():
    logits = torch.randn(3, 5, 2)
    assert first_confident(logits, 0.0).tolist() == [0] * 5
    assert first_confident(logits, 2.0).tolist() == [2] * 5
    with pytest.raises(ValueError, match=r"logits.shape is \(5, 2\)"):
        first_confident(logits[0], 0.5)
    with pytest.raises(ValueError, match=r"logits.dtype is torch.int64"):
        first_confident(logits.long(), 0.5)
    with pytest.raises(ValueError, match=r"threshold is -0\.1"):
        first_confident(logits, -0.1)
