"""The cache against the whole pass, however the text is split."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_gpt import small
from torch import nn

from mcomp.gpt import Layer, TinyGPT
from mcomp.transformers import Cache, cache_bytes, generate, quantized_cache, run, share_heads, window_cache

quick = settings(derandomize=True, deadline=None, max_examples=20)
SHAPES = [{}, {"kv_heads": 1}, {"heads": 4, "kv_heads": 2}, {"tied": False}]


def text(*shape, seed=0):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


MODELS = [small(**config) for config in SHAPES]
close = {"rtol": 1e-12, "atol": 1e-12}  # float64; kernels add up in another order


@quick
@given(model=st.sampled_from(MODELS), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_any_split_is_the_whole_pass(model, sizes):
    x, cache = text(2, sum(sizes)), Cache(model)
    found = torch.cat([run(model, part, cache=cache) for part in x.split(sizes, dim=1)], dim=1)
    torch.testing.assert_close(found, model(x), **close)
    assert cache.length == sum(sizes)


@quick
@given(model=st.sampled_from(MODELS), read=st.integers(1, 8), kept=st.integers(0, 8), new=st.integers(1, 4))
def test_what_is_rolled_back_was_never_read(model, read, kept, new):
    kept = min(kept, read)
    x, other, cache = text(1, read), text(1, new, seed=1), Cache(model)
    run(model, x, cache=cache)
    cache.keep(kept)
    assert cache.nbytes == cache_bytes(model, kept)
    found = run(model, other, cache=cache)
    torch.testing.assert_close(found, model(torch.cat([x[:, :kept], other], dim=1))[:, kept:], **close)


@pytest.mark.parametrize("config", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bytes_are_those_of_the_formula(config, dtype):
    model, steps = small(**config).to(dtype), 5
    cache = Cache(model)
    assert cache.nbytes == 0
    for i in range(steps):
        run(model, text(3, 2, seed=i), cache=cache)
        assert cache.nbytes == cache_bytes(model, 2 * (i + 1), batch=3)


def test_gradients_flow_through_the_cache():
    model, x = small().requires_grad_(True), text(1, 6)
    (whole,) = torch.autograd.grad(model(x).square().sum(), model.layers[0].attention.k_proj.weight)
    cache = Cache(model)
    parts = torch.cat([run(model, x[:, :4], cache=cache), run(model, x[:, 4:], cache=cache)], dim=1)
    (found,) = torch.autograd.grad(parts.square().sum(), model.layers[0].attention.k_proj.weight)
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)


def test_bad_input():
    model, cache = small(), Cache(small())
    run(model, text(2, 3), cache=cache)
    with pytest.raises(ValueError, match="n is 4; allowed: an integer from 0 to 3"):
        cache.keep(4)
    with pytest.raises(ValueError, match=r"x.shape is \(2, 0\)"):
        run(model, text(2, 0), cache=cache)
    with pytest.raises(ValueError, match=r"of the cache is \(2, 2, 2\); allowed: \(2, 1, 2\)"):
        run(model, text(1, 3), cache=cache)
    with pytest.raises(ValueError, match=r"of the cache is \(2, 2, 2\); allowed: \(2, 2, 1\)"):
        run(small(kv_heads=1), text(2, 3), cache=cache)
    with pytest.raises(ValueError, match=r"of the cache is \(2, 2, 2\); allowed: \(1, 2, 2\)"):
        run(small(layers=1), text(2, 3), cache=cache)
    with pytest.raises(ValueError, match="positions is -1"):
        cache_bytes(model, -1)


class Twice(TinyGPT):
    def forward(self, x):
        return 2 * super().forward(x)


class Loud(Layer):
    def forward(self, x, past=None):
        return 2 * super().forward(x, past)


def hooked():
    model = small()
    model.register_forward_hook(lambda module, inputs, y: 2 * y)
    return model


def patched():
    model = small()
    model.forward = lambda x: TinyGPT.forward(model, x) * 2
    return model


def with_a_layer_of_its_own():
    model = small()
    model.layers[1] = Loud(16, 2, 2, 12).double()
    return model


USES = [
    Cache, lambda m: cache_bytes(m, 3), lambda m: generate(m, b"a", n=1), lambda m: share_heads(m, 1),
    lambda m: quantized_cache(m, group=8), window_cache, lambda m: run(m, text(1, 2), cache=Cache(small())),
]  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Linear(3, 3), "model is 'Linear'; allowed: a TinyGPT"),
        (Twice(dim=16, layers=2, heads=2, hidden=12).double(), "model is 'Twice'"),
        (hooked(), "model is 'a TinyGPT with hooks'"),
        (patched(), "model is 'TinyGPT'; allowed: a TinyGPT with TinyGPT's forward"),
        (with_a_layer_of_its_own(), "layers.1 is 'Loud'"),
    ],
)
def test_what_would_be_another_function_is_refused(model, said, use):
    with pytest.raises(ValueError, match=said):
        use(model)


def test_a_hook_on_a_layer_sees_what_passes():
    model = small()
    model.layers[0].register_forward_hook(lambda module, inputs, y: 1.1 * y)
    x = text(1, 6)
    torch.testing.assert_close(run(model, x, cache=Cache(model)), model(x), **close)
