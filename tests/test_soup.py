"""The learned soup: weights of a mean that are learned (appendix I of arXiv:2203.05482)."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mcomp.merge import average, learned_soup


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))


def around(part):
    """A classifier beside the one that is right, as far away as `part` says."""
    rng = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(3 * torch.eye(3)[: len(p)] if p.ndim > 1 else torch.zeros(3))
            p += part * torch.randn(p.shape, generator=rng)
    return model


def pair(seed=0, n=60):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=rng)
    return x, x.argmax(1)


def loss_at(model, batch):
    """The least cross-entropy over factors of the logits."""
    logits = model.eval()(batch[0]).detach()
    return min(float(F.cross_entropy(f * logits, batch[1])) for f in torch.linspace(0.1, 12, 240))


def test_two_networks_are_mixed_as_a_search_over_all_mixtures_finds():
    models, batch = [around(-1.0), around(2.0)], pair()
    soup = learned_soup(models, batch, epochs=400, batch_size=60, lr=0.1)
    tried = {a: loss_at(average(models, [1 - a, a]), batch) for a in torch.linspace(0, 1, 51).tolist()}
    best = min(tried, key=tried.get)
    # the search is in steps of 0.02, Adam stops near the minimum: the losses are compared, to a thousandth
    assert loss_at(soup.model, batch) == pytest.approx(tried[best], abs=1e-3)
    assert soup.weights[""][1].item() == pytest.approx(best, abs=0.05)
    assert 0.02 < best < 0.98  # so that a search that only picks one would fail


def test_a_soup_per_layer_is_no_worse_where_it_learned():
    models, batch = [around(-1.0), around(2.0)], pair()
    one, each = (
        learned_soup(models, batch, per=per, epochs=300, batch_size=60) for per in ("network", "layer")
    )
    assert set(each.weights) == {"0", "2"}
    assert each.losses[-1] < one.losses[-1] + 1e-3  # it holds the other as a case


@settings(max_examples=10, derandomize=True, deadline=None)
@given(st.integers(2, 4), st.integers(0, 99), st.sampled_from(["network", "layer"]))
def test_weights_are_a_mean_and_the_network_is_theirs(count, seed, per):
    models = [net(seed + i) for i in range(count)]
    before = copy.deepcopy(models)
    soup = learned_soup(models, pair(seed), per=per, epochs=2, batch_size=16)
    for weights in soup.weights.values():
        assert weights.shape == (count,)
        assert weights.min() > 0
        assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    layer = "" if per == "network" else "3"
    wanted = sum(w * m[3].weight.double() for w, m in zip(soup.weights[layer], models, strict=True))
    assert torch.allclose(soup.model[3].weight.double(), wanted, atol=1e-6)  # rounded to float32 once
    for model, same in zip(models, before, strict=True):  # nothing was changed, statistics neither
        pairs = zip(model.state_dict().values(), same.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_the_order_of_the_networks_is_only_a_name_and_one_is_itself():
    models, batch = [net(0), net(1), net(2)], pair()
    one = learned_soup(models, batch, epochs=5)
    other = learned_soup(models[::-1], batch, epochs=5)
    assert torch.allclose(one.weights[""], other.weights[""].flip(0), atol=1e-5)  # sums run in another order
    alone = learned_soup(models[:1], batch, epochs=1).model
    assert torch.equal(alone[0].weight, models[0][0].weight)


def test_tied_weights_stay_tied():
    def tied(seed):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        model[2].weight = model[0].weight
        return model

    soup = learned_soup([tied(0), tied(1)], pair(), epochs=2)
    assert soup.model[2].weight is soup.model[0].weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"per": "tensor"}, "per is 'tensor'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"pair": (torch.ones(4, 3), torch.zeros(3, dtype=torch.int64))}, "shape of y"),
        ({"models": [net(0), nn.Linear(3, 3)]}, "network 1"),
        ({"models": []}, "number of networks"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    options = {"models": [net(0), net(1)], "pair": pair(), **change}
    with pytest.raises(ValueError, match=message):
        learned_soup(options.pop("models"), options.pop("pair"), **options)
