"""A cache of few bits against loops over its groups: values, bytes, and that it quantizes at all."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.gpt import TinyGPT
from mcomp.quantize.groups import group_bits
from mcomp.transformers import Cache, cache_bytes, quantized_bytes, quantized_cache, run
from mcomp.transformers.kv import QuantizedRows

quick = settings(derandomize=True, deadline=None, max_examples=30)
AXES = list(itertools.product(("channel", "token"), repeat=2))


def small(**config):
    torch.manual_seed(0)
    model = TinyGPT(**{"dim": 32, "layers": 2, "heads": 2, "hidden": 12, **config}).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model.requires_grad_(False)


MODEL, SHARED = small(), small(kv_heads=1)


def text(*shape, seed=0):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def rounded(group, bits):
    """One group, number by number; scale and low end as float16 holds them."""
    low = float(np.float16(min(group)))
    scale = float(np.float16((max(group) - min(group)) / (2**bits - 1))) or 1.0
    return [scale * min(max(round((x - low) / scale), 0), 2**bits - 1) + low for x in group]


def by_loops(x, *, bits, by, group, residual):
    """What should be read of x (positions, size) after all of it was stored."""
    x, n = x.copy(), max(len(x) - residual, 0)
    if by == "channel":
        for start in range(0, n - group + 1, group):
            for c in range(x.shape[1]):
                x[start : start + group, c] = rounded(x[start : start + group, c].tolist(), bits)
    else:
        for t in range(n):
            for c in range(0, x.shape[1], group):
                x[t, c : c + group] = rounded(x[t, c : c + group].tolist(), bits)
    return x


@quick
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    bits=st.sampled_from([1, 2, 4, 8]),
    by=st.sampled_from(["channel", "token"]),
    group=st.sampled_from([8, 16]),
    residual=st.integers(0, 12),
)
def test_rows_are_those_of_the_loops_however_they_came(sizes, bits, by, group, residual):
    x = torch.randn(2, 3, sum(sizes), 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows = QuantizedRows(bits=bits, by=by, group=group, residual=residual)
    for part in x.split(sizes, dim=2):
        seen = rows.extend(part)
        assert torch.equal(seen[:, :, -part.shape[2] :], part)  # new ones are seen as they are
    assert rows.length == seen.shape[2] == sum(sizes)
    for b, h in np.ndindex(2, 3):
        wanted = by_loops(x[b, h].numpy(), bits=bits, by=by, group=group, residual=residual)
        np.testing.assert_allclose(rows.whole()[b, h].numpy(), wanted, rtol=1e-12, atol=1e-12)


@quick
@given(
    axes=st.sampled_from(AXES),
    bits=st.sampled_from([1, 2, 4, 8]),
    residual=st.integers(0, 20),
    n=st.integers(1, 40),
    model=st.sampled_from([MODEL, SHARED]),
)
def test_bytes_are_counted_to_the_last(axes, bits, residual, n, model):
    options = {"bits": bits, "keys": axes[0], "values": axes[1], "group": 8, "residual": residual}
    cache = quantized_cache(model, **options)
    for start in range(0, n, 7):
        run(model, text(2, min(7, n - start)), cache=cache)
    assert cache.nbytes == quantized_bytes(model, n, batch=2, **options)


def test_a_value_costs_its_bits_and_its_share_of_the_group():
    for bits, group in ((2, 32), (2, 64), (4, 32), (8, 128)):
        model, n = TinyGPT(dim=256, heads=2, layers=1), 1024
        found = quantized_bytes(model, n, bits=bits, group=group, residual=0) * 8 / (2 * n * 256)
        assert found == group_bits(bits, group=group, zero_bits=16)
    assert quantized_bytes(model, 100) == cache_bytes(model, 100)  # all in the window


@pytest.mark.parametrize(("keys", "values"), AXES)
def test_a_byte_written_at_a_time_is_quantized_too(keys, values):
    """Each new token in a group of its own would be exact, and billed as 2 bits."""
    exact = Cache(MODEL)
    cache = quantized_cache(MODEL, keys=keys, values=values, group=8, residual=0)
    for byte in text(1, 24).unbind(1):
        wanted, found = run(MODEL, byte[:, None], cache=exact), run(MODEL, byte[:, None], cache=cache)
    assert float((found - wanted).abs().max()) > 1e-3
    for rows, whole in zip(cache.layers, exact.layers, strict=True):
        assert rows.keys.recent.shape[2] == rows.values.recent.shape[2] == 0
        for mine, theirs in ((rows.keys, whole.keys), (rows.values, whole.values)):
            error = (mine.whole() - theirs.whole()).abs().amax(dim=(0, 1, 3))
            assert bool((error > 1e-3).all())  # at every position
    assert cache.nbytes < exact.nbytes / 10  # 6 bits of 64


@pytest.mark.parametrize(("keys", "values"), AXES)
def test_more_bits_less_error_and_none_in_the_window(keys, values):
    x, errors = text(1, 40), []
    for bits in (1, 2, 4, 8):
        cache = quantized_cache(MODEL, bits=bits, keys=keys, values=values, group=8, residual=4)
        run(MODEL, x[:, :32], cache=cache)
        errors.append(float((run(MODEL, x[:, 32:], cache=cache) - MODEL(x)[:, 32:]).norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 50
    cache = quantized_cache(MODEL, keys=keys, values=values, group=8, residual=40)
    run(MODEL, x[:, :32], cache=cache)
    torch.testing.assert_close(run(MODEL, x[:, 32:], cache=cache), MODEL(x)[:, 32:], rtol=1e-12, atol=1e-12)


def test_a_channel_that_is_large_at_every_position_wants_its_own_range():
    x = torch.randn(1, 2, 64, 16, generator=torch.Generator().manual_seed(0))
    x[..., 3] += 30.0
    errors = {}
    for by in ("channel", "token"):
        rows = QuantizedRows(bits=2, by=by, group=16, residual=0)
        rows.extend(x)
        errors[by] = float((rows.whole() - x).square().mean())
    assert errors["token"] > 20 * errors["channel"]


def test_it_rolls_back_as_far_as_the_floats_go():
    x, cache = text(1, 30), quantized_cache(MODEL, group=8, residual=6)
    run(MODEL, x[:, :20], cache=cache)  # by token 14 are packed, by channel 8
    run(MODEL, x[:, 20:21], cache=cache)
    rows = [rows for layer in cache.layers for rows in (layer.keys, layer.values)]
    before = [r.whole() for r in rows]
    cache.keep(16)
    assert cache.length == 16
    assert all(torch.equal(r.whole(), b[:, :, :16]) for r, b in zip(rows, before, strict=True))
    run(MODEL, x[:, 16:21], cache=cache)
    with pytest.raises(ValueError, match="n is 13; allowed: an integer from 15 to 21"):
        cache.keep(13)
    assert cache.length == 21


def test_equal_numbers_and_tiny_ones_stay_what_float16_holds():
    rows = QuantizedRows(bits=2, by="token", group=8, residual=0)
    rows.extend(
        torch.cat([torch.full((1, 1, 1, 8), 1.5), 1e-9 * torch.arange(8.0).expand(1, 1, 1, 8)], dim=2)
    )
    assert rows.whole()[0, 0].tolist() == [[1.5] * 8, [0.0] * 8]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"group": 1}, "group is 1; allowed: at least 2; one number alone is its own range"),
        ({"group": 6}, "group is 6; allowed: a multiple of 4; by token it divides 16"),
        ({"group": 32}, "group is 32"),
        ({"bits": 3}, "bits is 3; allowed: 1, 2, 4 or 8"),
        ({"bits": True}, "bits is True"),
        ({"keys": "row"}, "keys is 'row'; allowed: one of"),
        ({"values": None}, "values is None"),
        ({"residual": -1}, "residual is -1"),
    ],
)
def test_bad_options(options, said):
    for make in (lambda **o: quantized_cache(MODEL, **o), lambda **o: quantized_bytes(MODEL, 9, **o)):
        with pytest.raises(ValueError, match=said):
            make(**{"group": 8, **options})


def test_what_float16_does_not_hold_is_refused():
    rows = QuantizedRows(bits=2, by="token", group=8, residual=0)
    with pytest.raises(ValueError, match=r"the largest key or value is 1000000\.0"):
        rows.extend(torch.full((1, 1, 1, 8), 1e6))
