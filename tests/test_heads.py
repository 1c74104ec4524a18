"""Shared heads: the same function where they were equal, means by loops, a smaller cache."""

import numpy as np
import pytest
import torch
from torch import nn

from mcomp import zoo
from mcomp.codecs import Uniform, attach
from mcomp.gpt import TinyGPT
from mcomp.transformers import Cache, cache_bytes, run, share_heads


def small(**config):
    torch.manual_seed(0)
    model = TinyGPT(**{"dim": 16, "layers": 2, "heads": 4, "hidden": 12, **config}).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def projections(model):
    return [p for layer in model.layers for p in (layer.attention.k_proj, layer.attention.v_proj)]


def text(*shape):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("before", [4, 2])
@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("tied", [True, False])
def test_equal_heads_are_shared_for_nothing(before, after, tied):
    model, x = small(kv_heads=before, tied=tied), text(2, 9)
    with torch.no_grad():
        for p in projections(model):
            heads = p.weight.view(after, before // after, 4, 16)
            heads.copy_(heads[:, :1].expand_as(heads).clone())
        shared = share_heads(model, after)
        torch.testing.assert_close(shared(x), model(x), rtol=1e-12, atol=1e-12)  # float64
    assert zoo.architecture(shared) == ("tinygpt", {**model.config, "kv_heads": after})
    assert (shared.head.weight is shared.embed.weight) == tied


def test_each_head_is_the_mean_of_its_group_and_the_input_stays():
    model = small()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    shared = share_heads(model, 2)
    for name, p in shared.named_parameters():
        wanted = before[name].numpy()
        if "k_proj" in name or "v_proj" in name:
            heads = np.split(wanted, 4)
            wanted = np.concatenate([(heads[0] + heads[1]) / 2, (heads[2] + heads[3]) / 2])
        np.testing.assert_allclose(p.detach().numpy(), wanted, rtol=1e-12)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert model.config["kv_heads"] == 4


def test_in_two_steps_as_in_one_and_none_is_a_copy():
    model = small()
    once, twice, same = share_heads(model, 1), share_heads(share_heads(model, 2), 1), share_heads(model, 4)
    for a, b in zip(projections(once), projections(twice), strict=True):
        torch.testing.assert_close(a.weight, b.weight, rtol=1e-12, atol=1e-12)
    assert all(
        torch.equal(a.weight, b.weight) for a, b in zip(projections(same), projections(model), strict=True)
    )


def test_the_cache_is_smaller_and_works():
    model, x = small(), text(1, 8)
    shared = share_heads(model, 1).requires_grad_(False)
    cache = Cache(shared)
    torch.testing.assert_close(run(shared, x, cache=cache), shared(x), rtol=1e-12, atol=1e-12)
    assert cache.nbytes == cache_bytes(shared, 8) == cache_bytes(model, 8) / 4


def test_it_can_be_trained():
    shared = share_heads(small(), 2)
    shared(text(1, 5)).square().sum().backward()
    assert all(bool(p.weight.grad.any()) for p in projections(shared))


@pytest.mark.parametrize(
    ("kv_heads", "said"),
    [(0, "kv_heads is 0; allowed: an integer from 1 to 4"), (3, "kv_heads is 3; allowed: a divisor of 4")],
)
def test_bad_input(kv_heads, said):
    with pytest.raises(ValueError, match=said):
        share_heads(small(), kv_heads)


def coded(model):
    attach(model, {"layers.1.attention.v_proj.weight": Uniform(4, axis=0)})


def normed(model):
    nn.utils.parametrizations.weight_norm(model.layers[1].attention.v_proj)


def shared(model):
    model.layers[1].attention.v_proj.weight = model.layers[0].attention.v_proj.weight


def biased(model):
    model.layers[1].attention.v_proj = nn.Linear(16, 16).double()


@pytest.mark.parametrize("change", [coded, normed, shared, biased])
def test_a_projection_that_is_not_plain_is_refused_by_name(change):
    model = small()
    change(model)
    with pytest.raises(ValueError, match=r"layers\.[01]\.attention\.v_proj"):
        share_heads(model, 1)
