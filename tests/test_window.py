"""The window with its sinks: the whole pass while all fits, then loops over what it holds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_gpt import small

from mcomp.gpt import rotary
from mcomp.transformers import cache_bytes, generate, run, window_cache

quick = settings(derandomize=True, deadline=None, max_examples=25)
close = {"rtol": 1e-12, "atol": 1e-12}  # float64; kernels add up in another order


DEEP, SHARED, FLAT = small(), small(kv_heads=1), small(layers=1)


def text(*shape):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@quick
@given(
    model=st.sampled_from([DEEP, SHARED]),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    sinks=st.integers(0, 4),
    more=st.integers(0, 5),
)
def test_while_all_fits_it_is_the_whole_pass(model, sizes, sinks, more):
    n = sum(sizes)
    x, cache = text(2, n), window_cache(model, sinks=sinks, window=max(n - sinks, 1) + more)
    found = torch.cat([run(model, part, cache=cache) for part in x.split(sizes, dim=1)], dim=1)
    torch.testing.assert_close(found, model(x), **close)
    cache.keep(n - 1)
    torch.testing.assert_close(run(model, x[:, -1:], cache=cache), model(x)[:, -1:], **close)


@quick
@given(n=st.integers(1, 20), sinks=st.integers(0, 3), window=st.integers(1, 6))
def test_one_layer_sees_the_first_and_the_last_bytes_as_a_text_of_their_own(n, sinks, window):
    x, cache = text(1, n), window_cache(FLAT, sinks=sinks, window=window)
    found = run(FLAT, x, cache=cache)
    for t in range(n):
        seen = list(range(t + 1)) if t < sinks + window else [*range(sinks), *range(t + 1 - window, t + 1)]
        torch.testing.assert_close(found[:, t], FLAT(x[:, seen])[:, -1], **close)
    assert cache.length == min(n, sinks + window)
    assert cache.nbytes == cache_bytes(FLAT, cache.length)


def by_loops(model, tokens, sinks, window):
    """Position by position, layer by layer: what was kept of each layer's input, its keys and values anew."""
    held, out = [[] for _ in model.layers], []
    for token in tokens:
        x = model.embed.weight[token]
        for layer, before in zip(model.layers, held, strict=True):
            before.append(layer.attention_norm(x))
            if len(before) > sinks + window:
                del before[sinks]
            h = torch.stack(before)
            attention, size = layer.attention, 8
            mixed = []
            for head in range(2):
                part = slice(head * size, (head + 1) * size)
                q = rotary((attention.q_proj(h))[:, part])[-1]
                k, v = rotary(attention.k_proj(h)[:, part]), attention.v_proj(h)[:, part]
                mixed.append((k @ q / size**0.5).softmax(0) @ v)
            x = x + attention.o_proj(torch.cat(mixed))
            x = x + layer.mlp(layer.mlp_norm(x))
        out.append(model.head(model.norm(x)))
    return torch.stack(out)


@pytest.mark.parametrize(("sinks", "window"), [(0, 3), (2, 3), (1, 1), (4, 8)])
@pytest.mark.parametrize("sizes", [[17], [1] * 17, [5, 7, 5]], ids=len)
def test_several_layers_are_their_loops(sinks, window, sizes):
    x, cache = text(1, 17), window_cache(DEEP, sinks=sinks, window=window)
    found = torch.cat([run(DEEP, part, cache=cache) for part in x.split(sizes, dim=1)], dim=1)
    torch.testing.assert_close(found[0], by_loops(DEEP, x[0].tolist(), sinks, window), rtol=1e-9, atol=1e-9)


def test_memory_stays_as_it_is_however_long_the_text():
    cache = window_cache(DEEP, sinks=2, window=6)
    assert len(generate(DEEP, b"import ", n=50, cache=cache)) == 50
    assert cache.nbytes == cache_bytes(DEEP, 8)


def test_what_was_dropped_does_not_come_back():
    cache = window_cache(DEEP, sinks=1, window=3)
    run(DEEP, text(1, 5), cache=cache)
    with pytest.raises(ValueError, match="n is 3; allowed: an integer from 4 to 4"):
        cache.keep(3)


@pytest.mark.parametrize(
    ("options", "said"), [({"sinks": -1}, "sinks is -1"), ({"window": 0}, "window is 0")]
)
def test_bad_input(options, said):
    with pytest.raises(ValueError, match=said):
        window_cache(DEEP, **options)
