"""Text written with the cache against whole passes; chances against numpy; lines of Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.chance import own_stream
from mcomp.data import load_text
from mcomp.gpt import TinyGPT
from mcomp.transformers import Cache, chances, draw, generate, parses

quick = settings(derandomize=True, deadline=None, max_examples=30)


def small():
    torch.manual_seed(0)
    model = TinyGPT(dim=16, layers=2, heads=2, hidden=12, kv_heads=1).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def by_loops(logits, temperature, top_k):
    """Chances one by one."""
    kept = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[: top_k if temperature else 1]
    weights = [np.exp((x - max(logits)) / (temperature or 1)) * (i in kept) for i, x in enumerate(logits)]
    return np.array(weights) / sum(weights)


@quick
@given(
    logits=st.lists(st.integers(-4, 4), min_size=1, max_size=6),  # integers: many ties
    temperature=st.sampled_from([0, 0.1, 1.0, 3.0]),
    data=st.data(),
)
def test_chances_are_those_of_the_loops(logits, temperature, data):
    top_k = data.draw(st.none() | st.integers(1, len(logits)))
    found = chances(torch.tensor(logits, dtype=torch.float32), temperature=temperature, top_k=top_k)
    np.testing.assert_allclose(found.numpy(), by_loops(logits, temperature, top_k), rtol=1e-12, atol=1e-15)


def test_low_temperatures_are_finite_and_logits_unchanged():
    logits = torch.tensor([1e30, -1e30, 3.0])
    before = logits.clone()
    assert chances(logits, temperature=1e-300).tolist() == [1.0, 0.0, 0.0]
    assert torch.equal(logits, before)


@quick
@given(weights=st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any))
def test_draws_have_their_chances(weights):
    n = sum(weights)
    p = torch.tensor(weights, dtype=torch.float64) / n
    drawn = [draw(p, (i + 0.5) / n) for i in range(n)]
    assert np.bincount(drawn, minlength=len(weights)).tolist() == weights


def test_a_sum_below_one_still_draws_a_byte_that_has_a_chance():
    assert draw(torch.tensor([0.5, 0.499, 0.0]), 0.9999) == 1
    assert draw(torch.tensor([0.0, 1.0]), 0.0) == 1


@pytest.mark.parametrize(
    "options", [{"temperature": 0}, {"seed": 3}, {"temperature": 0.5, "top_k": 4}], ids=str
)
def test_text_is_that_of_whole_passes(options):
    model, n = small(), 12
    found = generate(model, b"def f(", n=n, **options)
    rest = {name: value for name, value in options.items() if name != "seed"}
    chance = own_stream("generated text", options.get("seed", 0))
    uniform = torch.rand(n, generator=chance, dtype=torch.float64).tolist()
    text = list(b"def f(")
    for u in uniform:
        with torch.no_grad():
            text.append(draw(chances(model(torch.tensor([text]))[0, -1], **rest), u))
    assert found == bytes(text[6:])
    assert found == generate(model, b"def f(", n=n, cache=Cache(model), **options)


def test_seeds_differ_and_a_shorter_text_is_no_other():
    model = small().train()
    a, b = (generate(model, b"x", n=20, seed=seed) for seed in (0, 1))
    assert a != b
    assert generate(model, b"x", n=7) == a[:7]
    assert generate(model, b"x", n=0) == b""
    assert model.training


ACCEPTED = ["import os", "\tfor i in x:", "   return x  ", "if a:  # why", "# note:", "class A(B):", '"\\d"',
            b"x = 'caf\xc3\xa9'", "with open(f) as g:", "lambda: 0"]  # fmt: skip
REFUSED = ["else:", "@f", "x = (1,", "a b c", "x:", b"x = '\xff'", "x = 1\0", "(" * 500, "-" * 20_000 + "1",
           "\\", '"""Text', "x = 1 + \\"]  # fmt: skip


def test_lines_of_python():
    assert [line for line in ACCEPTED if parses([line]) != 1] == []
    assert [line for line in REFUSED if parses([line]) != 0] == []
    every = [*ACCEPTED, "", *REFUSED, b"  \t"]
    assert parses(every) == len(ACCEPTED) / (len(ACCEPTED) + len(REFUSED))


def test_real_code_parses_more_often_than_its_bytes_in_any_order():
    code = bytes(next(iter(load_text().validation.values()))[:6000].tolist())
    mixed = bytes(np.random.default_rng(0).permutation(list(code)).tolist())
    assert parses(code.splitlines()) > 0.5 > 0.2 > parses(mixed.splitlines())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: generate(small(), "text", n=1), "prompt is 'text'; allowed: bytes"),
        (lambda: generate(small(), b"", n=1), "prompt is b''"),
        (lambda: generate(small(), b"x", n=-1), "n is -1"),
        (lambda: generate(small(), b"x", n=1, temperature=-1), "temperature is -1"),
        (lambda: generate(small(), b"x", n=1, top_k=257), "top_k is 257; allowed: an integer from 1 to 256"),
        (lambda: parses([" ", b""]), "lines that aren't blank is 0"),
        (lambda: parses("x = 1"), "lines is 'x = 1'"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_a_cache_that_isn_t_empty_is_refused():
    model = small()
    cache = Cache(model)
    generate(model, b"x", n=2, cache=cache)
    assert cache.length == 2  # the last byte is written, not read
    with pytest.raises(ValueError, match=r"cache\.length is 2"):
        generate(model, b"x", n=2, cache=cache)
